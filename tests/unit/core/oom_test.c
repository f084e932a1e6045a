/* Each allocation of each call fails once: an error, no crash, and nothing is left. */
#include "support/oom.h"
#include "unit/core/probe.h"

/* ---------------------------------------------------------------- harness */

static tw_status null_send(void *self, tw_event *event, unsigned flags, tw_error *error) {
  (void)event, (void)flags, (void)error;
  ++*(long *)self;
  return TW_OK;
}

static const tw_backend_ops null_ops = {.send = null_send};
static long sent;

/* ------------------------------------------------------------------ making */

static tw_status make_tracker(void *self) {
  (void)self;
  tw_tracker *tracker;
  tw_status status = tw_tracker_new(NULL, &tracker, NULL);
  tw_tracker_unref(tracker);
  return status;
}

static tw_status make_default_locator(void *self) {
  (void)self;
  tw_locator *locator;
  tw_status status = tw_locator_new_default(&locator, NULL);
  tw_locator_unref(locator);
  return status;
}

static tw_status make_kind(void *options) {
  tw_processor *processor;
  const char *kind = strstr(options, "names") ? "allowlist" : "regex_filter";
  tw_status status = tw_processor_new_kind(kind, options, strlen(options), &processor, NULL);
  tw_processor_unref(processor);
  return status;
}

static tw_status make_backend(void *self) {
  tw_backend *backend;
  tw_status status = tw_backend_new(&null_ops, self, TW_SERIAL, &backend, NULL);
  tw_backend_unref(backend);
  return status;
}

static void objects_are_made_or_not(void **state) {
  (void)state;
  size_t live = tw_oom_live();
  assert_true(tw_oom_fail_each(make_tracker, NULL) >= 4);
  assert_true(tw_oom_fail_each(make_default_locator, NULL) >= 2);
  assert_true(tw_oom_fail_each(make_backend, &sent) >= 1);
  assert_true(tw_oom_fail_each(make_kind, "{\"names\":[\"a\",\"b\\n\"]}") >= 4);
  assert_true(tw_oom_fail_each(make_kind, "{\"allow\":[\"a\"]}") >= 4);
  assert_int_equal(tw_oom_live(), live);
}

/* --------------------------------------------------------------- changing */

typedef struct fixture {
  tw_router *router;
  tw_tracker *tracker;
  tw_context *context;
  int count;
} fixture;

static tw_status add_backend(void *self) {
  fixture *f = self;
  char name[16];
  tw_backend *backend;
  snprintf(name, sizeof name, "b%d", f->count);
  tw_status status = tw_backend_new(&null_ops, &sent, 0, &backend, NULL);
  if (status == TW_OK) status = tw_router_add_backend(f->router, name, backend, NULL);
  if (status == TW_OK) f->count++;
  return status;
}

static tw_status add_child(void *self) {
  fixture *f = self;
  char name[16];
  tw_router *child;
  snprintf(name, sizeof name, "c%d", f->count);
  tw_status status = tw_router_new(&child, NULL);
  if (status == TW_OK) status = tw_router_add_router(f->router, name, child, NULL);
  if (status == TW_OK) f->count++;
  return status;
}

static tw_status add_processor(void *self) {
  static stage s = {.verdict = TW_PASS};
  fixture *f = self;
  tw_processor *processor;
  tw_status status = tw_processor_new("p", &stage_ops, &s, TW_ON_ERROR_PASS, &processor, NULL);
  return status == TW_OK ? tw_router_add_processor(f->router, processor, NULL) : status;
}

static tw_status route_to_all(void *self, tw_event *event, tw_targets *targets,
                              tw_error *error) {
  (void)self, (void)event;
  return tw_targets_add(targets, "b0", 2, error);
}

static tw_status set_route(void *self) {
  static const tw_route_ops ops = {route_to_all, NULL};
  return tw_router_set_route(((fixture *)self)->router, &ops, NULL, NULL);
}

static tw_status set_observer(void *self) {
  static const tw_observer silent = {NULL, NULL, NULL};
  return tw_router_set_observer(((fixture *)self)->router, &silent, NULL, NULL);
}

static tw_status open_router(void *self) {
  return tw_router_open(((fixture *)self)->router, NULL);
}

static void changes_are_made_or_taken_back(void **state) {
  (void)state;
  size_t live = tw_oom_live();
  fixture f = {.router = new_router()};
  for (int open = 0; open < 2; open++) {
    for (int i = 0; i < 6; i++) tw_oom_fail_each(add_backend, &f);
    for (int i = 0; i < 3; i++) tw_oom_fail_each(add_child, &f);
    for (int i = 0; i < 5; i++) tw_oom_fail_each(add_processor, &f);
    tw_oom_fail_each(set_route, &f);
    tw_oom_fail_each(set_observer, &f);
    /* Spares of a failed opening stay: they are counted with the router. */
    for (size_t n = 0;; n++) {
      tw_oom_fail_at(n);
      tw_status status = open_router(&f);
      bool failed = tw_oom_off();
      assert_int_equal(status, failed ? TW_ENOMEM : TW_OK);
      if (!failed) break;
    }
    sent = 0;
    assert_int_equal(send_json(f.router, "{}"), TW_OK);
    assert_int_equal(sent, 1);
  }
  tw_oom_fail_at(0); /* closing and freeing need no memory */
  assert_int_equal(tw_router_flush(f.router, NULL), TW_OK);
  assert_int_equal(tw_router_close(f.router, NULL), TW_OK);
  tw_router_unref(f.router);
  assert_false(tw_oom_off());
  assert_int_equal(tw_oom_live(), live);
}

/* --------------------------------------------------------------- contexts */

static tw_status enter_and_resolve(void *self) {
  fixture *f = self;
  char *text = NULL;
  size_t len;
  const char *json = "{\"a\":1,\"\\u0062\":[2,3]}";
  tw_status status = tw_context_enter(f->context, "c", json, strlen(json), NULL);
  if (status != TW_OK) return status;
  status = tw_context_resolve(f->context, &text, &len, NULL);
  tw_free(text);
  tw_context_exit(f->context, "c", NULL);
  return status;
}

static tw_status copy_context(void *self) {
  tw_context *copy = tw_context_copy(((fixture *)self)->context);
  tw_context_unref(copy);
  return copy ? TW_OK : TW_ENOMEM;
}

static void contexts_stay_as_they_are(void **state) {
  (void)state;
  size_t live = tw_oom_live();
  for (size_t n = 0, failed = 1; failed; n++) {
    fixture f = {.context = tw_context_new()};
    assert_int_equal(tw_context_enter(f.context, "o", "{\"a\":0}", 7, NULL), TW_OK);
    tw_oom_fail_at(n);
    tw_status status = enter_and_resolve(&f);
    if (status == TW_OK) status = copy_context(&f);
    failed = tw_oom_off();
    assert_int_equal(status, failed ? TW_ENOMEM : TW_OK);
    char *text;
    size_t len;
    assert_int_equal(tw_context_resolve(f.context, &text, &len, NULL), TW_OK);
    assert_string_equal(text, "{\"a\":0}");
    tw_free(text);
    tw_context_unref(f.context);
  }
  assert_int_equal(tw_oom_live(), live);
}

/* ------------------------------------------------------------------- emit */

static void an_emit_fails_or_arrives(void **state) {
  (void)state;
  size_t live = tw_oom_live();
  for (int packed = 0; packed < 2; packed++) {
    for (size_t n = 0, failed = 1; failed; n++) {
      tw_tracker *tracker;
      fixture f = {0};
      assert_int_equal(tw_tracker_new(NULL, &tracker, NULL), TW_OK);
      f.router = tw_tracker_router(tracker);
      assert_int_equal(add_backend(&f), TW_OK);
      sent = 0;
      tw_oom_fail_at(n);
      tw_status status = packed ? tw_emitf(tracker, "n", "{a:%d}", 1)
                                : tw_emit(tracker, "n", "{\"a\":1}", 7, NULL);
      failed = tw_oom_off();
      assert_int_equal(status, failed ? TW_ENOMEM : TW_OK);
      assert_int_equal(sent, !failed);
      assert_int_equal(tw_emit(tracker, "n", NULL, 0, NULL), TW_OK);
      tw_tracker_unref(tracker);
    }
  }
  assert_int_equal(tw_oom_live(), live);
}

static void an_event_needs_no_memory_in_the_steady_state(void **state) {
  (void)state;
  static const char *const filter = "{\"allow\":[\"a\",\"n\"]}";
  tw_tracker *tracker;
  tw_processor *processor;
  tw_tracker_new(NULL, &tracker, NULL);
  fixture f = {.router = tw_tracker_router(tracker)};
  add_backend(&f), add_backend(&f);
  tw_processor_new_kind("regex_filter", filter, strlen(filter), &processor, NULL);
  tw_router_add_processor(f.router, processor, NULL);
  set_route(&f);
  tw_enter_context(tracker, "c", "{\"x\":1}", 7, NULL);
  for (int i = 0; i < 3; i++) tw_emitf(tracker, "n", "{a:%d}", 1000000 + i);
  size_t calls = tw_oom_calls();
  sent = 0;
  for (int i = 0; i < 100; i++) {
    assert_int_equal(tw_emit(tracker, "n", "{\"a\":1}", 7, NULL), TW_OK);
    assert_int_equal(tw_emitf(tracker, "n", "{a:%d}", i), TW_OK);
  }
  assert_int_equal(sent, 200);
  assert_int_equal(tw_oom_calls(), calls);
  tw_tracker_unref(tracker);
}

/* What processors and routes cannot get is told, and the event still arrives. */
static void failures_inside_a_router_never_lose_an_event(void **state) {
  (void)state;
  static const tw_observer silent = {NULL, NULL, NULL};
  size_t live = tw_oom_live();
  for (size_t n = 0, failed = 1; failed; n++) {
    tw_event *event;
    tw_router_stats stats;
    stage tolerant = {.verdict = TW_SPLIT, .pieces = {"{\"b\":1}", "{\"b\":2}"}};
    fixture f = {.router = new_router()};
    add_stage(f.router, "split", &tolerant, TW_ON_ERROR_PASS);
    add_backend(&f);
    tw_router_set_observer(f.router, &silent, NULL, NULL);
    tw_router_open(f.router, NULL);
    tw_event_parse("{\"id\":\"x\"}", 10, NULL, &event, NULL);
    sent = 0;
    tw_oom_fail_at(n);
    assert_int_equal(tw_router_send(f.router, event, 0, NULL), TW_OK);
    failed = tw_oom_off();
    tw_router_get_stats(f.router, &stats);
    assert_true(sent >= 1);
    assert_int_equal(stats.failed != 0, failed);
    tw_event_free(event);
    tw_router_unref(f.router);
  }
  assert_int_equal(tw_oom_live(), live);
}

/* Looks at no status. The pieces are long enough for allocations in between. */
static tw_verdict split_carelessly(void *self, tw_event *event, tw_split *split,
                                   tw_error *error) {
  static char piece[8000];
  (void)self, (void)event;
  snprintf(piece, sizeof piece, "{\"x\":\"%0*d\"}", 7900, 0);
  for (int i = 0; i < 3; i++) tw_split_add_json(split, piece, strlen(piece), error);
  return TW_SPLIT;
}

static void a_split_goes_on_whole_or_in_all_its_pieces(void **state) {
  (void)state;
  static const tw_processor_ops ops = {split_carelessly, NULL};
  static const tw_observer silent = {NULL, NULL, NULL};
  for (size_t n = 0, failed = 1; failed; n++) {
    tw_event *event;
    tw_processor *processor;
    fixture f = {.router = new_router()};
    tw_processor_new("split", &ops, NULL, TW_ON_ERROR_PASS, &processor, NULL);
    tw_router_add_processor(f.router, processor, NULL);
    add_backend(&f);
    tw_router_set_observer(f.router, &silent, NULL, NULL);
    tw_router_open(f.router, NULL);
    tw_event_parse("{\"id\":\"x\"}", 10, NULL, &event, NULL);
    sent = 0;
    tw_oom_fail_at(n);
    tw_router_send(f.router, event, 0, NULL);
    failed = tw_oom_off();
    assert_true(sent == 3 || (failed && sent == 1));
    tw_event_free(event);
    tw_router_unref(f.router);
  }
}

/* --------------------------------------------------------------- registry */

static void registering_works_or_leaves_all_as_it_was(void **state) {
  (void)state;
  tw_tracker *tracker, *found;
  size_t live = tw_oom_live();
  tw_tracker_new(NULL, &tracker, NULL);
  for (size_t n = 0, failed = 1; failed; n++) {
    tw_oom_fail_at(n);
    tw_status status = tw_register_tracker(tracker, "t", NULL);
    failed = tw_oom_off();
    assert_int_equal(status, failed ? TW_ENOMEM : TW_OK);
    assert_int_equal(tw_get_tracker("t", &found, NULL), failed ? TW_ENOENT : TW_OK);
    tw_tracker_unref(found);
  }
  assert_int_equal(tw_unregister_tracker("t", NULL), TW_OK);
  tw_tracker_unref(tracker);
  assert_int_equal(tw_oom_live(), live);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(objects_are_made_or_not),
      cmocka_unit_test(changes_are_made_or_taken_back),
      cmocka_unit_test(contexts_stay_as_they_are),
      cmocka_unit_test(an_emit_fails_or_arrives),
      cmocka_unit_test(an_event_needs_no_memory_in_the_steady_state),
      cmocka_unit_test(failures_inside_a_router_never_lose_an_event),
      cmocka_unit_test(a_split_goes_on_whole_or_in_all_its_pieces),
      cmocka_unit_test(registering_works_or_leaves_all_as_it_was),
  };
  tw_oom_install();
  return cmocka_run_group_tests(tests, NULL, NULL);
}
