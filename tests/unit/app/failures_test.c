/* Which failures people are told of, and that they are over. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka.h needs those above. */
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "app/failures.h"

static tw_term term;
static tw_failures failures;
static int file, kept;

static int set_up(void **state) {
  char name[] = "/tmp/tidewire-failures-XXXXXX";
  (void)state;
  tw_term_init(&term);
  term.colour = term.is_terminal = false;
  failures = (tw_failures){.term = &term};
  file = mkstemp(name);
  kept = dup(STDERR_FILENO);
  if (file < 0 || kept < 0) return -1;
  unlink(name);
  return dup2(file, STDERR_FILENO) < 0 ? -1 : 0;
}

/* What was written to standard error since the start; freed by the caller. */
static char *told(void) {
  fflush(stderr);
  off_t len = lseek(file, 0, SEEK_END);
  char *text = calloc(1, (size_t)len + 1);
  if (pread(file, text, (size_t)len, 0) != len) *text = 0;
  return text;
}

static int tear_down(void **state) {
  (void)state;
  dup2(kept, STDERR_FILENO);
  close(kept);
  return close(file);
}

static void tell(tw_status code, const char *message) {
  tw_error error = {.code = code};
  snprintf(error.message, sizeof error.message, "%s", message);
  tw_failures_add(&failures,
                  &(tw_failure){.where = "outbox", .path = "db", .events = 1, .error = &error});
}

static void of_each_place_the_first_second_fourth_are_told(void **state) {
  (void)state;
  for (int i = 0; i < 5; i++) tell(TW_EIO, "away");
  char *text = told();
  assert_string_equal(text,
                      "tidewire: outbox \"db\": away\n"
                      "tidewire: outbox \"db\": away [failure 2 of this kind]\n"
                      "tidewire: outbox \"db\": away [failure 4 of this kind]\n");
  free(text);
}

static void an_end_is_told_for_each_failure_that_was(void **state) {
  (void)state;
  for (int i = 0; i < 3; i++) {
    tell(TW_EIO, "away");
    tell(TW_OK, "it is tried again");
    tell(TW_OK, "it delivers again");
  }
  char *text = told();
  assert_string_equal(text,
                      "tidewire: outbox \"db\": away\n"
                      "tidewire: outbox \"db\": it is tried again\n"
                      "tidewire: outbox \"db\": it delivers again\n"
                      "tidewire: outbox \"db\": away [failure 2 of this kind]\n"
                      "tidewire: outbox \"db\": it is tried again [2 times now]\n"
                      "tidewire: outbox \"db\": it delivers again [2 times now]\n");
  free(text);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(of_each_place_the_first_second_fourth_are_told, set_up,
                                      tear_down),
      cmocka_unit_test_setup_teardown(an_end_is_told_for_each_failure_that_was, set_up,
                                      tear_down)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
