#include <limits.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "support/oom.h"
#include "tidewire.h"

static tw_builder *b;

static void check(const char *want) {
  const char *text;
  size_t len;
  tw_error error = {0};
  if (tw_builder_text(b, &text, &len, &error)) fail_msg("%s", error.message);
  assert_string_equal(text, want);
  tw_builder_reset(b);
}

static void check_error(tw_status want, size_t position) {
  const char *text;
  size_t len;
  tw_error error = {0};
  tw_status status = tw_builder_text(b, &text, &len, &error);
  if (status != want || error.position != position)
    fail_msg("%d at %zu: %s", (int)status, error.position, error.message);
  tw_builder_reset(b);
}

static void conversions_take_their_arguments(void **state) {
  (void)state;
  tw_builder_pack(b, "{total:%f, user:%s, items:%d}", 12.5, "ann", 3);
  check("{\"total\":12.5,\"user\":\"ann\",\"items\":3}");
  tw_builder_pack(b, "[%d,%i,%u,%ld,%lu,%lld,%llu,%zu,%jd,%ju]", INT_MIN, -1, UINT_MAX,
                  LONG_MIN, ULONG_MAX, LLONG_MIN, ULLONG_MAX, SIZE_MAX, INTMAX_MAX,
                  UINTMAX_MAX);
  check(
      "[-2147483648,-1,4294967295,-9223372036854775808,18446744073709551615,"
      "-9223372036854775808,18446744073709551615,18446744073709551615,9223372036854775807,"
      "18446744073709551615]");
  tw_builder_pack(b, "[%f,%g,%lf,%g]", 0.1, 1.0, 1e300, -0.0);
  check("[0.1,1.0,1e+300,-0.0]");
  tw_builder_pack(b, "[%hhd,%hhd]", true, false);
  check("[true,false]");
  const char *volatile none = NULL;
  tw_builder_pack(b, "[%s,%.*s,%.*s,%.*s]", none, 2, "abc", 5, "a\"", -1, "xyz");
  check("[null,\"ab\",\"a\\\"\",\"xyz\"]");
  tw_builder_pack(b, "{%s:%d,%.*s:%d}", "k\n", 1, 1, "lm", 2);
  check("{\"k\\n\":1,\"l\":2}");
}

static void templates_are_json_with_bare_keys(void **state) {
  (void)state;
  static const char *const cases[][2] = {
      {"{}", "{}"},
      {" [ ] ", "[]"},
      {"{a:true, $b-c_1 : [false,null, -1.50e2] , \"q\\\"\":{}}",
       "{\"a\":true,\"$b-c_1\":[false,null,-1.50e2],\"q\\\"\":{}}"},
      {"\"100%%\"", "\"100%\""},
      {"{\"50%%\":\"\\u00e9\"}", "{\"50%\":\"\\u00e9\"}"},
      {"12345678901234567890123", "12345678901234567890123"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-security"
    tw_builder_pack(b, cases[i][0]);
#pragma GCC diagnostic pop
    check(cases[i][1]);
  }
}

/* Through a pointer, as the compiler would refuse these. */
static void pack(const char *format, ...) {
  va_list args;
  va_start(args, format);
  tw_builder_vpack(b, format, args);
  va_end(args);
}

static void malformed_templates_are_errors_with_their_position(void **state) {
  (void)state;
  static const struct {
    const char *format;
    tw_status status;
    size_t position;
  } cases[] = {
      {"", TW_EINVAL, 0},         {"{", TW_EINVAL, 1},    {"{a", TW_EINVAL, 2},
      {"{a:", TW_EINVAL, 3},      {"{a:1", TW_EINVAL, 4}, {"{a:1,}", TW_EINVAL, 5},
      {"{a 1}", TW_EINVAL, 3},    {"[1,]", TW_EINVAL, 3}, {"[1 2]", TW_EINVAL, 3},
      {"[1] 2", TW_EINVAL, 4},    {"{:1}", TW_EINVAL, 1}, {"\"a", TW_EINVAL, 2},
      {"\"%d\"", TW_EINVAL, 1},   {"[%]", TW_EINVAL, 1},  {"%x", TW_EINVAL, 0},
      {"%5d", TW_EINVAL, 0},      {"%", TW_EINVAL, 0},    {"{a:tru}", TW_EJSON, 3},
      {"[\"\\q\"]", TW_EJSON, 1}, {"[01]", TW_EJSON, 1},  {"[%%]", TW_EINVAL, 1},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    pack(cases[i].format, 1, 2);
    check_error(cases[i].status, cases[i].position);
  }
}

static void arguments_that_json_cannot_hold_are_errors_at_their_conversion(void **state) {
  (void)state;
  tw_builder_pack(b, "{a:1,b:%f}", NAN);
  check_error(TW_EINVAL, 7);
  tw_builder_pack(b, "[%d,%s]", 1, "\xff");
  check_error(TW_EJSON, 4);
  tw_builder_pack(b, "{%s:1}", "\xff");
  check_error(TW_EJSON, 1);
  pack("{%s:1}", NULL);
  check_error(TW_EINVAL, 1);
}

static void a_pack_can_stand_inside_a_larger_value(void **state) {
  (void)state;
  tw_builder_begin_object(b);
  tw_builder_key(b, "x");
  tw_builder_pack(b, "[%d]", 1);
  tw_builder_key(b, "y");
  tw_builder_pack(b, "{z:%s}", "v");
  tw_builder_end_object(b);
  check("{\"x\":[1],\"y\":{\"z\":\"v\"}}");
}

static void deep_templates_end_in_an_error(void **state) {
  (void)state;
  static char format[100001];
  memset(format, '[', sizeof format - 1);
  pack(format);
  check_error(TW_ELIMIT, TW_NO_POSITION);
}

static int make(void **state) {
  (void)state;
  b = tw_builder_new();
  return b == NULL;
}

static int free_it(void **state) {
  tw_builder_free(b);
  return tw_oom_leaves_nothing(state);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(conversions_take_their_arguments),
      cmocka_unit_test(templates_are_json_with_bare_keys),
      cmocka_unit_test(malformed_templates_are_errors_with_their_position),
      cmocka_unit_test(arguments_that_json_cannot_hold_are_errors_at_their_conversion),
      cmocka_unit_test(a_pack_can_stand_inside_a_larger_value),
      cmocka_unit_test(deep_templates_end_in_an_error),
  };
  tw_oom_install();
  return cmocka_run_group_tests(tests, make, free_it);
}
