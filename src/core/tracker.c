/* A tracker is a root router, a locator of contexts, and scratch space for events in the
   making. Each operation on contexts takes a reference of the context first: the locator is
   the host's, and another thread may make it forget the context meanwhile. */
#include "core/tracker.h"

#include <string.h>

/* More than there can be emits. */
#define BIAS (UINT64_C(1) << 62)

/* The router may outlive the tracker in somebody else's tree, but what the tracker opened is
   closed with it. */
static void free_tracker(tw_tracker *tracker) {
  for (unsigned i = 0; i < TW_LANES; i++) {
    tw_scratch_free(atomic_load(&tracker->lanes[i].scratch));
  }
  if (tracker->router) tw_router_close(tracker->router, NULL);
  tw_router_unref(tracker->router);
  tw_locator_unref(tracker->locator);
  tw_free(tracker);
}

/* The locator is kept on failure too: it is let go, so that callers need not look. */
tw_status tw_tracker_new(tw_locator *locator, tw_tracker **out, tw_error *error) {
  tw_status status = TW_OK;
  tw_tracker *tracker = tw_calloc(1, sizeof *tracker);
  *out = NULL;
  if (!tracker) {
    tw_locator_unref(locator);
    return tw_no_memory(error);
  }
  atomic_init(&tracker->refs, 1);
  atomic_init(&tracker->in_use, TW_LANES);
  for (unsigned i = 0; i < TW_LANES; i++) atomic_init(&tracker->lanes[i].emits, BIAS);
  tracker->locator = locator;
  tw_tracker_set_limits(tracker, NULL);
  if (!locator) status = tw_locator_new_thread_local(&tracker->locator, error);
  if (status == TW_OK) status = tw_router_new(&tracker->router, error);
  if (status == TW_OK) *out = tracker;
  else free_tracker(tracker);
  return status;
}

tw_tracker *tw_tracker_ref(tw_tracker *tracker) {
  atomic_fetch_add_explicit(&tracker->refs, 1, memory_order_relaxed);
  return tracker;
}

static void end_lane(tw_tracker *tracker) {
  if (atomic_fetch_sub(&tracker->in_use, 1) == 1) free_tracker(tracker);
}

void tw_tracker_leave(tw_tracker *tracker, unsigned lane) {
  if (atomic_fetch_sub_explicit(&tracker->lanes[lane].emits, 1, memory_order_acq_rel) == 1)
    end_lane(tracker);
}

/* The last reference takes the bias off each lane, so that `emits` is zero exactly when the
   lane's last emit is over; whoever ends the last lane frees the tracker. */
void tw_tracker_unref(tw_tracker *tracker) {
  if (!tracker || atomic_fetch_sub(&tracker->refs, 1) != 1) return;
  for (unsigned i = 0; i < TW_LANES; i++)
    if (atomic_fetch_sub(&tracker->lanes[i].emits, BIAS) == BIAS) end_lane(tracker);
}

tw_router *tw_tracker_router(tw_tracker *tracker) { return tracker->router; }

/* Two atomics instead of a lock: an emit that runs meanwhile may see one of them new and the
   other old, which bounds it as well. */
void tw_tracker_set_limits(tw_tracker *tracker, const tw_limits *limits) {
  tw_store whole = {0};
  tw_store_init(&whole, limits); /* fills in the defaults and keeps the bounds */
  atomic_store(&tracker->max_depth, whole.limits.max_depth);
  atomic_store(&tracker->max_size, whole.limits.max_size);
  tw_store_fini(&whole);
}

tw_status tw_flush(tw_tracker *tracker, int timeout_ms, uint64_t *remaining, tw_error *error) {
  return tw_router_flush_within(tracker->router, timeout_ms, remaining, error);
}

/* ---------------------------------------------------------------- contexts */

tw_context *tw_located_context(tw_tracker *tracker) { return tw_locator_get(tracker->locator); }

tw_status tw_enter_context(tw_tracker *tracker, const char *name, const char *json, size_t len,
                           tw_error *error) {
  tw_context *context = tw_located_context(tracker);
  if (!context) return tw_no_memory(error);
  tw_status status = tw_context_enter(context, name, json, len, error);
  tw_context_unref(context);
  return status;
}

tw_status tw_exit_context(tw_tracker *tracker, const char *name, tw_error *error) {
  tw_context *context = tw_located_context(tracker);
  if (!context) return tw_no_memory(error);
  tw_status status = tw_context_exit(context, name, error);
  tw_context_unref(context);
  return status;
}

tw_status tw_resolve_context(tw_tracker *tracker, char **text, size_t *len, tw_error *error) {
  tw_context *context = tw_located_context(tracker);
  *text = NULL;
  if (!context) return tw_no_memory(error);
  tw_status status = tw_context_resolve(context, text, len, error);
  tw_context_unref(context);
  return status;
}
