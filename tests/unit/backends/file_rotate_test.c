#include <dirent.h>
#include <limits.h>

#include "backends/file.h"
#include "base/clock.h"
#include "tools.h"

static int64_t now_us;
static int64_t test_clock(void) { return now_us; }

#define MIDNIGHT_US 1795564800000000 /* 2026-11-25T00:00:00Z */

static tw_backend *open_at(const char *options, int64_t at_us) {
  now_us = at_us;
  tw_backend *backend = make_backend("file", options);
  tw_file_set_clock(backend, test_clock);
  open_it(backend);
  return backend;
}

/* @return how many files in the folder begin with `prefix` */
static int count_files(const char *prefix) {
  int count = 0;
  DIR *opened = opendir(folder);
  for (struct dirent *entry; (entry = readdir(opened));)
    count += !strncmp(entry->d_name, prefix, strlen(prefix));
  closedir(opened);
  return count;
}

static void send_number(tw_backend *backend, int n, unsigned flags) {
  char json[32];
  snprintf(json, sizeof json, "{\"n\":%d}", n);
  send_json(backend, json, flags);
}

static void a_file_is_moved_away_before_it_grows_past_its_size(void **state) {
  (void)state;
  tw_backend *backend = open_at("{\"path\":\"@/a\",\"rotate_size\":16}", MIDNIGHT_US + 42);
  for (int n = 1; n <= 5; n++) send_number(backend, n, 0);
  assert_file(in_folder("a.20261125T000000.000042Z"), "{\"n\":1}\n{\"n\":2}\n");
  assert_file(in_folder("a.20261125T000000.000043Z"), "{\"n\":3}\n{\"n\":4}\n");
  assert_file(in_folder("a"), "{\"n\":5}\n");
  assert_int_equal(count_files("a"), 3);
  close_backend(backend);
}

static void gathered_lines_are_spread_over_files_without_splitting_one(void **state) {
  (void)state;
  tw_backend *backend = open_at("{\"path\":\"@/a\",\"rotate_size\":20}", MIDNIGHT_US);
  for (int n = 1; n <= 4; n++) send_number(backend, n, TW_MORE);
  send_json(backend, "{\"long\":\"longer than any file may be\"}", TW_MORE);
  send_number(backend, 6, TW_MORE);
  flush_it(backend);
  assert_file(in_folder("a.20261125T000000.000000Z"), "{\"n\":1}\n{\"n\":2}\n");
  assert_file(in_folder("a.20261125T000000.000001Z"), "{\"n\":3}\n{\"n\":4}\n");
  assert_file(in_folder("a.20261125T000000.000002Z"),
              "{\"long\":\"longer than any file may be\"}\n");
  assert_file(in_folder("a"), "{\"n\":6}\n");
  close_backend(backend);
}

static void an_interval_begins_at_whole_multiples_of_it(void **state) {
  (void)state;
  tw_backend *backend =
      open_at("{\"path\":\"@/a\",\"rotate_interval\":\"1h\"}", MIDNIGHT_US - 1000000);
  send_number(backend, 1, 0);
  now_us += 999999;
  send_number(backend, 2, 0);
  now_us += 1;
  send_number(backend, 3, 0);
  now_us += (int64_t)3600 * 1000000 - 1;
  send_number(backend, 4, 0);
  now_us += 1;
  send_number(backend, 5, 0);
  assert_file(in_folder("a.20261125T000000.000000Z"), "{\"n\":1}\n{\"n\":2}\n");
  assert_file(in_folder("a.20261125T010000.000000Z"), "{\"n\":3}\n{\"n\":4}\n");
  assert_file(in_folder("a"), "{\"n\":5}\n");
  close_backend(backend);
}

static void a_file_of_an_earlier_interval_is_moved_away_when_found(void **state) {
  (void)state;
  write_all(in_folder("a"), "{\"old\":1}\n");
  tw_backend *backend = open_at("{\"path\":\"@/a\",\"rotate_interval\":\"1d\"}",
                                tw_clock_utc_us() + (int64_t)86400 * 1000000);
  send_number(backend, 1, 0);
  assert_file(in_folder("a"), "{\"n\":1}\n");
  assert_int_equal(count_files("a"), 2);
  close_backend(backend);
}

static void a_clock_set_back_rotates_nothing_and_overwrites_nothing(void **state) {
  (void)state;
  tw_backend *backend = open_at("{\"path\":\"@/a\",\"rotate_interval\":\"1h\"}", MIDNIGHT_US);
  send_number(backend, 1, 0);
  now_us -= (int64_t)7200 * 1000000;
  send_number(backend, 2, 0);
  assert_file(in_folder("a"), "{\"n\":1}\n{\"n\":2}\n");
  close_backend(backend);
}

static void the_oldest_rotated_files_beyond_keep_are_removed_and_nothing_else(void **state) {
  (void)state;
  write_all(in_folder("a.20261124T000000.000000Z"), "older\n");
  write_all(in_folder("a.20261124T000000.000000Z.gz"), "not ours\n");
  write_all(in_folder("a.1"), "not ours\n");
  write_all(in_folder("ab.20261124T000000.000000Z"), "not ours\n");
  tw_backend *backend = open_at("{\"path\":\"@/a\",\"rotate_size\":8,\"keep\":2}", MIDNIGHT_US);
  for (int n = 1; n <= 4; n++) send_number(backend, n, 0);
  assert_file(in_folder("a.20261125T000000.000001Z"), "{\"n\":2}\n");
  assert_file(in_folder("a.20261125T000000.000002Z"), "{\"n\":3}\n");
  assert_file(in_folder("a"), "{\"n\":4}\n");
  assert_int_equal(count_files("a"), 6);
  close_backend(backend);
}

static void a_rotated_file_never_takes_the_place_of_another(void **state) {
  (void)state;
  write_all(in_folder("a.20261125T000000.000000Z"), "precious\n");
  tw_backend *backend = open_at("{\"path\":\"@/a\",\"rotate_size\":8}", MIDNIGHT_US);
  for (int n = 1; n <= 2; n++) send_number(backend, n, 0);
  assert_file(in_folder("a.20261125T000000.000000Z"), "precious\n");
  assert_file(in_folder("a.20261125T000000.000001Z"), "{\"n\":1}\n");
  close_backend(backend);
}

static void a_rotation_that_fails_is_told_at_flush_and_no_line_is_lost(void **state) {
  (void)state;
  char options[512], name[NAME_MAX + 1];
  memset(name, 'x', NAME_MAX);
  name[NAME_MAX] = '\0';
  snprintf(options, sizeof options, "{\"path\":\"@/%s\",\"rotate_size\":8}", name);
  tw_backend *backend = open_at(options, MIDNIGHT_US);
  for (int n = 1; n <= 3; n++) send_number(backend, n, 0);
  tw_error error = {.message = ""};
  uint64_t lost;
  assert_int_equal(tw_backend_flush(backend, &lost, &error), TW_EIO);
  assert_int_equal(lost, 0);
  assert_says(&error, "cannot rotate: File name too long");
  flush_it(backend);
  char path[512];
  snprintf(path, sizeof path, "%s/%s", folder, name);
  assert_file(path, "{\"n\":1}\n{\"n\":2}\n{\"n\":3}\n");
  assert_int_equal(stats_of(backend).sent, 3);
  close_backend(backend);
}

/* Other processes fill the new file before it is locked here. */
static int rivals;
static int64_t crowded_clock(void) {
  if (rivals && access(in_folder("a"), F_OK)) {
    write_all(in_folder("a"), "{\"by\":\"another\"}\n");
    rivals--;
  }
  return now_us;
}

static void a_file_that_others_filled_after_a_rotation_is_rotated_too(void **state) {
  (void)state;
  rivals = 20;
  tw_backend *backend = open_at("{\"path\":\"@/a\",\"rotate_size\":20}", MIDNIGHT_US);
  send_number(backend, 1, 0);
  send_number(backend, 2, 0);
  tw_file_set_clock(backend, crowded_clock);
  send_number(backend, 3, 0);
  assert_file(in_folder("a"), "{\"n\":3}\n");
  assert_int_equal(count_files("a."), 21);
  close_backend(backend);
}

static void two_backends_on_one_path_rotate_it_together(void **state) {
  (void)state;
  tw_backend *a = open_at("{\"path\":\"@/a\",\"rotate_size\":16}", MIDNIGHT_US);
  tw_backend *b = open_at("{\"path\":\"@/a\",\"rotate_size\":16}", MIDNIGHT_US);
  for (int n = 1; n <= 6; n++) send_number(n % 2 ? a : b, n, 0);
  assert_file(in_folder("a.20261125T000000.000000Z"), "{\"n\":1}\n{\"n\":2}\n");
  assert_file(in_folder("a.20261125T000000.000001Z"), "{\"n\":3}\n{\"n\":4}\n");
  assert_file(in_folder("a"), "{\"n\":5}\n{\"n\":6}\n");
  close_backend(a);
  close_backend(b);
}

#define IN_FOLDER(name) cmocka_unit_test_setup_teardown(name, make_folder, remove_folder)

int main(void) {
  const struct CMUnitTest tests[] = {
      IN_FOLDER(a_file_is_moved_away_before_it_grows_past_its_size),
      IN_FOLDER(gathered_lines_are_spread_over_files_without_splitting_one),
      IN_FOLDER(an_interval_begins_at_whole_multiples_of_it),
      IN_FOLDER(a_file_of_an_earlier_interval_is_moved_away_when_found),
      IN_FOLDER(a_clock_set_back_rotates_nothing_and_overwrites_nothing),
      IN_FOLDER(the_oldest_rotated_files_beyond_keep_are_removed_and_nothing_else),
      IN_FOLDER(a_rotated_file_never_takes_the_place_of_another),
      IN_FOLDER(a_rotation_that_fails_is_told_at_flush_and_no_line_is_lost),
      IN_FOLDER(a_file_that_others_filled_after_a_rotation_is_rotated_too),
      IN_FOLDER(two_backends_on_one_path_rotate_it_together),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
