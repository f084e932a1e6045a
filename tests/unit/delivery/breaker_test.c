#include "delivery/breaker.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static const tw_breaker_limits limits = {.failures = 3, .probes = 2, .rest_ns = 100};

/* Makes a call and has it fail. */
static void fail_once(tw_breaker *breaker, uint64_t now) {
  assert_true(tw_breaker_admit(breaker, now));
  tw_breaker_fail(breaker, &limits, now);
}

static tw_breaker opened_at(uint64_t now) {
  tw_breaker breaker = {0};
  for (int i = 0; i < 3; i++) fail_once(&breaker, now);
  assert_int_equal(breaker.state, TW_BREAKER_OPEN);
  return breaker;
}

static void failures_in_a_row_open_it(void **state) {
  (void)state;
  tw_breaker breaker = {0};
  fail_once(&breaker, 0);
  fail_once(&breaker, 0);
  tw_breaker_succeed(&breaker, &limits);
  fail_once(&breaker, 0);
  fail_once(&breaker, 0);
  assert_int_equal(breaker.state, TW_BREAKER_CLOSED);
  fail_once(&breaker, 0);
  assert_int_equal(breaker.state, TW_BREAKER_OPEN);
}

static void nothing_is_admitted_before_it_has_rested(void **state) {
  (void)state;
  tw_breaker breaker = opened_at(1000);
  assert_false(tw_breaker_admit(&breaker, 1000));
  assert_false(tw_breaker_admit(&breaker, 1099));
  assert_int_equal(breaker.state, TW_BREAKER_OPEN);
  assert_true(tw_breaker_admit(&breaker, 1100));
  assert_int_equal(breaker.state, TW_BREAKER_HALF_OPEN);
}

static void half_open_admits_one_call_at_a_time(void **state) {
  (void)state;
  tw_breaker breaker = opened_at(0);
  assert_true(tw_breaker_admit(&breaker, 100));
  assert_false(tw_breaker_admit(&breaker, 100));
  tw_breaker_forget(&breaker);
  assert_true(tw_breaker_admit(&breaker, 100));
}

static void successful_probes_close_it(void **state) {
  (void)state;
  tw_breaker breaker = opened_at(0);
  assert_true(tw_breaker_admit(&breaker, 100));
  tw_breaker_succeed(&breaker, &limits);
  assert_int_equal(breaker.state, TW_BREAKER_HALF_OPEN);
  assert_true(tw_breaker_admit(&breaker, 100));
  tw_breaker_succeed(&breaker, &limits);
  assert_int_equal(breaker.state, TW_BREAKER_CLOSED);
  fail_once(&breaker, 100);
  fail_once(&breaker, 100);
  assert_int_equal(breaker.state, TW_BREAKER_CLOSED);
}

static void a_probe_that_fails_opens_it_again(void **state) {
  (void)state;
  tw_breaker breaker = opened_at(0);
  assert_true(tw_breaker_admit(&breaker, 100));
  tw_breaker_succeed(&breaker, &limits);
  fail_once(&breaker, 150);
  assert_int_equal(breaker.state, TW_BREAKER_OPEN);
  assert_false(tw_breaker_admit(&breaker, 249));
  assert_true(tw_breaker_admit(&breaker, 250));
  tw_breaker_succeed(&breaker, &limits); /* those before do not count any more */
  assert_int_equal(breaker.state, TW_BREAKER_HALF_OPEN);
}

static void a_failure_while_it_is_open_does_not_make_it_rest_longer(void **state) {
  (void)state;
  tw_breaker breaker = opened_at(0);
  for (uint64_t now = 1; now < 50; now++) tw_breaker_fail(&breaker, &limits, now);
  tw_breaker_trip(&breaker, &limits, 60);
  assert_true(tw_breaker_admit(&breaker, 100));
}

static void a_success_while_it_is_open_does_not_close_it(void **state) {
  (void)state;
  tw_breaker breaker = opened_at(0);
  tw_breaker_succeed(&breaker, &limits);
  tw_breaker_succeed(&breaker, &limits);
  assert_int_equal(breaker.state, TW_BREAKER_OPEN);
}

static void tripping_opens_it_at_once(void **state) {
  (void)state;
  tw_breaker breaker = {0};
  assert_true(tw_breaker_admit(&breaker, 7));
  tw_breaker_trip(&breaker, &limits, 7);
  assert_int_equal(breaker.state, TW_BREAKER_OPEN);
  assert_false(tw_breaker_admit(&breaker, 106));
  assert_true(tw_breaker_admit(&breaker, 107));
}

static void states_have_the_names_of_the_statistics(void **state) {
  (void)state;
  assert_string_equal(tw_breaker_name(TW_BREAKER_CLOSED), "closed");
  assert_string_equal(tw_breaker_name(TW_BREAKER_OPEN), "open");
  assert_string_equal(tw_breaker_name(TW_BREAKER_HALF_OPEN), "half-open");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(failures_in_a_row_open_it),
      cmocka_unit_test(nothing_is_admitted_before_it_has_rested),
      cmocka_unit_test(half_open_admits_one_call_at_a_time),
      cmocka_unit_test(successful_probes_close_it),
      cmocka_unit_test(a_probe_that_fails_opens_it_again),
      cmocka_unit_test(a_failure_while_it_is_open_does_not_make_it_rest_longer),
      cmocka_unit_test(a_success_while_it_is_open_does_not_close_it),
      cmocka_unit_test(tripping_opens_it_at_once),
      cmocka_unit_test(states_have_the_names_of_the_statistics),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
