/* Cells are a list under a short lock: whoever emits takes one, a worker returns a batch. The
   stores of those that send lie in lanes, one in each, and are taken without a lock. */
#include "engine/cell.h"

#include "base/status.h"
#include "engine/commit.h"

/* What grew beyond this for one big event does not stay so big. */
enum { KEEP_NODES = 1 << 16, KEEP_BYTES = 64 << 10 };

void tw_cells_init(tw_cells *cells, const tw_limits *limits) {
  *cells = (tw_cells){.limits = *limits};
  pthread_mutex_init(&cells->mutex, NULL);
}

static void free_store(tw_store *store) {
  if (store) tw_store_fini(store);
  tw_free(store);
}

void tw_cells_fini(tw_cells *cells) {
  while (cells->free) {
    tw_cell *gone = cells->free;
    cells->free = gone->next;
    tw_buffer_fini(&gone->text);
    tw_free(gone);
  }
  for (unsigned i = 0; i < TW_LANES; i++) free_store(atomic_load(&cells->lanes[i].store));
  pthread_mutex_destroy(&cells->mutex);
}

/* ------------------------------------------------------------------ stores */

tw_store *tw_cells_lease(tw_cells *cells) {
  _Atomic(tw_store *) *place = &cells->lanes[tw_lane_here()].store;
  tw_store *store = atomic_exchange_explicit(place, NULL, memory_order_acquire);
  if (!store) store = tw_calloc(1, sizeof *store);
  if (store && !store->limits.max_size) tw_store_init(store, &cells->limits);
  return store;
}

void tw_cells_return(tw_cells *cells, tw_store *store) {
  tw_store *none = NULL;
  if (store->cap > KEEP_NODES || store->spent > KEEP_BYTES) tw_store_fini(store);
  else tw_store_reset(store);
  if (!atomic_compare_exchange_strong(&cells->lanes[tw_lane_here()].store, &none, store))
    free_store(store);
}

/* ------------------------------------------------------------------- cells */

static tw_cell *get(tw_cells *cells) {
  pthread_mutex_lock(&cells->mutex);
  tw_cell *cell = cells->free;
  if (cell) cells->free = cell->next;
  pthread_mutex_unlock(&cells->mutex);
  return cell ? cell : tw_calloc(1, sizeof *cell);
}

/* One that still wants to know was not processed. */
static void end_ack(tw_cell *cell) {
  tw_error error;
  if (!cell->ack) return;
  tw_fail(&error, TW_ELIMIT,
          "the event was dropped: a queue was full, or the engine was closed before its turn");
  tw_ack_end(cell->ack, TW_ELIMIT, &error);
  cell->ack = NULL;
}

static void clear(tw_cell *cell) {
  end_ack(cell);
  tw_block_unref(cell->block, 1);
  cell->block = NULL;
  cell->holds_lines = false;
  if (cell->source.over) cell->source.over(cell->source.self);
  cell->source = (tw_block_source){0};
  if (cell->epoch) tw_epoch_leave(cell->epoch);
  cell->epoch = NULL;
  cell->is_bound = false;
  cell->priority = TW_PRIORITY_NORMAL;
  cell->id.len = 0;
  cell->text.len = 0;
  if (cell->text.cap > KEEP_BYTES) tw_buffer_fini(&cell->text);
}

void tw_cells_put(tw_cells *cells, tw_cell **batch, size_t count) {
  if (!count) return;
  for (size_t i = 0; i < count; i++) {
    clear(batch[i]);
    batch[i]->next = i + 1 < count ? batch[i + 1] : NULL;
  }
  pthread_mutex_lock(&cells->mutex);
  batch[count - 1]->next = cells->free;
  cells->free = batch[0];
  pthread_mutex_unlock(&cells->mutex);
}

static tw_status finish(tw_cells *cells, tw_cell *cell, tw_status status, tw_cell **out) {
  if (status == TW_OK) *out = cell;
  else tw_cells_put(cells, &cell, 1);
  return status;
}

/* What is too long is refused unread: it is not copied first. */
tw_status tw_cells_parse(tw_cells *cells, tw_store *store, const char *json, size_t len,
                         tw_event *event, tw_cell **out, tw_error *error) {
  *out = NULL;
  tw_cell *cell = get(cells);
  if (!cell) return tw_no_memory(error);
  bool is_long = len > store->limits.max_size;
  bool fits = is_long || (tw_buffer_append(&cell->text, json, len) &&
                          tw_buffer_pad(&cell->text, TW_PADDING));
  const char *text = is_long ? json : cell->text.data;
  tw_status status =
      fits ? tw_store_parse(store, text, len, event, error) : tw_no_memory(error);
  cell->ack = status == TW_OK ? tw_ack_ref(tw_ack_current()) : NULL;
  return finish(cells, cell, status, out);
}

static bool copy_text(tw_cell *cell, const tw_event *event) {
  const tw_node *whole = tw_event_untouched(event);
  bool fits = whole ? tw_buffer_append(&cell->text, whole->text, whole->len)
                    : tw_event_render(event, event->root, &cell->text);
  return fits && tw_buffer_pad(&cell->text, TW_PADDING);
}

/* Of the text only what there is: the rest would be fetched by the worker for nothing. */
static void copy_id(tw_event_id_cell *to, const tw_event_id_cell *from) {
  to->len = from->len;
  to->derived = from->derived;
  memcpy(to->text, from->text, from->len + (size_t)1);
}

tw_status tw_cells_copy(tw_cells *cells, const tw_event *event, tw_cell **out,
                        tw_error *error) {
  *out = NULL;
  tw_cell *cell = get(cells);
  if (!cell) return tw_no_memory(error);
  tw_status status =
      copy_text(cell, event) ? tw_event_fix_id(event, error) : tw_no_memory(error);
  if (status == TW_OK) copy_id(&cell->id, event->id);
  cell->priority = (int8_t)tw_event_priority(event);
  cell->ack = status == TW_OK ? tw_ack_ref(tw_ack_current()) : NULL;
  return finish(cells, cell, status, out);
}

tw_status tw_cells_lines(tw_cells *cells, tw_block *block, tw_cell **out, tw_error *error) {
  tw_cell *cell = get(cells);
  *out = cell;
  if (!cell) {
    tw_block_unref(block, 1);
    return tw_no_memory(error);
  }
  cell->block = block;
  cell->holds_lines = true;
  return TW_OK;
}

tw_status tw_cells_request(tw_cells *cells, const tw_block_source *source, tw_cell **out,
                           tw_error *error) {
  tw_cell *cell = get(cells);
  *out = cell;
  if (!cell) return tw_no_memory(error);
  source->begin(source->self);
  cell->source = *source;
  cell->holds_lines = true;
  return TW_OK;
}

tw_status tw_cells_marker(tw_cells *cells, tw_epoch *epoch, tw_cell **out, tw_error *error) {
  tw_cell *cell = get(cells);
  *out = cell;
  if (!cell) {
    tw_epoch_leave(epoch);
    return tw_no_memory(error);
  }
  cell->epoch = epoch;
  cell->holds_lines = true;
  return TW_OK;
}

/* A copy also here: readers touch a few bytes behind the line, where the source is at work. */
tw_status tw_cells_line(tw_cells *cells, tw_store *store, tw_block *block, const tw_line *line,
                        tw_event *event, tw_cell **out, tw_error *error) {
  tw_status status = tw_cells_parse(cells, store, line->text, line->len, event, out, error);
  if (status) return status;
  tw_block_ref(block, 1);
  (*out)->block = block;
  (*out)->origin = (tw_origin){block->source, line->number, line->offset};
  return TW_OK;
}

tw_status tw_cell_open(const tw_cell *cell, tw_store *store, tw_event *out, tw_error *error) {
  tw_status status = tw_store_parse_again(store, cell->text.data, cell->text.len, out, error);
  if (status == TW_OK && cell->id.len) copy_id(out->id, &cell->id);
  if (status == TW_OK) tw_event_set_priority(out, (tw_priority)cell->priority);
  return status;
}
