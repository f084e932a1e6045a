/// cell.h: the events that wait in queues, each with a store of its own.
#ifndef TW_SCRIPT_CELL_H
#define TW_SCRIPT_CELL_H

#include <pthread.h>

#include "event/event.h"

typedef struct tw_cell {
  struct tw_cell *next;
  tw_store store;
  tw_event event; ///< over `store`
} tw_cell;

/// Cells that are free keep their memory for the next event.
typedef struct tw_cells {
  pthread_mutex_t mutex;
  tw_cell *free;
  tw_limits limits;
} tw_cells;

void tw_cells_init(tw_cells *cells, const tw_limits *limits);
void tw_cells_fini(tw_cells *cells);

/// @param[out] out  owned: give it back with tw_cells_put
tw_status tw_cells_parse(tw_cells *cells, const char *json, size_t len, tw_cell **out,
                         tw_error *error);
tw_status tw_cells_copy(tw_cells *cells, const tw_event *event, tw_cell **out, tw_error *error);
/// Takes `count` cells back.
void tw_cells_put(tw_cells *cells, tw_cell **batch, size_t count);

#endif
