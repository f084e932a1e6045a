/* What fails: tries, dead letters, the breaker, times to wait. */
#include <unistd.h>

#include "unit/delivery/delivery_case.h"

static struct {
  unsigned count;
  char last[512];
} letters;

static void keep_letter(void *self, const char *path, const char *json, size_t len) {
  (void)self;
  assert_string_equal(path, "db");
  letters.count++;
  snprintf(letters.last, sizeof letters.last, "%.*s", (int)len, json);
}

/* A delivery whose dead letters are kept. */
static tw_delivery *start_with_letters(const tw_clock *clock) {
  tw_outbox *outbox;
  tw_delivery *delivery;
  const tw_outbox_bounds bounds = {0};
  const tw_delivery_ops ops = {
      .failed = hear_failure, .changed = hear_change, .self = &heard, .clock = clock};
  letters.count = 0;
  assert_int_equal(tw_outbox_new_memory("db", &bounds, keep_letter, NULL, &outbox, NULL),
                   TW_OK);
  assert_int_equal(tw_delivery_new(outbox, &options, &ops, &delivery, NULL), TW_OK);
  assert_true(tw_delivery_aim(delivery, to.backend, false));
  assert_int_equal(tw_delivery_start(delivery, NULL), TW_OK);
  return delivery;
}

/* ---------------------------------------------------------------- attempts */

static tw_status choke_on_five(destination *d, const uint64_t *numbers, size_t count,
                               tw_delivered *done, tw_error *error) {
  (void)d, (void)done;
  for (size_t i = 0; i < count; i++)
    if (numbers[i] == 5) return tw_fail(error, TW_ESCRIPT, "five is too much");
  return TW_OK;
}

static void after_so_many_tries_events_go_alone_and_what_fails_is_dead(void **state) {
  (void)state;
  destination_init(&to, choke_on_five);
  options.attempts = 3;
  tw_delivery *delivery = start_with_letters(&hands.clock);
  put(delivery, 0, 20);
  turn_until(delivery, 3);
  await_all(delivery); /* nothing waits any more */
  assert_int_equal(to.count, 19);
  for (size_t i = 0; i < 19; i++) assert_int_equal(to.got[i], i + (i >= 5));
  assert_int_equal(to.calls, 3 + 20);
  assert_int_equal(letters.count, 1);
  const char *expected =
      "{\"time\":\"2026-09-21T14:13:20.000000Z\",\"where\":\"backend\","
      "\"path\":\"db\",\"error\":\"five is too much\","
      "\"status\":\"script\",\"attempts\":4,\"generation\":7,"
      "\"id\":\"5\",\"event\":{\"n\":5}}";
  assert_string_equal(letters.last, expected);
  assert_int_equal(stats_of(delivery).dead, 1);
  assert_int_equal(stats_of(delivery).retries, 3);
  end_with(delivery);
  destination_fini(&to);
}

static void an_event_that_goes_alone_anyway_is_dead_after_its_tries(void **state) {
  (void)state;
  destination_init(&to, choke_on_five);
  options.attempts = 3;
  tw_delivery *delivery = start_with_letters(NULL);
  put(delivery, 5, 1);
  await_all(delivery);
  assert_int_equal(to.calls, 3);
  assert_non_null(strstr(letters.last, "\"attempts\":3,"));
  end_with(delivery);
  destination_fini(&to);
}

/* Those of the failures that open the breaker, and then no more, however long it takes. */
static void a_backend_that_is_away_for_an_hour_makes_few_dead_letters(void **state) {
  (void)state;
  destination_init(&to, fail_all);
  options.attempts = 2;
  options.breaker_failures = 5;
  options.breaker_rest_ns = 60000 * MS;
  tw_delivery *delivery = start_with_letters(&hands.clock);
  put(delivery, 0, 100);
  turn_until(delivery, 5);
  for (int64_t i = 0; i < 60; i++) {
    unsigned calls = calls_of(&to);
    while (calls_of(&to) == calls) turn(&hands, delivery, 1000000);
  }
  assert_int_equal(letters.count, 3);
  answer_with(NULL);
  while (stats_of(delivery).waiting) turn(&hands, delivery, 1000000);
  assert_int_equal(to.count, 97);
  for (size_t i = 0; i < 97; i++) assert_int_equal(to.got[i], i + 3);
  assert_int_equal(letters.count, 3);
  end_with(delivery);
  destination_fini(&to);
}

static tw_status say_disabled(destination *d, const uint64_t *numbers, size_t count,
                              tw_delivered *done, tw_error *error) {
  (void)d, (void)numbers, (void)count, (void)done;
  return tw_fail(error, TW_EDISABLED, "the password is wrong");
}

static void a_disabled_backend_opens_the_breaker_at_once_and_costs_no_event(void **state) {
  (void)state;
  destination_init(&to, say_disabled);
  options.attempts = 1;
  tw_delivery *delivery = start_with_letters(&hands.clock);
  put(delivery, 0, 3);
  wait_for_changes(1);
  assert_string_equal(heard.breakers, "open ");
  assert_string_equal(heard.why.message, "nothing is sent for 5s: the password is wrong");
  turn(&hands, delivery, 5000000);
  wait_for_changes(3);
  assert_string_equal(heard.breakers, "open half-open open ");
  assert_int_equal(letters.count, 0);
  answer_with(NULL);
  turn(&hands, delivery, 5000000);
  await_all(delivery);
  assert_got(&to, 0, 3);
  end_with(delivery);
  destination_fini(&to);
}

static void a_backend_that_does_not_open_costs_no_event(void **state) {
  (void)state;
  destination_init(&to, NULL);
  to.open_status = TW_EIO;
  options.attempts = 1;
  tw_delivery *delivery = start_with_letters(&hands.clock);
  put(delivery, 0, 3);
  turn_until(delivery, 4);
  assert_int_equal(to.opened, 0);
  pthread_mutex_lock(&to.mutex);
  to.open_status = TW_OK;
  pthread_mutex_unlock(&to.mutex);
  while (stats_of(delivery).waiting) turn(&hands, delivery, 1000);
  assert_got(&to, 0, 3);
  assert_int_equal(to.opened, 1);
  assert_int_equal(letters.count, 0);
  assert_string_equal(heard.last.message, "it does not open");
  assert_true(stats_of(delivery).retries >= 4);
  end_with(delivery);
  destination_fini(&to);
}

/* -------------------------------------------------------------------- time */

static tw_status ask_for_a_minute(destination *d, const uint64_t *numbers, size_t count,
                                  tw_delivered *done, tw_error *error) {
  (void)numbers, (void)count;
  if (d->calls > 1) return TW_OK;
  done->retry_after_ms = 60000;
  return tw_fail(error, TW_EIO, "too many requests");
}

static void a_backend_is_left_alone_for_as_long_as_it_asks(void **state) {
  (void)state;
  destination_init(&to, ask_for_a_minute);
  tw_delivery *delivery = start(&to, &hands.clock);
  put(delivery, 0, 3);
  struct timespec end = tw_deadline(30000 * MS);
  pthread_mutex_lock(&heard.mutex);
  while (!heard.failures) pthread_cond_timedwait(&heard.changed, &heard.mutex, &end);
  pthread_mutex_unlock(&heard.mutex);
  turn(&hands, delivery, 59999000);
  assert_int_equal(calls_of(&to), 1);
  turn(&hands, delivery, 1000);
  await_all(delivery);
  assert_int_equal(calls_of(&to), 2);
  assert_got(&to, 0, 3);
  end_with(delivery);
  destination_fini(&to);
}

static void the_time_of_day_moves_no_waits(void **state) {
  (void)state;
  destination_init(&to, fail_all);
  options.retry_min_ns = options.retry_max_ns = 1000 * MS;
  options.breaker_failures = 1000;
  tw_delivery *delivery = start(&to, &hands.clock);
  put(delivery, 0, 3);
  wait_until(&to, &to.calls, 1);
  int64_t before = hands.steady_us;
  for (int i = 0; i < 200; i++) {
    hands.utc_us += i % 2 ? INT64_C(-86400000000) : INT64_C(3600000000);
    turn(&hands, delivery, 10000);
    if (i % 20 == 0) usleep(1000);
  }
  /* No storm: not a call for each jump. No stall: each second allows a call. */
  double seconds = (double)(hands.steady_us - before) / 1e6;
  assert_true(calls_of(&to) < 60);
  assert_true(seconds > 1.9 && seconds < 2.1);
  unsigned calls = calls_of(&to);
  turn(&hands, delivery, 1000000);
  wait_until(&to, &to.calls, calls + 1);
  end_with(delivery);
  destination_fini(&to);
}

static void a_late_call_is_told_and_what_it_says_counts(void **state) {
  (void)state;
  destination_init(&to, NULL);
  to.is_held = true;
  options.timeout_ns = 10000 * MS;
  options.breaker_failures = 1;
  tw_delivery *delivery = start(&to, &hands.clock);
  put(delivery, 0, 3);
  wait_until(&to, &to.calls, 1);
  turn(&hands, delivery, 9000000);
  assert_int_equal(stats_of(delivery).late, 0);
  turn(&hands, delivery, 1000000);
  wait_for_changes(1);
  assert_int_equal(heard.why.code, TW_ELIMIT);
  assert_non_null(strstr(heard.why.message, "has not answered for 10s"));
  assert_int_equal(stats_of(delivery).late, 1);
  assert_string_equal(stats_of(delivery).breaker, "open");
  assert_true(to.time_left > 5000 && to.time_left <= 10000);
  turn(&hands, delivery, 60000000); /* told once */
  hold(&to, false);
  await_all(delivery);
  assert_got(&to, 0, 3);
  assert_int_equal(calls_of(&to), 1);
  assert_int_equal(stats_of(delivery).late, 1);
  assert_int_equal(heard.changes, 1);
  assert_int_equal(heard.failures, 0);
  put(delivery, 3, 1); /* the breaker has rested */
  await_all(delivery);
  assert_string_equal(stats_of(delivery).breaker, "closed");
  end_with(delivery);
  destination_fini(&to);
}

static void calls_in_time_are_not_late_whenever_the_watch_looks(void **state) {
  (void)state;
  destination_init(&to, NULL);
  options.timeout_ns = 200 * MS;
  tw_delivery *delivery = start(&to, NULL);
  for (uint64_t n = 0; n < 40; n++) {
    put(delivery, n, 1);
    await_all(delivery);
    usleep(10000);
  }
  hold(&to, true);
  put(delivery, 40, 1);
  wait_for_changes(1);
  assert_int_equal(stats_of(delivery).late, 1);
  hold(&to, false);
  await_all(delivery);
  end_with(delivery);
  destination_fini(&to);
}

/* ------------------------------------------------------------------ memory */

static void without_memory_nothing_is_lost(void **state) {
  (void)state;
  for (size_t n = 0, more = 1; more; n++) {
    bool is_exact = n % 2;
    pthread_mutex_destroy(&heard.mutex);
    assert_int_equal(set_up(NULL), 0);
    destination_init_with(&to, refuse_thirteens, &is_exact, 0);
    tw_delivery *delivery = new_delivery(NULL);
    put(delivery, 0, 30);
    put(delivery, 30, 70);
    options.batch_events = 40;
    tw_delivery_tune(delivery, &options);
    assert_true(tw_delivery_aim(delivery, to.backend, false));
    assert_int_equal(tw_delivery_start(delivery, NULL), TW_OK);
    tw_oom_fail_at(n);
    struct timespec end = tw_deadline(20 * MS);
    bool is_through = tw_delivery_await(delivery, &end, true);
    more = tw_oom_off() || !is_through;
    await_all(delivery);
    assert_int_equal(to.count, 99);
    assert_int_equal(stats_of(delivery).dead, 1);
    assert_int_equal(end_with(delivery), 0);
    destination_fini(&to);
  }
}

int main(void) {
  tw_oom_install();
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup(after_so_many_tries_events_go_alone_and_what_fails_is_dead,
                             set_up),
      cmocka_unit_test_setup(an_event_that_goes_alone_anyway_is_dead_after_its_tries, set_up),
      cmocka_unit_test_setup(a_backend_that_is_away_for_an_hour_makes_few_dead_letters, set_up),
      cmocka_unit_test_setup(a_disabled_backend_opens_the_breaker_at_once_and_costs_no_event,
                             set_up),
      cmocka_unit_test_setup(a_backend_that_does_not_open_costs_no_event, set_up),
      cmocka_unit_test_setup(a_backend_is_left_alone_for_as_long_as_it_asks, set_up),
      cmocka_unit_test_setup(the_time_of_day_moves_no_waits, set_up),
      cmocka_unit_test_setup(a_late_call_is_told_and_what_it_says_counts, set_up),
      cmocka_unit_test_setup(calls_in_time_are_not_late_whenever_the_watch_looks, set_up),
      cmocka_unit_test_setup(without_memory_nothing_is_lost, set_up),
  };
  return cmocka_run_group_tests(tests, NULL, tw_oom_leaves_nothing);
}
