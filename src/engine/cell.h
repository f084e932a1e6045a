/// cell.h: what waits in queues: the text of an event, or a block of lines.
///
/// An event crosses to its worker as text, and is read there again. Its index and the memory of
/// its edits would be several times as many bytes, and what one processor has written costs
/// another one more to fetch than to work out.
#ifndef TW_ENGINE_CELL_H
#define TW_ENGINE_CELL_H

#include <pthread.h>

#include "base/lane.h"
#include "core/ack.h"
#include "core/block.h"
#include "event/event.h"

typedef struct tw_epoch tw_epoch;

typedef struct tw_cell {
  struct tw_cell *next;
  tw_buffer text;         ///< of an event, and TW_PADDING
  tw_block *block;        ///< a reference: where the event comes from; NULL: from no source
  bool holds_lines;       ///< the lines of `block` are still to be read
  tw_block_source source; ///< of the block that is still to be fetched; or zeroed
  tw_origin origin;       ///< of an event from a block
  tw_event_id_cell id;    ///< of an event that was copied; empty: made of the text
  int8_t priority;        ///< of an event
  tw_ack *ack;            ///< a reference; NULL: nobody wants to know
  bool is_bound;          ///< an event of an epoch that ends at a marker behind it
  tw_epoch *epoch;        ///< a share: the cell marks its end; or NULL
} tw_cell;

/// A store for whoever sends.
typedef struct tw_cells_lane {
  _Atomic(tw_store *) store; ///< one that is free, or NULL
  char pad[TW_LANE_SIZE - sizeof(tw_store *)];
} tw_cells_lane;

/// Cells that are free keep their memory for the next event.
typedef struct tw_cells {
  tw_cells_lane lanes[TW_LANES];
  pthread_mutex_t mutex;
  tw_cell *free;
  tw_limits limits;
} tw_cells;

void tw_cells_init(tw_cells *cells, const tw_limits *limits);
void tw_cells_fini(tw_cells *cells);

/// A store with the limits, to read an event in. @return NULL without memory
tw_store *tw_cells_lease(tw_cells *cells);
/// Its events have ended.
void tw_cells_return(tw_cells *cells, tw_store *store);

/// Reads JSON and keeps a copy of it.
/// @param[out] event  over `store` and the cell, until the cell is handed on
/// @param[out] out  owned: give it back with tw_cells_put
tw_status tw_cells_parse(tw_cells *cells, tw_store *store, const char *json, size_t len,
                         tw_event *event, tw_cell **out, tw_error *error);
tw_status tw_cells_copy(tw_cells *cells, const tw_event *event, tw_cell **out, tw_error *error);
/// A cell for all lines of a block. @param block  a reference is kept, also on failure
tw_status tw_cells_lines(tw_cells *cells, tw_block *block, tw_cell **out, tw_error *error);
/// A cell for blocks that its worker fetches: a request. @param source  copied
tw_status tw_cells_request(tw_cells *cells, const tw_block_source *source, tw_cell **out,
                           tw_error *error);
/// A cell that marks the end of an epoch. @param epoch  a share is kept, also on failure
tw_status tw_cells_marker(tw_cells *cells, tw_epoch *epoch, tw_cell **out, tw_error *error);
/// The event of a line. @param block  a reference is taken on success
tw_status tw_cells_line(tw_cells *cells, tw_store *store, tw_block *block, const tw_line *line,
                        tw_event *event, tw_cell **out, tw_error *error);
/// The event of a cell. @param[out] out  over `store` and the cell; end it before either goes
/// @return TW_OK or TW_ENOMEM
tw_status tw_cell_open(const tw_cell *cell, tw_store *store, tw_event *out, tw_error *error);
/// Takes `count` cells back.
void tw_cells_put(tw_cells *cells, tw_cell **batch, size_t count);

#endif
