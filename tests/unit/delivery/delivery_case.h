/// delivery_case.h: what tests of deliveries share: one delivery, what it tells, one
/// destination.
///
/// Their waits are on conditions, with limits of half a minute that a machine under load does
/// not reach; where time itself is what is tested, the clock is turned by hand.
#ifndef TW_UNIT_DELIVERY_CASE_H
#define TW_UNIT_DELIVERY_CASE_H

#include "support/destination.h"
#include "support/oom.h"

#define MS UINT64_C(1000000)

static tw_delivery_options options; /* set anew for each test */

/* What a delivery has told. */
typedef struct told {
  pthread_mutex_t mutex;
  pthread_cond_t changed;
  unsigned failures, changes;
  uint64_t events; /* of the last failure */
  tw_error last, why;
  char breakers[256]; /* "open half-open " */
} told;
static told heard;

static inline void hear_failure(void *self, const char *path, uint64_t events,
                                const tw_error *error) {
  told *t = self;
  assert_string_equal(path, "db");
  pthread_mutex_lock(&t->mutex);
  t->failures++;
  t->events = events;
  t->last = *error;
  pthread_cond_broadcast(&t->changed);
  pthread_mutex_unlock(&t->mutex);
}

static inline void hear_change(void *self, const char *path, const char *breaker,
                               const tw_error *why) {
  told *t = self;
  assert_string_equal(path, "db");
  pthread_mutex_lock(&t->mutex);
  t->changes++;
  t->why = *why;
  size_t len = strlen(t->breakers);
  snprintf(t->breakers + len, sizeof t->breakers - len, "%s ", breaker);
  pthread_cond_broadcast(&t->changed);
  pthread_mutex_unlock(&t->mutex);
}

static inline void wait_for_changes(unsigned least) {
  struct timespec end = tw_deadline(30000 * MS);
  pthread_mutex_lock(&heard.mutex);
  while (heard.changes < least)
    if (pthread_cond_timedwait(&heard.changed, &heard.mutex, &end)) break;
  unsigned now = heard.changes;
  pthread_mutex_unlock(&heard.mutex);
  assert_true(now >= least);
}

static hand_clock hands;

static inline int set_up(void **state) {
  (void)state;
  heard = (told){0};
  pthread_mutex_init(&heard.mutex, NULL);
  tw_condition_init(&heard.changed);
  hand_clock_init(&hands);
  const char *json = "{\"retry\":{\"min\":\"1ms\",\"max\":\"2ms\"}}";
  if (tw_delivery_options_read(json, strlen(json), NULL, 0, "db", &options, NULL)) return -1;
  options.timeout_ns = 0; /* who turns a clock may turn it faster than a thread runs */
  return 0;
}

static inline tw_delivery *new_delivery(const tw_clock *clock) {
  tw_delivery *delivery;
  tw_delivery_ops ops = {
      .failed = hear_failure, .changed = hear_change, .self = &heard, .clock = clock};
  assert_int_equal(
      tw_delivery_new(new_memory(0, TW_OVERLOAD_BLOCK), &options, &ops, &delivery, NULL),
      TW_OK);
  return delivery;
}

static inline tw_delivery *start(destination *to, const tw_clock *clock) {
  tw_delivery *delivery = new_delivery(clock);
  if (to) assert_true(tw_delivery_aim(delivery, to->backend, false));
  assert_int_equal(tw_delivery_start(delivery, NULL), TW_OK);
  return delivery;
}

static inline void put(tw_delivery *delivery, uint64_t first, uint32_t count) {
  append(tw_delivery_outbox(delivery), chunk_of(first, count, 0));
}

static inline void await_all(tw_delivery *delivery) {
  struct timespec end = tw_deadline(30000 * MS);
  assert_true(tw_delivery_await(delivery, &end, true));
}

static inline uint64_t end_with(tw_delivery *delivery) {
  uint64_t waiting = tw_delivery_stop(delivery, NULL);
  tw_delivery_free(delivery);
  return waiting;
}

static inline tw_outbox_stats stats_of(tw_delivery *delivery) {
  tw_outbox_stats stats;
  tw_delivery_get_stats(delivery, &stats);
  return stats;
}

static destination to; /* large */

/* Turns the clock in small steps until so many calls were made. */
static inline void turn_until(tw_delivery *delivery, unsigned calls) {
  while (calls_of(&to) < calls) turn(&hands, delivery, 1000);
}

static inline void answer_with(answer_fn answer) {
  pthread_mutex_lock(&to.mutex);
  to.answer = answer;
  pthread_mutex_unlock(&to.mutex);
}

/* Says which one it is, or not, as the test wants. */
static inline tw_status refuse_thirteens(destination *d, const uint64_t *numbers, size_t count,
                                         tw_delivered *done, tw_error *error) {
  bool *is_exact = d->self;
  for (size_t i = 0; i < count; i++) {
    if (numbers[i] % 100 != 13) continue;
    done->count = *is_exact ? i : 0;
    done->is_exact = *is_exact;
    return tw_fail(error, TW_EREFUSED, "thirteen is not wanted here");
  }
  return TW_OK;
}

#endif
