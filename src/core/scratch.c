/* Free scratches wait in a few places of the tracker; taking and returning one is an atomic
   exchange with such a place, so that threads never wait for each other. */
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

tw_scratch *tw_scratch_lease(tw_tracker *tracker) {
  for (size_t i = 0; i < TW_SCRATCHES; i++) {
    tw_scratch *found = atomic_load_explicit(&tracker->scratches[i], memory_order_relaxed);
    if (!found) continue;
    found = atomic_exchange_explicit(&tracker->scratches[i], NULL, memory_order_acquire);
    if (found) return found;
  }
  return new_scratch();
}

void tw_scratch_return(tw_tracker *tracker, tw_scratch *scratch) {
  tw_store_reset(&scratch->store);
  scratch->text.len = 0;
  if (scratch->text.cap > KEEP) tw_buffer_fini(&scratch->text);
  for (size_t i = 0; i < TW_SCRATCHES; i++) {
    tw_scratch *empty = NULL;
    if (atomic_load_explicit(&tracker->scratches[i], memory_order_relaxed)) continue;
    if (atomic_compare_exchange_strong(&tracker->scratches[i], &empty, scratch)) return;
  }
  tw_scratch_free(scratch);
}
