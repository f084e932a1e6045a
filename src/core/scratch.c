/* Free scratches wait in the lanes of the tracker, one in each; taking and returning one is
   an atomic exchange with such a place, so that threads never wait for each other. The
   caller's own lane is tried first: that scratch is in its processor's cache. */
#include "core/tracker.h"

/* A scratch that grew beyond this for one big event does not stay so big. */
#define KEEP ((size_t)256 << 10)

static tw_scratch *new_scratch(void) {
  tw_scratch *scratch = tw_calloc(1, sizeof *scratch);
  if (scratch) tw_store_init(&scratch->store, NULL);
  return scratch;
}

void tw_scratch_free(tw_scratch *scratch) {
  if (!scratch) return;
  tw_store_fini(&scratch->store);
  tw_buffer_fini(&scratch->text);
  tw_builder_free(scratch->builder);
  tw_free(scratch);
}

static _Atomic(tw_scratch *) *place(tw_tracker *tracker, unsigned lane) {
  return &tracker->lanes[lane % TW_LANES].scratch;
}

tw_scratch *tw_scratch_lease(tw_tracker *tracker, unsigned lane) {
  for (unsigned i = 0; i < TW_LANES; i++) {
    _Atomic(tw_scratch *) *at = place(tracker, lane + i);
    tw_scratch *found = atomic_load_explicit(at, memory_order_relaxed);
    if (!found) continue;
    found = atomic_exchange_explicit(at, NULL, memory_order_acquire);
    if (found) return found;
  }
  return new_scratch();
}

void tw_scratch_return(tw_tracker *tracker, unsigned lane, tw_scratch *scratch) {
  tw_store_reset(&scratch->store);
  scratch->text.len = 0;
  if (scratch->text.cap > KEEP) tw_buffer_fini(&scratch->text);
  for (unsigned i = 0; i < TW_LANES; i++) {
    _Atomic(tw_scratch *) *at = place(tracker, lane + i);
    tw_scratch *empty = NULL;
    if (atomic_load_explicit(at, memory_order_relaxed)) continue;
    if (atomic_compare_exchange_strong(at, &empty, scratch)) return;
  }
  tw_scratch_free(scratch);
}
