/// The sqlite backend under locks, full disks, kills and threads.
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <sqlite3.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <time.h>

#include "tools.h"

static sqlite3 *open_database(const char *name) {
  sqlite3 *db;
  assert_int_equal(sqlite3_open(in_folder(name), &db), SQLITE_OK);
  sqlite3_busy_timeout(db, 5000);
  return db;
}

static void run(sqlite3 *db, const char *sql) {
  if (sqlite3_exec(db, sql, NULL, NULL, NULL)) fail_msg("%s", sqlite3_errmsg(db));
}

static int64_t count(sqlite3 *db, const char *sql) {
  sqlite3_stmt *statement;
  if (sqlite3_prepare_v2(db, sql, -1, &statement, NULL)) fail_msg("%s", sqlite3_errmsg(db));
  assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
  int64_t answer = sqlite3_column_int64(statement, 0);
  sqlite3_finalize(statement);
  return answer;
}

static int64_t count_events(const char *name) {
  sqlite3 *db = open_database(name);
  int64_t answer = count(db, "SELECT count(*) FROM events");
  sqlite3_close(db);
  return answer;
}

static void a_locked_database_costs_the_batch_and_is_told(void **state) {
  (void)state;
  tw_error error = {.message = ""};
  uint64_t lost;
  tw_backend *backend = open_backend("sqlite", "{\"path\":\"@/e.db\",\"busy_timeout\":0}");
  sqlite3 *db = open_database("e.db");
  run(db, "BEGIN IMMEDIATE");
  send_json(backend, "{\"id\":\"1\"}", TW_MORE);
  send_json(backend, "{\"id\":\"2\"}", TW_MORE);
  assert_int_equal(try_send(backend, "{\"id\":\"3\"}", 0, &error), TW_EIO);
  assert_says(&error, "/e.db: cannot insert: database is locked; this event and 2 before it");
  send_json(backend, "{\"id\":\"4\"}", TW_MORE);
  assert_int_equal(tw_backend_flush(backend, &lost, &error), TW_EIO);
  assert_int_equal(lost, 3);
  assert_says(&error, "database is locked; 3 events were not stored");
  run(db, "COMMIT");
  sqlite3_close(db);
  send_json(backend, "{\"id\":\"5\"}", 0);
  flush_it(backend);
  assert_int_equal(stats_of(backend).sent, 1);
  assert_int_equal(stats_of(backend).failed, 4);
  close_backend(backend);
  assert_int_equal(count_events("e.db"), 1);
}

static void a_database_that_is_removed_or_moved_away_is_made_anew(void **state) {
  (void)state;
  tw_backend *backend = open_backend("sqlite", "{\"path\":\"@/e.db\"}");
  send_json(backend, "{\"id\":\"1\"}", 0);
  remove(in_folder("e.db"));
  send_json(backend, "{\"id\":\"2\"}", 0);
  assert_int_equal(count_events("e.db"), 1);
  rename(in_folder("e.db"), in_folder("old.db"));
  send_json(backend, "{\"id\":\"3\"}", TW_MORE);
  send_json(backend, "{\"id\":\"4\"}", TW_MORE);
  flush_it(backend);
  assert_int_equal(count_events("e.db"), 2);
  assert_int_equal(stats_of(backend).sent, 4);
  close_backend(backend);
  assert_int_equal(count_events("e.db"), 2);
}

static void a_database_that_cannot_be_made_anew_costs_its_rows_and_is_tried_again(
    void **state) {
  (void)state;
  tw_error error = {.message = ""};
  tw_backend *backend = open_backend("sqlite", "{\"path\":\"@/e.db\"}");
  remove(in_folder("e.db"));
  mkdir(in_folder("e.db"), 0777);
  send_json(backend, "{\"id\":\"1\"}", TW_MORE);
  assert_int_equal(try_send(backend, "{\"id\":\"2\"}", 0, &error), TW_EIO);
  assert_says(&error, "/e.db: cannot open");
  assert_says(&error, "this event and 1 before it were not stored");
  rmdir(in_folder("e.db"));
  send_json(backend, "{\"id\":\"3\"}", 0);
  assert_int_equal(count_events("e.db"), 1);
  close_backend(backend);
}

/* A trigger of the operator's that refuses some rows. */
static void a_row_that_is_refused_takes_no_other_with_it(void **state) {
  (void)state;
  tw_error error = {.message = ""};
  uint64_t lost;
  tw_backend *backend = open_backend("sqlite", "{\"path\":\"@/e.db\"}");
  sqlite3 *db = open_database("e.db");
  run(db,
      "CREATE TRIGGER no BEFORE INSERT ON events WHEN new.name = 'bad' "
      "BEGIN SELECT raise(ABORT, 'bad name'); END");
  sqlite3_close(db);
  send_json(backend, "{\"id\":\"1\"}", TW_MORE);
  send_json(backend, "{\"id\":\"2\",\"name\":\"bad\"}", TW_MORE);
  send_json(backend, "{\"id\":\"1\"}", TW_MORE);
  send_json(backend, "{\"id\":\"3\"}", 0);
  assert_int_equal(tw_backend_flush(backend, &lost, &error), TW_EIO);
  assert_int_equal(lost, 1);
  assert_says(&error, "bad name; 1 events were not stored");
  assert_int_equal(try_send(backend, "{\"id\":\"4\",\"name\":\"bad\"}", 0, &error), TW_EIO);
  assert_int_equal(stats_of(backend).sent, 3);
  assert_int_equal(stats_of(backend).duplicate, 1);
  assert_int_equal(stats_of(backend).failed, 2);
  close_backend(backend);
  assert_int_equal(count_events("e.db"), 2);
}

static int unmount_folder(void **state) {
  umount2(in_folder("disk"), MNT_DETACH);
  return remove_folder(state);
}

static void a_full_disk_is_told_keeps_what_was_committed_and_heals(void **state) {
  (void)state;
  mkdir(in_folder("disk"), 0700);
  if (mount("tmpfs", in_folder("disk"), "tmpfs", 0, "size=2m")) {
    print_message("skipped: a tmpfs cannot be mounted here: %s\n", strerror(errno));
    skip();
  }
  char ballast[100000];
  memset(ballast, 'x', sizeof ballast - 1);
  ballast[sizeof ballast - 1] = '\0';
  tw_error error = {.message = ""};
  uint64_t lost = 0, given_up = 0, refused = 0;
  tw_backend *backend = open_backend("sqlite", "{\"path\":\"@/disk/e.db\",\"batch\":50}");
  for (int i = 0; i < 6; i++) {
    char name[32];
    snprintf(name, sizeof name, "disk/ballast%d", i);
    write_all(in_folder(name), ballast);
  }
  for (int i = 0; i < 2000; i++) {
    char json[900];
    snprintf(json, sizeof json, "{\"data\":{\"n\":%d,\"pad\":\"%0800d\"}}", i, 0);
    if (try_send(backend, json, TW_MORE, &error) != TW_OK) refused++;
  }
  if (tw_backend_flush(backend, &lost, &error) != TW_OK) given_up += lost;
  assert_says(&error, "cannot insert: database or disk is full");
  assert_true(refused + given_up > 0 && refused + given_up < 2000);
  assert_int_equal(count_events("disk/e.db"), 2000 - refused - given_up);
  assert_int_equal(stats_of(backend).failed, refused + given_up);
  for (int i = 0; i < 6; i++) {
    char name[32];
    snprintf(name, sizeof name, "disk/ballast%d", i);
    unlink(in_folder(name));
  }
  send_json(backend, "{\"healed\":true}", 0);
  assert_int_equal(count_events("disk/e.db"), 2001 - refused - given_up);
  close_backend(backend);
}

/* --------------------------------------------------------------------------- kill */

/* Tells the parent after each commit how many events are stored. */
static void write_for_ever(int to_parent) {
  tw_backend *backend = open_backend("sqlite", "{\"path\":\"@/e.db\"}");
  for (uint32_t i = 1;; i++) {
    char json[64];
    snprintf(json, sizeof json, "{\"id\":\"%u\"}", i);
    try_send(backend, json, i % 100 ? TW_MORE : 0, NULL);
    if (i % 100 == 0 && write(to_parent, &i, sizeof i) != sizeof i) _exit(1);
  }
}

static void a_killed_writer_leaves_what_it_committed_and_nothing_half(void **state) {
  (void)state;
  for (int round = 0; round < 3; round++) {
    int ends[2];
    uint32_t told = 0, next;
    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();
    if (!child) write_for_ever(ends[1]);
    close(ends[1]);
    assert_int_equal(read(ends[0], &told, sizeof told), sizeof told);
    struct timespec time = {0, 20000000 + 13000000 * round};
    nanosleep(&time, NULL);
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    while (read(ends[0], &next, sizeof next) == sizeof next) told = next;
    close(ends[0]);
    assert_true(told > 0);
    int64_t stored = count_events("e.db");
    assert_true(stored >= told && stored % 100 == 0);
    sqlite3 *db = open_database("e.db");
    assert_int_equal(count(db, "SELECT integrity_check = 'ok' FROM pragma_integrity_check"), 1);
    run(db, "DELETE FROM events");
    sqlite3_close(db);
  }
}

/* ------------------------------------------------------------------------ threads */

enum { THREADS = 4, EACH = 500 };

static void *send_many(void *backend) {
  for (int i = 0; i < EACH; i++) send_json(backend, "{\"name\":\"a\"}", i % 50 ? TW_MORE : 0);
  return NULL;
}

static void threads_and_backends_share_a_database(void **state) {
  (void)state;
  pthread_t threads[THREADS];
  tw_backend *two[2];
  for (int i = 0; i < 2; i++)
    two[i] = open_backend("sqlite", "{\"path\":\"@/e.db\",\"busy_timeout\":\"60s\"}");
  for (int i = 0; i < THREADS; i++) pthread_create(&threads[i], NULL, send_many, two[i % 2]);
  for (int i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
  close_backend(two[0]);
  close_backend(two[1]);
  assert_int_equal(count_events("e.db"), THREADS * EACH);
}

#define IN_FOLDER(name) cmocka_unit_test_setup_teardown(name, make_folder, remove_folder)

int main(void) {
  const struct CMUnitTest tests[] = {
      IN_FOLDER(a_locked_database_costs_the_batch_and_is_told),
      IN_FOLDER(a_row_that_is_refused_takes_no_other_with_it),
      cmocka_unit_test_setup_teardown(a_full_disk_is_told_keeps_what_was_committed_and_heals,
                                      make_folder, unmount_folder),
      IN_FOLDER(a_database_that_is_removed_or_moved_away_is_made_anew),
      IN_FOLDER(a_database_that_cannot_be_made_anew_costs_its_rows_and_is_tried_again),
      IN_FOLDER(a_killed_writer_leaves_what_it_committed_and_nothing_half),
      IN_FOLDER(threads_and_backends_share_a_database),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
