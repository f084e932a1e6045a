/// tracker.h: the inside of a tracker.
#ifndef TW_CORE_TRACKER_H
#define TW_CORE_TRACKER_H

#include "core/router.h"
#include "event/event.h"

/// What making an event needs; leased for one emit. Emits inside of emits lease others.
typedef struct tw_scratch {
  tw_store store;
  tw_buffer text;      ///< of the event
  tw_builder *builder; ///< for packed data; NULL until it is needed
} tw_scratch;

/// What each emit writes.
typedef struct tw_tracker_lane {
  _Atomic(tw_scratch *) scratch; ///< one that is free, or NULL
  atomic_uint_fast64_t emits;    ///< that are under way, and a bias while there are references
  char pad[TW_LANE_SIZE - sizeof(tw_scratch *) - sizeof(atomic_uint_fast64_t)];
} tw_tracker_lane;

struct tw_tracker {
  tw_tracker_lane lanes[TW_LANES];
  atomic_size_t refs;
  atomic_uint in_use; ///< lanes whose `emits` is not zero
  tw_router *router;
  tw_locator *locator;
  atomic_uint_fast32_t max_depth;
  atomic_size_t max_size;
};

/// What an emit asks for besides; zeroed: nothing.
typedef struct tw_emission {
  struct tw_ack *ack; ///< what is to know the event's fate, borrowed; NULL: nobody asks
  tw_priority priority;
} tw_emission;
tw_status tw_emit_as(tw_tracker *tracker, const char *name, const char *data, size_t len,
                     const tw_emission *how, tw_error *error);
/// tw_emit_acked; `how->ack` is not looked at.
tw_status tw_emit_acked_as(tw_tracker *tracker, const char *name, const char *data, size_t len,
                           const tw_emission *how, tw_ack_fn acked, void *self,
                           tw_error *error);

/// Keeps the tracker until tw_tracker_leave, also when the last reference goes meanwhile; for
/// less than another reference, for which all threads would wait for each other.
static inline void tw_tracker_enter(tw_tracker *tracker, unsigned lane) {
  atomic_fetch_add_explicit(&tracker->lanes[lane].emits, 1, memory_order_relaxed);
}
void tw_tracker_leave(tw_tracker *tracker, unsigned lane);

/// Takes one that nobody uses, or makes one. @return NULL without memory
tw_scratch *tw_scratch_lease(tw_tracker *tracker, unsigned lane);
void tw_scratch_return(tw_tracker *tracker, unsigned lane, tw_scratch *scratch);
void tw_scratch_free(tw_scratch *scratch);

#endif
