/* Reading RFC 3339. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka.h needs those above. */
#include <cmocka.h>
#include <string.h>

#include "base/clock.h"

static void times_are_read_whatever_their_offset(void **state) {
  (void)state;
  static const struct {
    const char *text;
    int64_t us;
  } cases[] = {
      {"1970-01-01T00:00:00Z", 0},
      {"1970-01-01t00:00:00.5z", 500000},
      {"2026-11-24 05:00:00.123456789Z", 1795496400123456},
      {"2026-11-24T07:00:00+02:00", 1795496400000000},
      {"2026-11-23T23:30:00-05:30", 1795496400000000},
      {"2000-02-29T00:00:00Z", 951782400000000},
      {"1969-12-31T23:59:59Z", -1000000},
      {"2016-12-31T23:59:60Z", 1483228799000000},
      {"0000-01-01T00:00:00Z", -62167219200000000},
      {"9999-12-31T23:59:59.999999Z", 253402300799999999},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    int64_t us = -7;
    if (!tw_rfc3339_read(cases[i].text, strlen(cases[i].text), &us))
      fail_msg("%s is not read", cases[i].text);
    assert_int_equal(us, cases[i].us);
  }
}

static void what_is_no_time_is_refused(void **state) {
  (void)state;
  static const char *const cases[] = {"",
                                      "2026",
                                      "2026-11-24",
                                      "2026-11-24T05:00Z",
                                      "2026-11-24T05:00:00",
                                      "2026-11-24T05:00:00.Z",
                                      "2026-11-24T05:00:00Zx",
                                      "2026-13-01T00:00:00Z",
                                      "2026-00-01T00:00:00Z",
                                      "2026-02-29T00:00:00Z",
                                      "1900-02-29T00:00:00Z",
                                      "2026-04-31T00:00:00Z",
                                      "2026-01-00T00:00:00Z",
                                      "2026-01-01T24:00:00Z",
                                      "2026-01-01T00:60:00Z",
                                      "2026-01-01T00:00:61Z",
                                      "2026-01-01T00:00:00+24:00",
                                      "2026-01-01T00:00:00+0200",
                                      "+026-01-01T00:00:00Z"};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    int64_t us;
    if (tw_rfc3339_read(cases[i], strlen(cases[i]), &us)) fail_msg("%s is read", cases[i]);
  }
}

static void every_written_time_is_read_back(void **state) {
  (void)state;
  for (int64_t us = -62167219200000000; us < 253402300799999999; us += 86399 * 1000003LL * 37) {
    char text[TW_RFC3339_LEN];
    int64_t back;
    tw_rfc3339(us, text);
    assert_true(tw_rfc3339_read(text, sizeof text, &back));
    assert_int_equal(back, us);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(times_are_read_whatever_their_offset),
      cmocka_unit_test(what_is_no_time_is_refused),
      cmocka_unit_test(every_written_time_is_read_back),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
