/// tracker.h: the inside of a tracker.
#ifndef TW_CORE_TRACKER_H
#define TW_CORE_TRACKER_H

#include <stdatomic.h>

#include "core/router.h"
#include "event/event.h"

/// What making an event needs; leased for one emit. Emits inside of emits lease others.
typedef struct tw_scratch {
  tw_store store;
  tw_buffer text;      ///< of the event
  tw_builder *builder; ///< for packed data; NULL until it is needed
} tw_scratch;

#define TW_SCRATCHES 16

struct tw_tracker {
  atomic_size_t refs;
  tw_router *router;
  tw_locator *locator;
  atomic_uint_fast32_t max_depth;
  atomic_size_t max_size;
  _Atomic(tw_scratch *) scratches[TW_SCRATCHES]; ///< those that are free
};

/// Takes one that nobody uses, or makes one. @return NULL without memory
tw_scratch *tw_scratch_lease(tw_tracker *tracker);
void tw_scratch_return(tw_tracker *tracker, tw_scratch *scratch);
void tw_scratch_free(tw_scratch *scratch);

#endif
