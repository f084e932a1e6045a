/// cell.h: what waits in queues: an event with a store of its own, or a block of lines.
#ifndef TW_ENGINE_CELL_H
#define TW_ENGINE_CELL_H

#include <pthread.h>

#include "core/block.h"
#include "event/event.h"

typedef struct tw_cell {
  struct tw_cell *next;
  tw_store store;
  tw_event event;   ///< over `store`; not of a cell that holds lines
  tw_block *block;  ///< a reference: where the event comes from; NULL: from no source
  bool holds_lines; ///< the lines of `block` are still to be read
  tw_origin origin; ///< of an event from a block
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
/// A cell for all lines of a block. @param block  a reference is kept, also on failure
tw_status tw_cells_lines(tw_cells *cells, tw_block *block, tw_cell **out, tw_error *error);
/// An event over a line, where it stands. @param block  a reference is taken on success
tw_status tw_cells_line(tw_cells *cells, tw_block *block, const tw_line *line, tw_cell **out,
                        tw_error *error);
/// Takes `count` cells back.
void tw_cells_put(tw_cells *cells, tw_cell **batch, size_t count);

#endif
