/// dead_take.c: takes letters out of a spool, and puts their events back on the way.
///
/// A batch of records is looked at first, without holding up whoever writes; only when some of
/// its letters match does a transaction begin. It reads the records again, as they may have
/// changed since, deletes those that have matches, and writes what is left of them and the
/// events that are to be routed or delivered again. So memory and transactions stay small,
/// however many letters there are.
#include "app/dead_batch.h"

#include "base/clock.h"
#include "delivery/spool_keys.h"

/// The transaction of one batch.
typedef struct tw_move {
  tw_dead_taking *taking;
  const tw_dead_visit *which;
  tw_spool_txn *txn;
  uint64_t taken, kept;
  uint64_t left; ///< letters until the limit
  /* What stays of the record at hand: a run of letters. */
  tw_chunk_builder rest;
  uint64_t rest_first;
  const tw_chunk *from;
  unsigned char key[8];
  bool is_parted; ///< it was deleted, as letters leave it
  /* What goes to one path. */
  tw_chunk_builder events;
  tw_buffer path;
  tw_status status;
  tw_error *error;
} tw_move;

/* ------------------------------------------------------------------- records */

static void put_chunk(tw_move *move, tw_spool_table table, const void *key, size_t key_len,
                      tw_chunk *chunk) {
  const char *data;
  size_t size;
  tw_chunk_bytes(chunk, &data, &size);
  move->status = tw_spool_put(move->txn, table, key, key_len, data, size, move->error);
}

/// Writes the run of letters that stay, under the number of its first.
static void end_rest(tw_move *move) {
  unsigned char key[8];
  tw_chunk *chunk;
  if (move->status || !move->rest.count) return;
  move->status = tw_chunk_finish(&move->rest, tw_chunk_generation(move->from),
                                 tw_chunk_time(move->from), &chunk, move->error);
  if (move->status) return;
  tw_chunk_number(chunk, move->rest_first);
  tw_spool_write_number(key, move->rest_first);
  put_chunk(move, TW_SPOOL_DEAD, key, sizeof key, chunk);
  tw_chunk_unref(chunk);
}

static void stay(tw_move *move, const tw_letter *letter) {
  if (!move->rest.count) move->rest_first = letter->number;
  if (!move->status)
    move->status = tw_chunk_builder_add_text(&move->rest, letter->text, letter->len, letter->id,
                                             letter->id_len, letter->priority, move->error);
}

/// The record goes; what stood before this letter is a record of its own.
static void part(tw_move *move) {
  if (!move->is_parted && !move->status)
    move->status =
        tw_spool_delete(move->txn, TW_SPOOL_DEAD, move->key, sizeof move->key, move->error);
  move->is_parted = true;
  end_rest(move);
}

/// The next number of a path. One that was used lately is not used again, though its record be
/// gone.
static uint64_t replay_number(tw_move *move) {
  tw_spool_record last = {0};
  size_t len;
  uint64_t number;
  tw_status status = tw_spool_last(move->txn, TW_SPOOL_REPLAY, move->path.data,
                                   move->path.len + 1, &last, move->error);
  if (last.key && tw_replay_key_read(last.key, last.key_len, &len, &number)) return number + 1;
  if (status && status != TW_ENOENT) move->status = status;
  return (uint64_t)tw_clock_utc_us();
}

static void end_events(tw_move *move) {
  tw_chunk *chunk;
  tw_buffer key = {0};
  if (move->status || !move->events.count || !move->path.data) return;
  uint64_t number = replay_number(move);
  if (!move->status && !tw_buffer_reserve(&key, move->path.len + TW_REPLAY_KEY_TAIL))
    move->status = tw_no_memory(move->error);
  if (!move->status)
    move->status = tw_chunk_finish(&move->events, 0, tw_clock_utc_us(), &chunk, move->error);
  if (!move->status && key.data) {
    tw_chunk_number(chunk, 0);
    size_t len =
        tw_replay_key_write((unsigned char *)key.data, move->path.data, move->path.len, number);
    put_chunk(move, TW_SPOOL_REPLAY, key.data, len, chunk);
    tw_chunk_unref(chunk);
  }
  tw_buffer_fini(&key);
}

/* ------------------------------------------------------------------- letters */

/// Events of one path that follow each other share records.
static void go_to(tw_move *move, const char *path) {
  size_t len = strlen(path);
  bool is_same =
      move->path.data && move->path.len == len && memcmp(move->path.data, path, len) == 0;
  if (is_same && move->events.text.len < TW_CHUNK_BYTES) return;
  end_events(move);
  move->path.len = 0;
  if (!tw_buffer_append(&move->path, path, len) || !tw_buffer_pad(&move->path, 1))
    move->status = tw_no_memory(move->error);
}

/// @return where the letter's event is to go; NULL: it has none, or no place to go to
static const char *destination(const tw_move *move, const tw_letter *letter) {
  tw_value event;
  bool is_backend = strcmp(tw_letter_text(letter, "where"), "backend") == 0;
  if (!letter->event || tw_event_get(letter->event, "event", &event) || event.type != TW_OBJECT)
    return NULL;
  switch (move->taking->fate) {
    case TW_DEAD_DROP: break;
    case TW_DEAD_ROUTE: return "";
    case TW_DEAD_DELIVER:
      if (move->taking->backend) return move->taking->backend;
      return is_backend ? tw_letter_text(letter, "path") : NULL;
  }
  return NULL;
}

static void send(tw_move *move, const tw_letter *letter, const char *path) {
  tw_value event;
  char fresh[37];
  const char *id = tw_letter_text(letter, "id");
  size_t len = strlen(id);
  if (!len) id = letter->id, len = letter->id_len;
  if (!len) tw_uuid7(fresh), id = fresh, len = sizeof fresh - 1;
  go_to(move, path);
  if (move->status) return;
  move->status = tw_event_get(letter->event, "event", &event);
  if (!move->status)
    move->status = tw_chunk_builder_add_text(&move->events, event.json, event.json_len, id, len,
                                             letter->priority, move->error);
}

/// @return whether it leaves its record
static bool leave(tw_move *move, const tw_letter *letter) {
  if (!move->left) return false;
  bool is_dropped = move->taking->fate == TW_DEAD_DROP;
  const char *path = is_dropped ? NULL : destination(move, letter);
  if (!is_dropped && !path) {
    move->kept++;
    return false;
  }
  part(move);
  if (path) send(move, letter, path);
  move->left--;
  move->taken++;
  return true;
}

/// Before the first one leaves, nothing is changed.
static bool look_at_letter(void *self, const tw_letter *letter) {
  tw_move *move = self;
  bool is_meant =
      letter->number < move->which->end && tw_dead_filter_matches(move->which->filter, letter);
  if (!is_meant || !leave(move, letter)) stay(move, letter);
  return move->status == TW_OK;
}

/* -------------------------------------------------------------------- batch */

static void take_from(tw_move *move, uint64_t number) {
  tw_dead_record record = {0};
  tw_spool_record stored = {.key = move->key, .key_len = sizeof move->key};
  tw_spool_write_number(move->key, number);
  move->is_parted = false;
  move->status = tw_spool_get(move->txn, TW_SPOOL_DEAD, move->key, sizeof move->key,
                              &stored.value, &stored.len, move->error);
  if (move->status == TW_ENOENT) move->status = TW_OK; // somebody else was faster
  else if (!move->status) move->status = tw_dead_copy(&stored, TW_OK, &record, move->error);
  move->from = record.chunk;
  if (record.chunk) tw_dead_each_letter(&record, look_at_letter, move);
  if (move->is_parted) end_rest(move);
  tw_chunk_builder_fini(&move->rest);
  move->rest = (tw_chunk_builder){0};
  tw_chunk_unref(record.chunk);
}

static tw_status commit(tw_move *move) {
  end_events(move);
  if (move->status || !move->taken) {
    tw_spool_abort(move->txn);
    return move->status;
  }
  return tw_spool_commit(move->txn, move->error);
}

/// @param numbers  of records that hold a letter which is meant
static tw_status take_batch(tw_spool *spool, tw_move *move, const uint64_t *numbers,
                            size_t count) {
  move->taken = move->kept = 0;
  move->status = tw_spool_begin(spool, true, &move->txn, move->error);
  if (move->status) return move->status;
  for (size_t i = 0; i < count && !move->status && move->left; i++) take_from(move, numbers[i]);
  tw_status status = commit(move);
  if (!status) {
    move->taking->taken += move->taken;
    move->taking->kept += move->kept;
  }
  return status;
}

static bool finds_none(void *self, const tw_letter *letter) {
  const tw_dead_visit *which = self;
  return letter->number >= which->end || !tw_dead_filter_matches(which->filter, letter);
}

typedef struct tw_take {
  tw_spool *spool;
  tw_move move;
} tw_take;

static bool take_some(void *self, const tw_dead_batch *batch, tw_status *status,
                      tw_error *error) {
  tw_take *take = self;
  tw_move *move = &take->move;
  uint64_t numbers[TW_DEAD_BATCH];
  size_t count = 0;
  for (size_t i = 0; i < batch->count; i++) {
    const tw_dead_record *record = &batch->records[i];
    if (!record->chunk) move->which->damaged(move->which->self, record->number, &record->why);
    else if (!tw_dead_each_letter(record, finds_none, (void *)move->which))
      numbers[count++] = record->number;
  }
  move->error = error;
  *status = count ? take_batch(take->spool, move, numbers, count) : TW_OK;
  return move->left > 0;
}

tw_status tw_dead_take(tw_spool *spool, tw_dead_visit *which, tw_dead_taking *taking,
                       tw_error *error) {
  uint64_t limit = which->filter->limit;
  tw_take take = {spool,
                  {.taking = taking, .which = which, .left = limit ? limit : UINT64_MAX}};
  tw_status status = tw_dead_walk(spool, which, take_some, &take, error);
  tw_chunk_builder_fini(&take.move.events);
  tw_buffer_fini(&take.move.path);
  return status;
}
