#include <pthread.h>

#include <stdlib.h>
#include "base/clock.h"

#include "unit/core/probe.h"

static tw_tracker *new_tracker(void) {
  tw_tracker *tracker;
  assert_int_equal(tw_tracker_new(NULL, &tracker, NULL), TW_OK);
  return tracker;
}

static void enter(tw_tracker *tracker, const char *name, const char *json) {
  assert_int_equal(tw_enter_context(tracker, name, json, strlen(json), NULL), TW_OK);
}

static void assert_union(tw_tracker *tracker, const char *expected) {
  char *text;
  size_t len;
  assert_int_equal(tw_resolve_context(tracker, &text, &len, NULL), TW_OK);
  assert_string_equal(text, expected);
  assert_int_equal(len, strlen(expected));
  tw_free(text);
}

/* ------------------------------------------------------------------- emit */

static void an_event_has_name_time_context_and_data(void **state) {
  (void)state;
  probe_log log = {0};
  probe a = {.name = "a", .log = &log};
  char before[TW_RFC3339_LEN], after[TW_RFC3339_LEN];
  tw_tracker *tracker = new_tracker();
  add_probe(tw_tracker_router(tracker), &a);
  enter(tracker, "request", "{\"user_id\": 7}");
  tw_rfc3339(tw_clock_utc_us(), before);
  assert_int_equal(tw_emit(tracker, "order \"paid\"", "{\"total\": 1.50}", 15, NULL), TW_OK);
  tw_rfc3339(tw_clock_utc_us(), after);
  const char *at = strstr(log.text, "\"timestamp\":\"");
  assert_non_null(at);
  at += strlen("\"timestamp\":\"");
  assert_true(memcmp(before, at, TW_RFC3339_LEN) <= 0);
  assert_true(memcmp(at, after, TW_RFC3339_LEN) <= 0);
  log.text[at - log.text] = '\0';
  assert_string_equal(log.text, "open-a a:{\"name\":\"order \\\"paid\\\"\",\"timestamp\":\"");
  assert_string_equal(at + TW_RFC3339_LEN,
                      "\",\"context\":{\"user_id\":7},\"data\":{\"total\": 1.50}} ");
  log_clear(&log);
  tw_tracker_unref(tracker);
  assert_log(&log, "flush-a close-a free-a ");
}

static void name_and_data_have_defaults(void **state) {
  (void)state;
  probe_log log = {0};
  probe a = {.name = "a", .log = &log};
  tw_tracker *tracker = new_tracker();
  add_probe(tw_tracker_router(tracker), &a);
  assert_int_equal(tw_emit(tracker, NULL, NULL, 0, NULL), TW_OK);
  assert_non_null(strstr(log.text, "{\"name\":\"unknown\",\"timestamp\":\""));
  assert_non_null(strstr(log.text, "\"context\":{},\"data\":{}} "));
  tw_tracker_unref(tracker);
}

static void data_must_be_one_object_and_positions_are_those_of_the_data(void **state) {
  (void)state;
  static const struct {
    const char *data;
    tw_status status;
    size_t position;
  } cases[] = {
      {"{}", TW_OK, 0},
      {" {\"a\": [1, {}]} \n", TW_OK, 0},
      {"{},\"x\":{}", TW_EJSON, 2},
      {"{}}", TW_EJSON, 2},
      {"{}},{\"name\":{}", TW_EJSON, 2},
      {"{\"a\":1", TW_EJSON, 6},
      {"{\"a\":01}", TW_EJSON, 5},
      {"", TW_EJSON, 0},
      {"{\"a\":\"\xff\"}", TW_EJSON, 6},
      {"[{}]", TW_ETYPE, 0},
      {"1", TW_ETYPE, 0},
  };
  probe_log log = {0};
  probe a = {.name = "a", .log = &log};
  tw_tracker *tracker = new_tracker();
  add_probe(tw_tracker_router(tracker), &a);
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    tw_error error = {0};
    log_clear(&log);
    tw_status status = tw_emit(tracker, "n", cases[i].data, strlen(cases[i].data), &error);
    if (cases[i].status == TW_OK) {
      assert_int_equal(status, TW_OK);
      continue;
    }
    assert_true(status == TW_EJSON || status == TW_ETYPE);
    assert_int_equal(error.code, status);
    assert_memory_equal(error.message, "data: ", 6);
    if (cases[i].status == TW_EJSON) assert_int_equal(error.position, cases[i].position);
    assert_string_equal(log.text, "");
  }
  tw_tracker_unref(tracker);
}

static void limits_hold_for_the_whole_event(void **state) {
  (void)state;
  tw_error error;
  tw_limits small = {.max_size = 200}, flat = {.max_depth = 2};
  tw_tracker *tracker = new_tracker();
  enter(tracker, "c", "{\"filler\":\"0123456789012345678901234567890123456789\"}");
  tw_tracker_set_limits(tracker, &small);
  assert_int_equal(tw_emit(tracker, "n", "{\"a\":1}", 7, &error), TW_OK);
  char big[130] = "{\"a\":\"";
  memset(big + 6, 'x', 100);
  strcpy(big + 106, "\"}");
  assert_int_equal(tw_emit(tracker, "n", big, strlen(big), &error), TW_ELIMIT);
  assert_non_null(strstr(error.message, "the event with its context: "));
  tw_tracker_set_limits(tracker, &flat);
  assert_int_equal(tw_emit(tracker, "n", "{\"a\":1}", 7, &error), TW_OK);
  assert_int_equal(tw_emit(tracker, "n", "{\"a\":[]}", 8, &error), TW_ELIMIT);
  tw_tracker_set_limits(tracker, NULL);
  assert_int_equal(tw_emit(tracker, "n", "{\"a\":[]}", 8, &error), TW_OK);
  tw_tracker_unref(tracker);
}

static void a_name_that_is_not_utf8_is_refused(void **state) {
  (void)state;
  tw_error error;
  tw_tracker *tracker = new_tracker();
  assert_int_equal(tw_emit(tracker, "a\xc3", NULL, 0, &error), TW_EJSON);
  assert_memory_equal(error.message, "the event's name: ", 18);
  assert_int_equal(tw_emit(tracker, "a\xc3\xa4", NULL, 0, &error), TW_OK);
  tw_tracker_unref(tracker);
}

static void data_can_be_packed(void **state) {
  (void)state;
  probe_log log = {0};
  probe a = {.name = "a", .log = &log};
  tw_tracker *tracker = new_tracker();
  add_probe(tw_tracker_router(tracker), &a);
  assert_int_equal(
      tw_emitf(tracker, "order.paid", "{total:%f, user:%s, items:%d}", 12.5, "ann", 3), TW_OK);
  assert_non_null(strstr(log.text, "\"data\":{\"total\":12.5,\"user\":\"ann\",\"items\":3}} "));
  assert_int_not_equal(tw_emitf(tracker, "order.paid", "{total:%f", 12.5), TW_OK);
  assert_int_not_equal(tw_emitf(tracker, "order.paid", "[%d]", 1), TW_OK);
  tw_tracker_unref(tracker);
}

static void the_first_emit_opens_and_a_closed_tracker_stays_closed(void **state) {
  (void)state;
  probe_log log = {0};
  probe a = {.name = "a", .log = &log, .open_status = TW_EIO};
  tw_error error;
  tw_tracker *tracker = new_tracker();
  add_probe(tw_tracker_router(tracker), &a);
  assert_int_equal(tw_emit(tracker, "n", NULL, 0, &error), TW_EIO);
  assert_string_equal(error.message, "a: a does not open");
  a.open_status = TW_OK;
  assert_int_equal(tw_emit(tracker, "n", NULL, 0, &error), TW_OK);
  assert_int_equal(tw_router_close(tw_tracker_router(tracker), &error), TW_OK);
  assert_int_equal(tw_emit(tracker, "n", NULL, 0, &error), TW_ECLOSED);
  assert_int_equal(tw_router_open(tw_tracker_router(tracker), &error), TW_OK);
  assert_int_equal(tw_emit(tracker, "n", NULL, 0, &error), TW_OK);
  tw_tracker_unref(tracker);
}

static void emit_inside(probe *p, tw_event *event) {
  tw_value name;
  assert_int_equal(tw_event_get(event, "name", &name), TW_OK);
  if (strcmp(name.string, "outer") != 0) return;
  assert_int_equal(tw_emit(p->context, "inner", "{\"in\":1}", 8, NULL), TW_OK);
  assert_int_equal(tw_event_get(event, "data.out", &name), TW_OK);
  assert_int_equal(name.integer, 2);
}

static void callbacks_may_emit_into_the_same_tracker(void **state) {
  (void)state;
  probe_log log = {0};
  tw_tracker *tracker = new_tracker();
  probe a = {.name = "a", .log = &log, .inside = emit_inside, .context = tracker};
  add_probe(tw_tracker_router(tracker), &a);
  assert_int_equal(tw_emit(tracker, "outer", "{\"out\":2}", 9, NULL), TW_OK);
  assert_non_null(strstr(log.text, "{\"in\":1}"));
  tw_tracker_unref(tracker);
}

static void unref_inside(probe *p, tw_event *event) {
  (void)event;
  tw_tracker_unref(p->context);
}

static void a_callback_may_free_the_tracker_that_calls_it(void **state) {
  (void)state;
  probe_log log = {0};
  tw_tracker *tracker = new_tracker();
  probe a = {.name = "a", .log = &log, .inside = unref_inside, .context = tracker},
        b = {.name = "b", .log = &log};
  add_probe(tw_tracker_router(tracker), &a);
  add_probe(tw_tracker_router(tracker), &b);
  assert_int_equal(tw_emit(tracker, "n", NULL, 0, NULL), TW_OK);
  assert_non_null(strstr(log.text, " b:{\"name\""));
  assert_non_null(strstr(log.text, "close-b"));
  assert_non_null(strstr(log.text, "free-a free-b "));
}

/* --------------------------------------------------------------- contexts */

static void later_contexts_override_and_keys_keep_their_place(void **state) {
  (void)state;
  tw_tracker *tracker = new_tracker();
  assert_union(tracker, "{}");
  enter(tracker, "one", "{\"a\": 1.50, \"b\": [1, 2]}");
  enter(tracker, "two",
        "{ \"c\" : 123456789012345678901234567890, \"\\u0061\" : {\"x\": null} }");
  assert_union(tracker,
               "{\"\\u0061\":{\"x\": null},\"b\":[1, 2],"
               "\"c\":123456789012345678901234567890}");
  assert_int_equal(tw_exit_context(tracker, "one", NULL), TW_OK);
  assert_union(tracker, "{\"c\":123456789012345678901234567890,\"\\u0061\":{\"x\": null}}");
  assert_int_equal(tw_exit_context(tracker, "two", NULL), TW_OK);
  assert_union(tracker, "{}");
  tw_tracker_unref(tracker);
}

static void of_equal_keys_the_last_value_counts(void **state) {
  (void)state;
  tw_tracker *tracker = new_tracker();
  enter(tracker, "one", "{\"a\":1,\"b\":2,\"a\":3}");
  assert_union(tracker, "{\"a\":3,\"b\":2}");
  tw_tracker_unref(tracker);
}

static void visit(void *self, const char *name, const char *json, size_t len) {
  log_add(self, "%s=%.*s", name, (int)len, json);
}

static void a_name_entered_again_hides_its_outer_one_until_exit(void **state) {
  (void)state;
  probe_log log = {0};
  tw_error error;
  tw_context *context = tw_context_new();
  assert_int_equal(tw_context_enter(context, "a", "{\"v\":1}", 7, NULL), TW_OK);
  assert_int_equal(tw_context_enter(context, "b", "{}", 2, NULL), TW_OK);
  assert_int_equal(tw_context_enter(context, "a", "{\"v\":2}", 7, NULL), TW_OK);
  tw_context_visit(context, visit, &log);
  assert_log(&log, "b={} a={\"v\":2} ");
  tw_context *copy = tw_context_copy(context);
  assert_int_equal(tw_context_exit(context, "a", NULL), TW_OK);
  tw_context_visit(context, visit, &log);
  assert_log(&log, "a={\"v\":1} b={} ");
  assert_int_equal(tw_context_exit(context, "c", &error), TW_ENOENT);
  assert_string_equal(error.message, "no entered context \"c\"; known: a, b");
  assert_int_equal(tw_context_exit(context, "a", NULL), TW_OK);
  assert_int_equal(tw_context_exit(context, "b", NULL), TW_OK);
  assert_int_equal(tw_context_exit(context, "a", &error), TW_ENOENT);
  assert_string_equal(error.message, "no entered context \"a\"; none is entered");
  tw_context_unref(context);
  tw_context_visit(copy, visit, &log);
  assert_log(&log, "b={} a={\"v\":2} ");
  tw_context_unref(copy);
}

static void assert_resolves(tw_context *context, const char *expected) {
  char *text;
  size_t len;
  assert_int_equal(tw_context_resolve(context, &text, &len, NULL), TW_OK);
  assert_string_equal(text, expected);
  tw_free(text);
}

static void a_copy_hides_and_shows_its_contexts_by_itself(void **state) {
  (void)state;
  tw_context *context = tw_context_new();
  assert_int_equal(tw_context_enter(context, "n", "{\"a\":1}", 7, NULL), TW_OK);
  assert_int_equal(tw_context_enter(context, "n", "{\"b\":2}", 7, NULL), TW_OK);
  assert_int_equal(tw_context_enter(context, "m", "{\"m\":0}", 7, NULL), TW_OK);
  assert_int_equal(tw_context_enter(context, "n", "{\"c\":3}", 7, NULL), TW_OK);
  tw_context *copy = tw_context_copy(context);
  assert_int_equal(tw_context_exit(copy, "n", NULL), TW_OK);
  assert_resolves(copy, "{\"b\":2,\"m\":0}");
  assert_int_equal(tw_context_exit(copy, "n", NULL), TW_OK);
  assert_resolves(copy, "{\"a\":1,\"m\":0}");
  assert_int_equal(tw_context_exit(copy, "m", NULL), TW_OK);
  assert_int_equal(tw_context_exit(copy, "n", NULL), TW_OK);
  assert_int_equal(tw_context_exit(copy, "n", NULL), TW_ENOENT);
  assert_resolves(copy, "{}");
  assert_resolves(context, "{\"m\":0,\"c\":3}");
  tw_context_unref(copy);
  tw_context_unref(context);
}

/* Comparing each with each took seconds for what fits into an event. */
static void a_union_of_many_keys_has_each_once_in_its_place(void **state) {
  (void)state;
  enum { KEYS = 50000, ROOM = KEYS * 20 };
  char *first = malloc(ROOM), *second = malloc(ROOM), *expected = malloc(ROOM);
  assert_true(first && second && expected);
  size_t a = 0, b = 0, e = 0;
  for (int i = 0; i < KEYS; i++) {
    char before = i ? ',' : '{';
    a += (size_t)sprintf(first + a, "%c\"k%d\":%d", before, i, i);
    if (i % 2 == 0) b += (size_t)sprintf(second + b, "%c\"\\u006b%d\":-1", before, i);
    if (i % 2 == 0) e += (size_t)sprintf(expected + e, "%c\"\\u006b%d\":-1", before, i);
    else e += (size_t)sprintf(expected + e, "%c\"k%d\":%d", before, i, i);
  }
  first[a++] = second[b++] = expected[e++] = '}';
  expected[e] = '\0';
  tw_context *context = tw_context_new();
  assert_int_equal(tw_context_enter(context, "first", first, a, NULL), TW_OK);
  assert_int_equal(tw_context_enter(context, "second", second, b, NULL), TW_OK);
  char *text;
  size_t len;
  assert_int_equal(tw_context_resolve(context, &text, &len, NULL), TW_OK);
  assert_true(len == e && memcmp(text, expected, e) == 0);
  tw_free(text);
  tw_context_unref(context);
  free(first), free(second), free(expected);
}

static void a_context_must_be_an_object(void **state) {
  (void)state;
  tw_error error;
  tw_tracker *tracker = new_tracker();
  assert_int_not_equal(tw_enter_context(tracker, "c", "[]", 2, &error), TW_OK);
  assert_memory_equal(error.message, "context \"c\": ", 13);
  assert_int_equal(tw_enter_context(tracker, "c", "{\"a\":}", 6, &error), TW_EJSON);
  assert_int_equal(error.position, 5);
  assert_union(tracker, "{}");
  tw_tracker_unref(tracker);
}

/* --------------------------------------------------------------- locators */

static void *see_contexts(void *arg) {
  tw_tracker *tracker = arg;
  char *text;
  size_t len;
  tw_resolve_context(tracker, &text, &len, NULL);
  tw_enter_context(tracker, "thread", "{\"t\":2}", 7, NULL);
  return text;
}

static void check_second_thread(tw_tracker *tracker, const char *seen, const char *after) {
  pthread_t thread;
  void *text;
  enter(tracker, "main", "{\"m\":1}");
  pthread_create(&thread, NULL, see_contexts, tracker);
  pthread_join(thread, &text);
  assert_string_equal(text, seen);
  tw_free(text);
  assert_union(tracker, after);
  tw_tracker_unref(tracker);
}

static void a_thread_local_locator_has_a_context_for_each_thread(void **state) {
  (void)state;
  check_second_thread(new_tracker(), "{}", "{\"m\":1}");
}

static void the_default_locator_has_one_context_for_all_threads(void **state) {
  (void)state;
  tw_locator *locator;
  tw_tracker *tracker;
  assert_int_equal(tw_locator_new_default(&locator, NULL), TW_OK);
  assert_int_equal(tw_tracker_new(locator, &tracker, NULL), TW_OK);
  check_second_thread(tracker, "{\"m\":1}", "{\"m\":1,\"t\":2}");
}

static pthread_barrier_t barrier;

static void *use_two_locators(void *arg) {
  tw_locator **locators = arg;
  for (int i = 0; i < 2; i++) tw_context_unref(tw_locator_get(locators[i]));
  pthread_barrier_wait(&barrier); /* the first is freed meanwhile */
  pthread_barrier_wait(&barrier);
  tw_context_unref(tw_locator_get(locators[1]));
  tw_context_unref(tw_locator_get(locators[2]));
  return NULL;
}

static void a_locator_may_be_freed_while_threads_live_that_used_it(void **state) {
  (void)state;
  pthread_t thread;
  tw_locator *locators[3];
  for (int i = 0; i < 3; i++) {
    assert_int_equal(tw_locator_new_thread_local(&locators[i], NULL), TW_OK);
  }
  pthread_barrier_init(&barrier, NULL, 2);
  pthread_create(&thread, NULL, use_two_locators, locators);
  pthread_barrier_wait(&barrier);
  tw_locator_unref(locators[0]);
  pthread_barrier_wait(&barrier);
  pthread_join(thread, NULL);
  tw_locator_unref(locators[1]);
  tw_locator_unref(locators[2]);
  pthread_barrier_destroy(&barrier);
}

static void there_may_be_more_locators_than_keys(void **state) {
  (void)state;
  static tw_locator *locators[2000];
  for (int i = 0; i < 2000; i++) {
    assert_int_equal(tw_locator_new_thread_local(&locators[i], NULL), TW_OK);
    tw_context *context = tw_locator_get(locators[i]);
    assert_non_null(context);
    tw_context_unref(context);
  }
  for (int i = 0; i < 2000; i++) tw_locator_unref(locators[i]);
}

/* --------------------------------------------------------------- registry */

static void trackers_are_found_by_name(void **state) {
  (void)state;
  tw_error error;
  tw_tracker *first = new_tracker(), *second = new_tracker(), *found;
  assert_int_equal(tw_get_tracker(NULL, &found, &error), TW_ENOENT);
  assert_string_equal(error.message, "no tracker \"default\"; none is registered");
  assert_int_equal(tw_register_tracker(first, NULL, NULL), TW_OK);
  assert_int_equal(tw_register_tracker(second, "shop", NULL), TW_OK);
  assert_int_equal(tw_register_tracker(second, "", &error), TW_EINVAL);
  assert_int_equal(tw_get_tracker("default", &found, NULL), TW_OK);
  assert_ptr_equal(found, first);
  tw_tracker_unref(found);
  assert_int_equal(tw_register_tracker(second, NULL, NULL), TW_OK);
  assert_int_equal(tw_get_tracker(NULL, &found, NULL), TW_OK);
  assert_ptr_equal(found, second);
  tw_tracker_unref(found);
  tw_tracker_unref(first);
  assert_int_equal(tw_get_tracker("sho", &found, &error), TW_ENOENT);
  assert_null(found);
  assert_non_null(strstr(error.message, "known: default, shop"));
  assert_int_equal(tw_unregister_tracker("nobody", &error), TW_ENOENT);
  assert_int_equal(tw_unregister_tracker(NULL, NULL), TW_OK);
  assert_int_equal(tw_unregister_tracker("shop", NULL), TW_OK);
  tw_tracker_unref(second);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(an_event_has_name_time_context_and_data),
      cmocka_unit_test(name_and_data_have_defaults),
      cmocka_unit_test(data_must_be_one_object_and_positions_are_those_of_the_data),
      cmocka_unit_test(limits_hold_for_the_whole_event),
      cmocka_unit_test(a_name_that_is_not_utf8_is_refused),
      cmocka_unit_test(data_can_be_packed),
      cmocka_unit_test(the_first_emit_opens_and_a_closed_tracker_stays_closed),
      cmocka_unit_test(callbacks_may_emit_into_the_same_tracker),
      cmocka_unit_test(a_callback_may_free_the_tracker_that_calls_it),
      cmocka_unit_test(later_contexts_override_and_keys_keep_their_place),
      cmocka_unit_test(of_equal_keys_the_last_value_counts),
      cmocka_unit_test(a_name_entered_again_hides_its_outer_one_until_exit),
      cmocka_unit_test(a_copy_hides_and_shows_its_contexts_by_itself),
      cmocka_unit_test(a_union_of_many_keys_has_each_once_in_its_place),
      cmocka_unit_test(a_context_must_be_an_object),
      cmocka_unit_test(a_thread_local_locator_has_a_context_for_each_thread),
      cmocka_unit_test(the_default_locator_has_one_context_for_all_threads),
      cmocka_unit_test(a_locator_may_be_freed_while_threads_live_that_used_it),
      cmocka_unit_test(there_may_be_more_locators_than_keys),
      cmocka_unit_test(trackers_are_found_by_name),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
