/// sqlite.h: the parts of the sqlite backend.
///
///     sqlite.c         options, ops, and the rows that are gathered
///     sqlite_store.c   the database: opening, schema, transactions
#ifndef TW_BACKENDS_SQLITE_H
#define TW_BACKENDS_SQLITE_H

#include "core/batch.h"

/// The columns, in the order of the table and of the insert's parameters.
typedef enum tw_sqlite_column {
  TW_SQLITE_ID,
  TW_SQLITE_NAME,
  TW_SQLITE_TIMESTAMP,
  TW_SQLITE_DATA,
  TW_SQLITE_CONTEXT,
  TW_SQLITE_EVENT,
  TW_SQLITE_COLUMNS
} tw_sqlite_column;

/// The length of a column that is NULL.
#define TW_SQLITE_NULL UINT32_MAX

/// One event, ready to be inserted: its texts stand one after the other from `at` on.
typedef struct tw_sqlite_row {
  size_t at;
  uint32_t len[TW_SQLITE_COLUMNS];
} tw_sqlite_row;

/// Rows that are gathered.
typedef struct tw_sqlite_rows {
  tw_buffer text;
  tw_sqlite_row *rows;
  size_t count, cap;
} tw_sqlite_rows;

typedef struct tw_sqlite_options {
  char *path;  ///< owned
  char *table; ///< owned; letters, digits, `_`
  uint64_t batch;
  uint64_t busy_ms;
  bool full_sync;
} tw_sqlite_options;

/// An open database.
typedef struct tw_sqlite_store tw_sqlite_store;

/// @param options  borrowed until close
tw_status tw_sqlite_store_open(const tw_sqlite_options *options, tw_sqlite_store **out,
                               tw_error *error);
void tw_sqlite_store_close(tw_sqlite_store *store);

/// What became of rows.
typedef struct tw_sqlite_outcome {
  uint64_t lost;       ///< not stored
  uint64_t duplicates; ///< stored before already
  bool last_lost;      ///< the last row is one of `lost`
} tw_sqlite_outcome;

/// Stores rows in one transaction. When that fails, and waiting would not help, one by one,
/// so that a row that cannot be stored takes no other with it.
/// A database that was moved away or removed is made anew before.
/// @return TW_OK; TW_EIO or TW_ENOMEM with the first reason when rows are lost
tw_status tw_sqlite_store_put(tw_sqlite_store *store, const tw_sqlite_rows *rows,
                              tw_sqlite_outcome *outcome, tw_error *error);

/// Stores rows in one transaction up to the first that the database refuses for good; the
/// outcome is that of a delivery.
/// @param wait_ms  how long to wait for other writers at most; negative: as the options say
/// @param[out] done  rows that are committed. @param[out] duplicates  of them
/// @param error  not NULL
/// @return TW_OK; TW_EREFUSED; TW_EDISABLED: the table or the right to write is missing, or the
///         database is damaged; what passes
tw_status tw_sqlite_store_deliver(tw_sqlite_store *store, const tw_sqlite_rows *rows,
                                  int wait_ms, tw_delivered *done, uint64_t *duplicates,
                                  tw_error *error);

#endif
