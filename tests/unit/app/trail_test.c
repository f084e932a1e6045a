/* Files found again after a rotation, in a real folder. */
#include <fcntl.h>
#include <sys/stat.h>
#include <time.h>

#include "app/trail.h"
#include "support/folder.h"
#include "support/oom.h"

static void names_of_rotated_files_are_told_from_those_of_others(void **state) {
  (void)state;
  static const char *const rotated[] = {
      "app.log.1",        "app.log.12",         "app.log-20260102",      "app.log.2026-01-02",
      "app-20260102.log", "app.2026-01-02.log", "app-2026-01-02T03.log", NULL};
  static const char *const others[] = {"app.log",
                                       "app.log.1.gz",
                                       "app.log.gz",
                                       "app.log.",
                                       "app.log1",
                                       "app.log.old",
                                       "app-2.log",
                                       "app1.log",
                                       "app-error.log",
                                       "app-error-20260102.log",
                                       "other.log.1",
                                       "app",
                                       "",
                                       NULL};
  for (const char *const *name = rotated; *name; name++)
    assert_true(tw_is_rotated_name("app.log", *name));
  for (const char *const *name = others; *name; name++)
    assert_false(tw_is_rotated_name("app.log", *name));
  assert_true(tw_is_rotated_name("events", "events.1"));
  assert_false(tw_is_rotated_name("events", "events1"));
  assert_true(tw_is_rotated_name(".log", ".log.3"));
}

/* ------------------------------------------------------------------ helpers */

static tw_file_id id_of(const char *path) {
  tw_file_id id;
  int fd = open(path, O_RDONLY);
  assert_true(fd >= 0);
  assert_int_equal(TW_OK, tw_file_identify(fd, path, &id, NULL));
  close(fd);
  return id;
}

static void write_at(const char *name, const char *text, time_t when) {
  const struct timespec times[2] = {{.tv_sec = when}, {.tv_sec = when}};
  write_all(in_folder(name), text);
  assert_int_equal(0, utimensat(AT_FDCWD, in_folder(name), times, 0));
}

static void move(const char *from, const char *to) {
  assert_int_equal(0, rename(in_folder(from), in_folder(to)));
}

static void know(tw_trail *trail, const tw_file_id *id, uint64_t offset) {
  const tw_position position = {.device = id->device,
                                .inode = id->inode,
                                .head_hash = id->head_hash,
                                .head_len = id->head_len,
                                .offset = offset,
                                .line = 2};
  assert_true(tw_trail_add(trail, &position));
}

static void find(tw_trail *trail) {
  tw_error error;
  assert_int_equal(TW_OK, tw_trail_find(trail, in_folder("app.log"), &error));
}

static void check(const tw_trail *trail, size_t index, tw_whereabouts where, const char *name) {
  assert_true(index < trail->count);
  const tw_trail_file *file = &trail->files[index];
  assert_int_equal(where, file->where);
  if (name) assert_string_equal(in_folder(name), file->path);
  else assert_null(file->path);
}

/* --------------------------------------------------------------------- tests */

static void a_file_that_nobody_knows_is_the_current_one(void **state) {
  (void)state;
  tw_trail trail = {0};
  write_at("app.log", "one\n", 100);
  write_at("app.log.1", "older\n", 50);
  find(&trail);
  assert_int_equal(1, trail.count);
  check(&trail, 0, TW_FILE_CURRENT, "app.log");
  assert_false(trail.files[0].is_known);
  tw_trail_fini(&trail);
}

static void a_known_file_that_grows_stays_the_current_one(void **state) {
  (void)state;
  tw_trail trail = {0};
  write_at("app.log", "one\n", 100);
  tw_file_id id = id_of(in_folder("app.log"));
  write_at("app.log", "one\ntwo\n", 100);
  know(&trail, &id, 4);
  find(&trail);
  assert_int_equal(1, trail.count);
  check(&trail, 0, TW_FILE_CURRENT, "app.log");
  assert_true(trail.files[0].is_known);
  assert_int_equal(4, trail.files[0].offset);
  tw_trail_fini(&trail);
}

static void former_files_are_found_under_any_name_and_are_read_oldest_first(void **state) {
  (void)state;
  tw_trail trail = {0};
  tw_file_id ids[3];
  for (int i = 0; i < 3; i++) {
    char text[16];
    snprintf(text, sizeof text, "file %d\n", i);
    write_at("app.log", text, 100 + i);
    ids[i] = id_of(in_folder("app.log"));
    if (i < 2) move("app.log", i ? "whatever" : "app.log.2");
  }
  for (int i = 2; i >= 0; i--) know(&trail, &ids[i], 7);
  find(&trail);
  assert_int_equal(3, trail.count);
  check(&trail, 0, TW_FILE_FORMER, "app.log.2");
  check(&trail, 1, TW_FILE_FORMER, "whatever");
  check(&trail, 2, TW_FILE_CURRENT, "app.log");
  assert_int_equal(ids[2].inode, trail.files[2].id.inode);
  tw_trail_fini(&trail);
}

static void a_former_file_that_was_compressed_is_gone(void **state) {
  (void)state;
  tw_trail trail = {0};
  write_at("app.log", "one\n", 100);
  tw_file_id id = id_of(in_folder("app.log"));
  write_at("keep", "the inode is not to be given to another\n", 1);
  assert_int_equal(0, unlink(in_folder("app.log")));
  write_at("app.log.1.gz", "one, small\n", 100);
  write_at("app.log", "two\n", 200);
  know(&trail, &id, 4);
  find(&trail);
  check(&trail, trail.count - 1, TW_FILE_CURRENT, "app.log");
  assert_false(trail.files[trail.count - 1].is_known);
  assert_true(trail.files[0].where == TW_FILE_GONE ||
              trail.files[0].where == TW_FILE_REWRITTEN); /* its inode went to app.log */
  assert_null(trail.files[0].path);
  tw_trail_fini(&trail);
}

static void a_file_that_was_truncated_is_rewritten(void **state) {
  (void)state;
  static const char *const texts[] = {"", "on", "one\n", "two\nthree\nfour\n"};
  for (size_t i = 0; i < 4; i++) {
    tw_trail trail = {0};
    write_at("app.log", "one\ntwo\n", 100);
    tw_file_id id = id_of(in_folder("app.log"));
    know(&trail, &id, 8);
    write_at("app.log", texts[i], 100);
    find(&trail);
    assert_int_equal(2, trail.count);
    check(&trail, 0, TW_FILE_REWRITTEN, NULL);
    check(&trail, 1, TW_FILE_CURRENT, "app.log");
    tw_trail_fini(&trail);
  }
}

static void files_that_came_and_went_meanwhile_are_found(void **state) {
  (void)state;
  tw_trail trail = {0};
  write_at("app.log", "known\n", 100);
  tw_file_id id = id_of(in_folder("app.log"));
  move("app.log", "app.log.3");
  write_at("app.log.2", "between 1\n", 200);
  write_at("app.log.1", "between 2\n", 300);
  write_at("app.log", "now\n", 400);
  write_at("app.log.9", "from before\n", 50);
  write_at("app-error.log", "of others\n", 350);
  write_at("app.log.4.gz", "compressed\n", 350);
  know(&trail, &id, 6);
  find(&trail);
  assert_int_equal(4, trail.count);
  check(&trail, 0, TW_FILE_FORMER, "app.log.3");
  check(&trail, 1, TW_FILE_BETWEEN, "app.log.2");
  check(&trail, 2, TW_FILE_BETWEEN, "app.log.1");
  check(&trail, 3, TW_FILE_CURRENT, "app.log");
  tw_trail_fini(&trail);
}

static void nothing_came_between_when_the_current_file_is_known(void **state) {
  (void)state;
  tw_trail trail = {0};
  write_at("app.log", "known\n", 100);
  tw_file_id former = id_of(in_folder("app.log"));
  move("app.log", "app.log.2");
  write_at("app.log.1", "was read, and forgotten\n", 200);
  write_at("app.log", "now\n", 300);
  tw_file_id current = id_of(in_folder("app.log"));
  know(&trail, &former, 6);
  know(&trail, &current, 4);
  find(&trail);
  assert_int_equal(2, trail.count);
  tw_trail_fini(&trail);
}

static void the_name_may_lead_nowhere_for_a_while(void **state) {
  (void)state;
  tw_trail trail = {0};
  write_at("app.log", "known\n", 100);
  tw_file_id id = id_of(in_folder("app.log"));
  move("app.log", "app.log.1");
  know(&trail, &id, 6);
  find(&trail);
  assert_int_equal(1, trail.count);
  check(&trail, 0, TW_FILE_FORMER, "app.log.1");
  tw_trail_fini(&trail);
}

static void a_folder_that_cannot_be_read_is_told(void **state) {
  (void)state;
  tw_trail trail = {0};
  tw_error error;
  tw_file_id id = {.inode = 1};
  know(&trail, &id, 0);
  assert_int_equal(TW_EIO, tw_trail_find(&trail, in_folder("none/app.log"), &error));
  assert_non_null(strstr(error.message, "none/"));
  tw_trail_fini(&trail);
}

static tw_file_id oom_id;

static tw_status find_with_little_memory(void *self) {
  (void)self;
  tw_trail trail = {0};
  const tw_position position = {.device = oom_id.device,
                                .inode = oom_id.inode,
                                .head_hash = oom_id.head_hash,
                                .head_len = oom_id.head_len};
  tw_status status = tw_trail_add(&trail, &position) ? TW_OK : TW_ENOMEM;
  if (!status) status = tw_trail_find(&trail, in_folder("app.log"), NULL);
  tw_trail_fini(&trail);
  return status;
}

static void without_memory_nothing_leaks(void **state) {
  (void)state;
  write_at("app.log", "known\n", 100);
  oom_id = id_of(in_folder("app.log"));
  move("app.log", "app.log.3");
  write_at("app.log.2", "between 1\n", 200);
  write_at("app.log.1", "between 2\n", 300);
  write_at("app.log", "now\n", 400);
  assert_true(tw_oom_fail_each(find_with_little_memory, NULL) > 4);
}

int main(void) {
  tw_oom_install();
#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, make_folder, remove_folder)
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(names_of_rotated_files_are_told_from_those_of_others),
      IN_FOLDER(a_file_that_nobody_knows_is_the_current_one),
      IN_FOLDER(a_known_file_that_grows_stays_the_current_one),
      IN_FOLDER(former_files_are_found_under_any_name_and_are_read_oldest_first),
      IN_FOLDER(a_former_file_that_was_compressed_is_gone),
      IN_FOLDER(a_file_that_was_truncated_is_rewritten),
      IN_FOLDER(files_that_came_and_went_meanwhile_are_found),
      IN_FOLDER(nothing_came_between_when_the_current_file_is_known),
      IN_FOLDER(the_name_may_lead_nowhere_for_a_while),
      IN_FOLDER(a_folder_that_cannot_be_read_is_told),
      IN_FOLDER(without_memory_nothing_leaks),
  };
  return cmocka_run_group_tests(tests, NULL, tw_oom_leaves_nothing);
}
