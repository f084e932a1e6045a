/// breaker.h: a circuit breaker: leaves a backend alone that fails again and again. A pure
/// state machine: times are given to it.
///
/// | state | calls | to the next state |
/// |---|---|---|
/// | closed | all | `failures` in a row open it |
/// | open | none | after `rest` the next call makes it half-open |
/// | half-open | one at a time | `probes` successes in a row close it, a failure opens it |
#ifndef TW_DELIVERY_BREAKER_H
#define TW_DELIVERY_BREAKER_H

#include <stdbool.h>
#include <stdint.h>

typedef enum tw_breaker_state {
  TW_BREAKER_CLOSED,
  TW_BREAKER_OPEN,
  TW_BREAKER_HALF_OPEN
} tw_breaker_state;

/// Starts zeroed: closed.
typedef struct tw_breaker {
  tw_breaker_state state;
  uint64_t failures;  ///< in a row, while closed
  uint64_t successes; ///< in a row, while half-open
  uint64_t until_ns;  ///< when it has rested, while open
  bool is_probing;    ///< a call is under way, while half-open
} tw_breaker;

typedef struct tw_breaker_limits {
  uint64_t failures, probes; ///< at least 1
  uint64_t rest_ns;
} tw_breaker_limits;

/// @return "closed", "open" or "half-open"
const char *tw_breaker_name(tw_breaker_state state);
/// @return whether a call may be made now; then one is under way. Its end is told by one of the
///         next functions
bool tw_breaker_admit(tw_breaker *breaker, uint64_t now_ns);
void tw_breaker_succeed(tw_breaker *breaker, const tw_breaker_limits *limits);
void tw_breaker_fail(tw_breaker *breaker, const tw_breaker_limits *limits, uint64_t now_ns);
/// A failure that opens it at once.
void tw_breaker_trip(tw_breaker *breaker, const tw_breaker_limits *limits, uint64_t now_ns);
/// A call that has told nothing of the backend.
void tw_breaker_forget(tw_breaker *breaker);

#endif
