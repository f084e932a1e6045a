#include "delivery/retry.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

#include <cmocka.h>

/* A random number that is the bound gives the bound, the one behind it nothing. */
static void assert_bound(uint64_t failures, uint64_t bound) {
  assert_int_equal(tw_retry_delay(100, 3000, failures, bound), bound);
  assert_int_equal(tw_retry_delay(100, 3000, failures, bound + 1), 0);
}

static void the_bound_doubles_with_each_failure(void **state) {
  (void)state;
  assert_bound(1, 100);
  assert_bound(2, 200);
  assert_bound(3, 400);
  assert_bound(4, 800);
  assert_bound(5, 1600);
}

static void the_bound_ends_at_its_maximum(void **state) {
  (void)state;
  for (uint64_t failures = 6; failures < 200; failures++) assert_bound(failures, 3000);
  assert_bound(UINT64_MAX, 3000);
}

static void bounds_at_the_edge_overflow_nowhere(void **state) {
  (void)state;
  const uint64_t top = UINT64_C(1) << 63;
  assert_true(tw_retry_delay(1, UINT64_MAX, 64, top) == top);
  assert_true(tw_retry_delay(1, UINT64_MAX, 65, UINT64_MAX) == UINT64_MAX);
  assert_int_equal(tw_retry_delay(UINT64_MAX, UINT64_MAX, 1, 42), 42);
  assert_int_equal(tw_retry_delay(5, 5, 1, 5), 5);
  assert_int_equal(tw_retry_delay(0, 0, 1, 99), 0);
}

static void delays_are_spread_evenly_from_nothing_to_the_bound(void **state) {
  (void)state;
  tw_random random = {1};
  unsigned tenths[10] = {0};
  for (int i = 0; i < 10000; i++)
    tenths[tw_retry_delay(1000, 1000, 1, tw_random_next(&random)) % 1000 / 100]++;
  for (int i = 0; i < 10; i++) {
    assert_true(tenths[i] > 850);
    assert_true(tenths[i] < 1150);
  }
}

static void other_seeds_give_other_times(void **state) {
  (void)state;
  tw_random a = {1}, b = {2}, again = {1};
  unsigned same = 0;
  for (int i = 0; i < 100; i++) {
    uint64_t number = tw_random_next(&a);
    same += number == tw_random_next(&b);
    assert_true(number == tw_random_next(&again));
  }
  assert_int_equal(same, 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(the_bound_doubles_with_each_failure),
      cmocka_unit_test(the_bound_ends_at_its_maximum),
      cmocka_unit_test(bounds_at_the_edge_overflow_nowhere),
      cmocka_unit_test(delays_are_spread_evenly_from_nothing_to_the_bound),
      cmocka_unit_test(other_seeds_give_other_times),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
