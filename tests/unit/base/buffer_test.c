#include "base/buffer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void text_is_appended_behind_what_is_there(void **state) {
  (void)state;
  tw_buffer buffer = {0};
  assert_true(tw_buffer_append(&buffer, "tide", 4));
  assert_true(tw_buffer_printf(&buffer, "-%d", 42));
  assert_true(tw_buffer_byte(&buffer, '!'));
  assert_int_equal(buffer.len, 8);
  assert_memory_equal(buffer.data, "tide-42!", 8);
  tw_buffer_fini(&buffer);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(text_is_appended_behind_what_is_there)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
