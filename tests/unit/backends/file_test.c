#include <errno.h>
#include <fcntl.h>

#include "backends/file.h"
#include "support/oom.h"
#include "tools.h"

static void each_event_is_a_line_with_its_own_bytes(void **state) {
  (void)state;
  tw_backend *backend = open_backend("file", "{\"path\":\"@/a\"}");
  send_json(backend, "{\"b\" : 1.0, \"a\":[ ], \"n\":123456789012345678901234567890}", 0);
  send_json(backend, "{}", 0);
  assert_file(in_folder("a"),
              "{\"b\" : 1.0, \"a\":[ ], \"n\":123456789012345678901234567890}\n{}\n");
  close_backend(backend);
}

static void an_edited_event_is_written_as_edited(void **state) {
  (void)state;
  tw_backend *backend = open_backend("file", "{\"path\":\"@/a\"}");
  tw_event *event = make_event("{\"name\":\"a\",\n \"data\":{\"x\":1}}");
  assert_int_equal(tw_event_set_integer(event, "data.x", 2, NULL), TW_OK);
  assert_int_equal(tw_backend_send(backend, event, 0, NULL), TW_OK);
  tw_event_free(event);
  assert_file(in_folder("a"), "{\"name\":\"a\",  \"data\":{\"x\":2}}\n");
  close_backend(backend);
}

static void white_space_of_several_lines_becomes_blanks(void **state) {
  (void)state;
  tw_backend *backend = open_backend("file", "{\"path\":\"@/a\"}");
  send_json(backend, "{\r\n\t\"a\":\n[1,\n2], \"s\":\"x\\ny\"\n}", 0);
  send_json(backend, "{\"a\":\r1}", 0);
  assert_file(in_folder("a"), "{  \t\"a\": [1, 2], \"s\":\"x\\ny\" }\n{\"a\":\r1}\n");
  close_backend(backend);
}

static void events_are_gathered_while_more_follow(void **state) {
  (void)state;
  tw_backend *backend = open_backend("file", "{\"path\":\"@/a\"}");
  send_json(backend, "{\"n\":1}", TW_MORE);
  assert_file(in_folder("a"), "");
  send_json(backend, "{\"n\":2}", 0);
  assert_file(in_folder("a"), "{\"n\":1}\n{\"n\":2}\n");
  send_json(backend, "{\"n\":3}", TW_MORE);
  flush_it(backend);
  assert_file(in_folder("a"), "{\"n\":1}\n{\"n\":2}\n{\"n\":3}\n");
  send_json(backend, "{\"n\":4}", TW_MORE);
  close_backend(backend);
  assert_file(in_folder("a"), "{\"n\":1}\n{\"n\":2}\n{\"n\":3}\n{\"n\":4}\n");
}

static void a_full_buffer_is_written_without_a_flush(void **state) {
  (void)state;
  struct stat st;
  tw_backend *backend = open_backend("file", "{\"path\":\"@/a\"}");
  for (int i = 0; i < 40000; i++) send_json(backend, "{\"name\":\"x\"}", TW_MORE);
  assert_int_equal(stat(in_folder("a"), &st), 0);
  assert_true(st.st_size >= 256 * 1024);
  close_backend(backend);
}

static void an_event_larger_than_the_buffer_is_one_line(void **state) {
  (void)state;
  size_t size = 900 * 1024, len;
  char *json = malloc(size + 1);
  int head = sprintf(json, "{\"a\":\"");
  memset(json + head, 'x', size - (size_t)head - 2);
  memcpy(json + size - 2, "\"}", 3);
  tw_backend *backend = open_backend("file", "{\"path\":\"@/a\"}");
  send_json(backend, "{}", TW_MORE);
  send_json(backend, json, TW_MORE);
  send_json(backend, "{}", 0);
  char *text = read_all(in_folder("a"), &len);
  assert_int_equal(len, 3 + size + 1 + 3);
  assert_memory_equal(text + 3, json, size);
  free(text);
  free(json);
  close_backend(backend);
}

static void missing_folders_are_made(void **state) {
  (void)state;
  tw_backend *backend = open_backend("file", "{\"path\":\"@/x/y/z/a.ndjson\"}");
  send_json(backend, "{}", 0);
  assert_file(in_folder("x/y/z/a.ndjson"), "{}\n");
  close_backend(backend);
}

static void a_file_is_appended_to_unless_told_otherwise(void **state) {
  (void)state;
  write_all(in_folder("a"), "{\"old\":1}\n");
  write_all(in_folder("b"), "{\"old\":1}\n");
  tw_backend *a = open_backend("file", "{\"path\":\"@/a\"}");
  tw_backend *b = open_backend("file", "{\"path\":\"@/b\",\"append\":false}");
  for (int i = 0; i < 2; i++) {
    send_json(a, "{}", 0);
    send_json(b, "{}", 0);
  }
  assert_file(in_folder("a"), "{\"old\":1}\n{}\n{}\n");
  assert_file(in_folder("b"), "{}\n{}\n");
  close_backend(a);
  close_backend(b);
}

static void a_line_torn_by_a_crash_is_kept_and_nothing_is_glued_to_it(void **state) {
  (void)state;
  write_all(in_folder("a"), "{\"old\":1}\n{\"torn\":");
  tw_backend *backend = open_backend("file", "{\"path\":\"@/a\"}");
  assert_file(in_folder("a"), "{\"old\":1}\n{\"torn\":");
  send_json(backend, "{}", 0);
  send_json(backend, "{}", 0);
  assert_file(in_folder("a"), "{\"old\":1}\n{\"torn\":\n{}\n{}\n");
  /* Also when another process dies while we have the file open. */
  FILE *other = fopen(in_folder("a"), "a");
  fputs("{\"torn", other);
  fclose(other);
  send_json(backend, "{}", 0);
  assert_file(in_folder("a"), "{\"old\":1}\n{\"torn\":\n{}\n{}\n{\"torn\n{}\n");
  close_backend(backend);
}

static void a_file_moved_or_removed_by_others_is_made_anew(void **state) {
  (void)state;
  tw_backend *backend = open_backend("file", "{\"path\":\"@/a\"}");
  send_json(backend, "{\"n\":1}", 0);
  assert_int_equal(rename(in_folder("a"), in_folder("a.moved")), 0);
  send_json(backend, "{\"n\":2}", 0);
  assert_int_equal(unlink(in_folder("a")), 0);
  send_json(backend, "{\"n\":3}", 0);
  assert_int_equal(truncate(in_folder("a"), 0), 0);
  send_json(backend, "{\"n\":4}", 0);
  assert_file(in_folder("a.moved"), "{\"n\":1}\n");
  assert_file(in_folder("a"), "{\"n\":4}\n");
  close_backend(backend);
}

static void the_mode_and_every_kind_of_sync_are_taken(void **state) {
  (void)state;
  struct stat st;
  mode_t mask = umask(022);
  static const char *const kinds[] = {"never", "flush", "always"};
  for (int i = 0; i < 3; i++) {
    char options[128], expected[32];
    snprintf(options, sizeof options, "{\"path\":\"@/%s\",\"mode\":\"0640\",\"fsync\":\"%s\"}",
             kinds[i], kinds[i]);
    tw_backend *backend = open_backend("file", options);
    send_json(backend, "{}", 0);
    send_json(backend, "{}", TW_MORE);
    flush_it(backend);
    close_backend(backend);
    snprintf(expected, sizeof expected, "%s", kinds[i]);
    assert_file(in_folder(expected), "{}\n{}\n");
    assert_int_equal(stat(in_folder(expected), &st), 0);
    assert_int_equal(st.st_mode & 0777, 0640);
  }
  umask(mask);
}

static void assert_open_fails(const char *options, const char *says) {
  tw_error error = {.message = ""};
  tw_backend *backend = make_backend("file", options);
  assert_int_equal(tw_backend_use(backend, &error), TW_EIO);
  assert_says(&error, says);
  tw_backend_unref(backend);
}

static void what_cannot_be_opened_is_told_with_its_path_and_reason(void **state) {
  (void)state;
  mkdir(in_folder("dir"), 0700);
  write_all(in_folder("plain"), "");
  mkfifo(in_folder("pipe"), 0600);
  assert_open_fails("{\"path\":\"@/dir\"}", "/dir: cannot open: Is a directory");
  assert_open_fails("{\"path\":\"@/plain/a\"}", "/plain/a: cannot open: Not a directory");
  assert_open_fails("{\"path\":\"@/plain/b/a\"}", "Not a directory");
  assert_open_fails("{\"path\":\"@/pipe\"}", "nobody reads");
}

static void a_named_pipe_gets_whole_lines(void **state) {
  (void)state;
  char text[64];
  mkfifo(in_folder("pipe"), 0600);
  int reader = open(in_folder("pipe"), O_RDONLY | O_NONBLOCK);
  tw_backend *backend = open_backend("file", "{\"path\":\"@/pipe\",\"rotate_size\":4}");
  send_json(backend, "{\"n\":1}", TW_MORE);
  send_json(backend, "{\"n\":2}", 0);
  ssize_t n = read(reader, text, sizeof text);
  assert_int_equal(n, 16);
  assert_memory_equal(text, "{\"n\":1}\n{\"n\":2}\n", 16);
  close(reader);
  tw_error error;
  assert_int_equal(try_send(backend, "{}", 0, &error), TW_EIO);
  assert_says(&error, "Broken pipe");
  close_backend(backend);
}

/* ----------------------------------------------------------------------- dated */

static int64_t now_us;
static int64_t test_clock(void) { return now_us; }

static void fields_of_the_path_are_filled_in_utc_when_lines_are_written(void **state) {
  (void)state;
  now_us = 1795564799999999; /* 2026-11-24T23:59:59.999999Z */
  tw_backend *backend = make_backend("file", "{\"path\":\"@/%Y/%m-%d/100%%.%H\"}");
  tw_file_set_clock(backend, test_clock);
  open_it(backend);
  send_json(backend, "{\"n\":1}", 0);
  now_us++;
  send_json(backend, "{\"n\":2}", 0);
  send_json(backend, "{\"n\":3}", 0);
  assert_file(in_folder("2026/11-24/100%.23"), "{\"n\":1}\n");
  assert_file(in_folder("2026/11-25/100%.00"), "{\"n\":2}\n{\"n\":3}\n");
  close_backend(backend);
}

static void a_dated_file_that_cannot_be_opened_is_told_and_tried_again(void **state) {
  (void)state;
  now_us = 1795564799999999;
  tw_error error;
  tw_backend *backend = make_backend("file", "{\"path\":\"@/%d\"}");
  tw_file_set_clock(backend, test_clock);
  open_it(backend);
  now_us++;
  mkdir(in_folder("25"), 0700);
  for (int i = 0; i < 2; i++) {
    assert_int_equal(try_send(backend, "{\"n\":1}", 0, &error), TW_EIO);
    assert_says(&error, "/25: cannot open: Is a directory");
  }
  rmdir(in_folder("25"));
  send_json(backend, "{\"n\":2}", 0);
  assert_file(in_folder("25"), "{\"n\":2}\n");
  assert_int_equal(stats_of(backend).sent, 1);
  assert_int_equal(stats_of(backend).failed, 2);
  close_backend(backend);
}

/* ---------------------------------------------------------------------- memory */

static tw_status run_once(void) {
  tw_backend *backend = NULL;
  uint64_t lost;
  tw_event *event = NULL;
  tw_status status = try_backend("file", "{\"path\":\"@/%Y/a\",\"rotate_size\":20,\"keep\":1}",
                                 &backend, NULL);
  if (status == TW_OK) status = tw_event_parse("{\"name\":\"a\"}", 12, NULL, &event, NULL);
  if (status == TW_OK) status = tw_event_set_integer(event, "n", 1, NULL);
  bool opened = status == TW_OK && (status = tw_backend_use(backend, NULL)) == TW_OK;
  for (int i = 0; i < 3 && status == TW_OK; i++)
    status = tw_backend_send(backend, event, 0, NULL);
  if (opened) {
    tw_status flushed = tw_backend_unuse(backend, &lost, NULL);
    if (status == TW_OK) status = flushed;
  }
  tw_event_free(event);
  tw_backend_unref(backend);
  return status;
}

static void any_allocation_may_fail(void **state) {
  (void)state;
  size_t before = tw_oom_live();
  for (size_t n = 0, failed = 1; failed; n++) {
    tw_oom_fail_at(n);
    tw_status status = run_once();
    failed = tw_oom_off();
    if (!failed) assert_int_equal(status, TW_OK);
    assert_true(status == TW_OK || status == TW_ENOMEM || status == TW_EIO);
    assert_int_equal(tw_oom_live(), before);
  }
}

static void nothing_is_allocated_for_each_event(void **state) {
  (void)state;
  tw_backend *backend = open_backend("file", "{\"path\":\"@/a\"}");
  tw_event *event = make_event("{\"name\":\"a\"}");
  size_t before = tw_oom_calls();
  for (int i = 0; i < 100000; i++)
    assert_int_equal(tw_backend_send(backend, event, i % 3 ? TW_MORE : 0, NULL), TW_OK);
  assert_int_equal(tw_oom_calls(), before);
  tw_event_free(event);
  close_backend(backend);
}

#define IN_FOLDER(name) cmocka_unit_test_setup_teardown(name, make_folder, remove_folder)

int main(void) {
  tw_oom_install();
  const struct CMUnitTest tests[] = {
      IN_FOLDER(each_event_is_a_line_with_its_own_bytes),
      IN_FOLDER(an_edited_event_is_written_as_edited),
      IN_FOLDER(white_space_of_several_lines_becomes_blanks),
      IN_FOLDER(events_are_gathered_while_more_follow),
      IN_FOLDER(a_full_buffer_is_written_without_a_flush),
      IN_FOLDER(an_event_larger_than_the_buffer_is_one_line),
      IN_FOLDER(missing_folders_are_made),
      IN_FOLDER(a_file_is_appended_to_unless_told_otherwise),
      IN_FOLDER(a_line_torn_by_a_crash_is_kept_and_nothing_is_glued_to_it),
      IN_FOLDER(a_file_moved_or_removed_by_others_is_made_anew),
      IN_FOLDER(the_mode_and_every_kind_of_sync_are_taken),
      IN_FOLDER(what_cannot_be_opened_is_told_with_its_path_and_reason),
      IN_FOLDER(a_named_pipe_gets_whole_lines),
      IN_FOLDER(fields_of_the_path_are_filled_in_utc_when_lines_are_written),
      IN_FOLDER(a_dated_file_that_cannot_be_opened_is_told_and_tried_again),
      IN_FOLDER(any_allocation_may_fail),
      IN_FOLDER(nothing_is_allocated_for_each_event),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
