#include "unit/delivery/delivery_case.h"

/* ----------------------------------------------------------------- batches */

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
    assert_true(to.calls <= (exact ? 8 + 20 : 8 + 20 * 11)); /* it is found by halving */
    end_with(delivery);
    destination_fini(&to);
  }
}

/* ----------------------------------------------------------------- breaker */

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
  assert_string_equal(heard.why.message, "nothing is sent for 5s: the server is away");
  assert_false(tw_delivery_await(delivery, NULL, false));
  turn(&hands, delivery, 4990000);
  assert_int_equal(calls_of(&to), 3);
  turn(&hands, delivery, 10000);
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
