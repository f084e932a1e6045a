/* Timers, state and shared stores when memory runs out at any allocation: nothing leaks, and
   with memory the script goes on. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka.h needs those above. */
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "script/upkeep.h"
#include "support/oom.h"

static char path[] = "/tmp/tidewire-upkeep-oom-XXXXXX";
static int64_t time_us;

static int64_t tell_time(void *self) { return *(int64_t *)self; }
static const tw_clock test_clock = {tell_time, tell_time, &time_us};

static const char text[] =
    "local tw = require 'tidewire'\n"
    "local s = tw.state('s', { init = function() return { n = 0, l = {} } end })\n"
    "local kv = tw.shared 'oom'\n"
    "tw.every(1, function()\n"
    "  s.n = s.n + 1\n"
    "  kv:set('k' .. s.n % 7, ('x'):rep(100), 5)\n"
    "  assert(#(kv:get('k' .. s.n % 7) or '') == 100)\n"
    "  tw.after(0.5, function() tw.emit('later', { n = s.n }) end)\n"
    "  tw.emit('tick', { n = s.n })\n"
    "end, 'beat')\n"
    "return tw.router { processors = { tw.processors.batch { events = 3 } },\n"
    "  on_failure = function() end, backends = { out = tw.backends.null() } }\n";

static tw_script *load(void) {
  tw_script *script;
  tw_error error = {0};
  if (tw_script_load(path, &script, &error)) fail_msg("%s", error.message);
  assert_int_equal(tw_script_set_clock(script, &test_clock, &error), TW_OK);
  assert_int_equal(tw_router_open(tw_script_router(script), &error), TW_OK);
  return script;
}

/* Everything that a host does between events. @return whether the state came across */
static tw_status use(tw_script *script, tw_script *next) {
  tw_buffer state = {0};
  for (int i = 0; i < 4; i++) {
    time_us += 700000;
    tw_script_tick(script);
  }
  tw_status status = tw_script_export_state(script, &state, NULL);
  if (!status) status = tw_script_import_state(next, state.data, state.len, NULL);
  tw_buffer_fini(&state);
  return status;
}

static void a_script_survives_the_want_of_memory_between_events(void **state) {
  (void)state;
  tw_oom_install();
  for (size_t n = 0, failed = 1; failed; n++) {
    tw_script *script = load(), *next = load();
    tw_oom_fail_at(n);
    use(script, next);
    failed = tw_oom_off();
    assert_int_equal(use(script, next), TW_OK);
    if (tw_script_next_timer(script) < 0) fail_msg("no timer is left after failure %zu", n);
    assert_int_equal(tw_script_finish(next, false, NULL), TW_OK);
    tw_script_free(script);
    tw_script_free(next);
    assert_int_equal(tw_oom_live(), 0);
    if (n > 60) n += n / 20; /* the first ones each, later ones by samples */
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_script_survives_the_want_of_memory_between_events),
  };
  int fd = mkstemp(path);
  if (fd < 0 || write(fd, text, sizeof text - 1) != (ssize_t)sizeof text - 1) return 1;
  close(fd);
  int failed = cmocka_run_group_tests(tests, NULL, NULL);
  unlink(path);
  return failed;
}
