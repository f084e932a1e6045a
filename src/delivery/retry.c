/* The random numbers are splitmix64 (Steele, Lea, Flood 2014): a counter, mixed.

   Full jitter: the whole of the time is random, not a part at its end. Many clients of one
   server then spread evenly, which costs the least calls until all are through. */
#include "delivery/retry.h"

uint64_t tw_random_next(tw_random *random) {
  uint64_t mixed = random->state += 0x9E3779B97F4A7C15;
  mixed = (mixed ^ mixed >> 30) * 0xBF58476D1CE4E5B9;
  mixed = (mixed ^ mixed >> 27) * 0x94D049BB133111EB;
  return mixed ^ mixed >> 31;
}

/* Shifts as far as nothing falls out at the top. */
static uint64_t bound_of(uint64_t min_ns, uint64_t max_ns, uint64_t failures) {
  uint64_t doublings = failures ? failures - 1 : 0;
  if (min_ns >= max_ns || !min_ns) return max_ns;
  if (doublings >= 64 || min_ns > max_ns >> doublings) return max_ns;
  return min_ns << doublings;
}

uint64_t tw_retry_delay(uint64_t min_ns, uint64_t max_ns, uint64_t failures, uint64_t random) {
  uint64_t bound = bound_of(min_ns, max_ns, failures);
  return bound == UINT64_MAX ? random : random % (bound + 1);
}
