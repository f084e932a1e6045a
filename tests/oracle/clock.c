/* clock.c: sets the clock back and forth, for one process. A library to be preloaded
   (tests/libclock.so): what the time of day is to be jumps by up to an hour, every few
   milliseconds; the monotonic clock stays what it is, as it does when somebody sets a clock.

   The kernel knows nothing of it: a wait until a time of day would end at once, or never. So
   nothing may wait for one. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdint.h>
#include <string.h>
#include <sys/time.h>
#include <time.h>

enum { JUMP_MS = 7, MOST_S = 3600 };

static int real_time(clockid_t which, struct timespec *out) {
  static int (*call)(clockid_t, struct timespec *);
  if (!call) {
    void *found = dlsym(RTLD_NEXT, "clock_gettime");
    memcpy(&call, &found, sizeof found);
  }
  return call(which, out);
}

/* The same for all threads at the same moment. */
static int64_t jump_s(void) {
  struct timespec now;
  real_time(CLOCK_MONOTONIC, &now);
  uint64_t slot = ((uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000) / JUMP_MS;
  uint64_t mixed = (slot + 1) * UINT64_C(0x9E3779B97F4A7C15);
  mixed ^= mixed >> 29;
  return (int64_t)(mixed % (2 * MOST_S)) - MOST_S;
}

int clock_gettime(clockid_t which, struct timespec *out) {
  int result = real_time(which, out);
  if (!result && (which == CLOCK_REALTIME || which == CLOCK_REALTIME_COARSE))
    out->tv_sec += jump_s();
  return result;
}

int gettimeofday(struct timeval *restrict out, void *restrict zone) {
  struct timespec now;
  (void)zone;
  clock_gettime(CLOCK_REALTIME, &now);
  *out = (struct timeval){now.tv_sec, now.tv_nsec / 1000};
  return 0;
}

time_t time(time_t *out) {
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  if (out) *out = now.tv_sec;
  return now.tv_sec;
}
