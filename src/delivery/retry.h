/// retry.h: how long to wait before a call is made again. Pure arithmetic.
#ifndef TW_DELIVERY_RETRY_H
#define TW_DELIVERY_RETRY_H

#include <stdint.h>

/// Random numbers for jitter, not for secrets: each delivery has its own, so that no two
/// processes that lost a server together come back to it together.
typedef struct tw_random {
  uint64_t state;
} tw_random;

/// @return the next of 2^64 numbers
uint64_t tw_random_next(tw_random *random);

/// Exponential backoff with full jitter: any time up to a bound, which is `min` after the first
/// failure, doubles with each, and ends at `max`.
/// @param failures  in a row, at least 1
/// @param random  any number
/// @return nanoseconds
uint64_t tw_retry_delay(uint64_t min_ns, uint64_t max_ns, uint64_t failures, uint64_t random);

#endif
