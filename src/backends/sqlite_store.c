/// sqlite_store.c: the database: opening it, its schema, and transactions of rows.
///
/// Write-ahead log: readers never wait for us, and a commit is one append. Version 1 of the
/// schema, kept in `PRAGMA user_version`: one table, the id its primary key, so that an
/// event that comes again changes nothing.
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>

#include "backends/os.h"
#include "backends/sqlite.h"

enum { SCHEMA_VERSION = 1 };

struct tw_sqlite_store {
  const tw_sqlite_options *options;
  sqlite3 *db;
  sqlite3_stmt *begin, *insert, *commit;
  int wait_ms; /* for other writers */
  int code;    /* SQLite's, extended, of the last failure; 0: it was another's */
};

static tw_status fail(tw_sqlite_store *store, const char *action, tw_error *error) {
  store->code = sqlite3_extended_errcode(store->db);
  return tw_fail(error, TW_EIO, "%.256s: %s: %.160s", store->options->path, action,
                 sqlite3_errmsg(store->db));
}

/* ---------------------------------------------------------------------- opening */

/* Runs SQL in which every `%w` stands for the table's name. */
static int run(tw_sqlite_store *store, const char *format) {
  const char *table = store->options->table;
  char *sql = sqlite3_mprintf(format, table, table, table, table);
  if (!sql) return SQLITE_NOMEM;
  int code = sqlite3_exec(store->db, sql, NULL, NULL, NULL);
  sqlite3_free(sql);
  return code;
}

/* The first column of the first row. @return false on failure */
static bool query(tw_sqlite_store *store, const char *sql, char *out, size_t room) {
  sqlite3_stmt *statement;
  if (sqlite3_prepare_v2(store->db, sql, -1, &statement, NULL)) return false;
  bool ok = sqlite3_step(statement) == SQLITE_ROW;
  if (ok) snprintf(out, room, "%s", (const char *)sqlite3_column_text(statement, 0));
  sqlite3_finalize(statement);
  return ok;
}

static tw_status set_pragmas(tw_sqlite_store *store, tw_error *error) {
  char mode[16] = "";
  sqlite3_busy_timeout(store->db, store->wait_ms);
  if (!query(store, "PRAGMA journal_mode", mode, sizeof mode) ||
      (strcmp(mode, "wal") != 0 &&
       !query(store, "PRAGMA journal_mode = wal", mode, sizeof mode)))
    return fail(store, "cannot open", error);
  if (strcmp(mode, "wal") != 0)
    return tw_fail(error, TW_EIO,
                   "%.256s: cannot open: no write-ahead log on this file system; use a local "
                   "folder",
                   store->options->path);
  if (run(store, store->options->full_sync ? "PRAGMA synchronous = full"
                                           : "PRAGMA synchronous = normal"))
    return fail(store, "cannot open", error);
  return TW_OK;
}

static tw_status check_version(tw_sqlite_store *store, tw_error *error) {
  char version[24];
  if (!query(store, "PRAGMA user_version", version, sizeof version))
    return fail(store, "cannot read", error);
  if (strcmp(version, "0") == 0 || strcmp(version, "1") == 0) return TW_OK;
  store->code = SQLITE_SCHEMA;
  return tw_fail(
      error, TW_EIO,
      "%.256s: its user_version is %s, and %d is what is written here; it belongs to "
      "a newer Tidewire or another program: use another path",
      store->options->path, version, SCHEMA_VERSION);
}

static const char wanted_columns[] = "id*,name,timestamp,data,context,event";

/* The table's columns as `wanted_columns` has them, "" when there is no table. */
static bool read_columns(tw_sqlite_store *store, char *out, size_t room) {
  char sql[256];
  snprintf(sql, sizeof sql,
           "SELECT coalesce(group_concat(name || iif(pk, '*', ''), ','), '') FROM "
           "(SELECT name, pk FROM pragma_table_info('%s') ORDER BY cid)",
           store->options->table);
  return query(store, sql, out, room);
}

/* Whether there is nothing to make: then opening waits for no writer, and an index that the
   operator dropped stays so. */
static bool is_ready(tw_sqlite_store *store) {
  char version[24], columns[256];
  return query(store, "PRAGMA user_version", version, sizeof version) &&
         strcmp(version, "1") == 0 && read_columns(store, columns, sizeof columns) &&
         strcmp(columns, wanted_columns) == 0;
}

/* An existing table must take our rows: exactly these columns, and `id` unique. */
static tw_status check_columns(tw_sqlite_store *store, tw_error *error) {
  char found[256];
  if (!read_columns(store, found, sizeof found)) return fail(store, "cannot read", error);
  if (strcmp(found, wanted_columns) == 0) return TW_OK;
  store->code = SQLITE_SCHEMA;
  return tw_fail(error, TW_EIO,
                 "%.200s: table \"%s\" has the columns %.120s and not %s (* primary key); use "
                 "another `table`",
                 store->options->path, store->options->table, found, wanted_columns);
}

/* Checks and makes in one transaction, as another process may be at it too. */
static tw_status make_schema(tw_sqlite_store *store, tw_error *error) {
  static const char schema[] =
      "CREATE TABLE IF NOT EXISTS \"%w\" (id TEXT NOT NULL PRIMARY KEY, name TEXT, "
      "timestamp TEXT, data TEXT, context TEXT, event TEXT NOT NULL);";
  static const char indexes[] =
      "CREATE INDEX IF NOT EXISTS \"%w_name\" ON \"%w\" (name, timestamp);"
      "CREATE INDEX IF NOT EXISTS \"%w_timestamp\" ON \"%w\" (timestamp);"
      "PRAGMA user_version = 1";
  if (is_ready(store)) return TW_OK;
  if (run(store, "BEGIN IMMEDIATE")) return fail(store, "cannot open", error);
  tw_status status = check_version(store, error);
  if (status == TW_OK && run(store, schema))
    status = fail(store, "cannot make the table", error);
  if (status == TW_OK) status = check_columns(store, error);
  if (status == TW_OK && run(store, indexes))
    status = fail(store, "cannot make the indexes", error);
  if (status == TW_OK && run(store, "COMMIT")) status = fail(store, "cannot open", error);
  if (status != TW_OK) run(store, "ROLLBACK");
  return status;
}

static tw_status prepare(tw_sqlite_store *store, tw_error *error) {
  char insert[256];
  snprintf(insert, sizeof insert,
           "INSERT INTO \"%s\" VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT (id) DO NOTHING",
           store->options->table);
  if (sqlite3_prepare_v3(store->db, "BEGIN IMMEDIATE", -1, SQLITE_PREPARE_PERSISTENT,
                         &store->begin, NULL) ||
      sqlite3_prepare_v3(store->db, insert, -1, SQLITE_PREPARE_PERSISTENT, &store->insert,
                         NULL) ||
      sqlite3_prepare_v3(store->db, "COMMIT", -1, SQLITE_PREPARE_PERSISTENT, &store->commit,
                         NULL))
    return fail(store, "cannot prepare", error);
  return TW_OK;
}

/* The database is used under the backend's own lock: no second one is wanted. */
static tw_status open_database(tw_sqlite_store *store, tw_error *error) {
  const int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX;
  tw_status status = tw_make_folders(store->options->path, error);
  if (status != TW_OK) return status;
  if (sqlite3_open_v2(store->options->path, &store->db, flags, NULL))
    return store->db ? fail(store, "cannot open", error) : tw_no_memory(error);
  return TW_OK;
}

static void close_database(tw_sqlite_store *store) {
  sqlite3_finalize(store->begin);
  sqlite3_finalize(store->insert);
  sqlite3_finalize(store->commit);
  sqlite3_close(store->db);
  *store = (tw_sqlite_store){
      .options = store->options, .wait_ms = store->wait_ms, .code = store->code};
}

/* On failure nothing is open. */
static tw_status open_all(tw_sqlite_store *store, tw_error *error) {
  tw_status status = open_database(store, error);
  if (status == TW_OK) status = set_pragmas(store, error);
  if (status == TW_OK) status = make_schema(store, error);
  if (status == TW_OK) status = prepare(store, error);
  if (status != TW_OK) close_database(store);
  return status;
}

tw_status tw_sqlite_store_open(const tw_sqlite_options *options, tw_sqlite_store **out,
                               tw_error *error) {
  *out = NULL;
  tw_sqlite_store *store = tw_calloc(1, sizeof *store);
  if (!store) return tw_no_memory(error);
  store->options = options;
  store->wait_ms = (int)options->busy_ms;
  tw_status status = open_all(store, error);
  if (status == TW_OK) *out = store;
  else tw_free(store);
  return status;
}

void tw_sqlite_store_close(tw_sqlite_store *store) {
  if (!store) return;
  close_database(store);
  tw_free(store);
}

/* Rows that go into a database which was moved away or removed are seen by nobody. SQLite
   leaves the files of the new one alone when the old one is closed. */
static tw_status follow_path(tw_sqlite_store *store, tw_error *error) {
  int moved = 0;
  if (store->db &&
      (sqlite3_file_control(store->db, "main", SQLITE_FCNTL_HAS_MOVED, &moved) || !moved))
    return TW_OK;
  close_database(store);
  return open_all(store, error);
}

/* ----------------------------------------------------------------- transactions */

static int step(sqlite3_stmt *statement) {
  int code = sqlite3_step(statement);
  sqlite3_reset(statement);
  return code == SQLITE_DONE ? SQLITE_OK : code;
}

/* The texts are bound where they stand: they stay until the step is done. */
static int insert_row(tw_sqlite_store *store, const tw_sqlite_rows *rows, size_t index,
                      uint64_t *duplicates) {
  const tw_sqlite_row *row = &rows->rows[index];
  const char *text = rows->text.data + row->at;
  int code = SQLITE_OK;
  for (int i = 0; i < TW_SQLITE_COLUMNS && !code; i++) {
    if (row->len[i] == TW_SQLITE_NULL) {
      code = sqlite3_bind_null(store->insert, i + 1);
    } else {
      code = sqlite3_bind_text(store->insert, i + 1, text, (int)row->len[i], SQLITE_STATIC);
      text += row->len[i];
    }
  }
  if (!code) code = step(store->insert);
  if (!code && !sqlite3_changes(store->db)) ++*duplicates;
  return code;
}

/* Stores rows from `first` up to `end` in one transaction, or none of them. */
static int transact(tw_sqlite_store *store, const tw_sqlite_rows *rows, size_t first,
                    size_t end, uint64_t *duplicates, tw_error *error) {
  uint64_t seen = 0;
  int code = step(store->begin);
  for (size_t i = first; i < end && !code; i++) code = insert_row(store, rows, i, &seen);
  if (!code) code = step(store->commit);
  if (!code) {
    *duplicates += seen;
    return SQLITE_OK;
  }
  fail(store, "cannot insert", error);
  /* Some errors have rolled back already. */
  if (!sqlite3_get_autocommit(store->db)) run(store, "ROLLBACK");
  return code;
}

/* Whether the reason lies in the row itself, so that another row may do. */
static bool is_of_row(int code) {
  return code == SQLITE_TOOBIG || code == SQLITE_CONSTRAINT || code == SQLITE_MISMATCH;
}

static void put_one_by_one(tw_sqlite_store *store, const tw_sqlite_rows *rows,
                           tw_sqlite_outcome *outcome) {
  tw_error ignored;
  int code = SQLITE_OK;
  for (size_t i = 0; i < rows->count; i++) {
    if (!code || is_of_row(code & 0xff))
      code = transact(store, rows, i, i + 1, &outcome->duplicates, &ignored);
    outcome->last_lost = code != SQLITE_OK;
    outcome->lost += outcome->last_lost;
  }
}

tw_status tw_sqlite_store_put(tw_sqlite_store *store, const tw_sqlite_rows *rows,
                              tw_sqlite_outcome *outcome, tw_error *error) {
  *outcome = (tw_sqlite_outcome){.lost = rows->count, .last_lost = true};
  tw_status status = follow_path(store, error);
  if (status != TW_OK) return status;
  *outcome = (tw_sqlite_outcome){0};
  int code = transact(store, rows, 0, rows->count, &outcome->duplicates, error);
  if (!code) return TW_OK;
  if ((code & 0xff) == SQLITE_BUSY || (code & 0xff) == SQLITE_LOCKED || rows->count == 1) {
    outcome->lost = rows->count;
    outcome->last_lost = true;
  } else {
    put_one_by_one(store, rows, outcome);
  }
  return outcome->lost ? TW_EIO : TW_OK;
}

/* -------------------------------------------------------------------- deliveries */

/* What a code of SQLite's means for those who would try again. */
static tw_status class_of(int code) {
  switch (code & 0xff) {
    case SQLITE_TOOBIG:
    case SQLITE_CONSTRAINT:
    case SQLITE_MISMATCH: return TW_EREFUSED;
    case SQLITE_NOMEM: return TW_ENOMEM;
    case SQLITE_READONLY: /* one that was moved away is found again by its path */
      return code == SQLITE_READONLY_DBMOVED ? TW_EIO : TW_EDISABLED;
    case SQLITE_ERROR: /* such as: no such table */
    case SQLITE_SCHEMA:
    case SQLITE_PERM:
    case SQLITE_AUTH:
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB: return TW_EDISABLED;
    default: return TW_EIO; /* busy, locked, full, I/O */
  }
}

/* What stands in the way may be gone when the database is opened anew: a file that has become
   writable, another one in its place, a table that opening makes. */
static tw_status give_up(tw_sqlite_store *store, tw_error *error) {
  fail(store, "cannot insert", error);
  if (!sqlite3_get_autocommit(store->db)) run(store, "ROLLBACK");
  tw_status status = class_of(store->code);
  error->code = status;
  if (status == TW_EDISABLED) close_database(store);
  return status;
}

/* Begins, and inserts rows up to `end` or one that fails, which `*at` is then. */
static int insert_until(tw_sqlite_store *store, const tw_sqlite_rows *rows, size_t end,
                        size_t *at, uint64_t *duplicates) {
  int code = step(store->begin);
  *duplicates = 0;
  for (*at = 0; *at < end && !code; *at += !code)
    code = insert_row(store, rows, *at, duplicates);
  return code;
}

/* A row that is refused leaves those before it in the transaction. But a trigger may roll that
   back: then they are inserted once more, and each time there are fewer. */
static tw_status insert_rows(tw_sqlite_store *store, const tw_sqlite_rows *rows,
                             tw_delivered *done, uint64_t *duplicates, tw_error *error) {
  size_t end = rows->count, at;
  int code;
  while ((code = insert_until(store, rows, end, &at, duplicates))) {
    if (!is_of_row(code & 0xff)) return give_up(store, error);
    fail(store, "cannot insert", error);
    end = at;
    if (!sqlite3_get_autocommit(store->db)) break;
  }
  if (step(store->commit)) return give_up(store, error);
  done->count = at;
  done->is_exact = at < rows->count;
  if (!done->is_exact) return TW_OK;
  error->code = TW_EREFUSED;
  return TW_EREFUSED;
}

tw_status tw_sqlite_store_deliver(tw_sqlite_store *store, const tw_sqlite_rows *rows,
                                  int wait_ms, tw_delivered *done, uint64_t *duplicates,
                                  tw_error *error) {
  const int usual_ms = (int)store->options->busy_ms;
  *duplicates = 0;
  store->code = SQLITE_OK;
  store->wait_ms = wait_ms < 0 || wait_ms > usual_ms ? usual_ms : wait_ms;
  tw_status status = follow_path(store, error);
  if (status == TW_EIO) error->code = status = class_of(store->code);
  if (status == TW_OK) {
    sqlite3_busy_timeout(store->db, store->wait_ms);
    status = insert_rows(store, rows, done, duplicates, error);
  }
  if (status != TW_OK && !done->is_exact) *duplicates = 0;
  store->wait_ms = usual_ms;
  if (store->db) sqlite3_busy_timeout(store->db, usual_ms);
  return status;
}
