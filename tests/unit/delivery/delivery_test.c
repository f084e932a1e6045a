/* The waits of these tests are on conditions, with limits of half a minute that a machine under
   load does not reach; where time itself is what is tested, the clock is turned by hand. */
#include "delivery/delivery.h"

#include <stdatomic.h>

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

static void hear_failure(void *self, const char *path, uint64_t events, const tw_error *error) {
  told *t = self;
  assert_string_equal(path, "db");
  pthread_mutex_lock(&t->mutex);
  t->failures++;
  t->events = events;
  t->last = *error;
  pthread_cond_broadcast(&t->changed);
  pthread_mutex_unlock(&t->mutex);
}

static void hear_change(void *self, const char *path, const char *breaker,
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

static void wait_for_changes(unsigned least) {
  struct timespec end = tw_deadline(30000 * MS);
  pthread_mutex_lock(&heard.mutex);
  while (heard.changes < least)
    if (pthread_cond_timedwait(&heard.changed, &heard.mutex, &end)) break;
  unsigned now = heard.changes;
  pthread_mutex_unlock(&heard.mutex);
  assert_true(now >= least);
}

static hand_clock hands;

static int set_up(void **state) {
  (void)state;
  heard = (told){0};
  pthread_mutex_init(&heard.mutex, NULL);
  tw_condition_init(&heard.changed);
  hand_clock_init(&hands);
  const char *json = "{\"retry\":{\"min\":\"1ms\",\"max\":\"2ms\"}}";
  return tw_delivery_options_read(json, strlen(json), NULL, 0, "db", &options, NULL);
}

static tw_delivery *new_delivery(const tw_clock *clock) {
  tw_delivery *delivery;
  tw_delivery_ops ops = {
      .failed = hear_failure, .changed = hear_change, .self = &heard, .clock = clock};
  assert_int_equal(
      tw_delivery_new(new_memory(0, TW_OVERLOAD_BLOCK), &options, &ops, &delivery, NULL),
      TW_OK);
  return delivery;
}

static tw_delivery *start(destination *to, const tw_clock *clock) {
  tw_delivery *delivery = new_delivery(clock);
  if (to) assert_true(tw_delivery_aim(delivery, to->backend, false));
  assert_int_equal(tw_delivery_start(delivery, NULL), TW_OK);
  return delivery;
}

static void put(tw_delivery *delivery, uint64_t first, uint32_t count) {
  append(tw_delivery_outbox(delivery), chunk_of(first, count, 0));
}

static void await_all(tw_delivery *delivery) {
  struct timespec end = tw_deadline(30000 * MS);
  assert_true(tw_delivery_await(delivery, &end, true));
}

static uint64_t end_with(tw_delivery *delivery) {
  uint64_t waiting = tw_delivery_stop(delivery, NULL);
  tw_delivery_free(delivery);
  return waiting;
}

static tw_outbox_stats stats_of(tw_delivery *delivery) {
  tw_outbox_stats stats;
  tw_delivery_get_stats(delivery, &stats);
  return stats;
}

/* ----------------------------------------------------------------- batches */

static destination to; /* large */

static void events_arrive_in_their_order(void **state) {
  (void)state;
  destination_init(&to, NULL);
  tw_delivery *delivery = start(&to, NULL);
  for (uint64_t n = 0; n < 5000; n += 50) put(delivery, n, 50);
  await_all(delivery);
  assert_got(&to, 0, 5000);
  assert_int_equal(stats_of(delivery).waiting, 0);
  assert_int_equal(to.closed, 0);
  assert_int_equal(end_with(delivery), 0);
  assert_int_equal(to.opened, 1);
  assert_int_equal(to.closed, 1);
  destination_fini(&to);
}

static void batches_cross_the_borders_of_chunks(void **state) {
  (void)state;
  destination_init(&to, NULL);
  options.batch_events = 7;
  tw_delivery *delivery = new_delivery(NULL);
  put(delivery, 0, 3);
  put(delivery, 3, 12);
  put(delivery, 15, 5);
  assert_true(tw_delivery_aim(delivery, to.backend, false));
  assert_int_equal(tw_delivery_start(delivery, NULL), TW_OK);
  await_all(delivery);
  assert_got(&to, 0, 20);
  assert_int_equal(to.calls, 3);
  assert_int_equal(to.sizes[0], 7);
  assert_int_equal(to.sizes[2], 6);
  end_with(delivery);
  destination_fini(&to);
}

static void batches_are_bounded_by_bytes(void **state) {
  (void)state;
  destination_init(&to, NULL);
  options.batch_bytes = 2 * strlen("{\"n\":0}");
  tw_delivery *delivery = new_delivery(NULL);
  put(delivery, 0, 5);
  put(delivery, 1000000, 1); /* longer, but alone it fits: as any event does */
  assert_true(tw_delivery_aim(delivery, to.backend, false));
  assert_int_equal(tw_delivery_start(delivery, NULL), TW_OK);
  await_all(delivery);
  assert_int_equal(to.count, 6);
  assert_int_equal(to.calls, 4);
  assert_int_equal(to.sizes[0], 2);
  end_with(delivery);
  destination_fini(&to);
}

static void a_batch_waits_for_more_events(void **state) {
  (void)state;
  destination_init(&to, NULL);
  options.batch_ns = 1000 * MS;
  tw_delivery *delivery = start(&to, &hands.clock);
  put(delivery, 0, 2);
  put(delivery, 2, 2);
  turn(&hands, delivery, 900000);
  put(delivery, 4, 1);
  assert_int_equal(calls_of(&to), 0);
  while (!calls_of(&to)) turn(&hands, delivery, 50000);
  wait_until(&to, &to.calls, 1);
  await_all(delivery);
  assert_got(&to, 0, 5);
  end_with(delivery);
  destination_fini(&to);
}

static void nothing_waits_for_more_when_somebody_waits_for_it(void **state) {
  (void)state;
  destination_init(&to, NULL);
  options.batch_ns = 3600000 * MS;
  tw_delivery *delivery = start(&to, NULL);
  put(delivery, 0, 2);
  await_all(delivery);
  assert_got(&to, 0, 2);
  end_with(delivery);
  destination_fini(&to);
}

/* ----------------------------------------------------------------- answers */

static tw_status take_some(destination *d, const uint64_t *numbers, size_t count,
                           tw_delivered *done, tw_error *error) {
  (void)numbers;
  if (d->calls % 3 == 0) return TW_OK;
  done->count = count / 2;
  return tw_fail(error, TW_EIO, "the disk is full");
}

static void what_was_delivered_of_a_batch_is_not_sent_again(void **state) {
  (void)state;
  destination_init(&to, take_some);
  tw_delivery *delivery = start(&to, NULL);
  put(delivery, 0, 500);
  await_all(delivery);
  assert_got(&to, 0, 500);
  assert_true(stats_of(delivery).retries > 0);
  assert_int_equal(heard.failures, stats_of(delivery).retries);
  assert_string_equal(heard.last.message, "the disk is full");
  end_with(delivery);
  destination_fini(&to);
}

static tw_status refuse_thirteens(destination *d, const uint64_t *numbers, size_t count,
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

static void refused_events_become_dead_letters_and_no_others(void **state) {
  (void)state;
  for (int exact = 0; exact < 2; exact++) {
    bool is_exact = exact;
    destination_init_with(&to, refuse_thirteens, &is_exact, 0);
    tw_delivery *delivery = start(&to, NULL);
    for (uint64_t n = 0; n < 2000; n += 250) put(delivery, n, 250);
    await_all(delivery);
    assert_int_equal(to.count, 1980);
    for (size_t i = 0, n = 0; i < to.count; i++, n++) {
      n += n % 100 == 13;
      assert_int_equal(to.got[i], n);
    }
    assert_int_equal(stats_of(delivery).dead, 20);
    assert_string_equal(stats_of(delivery).breaker, "closed");
    assert_int_equal(stats_of(delivery).waiting, 0);
    assert_int_equal(heard.events, 1);
    assert_int_equal(heard.last.code, TW_EREFUSED);
    assert_int_equal(heard.failures, exact ? 40 : 20);
    end_with(delivery);
    destination_fini(&to);
  }
}

/* ----------------------------------------------------------------- breaker */

/* Turns the clock in small steps until so many calls were made. */
static void turn_until(tw_delivery *delivery, unsigned calls) {
  while (calls_of(&to) < calls) turn(&hands, delivery, 1000);
}

static void answer_with(answer_fn answer) {
  pthread_mutex_lock(&to.mutex);
  to.answer = answer;
  pthread_mutex_unlock(&to.mutex);
}

static void a_backend_that_fails_again_and_again_is_left_alone(void **state) {
  (void)state;
  destination_init(&to, fail_all);
  options.breaker_failures = 3;
  options.breaker_rest_ns = 5000 * MS;
  options.breaker_probes = 2;
  tw_delivery *delivery = start(&to, &hands.clock);
  put(delivery, 0, 50);
  turn_until(delivery, 3);
  wait_for_changes(1);
  assert_string_equal(stats_of(delivery).breaker, "open");
  assert_string_equal(heard.why.message, "the server is away");
  assert_false(tw_delivery_await(delivery, NULL, false));
  turn(&hands, delivery, 4999000);
  assert_int_equal(calls_of(&to), 3);
  turn(&hands, delivery, 1000);
  wait_until(&to, &to.calls, 4);
  wait_for_changes(3);
  assert_string_equal(heard.breakers, "open half-open open ");
  answer_with(NULL);
  turn(&hands, delivery, 5000000);
  wait_until(&to, &to.calls, 7);
  await_all(delivery);
  assert_got(&to, 0, 50);
  for (int i = 0; i < 3; i++) assert_int_equal(to.sizes[i], 50);
  for (int i = 3; i < 6; i++) assert_int_equal(to.sizes[i], 10);
  assert_int_equal(to.sizes[6], 30);
  assert_string_equal(heard.breakers, "open half-open open half-open closed ");
  assert_int_equal(heard.why.code, TW_OK);
  assert_int_equal(stats_of(delivery).retries, 4);
  end_with(delivery);
  destination_fini(&to);
}

int main(void) {
  tw_oom_install();
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup(events_arrive_in_their_order, set_up),
      cmocka_unit_test_setup(batches_cross_the_borders_of_chunks, set_up),
      cmocka_unit_test_setup(batches_are_bounded_by_bytes, set_up),
      cmocka_unit_test_setup(a_batch_waits_for_more_events, set_up),
      cmocka_unit_test_setup(nothing_waits_for_more_when_somebody_waits_for_it, set_up),
      cmocka_unit_test_setup(what_was_delivered_of_a_batch_is_not_sent_again, set_up),
      cmocka_unit_test_setup(refused_events_become_dead_letters_and_no_others, set_up),
      cmocka_unit_test_setup(a_backend_that_fails_again_and_again_is_left_alone, set_up),
  };
  return cmocka_run_group_tests(tests, NULL, tw_oom_leaves_nothing);
}
