/* uuid.c: UUIDv7 (RFC 9562), monotonic within the process.
 *
 * The first 60 bits after version and variant are the time: milliseconds, and their fraction
 * in 1/4096 (the RFC's method 3). Each takes the time or the last one's plus one, whichever
 * is greater, with one atomic exchange; so they ascend over all threads also when the clock
 * stands or is set back. The other 62 bits are random, from the kernel, in advance for many.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "base/clock.h"
#include "tidewire.h"

static _Atomic uint64_t last_time;

/* Random bytes of this thread. A fork copies them, so the child must throw them away:
   `forks` counts how often that was so. */
static atomic_uint forks;

typedef struct random_pool {
  unsigned forks;
  uint32_t left;
  uint64_t words[32];
} random_pool;
static __thread random_pool pool;

static void count_fork(void) { atomic_fetch_add(&forks, 1); }
static void watch_forks(void) { pthread_atfork(NULL, NULL, count_fork); }

/* Without the kernel's randomness: the address, time and a strong mix (splitmix64). */
static void fill_weakly(void) {
  uint64_t x = tw_clock_monotonic_ns() ^ (uint64_t)(uintptr_t)&pool << 16;
  for (size_t i = 0; i < sizeof pool.words / sizeof *pool.words; i++) {
    uint64_t z = x += 0x9e3779b97f4a7c15;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    pool.words[i] = z ^ z >> 31;
  }
}

static uint64_t next_random(void) {
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  unsigned now = atomic_load_explicit(&forks, memory_order_relaxed);
  if (!pool.left || pool.forks != now) {
    pthread_once(&once, watch_forks);
    /* Up to 256 bytes come whole, once the kernel has any. */
    if (getrandom(pool.words, sizeof pool.words, 0) != sizeof pool.words) fill_weakly();
    pool.left = sizeof pool.words / sizeof *pool.words;
    pool.forks = now;
  }
  return pool.words[--pool.left];
}

/* Milliseconds since 1970 and 12 bits of their fraction. */
static uint64_t read_time(void) {
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  uint64_t ns = (uint64_t)now.tv_nsec;
  uint64_t ms = (uint64_t)now.tv_sec * 1000 + ns / 1000000;
  return ms << 12 | (ns % 1000000 << 12) / 1000000;
}

static uint64_t next_time(void) {
  uint64_t now = read_time(), next;
  uint64_t last = atomic_load_explicit(&last_time, memory_order_relaxed);
  do next = now > last ? now : last + 1;
  while (!atomic_compare_exchange_weak_explicit(&last_time, &last, next, memory_order_relaxed,
                                                memory_order_relaxed));
  return next;
}

/* Appends `count` hexadecimal digits of the top of `bits`. */
static char *put_hex(char *out, uint64_t bits, int count) {
  for (int i = 0; i < count; i++, bits <<= 4) *out++ = "0123456789abcdef"[bits >> 60];
  return out;
}

void tw_uuid7(char out[37]) {
  uint64_t time = next_time();
  uint64_t high = (time >> 12) << 16 | 0x7000 | (time & 0xfff);
  uint64_t low = (next_random() >> 2) | (uint64_t)1 << 63;
  out = put_hex(out, high, 8);
  *out++ = '-';
  out = put_hex(out, high << 32, 4);
  *out++ = '-';
  out = put_hex(out, high << 48, 4);
  *out++ = '-';
  out = put_hex(out, low, 4);
  *out++ = '-';
  out = put_hex(out, low << 16, 12);
  *out = '\0';
}
