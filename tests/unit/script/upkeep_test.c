/* Scripts between events: a clock of the host's, timers, state from one to the next. */
#include "script/upkeep.h"

#include "script_case.h"

static int64_t time_us;
static char told[600];

static int64_t tell_time(void *self) { return *(int64_t *)self; }
static const tw_clock test_clock = {tell_time, tell_time, &time_us};

static void failed(void *self, const tw_failure *failure) {
  (void)self;
  snprintf(told, sizeof told, "%s: %s", failure->where, failure->error->message);
}

#define START 1795496400000000

static tw_script *load_unopened(const char *text) {
  const char *path = in_folder("main.lua");
  write_all(path, text);
  tw_script *script;
  tw_error error = {0};
  if (tw_script_load(path, &script, &error)) fail_msg("%s", error.message);
  time_us = START;
  told[0] = '\0';
  assert_int_equal(tw_script_set_clock(script, &test_clock, &error), TW_OK);
  return script;
}

static tw_script *load(const char *text) {
  tw_script *script = load_unopened(text);
  tw_observer observer = {.failed = failed};
  tw_router *router = tw_script_router(script);
  assert_int_equal(tw_router_set_observer(router, &observer, NULL, NULL), TW_OK);
  assert_int_equal(tw_router_open(router, NULL), TW_OK);
  return script;
}

static void pass(tw_script *script, double seconds) {
  time_us += (int64_t)(seconds * 1e6);
  tw_script_tick(script);
}

/* A timer was made by the real clock, moments before it got ours. */
static void assert_next(const tw_script *script, int64_t seconds) {
  int64_t next = tw_script_next_timer(script);
  assert_in_range(next, seconds * 1000000 - 900000, seconds * 1000000);
}

/* How many events are stored; the last one's text in `last`. */
static size_t look(tw_script *script, char *last, size_t room) {
  tw_router *router = tw_script_router(script);
  size_t count = stored(router);
  if (count && last) get_stored(router, count - 1, last, room);
  return count;
}

static char *export_state(tw_script *script) {
  tw_buffer out = {0};
  tw_error error = {0};
  if (tw_script_export_state(script, &out, &error)) fail_msg("%s", error.message);
  assert_true(tw_buffer_pad(&out, 1));
  return out.data;
}

/* ------------------------------------------------------------------- tests */

static void timers_emit_into_the_router_at_their_time(void **state) {
  (void)state;
  tw_script *script = load(HEAD
                           "local n = 0\n"
                           "tw.every(10, function() n = n + 1 tw.emit('tick', { n = n }) end)\n"
                           "return tw.router { " OUT " }");
  char last[300];
  assert_next(script, 10);
  pass(script, 9);
  assert_next(script, 1);
  assert_int_equal(look(script, NULL, 0), 0);
  pass(script, 1);
  assert_int_equal(look(script, last, sizeof last), 1);
  assert_string_equal(last,
                      "{\"name\":\"tick\",\"timestamp\":\"2026-11-24T05:00:10.000000Z\","
                      "\"context\":{},\"data\":{\"n\":1}}");
  pass(script, 35); /* what was leapt over is not made up for; the rhythm stays */
  assert_int_equal(look(script, NULL, 0), 2);
  assert_next(script, 5);
  tw_script_free(script);
}

static void a_script_without_timers_waits_for_none(void **state) {
  (void)state;
  tw_script *script = load(HEAD
                           "tw.every(1, print):cancel()\n"
                           "return tw.router { " OUT " }");
  assert_int_equal(tw_script_next_timer(script), -1);
  pass(script, 1000);
  tw_script_free(script);
}

static void what_fails_in_a_timer_is_told_and_it_goes_on(void **state) {
  (void)state;
  tw_script *script = load(HEAD
                           "local n = 0\n"
                           "tw.every(1, function() n = n + 1 error('broken ' .. n) end)\n"
                           "tw.after(1, tw.drop)\n"
                           "return tw.router { " OUT " }");
  tw_router_stats stats;
  pass(script, 1);
  assert_string_equal(told, "timer: tidewire.drop() outside of a processor");
  pass(script, 1);
  assert_non_null(strstr(told, "timer: "));
  assert_non_null(strstr(told, ":3: broken 2"));
  tw_router_get_stats(tw_script_router(script), &stats);
  assert_int_equal(stats.failed, 3);
  tw_script_free(script);
}

static void a_timer_that_makes_timers_ends_the_tick(void **state) {
  (void)state;
  tw_script *script = load(HEAD
                           "local function again() tw.emit('x') tw.after(0, again) end\n"
                           "tw.after(0, again)\n"
                           "return tw.router { " OUT " }");
  pass(script, 100);
  assert_int_equal(look(script, NULL, 0), 1);
  pass(script, 100);
  assert_int_equal(look(script, NULL, 0), 2);
  tw_script_free(script);
}

#define COUNTER(version, more)                                                  \
  HEAD "local s = tw.state('c', { version = " version                           \
       ", init = function() return { n = 0, f = 1.0, list = {} } end, " more    \
       "})\n"                                                                   \
       "return tw.router { processors = { function(e) s.n = s.n + 1 e.n = s.n " \
       "e.from = s.from end }, " OUT " }"

static void state_moves_to_the_next_script_exactly(void **state) {
  (void)state;
  char last[100];
  tw_script *old = load(COUNTER("1", ""));
  send(tw_script_router(old), "{}");
  send(tw_script_router(old), "{}");
  char *json = export_state(old);
  tw_script_free(old);
  assert_non_null(strstr(json, "\"c\":{\"version\":1,\"value\":{"));
  assert_non_null(strstr(json, "\"n\":2"));
  assert_non_null(strstr(json, "\"f\":1.0"));
  tw_script *new = load(COUNTER("1", ""));
  assert_int_equal(tw_script_import_state(new, json, strlen(json), NULL), TW_OK);
  send(tw_script_router(new), "{}");
  look(new, last, sizeof last);
  assert_string_equal(last, "{\"n\":3}");
  tw_free(json);
  tw_script_free(new);
}

static void state_of_another_version_is_migrated_or_refused(void **state) {
  (void)state;
  static const char json[] = "{\"c\":{\"version\":1,\"value\":{\"n\":41}}}";
  char last[100];
  tw_script *script = load(COUNTER("2", "migrate = function(o, v) o.from = v return o end"));
  assert_int_equal(tw_script_import_state(script, json, sizeof json - 1, NULL), TW_OK);
  send(tw_script_router(script), "{}");
  look(script, last, sizeof last);
  assert_string_equal(last, "{\"n\":42,\"from\":1}");
  tw_script_free(script);

  tw_error error = {0};
  script = load(COUNTER("2", ""));
  assert_int_equal(tw_script_import_state(script, json, sizeof json - 1, &error), TW_ESCRIPT);
  assert_non_null(strstr(error.message, "state 'c' has version 1, the script declares 2"));
  send(tw_script_router(script), "{}");
  look(script, last, sizeof last);
  assert_string_equal(last, "{\"n\":1}");
  tw_script_free(script);
}

static void state_that_json_cannot_hold_names_its_path(void **state) {
  (void)state;
  tw_script *script = load(HEAD
                           "tw.state('c').users = { { back = print } }\n"
                           "return tw.router { " OUT " }");
  tw_buffer out = {0};
  tw_error error = {0};
  assert_int_equal(tw_script_export_state(script, &out, &error), TW_ESCRIPT);
  if (!strstr(error.message, "state.c.users[1].back: a function cannot be part of a state"))
    fail_msg("%s", error.message);
  assert_int_equal(out.len, 0);
  tw_script_free(script);
}

static void a_timer_with_a_name_keeps_its_rhythm(void **state) {
  (void)state;
  static const char text[] = HEAD
      "tw.every(60, function() tw.emit('tick') end, 'beat')\n"
      "return tw.router { " OUT " }";
  tw_script *old = load(text);
  pass(old, 45);
  char *json = export_state(old);
  tw_script *new = load(text);
  time_us = START + 45000000;
  assert_int_equal(tw_script_import_state(new, json, strlen(json), NULL), TW_OK);
  assert_int_equal(tw_script_next_timer(new), tw_script_next_timer(old));
  assert_next(new, 15);
  tw_free(json);
  tw_script_free(old);
  tw_script_free(new);
}

static void an_open_window_moves_to_the_next_script(void **state) {
  (void)state;
  static const char text[] = HEAD
      "return tw.router { processors = { tw.processors.window { every = 60, state = 'w',\n"
      "  compute = { count = true, sum = 'v' }, keep = false } }, " OUT " }";
  static const char event[] = "{\"timestamp\":\"2026-11-24T05:00:01Z\",\"v\":2}";
  char last[400];
  tw_script *old = load(text);
  send(tw_script_router(old), event);
  assert_int_equal(tw_script_finish(old, true, NULL), TW_OK);
  assert_int_equal(look(old, NULL, 0), 0);
  char *json = export_state(old);
  tw_script_free(old);
  tw_script *new = load(text);
  assert_int_equal(tw_script_import_state(new, json, strlen(json), NULL), TW_OK);
  send(tw_script_router(new), event);
  assert_int_equal(tw_script_finish(new, false, NULL), TW_OK);
  assert_int_equal(look(new, last, sizeof last), 1);
  assert_non_null(strstr(last, "\"count\":2,\"sum\":4}"));
  tw_free(json);
  tw_script_free(new);
}

static void the_end_is_told_and_lets_go_what_is_held(void **state) {
  (void)state;
  tw_script *script =
      load(HEAD
           "tw.on_close(function(why) tw.emit('bye', { why = why }) end)\n"
           "tw.on_close(function() error 'no' end)\n"
           "return tw.router { backends = { out = tw.backends.memory(),\n"
           "  low = tw.router { processors = { tw.processors.batch { as = 'b' } } } } }");
  char last[300];
  send(tw_script_router(script), "{\"n\":1}");
  assert_int_equal(tw_script_finish(script, false, NULL), TW_OK);
  assert_int_equal(look(script, last, sizeof last), 3); /* the event, the batch, the farewell */
  assert_non_null(strstr(last, "\"data\":{\"why\":\"end\"}"));
  assert_non_null(strstr(told, "close: "));
  tw_script_free(script);
}

static void bad_state_is_refused_whole(void **state) {
  (void)state;
  tw_script *script = load(COUNTER("1", ""));
  assert_int_equal(tw_script_import_state(script, "[", 1, NULL), TW_ESCRIPT);
  assert_int_equal(tw_script_import_state(script, "1", 1, NULL), TW_ESCRIPT);
  assert_int_equal(tw_script_import_state(script, "{}", 2, NULL), TW_OK);
  tw_script_free(script);
}

/* A call that is stopped comes back to nothing, so it cannot clear what it has set. */
static void a_processor_works_on_after_its_own_event_was_stopped(void **state) {
  (void)state;
  tw_script *script =
      load(HEAD
           "local slow = true\n"
           "local function once(e)\n"
           "  if e.name == 'batch' and slow then slow = false while true do end end\n"
           "end\n"
           "return tw.router { processors = { tw.processors.batch { events = 1 }, once }, " OUT
           " }");
  char last[300];
  send(tw_script_router(script), "{\"n\":1}");
  assert_non_null(strstr(told, "stopped after"));
  size_t before = look(script, NULL, 0);
  send(tw_script_router(script), "{\"n\":2}");
  assert_int_equal(look(script, last, sizeof last), before + 1);
  assert_non_null(strstr(last, "\"name\":\"batch\""));
  tw_script_free(script);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(timers_emit_into_the_router_at_their_time),
      cmocka_unit_test(a_script_without_timers_waits_for_none),
      cmocka_unit_test(what_fails_in_a_timer_is_told_and_it_goes_on),
      cmocka_unit_test(a_timer_that_makes_timers_ends_the_tick),
      cmocka_unit_test(state_moves_to_the_next_script_exactly),
      cmocka_unit_test(state_of_another_version_is_migrated_or_refused),
      cmocka_unit_test(state_that_json_cannot_hold_names_its_path),
      cmocka_unit_test(a_timer_with_a_name_keeps_its_rhythm),
      cmocka_unit_test(an_open_window_moves_to_the_next_script),
      cmocka_unit_test(the_end_is_told_and_lets_go_what_is_held),
      cmocka_unit_test(bad_state_is_refused_whole),
      cmocka_unit_test(a_processor_works_on_after_its_own_event_was_stopped),
  };
  return cmocka_run_group_tests(tests, set_up, tear_down);
}
