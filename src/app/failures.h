/// failures.h: what fails while events are routed: told, counted, and kept as dead letters.
#ifndef TW_APP_FAILURES_H
#define TW_APP_FAILURES_H

#include "app/sink.h"
#include "app/term.h"

/// Different failures that are counted apart; those beyond share the last counter.
#define TW_FAILURE_PLACES 64

typedef struct tw_failure_place {
  uint64_t key; ///< hash of where, path and name, or of good news; 0: free
  uint64_t count;
} tw_failure_place;

/// Starts zeroed but for its references.
typedef struct tw_failures {
  tw_term *term;
  tw_sink *dead;
  tw_failure_place places[TW_FAILURE_PLACES];
} tw_failures;

/// Counts a failure, and tells it if it is the 1st, 2nd, 4th, 8th … of its place.
void tw_failures_add(tw_failures *failures, const tw_failure *failure);
/// Keeps the event of a failure as a dead letter.
void tw_failures_keep(tw_failures *failures, const tw_failure *failure);

#endif
