/* Many threads on one tracker and one router, while the router changes. For ThreadSanitizer;
   the counts show that every event is accounted for. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "unit/core/probe.h"

#define THREADS 8
#define EVENTS  2000

/* ----------------------------------------------------------------- counting */

typedef struct counter {
  atomic_long sent, opened, closed, flushed;
  long unguarded; ///< touched by serial backends only
} counter;

static tw_status count_open(void *self, tw_error *error) {
  (void)error;
  atomic_fetch_add(&((counter *)self)->opened, 1);
  return TW_OK;
}

/* Fails the test when it is sent to while it is not open. */
static tw_status count_send(void *self, tw_event *event, unsigned flags, tw_error *error) {
  counter *c = self;
  (void)event, (void)flags, (void)error;
  if (atomic_load(&c->opened) != atomic_load(&c->closed) + 1) abort();
  atomic_fetch_add(&c->sent, 1);
  return TW_OK;
}

static tw_status serial_send(void *self, tw_event *event, unsigned flags, tw_error *error) {
  ((counter *)self)->unguarded++;
  return count_send(self, event, flags, error);
}

static tw_status count_flush(void *self, uint64_t *lost, tw_error *error) {
  (void)lost, (void)error;
  atomic_fetch_add(&((counter *)self)->flushed, 1);
  return TW_OK;
}

static void count_close(void *self) { atomic_fetch_add(&((counter *)self)->closed, 1); }

static const tw_backend_ops count_ops = {
    .open = count_open, .send = count_send, .flush = count_flush, .close = count_close};
static const tw_backend_ops serial_ops = {
    .open = count_open, .send = serial_send, .flush = count_flush, .close = count_close};

static void add_counter(tw_router *router, const char *name, counter *c, unsigned flags) {
  tw_backend *backend;
  assert_int_equal(
      tw_backend_new(flags & TW_SERIAL ? &serial_ops : &count_ops, c, flags, &backend, NULL),
      TW_OK);
  assert_int_equal(tw_router_add_backend(router, name, backend, NULL), TW_OK);
}

static tw_verdict edit(void *self, tw_event *event, tw_split *split, tw_error *error) {
  (void)self, (void)split, (void)error;
  return tw_event_set_integer(event, "data.seen", 1, NULL) == TW_OK ? TW_PASS : TW_FAIL;
}

static const tw_processor_ops edit_ops = {edit, NULL};

static void add_edit(tw_router *router) {
  tw_processor *processor;
  assert_int_equal(
      tw_processor_new("edit", &edit_ops, NULL, TW_ON_ERROR_DROP, &processor, NULL), TW_OK);
  assert_int_equal(tw_router_add_processor(router, processor, NULL), TW_OK);
}

static void run_all(void *(*run)(void *), void *arg, pthread_t *threads) {
  for (int i = 0; i < THREADS; i++) pthread_create(&threads[i], NULL, run, arg);
}

static void join_all(pthread_t *threads) {
  for (int i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
}

/* -------------------------------------------------------------------- emit */

static atomic_long failures;

/* cmocka's asserts belong to the main thread. */
static void expect(bool holds) {
  if (!holds) atomic_fetch_add(&failures, 1);
}

static void *emit_with_contexts(void *arg) {
  tw_tracker *tracker = arg;
  expect(tw_enter_context(tracker, "thread", "{\"t\":1}", 7, NULL) == TW_OK);
  for (int i = 0; i < EVENTS; i++) {
    if (i % 16 == 0) tw_enter_context(tracker, "inner", "{\"i\":[1,2]}", 11, NULL);
    expect(tw_emitf(tracker, "n", "{i:%d}", i) == TW_OK);
    if (i % 16 == 15) tw_exit_context(tracker, "inner", NULL);
  }
  expect(tw_exit_context(tracker, "thread", NULL) == TW_OK);
  return NULL;
}

static void emit_from_all(tw_locator *locator) {
  pthread_t threads[THREADS];
  counter plain = {0}, serial = {0};
  tw_tracker *tracker;
  tw_router_stats stats;
  assert_int_equal(tw_tracker_new(locator, &tracker, NULL), TW_OK);
  add_edit(tw_tracker_router(tracker));
  add_counter(tw_tracker_router(tracker), "plain", &plain, 0);
  add_counter(tw_tracker_router(tracker), "serial", &serial, TW_SERIAL);
  run_all(emit_with_contexts, tracker, threads);
  join_all(threads);
  tw_router_get_stats(tw_tracker_router(tracker), &stats);
  tw_tracker_unref(tracker);
  assert_int_equal(atomic_exchange(&failures, 0), 0);
  assert_int_equal(stats.received, THREADS * EVENTS);
  assert_int_equal(plain.sent, THREADS * EVENTS);
  assert_int_equal(serial.unguarded, THREADS * EVENTS);
  assert_int_equal(plain.opened, 1);
  assert_int_equal(plain.closed, 1);
}

static void threads_emit_with_a_context_each(void **state) {
  (void)state;
  emit_from_all(NULL);
}

static void threads_emit_with_one_context_for_all(void **state) {
  (void)state;
  tw_locator *locator;
  assert_int_equal(tw_locator_new_default(&locator, NULL), TW_OK);
  emit_from_all(locator);
}

static void *emit_and_let_go(void *arg) {
  for (int i = 0; i < 200; i++) expect(tw_emit(arg, "n", NULL, 0, NULL) == TW_OK);
  tw_tracker_unref(arg);
  return NULL;
}

static void a_tracker_goes_with_the_last_thread_that_holds_it(void **state) {
  (void)state;
  for (int round = 0; round < 10; round++) {
    pthread_t threads[THREADS];
    counter c = {0};
    tw_tracker *tracker;
    assert_int_equal(tw_tracker_new(NULL, &tracker, NULL), TW_OK);
    add_counter(tw_tracker_router(tracker), "c", &c, 0);
    for (int i = 0; i < THREADS; i++) tw_tracker_ref(tracker);
    run_all(emit_and_let_go, tracker, threads);
    tw_tracker_unref(tracker);
    join_all(threads);
    assert_int_equal(atomic_exchange(&failures, 0), 0);
    assert_int_equal(c.sent, THREADS * 200);
    assert_int_equal(c.closed, 1);
  }
}

/* ----------------------------------------------------------------- changes */

typedef struct storm {
  tw_router *router, *child;
  atomic_bool stop;
  atomic_long sent, refused;
} storm;

static void *send_until_stopped(void *arg) {
  storm *s = arg;
  tw_event *event;
  expect(tw_event_parse("{\"data\":{}}", 11, NULL, &event, NULL) == TW_OK);
  while (!atomic_load(&s->stop)) {
    tw_status status = tw_router_send(s->router, event, 0, NULL);
    atomic_fetch_add(status == TW_OK ? &s->sent : &s->refused, 1);
    expect(status == TW_OK || status == TW_ECLOSED);
  }
  tw_event_free(event);
  return NULL;
}

static tw_status route_to_some(void *self, tw_event *event, tw_targets *targets,
                               tw_error *error) {
  (void)event;
  expect(*(long *)self == 42);
  tw_targets_add(targets, "always", 6, error);
  return tw_targets_add(targets, "child", 5, error);
}

/* What is freed must not be called again. */
static void spoil(void *self) {
  *(long *)self = 0;
  free(self);
}

static long *new_mark(void) {
  long *mark = malloc(sizeof *mark);
  if (!mark) abort();
  *mark = 42;
  return mark;
}

static void note_nothing(void *self, const tw_failure *failure) {
  (void)failure;
  expect(*(long *)self == 42);
}

static void change(storm *s, int i) {
  static const tw_route_ops ops = {route_to_some, spoil};
  static const tw_observer observer = {note_nothing, NULL, spoil};
  tw_router_stats stats;
  assert_int_equal(tw_router_set_route(s->router, &ops, new_mark(), NULL), TW_OK);
  assert_int_equal(tw_router_set_observer(s->child, &observer, new_mark(), NULL), TW_OK);
  if (i % 8 == 0) add_edit(s->child);
  if (i % 4 == 0) assert_int_equal(tw_router_flush(s->router, NULL), TW_OK);
  tw_router_get_stats(s->router, &stats);
}

static void a_router_changes_while_events_flow(void **state) {
  (void)state;
  static counter counters[20];
  pthread_t threads[THREADS];
  counter always = {0}, below = {0};
  tw_router_stats stats, child_stats;
  storm s = {.router = new_router(), .child = new_router()};
  add_counter(s.router, "always", &always, 0);
  add_counter(s.child, "below", &below, 0);
  assert_int_equal(tw_router_add_router(s.router, "child", tw_router_ref(s.child), NULL),
                   TW_OK);
  assert_int_equal(tw_router_open(s.router, NULL), TW_OK);
  run_all(send_until_stopped, &s, threads);
  for (int i = 0; i < 400; i++) {
    change(&s, i);
    if (i % 20) continue;
    char name[16];
    snprintf(name, sizeof name, "b%d", i);
    counters[i / 20] = (counter){0};
    add_counter(s.router, name, &counters[i / 20], 0);
  }
  atomic_store(&s.stop, true);
  join_all(threads);
  tw_router_get_stats(s.router, &stats);
  tw_router_get_stats(s.child, &child_stats);
  assert_int_equal(atomic_exchange(&failures, 0), 0);
  assert_int_equal(s.refused, 0);
  assert_int_equal(stats.received, s.sent);
  assert_int_equal(stats.failed, 0);
  assert_int_equal(always.sent, s.sent);
  assert_int_equal(child_stats.received, s.sent);
  assert_int_equal(below.sent, s.sent);
  tw_router_unref(s.child);
  tw_router_unref(s.router);
  assert_int_equal(always.closed, 1);
}

static void a_router_opens_and_closes_while_events_flow(void **state) {
  (void)state;
  pthread_t threads[THREADS];
  counter always = {0}, below = {0};
  tw_router_stats stats;
  storm s = {.router = new_router(), .child = new_router()};
  add_counter(s.router, "always", &always, 0);
  add_counter(s.child, "below", &below, 0);
  assert_int_equal(tw_router_add_router(s.router, "child", tw_router_ref(s.child), NULL),
                   TW_OK);
  run_all(send_until_stopped, &s, threads);
  for (int i = 0; i < 300; i++) {
    assert_int_equal(tw_router_open(s.router, NULL), TW_OK);
    assert_int_equal(tw_router_close(s.router, NULL), TW_OK);
  }
  atomic_store(&s.stop, true);
  join_all(threads);
  tw_router_get_stats(s.router, &stats);
  assert_int_equal(atomic_exchange(&failures, 0), 0);
  assert_int_equal(stats.received, s.sent);
  assert_int_equal(always.sent, s.sent);
  assert_int_equal(below.sent, s.sent);
  assert_int_equal(always.opened, always.closed);
  assert_int_equal(below.opened, below.closed);
  tw_router_unref(s.child);
  tw_router_unref(s.router);
}

/* A callback that changes, closes, opens and re-enters the router that calls it. */
static tw_verdict meddle(void *self, tw_event *event, tw_split *split, tw_error *error) {
  static const tw_route_ops ops = {route_to_some, spoil};
  static _Thread_local int depth, calls;
  storm *s = self;
  (void)split, (void)error;
  if (depth) return TW_PASS;
  depth++;
  if (++calls % 16 == 0) {
    expect(tw_router_set_route(s->router, &ops, new_mark(), NULL) == TW_OK);
  }
  tw_status status = tw_router_send(s->router, event, 0, NULL);
  expect(status == TW_OK || status == TW_ECLOSED);
  if (calls % 64 == 0) {
    expect(tw_router_close(s->router, NULL) == TW_OK);
    expect(tw_router_open(s->router, NULL) == TW_OK);
  }
  depth--;
  return TW_PASS;
}

static void *send_some(void *arg) {
  storm *s = arg;
  tw_event *event;
  expect(tw_event_parse("{}", 2, NULL, &event, NULL) == TW_OK);
  for (int i = 0; i < EVENTS; i++) {
    tw_status status = tw_router_send(s->router, event, 0, NULL);
    expect(status == TW_OK || status == TW_ECLOSED);
  }
  tw_event_free(event);
  return NULL;
}

static void callbacks_meddle_with_the_router_that_calls_them(void **state) {
  (void)state;
  static const tw_processor_ops ops = {meddle, NULL};
  pthread_t threads[THREADS];
  counter always = {0}, below = {0};
  tw_processor *processor;
  tw_router_stats stats;
  storm s = {.router = new_router(), .child = new_router()};
  tw_processor_new("meddle", &ops, &s, TW_ON_ERROR_PASS, &processor, NULL);
  tw_router_add_processor(s.router, processor, NULL);
  add_counter(s.router, "always", &always, 0);
  add_counter(s.child, "below", &below, 0);
  tw_router_add_router(s.router, "child", s.child, NULL);
  assert_int_equal(tw_router_open(s.router, NULL), TW_OK);
  run_all(send_some, &s, threads);
  join_all(threads);
  tw_router_get_stats(s.router, &stats);
  assert_int_equal(atomic_exchange(&failures, 0), 0);
  assert_int_equal(stats.received, always.sent);
  assert_int_equal(always.sent, below.sent);
  tw_router_unref(s.router);
  assert_int_equal(always.opened, always.closed);
}

/* ------------------------------------------------------------ late leaver */

typedef struct meeting {
  tw_router *router;
  pthread_t thread;
  pthread_barrier_t inside, leave;
  counter *backend;
  atomic_int calls;
} meeting;

/* The first event stays inside until the second, which came after the router was closed and
   opened again, has closed it once more. */
static tw_verdict meet(void *self, tw_event *event, tw_split *split, tw_error *error) {
  meeting *m = self;
  (void)event, (void)split, (void)error;
  if (atomic_fetch_add(&m->calls, 1) == 0) {
    pthread_barrier_wait(&m->inside);
    pthread_barrier_wait(&m->leave);
    return TW_PASS;
  }
  expect(tw_router_close(m->router, NULL) == TW_OK);
  pthread_barrier_wait(&m->leave);
  pthread_join(m->thread, NULL);
  expect(m->backend->closed == 0);
  return TW_PASS;
}

static void *send_one(void *arg) {
  tw_event *event;
  expect(tw_event_parse("{}", 2, NULL, &event, NULL) == TW_OK);
  expect(tw_router_send(((meeting *)arg)->router, event, 0, NULL) == TW_OK);
  tw_event_free(event);
  return NULL;
}

static void a_late_event_never_closes_backends_under_a_later_one(void **state) {
  (void)state;
  static const tw_processor_ops ops = {meet, NULL};
  counter c = {0};
  tw_processor *processor;
  meeting m = {.router = new_router(), .backend = &c};
  pthread_barrier_init(&m.inside, NULL, 2);
  pthread_barrier_init(&m.leave, NULL, 2);
  tw_processor_new("meet", &ops, &m, TW_ON_ERROR_PASS, &processor, NULL);
  tw_router_add_processor(m.router, processor, NULL);
  add_counter(m.router, "c", &c, 0);
  tw_router_open(m.router, NULL);
  pthread_create(&m.thread, NULL, send_one, &m);
  pthread_barrier_wait(&m.inside);
  assert_int_equal(tw_router_close(m.router, NULL), TW_OK);
  assert_int_equal(tw_router_open(m.router, NULL), TW_OK);
  send_one(&m);
  assert_int_equal(atomic_exchange(&failures, 0), 0);
  assert_int_equal(c.sent, 2);
  assert_int_equal(c.opened, 1);
  assert_int_equal(c.closed, 1);
  tw_router_unref(m.router);
  pthread_barrier_destroy(&m.inside);
  pthread_barrier_destroy(&m.leave);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(threads_emit_with_a_context_each),
      cmocka_unit_test(threads_emit_with_one_context_for_all),
      cmocka_unit_test(a_tracker_goes_with_the_last_thread_that_holds_it),
      cmocka_unit_test(a_router_changes_while_events_flow),
      cmocka_unit_test(a_router_opens_and_closes_while_events_flow),
      cmocka_unit_test(callbacks_meddle_with_the_router_that_calls_them),
      cmocka_unit_test(a_late_event_never_closes_backends_under_a_later_one),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
