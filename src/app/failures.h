/// failures.h: what fails while events are routed: told, counted, and kept as dead letters.
#ifndef TW_APP_FAILURES_H
#define TW_APP_FAILURES_H

#include "app/input.h"
#include "app/sink.h"
#include "app/term.h"

/// Different failures that are counted apart; those beyond share the last counter.
#define TW_FAILURE_PLACES 64

typedef struct tw_failure_place {
  uint64_t key; ///< hash of where, path and name; 0: free
  uint64_t count;
} tw_failure_place;

/// Starts zeroed but for its references.
typedef struct tw_failures {
  tw_term *term;
  tw_sink *dead;
  const tw_input *input; ///< where the event at hand comes from
  tw_failure_place places[TW_FAILURE_PLACES];
} tw_failures;

/// The observer for the root router; its `self` is a tw_failures, which is not freed.
tw_observer tw_failures_observer(void);

#endif
