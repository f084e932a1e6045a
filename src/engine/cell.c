/* A list under a short lock: whoever emits takes one, a worker returns a batch. */
#include "engine/cell.h"

/* A cell that grew beyond this for one big event does not stay so big. */
enum { KEEP_NODES = 2048, KEEP_BYTES = 64 << 10 };

void tw_cells_init(tw_cells *cells, const tw_limits *limits) {
  pthread_mutex_init(&cells->mutex, NULL);
  cells->free = NULL;
  cells->limits = *limits;
}

void tw_cells_fini(tw_cells *cells) {
  while (cells->free) {
    tw_cell *gone = cells->free;
    cells->free = gone->next;
    tw_store_fini(&gone->store);
    tw_free(gone);
  }
  pthread_mutex_destroy(&cells->mutex);
}

static tw_cell *get(tw_cells *cells) {
  pthread_mutex_lock(&cells->mutex);
  tw_cell *cell = cells->free;
  if (cell) cells->free = cell->next;
  pthread_mutex_unlock(&cells->mutex);
  if (cell) return cell;
  cell = tw_calloc(1, sizeof *cell);
  if (cell) tw_store_init(&cell->store, &cells->limits);
  return cell;
}

static void clear(tw_cell *cell) {
  if (!cell->holds_lines) tw_event_end(&cell->event);
  tw_block_unref(cell->block, 1);
  cell->block = NULL;
  cell->holds_lines = false;
  bool is_big = cell->store.spent > KEEP_BYTES || cell->store.cap > KEEP_NODES;
  if (is_big) tw_store_fini(&cell->store);
  else tw_store_reset(&cell->store);
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
  if (status == TW_OK) {
    *out = cell;
    return TW_OK;
  }
  tw_store_reset(&cell->store);
  pthread_mutex_lock(&cells->mutex);
  cell->next = cells->free;
  cells->free = cell;
  pthread_mutex_unlock(&cells->mutex);
  return status;
}

tw_status tw_cells_parse(tw_cells *cells, const char *json, size_t len, tw_cell **out,
                         tw_error *error) {
  *out = NULL;
  tw_cell *cell = get(cells);
  if (!cell) return tw_no_memory(error);
  tw_status status = tw_store_parse_copy(&cell->store, json, len, &cell->event, error);
  return finish(cells, cell, status, out);
}

tw_status tw_cells_copy(tw_cells *cells, const tw_event *event, tw_cell **out,
                        tw_error *error) {
  *out = NULL;
  tw_cell *cell = get(cells);
  if (!cell) return tw_no_memory(error);
  tw_status status = tw_event_import(&cell->store, event, &cell->event, error);
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

tw_status tw_cells_line(tw_cells *cells, tw_block *block, const tw_line *line, tw_cell **out,
                        tw_error *error) {
  *out = NULL;
  tw_cell *cell = get(cells);
  if (!cell) return tw_no_memory(error);
  tw_status status = tw_store_parse(&cell->store, line->text, line->len, &cell->event, error);
  status = finish(cells, cell, status, out);
  if (status) return status;
  tw_block_ref(block, 1);
  cell->block = block;
  cell->origin = (tw_origin){block->source, line->number, line->offset};
  return TW_OK;
}
