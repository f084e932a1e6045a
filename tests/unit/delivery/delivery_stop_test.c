/* What others ask of a delivery while it is at work: other targets, an end; and several batches
   under way. */
#define _GNU_SOURCE /* pthread_setattr_default_np */
#include <unistd.h>

#include "unit/delivery/delivery_case.h"

#define HOUR (3600000 * MS)

static void wait_for_failures(unsigned least) {
  struct timespec end = tw_deadline(30000 * MS);
  pthread_mutex_lock(&heard.mutex);
  while (heard.failures < least)
    if (pthread_cond_timedwait(&heard.changed, &heard.mutex, &end)) break;
  unsigned now = heard.failures;
  pthread_mutex_unlock(&heard.mutex);
  assert_true(now >= least);
}

static bool is_freed(void *self) { return ((destination *)self)->freed > 0; }

/* Waits for what another thread does in the end. */
static void wait_for(bool (*is_so)(void *self), void *self) {
  for (int i = 0; i < 30000; i++) {
    pthread_mutex_lock(&to.mutex);
    bool now = is_so(self);
    pthread_mutex_unlock(&to.mutex);
    if (now) return;
    usleep(1000);
  }
  fail_msg("it did not happen within half a minute");
}

/* -------------------------------------------------------------------- stop */

static void stopping_ends_a_wait_for_another_try_at_once(void **state) {
  (void)state;
  destination_init(&to, fail_all);
  options.retry_min_ns = options.retry_max_ns = HOUR;
  tw_delivery *delivery = start(&to, NULL);
  put(delivery, 0, 5);
  wait_for_failures(1);
  put(delivery, 5, 2);
  assert_int_equal(tw_delivery_stop(delivery, NULL), 7);
  assert_int_equal(to.calls, 1);
  assert_int_equal(to.closed, 1);
  assert_int_equal(tw_delivery_stop(delivery, NULL), 7); /* a second time does nothing */
  tw_delivery_free(delivery);
  destination_fini(&to);
}

static void stopping_sends_a_batch_that_waits_for_more(void **state) {
  (void)state;
  destination_init(&to, NULL);
  options.batch_ns = HOUR;
  tw_delivery *delivery = start(&to, NULL);
  put(delivery, 0, 5);
  usleep(20000); /* it has most likely been gathered: if not, nothing was to be sent */
  uint64_t waiting = tw_delivery_stop(delivery, NULL);
  assert_true(waiting == 0 || waiting == 5);
  assert_got(&to, 0, 5 - waiting);
  tw_delivery_free(delivery);
  destination_fini(&to);
}

static void a_call_under_way_is_waited_for(void **state) {
  (void)state;
  destination_init(&to, NULL);
  to.is_held = true;
  tw_delivery *delivery = start(&to, NULL);
  put(delivery, 0, 5);
  wait_until(&to, &to.calls, 1);
  struct timespec end = tw_deadline(20 * MS);
  assert_false(tw_delivery_await(delivery, &end, true));
  hold(&to, false);
  assert_int_equal(tw_delivery_stop(delivery, NULL), 0);
  assert_got(&to, 0, 5);
  tw_delivery_free(delivery);
  destination_fini(&to);
}

static void a_call_that_does_not_return_is_left_behind(void **state) {
  (void)state;
  destination_init(&to, NULL);
  to.is_held = true;
  tw_delivery *delivery = start(&to, NULL);
  put(delivery, 0, 5);
  put(delivery, 5, 5);
  wait_until(&to, &to.calls, 1);
  struct timespec end = tw_deadline(20 * MS);
  assert_true(tw_delivery_stop(delivery, &end) >= 5);
  tw_delivery_free(delivery);
  tw_backend_unref(to.backend); /* the thread that hangs has the last reference */
  assert_int_equal(to.freed, 0);
  unsigned failures = heard.failures;
  hold(&to, false);
  wait_for(is_freed, &to);
  assert_int_equal(to.closed, 1);
  assert_int_equal(heard.failures, failures);
  /* It frees the rest behind that. */
  for (int i = 0; i < 30000 && tw_oom_live(); i++) usleep(1000);
  assert_int_equal(tw_oom_live(), 0);
}

static tw_status fail_when_let_go(destination *d, const uint64_t *numbers, size_t count,
                                  tw_delivered *done, tw_error *error) {
  (void)d, (void)numbers, (void)count, (void)done;
  return tw_fail(error, TW_EREFUSED, "nobody is to hear of this");
}

static void what_a_call_says_after_all_is_told_to_nobody(void **state) {
  (void)state;
  destination_init(&to, fail_when_let_go);
  to.is_held = true;
  tw_delivery *delivery = start(&to, NULL);
  put(delivery, 0, 1);
  wait_until(&to, &to.calls, 1);
  struct timespec end = tw_deadline(10 * MS);
  assert_int_equal(tw_delivery_stop(delivery, &end), 1);
  tw_delivery_free(delivery);
  tw_backend_unref(to.backend);
  hold(&to, false);
  wait_for(is_freed, &to);
  for (int i = 0; i < 30000 && tw_oom_live(); i++) usleep(1000);
  assert_int_equal(tw_oom_live(), 0);
  assert_int_equal(heard.failures, 0);
  assert_int_equal(heard.changes, 0);
}

/* Threads that cannot be had: a stack of theirs is larger than what may be mapped. */
static void a_start_without_threads_can_be_made_again(void **state) {
  (void)state;
  tw_error error = {.message = ""};
  destination_init(&to, NULL);
  options.max_in_flight = 3;
  tw_delivery *delivery = new_delivery(NULL);
  put(delivery, 0, 4);
  assert_true(tw_delivery_aim(delivery, to.backend, false));
  pthread_attr_t attributes, usual;
  pthread_getattr_default_np(&usual);
  pthread_attr_init(&attributes);
  pthread_attr_setstacksize(&attributes, (size_t)1 << 46);
  assert_int_equal(pthread_setattr_default_np(&attributes), 0);
  assert_int_equal(tw_delivery_start(delivery, &error), TW_ELIMIT);
  assert_non_null(strstr(error.message, "the system gives no thread"));
  assert_int_equal(pthread_setattr_default_np(&usual), 0);
  pthread_attr_destroy(&attributes);
  pthread_attr_destroy(&usual);
  assert_int_equal(to.calls, 0);
  assert_true(tw_delivery_aim(delivery, to.backend, false));
  assert_int_equal(tw_delivery_start(delivery, &error), TW_OK);
  await_all(delivery);
  assert_int_equal(to.count, 4);
  end_with(delivery);
  destination_fini(&to);
}

static void a_delivery_that_was_never_started_frees_its_target(void **state) {
  (void)state;
  tw_error error;
  destination_init(&to, NULL);
  assert_int_equal(tw_backend_use(to.backend, &error), TW_OK);
  tw_delivery *delivery = new_delivery(NULL);
  put(delivery, 0, 4);
  assert_true(tw_delivery_aim(delivery, to.backend, true));
  assert_int_equal(end_with(delivery), 4);
  assert_int_equal(to.closed, 1);
  destination_fini(&to);
}

/* --------------------------------------------------------------------- aim */

static destination other;

static void without_a_target_the_outbox_waits(void **state) {
  (void)state;
  destination_init(&to, NULL);
  tw_delivery *delivery = start(NULL, NULL);
  put(delivery, 0, 4);
  assert_false(tw_delivery_await(delivery, NULL, false));
  assert_int_equal(stats_of(delivery).waiting, 4);
  assert_true(tw_delivery_aim(delivery, to.backend, false));
  await_all(delivery);
  assert_got(&to, 0, 4);
  assert_true(tw_delivery_aim(delivery, NULL, false));
  put(delivery, 4, 4);
  assert_int_equal(end_with(delivery), 4);
  assert_int_equal(to.closed, 1);
  destination_fini(&to);
}

static void another_target_is_tried_at_once_from_the_next_batch_on(void **state) {
  (void)state;
  destination_init(&to, fail_all);
  destination_init(&other, NULL);
  options.retry_min_ns = options.retry_max_ns = HOUR;
  options.breaker_rest_ns = HOUR;
  options.breaker_failures = 1;
  tw_delivery *delivery = start(&to, NULL);
  put(delivery, 0, 4);
  wait_for_changes(1);
  assert_true(tw_delivery_aim(delivery, other.backend, false));
  await_all(delivery);
  assert_got(&other, 0, 4);
  assert_string_equal(stats_of(delivery).breaker, "closed");
  end_with(delivery);
  assert_int_equal(to.closed, 1);
  assert_int_equal(other.closed, 1);
  destination_fini(&to);
  destination_fini(&other);
}

static void the_old_target_is_closed_behind_its_last_call(void **state) {
  (void)state;
  destination_init(&to, NULL);
  destination_init(&other, NULL);
  to.is_held = true;
  tw_delivery *delivery = start(&to, NULL);
  put(delivery, 0, 4);
  wait_until(&to, &to.calls, 1);
  assert_true(tw_delivery_aim(delivery, other.backend, false));
  put(delivery, 4, 4);
  assert_int_equal(to.closed, 0);
  hold(&to, false);
  await_all(delivery);
  wait_until(&to, &to.closed, 1);
  assert_got(&to, 0, 4);
  assert_got(&other, 4, 4);
  assert_int_equal(other.closed, 0);
  end_with(delivery);
  destination_fini(&to);
  destination_fini(&other);
}

static void a_use_that_was_handed_over_is_ended_once(void **state) {
  (void)state;
  tw_error error;
  destination_init(&to, NULL);
  tw_delivery *delivery = start(NULL, NULL);
  for (uint64_t n = 0; n < 50; n++) {
    assert_int_equal(tw_backend_use(to.backend, &error), TW_OK);
    assert_true(tw_delivery_aim(delivery, to.backend, true));
    put(delivery, n, 1);
  }
  await_all(delivery);
  assert_got(&to, 0, 50);
  assert_int_equal(end_with(delivery), 0);
  assert_int_equal(to.opened, to.closed);
  destination_fini(&to);
}

static void aiming_without_memory_changes_nothing(void **state) {
  (void)state;
  destination_init(&to, NULL);
  destination_init(&other, NULL);
  tw_delivery *delivery = start(&to, NULL);
  tw_oom_fail_at(0);
  assert_false(tw_delivery_aim(delivery, other.backend, false));
  assert_true(tw_oom_off());
  put(delivery, 0, 2);
  await_all(delivery);
  assert_got(&to, 0, 2);
  end_with(delivery);
  destination_fini(&to);
  destination_fini(&other);
}

/* ---------------------------------------------------- several batches under way */

/* Holds the batch with event 0 as long as the test says. */
static tw_status hold_the_first(destination *d, const uint64_t *numbers, size_t count,
                                tw_delivered *done, tw_error *error) {
  bool *is_let_go = d->self;
  (void)count, (void)done, (void)error;
  while (!numbers[0] && !*is_let_go) pthread_cond_wait(&d->changed, &d->mutex);
  return TW_OK;
}

static uint64_t head_of(tw_delivery *delivery) {
  tw_outbox *outbox = tw_delivery_outbox(delivery);
  pthread_mutex_lock(&outbox->mutex);
  uint64_t head = outbox->head;
  pthread_mutex_unlock(&outbox->mutex);
  return head;
}

static bool has_got_the_rest(void *self) { return ((destination *)self)->count == 90; }

static void the_head_does_not_pass_a_batch_that_is_under_way(void **state) {
  (void)state;
  bool is_let_go = false;
  destination_init_with(&to, hold_the_first, &is_let_go, 0);
  options.max_in_flight = 3;
  options.batch_events = 10;
  tw_delivery *delivery = start(&to, NULL);
  put(delivery, 0, 100);
  wait_for(has_got_the_rest, &to);
  assert_int_equal(head_of(delivery), 0);
  assert_int_equal(stats_of(delivery).waiting, 100);
  pthread_mutex_lock(&to.mutex);
  is_let_go = true;
  pthread_cond_broadcast(&to.changed);
  pthread_mutex_unlock(&to.mutex);
  await_all(delivery);
  assert_int_equal(head_of(delivery), 100);
  end_with(delivery);
  destination_fini(&to);
}

static void as_many_batches_are_under_way_as_are_wanted(void **state) {
  (void)state;
  destination_init(&to, NULL);
  to.is_held = true;
  options.max_in_flight = 4;
  options.batch_events = 10;
  tw_delivery *delivery = start(&to, NULL);
  assert_int_equal(tw_backend_use(to.backend, NULL), TW_OK);
  assert_true(tw_delivery_aim(delivery, to.backend, true));
  put(delivery, 0, 100);
  wait_until(&to, &to.waiting, 4);
  hold(&to, false);
  await_all(delivery);
  assert_int_equal(to.count, 100);
  end_with(delivery);
  destination_fini(&to);
}

static void backends_that_take_one_call_at_a_time_get_one(void **state) {
  (void)state;
  const unsigned flags[] = {TW_SERIAL, TW_SCRIPTED};
  for (int i = 0; i < 2; i++) {
    destination_init_with(&to, NULL, NULL, flags[i]);
    to.is_held = true;
    options.max_in_flight = 4;
    options.batch_events = 10;
    tw_delivery *delivery = start(&to, NULL);
    put(delivery, 0, 300);
    wait_until(&to, &to.waiting, 1);
    usleep(10000);
    assert_int_equal(to.waiting, 1);
    hold(&to, false);
    await_all(delivery);
    assert_got(&to, 0, 300);
    end_with(delivery);
    destination_fini(&to);
  }
}

/* From four batches under way, two of which wait for another try, to a target that takes one.
 */
static void the_order_is_kept_by_a_target_that_takes_one_batch_at_a_time(void **state) {
  (void)state;
  destination_init(&to, fail_all);
  destination_init_with(&other, NULL, NULL, TW_SERIAL);
  options.retry_min_ns = options.retry_max_ns = HOUR;
  options.breaker_failures = 1000;
  options.max_in_flight = 4;
  options.batch_events = 10;
  tw_delivery *delivery = start(&to, NULL);
  assert_int_equal(tw_backend_use(to.backend, NULL), TW_OK);
  assert_true(tw_delivery_aim(delivery, to.backend, true));
  put(delivery, 0, 100);
  wait_for_failures(4);
  assert_true(tw_delivery_aim(delivery, other.backend, false));
  await_all(delivery);
  assert_got(&other, 0, 100);
  end_with(delivery);
  destination_fini(&to);
  destination_fini(&other);
}

/* -------------------------------------------------------------- the outbox */

/* An outbox in memory whose store fails where the test wants. */
static const tw_outbox_ops *real_ops;
static uint64_t damaged_from, damaged_to;
static atomic_int broken_reads;

static tw_status read_damaged(tw_outbox *outbox, uint64_t number, tw_chunk **out,
                              uint64_t *skip, tw_error *error) {
  *out = NULL;
  *skip = number;
  if (atomic_load(&broken_reads) > 0) {
    atomic_fetch_sub(&broken_reads, 1);
    return tw_fail(error, TW_EIO, "the disk does not answer");
  }
  if (number < damaged_from || number >= damaged_to)
    return real_ops->read(outbox, number, out, skip, error);
  *skip = damaged_to;
  return tw_fail(error, TW_EIO, "the chunk is damaged");
}

static tw_delivery *start_damaged(void) {
  static tw_outbox_ops ops;
  tw_delivery *delivery = new_delivery(NULL);
  tw_outbox *outbox = tw_delivery_outbox(delivery);
  real_ops = outbox->ops;
  ops = *real_ops;
  ops.read = read_damaged;
  outbox->ops = &ops;
  for (uint64_t n = 0; n < 50; n += 10) put(delivery, n, 10);
  assert_true(tw_delivery_aim(delivery, to.backend, false));
  assert_int_equal(tw_delivery_start(delivery, NULL), TW_OK);
  return delivery;
}

static void a_damaged_chunk_is_told_and_delivery_goes_on_behind_it(void **state) {
  (void)state;
  destination_init(&to, NULL);
  damaged_from = 20, damaged_to = 40;
  tw_delivery *delivery = start_damaged();
  await_all(delivery);
  assert_int_equal(to.count, 30);
  assert_int_equal(to.got[20], 40);
  assert_int_equal(heard.failures, 1);
  assert_int_equal(heard.events, 20);
  assert_string_equal(heard.last.message, "the chunk is damaged");
  assert_int_equal(stats_of(delivery).retries, 0);
  end_with(delivery);
  destination_fini(&to);
}

static void an_outbox_that_is_damaged_at_its_end_is_through(void **state) {
  (void)state;
  destination_init(&to, NULL);
  damaged_from = 0, damaged_to = 50;
  tw_delivery *delivery = start_damaged();
  await_all(delivery);
  assert_int_equal(heard.events, 50);
  assert_int_equal(head_of(delivery), 50);
  damaged_to = 0;
  put(delivery, 50, 5);
  await_all(delivery);
  assert_got(&to, 50, 5);
  end_with(delivery);
  destination_fini(&to);
}

static void a_store_that_fails_is_read_again(void **state) {
  (void)state;
  destination_init(&to, NULL);
  damaged_from = damaged_to = 0;
  atomic_store(&broken_reads, 4);
  tw_delivery *delivery = start_damaged();
  await_all(delivery);
  assert_got(&to, 0, 50);
  assert_int_equal(heard.failures, 4);
  assert_int_equal(heard.events, 0);
  assert_int_equal(stats_of(delivery).retries, 0);
  end_with(delivery);
  destination_fini(&to);
}

static void other_bounds_let_waiting_appends_through(void **state) {
  (void)state;
  destination_init(&to, NULL);
  options.bounds = (tw_outbox_bounds){.max_events = 5, .overload = TW_OVERLOAD_NEWEST};
  tw_delivery *delivery = new_delivery(NULL);
  tw_delivery_tune(delivery, &options);
  put(delivery, 0, 5);
  assert_int_equal(append(tw_delivery_outbox(delivery), chunk_of(5, 5, 0)), 5);
  options.bounds.max_events = 10;
  tw_delivery_tune(delivery, &options);
  assert_int_equal(append(tw_delivery_outbox(delivery), chunk_of(5, 5, 0)), 0);
  assert_int_equal(stats_of(delivery).shed, 5);
  assert_int_equal(end_with(delivery), 10);
  destination_fini(&to);
}

static tw_status make_one(void *self) {
  tw_delivery *delivery = NULL;
  const tw_delivery_ops ops = {0};
  const tw_outbox_bounds bounds = {0};
  tw_outbox *outbox;
  (void)self;
  tw_status status = tw_outbox_new_memory("db", &bounds, NULL, NULL, &outbox, NULL);
  if (!status) status = tw_delivery_new(outbox, &options, &ops, &delivery, NULL);
  tw_delivery_free(delivery);
  return status;
}

static void making_one_survives_every_failed_allocation(void **state) {
  (void)state;
  tw_oom_fail_each(make_one, NULL);
}

int main(void) {
  tw_oom_install();
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup(stopping_ends_a_wait_for_another_try_at_once, set_up),
      cmocka_unit_test_setup(stopping_sends_a_batch_that_waits_for_more, set_up),
      cmocka_unit_test_setup(a_call_under_way_is_waited_for, set_up),
      cmocka_unit_test_setup(a_call_that_does_not_return_is_left_behind, set_up),
      cmocka_unit_test_setup(what_a_call_says_after_all_is_told_to_nobody, set_up),
      cmocka_unit_test_setup(a_start_without_threads_can_be_made_again, set_up),
      cmocka_unit_test_setup(a_delivery_that_was_never_started_frees_its_target, set_up),
      cmocka_unit_test_setup(without_a_target_the_outbox_waits, set_up),
      cmocka_unit_test_setup(another_target_is_tried_at_once_from_the_next_batch_on, set_up),
      cmocka_unit_test_setup(the_old_target_is_closed_behind_its_last_call, set_up),
      cmocka_unit_test_setup(a_use_that_was_handed_over_is_ended_once, set_up),
      cmocka_unit_test_setup(aiming_without_memory_changes_nothing, set_up),
      cmocka_unit_test_setup(the_head_does_not_pass_a_batch_that_is_under_way, set_up),
      cmocka_unit_test_setup(as_many_batches_are_under_way_as_are_wanted, set_up),
      cmocka_unit_test_setup(backends_that_take_one_call_at_a_time_get_one, set_up),
      cmocka_unit_test_setup(the_order_is_kept_by_a_target_that_takes_one_batch_at_a_time,
                             set_up),
      cmocka_unit_test_setup(a_damaged_chunk_is_told_and_delivery_goes_on_behind_it, set_up),
      cmocka_unit_test_setup(an_outbox_that_is_damaged_at_its_end_is_through, set_up),
      cmocka_unit_test_setup(a_store_that_fails_is_read_again, set_up),
      cmocka_unit_test_setup(other_bounds_let_waiting_appends_through, set_up),
      cmocka_unit_test_setup(making_one_survives_every_failed_allocation, set_up),
  };
  return cmocka_run_group_tests(tests, NULL, tw_oom_leaves_nothing);
}
