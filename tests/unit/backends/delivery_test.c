/* Deliveries to real backends that the world keeps from their work for a while. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/wait.h"
#include "delivery/delivery.h"
#include "support/chunks.h"
#include "support/folder.h"

#define MS UINT64_C(1000000)

/* Failures that were told, and the last of them. */
static struct {
  pthread_mutex_t mutex;
  unsigned count;
  uint64_t events;
  tw_error last;
} told = {.mutex = PTHREAD_MUTEX_INITIALIZER};

static void hear(void *self, const char *path, uint64_t events, const tw_error *error) {
  (void)self, (void)path;
  pthread_mutex_lock(&told.mutex);
  told.count++;
  told.events = events;
  told.last = *error;
  pthread_mutex_unlock(&told.mutex);
}

static unsigned told_count(void) {
  pthread_mutex_lock(&told.mutex);
  unsigned count = told.count;
  pthread_mutex_unlock(&told.mutex);
  return count;
}

static tw_delivery *start(const char *kind, const char *json) {
  tw_error error = {.message = ""};
  tw_backend *backend;
  tw_delivery *delivery;
  tw_delivery_options options;
  const tw_delivery_ops ops = {.failed = hear};
  told.count = 0;
  const char *quick =
      "{\"retry\":{\"min\":\"1ms\",\"max\":\"20ms\"},"
      "\"breaker\":{\"rest\":\"20ms\"},\"timeout\":\"5s\"}";
  assert_int_equal(
      tw_delivery_options_read(quick, strlen(quick), NULL, 0, "db", &options, &error), TW_OK);
  if (tw_backend_new_kind(kind, json, strlen(json), &backend, &error))
    fail_msg("%s", error.message);
  assert_int_equal(
      tw_delivery_new(new_memory(0, TW_OVERLOAD_BLOCK), &options, &ops, &delivery, &error),
      TW_OK);
  assert_true(tw_delivery_aim(delivery, backend, false));
  tw_backend_unref(backend);
  assert_int_equal(tw_delivery_start(delivery, &error), TW_OK);
  return delivery;
}

static void put(tw_delivery *delivery, uint64_t first, uint32_t count) {
  append(tw_delivery_outbox(delivery), chunk_of(first, count, 0));
}

static void await_all(tw_delivery *delivery) {
  struct timespec end = tw_deadline(60000 * MS);
  assert_true(tw_delivery_await(delivery, &end, true));
}

static tw_outbox_stats stats_of(tw_delivery *delivery) {
  tw_outbox_stats stats;
  tw_delivery_get_stats(delivery, &stats);
  return stats;
}

static void wait_for_retries(tw_delivery *delivery, uint64_t least) {
  for (int i = 0; i < 60000 && stats_of(delivery).retries < least; i++) usleep(1000);
  assert_true(stats_of(delivery).retries >= least);
}

/* -------------------------------------------------------------------- file */

static int unmount_folder(void **state) {
  umount2(in_folder("disk"), MNT_DETACH);
  return remove_folder(state);
}

/* The lines are those of the events from 0 on, each once and whole. */
static void assert_lines(const char *path, uint64_t count) {
  char line[64], expected[64];
  uint64_t n = 0;
  FILE *file = fopen(path, "r");
  assert_non_null(file);
  for (; fgets(line, sizeof line, file); n++) {
    snprintf(expected, sizeof expected, "{\"n\":%llu}\n", (unsigned long long)n);
    assert_string_equal(line, expected);
  }
  fclose(file);
  assert_int_equal(n, count);
}

static void fill_disk(void) {
  static const char block[4096];
  int fd = open(in_folder("disk/ballast"), O_CREAT | O_WRONLY, 0600);
  assert_true(fd >= 0);
  while (write(fd, block, sizeof block) > 0) {}
  close(fd);
}

static void a_full_disk_that_gets_room_again_has_each_line_once(void **state) {
  (void)state;
  char json[600];
  mkdir(in_folder("disk"), 0700);
  if (mount("tmpfs", in_folder("disk"), "tmpfs", 0, "size=2m")) {
    print_message("skipped: a tmpfs cannot be mounted here: %s\n", strerror(errno));
    skip();
  }
  snprintf(json, sizeof json, "{\"path\":\"%s\"}", in_folder("disk/a"));
  tw_delivery *delivery = start("file", json);
  put(delivery, 0, 10000);
  await_all(delivery);
  fill_disk();
  for (uint64_t n = 10000; n < 60000; n += 5000) put(delivery, n, 5000);
  wait_for_retries(delivery, 8);
  assert_true(stats_of(delivery).waiting > 0);
  unlink(in_folder("disk/ballast"));
  await_all(delivery);
  assert_int_equal(stats_of(delivery).dead, 0);
  assert_int_equal(tw_delivery_stop(delivery, NULL), 0);
  tw_delivery_free(delivery);
  assert_lines(in_folder("disk/a"), 60000);
}

/* Every event is delivered, so nothing else would tell of it before the backend is closed. */
static void a_rotation_that_fails_is_told_when_all_is_through(void **state) {
  (void)state;
  char json[600], name[NAME_MAX + 1];
  memset(name, 'x', NAME_MAX);
  name[NAME_MAX] = '\0';
  snprintf(json, sizeof json, "{\"path\":\"%s\",\"rotate_size\":8}", in_folder(name));
  tw_delivery *delivery = start("file", json);
  put(delivery, 0, 3);
  await_all(delivery);
  for (int i = 0; i < 60000 && !told_count(); i++) usleep(1000);
  assert_int_equal(told_count(), 1);
  assert_int_equal(told.events, 0);
  assert_int_equal(told.last.code, TW_EIO);
  assert_non_null(strstr(told.last.message, "cannot rotate: File name too long"));
  assert_int_equal(stats_of(delivery).retries + stats_of(delivery).dead, 0);
  assert_string_equal(stats_of(delivery).breaker, "closed");
  assert_int_equal(tw_delivery_stop(delivery, NULL), 0);
  tw_delivery_free(delivery);
  assert_int_equal(told_count(), 1); /* and not once more at the close */
  assert_lines(in_folder(name), 3);
}

/* ------------------------------------------------------------------ sqlite */

static int64_t ask(const char *path, const char *query) {
  sqlite3 *db;
  sqlite3_stmt *statement;
  assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
  assert_int_equal(sqlite3_prepare_v2(db, query, -1, &statement, NULL), SQLITE_OK);
  assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
  int64_t answer = sqlite3_column_int64(statement, 0);
  sqlite3_finalize(statement);
  sqlite3_close(db);
  return answer;
}

/* Another process that holds the lock until the pipe is closed. */
static pid_t lock_in_another_process(const char *path, int *let_go) {
  int held[2], release[2];
  char byte = 0;
  assert_int_equal(pipe(held), 0);
  assert_int_equal(pipe(release), 0);
  pid_t child = fork();
  if (child == 0) {
    sqlite3 *db;
    close(release[1]);
    bool is_locked = sqlite3_open(path, &db) == SQLITE_OK &&
                     sqlite3_exec(db, "BEGIN EXCLUSIVE", NULL, NULL, NULL) == SQLITE_OK;
    if (is_locked && write(held[1], &byte, 1) == 1) (void)!read(release[0], &byte, 1);
    _exit(!is_locked);
  }
  assert_int_equal(read(held[0], &byte, 1), 1);
  close(held[0]), close(held[1]), close(release[0]);
  *let_go = release[1];
  return child;
}

static void a_database_that_another_process_locks_has_each_event_once(void **state) {
  (void)state;
  char json[600];
  int let_go, status;
  snprintf(json, sizeof json, "{\"path\":\"%s\",\"busy_timeout\":\"5ms\"}", in_folder("a.db"));
  tw_delivery *delivery = start("sqlite", json);
  put(delivery, 0, 500);
  await_all(delivery);
  pid_t child = lock_in_another_process(in_folder("a.db"), &let_go);
  put(delivery, 500, 1500);
  wait_for_retries(delivery, 6);
  close(let_go);
  assert_int_equal(waitpid(child, &status, 0), child);
  assert_int_equal(status, 0);
  await_all(delivery);
  assert_int_equal(stats_of(delivery).dead, 0);
  tw_delivery_free(delivery);
  assert_int_equal(ask(in_folder("a.db"), "SELECT count(*) FROM events"), 2000);
  assert_int_equal(ask(in_folder("a.db"), "SELECT count(DISTINCT id) FROM events"), 2000);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(a_full_disk_that_gets_room_again_has_each_line_once,
                                      make_folder, unmount_folder),
      cmocka_unit_test_setup_teardown(a_rotation_that_fails_is_told_when_all_is_through,
                                      make_folder, remove_folder),
      cmocka_unit_test_setup_teardown(a_database_that_another_process_locks_has_each_event_once,
                                      make_folder, remove_folder),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
