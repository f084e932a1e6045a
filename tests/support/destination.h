/// destination.h: a backend for tests of deliveries, which answers as it is told and remembers
/// what it got; and a clock that is turned by hand.
#ifndef TW_SUPPORT_DESTINATION_H
#define TW_SUPPORT_DESTINATION_H

#include <pthread.h>
#include <string.h>

#include "base/wait.h"
#include "core/backend.h"
#include "delivery/delivery.h"
#include "support/chunks.h"

enum { MOST_EVENTS = 20000, MOST_CALLS = 4096 };

typedef struct destination destination;

/// What to say to a batch. Called with the mutex of the destination, which it may let go of.
/// @param numbers  of its events
typedef tw_status (*answer_fn)(destination *to, const uint64_t *numbers, size_t count,
                               tw_delivered *done, tw_error *error);

struct destination {
  pthread_mutex_t mutex;
  pthread_cond_t changed;
  answer_fn answer; ///< NULL: it takes everything
  void *self;       ///< the test's
  tw_backend *backend;
  tw_status open_status;
  bool is_held; ///< calls wait until it is not
  unsigned calls, waiting, opened, closed, freed;
  size_t sizes[MOST_CALLS]; ///< of the batches of the calls
  int time_left;            ///< of the last call
  uint64_t got[MOST_EVENTS];
  size_t count; ///< of events that it has got
};

static inline tw_status destination_open(void *self, tw_error *error) {
  destination *to = self;
  pthread_mutex_lock(&to->mutex);
  tw_status status = to->open_status;
  to->opened += !status;
  to->calls += status != TW_OK;
  pthread_cond_broadcast(&to->changed);
  pthread_mutex_unlock(&to->mutex);
  return status ? tw_fail(error, status, "it does not open") : TW_OK;
}

static inline void destination_close(void *self) {
  destination *to = self;
  pthread_mutex_lock(&to->mutex);
  to->closed++;
  pthread_cond_broadcast(&to->changed);
  pthread_mutex_unlock(&to->mutex);
}

static inline tw_status destination_send(void *self, tw_event *event, unsigned flags,
                                         tw_error *error) {
  (void)self, (void)event, (void)flags;
  return tw_fail(error, TW_EINVAL, "only whole batches come here");
}

static inline void destination_keep(destination *to, const uint64_t *numbers, size_t count) {
  for (size_t i = 0; i < count && to->count < MOST_EVENTS; i++)
    to->got[to->count++] = numbers[i];
}

static inline tw_status destination_deliver(void *self, tw_batch *batch, tw_delivered *done,
                                            tw_error *error) {
  static __thread uint64_t numbers[MOST_EVENTS];
  destination *to = self;
  size_t count = tw_batch_count(batch);
  for (size_t i = 0; i < count; i++) {
    const char *id;
    size_t len;
    tw_batch_id(batch, i, &id, &len);
    numbers[i] = number_of(id, len);
  }
  pthread_mutex_lock(&to->mutex);
  if (to->calls < MOST_CALLS) to->sizes[to->calls] = count;
  to->calls++;
  to->time_left = tw_batch_time_left(batch);
  to->waiting++;
  pthread_cond_broadcast(&to->changed);
  while (to->is_held) pthread_cond_wait(&to->changed, &to->mutex);
  to->waiting--;
  tw_status status = to->answer ? to->answer(to, numbers, count, done, error) : TW_OK;
  destination_keep(to, numbers, status ? done->count : count);
  pthread_cond_broadcast(&to->changed);
  pthread_mutex_unlock(&to->mutex);
  return status;
}

static inline void destination_freed(void *self) {
  destination *to = self;
  pthread_mutex_lock(&to->mutex);
  to->freed++;
  pthread_cond_broadcast(&to->changed);
  pthread_mutex_unlock(&to->mutex);
}

static inline void destination_init_with(destination *to, answer_fn answer, void *self,
                                         unsigned flags) {
  static const tw_backend_ops ops = {.open = destination_open,
                                     .close = destination_close,
                                     .send = destination_send,
                                     .deliver = destination_deliver,
                                     .free = destination_freed};
  memset(to, 0, sizeof *to);
  pthread_mutex_init(&to->mutex, NULL);
  tw_condition_init(&to->changed);
  to->answer = answer;
  to->self = self;
  assert_int_equal(tw_backend_new(&ops, to, flags, &to->backend, NULL), TW_OK);
}
static inline void destination_init(destination *to, answer_fn answer) {
  destination_init_with(to, answer, NULL, 0);
}

static inline void destination_fini(destination *to) {
  tw_backend_unref(to->backend);
  pthread_cond_destroy(&to->changed);
  pthread_mutex_destroy(&to->mutex);
}

/// Waits for at most half a minute until a count of the destination has come so far.
static inline void wait_until(destination *to, const unsigned *counter, unsigned least) {
  struct timespec end = tw_deadline(UINT64_C(30000000000));
  pthread_mutex_lock(&to->mutex);
  while (*counter < least)
    if (pthread_cond_timedwait(&to->changed, &to->mutex, &end)) break;
  unsigned now = *counter;
  pthread_mutex_unlock(&to->mutex);
  assert_true(now >= least);
}

static inline unsigned calls_of(destination *to) {
  pthread_mutex_lock(&to->mutex);
  unsigned calls = to->calls;
  pthread_mutex_unlock(&to->mutex);
  return calls;
}

static inline void hold(destination *to, bool is_held) {
  pthread_mutex_lock(&to->mutex);
  to->is_held = is_held;
  pthread_cond_broadcast(&to->changed);
  pthread_mutex_unlock(&to->mutex);
}

/// That it has got these numbers, in this order, and no others.
static inline void assert_got(destination *to, uint64_t first, size_t count) {
  pthread_mutex_lock(&to->mutex);
  assert_int_equal(to->count, count);
  for (size_t i = 0; i < count; i++) assert_int_equal(to->got[i], first + i);
  pthread_mutex_unlock(&to->mutex);
}

static inline tw_status fail_all(destination *to, const uint64_t *numbers, size_t count,
                                 tw_delivered *done, tw_error *error) {
  (void)to, (void)numbers, (void)count, (void)done;
  return tw_fail(error, TW_EIO, "the server is away");
}

/* ------------------------------------------------------------------- clock */

/// Both its clocks tell what was set.
typedef struct hand_clock {
  _Atomic int64_t steady_us, utc_us;
  tw_clock clock;
} hand_clock;

static inline int64_t hand_steady(void *self) { return ((hand_clock *)self)->steady_us; }
static inline int64_t hand_utc(void *self) { return ((hand_clock *)self)->utc_us; }
static inline void hand_clock_init(hand_clock *clock) {
  clock->steady_us = 1000000;
  clock->utc_us = INT64_C(1790000000000000);
  clock->clock = (tw_clock){hand_utc, hand_steady, clock};
}
static inline void turn(hand_clock *clock, tw_delivery *delivery, int64_t us) {
  clock->steady_us += us;
  tw_delivery_nudge(delivery);
}

#endif
