/// sqlite.c: events as rows of one SQLite table: options, ops, and the rows gathered.
///
/// Rows are made when an event is sent and kept in memory until the transaction: so it is
/// short, other writers wait little, and rows that failed together can be tried one by one.
#include "backends/sqlite.h"

#include <stdatomic.h>
#include <string.h>

#include "backends/kinds.h"
#include "base/alloc.h"
#include "base/status.h"

/* Rows are stored at BATCH events or BYTES of text, whichever comes first. */
enum { BATCH = 1000, MAX_BATCH = 1000000, BYTES = 4 * 1024 * 1024 };
enum { MAX_NAME = 64 };

typedef struct sqlite {
  tw_sqlite_options options;
  tw_sqlite_store *store; /* NULL while closed */
  tw_sqlite_rows rows;
  uint64_t lost;  /* rows given up and not told yet */
  tw_error cause; /* of the lost ones */
  _Atomic uint64_t duplicates;
} sqlite;

/* ---------------------------------------------------------------------- options */

static bool is_identifier(const char *name) {
  size_t len = strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789");
  return !name[len] && len && len <= MAX_NAME && !strchr("0123456789", name[0]) &&
         strncmp(name, "sqlite_", 7) != 0;
}

static tw_status read_numbers(tw_sqlite_options *to, tw_event *options, tw_error *error) {
  to->batch = tw_option_integer(options, "batch", BATCH);
  if (!to->batch || to->batch > MAX_BATCH)
    return tw_fail(error, TW_EINVAL, "sqlite: batch: must be from 1 to %d", MAX_BATCH);
  to->busy_ms = tw_option_duration(options, "busy_timeout", 5000000000u) / 1000000;
  if (to->busy_ms > INT32_MAX)
    return tw_fail(error, TW_EINVAL, "sqlite: busy_timeout: must be less than 24 days");
  const char *sync = tw_option_string(options, "synchronous", "normal");
  to->full_sync = !strcmp(sync, "full");
  if (!to->full_sync && strcmp(sync, "normal") != 0)
    return tw_fail(error, TW_EINVAL,
                   "sqlite: synchronous: \"%.32s\" is neither \"normal\" nor "
                   "\"full\"",
                   sync);
  return TW_OK;
}

static tw_status read_options(tw_sqlite_options *to, tw_event *options, tw_error *error) {
  const char *path = tw_option_string(options, "path", "");
  const char *table = tw_option_string(options, "table", "events");
  if (!strcmp(path, ":memory:"))
    return tw_fail(error, TW_EINVAL,
                   "sqlite: path: \":memory:\" would be gone at close; use the memory backend");
  if (!is_identifier(table))
    return tw_fail(
        error, TW_EINVAL,
        "sqlite: table: \"%.64s\" is no name; use letters, digits and _, at most %d, "
        "not a digit or sqlite_ first",
        table, MAX_NAME);
  to->path = tw_strdup(path);
  to->table = tw_strdup(table);
  return to->path && to->table ? read_numbers(to, options, error) : tw_no_memory(error);
}

/* ------------------------------------------------------------------------- rows */

/* A string by its value, anything else by its JSON; null and absent as NULL. */
static bool append_field(tw_buffer *text, const tw_event *event, const char *key, bool as_json,
                         uint32_t *len) {
  tw_ref value;
  size_t start = text->len;
  *len = TW_SQLITE_NULL;
  if (!tw_event_find(event, event->root, key, strlen(key), &value)) return true;
  tw_kind kind = tw_node_kind(tw_store_node(event->store, value));
  if (kind == TW_KIND_NULL) return true;
  if (!as_json && tw_kind_is_string(kind)) {
    size_t size;
    const char *bytes = tw_node_string(event->store, value, &size);
    if (!bytes || !tw_buffer_append(text, bytes, size)) return false;
  } else if (!tw_event_render(event, value, text)) {
    return false;
  }
  *len = (uint32_t)(text->len - start);
  return true;
}

static bool append_event(tw_buffer *text, const tw_event *event, uint32_t *len) {
  size_t start = text->len;
  if (!tw_event_render(event, event->root, text)) return false;
  *len = (uint32_t)(text->len - start);
  return true;
}

static bool append_texts(tw_buffer *text, tw_event *event, uint32_t *len) {
  const char *id;
  size_t size;
  if (tw_event_id(event, &id, &size) != TW_OK || !tw_buffer_append(text, id, size))
    return false;
  len[TW_SQLITE_ID] = (uint32_t)size;
  return append_field(text, event, "name", false, &len[TW_SQLITE_NAME]) &&
         append_field(text, event, "timestamp", false, &len[TW_SQLITE_TIMESTAMP]) &&
         append_field(text, event, "data", true, &len[TW_SQLITE_DATA]) &&
         append_field(text, event, "context", true, &len[TW_SQLITE_CONTEXT]) &&
         append_event(text, event, &len[TW_SQLITE_EVENT]);
}

static bool make_room(tw_sqlite_rows *rows) {
  if (rows->count < rows->cap) return true;
  size_t cap = rows->cap ? rows->cap * 2 : 64;
  tw_sqlite_row *grown = tw_realloc(rows->rows, cap * sizeof *grown);
  if (!grown) return false;
  rows->rows = grown;
  rows->cap = cap;
  return true;
}

static tw_status append_row(tw_sqlite_rows *rows, tw_event *event, tw_error *error) {
  size_t start = rows->text.len;
  if (make_room(rows)) {
    tw_sqlite_row *row = &rows->rows[rows->count];
    row->at = start;
    if (append_texts(&rows->text, event, row->len)) {
      rows->count++;
      return TW_OK;
    }
  }
  rows->text.len = start;
  return tw_no_memory(error);
}

static void empty(tw_sqlite_rows *rows) {
  rows->count = rows->text.len = 0;
  if (rows->text.cap > 2 * (size_t)BYTES) tw_buffer_fini(&rows->text);
}

static void free_rows(tw_sqlite_rows *rows) {
  tw_buffer_fini(&rows->text);
  tw_free(rows->rows);
  *rows = (tw_sqlite_rows){0};
}

/* -------------------------------------------------------------------------- ops */

/* @param[out] outcome  counted nowhere yet but the duplicates */
static tw_status store_rows(sqlite *backend, tw_sqlite_outcome *outcome, tw_error *error) {
  *outcome = (tw_sqlite_outcome){0};
  if (!backend->rows.count) return TW_OK;
  tw_status status = tw_sqlite_store_put(backend->store, &backend->rows, outcome, error);
  atomic_fetch_add_explicit(&backend->duplicates, outcome->duplicates, memory_order_relaxed);
  empty(&backend->rows);
  return status;
}

static tw_status sqlite_send(void *self, tw_event *event, unsigned flags, tw_error *error) {
  sqlite *backend = self;
  tw_status status = append_row(&backend->rows, event, error);
  if (status != TW_OK) return status;
  bool full = backend->rows.count >= backend->options.batch || backend->rows.text.len >= BYTES;
  if ((flags & TW_MORE) && !full) return TW_OK;
  tw_sqlite_outcome outcome;
  tw_error cause;
  status = store_rows(backend, &outcome, &cause);
  if (status == TW_OK) return TW_OK;
  uint64_t earlier = outcome.lost - outcome.last_lost;
  if (earlier) { /* told by the next flush */
    backend->lost += earlier;
    backend->cause = cause;
  }
  if (!outcome.last_lost) return TW_OK;
  if (error) *error = cause;
  if (!earlier) return status;
  return tw_fail(error, status, "%.400s; this event and %llu before it were not stored",
                 cause.message, (unsigned long long)earlier);
}

static tw_status sqlite_flush(void *self, uint64_t *lost, tw_error *error) {
  sqlite *backend = self;
  tw_sqlite_outcome outcome;
  tw_error cause;
  if (store_rows(backend, &outcome, &cause) != TW_OK) backend->cause = cause;
  *lost = backend->lost + outcome.lost;
  backend->lost = 0;
  if (!*lost) return TW_OK;
  return tw_fail(error, backend->cause.code, "%.400s; %llu events were not stored",
                 backend->cause.message, (unsigned long long)*lost);
}

/* @return TW_EREFUSED: the next one is no event any more, and the rows end before it */
static tw_status append_batch(tw_sqlite_rows *rows, tw_batch *batch, tw_error *error) {
  for (size_t i = 0; i < tw_batch_count(batch); i++) {
    tw_event *event;
    tw_status status = tw_batch_event(batch, i, &event, error);
    if (status == TW_OK) status = append_row(rows, event, error);
    if (status != TW_OK) return status == TW_ENOMEM ? status : TW_EREFUSED;
  }
  return TW_OK;
}

/* What `send` has gathered goes first; the next flush tells what became of it. */
static void store_gathered(sqlite *backend) {
  tw_sqlite_outcome outcome;
  tw_error cause;
  if (store_rows(backend, &outcome, &cause) != TW_OK) backend->cause = cause;
  backend->lost += outcome.lost;
}

static tw_status sqlite_deliver(void *self, tw_batch *batch, tw_delivered *done,
                                tw_error *error) {
  sqlite *backend = self;
  uint64_t duplicates = 0;
  tw_error cause;
  store_gathered(backend);
  tw_status status = append_batch(&backend->rows, batch, error);
  if (status != TW_ENOMEM) {
    tw_status stored = tw_sqlite_store_deliver(
        backend->store, &backend->rows, tw_batch_time_left(batch), done, &duplicates, &cause);
    atomic_fetch_add_explicit(&backend->duplicates, duplicates, memory_order_relaxed);
    done->is_exact = done->is_exact || (stored == TW_OK && status != TW_OK);
    if (stored != TW_OK && error) *error = cause;
    if (stored != TW_OK) status = stored;
  }
  empty(&backend->rows);
  return status;
}

static tw_status sqlite_open(void *self, tw_error *error) {
  sqlite *backend = self;
  return tw_sqlite_store_open(&backend->options, &backend->store, error);
}

static void sqlite_close(void *self) {
  sqlite *backend = self;
  tw_sqlite_store_close(backend->store);
  backend->store = NULL;
  free_rows(&backend->rows);
}

static void sqlite_free(void *self) {
  sqlite *backend = self;
  sqlite_close(backend);
  tw_free(backend->options.path);
  tw_free(backend->options.table);
  tw_free(backend);
}

static tw_status sqlite_create(tw_event *options, void **self, tw_error *error) {
  sqlite *backend = tw_calloc(1, sizeof *backend);
  if (!backend) return tw_no_memory(error);
  tw_status status = read_options(&backend->options, options, error);
  if (status == TW_OK) *self = backend;
  else sqlite_free(backend);
  return status;
}

static uint64_t sqlite_duplicates(const void *self) {
  return atomic_load_explicit(&((const sqlite *)self)->duplicates, memory_order_relaxed);
}

static bool sqlite_writes_into(void *self, const struct stat *other) {
  struct stat st;
  return stat(((sqlite *)self)->options.path, &st) == 0 && tw_is_same_file(&st, other);
}

static const tw_backend_ops sqlite_ops = {.open = sqlite_open,
                                          .send = sqlite_send,
                                          .flush = sqlite_flush,
                                          .deliver = sqlite_deliver,
                                          .close = sqlite_close,
                                          .free = sqlite_free};
static const tw_option sqlite_options[] = {
    {"path", TW_OPTION_STRING, true},
    {"batch", TW_OPTION_INTEGER, false},
    {"busy_timeout", TW_OPTION_DURATION, false},
    {"synchronous", TW_OPTION_STRING, false},
    {"table", TW_OPTION_STRING, false},
};

const tw_backend_kind tw_sqlite_kind = {
    .name = "sqlite",
    .ops = &sqlite_ops,
    .options = sqlite_options,
    .option_count = sizeof sqlite_options / sizeof *sqlite_options,
    .flags = TW_SERIAL,
    .create = sqlite_create,
    .duplicates = sqlite_duplicates,
    .writes_into = sqlite_writes_into};
