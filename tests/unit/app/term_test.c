/* Standard error of the command, when several threads use it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka.h needs those above. */
#include <cmocka.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "app/term.h"

enum { TIMES = 20000 };

static void *draw(void *term) {
  for (int i = 0; i < TIMES; i++) tw_term_progress(term, "1,000 read");
  tw_term_progress(term, NULL);
  return NULL;
}

static void *complain(void *term) {
  for (int i = 0; i < TIMES; i++) tw_term_complain(term, "no %d", 7);
  return NULL;
}

/* What both threads write to standard error; freed by the caller. */
static char *written_by_both(tw_term *term) {
  char name[] = "/tmp/tidewire-term-XXXXXX";
  int file = mkstemp(name), kept = dup(STDERR_FILENO);
  assert_true(file >= 0 && kept >= 0);
  unlink(name);
  dup2(file, STDERR_FILENO);
  pthread_t drawer, complainer;
  pthread_create(&drawer, NULL, draw, term);
  pthread_create(&complainer, NULL, complain, term);
  pthread_join(drawer, NULL);
  pthread_join(complainer, NULL);
  dup2(kept, STDERR_FILENO);
  close(kept);
  off_t len = lseek(file, 0, SEEK_END);
  char *text = calloc(1, (size_t)len + 1);
  assert_int_equal(pread(file, text, (size_t)len, 0), len);
  close(file);
  return text;
}

/* @return how many there are; each stands where a line begins, or where one was erased */
static int count_complaints(const char *text) {
  static const char erase[] = "\r\x1b[K", start[] = "tidewire: ";
  int count = 0;
  for (const char *at = text; (at = strstr(at, start)); at += sizeof start - 1, count++) {
    size_t before = (size_t)(at - text);
    bool is_fresh = !before || at[-1] == '\n';
    bool is_erased = before >= 4 && memcmp(at - 4, erase, 4) == 0;
    assert_true(is_fresh || is_erased);
  }
  return count;
}

static void complaints_of_a_thread_never_stand_behind_the_progress_line(void **state) {
  (void)state;
  tw_term term;
  tw_term_init(&term);
  term.is_terminal = true;
  term.colour = false;
  char *text = written_by_both(&term);
  assert_int_equal(count_complaints(text), TIMES);
  assert_false(term.progress);
  free(text);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(complaints_of_a_thread_never_stand_behind_the_progress_line),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
