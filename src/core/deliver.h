/// deliver.h: one call that has a batch delivered, whatever operations a backend has.
#ifndef TW_CORE_DELIVER_H
#define TW_CORE_DELIVER_H

#include "core/batch.h"

/// Calls `deliver`, or sends each event and flushes; and makes sense of what comes back: on
/// failure `done->count` is below the batch's count, and where one event alone can be meant
/// `done->is_exact` is set.
///
/// @param[out] lost  events that the flush gave up beyond those of this batch
tw_status tw_deliver(const tw_backend_ops *ops, void *self, tw_batch *batch, tw_delivered *done,
                     uint64_t *lost, tw_error *error);

#endif
