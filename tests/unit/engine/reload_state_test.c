/* What scripts keep, over reloads: handed over, migrated, or the reason of a refusal. */
#include "engine_case.h"

#define COUNTS                                                             \
  "return tw.router { processors = { function(event)\n"                    \
  "  count.n = count.n + 1 event.n = count.n event.g = event.generation\n" \
  "  if event.key then count.key = event.key end\n"                        \
  "end }, " OUT " }"

/* A script that counts in the state `count`, declared with `options`. */
static void write_count(const char *options) {
  write_file("main.lua", HEAD "local count = tw.state('count', { %s })\n" COUNTS, options,
             path_of("out"));
}

#define FIRST "version = 1, init = function() return { n = 0 } end"

static tw_engine *start_counting(const char *options, told *to) {
  write_count(FIRST);
  tw_engine *engine = start(options, to);
  send(engine, "{}");
  flush(engine);
  return engine;
}

static void state_moves_to_the_next_generation(void **state) {
  (void)state;
  tw_engine *engine = start_counting("{}", NULL);
  reload(engine);
  send(engine, "{}");
  flush(engine);
  assert_output("{\"n\":1,\"g\":1}\n{\"n\":2,\"g\":2}\n");
  tw_engine_unref(engine);
}

static void another_version_goes_through_migrate(void **state) {
  (void)state;
  tw_engine *engine = start_counting("{}", NULL);
  write_count(
      "version = 2, init = function() return { n = 50 } end,\n"
      "migrate = function(old, version) return { n = old.n + 100 * version } end");
  reload(engine);
  send(engine, "{}");
  reload(engine);
  send(engine, "{}");
  flush(engine);
  assert_output("{\"n\":1,\"g\":1}\n{\"n\":102,\"g\":2}\n{\"n\":103,\"g\":3}\n");
  tw_engine_unref(engine);
}

static void a_new_state_begins_with_init_and_one_that_is_gone_is_left_out(void **state) {
  (void)state;
  tw_engine *engine = start_counting("{}", NULL);
  write_file("main.lua",
             HEAD
             "local count = tw.state('other', { init = function() return { n = 7 } end "
             "})\n" COUNTS,
             path_of("out"));
  reload(engine);
  send(engine, "{}");
  flush(engine);
  assert_output("{\"n\":1,\"g\":1}\n{\"n\":8,\"g\":2}\n");
  tw_engine_unref(engine);
}

static void what_cannot_be_taken_over_refuses_the_reload(void **state) {
  (void)state;
  static const struct {
    const char *options, *expected;
  } cases[] = {
      {"version = 2,\nmigrate = function(old)\n  return old.gone.n\nend",
       "main.lua:4: attempt to index a nil value (field 'gone')"},
      {"version = 2",
       "main.lua:2: state 'count' has version 1, the script declares 2 and no "
       "migrate; add one, or choose a new name"},
      {"version = 2, migrate = function() return print end",
       "main.lua:2: state 'count': migrate must give a table, not a function"},
      {"version = 2, migrate = function() error { code = 1 } end", "main.lua:2: "},
      {"version = 2, migrate = function() tw.drop() end", "tidewire.drop() outside"},
      {"version = 2, migrate = function()\n  while true do end\nend", "main.lua:3: "},
      {"version = 2, migrate = function()\n  local t = {}\n"
       "  while true do t[#t + 1] = ('x'):rep(1e6) end\nend",
       "memory"},
      {"version = 1, loaded = function(own) own.gone() end",
       "main.lua:2: attempt to call a nil value (field 'gone')"},
  };
  told to = {0};
  /* However slow the machine is: not its time is over. */
  const char *options = "{\"memory_limit\":\"16MiB\",\"time_limit\":\"none\"}";
  tw_engine *engine = start_counting(options, &to);
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    write_count(cases[i].options);
    assert_refused(engine, cases[i].expected);
    assert_int_equal(stats_of(engine).generation, 1);
  }
  send(engine, "{}");
  write_count(FIRST);
  reload(engine);
  send(engine, "{}");
  flush(engine);
  assert_output("{\"n\":1,\"g\":1}\n{\"n\":2,\"g\":1}\n{\"n\":3,\"g\":2}\n");
  assert_int_equal(atomic_load(&to.failed), 0);
  tw_engine_unref(engine);
}

/* Only the second worker's state has the key that the migrate does not know. */
static void the_data_of_each_worker_is_tried(void **state) {
  (void)state;
  write_count(FIRST);
  tw_engine *engine = start("{\"workers\":2}", NULL);
  send(engine, "{}");
  send(engine, "{\"key\":\"odd\"}");
  flush(engine);
  write_count(
      "version = 2, migrate = function(old)\n"
      "  if old.key then error('cannot take ' .. old.key) end\nend");
  assert_refused(engine, "main.lua:3: cannot take odd (with the state of worker 2)");
  assert_int_equal(stats_of(engine).generation, 1);
  tw_engine_unref(engine);
}

static void a_refused_reload_opens_no_backend(void **state) {
  (void)state;
  tw_engine *engine = start_counting("{}", NULL);
  write_file("main.lua",
             HEAD
             "local count = tw.state('count', { version = 2 })\n"
             "return tw.router { backends = { o = tw.backends.file { path = '%s' } } }",
             path_of("unwanted"));
  assert_refused(engine, "and no migrate");
  assert_int_not_equal(access(path_of("unwanted"), F_OK), 0);
  tw_engine_unref(engine);
}

static void what_cannot_be_written_refuses_the_reload(void **state) {
  (void)state;
  told to = {0};
  write_file("main.lua",
             HEAD
             "local count = tw.state('count')\n"
             "return tw.router { processors = { function(event)\n"
             "  count.f = event.bad and print or nil event.g = event.generation\n"
             "end }, " OUT " }",
             path_of("out"));
  tw_engine *engine = start("{}", &to);
  send(engine, "{\"bad\":true}");
  flush(engine); /* the trial does not wait for events that wait */
  assert_refused(engine,
                 "what the running generation keeps cannot be handed over: "
                 "state.count.f: a function cannot be part of a state");
  send(engine, "{}");
  reload(engine);
  assert_int_equal(atomic_load(&to.failed), 0);
  tw_engine_unref(engine);
}

/* The trial sees nothing wrong; what the script does when it ends breaks it. */
static void what_goes_wrong_after_the_trial_is_told(void **state) {
  (void)state;
  told to = {0};
  write_file("main.lua",
             HEAD
             "local count = tw.state('count')\n"
             "tw.on_close(function() count.f = print end)\n"
             "return tw.router { processors = { function(event)\n"
             "  event.g = event.generation\n"
             "end }, " OUT " }",
             path_of("out"));
  tw_engine *engine = start("{}", &to);
  reload(engine);
  send(engine, "{}");
  flush(engine);
  assert_output("{\"g\":2}\n");
  assert_int_equal(atomic_load(&to.failed), 1);
  tw_engine_unref(engine);
}

/* A generation that fails is worse than one that has lost its state. */
static void going_back_is_not_refused_for_its_state(void **state) {
  (void)state;
  told to = {0};
  tw_engine *engine =
      start_counting("{\"reload\":{\"watchdog\":{\"errors\":0.1,\"within\":\"1h\"}}}", &to);
  write_file("main.lua",
             HEAD
             "tw.state('count', { version = 2, migrate = function() end })\n"
             "return tw.router { processors = { function() error 'bad' end }, " OUT " }",
             path_of("out"));
  reload(engine);
  for (int i = 0; i < 50; i++) send(engine, "{}");
  flush(engine);
  for (int i = 0; i < 2000 && stats_of(engine).generation != 3; i++) usleep(5000);
  assert_int_equal(stats_of(engine).generation, 3);
  unlink(path_of("out"));
  write_count(FIRST);
  reload(engine);
  send(engine, "{}");
  flush(engine);
  assert_output("{\"n\":1,\"g\":4}\n");
  assert_true(atomic_load(&to.failed) > 50);
  tw_engine_unref(engine);
}

/* More than an event may be: 1.7 MB of JSON. */
static void a_large_state_is_handed_over_whole(void **state) {
  (void)state;
  write_file("main.lua",
             HEAD
             "local big = tw.state('big')\n"
             "return tw.router { processors = { function(event)\n"
             "  for i = #big + 1, #big + 2000 do big[i] = 'value ' .. i end\n"
             "  event.n = #big event.g = event.generation event.last = big[#big]\n"
             "end }, " OUT " }",
             path_of("out"));
  tw_engine *engine = start("{}", NULL);
  for (int i = 0; i < 50; i++) send(engine, "{}");
  flush(engine);
  unlink(path_of("out"));
  reload(engine);
  send(engine, "{}");
  flush(engine);
  assert_output("{\"n\":102000,\"g\":2,\"last\":\"value 102000\"}\n");
  tw_engine_unref(engine);
}

typedef struct closing {
  tw_engine *engine;
  tw_status status;
} closing;

static void *close_it(void *self) {
  closing *to = self;
  to->status = tw_engine_close(to->engine, -1, NULL, NULL);
  return NULL;
}

/* Whichever comes first, all events are through and nobody waits for ever. */
static void a_reload_and_the_end_may_come_at_once(void **state) {
  (void)state;
  for (int i = 0; i < 50; i++) {
    write_count(FIRST);
    closing to = {start("{\"workers\":2}", NULL), TW_OK};
    for (int j = 0; j < 100; j++) send(to.engine, "{}");
    pthread_t thread;
    pthread_create(&thread, NULL, close_it, &to);
    if (i % 2) usleep((unsigned)i * 20);
    tw_status status = tw_engine_reload(to.engine, NULL);
    pthread_join(thread, NULL);
    assert_true(status == TW_OK || status == TW_ECLOSED);
    assert_int_equal(to.status, TW_OK);
    assert_int_equal(stats_of(to.engine).processed, 100);
    tw_engine_unref(to.engine);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(state_moves_to_the_next_generation),
      TEST(another_version_goes_through_migrate),
      TEST(a_new_state_begins_with_init_and_one_that_is_gone_is_left_out),
      TEST(what_cannot_be_taken_over_refuses_the_reload),
      TEST(the_data_of_each_worker_is_tried),
      TEST(a_refused_reload_opens_no_backend),
      TEST(what_cannot_be_written_refuses_the_reload),
      TEST(what_goes_wrong_after_the_trial_is_told),
      TEST(going_back_is_not_refused_for_its_state),
      TEST(a_large_state_is_handed_over_whole),
      TEST(a_reload_and_the_end_may_come_at_once),
  };
  return cmocka_run_group_tests(tests, set_up, tear_down);
}
