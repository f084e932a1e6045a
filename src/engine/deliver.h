/// deliver.h: what a worker does with what it took from its queue.
#ifndef TW_ENGINE_DELIVER_H
#define TW_ENGINE_DELIVER_H

#include "engine/worker.h"

/* Called without the worker's mutex; by the worker, where nothing else is said. When it is
   abandoned, what is left is dropped. */

/// Sends events to the script's router.
/// @param[out] done  to be added to the worker's counts
void tw_worker_deliver(tw_worker *worker, tw_cell **batch, size_t count,
                       tw_worker_counts *done);
/// Tells who wants to know that an event was dropped; from any thread.
void tw_worker_tell_dropped(tw_worker *worker, tw_drop_cause cause, const tw_cell *cell);
/// Fetches a cell's block if it has none, reads its lines, and sends each event.
/// @return whether the cell's source may have more: it is to be queued again
bool tw_worker_read_lines(tw_worker *worker, tw_cell *cell, tw_worker_counts *done);

#endif
