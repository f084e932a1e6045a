/* Engines when memory runs out at any allocation: nothing leaks, and what runs goes on. */
#include "engine_case.h"

/* The first ones each, later ones by samples. */
static size_t after_this(size_t n) { return n < 100 ? n + 1 : n + n / 12; }

static void write_whole(int version) {
  write_file("main.lua",
             HEAD
             "local state = tw.state('s', { init = function() return { n = 0 } end })\n"
             "tw.every(1000, function() end, 'beat')\n"
             "return tw.router { processors = { function(event)\n"
             "  state.n = state.n + 1\n"
             "  event.v = %d\n"
             "end }, engine = { workers = 2 }, on_failure = function() end,\n"
             "tests = { { given = { name = 'a' }, expect = { name = 'a', v = %d } } }, " OUT
             " }",
             version, version, path_of("out"));
}

static void an_engine_that_cannot_be_made_leaves_nothing(void **state) {
  (void)state;
  write_whole(1);
  size_t before = tw_oom_live();
  for (size_t n = 0, failed = 1; failed; n = after_this(n)) {
    tw_engine *engine;
    tw_error error = {0};
    tw_oom_fail_at(n);
    tw_status status = tw_engine_new(path_of("main.lua"), NULL, 0, NULL, NULL, &engine, &error);
    failed = tw_oom_off();
    if (status) assert_null(engine);
    if (!failed) assert_int_equal(status, TW_OK);
    if (status) assert_string_not_equal(error.message, "");
    tw_engine_unref(engine);
    if (tw_oom_live() != before) fail_msg("failure %zu leaves %zu", n, tw_oom_live() - before);
  }
}

/* In the workers, too, which change over while memory is short. */
static void a_reload_that_fails_leaves_the_old_generation_running(void **state) {
  (void)state;
  write_whole(1);
  tw_engine *engine = start("{}", NULL);
  uint64_t sent = 0;
  for (size_t n = 0, failed = 1; failed; n = after_this(n)) {
    tw_engine_stats was, is;
    tw_error error = {0};
    tw_engine_get_stats(engine, &was);
    write_whole((int)was.generation + 1);
    tw_oom_fail_at(n);
    tw_status status = tw_engine_reload(engine, &error);
    failed = tw_oom_off();
    tw_engine_get_stats(engine, &is);
    assert_int_equal(is.generation, was.generation + (status == TW_OK));
    if (!failed) assert_int_equal(status, TW_OK);
    if (status) assert_string_not_equal(error.message, "");
    for (int i = 0; i < 4; i++) assert_int_equal(send(engine, "{}"), TW_OK);
    flush(engine);
    sent += 4;
    tw_engine_get_stats(engine, &is);
    assert_int_equal(is.processed, sent);
  }
  assert_int_equal(tw_engine_close(engine, 20000, NULL, NULL), TW_OK);
  tw_engine_unref(engine);
  char *text = take_output();
  uint64_t lines = 0;
  for (const char *at = text; (at = strchr(at, '\n')); at++) lines++;
  assert_int_equal(lines, sent);
  free(text);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(an_engine_that_cannot_be_made_leaves_nothing),
      TEST(a_reload_that_fails_leaves_the_old_generation_running),
  };
  return cmocka_run_group_tests(tests, set_up, tear_down);
}
