/* What hosts leave out, get wrong or do at odd moments. */
#include "unit/core/probe.h"

/* ---------------------------------------------------------------- operations */

static tw_status take(void *self, tw_event *event, unsigned flags, tw_error *error) {
  (void)event, (void)flags, (void)error;
  ++*(int *)self;
  return TW_OK;
}

static tw_verdict pass(void *self, tw_event *event, tw_split *split, tw_error *error) {
  (void)event, (void)split, (void)error;
  ++*(int *)self;
  return TW_PASS;
}

static void count_call(void *self) { ++*(int *)self; }

static tw_context *new_context(void *self) {
  ++*(int *)self;
  return tw_context_new();
}

/* A callee that kept the pointers would call into what is left of them. */
static void operations_are_copied(void **state) {
  (void)state;
  int taken = 0, passed = 0, located = 0;
  tw_backend_ops backend_ops = {.send = take};
  tw_processor_ops processor_ops = {.process = pass};
  tw_locator_ops locator_ops = {.get = new_context};
  tw_backend *backend;
  tw_processor *processor;
  tw_locator *locator;
  tw_tracker *tracker;
  assert_int_equal(tw_locator_new(&locator_ops, &located, &locator, NULL), TW_OK);
  assert_int_equal(tw_tracker_new(locator, &tracker, NULL), TW_OK);
  assert_int_equal(tw_backend_new(&backend_ops, &taken, 0, &backend, NULL), TW_OK);
  assert_int_equal(
      tw_processor_new(NULL, &processor_ops, &passed, TW_ON_ERROR_PASS, &processor, NULL),
      TW_OK);
  tw_router *router = tw_tracker_router(tracker);
  assert_int_equal(tw_router_add_backend(router, "a", backend, NULL), TW_OK);
  assert_int_equal(tw_router_add_processor(router, processor, NULL), TW_OK);
  memset(&backend_ops, 0, sizeof backend_ops);
  memset(&processor_ops, 0, sizeof processor_ops);
  memset(&locator_ops, 0, sizeof locator_ops);
  assert_int_equal(tw_emit(tracker, "x", NULL, 0, NULL), TW_OK);
  assert_int_equal(taken, 1);
  assert_int_equal(passed, 1);
  assert_int_equal(located, 1);
  tw_tracker_unref(tracker);
}

static void what_lacks_its_one_operation_is_refused_and_freed(void **state) {
  (void)state;
  int freed = 0;
  tw_error error;
  tw_backend *backend;
  tw_processor *processor;
  tw_locator *locator;
  tw_router *router = new_router();
  const tw_backend_ops backend_ops = {.free = count_call};
  const tw_processor_ops processor_ops = {.free = count_call};
  const tw_locator_ops locator_ops = {.free = count_call};
  const tw_route_ops route_ops = {.free = count_call};
  assert_int_equal(tw_backend_new(&backend_ops, &freed, 0, &backend, &error), TW_EINVAL);
  assert_null(backend);
  assert_int_equal(
      tw_processor_new("p", &processor_ops, &freed, TW_ON_ERROR_PASS, &processor, &error),
      TW_EINVAL);
  assert_null(processor);
  assert_int_equal(tw_locator_new(&locator_ops, &freed, &locator, &error), TW_EINVAL);
  assert_null(locator);
  assert_int_equal(tw_router_set_route(router, &route_ops, &freed, &error), TW_EINVAL);
  assert_int_equal(freed, 4);
  tw_router_unref(router);
}

/* As after a constructor whose failure the host did not look at. */
static void null_is_no_part_of_a_router_and_no_kind(void **state) {
  (void)state;
  tw_error error;
  tw_processor *processor;
  tw_router *router = new_router();
  assert_null(tw_backend_ref(NULL));
  assert_null(tw_router_ref(NULL));
  assert_null(tw_processor_ref(NULL));
  assert_int_equal(tw_router_add_backend(router, "a", NULL, &error), TW_EINVAL);
  assert_int_equal(tw_router_add_router(router, "b", NULL, &error), TW_EINVAL);
  assert_int_equal(tw_router_add_processor(router, NULL, &error), TW_EINVAL);
  assert_int_equal(tw_processor_new_kind(NULL, "{}", 2, &processor, &error), TW_EINVAL);
  assert_int_equal(tw_router_open(router, NULL), TW_OK);
  assert_int_equal(send_json(router, "{}"), TW_OK);
  tw_router_unref(router);
}

/* -------------------------------------------------------------------- errors */

typedef struct mute {
  tw_status opening, flushing;
  uint64_t lost;
  int without_error; ///< calls that had no error to write to
} mute;

static tw_status mute_open(void *self, tw_error *error) {
  mute *m = self;
  m->without_error += !error;
  return m->opening;
}

static tw_status mute_flush(void *self, uint64_t *lost, tw_error *error) {
  mute *m = self;
  m->without_error += !error;
  *lost = m->lost;
  return m->flushing;
}

static tw_status mute_send(void *self, tw_event *event, unsigned flags, tw_error *error) {
  (void)self, (void)event, (void)flags, (void)error;
  return TW_ELIMIT;
}

static const tw_backend_ops mute_ops = {
    .open = mute_open, .send = mute_send, .flush = mute_flush};

static tw_router *new_mute_router(mute *m) {
  tw_backend *backend;
  tw_router *router = new_router();
  assert_int_equal(tw_backend_new(&mute_ops, m, 0, &backend, NULL), TW_OK);
  assert_int_equal(tw_router_add_backend(router, "m", backend, NULL), TW_OK);
  return router;
}

static void callbacks_have_an_error_to_write_to_when_the_caller_wants_none(void **state) {
  (void)state;
  mute m = {.opening = TW_EIO, .flushing = TW_OK};
  tw_router *router = new_mute_router(&m);
  assert_int_equal(tw_router_open(router, NULL), TW_EIO);
  m.opening = TW_OK;
  assert_int_equal(tw_router_open(router, NULL), TW_OK);
  assert_int_equal(tw_router_flush(router, NULL), TW_OK);
  assert_int_equal(tw_router_close(router, NULL), TW_OK);
  assert_int_equal(m.without_error, 0);
  tw_router_unref(router);
}

static void check_cause(void *self, const tw_failure *failure) {
  ++*(int *)self;
  assert_true(failure->error->code == TW_EIO || failure->error->code == TW_ELIMIT);
  assert_int_equal(failure->error->position, TW_NO_POSITION);
  assert_non_null(strstr(failure->error->message, "gave no reason"));
}

static void failures_without_a_reason_have_their_status_and_say_so(void **state) {
  (void)state;
  int told = 0;
  mute m = {.opening = TW_EIO, .flushing = TW_EIO, .lost = 1};
  tw_error error;
  const tw_observer observer = {.failed = check_cause};
  tw_router *router = new_mute_router(&m);
  assert_int_equal(tw_router_set_observer(router, &observer, &told, NULL), TW_OK);
  memset(&error, 'Z', sizeof error);
  assert_int_equal(tw_router_open(router, &error), TW_EIO);
  assert_int_equal(error.code, TW_EIO);
  assert_string_equal(error.message, "m: opening failed and gave no reason");
  m.opening = TW_OK;
  assert_int_equal(tw_router_open(router, NULL), TW_OK);
  assert_int_equal(send_json(router, "{}"), TW_OK);
  memset(&error, 'Z', sizeof error);
  assert_int_equal(tw_router_flush(router, &error), TW_EIO);
  assert_int_equal(error.code, TW_EIO);
  assert_int_equal(error.position, TW_NO_POSITION);
  assert_string_equal(error.message, "m: flushing failed and gave no reason");
  assert_int_equal(told, 2);
  m.flushing = TW_OK;
  tw_router_unref(router);
}

static void messages_stay_on_one_line_whatever_a_name_holds(void **state) {
  (void)state;
  tw_error error;
  tw_backend *backend;
  tw_router *child, *router = new_router();
  tw_context *context = tw_context_new();
  assert_int_equal(tw_router_get(router, "a\nb", &backend, &child, &error), TW_ENOENT);
  assert_null(strpbrk(error.message, "\n\r"));
  assert_int_equal(tw_context_exit(context, "a\r\nb", &error), TW_ENOENT);
  assert_null(strpbrk(error.message, "\n\r"));
  assert_int_equal(tw_context_enter(context, "a\nb", "{", 1, &error), TW_EJSON);
  assert_null(strpbrk(error.message, "\n\r"));
  tw_context_unref(context);
  tw_router_unref(router);
}

/* ------------------------------------------------------------------- verdict */

static tw_verdict answer_nonsense(void *self, tw_event *event, tw_split *split,
                                  tw_error *error) {
  (void)self, (void)split;
  (void)tw_event_set_bool(event, "edited", true, error);
  return (tw_verdict)77;
}

static void what_is_no_verdict_is_a_failure(void **state) {
  (void)state;
  probe_log log = {0};
  probe a = {.name = "a", .log = &log};
  const tw_processor_ops ops = {.process = answer_nonsense};
  const tw_observer silent = {0};
  tw_processor *processor;
  tw_router_stats stats;
  tw_router *router = new_router();
  assert_int_equal(tw_router_set_observer(router, &silent, NULL, NULL), TW_OK);
  assert_int_equal(tw_processor_new("p", &ops, NULL, TW_ON_ERROR_PASS, &processor, NULL),
                   TW_OK);
  assert_int_equal(tw_router_add_processor(router, processor, NULL), TW_OK);
  add_probe(router, &a);
  assert_int_equal(tw_router_open(router, NULL), TW_OK);
  log_clear(&log);
  assert_int_equal(send_json(router, "{}"), TW_OK);
  assert_log(&log, "a:{} ");
  tw_router_get_stats(router, &stats);
  assert_int_equal(stats.failed, 1);
  tw_router_unref(router);
}

/* --------------------------------------------------------------------- loops */

typedef struct echo {
  tw_tracker *tracker;
  int sent;
  tw_status refused;
} echo;

static tw_status emit_again(void *self, tw_event *event, unsigned flags, tw_error *error) {
  (void)event, (void)flags;
  echo *e = self;
  e->sent++;
  e->refused = tw_emit(e->tracker, "again", NULL, 0, error);
  if (e->refused != TW_OK) return e->refused;
  e->refused = TW_ELIMIT;
  return TW_OK;
}

static void a_backend_that_emits_for_ever_is_stopped(void **state) {
  (void)state;
  echo e = {0};
  const tw_backend_ops ops = {.send = emit_again};
  const tw_observer silent = {0};
  tw_backend *backend;
  assert_int_equal(tw_tracker_new(NULL, &e.tracker, NULL), TW_OK);
  tw_router *router = tw_tracker_router(e.tracker);
  assert_int_equal(tw_backend_new(&ops, &e, 0, &backend, NULL), TW_OK);
  assert_int_equal(tw_router_add_backend(router, "echo", backend, NULL), TW_OK);
  assert_int_equal(tw_router_set_observer(router, &silent, NULL, NULL), TW_OK);
  for (int i = 1; i < 3; i++) {
    assert_int_equal(tw_emit(e.tracker, "first", NULL, 0, NULL), TW_OK);
    assert_int_equal(e.sent, i * (TW_MAX_NESTED + 1));
    assert_int_equal(e.refused, TW_ELIMIT);
  }
  tw_tracker_unref(e.tracker);
}

/* -------------------------------------------------------------------- memory */

static void an_event_that_is_sent_for_ever_takes_no_more_memory(void **state) {
  (void)state;
  stage edit = {.edit = "edited", .verdict = TW_PASS};
  tw_router_stats stats;
  tw_event *event;
  const char *json;
  size_t len, spent = 0;
  tw_router *router = new_router();
  add_stage(router, "edit", &edit, TW_ON_ERROR_DROP);
  assert_int_equal(tw_router_open(router, NULL), TW_OK);
  assert_int_equal(tw_event_parse("{\"a\":1}", 7, NULL, &event, NULL), TW_OK);
  for (int i = 0; i < 60000; i++) {
    assert_int_equal(tw_router_send(router, event, 0, NULL), TW_OK);
    if (i == 30000) spent = event->store->spent;
  }
  assert_int_equal(event->store->spent, spent);
  assert_int_equal(tw_event_json(event, &json, &len), TW_OK);
  assert_string_equal(json, "{\"a\":1}");
  tw_router_get_stats(router, &stats);
  assert_int_equal(stats.failed, 0);
  tw_event_free(event);
  tw_router_unref(router);
}

/* -------------------------------------------------------------------- visits */

static void let_go(void *self, const char *path, tw_backend *backend, tw_router *child) {
  (void)path, (void)backend, (void)child;
  tw_router **router = self;
  tw_router_unref(*router);
  *router = NULL;
}

static void a_visit_may_let_go_of_the_router(void **state) {
  (void)state;
  probe_log log = {0};
  probe a = {.name = "a", .log = &log}, b = {.name = "b", .log = &log};
  tw_router *router = new_router();
  add_probe(router, &a);
  add_probe(router, &b);
  assert_int_equal(tw_router_visit(router, let_go, &router), TW_OK);
  assert_log(&log, "free-a free-b ");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(operations_are_copied),
      cmocka_unit_test(what_lacks_its_one_operation_is_refused_and_freed),
      cmocka_unit_test(null_is_no_part_of_a_router_and_no_kind),
      cmocka_unit_test(callbacks_have_an_error_to_write_to_when_the_caller_wants_none),
      cmocka_unit_test(failures_without_a_reason_have_their_status_and_say_so),
      cmocka_unit_test(messages_stay_on_one_line_whatever_a_name_holds),
      cmocka_unit_test(what_is_no_verdict_is_a_failure),
      cmocka_unit_test(a_backend_that_emits_for_ever_is_stopped),
      cmocka_unit_test(an_event_that_is_sent_for_ever_takes_no_more_memory),
      cmocka_unit_test(a_visit_may_let_go_of_the_router),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
