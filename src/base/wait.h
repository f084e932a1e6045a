/// wait.h: waiting on conditions by a clock that is never set.
#ifndef TW_BASE_WAIT_H
#define TW_BASE_WAIT_H

#include <pthread.h>
#include <stdint.h>
#include <time.h>

/// A condition whose timed waits take a tw_deadline.
void tw_condition_init(pthread_cond_t *condition);
/// The time so many nanoseconds from now, on the clock of such conditions.
struct timespec tw_deadline(uint64_t ns);

#endif
