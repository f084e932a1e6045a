/* Acknowledgements: who is told what of an event, and how often. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "core/ack.h"
#include "support/oom.h"
#include "unit/core/probe.h"

typedef struct heard {
  atomic_int calls;
  tw_status status;
  char message[200];
  bool has_error, had_current;
} heard;

static void hear(void *self, tw_status status, const tw_error *error) {
  heard *h = self;
  h->status = status;
  h->has_error = error != NULL;
  h->had_current = tw_ack_current() != NULL;
  snprintf(h->message, sizeof h->message, "%.190s", error ? error->message : "");
  atomic_fetch_add(&h->calls, 1);
}

static tw_ack *new_ack(heard *h) {
  tw_ack *ack;
  assert_int_equal(tw_ack_new(hear, h, &ack, NULL), TW_OK);
  return ack;
}

/* --------------------------------------------------------------- references */

static void it_is_told_with_the_last_reference(void **state) {
  (void)state;
  heard h = {0};
  tw_ack *ack = new_ack(&h);
  tw_ack_ref(ack);
  tw_ack_end(ack, TW_OK, NULL);
  assert_int_equal(h.calls, 0);
  tw_ack_end(ack, TW_OK, NULL);
  assert_int_equal(h.calls, 1);
  assert_int_equal(h.status, TW_OK);
  assert_false(h.has_error);
}

static void the_first_failure_is_told(void **state) {
  (void)state;
  heard h = {0};
  tw_error first, second;
  tw_fail(&first, TW_EIO, "the disk is full");
  tw_fail(&second, TW_ECLOSED, "it is closed");
  tw_ack *ack = new_ack(&h);
  tw_ack_ref(tw_ack_ref(tw_ack_ref(ack)));
  tw_ack_end(ack, TW_OK, NULL);
  tw_ack_end(ack, TW_EIO, &first);
  tw_ack_end(ack, TW_ECLOSED, &second);
  tw_ack_end(ack, TW_OK, NULL);
  assert_int_equal(h.calls, 1);
  assert_int_equal(h.status, TW_EIO);
  assert_string_equal(h.message, "the disk is full");
}

static void a_failure_without_a_reason_gets_one(void **state) {
  (void)state;
  heard h = {0};
  tw_ack_end(new_ack(&h), TW_EIO, NULL);
  assert_int_equal(h.status, TW_EIO);
  assert_string_equal(h.message, "the event failed and gave no reason");
}

static void nothing_may_be_ended_and_referenced(void **state) {
  (void)state;
  assert_null(tw_ack_ref(NULL));
  tw_ack_end(NULL, TW_OK, NULL);
  tw_ack_fail(TW_EIO, NULL); /* nobody asks */
}

static void the_callback_runs_without_a_current_one(void **state) {
  (void)state;
  heard inner = {0}, outer = {0};
  tw_ack *held = new_ack(&outer);
  assert_null(tw_ack_swap(held));
  tw_ack_end(new_ack(&inner), TW_OK, NULL);
  assert_false(inner.had_current);
  assert_ptr_equal(tw_ack_swap(NULL), held);
  tw_ack_end(held, TW_OK, NULL);
}

enum { HOLDERS = 4, ROUNDS = 2000 };

static void *give_back(void *ack) {
  tw_error error;
  tw_fail(&error, TW_EIO, "a thread's own message");
  for (int i = 0; i < ROUNDS; i++) tw_ack_end(tw_ack_ref(ack), i % 7 ? TW_OK : TW_EIO, &error);
  tw_ack_end(ack, TW_OK, NULL);
  return NULL;
}

static void any_thread_may_hold_and_give_back(void **state) {
  (void)state;
  heard h = {0};
  pthread_t threads[HOLDERS];
  tw_ack *ack = new_ack(&h);
  for (int i = 0; i < HOLDERS; i++)
    assert_int_equal(pthread_create(&threads[i], NULL, give_back, tw_ack_ref(ack)), 0);
  tw_ack_end(ack, TW_OK, NULL);
  for (int i = 0; i < HOLDERS; i++) pthread_join(threads[i], NULL);
  assert_int_equal(h.calls, 1);
  assert_string_equal(h.message, "a thread's own message");
}

/* --------------------------------------------------------------------- emit */

typedef struct fixture {
  probe_log log;
  probe a, b;
  tw_tracker *tracker;
  tw_ack *taken; /* by a backend that passes events on later */
  heard nested;
} fixture;

static int set_up(void **state) {
  fixture *f = calloc(1, sizeof *f);
  f->a = (probe){.name = "a", .log = &f->log};
  f->b = (probe){.name = "b", .log = &f->log};
  assert_int_equal(tw_tracker_new(NULL, &f->tracker, NULL), TW_OK);
  add_probe(tw_tracker_router(f->tracker), &f->a);
  add_probe(tw_tracker_router(f->tracker), &f->b);
  tw_router_set_observer(tw_tracker_router(f->tracker), &(tw_observer){note_failed, NULL, NULL},
                         &f->log, NULL);
  f->a.context = f->b.context = f;
  *state = f;
  return 0;
}

static int tear_down(void **state) {
  fixture *f = *state;
  tw_tracker_unref(f->tracker);
  free(f);
  return tw_oom_leaves_nothing(state);
}

static void take(probe *p, tw_event *event) {
  (void)event;
  ((fixture *)p->context)->taken = tw_ack_ref(tw_ack_current());
}

static void without_anybody_who_takes_it_it_is_told_before_emit_returns(void **state) {
  fixture *f = *state;
  heard h = {0};
  assert_int_equal(tw_emit_acked(f->tracker, "a", NULL, 0, hear, &h, NULL), TW_OK);
  assert_int_equal(h.calls, 1);
  assert_int_equal(h.status, TW_OK);
}

static void a_backend_that_takes_it_tells_later(void **state) {
  fixture *f = *state;
  heard h = {0};
  f->a.inside = take;
  assert_int_equal(tw_emit_acked(f->tracker, "a", NULL, 0, hear, &h, NULL), TW_OK);
  assert_int_equal(h.calls, 0);
  assert_non_null(f->taken);
  assert_null(tw_ack_current());
  tw_ack_end(f->taken, TW_OK, NULL);
  assert_int_equal(h.calls, 1);
}

static void a_backend_that_fails_is_told(void **state) {
  fixture *f = *state;
  heard h = {0};
  f->b.send_status = TW_EIO;
  assert_int_equal(tw_emit_acked(f->tracker, "a", NULL, 0, hear, &h, NULL), TW_OK);
  assert_int_equal(h.calls, 1);
  assert_int_equal(h.status, TW_EIO);
  assert_string_equal(h.message, "b is full");
}

static void a_router_that_is_closed_is_told(void **state) {
  fixture *f = *state;
  heard h = {0};
  assert_int_equal(tw_emit(f->tracker, "a", NULL, 0, NULL), TW_OK);
  tw_router_close(tw_tracker_router(f->tracker), NULL);
  assert_int_equal(tw_emit_acked(f->tracker, "a", NULL, 0, hear, &h, NULL), TW_ECLOSED);
  assert_int_equal(h.calls, 1);
  assert_int_equal(h.status, TW_ECLOSED);
  assert_string_equal(h.message, "the router was closed");
}

static void a_failure_to_emit_is_told(void **state) {
  fixture *f = *state;
  heard h = {0};
  tw_error error;
  assert_int_equal(tw_emit_acked(f->tracker, "a", "[]", 2, hear, &h, &error), TW_EJSON);
  assert_int_equal(h.calls, 1);
  assert_int_equal(h.status, TW_EJSON);
  assert_string_equal(h.message, error.message);
}

static void emit_again(probe *p, tw_event *event) {
  fixture *f = p->context;
  (void)event;
  p->inside = take;
  assert_int_equal(tw_emit(f->tracker, "inner", NULL, 0, NULL), TW_OK);
  assert_null(f->taken); /* of an emit that nobody asked about */
  p->inside = NULL;
}

static void an_emit_inside_of_it_has_none(void **state) {
  fixture *f = *state;
  heard h = {0};
  f->a.inside = emit_again;
  f->b.inside = take;
  tw_emit_acked(f->tracker, "outer", NULL, 0, hear, &h, NULL);
  assert_non_null(f->taken);
  assert_int_equal(h.calls, 0);
  tw_ack_end(f->taken, TW_OK, NULL);
  assert_int_equal(h.calls, 1);
}

static void emit_another(probe *p, tw_event *event) {
  fixture *f = p->context;
  (void)event;
  p->inside = NULL;
  tw_ack *mine = tw_ack_current();
  tw_emit_acked(f->tracker, "inner", NULL, 0, hear, &f->nested, NULL);
  assert_ptr_equal(tw_ack_current(), mine);
  assert_int_equal(f->nested.calls, 1);
}

static void an_emit_inside_of_it_may_have_its_own(void **state) {
  fixture *f = *state;
  heard h = {0};
  f->a.inside = emit_another;
  tw_emit_acked(f->tracker, "outer", NULL, 0, hear, &h, NULL);
  assert_int_equal(h.calls, 1);
  assert_int_equal(h.status, TW_OK);
}

static void drop_tracker(void *self, tw_status status, const tw_error *error) {
  fixture *f = self;
  (void)status, (void)error;
  tw_tracker_unref(f->tracker);
  f->tracker = NULL;
}

static void the_callback_may_end_the_tracker(void **state) {
  fixture *f = *state;
  assert_int_equal(tw_emit_acked(f->tracker, "a", NULL, 0, drop_tracker, f, NULL), TW_OK);
  assert_null(f->tracker);
}

static void without_memory_it_is_told_all_the_same(void **state) {
  fixture *f = *state;
  for (size_t n = 0, failed = 1; failed; n++) {
    heard h = {0};
    tw_oom_fail_at(n);
    tw_status status = tw_emit_acked(f->tracker, "a", "{}", 2, hear, &h, NULL);
    failed = tw_oom_off();
    assert_int_equal(h.calls, 1);
    if (!failed) assert_int_equal(status, TW_OK);
    if (status != TW_OK) assert_int_equal(status, TW_ENOMEM);
    if (status != TW_OK) assert_int_equal(h.status, TW_ENOMEM);
  }
}

int main(void) {
  tw_oom_install();
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(it_is_told_with_the_last_reference),
      cmocka_unit_test(the_first_failure_is_told),
      cmocka_unit_test(a_failure_without_a_reason_gets_one),
      cmocka_unit_test(nothing_may_be_ended_and_referenced),
      cmocka_unit_test(the_callback_runs_without_a_current_one),
      cmocka_unit_test_teardown(any_thread_may_hold_and_give_back, tw_oom_leaves_nothing),
      cmocka_unit_test_setup_teardown(
          without_anybody_who_takes_it_it_is_told_before_emit_returns, set_up, tear_down),
      cmocka_unit_test_setup_teardown(a_backend_that_takes_it_tells_later, set_up, tear_down),
      cmocka_unit_test_setup_teardown(a_backend_that_fails_is_told, set_up, tear_down),
      cmocka_unit_test_setup_teardown(a_router_that_is_closed_is_told, set_up, tear_down),
      cmocka_unit_test_setup_teardown(a_failure_to_emit_is_told, set_up, tear_down),
      cmocka_unit_test_setup_teardown(an_emit_inside_of_it_has_none, set_up, tear_down),
      cmocka_unit_test_setup_teardown(an_emit_inside_of_it_may_have_its_own, set_up, tear_down),
      cmocka_unit_test_setup_teardown(the_callback_may_end_the_tracker, set_up, tear_down),
      cmocka_unit_test_setup_teardown(without_memory_it_is_told_all_the_same, set_up,
                                      tear_down),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
