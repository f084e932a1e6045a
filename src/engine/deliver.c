/* Events and lines, on their way into the router.

   A line is parsed where it stands, in a store that is reset behind it, so that nothing is
   allocated for a line once the memory has grown. Every line that is read ends in exactly one
   of routed, dropped, rejected and left, also when memory runs out: one without memory for it
   that no backend got is kept as a rejected one. */
#include "engine/deliver.h"

#include "core/inspect.h"

static bool is_abandoned(const tw_worker *worker) {
  return atomic_load_explicit(&worker->is_abandoned, memory_order_relaxed);
}

/* @return whether the event was processed; otherwise `error` says why not
   @param[out] reached  how many backends it was handed to */
static bool send(tw_worker *worker, tw_event *event, uint64_t *reached, tw_error *error) {
  *reached = 0;
  tw_router *router = tw_script_router(worker->script);
  tw_status status = tw_router_deliver(router, event, TW_MORE, reached, error);
  if (status && *reached && worker->ops.failed)
    worker->ops.failed(worker->ops.self, event, error);
  return status == TW_OK || *reached;
}

/* An event of a source. */
static bool send_counted(tw_worker *worker, tw_event *event, tw_tally *tally, tw_error *error) {
  uint64_t reached;
  bool is_processed = send(worker, event, &reached, error);
  if (reached) tally->routed++;
  else if (is_processed) tally->dropped++;
  else tally->rejected++;
  return is_processed;
}

/* ------------------------------------------------------------------- lines */

static void read_line(tw_worker *worker, tw_cell *cell, const tw_line *line, tw_tally *tally) {
  tw_event event;
  tw_error error;
  if (!tw_tally_line(tally, line)) return;
  cell->origin.line = line->number;
  cell->origin.offset = line->offset;
  if (tw_line_fit(cell->block, line, &error) ||
      tw_store_parse(&cell->store, line->text, line->len, &event, &error)) {
    tally->rejected++;
    tw_block_reject(cell->block, line, &error);
  } else {
    if (!send_counted(worker, &event, tally, &error))
      tw_block_reject(cell->block, line, &error);
    tw_event_end(&event);
  }
  tw_store_reset(&cell->store);
}

void tw_worker_read_lines(tw_worker *worker, tw_cell *cell, tw_worker_counts *done) {
  tw_tally tally = {0};
  tw_block_at at = {0};
  tw_line line;
  cell->origin.source = cell->block->source;
  worker->origin = &cell->origin;
  while (tw_block_next(cell->block, &at, &line)) {
    if (!is_abandoned(worker)) read_line(worker, cell, &line, &tally);
    else tally.left += tw_tally_line(&tally, &line);
  }
  worker->origin = NULL;
  tw_block_count(cell->block, &tally);
  done->received += tally.read - tally.rejected;
  done->processed += tally.routed + tally.dropped;
  done->dropped[TW_DROP_CLOSED] += tally.left;
}

/* ------------------------------------------------------------------ events */

static void reject_event(tw_cell *cell, const tw_error *why) {
  const char *text;
  size_t len;
  if (tw_event_json(&cell->event, &text, &len)) text = "", len = 0;
  tw_line line = {(char *)text, len, cell->origin.line, cell->origin.offset, len};
  tw_block_reject(cell->block, &line, why);
}

static bool deliver_line(tw_worker *worker, tw_cell *cell) {
  tw_error error;
  tw_tally tally = {0};
  worker->origin = &cell->origin;
  bool is_processed = send_counted(worker, &cell->event, &tally, &error);
  if (!is_processed) reject_event(cell, &error);
  worker->origin = NULL;
  tw_block_count(cell->block, &tally);
  return is_processed;
}

static bool deliver_emitted(tw_worker *worker, tw_cell *cell) {
  tw_error error;
  uint64_t reached;
  bool is_processed = send(worker, &cell->event, &reached, &error);
  if (!is_processed && worker->ops.failed)
    worker->ops.failed(worker->ops.self, &cell->event, &error);
  return is_processed;
}

static void deliver_one(tw_worker *worker, tw_cell *cell, tw_worker_counts *done) {
  bool is_processed = cell->block ? deliver_line(worker, cell) : deliver_emitted(worker, cell);
  if (is_processed) done->processed++;
  else done->dropped[TW_DROP_MEMORY]++;
}

static void leave(tw_worker *worker, tw_cell *cell) {
  if (cell->block) tw_block_count(cell->block, &(tw_tally){.left = 1});
  else if (worker->ops.dropped)
    worker->ops.dropped(worker->ops.self, TW_DROP_CLOSED, &cell->event);
}

void tw_worker_deliver(tw_worker *worker, tw_cell **batch, size_t count,
                       tw_worker_counts *done) {
  for (size_t i = 0; i < count; i++) {
    if (!is_abandoned(worker)) {
      deliver_one(worker, batch[i], done);
    } else {
      leave(worker, batch[i]);
      done->dropped[TW_DROP_CLOSED]++;
    }
  }
}
