/* Functions of a script that pass their limits: every way into a script has a breaker, and
   all calls for one event share the limits. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka.h needs those above. */
#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "core/inspect.h"
#include "script/upkeep.h"
#include "support/oom.h"

static char path[] = "/tmp/tidewire-breaker-XXXXXX";
static int64_t time_us;

static int64_t tell_time(void *self) { return *(int64_t *)self; }
static const tw_clock test_clock = {tell_time, tell_time, &time_us};

static struct {
  unsigned notices, stopped, spent, failures;
  tw_status code; /* of the last notice */
  char message[sizeof((tw_error *)0)->message], name[64];
} told;

static void note(void *self, const tw_failure *failure) {
  (void)self;
  const char *message = failure->error->message;
  if (strcmp(failure->where, "breaker") != 0) {
    told.failures++;
    told.stopped += strstr(message, "stopped after") != NULL;
    told.spent += strstr(message, "not run: what ran before it has used up") != NULL;
    return;
  }
  told.notices++;
  told.code = failure->error->code;
  snprintf(told.message, sizeof told.message, "%s", message);
  snprintf(told.name, sizeof told.name, "%s", failure->name ? failure->name : "");
}

static tw_script *load(const char *body, const tw_script_options *options) {
  FILE *file = fopen(path, "w");
  assert_non_null(file);
  fprintf(file,
          "local tw = require 'tidewire'\n"
          "local loop, runs = false, 0\n"
          "local function work() runs = runs + 1 while loop do end end\n"
          "local function set(event) loop = event.loop end\n"
          "%s",
          body);
  fclose(file);
  tw_script *script;
  tw_error error = {0};
  if (tw_script_load_with(path, options, &script, &error)) fail_msg("%s", error.message);
  const tw_observer observer = {.failed = note};
  tw_router *router = tw_script_router(script);
  assert_int_equal(tw_router_watch(router, &observer, NULL, NULL), TW_OK);
  assert_int_equal(tw_script_set_clock(script, &test_clock, NULL), TW_OK);
  assert_int_equal(tw_router_open(router, NULL), TW_OK);
  memset(&told, 0, sizeof told);
  return script;
}

static void send(tw_script *script, const char *json) {
  tw_event *event;
  uint64_t reached;
  assert_int_equal(tw_event_parse(json, strlen(json), NULL, &event, NULL), TW_OK);
  tw_script_deliver(script, event, 0, &reached, NULL);
  tw_event_free(event);
}

/* An event, a flush and a moment for timers. */
static void poke(tw_script *script, bool loop) {
  send(script, loop ? "{\"name\":\"a\",\"loop\":true}" : "{\"name\":\"a\",\"loop\":false}");
  tw_router_flush(tw_script_router(script), NULL);
  time_us += 1000000;
  tw_script_tick(script);
}

/* ------------------------------------------------------------------- every way */

#define SINK "backends = { out = tw.backends.null() }"

static const struct {
  const char *what, *body;
} ways[] = {
    {"a processor",
     "return tw.router { processors = { set, function() work() end }, " SINK " }"},
    {"a processor",
     "return tw.router { processors = { set, function(event) "
     "  return setmetatable({ {} }, { __len = function() work() return 1 end }) end }, " SINK
     " }"},
    {"a route",
     "return tw.router { processors = { set }, route = function() work() end, " SINK " }"},
    {"a backend's method",
     "return tw.router { processors = { set }, backends = { out = { send = work } } }"},
    {"a backend's method",
     "return tw.router { processors = { set }, backends = { out = { send_batch = work } } }"},
    {"a backend's method",
     "return tw.router { processors = { set }, backends = { out = { "
     "  send = function() end, flush = work } } }"},
    {"a timer",
     "tw.every(0.5, function() work() end) "
     "return tw.router { processors = { set }, " SINK " }"},
    {"a timer",
     "local function again() tw.after(0.5, again) work() end again() "
     "return tw.router { processors = { set }, " SINK " }"},
    {"on_failure",
     "return tw.router { processors = { set, function() error 'x' end }, on_failure = "
     "  function(f) if f.where == 'processor' then work() end end, " SINK " }"},
};

static const tw_script_options few = {.instructions = 50000, .seconds = INFINITY};

static void try_way(size_t i) {
  tw_script *script = load(ways[i].body, &few);
  for (int n = 0; n < 4; n++) poke(script, true);
  if (told.notices) fail_msg("%s (%zu): told too early: %s", ways[i].what, i, told.message);
  poke(script, true);
  if (told.notices != 1) fail_msg("%s (%zu): %u notices", ways[i].what, i, told.notices);
  assert_int_equal(told.code, TW_ELIMIT);
  assert_int_equal(strncmp(told.message, ways[i].what, strlen(ways[i].what)), 0);
  assert_non_null(strstr(told.message, "5 times within 10 s and is not run for 10 s; until"));
  assert_string_not_equal(told.name, "");

  unsigned stopped = told.stopped;
  for (int n = 0; n < 3; n++) poke(script, true);
  assert_int_equal(told.stopped, stopped); /* it did not run */
  time_us += 11000000;
  poke(script, true); /* the try is stopped: it goes on to rest, untold */
  poke(script, true);
  assert_int_equal(told.notices, 1);
  time_us += 11000000;
  poke(script, false);
  if (told.notices != 2) fail_msg("%s (%zu): %u notices", ways[i].what, i, told.notices);
  assert_int_equal(told.code, TW_OK);
  assert_non_null(strstr(told.message, "runs again"));
  poke(script, false);
  assert_int_equal(told.notices, 2);
  tw_script_free(script);
}

static void every_way_into_a_script_has_a_breaker_that_tells_twice(void **state) {
  (void)state;
  for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) try_way(i);
}

static void kills_that_are_far_apart_open_no_breaker(void **state) {
  (void)state;
  tw_script *script = load(ways[0].body, &few);
  for (int n = 0; n < 20; n++) {
    poke(script, true);
    time_us += 3000000;
  }
  assert_int_equal(told.notices, 0);
  assert_int_equal(told.stopped, 20);
  tw_script_free(script);
}

/* ------------------------------------------------------------------- one event */

static const char chain[] =
    "local processors = {}\n"
    "for i = 1, 50 do\n"
    "  processors[i] = function(event)\n"
    "    if event.n then for _ = 1, event.n do end end\n"
    "  end\n"
    "end\n"
    "processors[51] = function(event) event.seen = true end\n"
    "return tw.router { processors = processors, backends = { out = { send = function(_, "
    "event)\n"
    "  assert(event.seen) end } } }\n";

static void all_that_runs_for_an_event_shares_its_limits(void **state) {
  (void)state;
  tw_script *script = load(chain, &few);
  /* Each alone is far below the limit of 50,000; ten of them are over it. */
  send(script, "{\"name\":\"a\",\"n\":6000}");
  assert_in_range(told.stopped, 1, 49);
  /* What is quick still runs: the last processor, and the backend that looks for its mark. */
  assert_int_equal(told.failures, told.stopped + told.spent);
  unsigned before = told.stopped;
  send(script, "{\"name\":\"a\",\"n\":10}"); /* the next one has limits of its own */
  assert_int_equal(told.stopped, before);
  tw_script_free(script);
}

/* Of the processor: others may keep the machine busy. */
static double now(void) {
  struct timespec at;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &at);
  return (double)at.tv_sec + (double)at.tv_nsec / 1e9;
}

static double seconds_for(tw_script *script, const char *json) {
  double began = now();
  send(script, json);
  return now() - began;
}

static void a_chain_of_slow_processors_takes_twice_the_time_at_most(void **state) {
  (void)state;
  static const tw_script_options brief = {.instructions = TW_NO_LIMIT, .seconds = 0.2};
  tw_script *script = load(chain, &brief);
  /* Fifty times about 0.1 s and more would be five. */
  double seconds = seconds_for(script, "{\"name\":\"a\",\"n\":20000000}");
  assert_in_range(told.stopped, 1, 50);
  if (seconds > 1) fail_msg("%g s", seconds);
  tw_script_free(script);
}

static void the_pieces_of_a_split_share_the_limits_of_their_event(void **state) {
  (void)state;
  static const tw_script_options brief = {.instructions = TW_NO_LIMIT, .seconds = 0.2};
  tw_script *script = load(
      "return tw.router { processors = { function()\n"
      "  local list = {}\n"
      "  for i = 1, 2000 do list[i] = { n = i } end\n"
      "  return tw.split(table.unpack(list))\n"
      "end, function() for _ = 1, 100000 do end end }, " SINK " }",
      &brief);
  /* Each piece is far below the limit; all of them would take some seconds. */
  double seconds = seconds_for(script, "{\"name\":\"a\"}");
  assert_true(told.failures > 100);
  if (seconds > 1) fail_msg("%g s", seconds);
  assert_int_equal(told.notices, 0); /* no piece is to blame */
  tw_script_free(script);
}

static int remove_file(void **state) {
  (void)state;
  unlink(path);
  return tw_oom_live() ? -1 : 0;
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(every_way_into_a_script_has_a_breaker_that_tells_twice),
      cmocka_unit_test(kills_that_are_far_apart_open_no_breaker),
      cmocka_unit_test(all_that_runs_for_an_event_shares_its_limits),
      cmocka_unit_test(a_chain_of_slow_processors_takes_twice_the_time_at_most),
      cmocka_unit_test(the_pieces_of_a_split_share_the_limits_of_their_event),
  };
  tw_oom_install();
  int fd = mkstemp(path);
  if (fd < 0) return 1;
  close(fd);
  return cmocka_run_group_tests(tests, NULL, remove_file);
}
