/* Replays: events that somebody has put into the spool, to be routed or delivered again. Each
   record is one epoch, or one commit, that also deletes it: so it is done once, wherever the
   process ends. */
#include <string.h>
#include <time.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/status.h"
#include "engine/durable.h"

/* ------------------------------------------------------------ by the script */

/* An event that cannot be read any more goes back to the dead letters. */
static void bury(tw_epoch *epoch, const tw_batch_item *item, const tw_error *why) {
  tw_chunk_builder builder = {0};
  tw_chunk *chunk;
  tw_buffer json = {0};
  tw_dead_letter letter = {.time_us = tw_clock_utc_us(),
                           .where = "source",
                           .error = why,
                           .id = item->id,
                           .id_len = item->id_len,
                           .event = item->text,
                           .event_len = item->len};
  bool fits = tw_dead_letter_write(&letter, &json) &&
              tw_chunk_builder_add_text(&builder, json.data, json.len, "", 0,
                                        TW_PRIORITY_NORMAL, NULL) == TW_OK &&
              tw_chunk_finish(&builder, 0, letter.time_us, &chunk, NULL) == TW_OK &&
              tw_epoch_dead(epoch, chunk);
  if (!fits) tw_epoch_break(epoch);
  tw_buffer_fini(&json);
  tw_chunk_builder_fini(&builder);
}

static tw_status send_item(tw_engine *engine, tw_store *store, tw_epoch *epoch,
                           const tw_batch_item *item, tw_error *error) {
  tw_cell *cell;
  tw_event event;
  tw_error why;
  if (tw_cells_parse(&engine->cells, store, item->text, item->len, &event, &cell, &why)) {
    bury(epoch, item, &why);
    return TW_OK;
  }
  if (item->id_len < sizeof cell->id.text) {
    cell->id.len = item->id_len;
    memcpy(cell->id.text, item->id, item->id_len);
    cell->id.text[item->id_len] = '\0';
  }
  cell->priority = item->priority;
  tw_status status = tw_engine_put_bound(engine, cell, &event, error);
  tw_store_reset(store);
  return status;
}

static tw_status send_chunk(tw_engine *engine, tw_epoch *epoch, const tw_chunk *chunk,
                            tw_error *error) {
  tw_store *store = tw_cells_lease(&engine->cells);
  tw_status status = store ? TW_OK : tw_no_memory(error);
  for (uint32_t i = 0; i < tw_chunk_count(chunk) && status == TW_OK; i++) {
    tw_batch_item item;
    tw_chunk_item(chunk, i, &item);
    status = send_item(engine, store, epoch, &item, error);
  }
  if (store) tw_cells_return(&engine->cells, store);
  return status;
}

static tw_status route(tw_engine *engine, const tw_buffer *key, const tw_chunk *chunk,
                       tw_error *error) {
  tw_epoch *epoch;
  tw_status status = tw_epoch_new(&engine->committer, NULL, &epoch, error);
  if (status) return status;
  status = tw_epoch_replayed(epoch, key->data, key->len)
               ? send_chunk(engine, epoch, chunk, error)
               : tw_no_memory(error);
  if (status) tw_epoch_break(epoch);
  tw_status marked = tw_engine_mark(engine, epoch, status ? NULL : error);
  return status ? status : marked;
}

/* ------------------------------------------------------------- to a backend */

static tw_status deliver(tw_engine *engine, const tw_buffer *key, tw_outbox *outbox,
                         tw_chunk *chunk, tw_error *error) {
  tw_work *work = tw_work_new(&engine->committer);
  if (!work) return tw_no_memory(error);
  if (!tw_work_replayed(work, key->data, key->len) ||
      !tw_commit_parcel(&work->commit, outbox, tw_chunk_ref(chunk))) {
    tw_work_give_up(work);
    return tw_no_memory(error);
  }
  tw_work_submit(&engine->committer, work);
  tw_journal_hurry(engine->committer.journal);
  return TW_OK;
}

static tw_status fail_unknown(const char *path, tw_error *error) {
  return tw_fail(
      error, TW_ENOENT,
      "a replay for the backend \"%.120s\" waits in the spool, and the script has no "
      "such backend with an outbox; `tidewire spool drop --backend` ends it",
      path);
}

/* @return TW_OK when it is under way; otherwise the record stays for a later start */
static tw_status start(tw_engine *engine, const tw_buffer *key, const char *path,
                       tw_chunk *chunk, tw_error *error) {
  if (!*path) return route(engine, key, chunk, error);
  tw_outbox *outbox = tw_outlets_find(&engine->outlets, path);
  return outbox ? deliver(engine, key, outbox, chunk, error) : fail_unknown(path, error);
}

/* ---------------------------------------------------------------- one by one */

/* How long one call may take; and how often it is looked whether a replay is through. */
enum { CALL_NS = 300000000, LOOK_NS = 1000000 };

static void tell(tw_engine *engine, const char *path, const tw_error *error) {
  tw_failure failure = {.where = "replay", .path = path, .error = error};
  tw_engine_tell(engine, &failure);
}

/* @return false when it is still under way */
static bool await(tw_engine *engine, uint64_t until) {
  const struct timespec moment = {0, LOOK_NS};
  while (atomic_load(&engine->committer.replays)) {
    if (tw_clock_monotonic_ns() > until || atomic_load(&engine->is_ending)) return false;
    nanosleep(&moment, NULL);
  }
  return true;
}

/* The next record. One that cannot be replayed now is told, and passed over until the next
   call. @return false when there is none, or none can be read */
static bool replay_next(tw_engine *engine, tw_buffer *key) {
  tw_error error;
  const char *path = "";
  tw_chunk *chunk;
  tw_status status = tw_journal_replay(engine->committer.journal, key, &path, &chunk, &error);
  bool is_there = chunk != NULL;
  if (status == TW_OK && is_there) {
    status = start(engine, key, path, chunk, &error);
    if (status == TW_OK) key->len = 0; /* it will be gone: what is first then comes next */
  }
  tw_chunk_unref(chunk);
  if (status && status != TW_ECLOSED && !engine->is_replay_told) tell(engine, path, &error);
  if (status) engine->is_replay_told = true;
  return is_there;
}

bool tw_engine_replay(tw_engine *engine) {
  uint64_t until = tw_clock_monotonic_ns() + CALL_NS;
  tw_buffer key = {0};
  bool has_more = true;
  pthread_mutex_lock(&engine->replaying);
  while (has_more && await(engine, until) && tw_engine_try_epoch(engine, until)) {
    has_more = replay_next(engine, &key);
    tw_engine_end_epoch(engine);
  }
  tw_buffer_fini(&key);
  if (!has_more) engine->is_replay_told = false;
  pthread_mutex_unlock(&engine->replaying);
  return has_more;
}
