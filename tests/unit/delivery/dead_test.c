#include "delivery/dead.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/status.h"
#include "support/oom.h"

static void assert_written(const tw_dead_letter *letter, const char *expected) {
  tw_buffer out = {0};
  assert_true(tw_dead_letter_write(letter, &out));
  assert_true(tw_buffer_byte(&out, '\0'));
  assert_string_equal(out.data, expected);
  tw_buffer_fini(&out);
}

static tw_dead_letter full_letter(tw_error *error, tw_origin *origin) {
  static const char event[] = "{ \"n\": 1.0, \"big\":123456789012345678901234567890 }";
  tw_fail(error, TW_EREFUSED, "db: no such column \"x\"");
  *origin = (tw_origin){.source = "in.ndjson", .line = 3, .offset = 120};
  return (tw_dead_letter){.time_us = INT64_C(1790000000123456),
                          .where = "backend",
                          .path = "video/db",
                          .name = "f",
                          .error = error,
                          .attempts = 4,
                          .generation = 2,
                          .origin = origin,
                          .id = "abc",
                          .id_len = 3,
                          .event = event,
                          .event_len = sizeof event - 1};
}

static void a_letter_tells_all_that_is_known(void **state) {
  (void)state;
  tw_error error;
  tw_origin origin;
  tw_dead_letter letter = full_letter(&error, &origin);
  assert_written(&letter,
                 "{\"time\":\"2026-09-21T14:13:20.123456Z\",\"where\":\"backend\","
                 "\"path\":\"video/db\",\"name\":\"f\","
                 "\"error\":\"db: no such column \\\"x\\\"\",\"status\":\"refused\","
                 "\"attempts\":4,\"generation\":2,\"source\":\"in.ndjson\",\"line\":3,"
                 "\"offset\":120,\"id\":\"abc\","
                 "\"event\":{ \"n\": 1.0, \"big\":123456789012345678901234567890 }}");
}

static void what_is_not_known_is_left_out(void **state) {
  (void)state;
  tw_dead_letter letter = {.where = "route", .path = "", .event = "{}", .event_len = 2};
  assert_written(&letter,
                 "{\"time\":\"1970-01-01T00:00:00.000000Z\",\"where\":\"route\","
                 "\"path\":\"\",\"event\":{}}");
}

static void a_line_that_is_no_event_is_kept_as_text(void **state) {
  (void)state;
  tw_dead_letter letter = {.where = "source", .text = "{\"a\":\t", .text_len = 6};
  assert_written(&letter,
                 "{\"time\":\"1970-01-01T00:00:00.000000Z\",\"where\":\"source\","
                 "\"text\":\"{\\\"a\\\":\\t\"}");
}

static void bytes_that_are_not_utf8_are_kept_as_base64(void **state) {
  (void)state;
  tw_error error;
  tw_fail(&error, TW_EIO, "/tmp/\xFF: gone");
  tw_dead_letter letter = {
      .where = "source", .error = &error, .text = "\xFF\x00\x01", .text_len = 3};
  assert_written(&letter,
                 "{\"time\":\"1970-01-01T00:00:00.000000Z\",\"where\":\"source\","
                 "\"error_base64\":\"L3RtcC//OiBnb25l\",\"status\":\"io\","
                 "\"text_base64\":\"/wAB\"}");
}

static void a_letter_is_appended_to_what_is_there(void **state) {
  (void)state;
  tw_buffer out = {0};
  tw_dead_letter letter = {.where = "route"};
  assert_true(tw_buffer_byte(&out, '#'));
  assert_true(tw_dead_letter_write(&letter, &out));
  assert_memory_equal(out.data, "#{\"time\"", 8);
  assert_int_equal(out.data[out.len - 1], '}');
  tw_buffer_fini(&out);
}

static tw_status write_one(void *self) {
  tw_buffer out = {0};
  bool is_written = tw_dead_letter_write(self, &out);
  tw_buffer_fini(&out);
  return is_written ? TW_OK : TW_ENOMEM;
}

static void writing_survives_every_failed_allocation(void **state) {
  (void)state;
  tw_error error;
  tw_origin origin;
  tw_dead_letter letter = full_letter(&error, &origin);
  tw_oom_fail_each(write_one, &letter);
  letter.event = NULL;
  letter.text = "\xFF";
  letter.text_len = 1;
  tw_oom_fail_each(write_one, &letter);
}

int main(void) {
  tw_oom_install();
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_letter_tells_all_that_is_known),
      cmocka_unit_test(what_is_not_known_is_left_out),
      cmocka_unit_test(a_line_that_is_no_event_is_kept_as_text),
      cmocka_unit_test(bytes_that_are_not_utf8_are_kept_as_base64),
      cmocka_unit_test(a_letter_is_appended_to_what_is_there),
      cmocka_unit_test(writing_survives_every_failed_allocation),
  };
  return cmocka_run_group_tests(tests, NULL, tw_oom_leaves_nothing);
}
