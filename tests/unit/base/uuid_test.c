#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "tidewire.h"

enum { THREADS = 8, EACH = 2000 };
typedef char uuid[37];

static void ids_have_the_form_of_version_7(void **state) {
  (void)state;
  for (int i = 0; i < 1000; i++) {
    uuid id;
    memset(id, '#', sizeof id);
    tw_uuid7(id);
    assert_int_equal(strlen(id), 36);
    assert_int_equal(strspn(id, "0123456789abcdef-"), 36);
    for (int k = 0; k < 36; k++)
      assert_int_equal(id[k] == '-', k == 8 || k == 13 || k == 18 || k == 23);
    assert_int_equal(id[14], '7');
    assert_non_null(strchr("89ab", id[19]));
  }
}

static void ids_hold_the_time_in_milliseconds(void **state) {
  (void)state;
  int64_t before = tw_clock_utc_us() / 1000;
  uuid id;
  tw_uuid7(id);
  int64_t after = tw_clock_utc_us() / 1000;
  char hex[13];
  memcpy(hex, id, 8);
  memcpy(hex + 8, id + 9, 5);
  hex[12] = '\0';
  int64_t ms = strtoll(hex, NULL, 16);
  assert_true(ms >= before && ms <= after + 1); /* a burst may run a little ahead */
}

static void ids_ascend(void **state) {
  (void)state;
  uuid last = "", id;
  for (int i = 0; i < 100000; i++) {
    tw_uuid7(id);
    assert_true(strcmp(last, id) < 0);
    memcpy(last, id, sizeof last);
  }
}

static void *make_many(void *out) {
  uuid *ids = out;
  for (int i = 0; i < EACH; i++) tw_uuid7(ids[i]);
  return NULL;
}

static int by_text(const void *a, const void *b) { return strcmp(a, b); }

static void ids_of_many_threads_ascend_in_each_and_are_unique_in_all(void **state) {
  (void)state;
  static uuid ids[THREADS * EACH];
  pthread_t threads[THREADS];
  for (int i = 0; i < THREADS; i++)
    assert_int_equal(pthread_create(&threads[i], NULL, make_many, ids + i * EACH), 0);
  for (int i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
  for (int i = 1; i < THREADS * EACH; i++)
    if (i % EACH) assert_true(strcmp(ids[i - 1], ids[i]) < 0);
  qsort(ids, THREADS * EACH, sizeof *ids, by_text);
  /* Times alone are unique already: 18 characters hold them. */
  for (int i = 1; i < THREADS * EACH; i++) assert_true(strncmp(ids[i - 1], ids[i], 18) < 0);
}

static void a_forked_process_has_other_random_bits(void **state) {
  (void)state;
  uuid mine, other = "";
  tw_uuid7(mine); /* the pool is filled */
  int pipes[2];
  assert_int_equal(pipe(pipes), 0);
  pid_t child = fork();
  assert_true(child >= 0);
  if (!child) {
    tw_uuid7(mine);
    _exit(write(pipes[1], mine, sizeof mine) != sizeof mine);
  }
  tw_uuid7(mine);
  assert_int_equal(read(pipes[0], other, sizeof other), sizeof other);
  waitpid(child, NULL, 0);
  close(pipes[0]);
  close(pipes[1]);
  assert_true(strcmp(mine + 19, other + 19) != 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(ids_have_the_form_of_version_7),
      cmocka_unit_test(ids_hold_the_time_in_milliseconds),
      cmocka_unit_test(ids_of_many_threads_ascend_in_each_and_are_unique_in_all),
      cmocka_unit_test(ids_ascend),
      cmocka_unit_test(a_forked_process_has_other_random_bits),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
