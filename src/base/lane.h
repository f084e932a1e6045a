/// lane.h: counters that many threads write without waiting for each other.
///
/// What every event counts is kept in several *lanes*, each on a cache line of its own. A
/// thread uses the lane of the processor that it runs on, so that the line stays with that
/// processor. It may be moved to another one at any moment: lanes are counted atomically,
/// and what is to be taken back is taken back in the lane where it was given.
#ifndef TW_BASE_LANE_H
#define TW_BASE_LANE_H

#include <stdatomic.h>

/// A power of two; machines with more processors share them.
#define TW_LANES 16
/// Bytes from one lane to the next: two cache lines, as blocks of memory are not aligned to
/// them, and processors like to fetch them in pairs.
#define TW_LANE_SIZE 128

/// @return the lane to use now, below TW_LANES
unsigned tw_lane_here(void);

/// A lane with one counter.
typedef struct tw_lane {
  atomic_uint_fast64_t count;
  char pad[TW_LANE_SIZE - sizeof(atomic_uint_fast64_t)];
} tw_lane;

static inline void tw_lane_add(atomic_uint_fast64_t *counter) {
  atomic_fetch_add_explicit(counter, 1, memory_order_relaxed);
}

#endif
