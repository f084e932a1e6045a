/* The processor's number costs no more than reading a thread's variable where the kernel
   keeps it there (restartable sequences), and some nanoseconds elsewhere. */
#define _GNU_SOURCE // sched_getcpu; NOLINT(bugprone-reserved-identifier)
#include "base/lane.h"

#include <sched.h>

/* A kernel that does not tell has everybody in one lane. */
unsigned tw_lane_here(void) {
  int processor = sched_getcpu();
  return processor < 0 ? 0 : (unsigned)processor % TW_LANES;
}
