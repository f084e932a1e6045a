/* From whoever sends to a worker: by the path of a key, by a function that gives it, or by
   turns. Only where a key has to be looked up is an event read by the sender. */
#include "engine/engine.h"

#include <stdio.h>
#include <xxhash.h>

#include "base/clock.h"
#include "base/status.h"
#include "delivery/dead.h"
#include "event/text.h"

/* ------------------------------------------------------------------ choose */

/* Strings count by their bytes, however they are escaped; all else by its text. */
static uint64_t hash_value(const tw_event *event, tw_ref value) {
  const tw_node *node = tw_store_node(event->store, value);
  size_t len = node->len;
  const char *text = node->text;
  if (tw_kind_is_string(tw_node_kind(node))) text = tw_node_string(event->store, value, &len);
  return text ? XXH3_64bits(text, len) : 0;
}

static tw_worker *take_turn(tw_engine *engine) {
  unsigned turn = atomic_fetch_add_explicit(&engine->turn, 1, memory_order_relaxed);
  return &engine->workers[turn % engine->worker_count];
}

static tw_worker *choose(tw_engine *engine, const tw_event *event) {
  tw_ref value;
  unsigned count = engine->worker_count;
  if (count < 2) return engine->workers;
  if (engine->options.key && tw_path_find(event, engine->options.key, &value))
    return &engine->workers[hash_value(event, value) % count];
  return take_turn(engine);
}

static void tell_undealt(tw_engine *engine, tw_event *event, const tw_error *error) {
  uint64_t count = tw_dealing_count_failure(&engine->dealing);
  tw_failure failure = {
      .where = "partition_by", .path = "", .event = event, .events = count, .error = error};
  if (count && engine->ops.failed) engine->ops.failed(engine->self, &failure);
  else if (count) fprintf(stderr, "tidewire: partition_by: %s\n", error->message);
}

/* What has no key, or none that could be told, takes turns. */
static tw_worker *choose_by(tw_engine *engine, tw_dealer *dealer, tw_event *event) {
  bool has_key;
  uint64_t hash;
  tw_error error = {0};
  if (!dealer) return take_turn(engine);
  if (tw_dealer_ask(dealer, event, &has_key, &hash, &error))
    tell_undealt(engine, event, &error);
  return has_key ? &engine->workers[hash % engine->worker_count] : take_turn(engine);
}

/* How to queue an event. */
typedef tw_status push_fn(tw_worker *worker, tw_cell *cell, tw_error *error);

/* In what follows the cell is kept, and its event ends. */
static tw_status deal(tw_engine *engine, tw_cell *cell, tw_event *event, push_fn *push,
                      tw_error *error) {
  tw_visit visit;
  tw_dealer *dealer = tw_dealing_enter(&engine->dealing, &visit);
  tw_worker *worker = choose_by(engine, dealer, event);
  tw_event_end(event);
  tw_status status = push(worker, cell, error);
  tw_dealing_leave(&engine->dealing, &visit);
  return status;
}

static bool has_dealer(const tw_engine *engine) {
  return engine->options.deals && engine->worker_count > 1;
}

static tw_status put(tw_engine *engine, tw_cell *cell, tw_event *event, push_fn *push,
                     tw_error *error) {
  if (has_dealer(engine)) return deal(engine, cell, event, push, error);
  tw_worker *worker = choose(engine, event);
  tw_event_end(event);
  return push(worker, cell, error);
}

/* The function gets an event of its own: it may read at will. */
static tw_status open_and_deal(tw_engine *engine, tw_cell *cell, tw_error *error) {
  tw_event event;
  tw_store *store = tw_cells_lease(&engine->cells);
  tw_status status = store ? tw_cell_open(cell, store, &event, error) : tw_no_memory(error);
  if (status) tw_cells_put(&engine->cells, &cell, 1);
  else status = deal(engine, cell, &event, tw_worker_push, error);
  if (store) tw_cells_return(&engine->cells, store);
  return status;
}

/* What sending calls may send: of an event that is dropped the next, and so on for ever. */
/* -------------------------------------------------------------------- send */

static __thread unsigned nested;

static tw_status fail_nested(tw_error *error) {
  return tw_fail(error, TW_ELIMIT, "callbacks send inside of each other, %d deep",
                 TW_MAX_NESTED);
}

static tw_status send_event(tw_engine *engine, const tw_event *event, tw_error *error) {
  tw_cell *cell;
  tw_status status = tw_cells_copy(&engine->cells, event, &cell, error);
  if (status) return status;
  if (has_dealer(engine)) return open_and_deal(engine, cell, error);
  return tw_worker_push(choose(engine, event), cell, error);
}

tw_status tw_engine_send(tw_engine *engine, const tw_event *event, tw_error *error) {
  if (!tw_engine_is_ours(engine)) return tw_engine_fail_forked(error);
  if (nested == TW_MAX_NESTED) return fail_nested(error);
  nested++;
  tw_status status = send_event(engine, event, error);
  nested--;
  return status;
}

static tw_status send_json(tw_engine *engine, const char *json, size_t len, tw_error *error) {
  tw_cell *cell;
  tw_event event;
  tw_store *store = tw_cells_lease(&engine->cells);
  if (!store) return tw_no_memory(error);
  tw_status status = tw_cells_parse(&engine->cells, store, json, len, &event, &cell, error);
  if (status == TW_OK) status = put(engine, cell, &event, tw_worker_push, error);
  tw_cells_return(&engine->cells, store);
  return status;
}

tw_status tw_engine_send_json(tw_engine *engine, const char *json, size_t len,
                              tw_error *error) {
  if (!tw_engine_is_ours(engine)) return tw_engine_fail_forked(error);
  if (nested == TW_MAX_NESTED) return fail_nested(error);
  nested++;
  tw_status status = send_json(engine, json, len, error);
  nested--;
  return status;
}

/* ------------------------------------------------------------------ blocks */

/* Without a key the workers read the lines themselves. */
static tw_status feed_whole(tw_engine *engine, tw_block *block, tw_error *error) {
  tw_cell *cell;
  tw_block_ref(block, 1);
  tw_status status = tw_cells_lines(&engine->cells, block, &cell, error);
  if (status == TW_OK) status = tw_worker_feed(take_turn(engine), cell, error);
  if (status) tw_block_leave(block);
  tw_block_unref(block, 1);
  return status;
}

tw_status tw_engine_put_bound(tw_engine *engine, tw_cell *cell, tw_event *event,
                              tw_error *error) {
  cell->is_bound = engine->committer.journal != NULL;
  return put(engine, cell, event, tw_worker_feed, error);
}

/* Whoever has the turn is the next one, so that nobody who deals out block after block keeps
   the others away. */
void tw_engine_begin_epoch(tw_engine *engine) {
  pthread_mutex_lock(&engine->epoch_turn);
  pthread_mutex_lock(&engine->epoch);
  pthread_mutex_unlock(&engine->epoch_turn);
}

static bool try_lock(const tw_engine *engine, pthread_mutex_t *mutex, uint64_t until_ns) {
  const struct timespec moment = {0, 1000000};
  while (pthread_mutex_trylock(mutex)) {
    if (tw_clock_monotonic_ns() > until_ns || atomic_load(&engine->is_ending)) return false;
    nanosleep(&moment, NULL);
  }
  return true;
}

bool tw_engine_try_epoch(tw_engine *engine, uint64_t until_ns) {
  if (!try_lock(engine, &engine->epoch_turn, until_ns)) return false;
  bool has_it = try_lock(engine, &engine->epoch, until_ns);
  pthread_mutex_unlock(&engine->epoch_turn);
  return has_it;
}

void tw_engine_end_epoch(tw_engine *engine) { pthread_mutex_unlock(&engine->epoch); }

tw_status tw_engine_mark(tw_engine *engine, tw_epoch *epoch, tw_error *error) {
  tw_status first = TW_OK;
  for (unsigned i = 0; i < engine->worker_count; i++) {
    tw_cell *cell;
    tw_error *why = first ? NULL : error;
    tw_status status = tw_cells_marker(&engine->cells, epoch, &cell, why);
    if (status == TW_OK) status = tw_worker_feed(&engine->workers[i], cell, why);
    if (!first) first = status;
  }
  return first;
}

static bool bury_line(const tw_engine *engine, const tw_block *block, const tw_line *line,
                      const tw_error *why, tw_chunk_builder *dead) {
  if (!engine->committer.is_durable) return true;
  const tw_origin origin = {block->source, line->number, line->offset};
  tw_dead_letter letter = tw_dead_line(line, &origin, why);
  letter.generation = atomic_load(&engine->number);
  tw_buffer json = {0};
  bool fits = tw_dead_letter_write(&letter, &json) &&
              tw_chunk_builder_add_text(dead, json.data, json.len, "", 0, TW_PRIORITY_NORMAL,
                                        NULL) == TW_OK;
  tw_buffer_fini(&json);
  return fits;
}

/* What one block that is dealt out line by line comes to. */
typedef struct dealing_out {
  tw_store *store;
  tw_tally tally;
  tw_chunk_builder dead; /* of lines that are no events */
  bool is_short;         /* there was no memory for all of those */
} dealing_out;

/* @return TW_ECLOSED, or TW_OK: a line that is no event was told */
static tw_status feed_line(tw_engine *engine, dealing_out *out, tw_block *block,
                           const tw_line *line, tw_error *error) {
  tw_cell *cell;
  tw_event event;
  tw_error why;
  tw_status status = tw_line_fit(block, line, &why);
  if (status == TW_OK)
    status = tw_cells_line(&engine->cells, out->store, block, line, &event, &cell, &why);
  if (status == TW_OK) {
    status = tw_engine_put_bound(engine, cell, &event, error);
    tw_store_reset(out->store);
    return status;
  }
  out->tally.rejected++;
  tw_block_reject(block, line, &why);
  if (!bury_line(engine, block, line, &why, &out->dead)) out->is_short = true;
  return TW_OK;
}

static tw_status feed_lines(tw_engine *engine, dealing_out *out, tw_block *block,
                            tw_error *error) {
  tw_block_at at = {0};
  tw_line line;
  tw_status status = out->store ? TW_OK : tw_no_memory(error);
  while (tw_block_next(block, &at, &line)) {
    if (!tw_tally_line(&out->tally, &line)) continue;
    if (status == TW_OK) status = feed_line(engine, out, block, &line, error);
    if (status) out->tally.left++;
  }
  return status;
}

/* @return false without memory */
static bool give_dead(tw_engine *engine, tw_epoch *epoch, dealing_out *out) {
  tw_chunk *chunk;
  if (out->is_short) return false;
  if (!out->dead.count) return true;
  return tw_chunk_finish(&out->dead, atomic_load(&engine->number), tw_clock_utc_us(), &chunk,
                         NULL) == TW_OK &&
         tw_epoch_dead(epoch, chunk);
}

/* An epoch that lacks one of its letters is given up: the block is read again next time. */
static tw_status end_block(tw_engine *engine, tw_epoch *epoch, dealing_out *out,
                           tw_error *error) {
  if (!epoch) return TW_OK;
  if (!give_dead(engine, epoch, out)) tw_epoch_break(epoch);
  return tw_engine_mark(engine, epoch, error);
}

/* The counts are complete before the marker is set, as what a commit is worth depends on
   them. */
static tw_status feed_by_key(tw_engine *engine, tw_block *block, tw_error *error) {
  dealing_out out = {.store = tw_cells_lease(&engine->cells)};
  tw_epoch *epoch = NULL;
  tw_status status = TW_OK;
  if (engine->committer.journal)
    status = tw_epoch_new(&engine->committer, block, &epoch, error);
  if (status == TW_OK) status = feed_lines(engine, &out, block, error);
  if (out.store) tw_cells_return(&engine->cells, out.store);
  if (status && !epoch && engine->committer.journal) tw_block_leave(block);
  else tw_block_count(block, &out.tally);
  tw_status marked = end_block(engine, epoch, &out, status ? NULL : error);
  tw_chunk_builder_fini(&out.dead);
  tw_block_unref(block, 1);
  return status ? status : marked;
}

static tw_status feed_epoch(tw_engine *engine, tw_block *block, tw_error *error) {
  if (!engine->committer.journal) return feed_by_key(engine, block, error);
  tw_engine_begin_epoch(engine);
  tw_status status = feed_by_key(engine, block, error);
  tw_engine_end_epoch(engine);
  return status;
}

static bool has_key(const tw_engine *engine) {
  return engine->worker_count > 1 && (engine->options.key || engine->options.deals);
}

tw_status tw_engine_feed(tw_engine *engine, tw_block *block, tw_error *error) {
  return has_key(engine) ? feed_epoch(engine, block, error) : feed_whole(engine, block, error);
}

static tw_status fetch_by_key(tw_engine *engine, const tw_block_source *source,
                              tw_error *error) {
  tw_status status = TW_OK;
  tw_block *block;
  while (status == TW_OK && (block = source->next(source->self)))
    status = feed_epoch(engine, block, error);
  return status;
}

/* A request stays with its worker, which queues it again behind each block. */
tw_status tw_engine_fetch(tw_engine *engine, const tw_block_source *source, tw_error *error) {
  if (has_key(engine)) return fetch_by_key(engine, source, error);
  tw_status status = TW_OK;
  for (unsigned i = 0; i < engine->worker_count && status == TW_OK; i++) {
    tw_cell *cell;
    status = tw_cells_request(&engine->cells, source, &cell, error);
    if (status == TW_OK) status = tw_worker_feed(&engine->workers[i], cell, error);
  }
  return status;
}
