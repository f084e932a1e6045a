/// batch.h: the inside of a tw_batch: a list of events that lie somewhere else.
#ifndef TW_CORE_BATCH_H
#define TW_CORE_BATCH_H

#include "event/event.h"

/// An event in a batch. All is borrowed from whoever filled the batch.
typedef struct tw_batch_item {
  const char *text; ///< JSON on one line; a newline follows
  size_t len;       ///< without it
  const char *id;
  uint16_t id_len;
  int8_t priority;
} tw_batch_item;

/// Starts zeroed; see tw_batch_init. Filled and emptied again and again, it keeps its memory.
struct tw_batch {
  tw_batch_item *items;
  size_t count, cap;
  size_t bytes;         ///< of the texts
  uint64_t deadline_ns; ///< of the call that it is delivered with, monotonic; 0: none
  tw_store store;
  tw_event event; ///< that tw_batch_event gave out
  bool has_event;
};

void tw_batch_init(tw_batch *batch);
void tw_batch_fini(tw_batch *batch);
void tw_batch_clear(tw_batch *batch);
/// @return false without memory
bool tw_batch_add(tw_batch *batch, const tw_batch_item *item);
/// A part of another batch, which must outlive it: `count` items from `first`.
/// @param[out] out  initialised. @return false without memory
bool tw_batch_slice(const tw_batch *batch, size_t first, size_t count, tw_batch *out);

#endif
