#include <unistd.h>

#include "unit/core/probe.h"

static void backends_open_in_order_and_a_failure_closes_them_again(void **state) {
  (void)state;
  probe_log log = {0};
  probe a = {.name = "a", .log = &log}, b = {.name = "b", .log = &log, .open_status = TW_EIO},
        c = {.name = "c", .log = &log};
  tw_error error;
  tw_router *root = new_router(), *video = new_router();
  add_probe(root, &a);
  add_probe(video, &b);
  add_probe(root, &c);
  tw_router_add_router(root, "b", video, NULL);
  assert_int_equal(tw_router_open(root, &error), TW_EIO);
  assert_string_equal(error.message, "b/b: b does not open");
  assert_log(&log, "open-a open-b flush-a close-a ");
  assert_int_equal(send_json(root, "{}"), TW_ECLOSED);
  b.open_status = TW_OK;
  assert_int_equal(tw_router_open(root, &error), TW_OK);
  assert_log(&log, "open-a open-b open-c ");
  assert_int_equal(tw_router_open(root, &error), TW_OK);
  assert_log(&log, "");
  tw_router_unref(root);
}

static void a_shared_backend_opens_once_and_closes_with_its_last_router(void **state) {
  (void)state;
  probe_log log = {0};
  probe a = {.name = "a", .log = &log};
  tw_backend *backend = probe_backend(&a);
  tw_router *one = new_router(), *two = new_router();
  tw_router_add_backend(one, "x", tw_backend_ref(backend), NULL);
  tw_router_add_backend(one, "y", tw_backend_ref(backend), NULL);
  tw_router_add_backend(two, "x", backend, NULL);
  assert_int_equal(tw_router_open(one, NULL), TW_OK);
  assert_int_equal(tw_router_open(two, NULL), TW_OK);
  assert_log(&log, "open-a ");
  assert_int_equal(tw_router_close(one, NULL), TW_OK);
  assert_null(strstr(log.text, "close-a"));
  log_clear(&log);
  assert_int_equal(send_json(one, "{}"), TW_ECLOSED);
  assert_int_equal(send_json(two, "{}"), TW_OK);
  assert_log(&log, "a:{} ");
  assert_int_equal(tw_router_close(two, NULL), TW_OK);
  assert_log(&log, "flush-a close-a ");
  tw_router_unref(one);
  tw_router_unref(two);
  assert_log(&log, "free-a ");
}

static void a_child_that_is_open_by_itself_survives_its_parents_close(void **state) {
  (void)state;
  probe_log log = {0};
  probe a = {.name = "a", .log = &log};
  tw_router *root = new_router(), *child = new_router();
  add_probe(child, &a);
  tw_router_add_router(root, "child", tw_router_ref(child), NULL);
  assert_int_equal(tw_router_open(child, NULL), TW_OK);
  assert_int_equal(tw_router_open(root, NULL), TW_OK);
  assert_int_equal(tw_router_close(root, NULL), TW_OK);
  assert_log(&log, "open-a flush-a ");
  assert_int_equal(send_json(child, "{}"), TW_OK);
  tw_router_unref(root);
  assert_int_equal(send_json(child, "{}"), TW_OK);
  assert_log(&log, "a:{} a:{} ");
  tw_router_unref(child);
  assert_log(&log, "flush-a close-a free-a ");
}

static void flush_tries_every_backend_and_returns_the_first_failure(void **state) {
  (void)state;
  probe_log log = {0};
  probe a = {.name = "a", .log = &log, .flush_status = TW_EIO, .lost = 2},
        b = {.name = "b", .log = &log, .flush_status = TW_ELIMIT},
        c = {.name = "c", .log = &log};
  tw_error error;
  tw_backend_stats stats;
  tw_router *root = new_router(), *video = new_router();
  tw_backend *backend = probe_backend(&a);
  tw_router_add_backend(video, "a", tw_backend_ref(backend), NULL);
  tw_router_add_router(root, "video", video, NULL);
  add_probe(root, &b);
  add_probe(root, &c);
  tw_router_set_observer(root, &note_observer, &log, NULL);
  tw_router_open(root, NULL);
  for (int i = 0; i < 3; i++) send_json(root, "{}");
  log_clear(&log);
  assert_int_equal(tw_router_flush(root, &error), TW_ELIMIT);
  assert_string_equal(error.message, "b: b lost some");
  assert_log(&log,
             "flush-b failed[backend|b|-|0|b lost some] flush-c flush-a "
             "failed[backend|video/a|-|2|a lost some] ");
  tw_backend_get_stats(backend, &stats);
  assert_int_equal(stats.sent, 1);
  assert_int_equal(stats.failed, 2);
  tw_backend_unref(backend);
  b.flush_status = TW_OK;
  assert_int_equal(tw_router_close(root, &error), TW_EIO);
  assert_string_equal(error.message, "video/a: a lost some");
  tw_router_unref(root);
}

static void what_is_added_to_an_open_router_is_opened_at_once(void **state) {
  (void)state;
  probe_log log = {0};
  probe a = {.name = "a", .log = &log}, b = {.name = "b", .log = &log},
        bad = {.name = "bad", .log = &log, .open_status = TW_EIO};
  tw_error error;
  tw_router *root = new_router(), *child = new_router();
  assert_int_equal(tw_router_open(root, NULL), TW_OK);
  add_probe(root, &a);
  assert_log(&log, "open-a ");
  add_probe(child, &b);
  assert_int_equal(tw_router_add_router(root, "child", tw_router_ref(child), NULL), TW_OK);
  assert_log(&log, "open-b ");
  assert_int_equal(tw_router_add_backend(child, "bad", probe_backend(&bad), &error), TW_EIO);
  assert_string_equal(error.message, "bad: bad does not open");
  assert_log(&log, "open-bad free-bad ");
  send_json(root, "{}");
  assert_log(&log, "a:{} b:{} ");
  tw_router_unref(child);
  tw_router_unref(root);
  assert_log(&log, "flush-a close-a flush-b close-b free-a free-b ");
}

/* ------------------------------------------------------ from a callback */

static void close_inside(probe *p, tw_event *event) {
  (void)event;
  assert_int_equal(tw_router_close(p->context, NULL), TW_OK);
  log_add(p->log, "closed");
}

static void a_close_from_inside_waits_for_the_event_to_leave(void **state) {
  (void)state;
  probe_log log = {0};
  tw_router *router = new_router();
  probe a = {.name = "a", .log = &log, .inside = close_inside, .context = router},
        b = {.name = "b", .log = &log};
  add_probe(router, &a);
  add_probe(router, &b);
  tw_router_open(router, NULL);
  log_clear(&log);
  assert_int_equal(send_json(router, "{}"), TW_OK);
  assert_log(&log, "a:{} closed b:{} flush-a close-a flush-b close-b ");
  assert_int_equal(send_json(router, "{}"), TW_ECLOSED);
  tw_router_unref(router);
}

static void reopen_inside(probe *p, tw_event *event) {
  close_inside(p, event);
  assert_int_equal(tw_router_open(p->context, NULL), TW_OK);
  log_add(p->log, "reopened");
}

static void a_router_that_is_closed_and_opened_from_inside_stays_open(void **state) {
  (void)state;
  probe_log log = {0};
  tw_router *router = new_router(), *child = new_router();
  probe a = {.name = "a", .log = &log, .inside = reopen_inside, .context = router},
        b = {.name = "b", .log = &log};
  add_probe(router, &a);
  add_probe(child, &b);
  tw_router_add_router(router, "c", child, NULL);
  tw_router_open(router, NULL);
  log_clear(&log);
  for (int i = 0; i < 3; i++) assert_int_equal(send_json(router, "{}"), TW_OK);
  assert_log(&log,
             "a:{} closed reopened b:{} a:{} closed reopened b:{} a:{} closed reopened b:{} ");
  tw_router_unref(router);
  assert_log(&log, "flush-a close-a flush-b close-b free-a free-b ");
}

static void free_inside(probe *p, tw_event *event) {
  (void)event;
  tw_router_unref(p->context);
}

static void a_callback_may_free_the_router_that_calls_it(void **state) {
  (void)state;
  probe_log log = {0};
  tw_router *router = new_router(), *child = new_router();
  probe a = {.name = "a", .log = &log, .inside = free_inside, .context = router},
        b = {.name = "b", .log = &log};
  add_probe(child, &a);
  add_probe(router, &b);
  tw_router_add_router(router, "a", child, NULL);
  tw_router_open(router, NULL);
  log_clear(&log);
  assert_int_equal(send_json(router, "{}"), TW_OK);
  assert_log(&log, "a:{} b:{} flush-a close-a flush-b close-b free-a free-b ");
}

typedef struct growth {
  tw_router *router;
  stage added;
} growth;

static void grow_inside(probe *p, tw_event *event) {
  (void)event;
  growth *g = p->context;
  add_stage(g->router, "late", &g->added, TW_ON_ERROR_PASS);
  tw_router_set_observer(g->router, NULL, NULL, NULL);
}

static void changes_from_inside_hold_for_later_events(void **state) {
  (void)state;
  probe_log log = {0};
  growth g = {.router = new_router(), .added = {.edit = "late", .verdict = TW_PASS}};
  probe a = {.name = "a", .log = &log, .inside = grow_inside, .context = &g},
        b = {.name = "b", .log = &log};
  add_probe(g.router, &a);
  add_probe(g.router, &b);
  tw_router_set_observer(g.router, &note_observer, &log, NULL);
  tw_router_open(g.router, NULL);
  log_clear(&log);
  send_json(g.router, "{}");
  assert_log(&log, "a:{} b:{} free-observer ");
  a.inside = NULL;
  send_json(g.router, "{}");
  assert_log(&log, "a:{\"late\":true} b:{\"late\":true} ");
  tw_router_unref(g.router);
}

static tw_status add_late(growth *g, tw_error *error) {
  tw_processor *processor;
  tw_processor_new("late", &stage_ops, &g->added, TW_ON_ERROR_PASS, &processor, NULL);
  return tw_router_add_processor(g->router, processor, error);
}

static void grow_often(probe *p, tw_event *event) {
  (void)event;
  for (int i = 0; i < 1000; i++) assert_int_equal(add_late(p->context, NULL), TW_OK);
}

static void one_event_may_change_the_router_any_number_of_times(void **state) {
  (void)state;
  probe_log log = {0};
  growth g = {.router = new_router(), .added = {.verdict = TW_PASS}};
  probe a = {.name = "a", .log = &log, .inside = grow_often, .context = &g};
  add_probe(g.router, &a);
  tw_router_open(g.router, NULL);
  send_json(g.router, "{}");
  a.inside = NULL;
  assert_int_equal(send_json(g.router, "{}"), TW_OK);
  tw_router_unref(g.router);
}

/* Changes the router and sends through the new version, until that is refused. */
static void grow_and_nest(probe *p, tw_event *event) {
  tw_error error;
  growth *g = p->context;
  tw_status status = add_late(g, &error);
  if (status == TW_OK) {
    assert_int_equal(tw_router_send(g->router, event, 0, NULL), TW_OK);
  } else {
    assert_int_equal(status, TW_ELIMIT);
    assert_string_equal(error.message,
                        "events are still inside 255 earlier versions of the "
                        "router; change it when they have left");
  }
}

static void versions_with_events_inside_are_limited(void **state) {
  (void)state;
  probe_log log = {0};
  growth g = {.router = new_router(), .added = {.verdict = TW_PASS}};
  probe a = {.name = "a", .log = &log, .inside = grow_and_nest, .context = &g};
  tw_router_stats stats;
  add_probe(g.router, &a);
  tw_router_open(g.router, NULL);
  send_json(g.router, "{}");
  tw_router_get_stats(g.router, &stats);
  assert_int_equal(stats.received, 255);
  a.inside = NULL;
  assert_int_equal(add_late(&g, NULL), TW_OK);
  assert_int_equal(tw_router_close(g.router, NULL), TW_OK);
  tw_router_unref(g.router);
}

/* ------------------------------------------------------------------ serial */

static void send_again(probe *p, tw_event *event) {
  (void)event;
  send_json(p->context, "{\"again\":1}");
}

static void a_serial_backend_that_reaches_itself_fails_instead_of_waiting(void **state) {
  (void)state;
  probe_log log = {0};
  tw_router *router = new_router();
  probe a = {.name = "a", .log = &log, .inside = send_again, .context = router};
  tw_backend *backend;
  tw_backend_stats stats;
  assert_int_equal(tw_backend_new(&probe_ops, &a, TW_SERIAL, &backend, NULL), TW_OK);
  tw_router_add_backend(router, "a", tw_backend_ref(backend), NULL);
  tw_router_set_observer(router, &note_observer, &log, NULL);
  tw_router_open(router, NULL);
  log_clear(&log);
  send_json(router, "{}");
  assert_log(&log,
             "a:{} failed[backend|a|-|1|the backend was called again from inside its own "
             "call] ");
  tw_backend_get_stats(backend, &stats);
  assert_int_equal(stats.sent, 1);
  assert_int_equal(stats.failed, 1);
  tw_backend_unref(backend);
  tw_router_unref(router);
}

/* ---------------------------------------------------- the default observer */

static void failures_are_written_at_the_1st_2nd_4th_8th_time(void **state) {
  (void)state;
  probe_log log = {0};
  probe a = {.name = "db", .log = &log, .send_status = TW_EIO};
  char line[256], seen[2048] = "";
  FILE *file = tmpfile();
  tw_router *root = new_router(), *video = new_router();
  add_probe(video, &a);
  tw_router_add_router(root, "video", video, NULL);
  tw_router_open(root, NULL);
  fflush(stderr);
  int saved = dup(2);
  dup2(fileno(file), 2);
  for (int i = 0; i < 9; i++) send_json(root, "{}");
  fflush(stderr);
  dup2(saved, 2);
  close(saved);
  rewind(file);
  while (fgets(line, sizeof line, file)) strcat(seen, line);
  fclose(file);
  assert_string_equal(seen,
                      "tidewire: video/db: backend: db is full\n"
                      "tidewire: video/db: backend: db is full\n"
                      "tidewire: video/db: backend: db is full (failure 4)\n"
                      "tidewire: video/db: backend: db is full (failure 8)\n");
  tw_router_unref(root);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(backends_open_in_order_and_a_failure_closes_them_again),
      cmocka_unit_test(a_shared_backend_opens_once_and_closes_with_its_last_router),
      cmocka_unit_test(a_child_that_is_open_by_itself_survives_its_parents_close),
      cmocka_unit_test(flush_tries_every_backend_and_returns_the_first_failure),
      cmocka_unit_test(what_is_added_to_an_open_router_is_opened_at_once),
      cmocka_unit_test(a_close_from_inside_waits_for_the_event_to_leave),
      cmocka_unit_test(a_router_that_is_closed_and_opened_from_inside_stays_open),
      cmocka_unit_test(a_callback_may_free_the_router_that_calls_it),
      cmocka_unit_test(changes_from_inside_hold_for_later_events),
      cmocka_unit_test(one_event_may_change_the_router_any_number_of_times),
      cmocka_unit_test(versions_with_events_inside_are_limited),
      cmocka_unit_test(a_serial_backend_that_reaches_itself_fails_instead_of_waiting),
      cmocka_unit_test(failures_are_written_at_the_1st_2nd_4th_8th_time),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
