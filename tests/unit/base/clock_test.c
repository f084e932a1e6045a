#include "base/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

static void expect_text(int64_t utc_us, const char *expected) {
  char text[TW_RFC3339_LEN + 1];
  memset(text, '#', sizeof text);
  tw_rfc3339(utc_us, text);
  assert_int_equal(text[TW_RFC3339_LEN], '#'); /* no NUL is written */
  text[TW_RFC3339_LEN] = '\0';
  assert_string_equal(text, expected);
}

static void times_are_written_as_rfc_3339(void **state) {
  (void)state;
  static const struct {
    int64_t second, us;
    const char *text;
  } cases[] = {
      {0, 0, "1970-01-01T00:00:00.000000Z"},
      {0, -1, "1969-12-31T23:59:59.999999Z"},
      {951782399, 999999, "2000-02-28T23:59:59.999999Z"},
      {951782400, 1, "2000-02-29T00:00:00.000001Z"}, /* a leap year of the 400 */
      {951868800, 0, "2000-03-01T00:00:00.000000Z"},
      {4107542399, 0, "2100-02-28T23:59:59.000000Z"}, /* none of the 100 */
      {4107542400, 0, "2100-03-01T00:00:00.000000Z"},
      {1709164800, 0, "2024-02-29T00:00:00.000000Z"},
      {1735689599, 123456, "2024-12-31T23:59:59.123456Z"},
      {253402300799, 999999, "9999-12-31T23:59:59.999999Z"},
      {-62167219200, 0, "0000-01-01T00:00:00.000000Z"},
      {-62162035201, 0, "0000-02-29T23:59:59.000000Z"},
      {-62135596801, 999999, "0000-12-31T23:59:59.999999Z"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
    expect_text(cases[i].second * 1000000 + cases[i].us, cases[i].text);
}

static void times_outside_of_four_digit_years_are_clamped(void **state) {
  (void)state;
  expect_text(INT64_MIN, "0000-01-01T00:00:00.000000Z");
  expect_text(-62167219200000001, "0000-01-01T00:00:00.000000Z");
  expect_text(253402300800000000, "9999-12-31T23:59:59.999999Z");
  expect_text(INT64_MAX, "9999-12-31T23:59:59.999999Z");
}

static void every_day_agrees_with_libc(void **state) {
  (void)state;
  for (int64_t day = -719528; day < 2932897; day += 7) {
    time_t second = day * 86400 + (day & 0xffff);
    struct tm utc;
    char expected[40];
    assert_non_null(gmtime_r(&second, &utc));
    size_t len = strftime(expected, sizeof expected, "-%m-%dT%H:%M:%S.000000Z", &utc);
    char text[TW_RFC3339_LEN + 1] = {0};
    tw_rfc3339(second * 1000000, text);
    assert_int_equal(atoi(text), utc.tm_year + 1900);
    assert_int_equal(len, TW_RFC3339_LEN - 4);
    assert_string_equal(text + 4, expected);
  }
}

static void the_clocks_go_forward(void **state) {
  (void)state;
  int64_t now = (int64_t)time(NULL) * 1000000, utc = tw_clock_utc_us();
  assert_in_range(utc - now + 1000000, 0, 5000000);
  uint64_t last = tw_clock_monotonic_ns();
  for (int i = 0; i < 1000; i++) {
    uint64_t next = tw_clock_monotonic_ns();
    assert_true(next >= last);
    last = next;
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(times_are_written_as_rfc_3339),
      cmocka_unit_test(times_outside_of_four_digit_years_are_clamped),
      cmocka_unit_test(every_day_agrees_with_libc),
      cmocka_unit_test(the_clocks_go_forward),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
