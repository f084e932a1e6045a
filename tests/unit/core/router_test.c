#include "unit/core/probe.h"

/* -------------------------------------------------------------- the way */

static void events_go_to_every_port_in_ascending_order_of_name(void **state) {
  (void)state;
  probe_log log = {0};
  probe b = {.name = "b", .log = &log}, a = {.name = "a", .log = &log},
        ab = {.name = "ab", .log = &log};
  tw_router *router = new_router();
  add_probe(router, &b);
  add_probe(router, &ab);
  add_probe(router, &a);
  assert_int_equal(tw_router_open(router, NULL), TW_OK);
  assert_log(&log, "open-a open-ab open-b ");
  assert_int_equal(send_json(router, "{\"n\": 1}"), TW_OK);
  assert_log(&log, "a:{\"n\": 1} ab:{\"n\": 1} b:{\"n\": 1} ");
  tw_router_unref(router);
  assert_log(&log, "flush-a close-a flush-ab close-ab flush-b close-b free-a free-ab free-b ");
}

static void edits_of_one_branch_never_show_in_another(void **state) {
  (void)state;
  probe_log log = {0};
  probe a = {.name = "a", .log = &log, .edit = "x"}, c = {.name = "c", .log = &log},
        inner = {.name = "inner", .log = &log};
  stage edit = {.edit = "y", .verdict = TW_PASS};
  tw_router *router = new_router(), *child = new_router();
  add_stage(child, "edit", &edit, TW_ON_ERROR_PASS);
  add_probe(child, &inner);
  add_probe(router, &a);
  assert_int_equal(tw_router_add_router(router, "b", child, NULL), TW_OK);
  add_probe(router, &c);
  assert_int_equal(tw_router_open(router, NULL), TW_OK);
  log_clear(&log);
  assert_int_equal(send_json(router, "{}"), TW_OK);
  assert_log(&log, "a:{\"x\":true} inner:{\"y\":true} c:{} ");
  tw_router_unref(router);
}

static void the_event_that_was_sent_stays_as_it_was(void **state) {
  (void)state;
  probe_log log = {0};
  probe a = {.name = "a", .log = &log};
  stage edit = {.edit = "y", .verdict = TW_PASS};
  tw_event *event;
  const char *json;
  size_t len;
  tw_router *router = new_router();
  add_stage(router, "edit", &edit, TW_ON_ERROR_PASS);
  add_probe(router, &a);
  assert_int_equal(tw_router_open(router, NULL), TW_OK);
  assert_int_equal(tw_event_parse("{}", 2, NULL, &event, NULL), TW_OK);
  assert_int_equal(tw_router_send(router, event, TW_MORE, NULL), TW_OK);
  assert_int_equal(tw_event_json(event, &json, &len), TW_OK);
  assert_string_equal(json, "{}");
  assert_log(&log, "open-a a+:{\"y\":true} ");
  tw_event_free(event);
  tw_router_unref(router);
}

static void a_drop_ends_only_that_router(void **state) {
  (void)state;
  probe_log log = {0};
  probe a = {.name = "a", .log = &log}, inner = {.name = "inner", .log = &log};
  stage drop = {.verdict = TW_DROP};
  tw_router_stats stats;
  tw_router *router = new_router(), *child = new_router();
  add_stage(child, "drop", &drop, TW_ON_ERROR_PASS);
  add_probe(child, &inner);
  assert_int_equal(tw_router_add_router(router, "0", tw_router_ref(child), NULL), TW_OK);
  add_probe(router, &a);
  assert_int_equal(tw_router_open(router, NULL), TW_OK);
  log_clear(&log);
  send_json(router, "{}");
  assert_log(&log, "a:{} ");
  tw_router_get_stats(child, &stats);
  assert_int_equal(stats.received, 1);
  assert_int_equal(stats.dropped, 1);
  tw_router_get_stats(router, &stats);
  assert_int_equal(stats.received, 1);
  assert_int_equal(stats.dropped, 0);
  tw_router_unref(child);
  tw_router_unref(router);
}

/* ------------------------------------------------------------- failures */

static void on_error_decides_what_becomes_of_the_event_as_it_was(void **state) {
  (void)state;
  static const struct {
    tw_on_error on_error;
    const char *expected;
    uint64_t dropped, dead;
  } cases[] = {
      {TW_ON_ERROR_PASS, "failed[processor||bad|1|it broke] a:{\"first\":true} ", 0, 0},
      {TW_ON_ERROR_DROP, "failed[processor||bad|1|it broke] ", 1, 0},
      {TW_ON_ERROR_DEAD_LETTER, "failed[processor||bad|1|it broke] dead[|{\"first\":true}] ", 0,
       1},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    probe_log log = {0};
    probe a = {.name = "a", .log = &log};
    stage first = {.edit = "first", .verdict = TW_PASS},
          bad = {.edit = "half", .verdict = TW_FAIL};
    tw_router_stats stats;
    tw_router *router = new_router();
    add_stage(router, "first", &first, TW_ON_ERROR_PASS);
    add_stage(router, "bad", &bad, cases[i].on_error);
    add_probe(router, &a);
    assert_int_equal(tw_router_set_observer(router, &note_observer, &log, NULL), TW_OK);
    assert_int_equal(tw_router_open(router, NULL), TW_OK);
    log_clear(&log);
    send_json(router, "{}");
    assert_log(&log, cases[i].expected);
    tw_router_get_stats(router, &stats);
    assert_int_equal(stats.failed, 1);
    assert_int_equal(stats.dropped, cases[i].dropped);
    assert_int_equal(stats.dead, cases[i].dead);
    tw_router_unref(router);
  }
}

static void a_dead_letter_that_nobody_takes_counts_as_dropped(void **state) {
  (void)state;
  probe_log log = {0};
  stage bad = {.verdict = TW_FAIL};
  tw_router_stats stats;
  tw_observer observer = {note_failed, NULL, NULL};
  tw_router *router = new_router();
  add_stage(router, "bad", &bad, TW_ON_ERROR_DEAD_LETTER);
  assert_int_equal(tw_router_set_observer(router, &observer, &log, NULL), TW_OK);
  assert_int_equal(tw_router_open(router, NULL), TW_OK);
  send_json(router, "{}");
  tw_router_get_stats(router, &stats);
  assert_int_equal(stats.dropped, 1);
  assert_int_equal(stats.dead, 0);
  tw_router_unref(router);
}

static void a_failing_backend_never_keeps_the_event_from_the_others(void **state) {
  (void)state;
  probe_log log = {0};
  probe a = {.name = "a", .log = &log, .send_status = TW_EIO, .edit = "x"},
        b = {.name = "b", .log = &log};
  tw_backend_stats stats;
  tw_router *router = new_router(), *child = new_router();
  tw_backend *backend = probe_backend(&a);
  tw_router_add_backend(child, "a", tw_backend_ref(backend), NULL);
  add_probe(child, &b);
  tw_router_add_router(router, "video", child, NULL);
  assert_int_equal(tw_router_set_observer(router, &note_observer, &log, NULL), TW_OK);
  assert_int_equal(tw_router_open(router, NULL), TW_OK);
  log_clear(&log);
  assert_int_equal(send_json(router, "{}"), TW_OK);
  assert_log(&log, "a:{\"x\":true} failed[backend|video/a|-|1|a is full] b:{} ");
  tw_backend_get_stats(backend, &stats);
  assert_int_equal(stats.sent, 0);
  assert_int_equal(stats.failed, 1);
  tw_backend_unref(backend);
  tw_router_unref(router);
}

static void an_observer_holds_for_the_tree_below_unless_a_router_has_its_own(void **state) {
  (void)state;
  probe_log log = {0}, outer = {0};
  stage bad = {.verdict = TW_FAIL};
  tw_router *root = new_router(), *plain = new_router(), *own = new_router();
  add_stage(plain, "bad", &bad, TW_ON_ERROR_PASS);
  add_stage(own, "bad", &bad, TW_ON_ERROR_PASS);
  tw_router_set_observer(root, &note_observer, &outer, NULL);
  tw_router_set_observer(own, &note_observer, &log, NULL);
  tw_router_add_router(plain, "own", own, NULL);
  tw_router_add_router(root, "plain", plain, NULL);
  assert_int_equal(tw_router_open(root, NULL), TW_OK);
  send_json(root, "{}");
  assert_log(&outer, "failed[processor|plain|bad|1|it broke] ");
  assert_log(&log, "failed[processor|plain/own|bad|1|it broke] ");
  tw_router_set_observer(root, NULL, NULL, NULL);
  assert_log(&outer, "free-observer ");
  tw_router_unref(root);
}

static void a_failure_without_a_reason_is_told_all_the_same(void **state) {
  (void)state;
  probe_log log = {0};
  stage bad = {.verdict = TW_FAIL, .pieces = {"{}"}};
  tw_router *router = new_router();
  add_stage(router, NULL, &bad, TW_ON_ERROR_PASS);
  bad.verdict = TW_SPLIT;
  bad.pieces[0] = "[]";
  tw_router_set_observer(router, &note_observer, &log, NULL);
  assert_int_equal(tw_router_open(router, NULL), TW_OK);
  send_json(router, "{}");
  assert_non_null(strstr(log.text, "failed[processor||processor|1|"));
  tw_router_unref(router);
}

/* --------------------------------------------------------------- split */

static void split_pieces_go_on_from_the_next_processor(void **state) {
  (void)state;
  probe_log log = {0};
  probe a = {.name = "a", .log = &log};
  stage outer = {.edit = "whole", .verdict = TW_SPLIT, .pieces = {"=", "{\"p\":2}"}},
        inner = {.edit = "in", .verdict = TW_SPLIT, .pieces = {"=", "="}},
        last = {.edit = "last", .verdict = TW_PASS};
  tw_router *router = new_router();
  add_stage(router, "outer", &outer, TW_ON_ERROR_PASS);
  add_stage(router, "inner", &inner, TW_ON_ERROR_PASS);
  add_stage(router, "last", &last, TW_ON_ERROR_PASS);
  add_probe(router, &a);
  assert_int_equal(tw_router_open(router, NULL), TW_OK);
  log_clear(&log);
  send_json(router, "{}");
  assert_log(&log,
             "a:{\"whole\":true,\"in\":true,\"last\":true} "
             "a:{\"whole\":true,\"in\":true,\"last\":true} "
             "a:{\"p\":2,\"in\":true,\"last\":true} a:{\"p\":2,\"in\":true,\"last\":true} ");
  tw_router_unref(router);
}

static void log_id(probe *p, tw_event *event) {
  const char *id;
  size_t len;
  assert_int_equal(tw_event_id(event, &id, &len), TW_OK);
  log_add(p->log, "id=%.*s", (int)len, id);
}

static void split_pieces_get_ids_derived_from_the_whole(void **state) {
  (void)state;
  probe_log log = {0};
  probe a = {.name = "a", .log = &log, .inside = log_id};
  stage split = {.verdict = TW_SPLIT, .pieces = {"{\"id\":\"own\"}", "{}", "="}};
  tw_router *router = new_router();
  add_stage(router, "split", &split, TW_ON_ERROR_PASS);
  add_probe(router, &a);
  assert_int_equal(tw_router_open(router, NULL), TW_OK);
  log_clear(&log);
  send_json(router, "{\"id\":\"e\"}");
  assert_log(&log, "a:{\"id\":\"own\"} id=own a:{} id=e/2 a:{\"id\":\"e\"} id=e/3 ");
  tw_router_unref(router);
}

static void a_split_into_nothing_is_a_drop(void **state) {
  (void)state;
  stage split = {.verdict = TW_SPLIT};
  tw_router_stats stats;
  tw_router *router = new_router();
  add_stage(router, "split", &split, TW_ON_ERROR_PASS);
  assert_int_equal(tw_router_open(router, NULL), TW_OK);
  send_json(router, "{}");
  tw_router_get_stats(router, &stats);
  assert_int_equal(stats.dropped, 1);
  tw_router_unref(router);
}

/* --------------------------------------------------------------- route */

/* Adds the names that the field "to" holds, separated by commas. */
static tw_status route_by_field(void *self, tw_event *event, tw_targets *targets,
                                tw_error *error) {
  tw_value to;
  (void)self;
  if (tw_event_get(event, "to", &to) != TW_OK) {
    return tw_fail(error, TW_ENOENT, "no field \"to\"");
  }
  assert_int_equal(tw_event_set_bool(event, "seen", true, NULL), TW_OK);
  for (const char *name = to.string; *name;) {
    size_t len = strcspn(name, ",");
    tw_targets_add(targets, name, len, NULL);
    name += len + (name[len] == ',');
  }
  return TW_OK;
}

static void a_route_chooses_the_backends(void **state) {
  (void)state;
  static const struct {
    const char *event, *expected;
    uint64_t unrouted, failed;
  } cases[] = {
      {"{\"to\":\"b\"}", "b:{\"to\":\"b\"} ", 0, 0},
      {"{\"to\":\"c,a,c\"}", "a:{\"to\":\"c,a,c\"} c:{\"to\":\"c,a,c\"} ", 0, 0},
      {"{\"to\":\"\"}", "", 1, 0},
      {"{\"to\":\"bb,b,zz\"}",
       "failed[route||-|1|no backend \"bb\"; known: a, b, c] "
       "b:{\"to\":\"bb,b,zz\"} ",
       0, 1},
      {"{\"to\":\"x1234\"}",
       "failed[route||-|1|no backend \"x1234\"; known: a, b, c] a:{\"to\":\"x1234\"} "
       "b:{\"to\":\"x1234\"} c:{\"to\":\"x1234\"} ",
       0, 1},
      {"{}", "failed[route||-|1|no field \"to\"] a:{} b:{} c:{} ", 0, 1},
  };
  static const tw_route_ops ops = {route_by_field, NULL};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    probe_log log = {0};
    probe a = {.name = "a", .log = &log}, b = {.name = "b", .log = &log},
          c = {.name = "c", .log = &log};
    tw_router_stats stats;
    tw_router *router = new_router();
    add_probe(router, &a);
    add_probe(router, &b);
    add_probe(router, &c);
    assert_int_equal(tw_router_set_route(router, &ops, NULL, NULL), TW_OK);
    tw_router_set_observer(router, &note_observer, &log, NULL);
    assert_int_equal(tw_router_open(router, NULL), TW_OK);
    log_clear(&log);
    send_json(router, cases[i].event);
    assert_string_equal(log.text, cases[i].expected);
    tw_router_get_stats(router, &stats);
    assert_int_equal(stats.unrouted, cases[i].unrouted);
    assert_int_equal(stats.failed, cases[i].failed);
    tw_router_unref(router);
  }
}

static void a_route_chooses_among_more_ports_than_fit_a_small_set(void **state) {
  (void)state;
  static const tw_route_ops ops = {route_by_field, NULL};
  static probe_log log;
  static probe probes[300];
  static char names[300][16];
  tw_router *router = new_router();
  for (int i = 0; i < 300; i++) {
    snprintf(names[i], sizeof names[i], "b%03d", i);
    probes[i] = (probe){.name = names[i], .log = &log};
    tw_backend *backend = probe_backend(&probes[i]);
    assert_int_equal(tw_router_add_backend(router, names[i], backend, NULL), TW_OK);
  }
  tw_router_set_route(router, &ops, NULL, NULL);
  log_clear(&log);
  assert_int_equal(tw_router_open(router, NULL), TW_OK);
  log_clear(&log);
  send_json(router, "{\"to\":\"b299,b000,b128\"}");
  assert_string_equal(log.text,
                      "b000:{\"to\":\"b299,b000,b128\"} b128:{\"to\":\"b299,b000,b128\"} "
                      "b299:{\"to\":\"b299,b000,b128\"} ");
  log_clear(&log);
  tw_router_close(router, NULL);
  log_clear(&log);
  tw_router_unref(router);
}

/* --------------------------------------------------------- names, trees */

static void names_are_checked_and_a_circle_is_refused(void **state) {
  (void)state;
  probe_log log = {0};
  probe a = {.name = "a", .log = &log};
  tw_error error;
  tw_backend *backend;
  tw_router *found, *top = new_router(), *middle = new_router();
  assert_int_equal(tw_router_add_backend(top, "", probe_backend(&a), &error), TW_EINVAL);
  assert_int_equal(tw_router_add_backend(top, "a/b", probe_backend(&a), &error), TW_EINVAL);
  assert_string_equal(error.message, "the name \"a/b\" is a path; give one without '/'");
  add_probe(top, &a);
  assert_int_equal(tw_router_add_backend(top, "a", probe_backend(&a), &error), TW_EEXIST);
  assert_log(&log, "free-a free-a free-a ");
  assert_int_equal(tw_router_add_router(top, "m", tw_router_ref(middle), NULL), TW_OK);
  assert_int_equal(tw_router_add_router(middle, "t", tw_router_ref(top), &error), TW_EINVAL);
  assert_int_equal(tw_router_add_router(top, "self", tw_router_ref(top), &error), TW_EINVAL);
  assert_int_equal(tw_router_get(top, "n", &backend, &found, &error), TW_ENOENT);
  assert_string_equal(error.message, "no backend \"n\"; known: a, m");
  assert_int_equal(tw_router_get(top, "m", &backend, &found, &error), TW_OK);
  assert_null(backend);
  assert_ptr_equal(found, middle);
  tw_router_unref(found);
  tw_router_unref(middle);
  tw_router_unref(top);
}

static void one_router_may_hang_in_two_places(void **state) {
  (void)state;
  probe_log log = {0};
  probe a = {.name = "a", .log = &log};
  tw_router_stats stats;
  tw_router *root = new_router(), *shared = new_router();
  add_probe(shared, &a);
  tw_router_add_router(root, "x", tw_router_ref(shared), NULL);
  tw_router_add_router(root, "y", tw_router_ref(shared), NULL);
  assert_int_equal(tw_router_open(root, NULL), TW_OK);
  assert_log(&log, "open-a ");
  send_json(root, "{}");
  assert_log(&log, "a:{} a:{} ");
  tw_router_get_stats(shared, &stats);
  assert_int_equal(stats.received, 2);
  assert_int_equal(tw_router_close(root, NULL), TW_OK);
  assert_string_equal(log.text + strlen(log.text) - 8, "close-a ");
  assert_null(strstr(strstr(log.text, "close-a") + 1, "close-a"));
  tw_router_unref(shared);
  tw_router_unref(root);
}

static void log_visit(void *self, const char *path, tw_backend *backend, tw_router *child) {
  log_add(self, "%s%s", path, backend ? "" : "/");
  assert_true(!backend != !child);
}

static void a_visit_goes_depth_first_in_order(void **state) {
  (void)state;
  probe_log log = {0}, seen = {0};
  probe a = {.name = "a", .log = &log}, z = {.name = "z", .log = &log},
        db = {.name = "db", .log = &log};
  tw_router *root = new_router(), *video = new_router();
  add_probe(root, &z);
  add_probe(root, &a);
  add_probe(video, &db);
  tw_router_add_router(root, "video", video, NULL);
  assert_int_equal(tw_router_visit(root, log_visit, &seen), TW_OK);
  assert_log(&seen, "a video/ video/db z ");
  tw_router_unref(root);
}

static void log_processor(void *self, const char *name, tw_on_error on_error) {
  log_add(self, "%s=%d", name, (int)on_error);
}

static tw_status route_nowhere(void *self, tw_event *event, tw_targets *targets,
                               tw_error *error) {
  (void)self, (void)event, (void)targets, (void)error;
  return TW_OK;
}

static void a_router_can_be_inspected(void **state) {
  (void)state;
  static const tw_route_ops ops = {route_nowhere, NULL};
  probe_log log = {0};
  stage s = {.verdict = TW_PASS};
  probe a = {.name = "a", .log = &log};
  uint64_t reached;
  tw_event *event;
  tw_router *router = new_router(), *child = new_router();
  add_stage(router, "one", &s, TW_ON_ERROR_DROP);
  add_stage(router, NULL, &s, TW_ON_ERROR_PASS);
  tw_router_visit_processors(router, log_processor, &log);
  assert_log(&log, "one=1 processor=0 ");
  assert_false(tw_router_has_route(router));
  add_probe(child, &a);
  tw_router_add_router(router, "x", tw_router_ref(child), NULL);
  tw_router_add_router(router, "y", child, NULL);
  tw_event_parse("{}", 2, NULL, &event, NULL);
  assert_int_equal(tw_router_deliver(router, event, 0, &reached, NULL), TW_ECLOSED);
  assert_int_equal(tw_router_open(router, NULL), TW_OK);
  assert_int_equal(tw_router_deliver(router, event, 0, &reached, NULL), TW_OK);
  assert_int_equal(reached, 2);
  assert_int_equal(tw_router_set_route(router, &ops, NULL, NULL), TW_OK);
  assert_true(tw_router_has_route(router));
  assert_int_equal(tw_router_deliver(router, event, 0, &reached, NULL), TW_OK);
  assert_int_equal(reached, 0);
  tw_event_free(event);
  tw_router_unref(router);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(events_go_to_every_port_in_ascending_order_of_name),
      cmocka_unit_test(edits_of_one_branch_never_show_in_another),
      cmocka_unit_test(the_event_that_was_sent_stays_as_it_was),
      cmocka_unit_test(a_drop_ends_only_that_router),
      cmocka_unit_test(on_error_decides_what_becomes_of_the_event_as_it_was),
      cmocka_unit_test(a_dead_letter_that_nobody_takes_counts_as_dropped),
      cmocka_unit_test(a_failing_backend_never_keeps_the_event_from_the_others),
      cmocka_unit_test(an_observer_holds_for_the_tree_below_unless_a_router_has_its_own),
      cmocka_unit_test(a_failure_without_a_reason_is_told_all_the_same),
      cmocka_unit_test(split_pieces_go_on_from_the_next_processor),
      cmocka_unit_test(split_pieces_get_ids_derived_from_the_whole),
      cmocka_unit_test(a_split_into_nothing_is_a_drop),
      cmocka_unit_test(a_route_chooses_the_backends),
      cmocka_unit_test(a_route_chooses_among_more_ports_than_fit_a_small_set),
      cmocka_unit_test(names_are_checked_and_a_circle_is_refused),
      cmocka_unit_test(one_router_may_hang_in_two_places),
      cmocka_unit_test(a_visit_goes_depth_first_in_order),
      cmocka_unit_test(a_router_can_be_inspected),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
