/* Events and lines, on their way into the router.

   A line is parsed where it stands, in a store that is reset behind it, so that nothing is
   allocated for a line once the memory has grown. Every line that is read ends in exactly one
   of routed, dropped, rejected and left, also when memory runs out: one without memory for it
   that no backend got is kept as a rejected one. */
#include "engine/deliver.h"

#include "script/upkeep.h"

static bool is_abandoned(const tw_worker *worker) {
  return atomic_load_explicit(&worker->is_abandoned, memory_order_relaxed);
}

/* @return whether the event was processed; otherwise `error` says why not
   @param[out] reached  how many backends it was handed to */
static bool send(tw_worker *worker, tw_event *event, uint64_t *reached, tw_error *error) {
  *reached = 0;
  tw_worker_keep_healthy(worker);
  tw_status status = tw_script_deliver(worker->script, event, TW_MORE, reached, error);
  if (status && *reached && worker->ops.failed)
    worker->ops.failed(worker->ops.self, "engine", event, 1, error);
  return status == TW_OK || *reached;
}

/* A line that is no event: whoever reads is told, and the spool keeps it. */
static void reject(tw_worker *worker, tw_block *block, const tw_line *line,
                   const tw_error *why) {
  tw_block_reject(block, line, why);
  if (!worker->collector.committer->is_durable) return;
  const tw_origin origin = {block->source, line->number, line->offset};
  tw_dead_letter letter = tw_dead_line(line, &origin, why);
  letter.generation = tw_script_get_setup(worker->script)->generation;
  tw_worker_collect_dead(worker, &letter);
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
      tw_store_parse(&worker->store, line->text, line->len, &event, &error)) {
    tally->rejected++;
    reject(worker, cell->block, line, &error);
  } else {
    if (!send_counted(worker, &event, tally, &error)) reject(worker, cell->block, line, &error);
    tw_event_end(&event);
  }
  tw_store_reset(&worker->store);
}

static void read_lines(tw_worker *worker, tw_cell *cell, tw_worker_counts *done) {
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
  if (worker->collector.committer->journal) tw_worker_collect_block(worker, cell->block);
  done->received += tally.read - tally.rejected;
  done->processed += tally.routed + tally.dropped;
  done->dropped[TW_DROP_CLOSED] += tally.left;
}

bool tw_worker_read_lines(tw_worker *worker, tw_cell *cell, tw_worker_counts *done) {
  const tw_block_source *source = &cell->source;
  bool is_request = !cell->block;
  if (is_request && !is_abandoned(worker)) cell->block = source->next(source->self);
  if (!cell->block) return false;
  read_lines(worker, cell, done);
  if (!is_request) return false;
  tw_block_unref(cell->block, 1);
  cell->block = NULL;
  return true;
}

/* ------------------------------------------------------------------ events */

/* @param event  NULL: there was no memory for it, as `error` says; so in deliver_sent */
static bool deliver_line(tw_worker *worker, tw_cell *cell, tw_event *event, tw_error *error) {
  tw_tally tally = {.rejected = event == NULL};
  worker->origin = &cell->origin;
  bool is_processed = event && send_counted(worker, event, &tally, error);
  if (!is_processed) {
    const tw_origin *origin = &cell->origin;
    size_t len = cell->text.len;
    tw_line line = {cell->text.data, len, origin->line, origin->offset, len};
    reject(worker, cell->block, &line, error);
  }
  worker->origin = NULL;
  tw_block_count(cell->block, &tally);
  return is_processed;
}

/* A backend that is called at once and fails tells the acknowledgement so. */
static bool deliver_sent(tw_worker *worker, tw_cell *cell, tw_event *event, tw_error *error) {
  uint64_t reached;
  tw_ack *outer = tw_ack_swap(cell->ack);
  bool is_processed = event && send(worker, event, &reached, error);
  tw_ack_swap(outer);
  if (!is_processed && worker->ops.failed)
    worker->ops.failed(worker->ops.self, "engine", event, 1, error);
  return is_processed;
}

static void deliver_one(tw_worker *worker, tw_cell *cell, tw_worker_counts *done) {
  tw_event opened, *event = &opened;
  tw_error error;
  if (cell->is_bound) worker->collector.is_bound = true;
  if (tw_cell_open(cell, &worker->store, event, &error)) event = NULL;
  bool is_processed = cell->block ? deliver_line(worker, cell, event, &error)
                                  : deliver_sent(worker, cell, event, &error);
  if (event) tw_event_end(event);
  tw_store_reset(&worker->store);
  if (cell->ack && is_processed) {
    tw_worker_collect_ack(worker, cell->ack);
    cell->ack = NULL;
  }
  if (is_processed) done->processed++;
  else done->dropped[TW_DROP_MEMORY]++;
}

void tw_worker_tell_dropped(tw_worker *worker, tw_drop_cause cause, const tw_cell *cell) {
  tw_event opened, *event = NULL;
  if (!worker->ops.dropped) return;
  tw_store *store = tw_cells_lease(worker->cells);
  if (store && tw_cell_open(cell, store, &opened, NULL) == TW_OK) event = &opened;
  worker->ops.dropped(worker->ops.self, cause, event);
  if (event) tw_event_end(event);
  if (store) tw_cells_return(worker->cells, store);
}

static void leave(tw_worker *worker, const tw_cell *cell) {
  if (cell->block) tw_block_count(cell->block, &(tw_tally){.left = 1});
  else tw_worker_tell_dropped(worker, TW_DROP_CLOSED, cell);
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
