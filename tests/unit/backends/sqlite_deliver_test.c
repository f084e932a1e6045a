/// Batches to an SQLite table: one transaction each, each event once.
#include <errno.h>
#include <signal.h>
#include <sqlite3.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <time.h>

#include "support/oom.h"

#include "base/clock.h"
#include "batches.h"

static sqlite3 *open_database(const char *name) {
  sqlite3 *db;
  assert_int_equal(sqlite3_open(in_folder(name), &db), SQLITE_OK);
  sqlite3_busy_timeout(db, 5000);
  return db;
}

static void run(const char *name, const char *sql) {
  sqlite3 *db = open_database(name);
  if (sqlite3_exec(db, sql, NULL, NULL, NULL)) fail_msg("%s", sqlite3_errmsg(db));
  sqlite3_close(db);
}

static int64_t ask(const char *name, const char *sql) {
  sqlite3 *db = open_database(name);
  sqlite3_stmt *statement;
  if (sqlite3_prepare_v2(db, sql, -1, &statement, NULL)) fail_msg("%s", sqlite3_errmsg(db));
  assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
  int64_t answer = sqlite3_column_int64(statement, 0);
  sqlite3_finalize(statement);
  sqlite3_close(db);
  return answer;
}

/* Events 0 to count - 1 are there in the order of delivery, and no others. */
static void assert_stored(const char *name, int64_t count) {
  assert_int_equal(ask(name, "SELECT count(*) FROM events"), count);
  assert_int_equal(ask(name,
                       "SELECT count(*) FROM (SELECT event ->> 'n' AS n, row_number() "
                       "OVER (ORDER BY rowid) - 1 AS at, id FROM events) "
                       "WHERE n = at AND id = 'e' || n"),
                   count);
}

static void a_batch_is_stored_once_however_often_it_comes(void **state) {
  (void)state;
  tw_backend *backend = open_backend("sqlite", "{\"path\":\"@/e.db\",\"batch\":10}");
  lines l = make_lines(0, 500, 50, 3), more = make_lines(400, 200, 50, 0);
  deliver_all(backend, &l);
  assert_stored("e.db", 500);
  deliver_all(backend, &l);
  deliver_all(backend, &more);
  assert_stored("e.db", 600);
  assert_int_equal(stats_of(backend).sent, 1200);
  assert_int_equal(stats_of(backend).duplicate, 600);
  close_backend(backend);
  free_lines(&l), free_lines(&more);
}

static void what_was_gathered_before_a_batch_is_stored_before_it(void **state) {
  (void)state;
  tw_backend *backend = open_backend("sqlite", "{\"path\":\"@/e.db\"}");
  lines l = make_lines(1, 3, 1, 0);
  send_json(backend, "{\"id\":\"e0\",\"n\":0}", TW_MORE);
  deliver_all(backend, &l);
  assert_stored("e.db", 4);
  close_backend(backend);
  free_lines(&l);
}

static void an_event_is_stored_under_the_id_that_it_has_in_the_batch(void **state) {
  (void)state;
  tw_backend *backend = open_backend("sqlite", "{\"path\":\"@/e.db\"}");
  lines l = make_lines(0, 2, 1, 0);
  l.batch.items[1].id = "other/1";
  l.batch.items[1].id_len = 7;
  deliver_all(backend, &l);
  close_backend(backend);
  assert_int_equal(ask("e.db", "SELECT count(*) FROM events WHERE id IN ('e0', 'other/1')"), 2);
  free_lines(&l);
}

/* ------------------------------------------------------------------ refused rows */

static void refuse(const char *how) {
  char sql[256];
  snprintf(sql, sizeof sql,
           "CREATE TRIGGER no BEFORE INSERT ON events WHEN new.id = 'e37' "
           "BEGIN SELECT raise(%s, 'not this one'); END",
           how);
  run("e.db", sql);
}

static void a_row_that_is_refused_is_told_exactly_and_those_before_it_are_stored(void **state) {
  (void)state;
  const char *const ways[] = {"ABORT", "FAIL", "ROLLBACK"};
  for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
    tw_backend *backend = open_backend("sqlite", "{\"path\":\"@/e.db\"}");
    lines l = make_lines(0, 100, 50, 0);
    tw_delivered done;
    tw_error error = {.message = ""};
    refuse(ways[i]);
    assert_int_equal(deliver(backend, &l, 0, &done, &error), TW_EREFUSED);
    assert_int_equal(done.count, 37);
    assert_true(done.is_exact);
    assert_int_equal(error.code, TW_EREFUSED);
    assert_says(&error, "/e.db: cannot insert: not this one");
    assert_stored("e.db", 37);
    assert_int_equal(deliver(backend, &l, 38, &done, &error), TW_OK);
    assert_int_equal(ask("e.db", "SELECT count(*) FROM events"), 99);
    assert_int_equal(stats_of(backend).sent, 99);
    assert_int_equal(stats_of(backend).failed, 1);
    assert_int_equal(stats_of(backend).duplicate, 0);
    close_backend(backend);
    unlink(in_folder("e.db"));
    free_lines(&l);
  }
}

static void several_refused_rows_are_found_one_after_the_other(void **state) {
  (void)state;
  tw_backend *backend = open_backend("sqlite", "{\"path\":\"@/e.db\"}");
  lines l = make_lines(0, 60, 50, 0);
  run("e.db",
      "CREATE TRIGGER no BEFORE INSERT ON events WHEN new.event ->> 'n' % 7 = 0 "
      "BEGIN SELECT raise(ROLLBACK, 'seven'); END");
  size_t at = 0, refused = 0;
  while (at < 60) {
    tw_delivered done;
    tw_status status = deliver(backend, &l, at, &done, NULL);
    at += done.count;
    if (status == TW_OK) continue;
    assert_int_equal(status, TW_EREFUSED);
    assert_true(done.is_exact);
    at++, refused++;
  }
  assert_int_equal(refused, 9);
  assert_int_equal(ask("e.db", "SELECT count(*) FROM events WHERE event ->> 'n' % 7 > 0"), 51);
  close_backend(backend);
  free_lines(&l);
}

static void a_text_that_is_no_event_is_refused_behind_those_before_it(void **state) {
  (void)state;
  tw_backend *backend = open_backend("sqlite", "{\"path\":\"@/e.db\"}");
  lines l = make_lines(0, 10, 5, 0);
  tw_delivered done;
  tw_error error = {.message = ""};
  ((char *)l.batch.items[4].text)[0] = '?';
  assert_int_equal(deliver(backend, &l, 0, &done, &error), TW_EREFUSED);
  assert_int_equal(done.count, 4);
  assert_true(done.is_exact);
  assert_stored("e.db", 4);
  close_backend(backend);
  free_lines(&l);
}

/* ---------------------------------------------------------------- what passes */

static void a_locked_database_is_waited_for_no_longer_than_the_call_may_take(void **state) {
  (void)state;
  tw_backend *backend = open_backend("sqlite", "{\"path\":\"@/e.db\",\"busy_timeout\":\"1h\"}");
  lines l = make_lines(0, 5, 5, 0);
  tw_delivered done;
  tw_error error = {.message = ""};
  sqlite3 *db = open_database("e.db");
  assert_int_equal(sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
  l.batch.deadline_ns = tw_clock_monotonic_ns() + 50000000;
  uint64_t begin = tw_clock_monotonic_ns();
  assert_int_equal(tw_backend_deliver(backend, &l.batch, &done, &error), TW_EIO);
  assert_true(tw_clock_monotonic_ns() - begin < 60000000000);
  assert_int_equal(done.count, 0);
  assert_false(done.is_exact);
  assert_says(&error, "database is locked");
  l.batch.deadline_ns = 1; /* long ago: one try */
  assert_int_equal(tw_backend_deliver(backend, &l.batch, &done, &error), TW_EIO);
  assert_int_equal(sqlite3_exec(db, "COMMIT", NULL, NULL, NULL), SQLITE_OK);
  sqlite3_close(db);
  assert_int_equal(tw_backend_deliver(backend, &l.batch, &done, &error), TW_OK);
  assert_stored("e.db", 5);
  assert_int_equal(stats_of(backend).failed, 0);
  close_backend(backend);
  free_lines(&l);
}

static void a_database_that_is_moved_away_is_made_anew(void **state) {
  (void)state;
  tw_backend *backend = open_backend("sqlite", "{\"path\":\"@/e.db\"}");
  lines l = make_lines(0, 5, 5, 0);
  deliver_all(backend, &l);
  rename(in_folder("e.db"), in_folder("old.db"));
  deliver_all(backend, &l);
  assert_stored("e.db", 5);
  close_backend(backend);
  free_lines(&l);
}

static int unmount_folder(void **state) {
  umount2(in_folder("disk"), MNT_DETACH);
  return remove_folder(state);
}

static void a_full_disk_stores_no_batch_in_part_and_heals(void **state) {
  (void)state;
  mkdir(in_folder("disk"), 0700);
  if (mount("tmpfs", in_folder("disk"), "tmpfs", 0, "size=2m")) {
    print_message("skipped: a tmpfs cannot be mounted here: %s\n", strerror(errno));
    skip();
  }
  char *ballast = calloc(1, 1000001);
  memset(ballast, 'x', 1000000);
  write_all(in_folder("disk/ballast"), ballast);
  free(ballast);
  tw_backend *backend = open_backend("sqlite", "{\"path\":\"@/disk/e.db\"}");
  tw_delivered done;
  tw_error error = {.message = ""};
  int stored = 0;
  tw_status status = TW_OK;
  for (; status == TW_OK && stored < 5000; stored += 50) {
    lines l = make_lines(stored, 50, 500, 0);
    status = deliver(backend, &l, 0, &done, &error);
    free_lines(&l);
  }
  stored -= 50;
  assert_int_equal(status, TW_EIO);
  assert_says(&error, "full");
  assert_int_equal(done.count, 0);
  assert_false(done.is_exact);
  assert_stored("disk/e.db", stored);
  unlink(in_folder("disk/ballast"));
  lines l = make_lines(stored, 50, 500, 0);
  deliver_all(backend, &l);
  free_lines(&l);
  assert_stored("disk/e.db", stored + 50);
  assert_int_equal(stats_of(backend).failed, 0);
  close_backend(backend);
}

/* --------------------------------------------------- what somebody has to change */

static void a_missing_table_disables_the_backend_and_the_next_call_makes_it(void **state) {
  (void)state;
  tw_backend *backend = open_backend("sqlite", "{\"path\":\"@/e.db\"}");
  lines l = make_lines(0, 5, 5, 0);
  tw_delivered done;
  tw_error error = {.message = ""};
  run("e.db", "DROP TABLE events");
  assert_int_equal(deliver(backend, &l, 0, &done, &error), TW_EDISABLED);
  assert_says(&error, "no such table: events");
  assert_int_equal(error.code, TW_EDISABLED);
  assert_int_equal(done.count, 0);
  deliver_all(backend, &l);
  assert_stored("e.db", 5);
  close_backend(backend);
  free_lines(&l);
}

static void a_database_of_another_shape_or_none_disables_the_backend(void **state) {
  (void)state;
  tw_backend *backend = open_backend("sqlite", "{\"path\":\"@/e.db\"}");
  lines l = make_lines(0, 5, 5, 0);
  tw_delivered done;
  tw_error error = {.message = ""};
  unlink(in_folder("e.db"));
  run("e.db", "CREATE TABLE events (a, b)");
  assert_int_equal(deliver(backend, &l, 0, &done, &error), TW_EDISABLED);
  assert_says(&error, "has the columns a,b and not");
  unlink(in_folder("e.db"));
  write_all(in_folder("e.db"),
            "this is a text, and by no means a database of any kind ......\n");
  assert_int_equal(deliver(backend, &l, 0, &done, &error), TW_EDISABLED);
  assert_says(&error, "not a database");
  assert_int_equal(error.code, TW_EDISABLED);
  unlink(in_folder("e.db"));
  deliver_all(backend, &l);
  assert_stored("e.db", 5);
  close_backend(backend);
  free_lines(&l);
}

/* Permissions mean nothing to root: so as somebody else. */
static void a_database_that_may_not_be_written_disables_the_backend_until_it_may(void **state) {
  (void)state;
  const uid_t somebody = 65534;
  if (geteuid() == 0 && (chown(folder, somebody, (gid_t)-1) || seteuid(somebody))) skip();
  close_backend(open_backend("sqlite", "{\"path\":\"@/new.db\"}"));
  chmod(in_folder("new.db"), 0444);
  tw_backend *backend = open_backend("sqlite", "{\"path\":\"@/e.db\"}");
  lines l = make_lines(0, 5, 5, 0);
  tw_delivered done;
  tw_error error = {.message = ""};
  rename(in_folder("new.db"), in_folder("e.db"));
  tw_status status = deliver(backend, &l, 0, &done, &error);
  chmod(in_folder("e.db"), 0644);
  tw_status after = deliver(backend, &l, 0, &done, NULL);
  close_backend(backend);
  if (getuid() == 0) assert_int_equal(seteuid(0), 0);
  assert_says(&error, "readonly");
  assert_int_equal(status, TW_EDISABLED);
  assert_int_equal(after, TW_OK);
  assert_stored("e.db", 5);
  free_lines(&l);
}

/* ------------------------------------------------------------------------ kill */

/* Delivers from a number on as an outbox would, and tells what is delivered. */
static void deliver_from(int first, int to_parent) {
  tw_backend *backend = open_backend("sqlite", "{\"path\":\"@/e.db\"}");
  for (int i = first;; i += 100) {
    lines l = make_lines(i, 100, 200, 0);
    int told = i + 100;
    deliver_all(backend, &l);
    free_lines(&l);
    if (write(to_parent, &told, sizeof told) != sizeof told) _exit(1);
  }
}

/* Each round begins some batches before what was told, as a spool's head may be behind. */
static void killed_and_delivered_again_each_event_is_stored_once(void **state) {
  (void)state;
  int told = 0;
  for (int round = 0; round < 6; round++) {
    int ends[2], next, first = told > 250 ? told - 250 : 0;
    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();
    if (!child) deliver_from(first, ends[1]);
    close(ends[1]);
    assert_int_equal(read(ends[0], &next, sizeof next), sizeof next);
    nanosleep(&(struct timespec){0, 4000000 + 5000000 * round}, NULL);
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    do
      if (next > told) told = next;
    while (read(ends[0], &next, sizeof next) == sizeof next);
    close(ends[0]);
    int64_t stored = ask("e.db", "SELECT count(*) FROM events");
    assert_in_range(stored, told, told + 150);
    assert_stored("e.db", stored);
    assert_int_equal(ask("e.db", "SELECT integrity_check = 'ok' FROM pragma_integrity_check"),
                     1);
  }
}

/* ---------------------------------------------------------------------- memory */

static void without_memory_nothing_is_stored_and_nothing_left(void **state) {
  (void)state;
  size_t before = tw_oom_live();
  for (size_t n = 0, failed = 1; failed; n++) {
    tw_backend *backend = open_backend("sqlite", "{\"path\":\"@/e.db\"}");
    lines l = make_lines(0, 100, 100, 0);
    tw_delivered done;
    tw_oom_fail_at(n);
    tw_status status = tw_backend_deliver(backend, &l.batch, &done, NULL);
    failed = tw_oom_off();
    assert_int_equal(status, failed ? TW_ENOMEM : TW_OK);
    assert_int_equal(done.count, failed ? 0 : 100);
    deliver_all(backend, &l);
    assert_stored("e.db", 100);
    close_backend(backend);
    free_lines(&l);
    unlink(in_folder("e.db"));
    assert_int_equal(tw_oom_live(), before);
  }
}

#define IN_FOLDER(name) cmocka_unit_test_setup_teardown(name, make_folder, remove_folder)
#define ON_DISK(name)   cmocka_unit_test_setup_teardown(name, make_folder, unmount_folder)

int main(void) {
  tw_oom_install();
  const struct CMUnitTest tests[] = {
      IN_FOLDER(a_batch_is_stored_once_however_often_it_comes),
      IN_FOLDER(what_was_gathered_before_a_batch_is_stored_before_it),
      IN_FOLDER(an_event_is_stored_under_the_id_that_it_has_in_the_batch),
      IN_FOLDER(a_row_that_is_refused_is_told_exactly_and_those_before_it_are_stored),
      IN_FOLDER(several_refused_rows_are_found_one_after_the_other),
      IN_FOLDER(a_text_that_is_no_event_is_refused_behind_those_before_it),
      IN_FOLDER(a_locked_database_is_waited_for_no_longer_than_the_call_may_take),
      IN_FOLDER(a_database_that_is_moved_away_is_made_anew),
      ON_DISK(a_full_disk_stores_no_batch_in_part_and_heals),
      IN_FOLDER(a_missing_table_disables_the_backend_and_the_next_call_makes_it),
      IN_FOLDER(a_database_of_another_shape_or_none_disables_the_backend),
      IN_FOLDER(a_database_that_may_not_be_written_disables_the_backend_until_it_may),
      IN_FOLDER(killed_and_delivered_again_each_event_is_stored_once),
      IN_FOLDER(without_memory_nothing_is_stored_and_nothing_left),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
