/* Random answers to random batches out of random chunks: whatever the backend says, each event
   arrives, in the order in which events were routed, or is a dead letter once. */
#include <unistd.h>

#include "delivery/retry.h"
#include "unit/delivery/delivery_case.h"

enum { ROUNDS = 60, EVENTS = 1500 };

typedef struct world {
  tw_random random;
  unsigned dead[EVENTS];      /* letters of each event */
  unsigned delivered[EVENTS]; /* times that the destination has got it */
  bool is_bad[EVENTS];        /* refused whenever it comes */
  bool is_in_order;           /* a batch begins no later than behind what was there before */
  uint64_t next;              /* number behind the last that was through in order */
} world;

static uint64_t dice(world *w, uint64_t sides) { return tw_random_next(&w->random) % sides; }

static size_t first_bad(const world *w, const uint64_t *numbers, size_t count) {
  size_t i = 0;
  while (i < count && !w->is_bad[numbers[i]]) i++;
  return i;
}

/* How far the batch goes this time, and what is said then. */
static tw_status make_up(world *w, const uint64_t *numbers, size_t count, tw_delivered *done,
                         tw_error *error) {
  size_t bad = first_bad(w, numbers, count);
  switch (dice(w, 8)) {
    case 0: return tw_fail(error, TW_EIO, "away");
    case 1: done->count = dice(w, bad + 1); return tw_fail(error, TW_EIO, "away in between");
    case 2: return tw_fail(error, TW_EDISABLED, "disabled");
    case 3: done->retry_after_ms = 1; return tw_fail(error, TW_ELIMIT, "too fast");
    default: break;
  }
  if (bad == count) return TW_OK;
  done->is_exact = dice(w, 2);
  done->count = done->is_exact ? bad : dice(w, bad + 1);
  return tw_fail(error, TW_EREFUSED, "refused");
}

static tw_status answer_at_random(destination *d, const uint64_t *numbers, size_t count,
                                  tw_delivered *done, tw_error *error) {
  world *w = d->self;
  if (dice(w, 40) == 0) usleep(500);
  for (size_t i = 1; i < count; i++) w->is_in_order &= numbers[i] > numbers[i - 1];
  tw_status status = make_up(w, numbers, count, done, error);
  size_t through = status ? done->count : count;
  for (size_t i = 0; i < through; i++) {
    w->delivered[numbers[i]]++;
    w->is_in_order &= numbers[i] >= w->next;
    w->next = numbers[i] + 1;
  }
  return status;
}

static void keep_letter(void *self, const char *path, const char *json, size_t len) {
  world *w = self;
  const char *id = strstr(json, "\"id\":\"");
  (void)path, (void)len;
  assert_non_null(id);
  w->dead[strtoull(id + 6, NULL, 10)]++;
}

static void make_options(world *w) {
  options.batch_events = 1 + dice(w, 80);
  options.batch_bytes = 20 + dice(w, 1500);
  options.batch_ns = dice(w, 3) ? 0 : MS;
  options.retry_min_ns = 10000;
  options.retry_max_ns = 200000;
  options.attempts = dice(w, 2) ? 0 : 1 + dice(w, 4);
  options.breaker_failures = 1 + dice(w, 6);
  options.breaker_rest_ns = 1 + dice(w, 300000);
  options.breaker_probes = 1 + dice(w, 3);
  options.max_in_flight = dice(w, 2) ? 1 : 1 + (unsigned)dice(w, 5);
}

static tw_delivery *start_world(world *w) {
  tw_outbox *outbox;
  tw_delivery *delivery;
  const tw_outbox_bounds bounds = {0};
  const tw_delivery_ops ops = {0};
  assert_int_equal(tw_outbox_new_memory("db", &bounds, keep_letter, w, &outbox, NULL), TW_OK);
  assert_int_equal(tw_delivery_new(outbox, &options, &ops, &delivery, NULL), TW_OK);
  assert_true(tw_delivery_aim(delivery, to.backend, false));
  assert_int_equal(tw_delivery_start(delivery, NULL), TW_OK);
  return delivery;
}

static void append_all(world *w, tw_delivery *delivery) {
  for (uint64_t n = 0; n < EVENTS;) {
    uint64_t count = 1 + dice(w, 120);
    if (count > EVENTS - n) count = EVENTS - n;
    put(delivery, n, (uint32_t)count);
    n += count;
  }
}

static void one_round(uint64_t seed) {
  static world w;
  w = (world){.random = {seed}, .is_in_order = true};
  for (size_t i = 0; i < EVENTS; i++) w.is_bad[i] = dice(&w, 50) == 0;
  make_options(&w);
  bool is_ordered = options.max_in_flight == 1;
  destination_init_with(&to, answer_at_random, &w, 0);
  world choices = {.random = {seed + 1}}; /* the destination's threads use the other one */
  tw_delivery *delivery = start_world(&w);
  append_all(&choices, delivery);
  await_all(delivery);
  tw_outbox_stats stats = stats_of(delivery);
  assert_int_equal(end_with(delivery), 0);
  unsigned dead = 0;
  for (size_t i = 0; i < EVENTS; i++) {
    if (w.delivered[i] + w.dead[i] != 1 || (w.is_bad[i] && !w.dead[i]) ||
        (!options.attempts && !w.is_bad[i] && w.dead[i]))
      fail_msg("seed %llu: event %zu came %u times, and %u times as a dead letter",
               (unsigned long long)seed, i, w.delivered[i], w.dead[i]);
    dead += w.dead[i];
  }
  assert_int_equal(stats.dead, dead);
  assert_int_equal(stats.waiting, 0);
  assert_int_equal(stats.waiting_bytes, 0);
  if (is_ordered) assert_true(w.is_in_order);
  destination_fini(&to);
}

static void every_event_arrives_in_order_or_is_a_dead_letter_once(void **state) {
  (void)state;
  for (uint64_t seed = 1; seed <= ROUNDS; seed++) one_round(seed * 1000);
}

/* ------------------------------------------------------------ shed as well */

typedef struct flood {
  tw_delivery *delivery;
  uint64_t first, shed;
} flood;

enum { FLOODERS = 3, EACH = 4000 };

static void *pour(void *self) {
  flood *f = self;
  for (uint64_t n = 0; n < EACH; n += 4) {
    uint64_t shed;
    tw_chunk *chunk = mixed_chunk(f->first + n, n % 3 ? "nlnh" : "hlln");
    if (tw_outbox_append(tw_delivery_outbox(f->delivery), chunk, &shed, NULL) == TW_OK)
      f->shed += shed;
  }
  return NULL;
}

static tw_status refuse_some(destination *d, const uint64_t *numbers, size_t count,
                             tw_delivered *done, tw_error *error) {
  for (size_t i = 0; i < count; i++) {
    if (numbers[i] % 37) continue;
    done->count = i;
    done->is_exact = true;
    return tw_fail(error, TW_EREFUSED, "refused");
  }
  done->count = d->calls % 5 ? 0 : count / 2;
  return d->calls % 5 ? TW_OK : tw_fail(error, TW_EIO, "away");
}

static void what_came_is_delivered_dead_or_shed_exactly(void **state) {
  (void)state;
  for (int overload = TW_OVERLOAD_NEWEST; overload <= TW_OVERLOAD_OLDEST; overload++) {
    pthread_t threads[FLOODERS];
    flood floods[FLOODERS];
    destination_init(&to, refuse_some);
    options.batch_events = 30;
    options.max_in_flight = 2;
    options.bounds = (tw_outbox_bounds){.max_events = 100, .overload = (tw_overload)overload};
    tw_delivery *delivery = new_delivery(NULL);
    tw_delivery_tune(delivery, &options);
    assert_true(tw_delivery_aim(delivery, to.backend, false));
    assert_int_equal(tw_delivery_start(delivery, NULL), TW_OK);
    for (int i = 0; i < FLOODERS; i++) {
      floods[i] = (flood){delivery, (uint64_t)i * EACH, 0};
      pthread_create(&threads[i], NULL, pour, &floods[i]);
    }
    uint64_t shed = 0;
    for (int i = 0; i < FLOODERS; i++) {
      pthread_join(threads[i], NULL);
      shed += floods[i].shed;
    }
    await_all(delivery);
    tw_outbox_stats stats = stats_of(delivery);
    assert_int_equal(stats.shed, shed);
    assert_int_equal(to.count + stats.dead + stats.shed, FLOODERS * EACH);
    assert_true(shed > 0);
    assert_int_equal(end_with(delivery), 0);
    destination_fini(&to);
  }
}

int main(void) {
  tw_oom_install();
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup(every_event_arrives_in_order_or_is_a_dead_letter_once, set_up),
      cmocka_unit_test_setup(what_came_is_delivered_dead_or_shed_exactly, set_up),
  };
  return cmocka_run_group_tests(tests, NULL, tw_oom_leaves_nothing);
}
