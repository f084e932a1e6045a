#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "support/oom.h"
#include "tidewire.h"

static void check(tw_builder *b, const char *want) {
  const char *text;
  size_t len;
  tw_error error = {0};
  if (tw_builder_text(b, &text, &len, &error)) fail_msg("%s", error.message);
  assert_string_equal(text, want);
  assert_int_equal(len, strlen(want));
}

static tw_status failure(tw_builder *b) {
  const char *text = "";
  size_t len;
  tw_error error = {0};
  tw_status status = tw_builder_text(b, &text, &len, &error);
  assert_null(text);
  assert_int_equal(error.code, status);
  assert_true(strlen(error.message) > 0);
  tw_builder_reset(b);
  return status;
}

static void values_are_built_step_by_step(void **state) {
  (void)state;
  tw_builder *b = tw_builder_new();
  tw_builder_begin_object(b);
  tw_builder_key(b, "s\n");
  tw_builder_string(b, "a\"\0", 3);
  tw_builder_key(b, "l");
  tw_builder_begin_array(b);
  tw_builder_integer(b, INT64_MIN);
  tw_builder_number(b, 1);
  tw_builder_bool(b, true);
  tw_builder_bool(b, false);
  tw_builder_null(b);
  tw_builder_begin_object(b);
  tw_builder_end_object(b);
  tw_builder_begin_array(b);
  tw_builder_end_array(b);
  tw_builder_end_array(b);
  tw_builder_key(b, "j");
  tw_builder_json(b, " { \"x\" : 1 } ", 13);
  tw_builder_end_object(b);
  check(b,
        "{\"s\\n\":\"a\\\"\\u0000\",\"l\":[-9223372036854775808,1.0,true,false,null,{},[]],"
        "\"j\":{ \"x\" : 1 }}");
  tw_builder_reset(b);
  tw_builder_integer(b, 1);
  check(b, "1");
  tw_builder_free(b);
}

static void calls_out_of_place_are_errors_that_stick(void **state) {
  (void)state;
  tw_builder *b = tw_builder_new();
  assert_int_equal(failure(b), TW_EINVAL); /* nothing there */
  tw_builder_begin_object(b);
  assert_int_equal(failure(b), TW_EINVAL); /* unfinished */
  tw_builder_begin_object(b);
  tw_builder_integer(b, 1); /* no key */
  tw_builder_end_object(b);
  assert_int_equal(failure(b), TW_EINVAL);
  tw_builder_begin_object(b);
  tw_builder_key(b, "a");
  tw_builder_key(b, "b"); /* no value */
  assert_int_equal(failure(b), TW_EINVAL);
  tw_builder_begin_object(b);
  tw_builder_key(b, "a");
  tw_builder_end_object(b); /* no value */
  assert_int_equal(failure(b), TW_EINVAL);
  tw_builder_begin_array(b);
  tw_builder_key(b, "a"); /* no object */
  assert_int_equal(failure(b), TW_EINVAL);
  tw_builder_begin_array(b);
  tw_builder_end_object(b); /* another container */
  assert_int_equal(failure(b), TW_EINVAL);
  tw_builder_end_array(b); /* none */
  assert_int_equal(failure(b), TW_EINVAL);
  tw_builder_null(b);
  tw_builder_null(b); /* two values */
  assert_int_equal(failure(b), TW_EINVAL);
  tw_builder_number(b, NAN);
  assert_int_equal(failure(b), TW_EINVAL);
  tw_builder_number(b, -INFINITY);
  assert_int_equal(failure(b), TW_EINVAL);
  tw_builder_string(b, "\xff", 1);
  assert_int_equal(failure(b), TW_EJSON);
  tw_builder_json(b, "[1", 2);
  assert_int_equal(failure(b), TW_EJSON);
  for (int i = 0; i < 2000; i++) tw_builder_begin_array(b);
  assert_int_equal(failure(b), TW_ELIMIT);
  tw_builder_free(b);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(values_are_built_step_by_step),
      cmocka_unit_test(calls_out_of_place_are_errors_that_stick),
  };
  tw_oom_install();
  return cmocka_run_group_tests(tests, NULL, tw_oom_leaves_nothing);
}
