/* Shared stores: values, expiry, bounds, and eight threads at once. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka.h needs those above. */
#include <cmocka.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "core/shared.h"
#include "support/oom.h"

static tw_kv *open_store(const char *name, size_t entries, size_t bytes) {
  tw_kv_bounds bounds = {entries, bytes};
  tw_kv *store;
  assert_int_equal(tw_kv_open(name, &bounds, &store, NULL), TW_OK);
  return store;
}

static tw_kv_value integer(int64_t value) {
  return (tw_kv_value){.type = TW_KV_INTEGER, .integer = value};
}

static tw_kv_value string(const char *text) {
  return (tw_kv_value){.type = TW_KV_STRING, .text = text, .len = strlen(text)};
}

static tw_status set(tw_kv *store, const char *key, tw_kv_value value, int64_t ttl,
                     int64_t now) {
  return tw_kv_set(store, key, strlen(key), &value, ttl, now, NULL);
}

static tw_kv_value get(tw_kv *store, const char *key, int64_t now) {
  tw_kv_value value;
  assert_int_equal(tw_kv_get(store, key, strlen(key), now, &value, NULL), TW_OK);
  return value;
}

/* ------------------------------------------------------------------- tests */

static void what_is_set_is_got_exactly(void **state) {
  (void)state;
  tw_kv *store = open_store("a", 0, 0);
  set(store, "i", integer(INT64_MAX), TW_KV_FOREVER, 0);
  set(store, "n", (tw_kv_value){.type = TW_KV_NUMBER, .number = 0.5}, TW_KV_FOREVER, 0);
  set(store, "b", (tw_kv_value){.type = TW_KV_BOOLEAN, .boolean = true}, TW_KV_FOREVER, 0);
  set(store, "s", string("first"), TW_KV_FOREVER, 0);
  set(store, "s", string("second, longer"), TW_KV_FOREVER, 0);
  assert_true(get(store, "i", 0).integer == INT64_MAX);
  assert_true(get(store, "n", 0).number == 0.5);
  assert_true(get(store, "b", 0).boolean);
  tw_kv_value text = get(store, "s", 0);
  assert_string_equal(text.text, "second, longer");
  tw_free((char *)text.text);
  assert_int_equal(get(store, "none", 0).type, TW_KV_NIL);
  assert_true(tw_kv_delete(store, "i", 1, 0));
  assert_false(tw_kv_delete(store, "i", 1, 0));
  set(store, "n", (tw_kv_value){.type = TW_KV_NIL}, TW_KV_FOREVER, 0);
  assert_int_equal(tw_kv_count(store, 0), 2);
  tw_kv_close(store);
}

static void a_name_is_one_store_until_the_last_closes(void **state) {
  (void)state;
  tw_kv *first = open_store("a", 0, 0), *other = open_store("b", 0, 0);
  tw_kv *second = open_store("a", 0, 0);
  assert_ptr_equal(first, second);
  assert_ptr_not_equal(first, other);
  set(first, "k", integer(1), TW_KV_FOREVER, 0);
  tw_kv_close(first);
  assert_int_equal(get(second, "k", 0).integer, 1);
  tw_kv_close(second);
  tw_kv *later = open_store("a", 0, 0);
  assert_int_equal(tw_kv_count(later, 0), 0);
  tw_kv_close(later);
  tw_kv_close(other);
}

static void values_live_as_long_as_they_are_given(void **state) {
  (void)state;
  tw_kv *store = open_store("a", 0, 0);
  set(store, "k", integer(1), 100, 1000);
  assert_int_equal(tw_kv_ttl(store, "k", 1, 1099), 1);
  assert_int_equal(get(store, "k", 1099).integer, 1);
  assert_int_equal(get(store, "k", 1100).type, TW_KV_NIL);
  assert_int_equal(tw_kv_ttl(store, "k", 1, 1100), -1);
  set(store, "k", integer(2), TW_KV_FOREVER, 1100);
  assert_true(tw_kv_ttl(store, "k", 1, 2000) == TW_KV_FOREVER);
  assert_true(tw_kv_expire(store, "k", 1, 5, 2000));
  assert_int_equal(tw_kv_count(store, 2004), 1);
  assert_int_equal(tw_kv_count(store, 2005), 0);
  assert_false(tw_kv_expire(store, "k", 1, 5, 2005));
  tw_kv_close(store);
}

static void counting_keeps_the_first_time_to_live(void **state) {
  (void)state;
  tw_kv *store = open_store("a", 0, 0);
  tw_kv_value by = integer(2), half = {.type = TW_KV_NUMBER, .number = 0.5};
  assert_int_equal(tw_kv_incr(store, "k", 1, &by, 100, 0, NULL), TW_OK);
  assert_int_equal(by.integer, 2);
  by = integer(3);
  assert_int_equal(tw_kv_incr(store, "k", 1, &by, 500, 50, NULL), TW_OK);
  assert_int_equal(by.integer, 5);
  assert_int_equal(tw_kv_ttl(store, "k", 1, 50), 50);
  assert_int_equal(tw_kv_incr(store, "k", 1, &half, 500, 50, NULL), TW_OK);
  assert_true(half.type == TW_KV_NUMBER && half.number == 5.5);
  by = integer(1);
  assert_int_equal(tw_kv_incr(store, "k", 1, &by, 500, 100, NULL), TW_OK);
  assert_int_equal(by.integer, 1);
  set(store, "k", integer(INT64_MAX), TW_KV_FOREVER, 100);
  by = integer(1);
  assert_int_equal(tw_kv_incr(store, "k", 1, &by, 1, 100, NULL), TW_ELIMIT);
  assert_true(get(store, "k", 100).integer == INT64_MAX);
  set(store, "k", string("text"), TW_KV_FOREVER, 100);
  assert_int_equal(tw_kv_incr(store, "k", 1, &by, 1, 100, NULL), TW_ETYPE);
  tw_kv_close(store);
}

static void a_full_store_takes_nothing_new_until_something_expires(void **state) {
  (void)state;
  tw_kv *store = open_store("full", 100, 0);
  char key[16];
  for (int i = 0; i < 100; i++) {
    snprintf(key, sizeof key, "k%d", i);
    assert_int_equal(set(store, key, integer(i), i == 50 ? 10 : TW_KV_FOREVER, 0), TW_OK);
  }
  tw_error error = {0};
  tw_kv_value one = integer(1);
  assert_int_equal(tw_kv_set(store, "new", 3, &one, TW_KV_FOREVER, 9, &error), TW_ELIMIT);
  assert_non_null(strstr(error.message, "\"full\" is full: 100 of 100 entries"));
  assert_int_equal(set(store, "k7", integer(8), TW_KV_FOREVER, 9), TW_OK);
  assert_int_equal(set(store, "new", integer(1), TW_KV_FOREVER, 10), TW_OK);
  assert_int_equal(tw_kv_count(store, 10), 100);
  tw_kv_close(store);
}

static void the_bytes_of_a_store_are_bounded(void **state) {
  (void)state;
  tw_kv *store = open_store("small", 0, 1000);
  static char big[1200];
  memset(big, 'x', sizeof big - 1);
  assert_int_equal(set(store, "k", string(big), TW_KV_FOREVER, 0), TW_ELIMIT);
  assert_int_equal(set(store, "k", string(big + 500), TW_KV_FOREVER, 0), TW_OK);
  assert_int_equal(set(store, "k", string(big), TW_KV_FOREVER, 0), TW_ELIMIT);
  assert_int_equal(set(store, "l", string(big + 500), TW_KV_FOREVER, 0), TW_ELIMIT);
  assert_int_equal(set(store, "k", string("short"), TW_KV_FOREVER, 0), TW_OK);
  assert_int_equal(set(store, "l", string(big + 500), TW_KV_FOREVER, 0), TW_OK);
  tw_kv_close(store);
}

/* A value is allocated before there is room for it, so only what fits is ever touched. */
static void all_stores_together_are_bounded(void **state) {
  (void)state;
  enum { STORES = 9, PART = TW_KV_ALL / 8 };
  tw_kv *stores[STORES];
  char name[8];
  tw_error error = {0};
  tw_status last = TW_OK;
  char *text = test_calloc(PART, 1);
  tw_kv_value value = {.type = TW_KV_STRING, .text = text, .len = PART};
  for (int i = 0; i < STORES; i++) {
    snprintf(name, sizeof name, "all%d", i);
    stores[i] = open_store(name, 0, TW_KV_ALL);
    last = tw_kv_set(stores[i], "k", 1, &value, TW_KV_FOREVER, 0, &error);
  }
  assert_int_equal(last, TW_ELIMIT);
  assert_non_null(strstr(error.message, "the shared stores of the process are full"));
  for (int i = 0; i < STORES; i++) tw_kv_close(stores[i]);
  test_free(text);
  tw_kv *again = open_store("again", 0, 0);
  assert_int_equal(set(again, "k", integer(1), TW_KV_FOREVER, 0), TW_OK);
  tw_kv_close(again);
}

static void no_memory_leaves_a_store_whole(void **state) {
  (void)state;
  tw_oom_install();
  bool failed = true;
  for (unsigned n = 0; failed && n < 60; n++) {
    tw_oom_fail_at(n);
    tw_kv *store;
    if (tw_kv_open("oom", NULL, &store, NULL) == TW_OK) {
      tw_kv_value got = {0}, by = integer(1);
      char key[16];
      for (int i = 0; i < 20; i++) {
        snprintf(key, sizeof key, "k%d", i);
        set(store, key, string("value"), TW_KV_FOREVER, 0);
      }
      tw_kv_incr(store, "n", 1, &by, TW_KV_FOREVER, 0, NULL);
      if (tw_kv_get(store, "k1", 2, 0, &got, NULL) == TW_OK) tw_free((char *)got.text);
      tw_kv_close(store);
    }
    failed = tw_oom_off();
    assert_int_equal(tw_oom_live(), 0);
  }
}

/* ----------------------------------------------------------------- threads */

enum { THREADS = 8, ROUNDS = 2000 };

static void *use(void *number) {
  char own[16];
  snprintf(own, sizeof own, "own%d", *(int *)number);
  for (int i = 0; i < ROUNDS; i++) {
    tw_kv *store;
    if (tw_kv_open("all", NULL, &store, NULL)) return "open";
    tw_kv_value by = integer(1), text = string("text"), got;
    if (tw_kv_incr(store, "sum", 3, &by, TW_KV_FOREVER, i, NULL)) return "incr";
    tw_kv_set(store, own, strlen(own), &text, 2 * ROUNDS, i, NULL);
    tw_kv_set(store, "brief", 5, &text, 3, i, NULL);
    if (tw_kv_get(store, own, strlen(own), i, &got, NULL)) return "get";
    if (got.type != TW_KV_STRING) return "lost";
    tw_free((char *)got.text);
    tw_kv_count(store, i);
    tw_kv_close(store);
  }
  return NULL;
}

static void eight_threads_count_together(void **state) {
  (void)state;
  tw_kv *store = open_store("all", 0, 0);
  pthread_t threads[THREADS];
  int numbers[THREADS];
  for (int i = 0; i < THREADS; i++) {
    numbers[i] = i;
    assert_int_equal(pthread_create(&threads[i], NULL, use, &numbers[i]), 0);
  }
  for (int i = 0; i < THREADS; i++) {
    void *problem;
    pthread_join(threads[i], &problem);
    if (problem) fail_msg("%s", (const char *)problem);
  }
  assert_int_equal(get(store, "sum", ROUNDS).integer, THREADS * ROUNDS);
  tw_kv_close(store);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(what_is_set_is_got_exactly),
      cmocka_unit_test(a_name_is_one_store_until_the_last_closes),
      cmocka_unit_test(values_live_as_long_as_they_are_given),
      cmocka_unit_test(counting_keeps_the_first_time_to_live),
      cmocka_unit_test(a_full_store_takes_nothing_new_until_something_expires),
      cmocka_unit_test(the_bytes_of_a_store_are_bounded),
      cmocka_unit_test(all_stores_together_are_bounded),
      cmocka_unit_test(no_memory_leaves_a_store_whole),
      cmocka_unit_test(eight_threads_count_together),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
