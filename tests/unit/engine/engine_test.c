/* Engines: workers, overload, flush, closing, forks. */
#include "engine_case.h"

#include <sys/wait.h>

/* ------------------------------------------------------------------ basics */

static void an_engine_processes_what_it_is_sent(void **state) {
  (void)state;
  write_script("event.g = event.generation");
  tw_engine *engine = start("{}", NULL);
  assert_int_equal(send(engine, "{\"n\":1}"), TW_OK);
  assert_int_equal(send(engine, "{\"n\":"), TW_EJSON);
  flush(engine);
  assert_output("{\"n\":1,\"g\":1}\n");
  tw_engine_stats stats;
  tw_engine_get_stats(engine, &stats);
  assert_int_equal(stats.received, 1);
  assert_int_equal(stats.processed, 1);
  assert_int_equal(stats.waiting, 0);
  tw_engine_unref(engine);
}

static void timers_run_on_a_worker_without_events(void **state) {
  (void)state;
  write_file("main.lua",
             HEAD
             "tw.every(0.01, function() tw.emit('tick') end)\n"
             "return tw.router { " OUT " }",
             path_of("out"));
  tw_engine *engine = start("{}", NULL);
  char *text = NULL;
  for (int i = 0; i < 1000 && !(text && strstr(text, "\"tick\"")); i++) {
    free(text);
    usleep(5000);
    text = take_output();
  }
  assert_non_null(strstr(text, "\"tick\""));
  free(text);
  tw_engine_unref(engine);
}

static void each_key_keeps_its_order_over_four_workers(void **state) {
  (void)state;
  write_file("main.lua",
             HEAD
             "local last = {}\n"
             "return tw.router { processors = { function(event)\n"
             "  local key, n = event.key, event.n\n"
             "  event.ok = n == (last[key] or -1) + 1\n"
             "  last[key] = n\n"
             "end }, " OUT " }",
             path_of("out"));
  tw_engine *engine = start("{\"workers\":4,\"partition_by\":\"key\"}", NULL);
  for (unsigned i = 0; i < 5000; i++)
    send(engine, "{\"key\":\"k%u\",\"n\":%u}", i % 50, i / 50);
  flush(engine);
  char *text = take_output();
  unsigned lines = 0;
  for (char *at = text; (at = strstr(at, "\"ok\":true")); at++) lines++;
  assert_int_equal(lines, 5000);
  free(text);
  tw_engine_unref(engine);
}

/* ---------------------------------------------------------------- overload */

/* Holds the worker in its first event while the file `hold` is there. */
static tw_engine *start_held(const char *options, told *to) {
  write_file("hold", "");
  unlink(path_of("held"));
  char text[1024];
  snprintf(text, sizeof text,
           HEAD
           "return tw.router { processors = { function(event)\n"
           "  local file\n"
           "  if event.n == 0 then\n"
           "    io.open('%s/held', 'w'):close()\n"
           "    repeat\n"
           "      file = io.open('%s/hold')\n"
           "      if file then file:close() end\n"
           "    until not file\n"
           "  end\n"
           "end }, backends = { out = tw.backends.file { path = '%s/out' } } }",
           folder, folder, folder);
  write_file("main.lua", "%s", text);
  snprintf(text, sizeof text,
           "{\"grants\":\"io\",\"instruction_limit\":1000000000000,\"time_limit\":\"1h\"%s%s",
           options[1] == '}' ? "" : ",", options + 1);
  tw_engine *engine = start(text, to);
  send(engine, "{\"n\":0}");
  while (access(path_of("held"), F_OK) != 0) usleep(1000);
  return engine;
}

static void let_go(void) { unlink(path_of("hold")); }

static void a_full_queue_drops_the_newest_when_told_so(void **state) {
  (void)state;
  told to = {0};
  tw_engine *engine = start_held("{\"queue\":2,\"overload\":\"drop_newest\"}", &to);
  for (int i = 1; i < 3; i++) assert_int_equal(send(engine, "{\"n\":%d}", i), TW_OK);
  assert_int_equal(send(engine, "{\"n\":3}"), TW_ELIMIT);
  assert_string_equal(atomic_load(&to.cause), "newest");
  let_go();
  flush(engine);
  assert_output("{\"n\":0}\n{\"n\":1}\n{\"n\":2}\n");
  tw_engine_unref(engine);
}

static void a_full_queue_drops_the_oldest_when_told_so(void **state) {
  (void)state;
  told to = {0};
  tw_engine *engine = start_held("{\"queue\":2,\"overload\":\"drop_oldest\"}", &to);
  for (int i = 1; i < 5; i++) assert_int_equal(send(engine, "{\"n\":%d}", i), TW_OK);
  assert_string_equal(atomic_load(&to.cause), "oldest");
  assert_int_equal(atomic_load(&to.dropped), 2);
  let_go();
  flush(engine);
  assert_output("{\"n\":0}\n{\"n\":3}\n{\"n\":4}\n");
  tw_engine_stats stats;
  tw_engine_get_stats(engine, &stats);
  assert_int_equal(stats.dropped, 2);
  assert_int_equal(stats.processed, 3);
  tw_engine_unref(engine);
}

static void a_full_queue_blocks_and_drops_after_its_time(void **state) {
  (void)state;
  told to = {0};
  tw_engine *engine = start_held("{\"queue\":1,\"block_for\":\"20ms\"}", &to);
  assert_int_equal(send(engine, "{\"n\":1}"), TW_OK);
  assert_int_equal(send(engine, "{\"n\":2}"), TW_ELIMIT);
  assert_string_equal(atomic_load(&to.cause), "timeout");
  let_go();
  flush(engine);
  assert_output("{\"n\":0}\n{\"n\":1}\n");
  tw_engine_unref(engine);
}

static void a_flush_out_of_time_says_what_remains(void **state) {
  (void)state;
  told to = {0};
  tw_engine *engine = start_held("{}", &to);
  send(engine, "{\"n\":1}");
  uint64_t remaining;
  assert_int_equal(tw_engine_flush(engine, 10, &remaining, NULL), TW_ELIMIT);
  assert_int_equal(remaining, 2);
  let_go();
  flush(engine);
  tw_engine_unref(engine);
}

/* ----------------------------------------------------------------- the end */

static void *let_go_later(void *unused) {
  usleep(50000);
  let_go();
  return unused;
}

static void closing_out_of_time_drops_and_tells(void **state) {
  (void)state;
  told to = {0};
  tw_engine *engine = start_held("{}", &to);
  for (int i = 1; i < 5; i++) send(engine, "{\"n\":%d}", i);
  pthread_t helper;
  pthread_create(&helper, NULL, let_go_later, NULL);
  uint64_t remaining;
  assert_int_equal(tw_engine_close(engine, 5, &remaining, NULL), TW_ELIMIT);
  pthread_join(helper, NULL);
  assert_int_equal(remaining, 4);
  assert_int_equal(atomic_load(&to.dropped), 4);
  assert_string_equal(atomic_load(&to.cause), "closed");
  assert_int_equal(send(engine, "{}"), TW_ECLOSED);
  assert_int_equal(tw_engine_reload(engine, NULL), TW_ECLOSED);
  assert_int_equal(tw_engine_close(engine, 5, NULL, NULL), TW_OK);
  tw_engine_unref(engine);
}

static void *emit_until_closed(void *self) {
  emitter *me = self;
  while (!send(me->engine, "{\"who\":%u}", me->number)) me->events++;
  return NULL;
}

static void an_engine_may_be_closed_while_others_emit(void **state) {
  (void)state;
  write_script("");
  tw_engine *engine = start("{\"workers\":2}", NULL);
  emitter emitters[2] = {{engine, 0, 0, NULL}, {engine, 1, 0, NULL}};
  pthread_t threads[2];
  for (int i = 0; i < 2; i++)
    pthread_create(&threads[i], NULL, emit_until_closed, &emitters[i]);
  usleep(20000);
  assert_int_equal(tw_engine_close(engine, -1, NULL, NULL), TW_OK);
  for (int i = 0; i < 2; i++) pthread_join(threads[i], NULL);
  tw_engine_stats stats;
  tw_engine_get_stats(engine, &stats);
  assert_int_equal(stats.received, emitters[0].events + emitters[1].events);
  assert_int_equal(stats.processed, stats.received);
  tw_engine_unref(engine);
}

static void a_child_process_is_refused(void **state) {
  (void)state;
  write_script("");
  tw_engine *engine = start("{}", NULL);
  pid_t child = fork();
  if (child == 0) {
    bool right = send(engine, "{}") == TW_ECLOSED &&
                 tw_engine_flush(engine, -1, NULL, NULL) == TW_ECLOSED &&
                 tw_engine_reload(engine, NULL) == TW_ECLOSED;
    tw_engine_unref(engine);
    _exit(right ? 0 : 1);
  }
  int result;
  assert_int_equal(waitpid(child, &result, 0), child);
  assert_int_equal(result, 0);
  send(engine, "{\"n\":1}");
  flush(engine);
  assert_output("{\"n\":1}\n");
  tw_engine_unref(engine);
}

static void a_tracker_sends_into_an_engine_and_flushes_it(void **state) {
  (void)state;
  write_script("event.timestamp = nil");
  tw_engine *engine = start("{}", NULL);
  tw_tracker *tracker;
  tw_backend *backend;
  assert_int_equal(tw_tracker_new(NULL, &tracker, NULL), TW_OK);
  assert_int_equal(tw_engine_backend(engine, &backend, NULL), TW_OK);
  assert_int_equal(tw_router_add_backend(tw_tracker_router(tracker), "engine", backend, NULL),
                   TW_OK);
  tw_engine_unref(engine);
  assert_int_equal(tw_emit(tracker, "a", "{\"x\":1}", 7, NULL), TW_OK);
  assert_int_equal(tw_flush(tracker, -1, NULL, NULL), TW_OK);
  assert_output("{\"name\":\"a\",\"context\":{},\"data\":{\"x\":1}}\n");
  tw_tracker_unref(tracker);
}

static void a_tracker_flushes_within_a_time(void **state) {
  (void)state;
  tw_engine *engine = start_held("{}", NULL);
  tw_tracker *tracker;
  tw_backend *backend;
  uint64_t remaining;
  tw_error error;
  assert_int_equal(tw_tracker_new(NULL, &tracker, NULL), TW_OK);
  assert_int_equal(tw_engine_backend(engine, &backend, NULL), TW_OK);
  tw_router_add_backend(tw_tracker_router(tracker), "engine", backend, NULL);
  for (int i = 0; i < 3; i++) tw_emit(tracker, "a", "{}", 2, NULL);
  assert_int_equal(tw_flush(tracker, 20, &remaining, &error), TW_ELIMIT);
  assert_string_equal(error.message, "engine: the time was over before all was flushed");
  assert_int_equal(remaining, 4); /* with the one that holds the worker */
  let_go();
  assert_int_equal(tw_flush(tracker, -1, &remaining, NULL), TW_OK);
  assert_int_equal(remaining, 0);
  tw_tracker_unref(tracker);
  tw_engine_unref(engine);
}

static void wrong_options_are_told(void **state) {
  (void)state;
  static const struct {
    const char *options, *expected;
  } cases[] = {
      {"{\"worker\":2}", "engine: unknown option \"worker\"; did you mean \"workers\"?"},
      {"{\"workers\":0}", "engine: workers must be 1 to 64, not 0"},
      {"{\"overload\":\"drop\"}", "engine: overload must be \"block\""},
      {"{\"partition_by\":\"a.*\"}", "has a wildcard"},
      {"{\"watch_dog\":2}", "engine: unknown option \"watch_dog\""},
      {"{\"reload\":true}", "engine: option \"reload\": expected a table of options, got true"},
      {"{\"reload\":{\"watchdog\":[1]}}",
       "engine: option \"reload.watchdog\": expected a table of options, got [1]"},
      {"{\"reload\":{\"watchdog\":{\"error\":1}}}",
       "engine: unknown option \"reload.watchdog.error\"; did you mean "
       "\"reload.watchdog.errors\"?"},
      {"{\"reload\":{\"watchdog\":{\"errors\":2,\"within\":1}}}",
       "engine: option \"reload.watchdog.errors\": expected a number from 0 to 1, got 2"},
      {"{\"reload\":{\"watchdog\":{\"errors\":0.1}}}",
       "engine: option \"reload.watchdog.within\" is missing beside reload.watchdog.errors; "
       "give a duration such as \"10s\""},
      {"{\"reload\":{\"watchdog\":{\"within\":\"10s\"}}}",
       "engine: option \"reload.watchdog.errors\" is missing beside reload.watchdog.within; "
       "give a number from 0 to 1"},
      {"{\"reload.watchdog.errors\":0.1}",
       "engine: option \"reload.watchdog.errors\": write tables, not dots"},
      {"{\"watchdog_errors\":0.1}", "engine: unknown option \"watchdog_errors\""},
      {"{", "engine: options: "},
  };
  write_script("");
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    tw_engine *engine;
    tw_error error = {0};
    const char *options = cases[i].options;
    assert_int_not_equal(tw_engine_new(path_of("main.lua"), options, strlen(options), NULL,
                                       NULL, &engine, &error),
                         TW_OK);
    assert_null(engine);
    if (!strstr(error.message, cases[i].expected)) fail_msg("%s", error.message);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(an_engine_processes_what_it_is_sent),
      TEST(timers_run_on_a_worker_without_events),
      TEST(each_key_keeps_its_order_over_four_workers),
      TEST(a_full_queue_drops_the_newest_when_told_so),
      TEST(a_full_queue_drops_the_oldest_when_told_so),
      TEST(a_full_queue_blocks_and_drops_after_its_time),
      TEST(a_flush_out_of_time_says_what_remains),
      TEST(closing_out_of_time_drops_and_tells),
      TEST(an_engine_may_be_closed_while_others_emit),
      TEST(a_child_process_is_refused),
      TEST(a_tracker_sends_into_an_engine_and_flushes_it),
      TEST(a_tracker_flushes_within_a_time),
      TEST(wrong_options_are_told),
  };
  return cmocka_run_group_tests(tests, set_up, tear_down);
}
