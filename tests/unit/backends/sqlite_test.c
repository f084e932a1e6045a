#include <sqlite3.h>

#include "support/oom.h"
#include "tools.h"

/* The first column of the first row of a query, as text; NULL for NULL and for no row.
   Valid until the next call. */
static const char *ask(const char *database, const char *sql) {
  static char answer[2048];
  sqlite3 *db;
  sqlite3_stmt *statement;
  const char *result = NULL;
  assert_int_equal(sqlite3_open(in_folder(database), &db), SQLITE_OK);
  sqlite3_busy_timeout(db, 5000);
  if (sqlite3_prepare_v2(db, sql, -1, &statement, NULL)) fail_msg("%s", sqlite3_errmsg(db));
  if (sqlite3_step(statement) == SQLITE_ROW && sqlite3_column_text(statement, 0)) {
    snprintf(answer, sizeof answer, "%s", (const char *)sqlite3_column_text(statement, 0));
    result = answer;
  }
  sqlite3_finalize(statement);
  sqlite3_close(db);
  return result;
}

#define assert_answer(database, sql, expected) assert_string_equal(ask(database, sql), expected)

static void an_event_becomes_a_row(void **state) {
  (void)state;
  static const char json[] =
      "{\"id\":\"order-7\",\"name\":\"order.paid\",\"timestamp\":\"2026-11-24T05:00:00.1Z\","
      "\"data\":{\"total\": 12.50},\"context\":{\"user\":7},\"more\":[ ]}";
  tw_backend *backend = open_backend("sqlite", "{\"path\":\"@/e.db\"}");
  send_json(backend, json, 0);
  assert_answer("e.db", "SELECT id FROM events", "order-7");
  assert_answer("e.db", "SELECT name FROM events", "order.paid");
  assert_answer("e.db", "SELECT timestamp FROM events", "2026-11-24T05:00:00.1Z");
  assert_answer("e.db", "SELECT data FROM events", "{\"total\": 12.50}");
  assert_answer("e.db", "SELECT context FROM events", "{\"user\":7}");
  assert_answer("e.db", "SELECT event FROM events", json);
  assert_answer("e.db", "SELECT data->>'total' FROM events", "12.5");
  close_backend(backend);
}

static void an_edited_event_is_stored_as_edited(void **state) {
  (void)state;
  tw_backend *backend = open_backend("sqlite", "{\"path\":\"@/e.db\"}");
  tw_event *event = make_event("{\"id\":\"a\",\"name\":\"old\",\"data\":{\"x\":1}}");
  assert_int_equal(tw_event_set_string(event, "name", "n\"w", 3, NULL), TW_OK);
  assert_int_equal(tw_event_set_integer(event, "data.y", 2, NULL), TW_OK);
  assert_int_equal(tw_backend_send(backend, event, 0, NULL), TW_OK);
  tw_event_free(event);
  assert_answer("e.db", "SELECT name FROM events", "n\"w");
  assert_answer("e.db", "SELECT data FROM events", "{\"x\":1,\"y\":2}");
  assert_answer("e.db", "SELECT event FROM events",
                "{\"id\":\"a\",\"name\":\"n\\\"w\",\"data\":{\"x\":1,\"y\":2}}");
  close_backend(backend);
}

static void fields_that_are_missing_null_or_of_another_type_have_their_place(void **state) {
  (void)state;
  tw_backend *backend = open_backend("sqlite", "{\"path\":\"@/e.db\"}");
  send_json(backend, "{\"id\":\"1\"}", TW_MORE);
  send_json(backend, "{\"id\":\"2\",\"name\":null,\"data\":null}", TW_MORE);
  send_json(backend, "{\"id\":\"3\",\"name\":12.0,\"data\":\"text\"}", TW_MORE);
  send_json(backend, "{\"id\":\"4\",\"name\":\"a\\u0000b\",\"data\":[]}", 0);
  assert_answer("e.db",
                "SELECT count(*) FROM events WHERE id < '3' AND name IS NULL AND data IS NULL "
                "AND context IS NULL AND timestamp IS NULL",
                "2");
  assert_answer("e.db", "SELECT name FROM events WHERE id = '3'", "12.0");
  assert_answer("e.db", "SELECT data FROM events WHERE id = '3'", "\"text\"");
  assert_answer("e.db", "SELECT hex(name) FROM events WHERE id = '4'", "610062");
  close_backend(backend);
}

static void an_event_without_an_id_gets_one_of_version_7(void **state) {
  (void)state;
  tw_backend *backend = open_backend("sqlite", "{\"path\":\"@/e.db\"}");
  send_json(backend, "{}", TW_MORE);
  send_json(backend, "{}", 0);
  assert_answer("e.db",
                "SELECT count(DISTINCT id) FROM events "
                "WHERE length(id) = 36 AND id GLOB '*-*-7*-*-*'",
                "2");
  assert_answer("e.db", "SELECT event FROM events", "{}");
  close_backend(backend);
}

static void an_event_that_comes_again_is_stored_once_and_counted(void **state) {
  (void)state;
  tw_backend *backend = open_backend("sqlite", "{\"path\":\"@/e.db\"}");
  tw_event *event = make_event("{\"n\":1}");
  for (int i = 0; i < 3; i++)
    assert_int_equal(tw_backend_send(backend, event, i == 1 ? 0 : TW_MORE, NULL), TW_OK);
  flush_it(backend);
  tw_event_free(event);
  send_json(backend, "{\"messageId\":\"m\",\"n\":2}", 0);
  send_json(backend, "{\"messageId\":\"m\",\"n\":3}", 0);
  assert_answer("e.db", "SELECT count(*) FROM events", "2");
  assert_answer("e.db", "SELECT event FROM events WHERE id = 'm'",
                "{\"messageId\":\"m\",\"n\":2}");
  assert_int_equal(stats_of(backend).sent, 5);
  assert_int_equal(stats_of(backend).duplicate, 3);
  assert_int_equal(stats_of(backend).failed, 0);
  close_backend(backend);
}

static void rows_are_gathered_up_to_the_batch_and_stored_by_flush(void **state) {
  (void)state;
  tw_backend *backend = open_backend("sqlite", "{\"path\":\"@/e.db\",\"batch\":3}");
  for (int i = 1; i <= 4; i++) {
    send_json(backend, "{}", TW_MORE);
    assert_answer("e.db", "SELECT count(*) FROM events", i < 3 ? "0" : "3");
  }
  flush_it(backend);
  assert_answer("e.db", "SELECT count(*) FROM events", "4");
  send_json(backend, "{}", TW_MORE);
  close_backend(backend);
  assert_answer("e.db", "SELECT count(*) FROM events", "5");
}

static void the_shell_finds_wal_schema_version_and_indexes(void **state) {
  (void)state;
  char command[512], answer[256] = "";
  tw_backend *backend = open_backend(
      "sqlite", "{\"path\":\"@/sub/e.db\",\"table\":\"shop_1\",\"synchronous\":\"full\"}");
  send_json(backend, "{\"name\":\"a\",\"timestamp\":\"2026-11-24T05:00:00.000000Z\"}", 0);
  snprintf(
      command, sizeof command,
      "sqlite3 %s/sub/e.db 'PRAGMA journal_mode; PRAGMA user_version; "
      "SELECT name, count(*) FROM shop_1 GROUP BY name; EXPLAIN QUERY PLAN SELECT * FROM "
      "shop_1 WHERE name = 1; EXPLAIN QUERY PLAN SELECT * FROM shop_1 WHERE timestamp > 1'",
      folder);
  FILE *shell = popen(command, "r");
  size_t len = fread(answer, 1, sizeof answer - 1, shell);
  assert_int_equal(pclose(shell), 0);
  assert_true(len > 0);
  assert_string_equal(answer,
                      "wal\n1\na|1\n"
                      "QUERY PLAN\n`--SEARCH shop_1 USING INDEX shop_1_name (name=?)\n"
                      "QUERY PLAN\n`--SEARCH shop_1 USING INDEX shop_1_timestamp "
                      "(timestamp>?)\n");
  close_backend(backend);
}

static void a_database_is_opened_again_and_shared(void **state) {
  (void)state;
  tw_backend *a = open_backend("sqlite", "{\"path\":\"@/e.db\"}");
  tw_backend *b = open_backend("sqlite", "{\"path\":\"@/e.db\"}");
  tw_backend *c = open_backend("sqlite", "{\"path\":\"@/e.db\",\"table\":\"other\"}");
  send_json(a, "{\"id\":\"1\"}", TW_MORE);
  send_json(b, "{\"id\":\"2\"}", 0);
  send_json(c, "{\"id\":\"1\"}", 0);
  close_backend(a);
  close_backend(b);
  close_backend(c);
  a = open_backend("sqlite", "{\"path\":\"@/e.db\"}");
  send_json(a, "{\"id\":\"1\"}", 0);
  assert_int_equal(stats_of(a).duplicate, 1);
  close_backend(a);
  assert_answer("e.db", "SELECT count(*) FROM events", "2");
  assert_answer("e.db", "SELECT count(*) FROM other", "1");
}

static void opening_a_database_that_is_made_waits_for_no_writer(void **state) {
  (void)state;
  sqlite3 *db;
  close_backend(open_backend("sqlite", "{\"path\":\"@/e.db\"}"));
  assert_int_equal(sqlite3_open(in_folder("e.db"), &db), SQLITE_OK);
  assert_int_equal(sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
  close_backend(open_backend("sqlite", "{\"path\":\"@/e.db\",\"busy_timeout\":0}"));
  sqlite3_close(db);
}

/* -------------------------------------------------------------- what cannot be opened */

static void assert_open_fails(const char *says) {
  tw_error error = {.message = ""};
  tw_backend *backend = make_backend("sqlite", "{\"path\":\"@/e.db\"}");
  assert_int_equal(tw_backend_use(backend, &error), TW_EIO);
  assert_says(&error, "/e.db");
  assert_says(&error, says);
  tw_backend_unref(backend);
}

static void a_database_of_another_shape_is_told_and_left_alone(void **state) {
  (void)state;
  ask("e.db", "CREATE TABLE events (id INTEGER PRIMARY KEY, body TEXT)");
  assert_open_fails("table \"events\" has the columns id*,body and not id*,name");
  assert_answer("e.db", "SELECT count(*) FROM sqlite_schema", "1");
  assert_answer("e.db", "PRAGMA user_version", "0");
}

static void a_database_of_another_version_is_told(void **state) {
  (void)state;
  ask("e.db", "PRAGMA user_version = 42");
  assert_open_fails("user_version is 42");
}

static void what_is_no_database_is_told(void **state) {
  (void)state;
  write_all(in_folder("e.db"),
            "this is a text, and by no means a database of any kind ......\n");
  assert_open_fails("file is not a database");
  unlink(in_folder("e.db"));
  mkdir(in_folder("e.db"), 0700);
  assert_open_fails("unable to open database file");
}

/* ------------------------------------------------------------------------- memory */

static tw_status run_once(void *self) {
  (void)self;
  tw_backend *backend = NULL;
  tw_event *event = NULL;
  uint64_t lost;
  tw_status status = try_backend("sqlite", "{\"path\":\"@/e.db\"}", &backend, NULL);
  if (status == TW_OK) status = tw_event_parse("{\"name\":\"a\"}", 12, NULL, &event, NULL);
  bool opened = status == TW_OK && (status = tw_backend_use(backend, NULL)) == TW_OK;
  for (int i = 0; i < 2 && status == TW_OK; i++)
    status = tw_backend_send(backend, event, TW_MORE, NULL);
  if (opened && tw_backend_unuse(backend, &lost, NULL) != TW_OK) status = TW_EIO;
  tw_event_free(event);
  tw_backend_unref(backend);
  return status;
}

static void any_allocation_may_fail(void **state) {
  (void)state;
  size_t before = tw_oom_live();
  assert_true(tw_oom_fail_each(run_once, NULL) >= 4);
  assert_int_equal(tw_oom_live(), before);
}

#define IN_FOLDER(name) cmocka_unit_test_setup_teardown(name, make_folder, remove_folder)

int main(void) {
  tw_oom_install();
  const struct CMUnitTest tests[] = {
      IN_FOLDER(an_event_becomes_a_row),
      IN_FOLDER(an_edited_event_is_stored_as_edited),
      IN_FOLDER(fields_that_are_missing_null_or_of_another_type_have_their_place),
      IN_FOLDER(an_event_without_an_id_gets_one_of_version_7),
      IN_FOLDER(an_event_that_comes_again_is_stored_once_and_counted),
      IN_FOLDER(rows_are_gathered_up_to_the_batch_and_stored_by_flush),
      IN_FOLDER(the_shell_finds_wal_schema_version_and_indexes),
      IN_FOLDER(a_database_is_opened_again_and_shared),
      IN_FOLDER(opening_a_database_that_is_made_waits_for_no_writer),
      IN_FOLDER(a_database_of_another_shape_is_told_and_left_alone),
      IN_FOLDER(a_database_of_another_version_is_told),
      IN_FOLDER(what_is_no_database_is_told),
      IN_FOLDER(any_allocation_may_fail),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
