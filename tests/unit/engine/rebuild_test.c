/* Scripts whose memory is full are made anew by their worker. */
#include "base/clock.h"
#include "engine/engine.h"
#include "engine_case.h"
#include "script/upkeep.h"

static struct {
  pthread_mutex_t lock;
  atomic_uint states, failed;
  char message[sizeof((tw_error *)0)->message], path[64]; /* of the last one */
} heard = {.lock = PTHREAD_MUTEX_INITIALIZER};

static void hear(void *self, const tw_failure *failure) {
  (void)self;
  if (strcmp(failure->where, "state") != 0) {
    atomic_fetch_add(&heard.failed, 1);
    return;
  }
  pthread_mutex_lock(&heard.lock);
  snprintf(heard.message, sizeof heard.message, "%s", failure->error->message);
  pthread_mutex_unlock(&heard.lock);
  atomic_fetch_add(&heard.states, 1);
}

static tw_engine *start_hearing(const char *options) {
  static const tw_engine_ops ops = {.failed = hear};
  tw_engine *engine;
  tw_error error = {0};
  atomic_store(&heard.states, 0);
  atomic_store(&heard.failed, 0);
  heard.message[0] = '\0';
  if (tw_engine_new(path_of("main.lua"), options, strlen(options), &ops, NULL, &engine, &error))
    fail_msg("%s", error.message);
  return engine;
}

static void assert_heard(const char *expected) {
  if (!strstr(heard.message, expected)) fail_msg("wanted %s\ngot %s", expected, heard.message);
}

/* Filling a memory takes long under a sanitizer on a busy machine. */
static void drain(tw_engine *engine) {
  assert_int_equal(tw_engine_flush(engine, -1, NULL, NULL), TW_OK);
}

static void end(tw_engine *engine) {
  assert_int_equal(tw_engine_close(engine, -1, NULL, NULL), TW_OK);
  tw_engine_unref(engine);
}

/* Events with `hog` fill the memory with what only the script's own variable holds, or, with
   `state`, with what is in its tidewire.state. */
static void write_hog(void) {
  write_file("main.lua",
             HEAD
             "local kept = {}\n"
             "local state = tw.state('s', { init = function() return { n = 0 } end })\n"
             "local s = ('x'):rep(10000)\n"
             "local function fill(t) for i = 1, 1e6 do t[#t + 1] = s .. i end end\n"
             "local ticks = tw.shared 'rebuild'\n"
             "tw.every(0.01, function() ticks:incr 'n' end)\n"
             "return tw.router { processors = { { function(event)\n"
             "  state.n = state.n + 1\n"
             "  event.n = state.n\n"
             "  event.g = event.generation\n"
             "  if event.hog then fill(kept) end\n"
             "  if event.state then state.hoard = {} fill(state.hoard) end\n"
             "end, on_error = 'drop' } }, " OUT " }",
             path_of("out"));
}

#define SMALL "{\"memory_limit\":\"4MiB\",\"instruction_limit\":1000000000}"

/* ---------------------------------------------------------------------- whole */

static void a_script_whose_memory_is_full_is_made_anew_with_its_state(void **state) {
  (void)state;
  write_hog();
  tw_engine *engine = start_hearing(SMALL);
  send(engine, "{}");
  send(engine, "{\"hog\":true}");
  send(engine, "{}");
  drain(engine);
  assert_output("{\"n\":1,\"g\":1}\n{\"n\":3,\"g\":1}\n");
  assert_int_equal(stats_of(engine).rebuilt, 1);
  assert_int_equal(stats_of(engine).processed, 3);
  assert_int_equal(atomic_load(&heard.states), 1);
  assert_heard("worker 1 kept ");
  assert_heard("of generation 1, was made anew, and its tidewire.state handed over");
  end(engine);
}

/* What it keeps is below the share that makes it sick at once, and its events want one block
   that does not fit beside it. */
static void a_script_whose_events_fail_for_want_of_memory_is_made_anew(void **state) {
  (void)state;
  write_file("main.lua",
             HEAD
             "local kept = {}\n"
             "return tw.router { processors = { { function(event)\n"
             "  for i = 1, event.hog and 22 or 0 do kept[i] = ('x'):rep(100000) end\n"
             "  event.n = #('x'):rep(900000)\n"
             "end, on_error = 'drop' } }, " OUT " }",
             path_of("out"));
  tw_engine *engine = start_hearing(SMALL);
  send(engine, "{}");
  for (int i = 0; i < 7; i++) send(engine, "{\"hog\":true}");
  drain(engine);
  assert_int_equal(stats_of(engine).rebuilt, 0);
  assert_int_equal(atomic_load(&heard.failed), 7);
  for (int i = 0; i < 3; i++) send(engine, "{}");
  drain(engine);
  assert_int_equal(stats_of(engine).rebuilt, 1);
  assert_int_equal(atomic_load(&heard.failed), 8);
  assert_output("{\"n\":900000}\n{\"n\":900000}\n{\"n\":900000}\n");
  end(engine);
}

static void a_state_that_fills_the_memory_is_begun_anew(void **state) {
  (void)state;
  write_hog();
  tw_engine *engine = start_hearing(SMALL);
  send(engine, "{}");
  send(engine, "{\"state\":true}");
  send(engine, "{}");
  drain(engine);
  assert_output("{\"n\":1,\"g\":1}\n{\"n\":1,\"g\":1}\n");
  assert_int_equal(stats_of(engine).rebuilt, 1);
  assert_int_equal(atomic_load(&heard.states), 1);
  assert_heard("its tidewire.state begun anew: ");
  end(engine);
}

static void timers_run_in_the_new_script(void **state) {
  (void)state;
  write_file("main.lua",
             HEAD
             "local kept, born = {}, tw.shared('rebuild_timers'):incr 'born'\n"
             "tw.after(0.01, function() tw.emit('tick', { born = born }) end)\n"
             "return tw.router { processors = { { function(event)\n"
             "  if not event.hog then return end\n"
             "  local s = ('x'):rep(10000) for i = 1, 1e6 do kept[#kept + 1] = s .. i end\n"
             "end, on_error = 'drop' } }, backends = { out = { send = function(_, event)\n"
             "  if event.name == 'tick' then\n"
             "    tw.shared('rebuild_timers'):set('ticked', event.data.born)\n"
             "  end\n"
             "end }, file = tw.backends.file { path = '%s' } } }",
             path_of("out"));
  tw_engine *engine = start_hearing(SMALL);
  send(engine, "{\"hog\":true}");
  for (int i = 0; i < 1000 && stats_of(engine).rebuilt < 1; i++) usleep(10000);
  assert_int_equal(stats_of(engine).rebuilt, 1);
  bool ticked = false;
  for (int i = 0; i < 1000 && !ticked; i++) {
    drain(engine);
    char *text = take_output();
    ticked = strstr(text, "{\"born\":2}") != NULL;
    free(text);
    usleep(1000);
  }
  assert_true(ticked);
  end(engine);
}

static void one_that_fills_it_again_and_again_is_left_alone(void **state) {
  (void)state;
  write_hog();
  tw_engine *engine = start_hearing(SMALL);
  for (int i = 0; i < 8; i++) send(engine, "{\"hog\":true}");
  drain(engine);
  assert_int_equal(stats_of(engine).rebuilt, 5);
  assert_int_equal(atomic_load(&heard.states), 6); /* the sixth says that it ends, once */
  assert_heard("was made anew 5 times within a minute, and is left as it is");
  assert_int_equal(stats_of(engine).processed, 8);
  reload(engine); /* the next generation has its memory for itself */
  send(engine, "{}");
  drain(engine);
  char *text = take_output();
  assert_non_null(strstr(text, "\"g\":2}"));
  free(text);
  end(engine);
}

static void rebuilds_rest_after_five_in_a_minute(void **state) {
  (void)state;
  const uint64_t second = 1000000000;
  tw_rebuilds self = {0};
  uint64_t now = 1000 * second;
  for (int i = 0; i < 20; i++, now += 20 * second) /* never more than four in a minute */
    assert_int_equal(tw_rebuilds_ask(&self, now), TW_REBUILD_NOW);
  now += 100 * second;
  for (int i = 0; i < 5; i++)
    assert_int_equal(tw_rebuilds_ask(&self, now + (uint64_t)i), TW_REBUILD_NOW);
  now += 5 * second;
  assert_int_equal(tw_rebuilds_ask(&self, now), TW_REBUILD_STOPS);
  assert_int_equal(tw_rebuilds_ask(&self, now + 59 * second), TW_REBUILD_RESTS);
  assert_int_equal(tw_rebuilds_ask(&self, now + 60 * second), TW_REBUILD_NOW);
}

/* -------------------------------------------------------------------- threads */

static void *reload_on(void *self) {
  for (int i = 0; i < 15; i++) assert_int_equal(tw_engine_reload(self, NULL), TW_OK);
  return NULL;
}

typedef struct looking {
  tw_engine *engine;
  atomic_bool stop;
  bool backwards;
} looking;

static void *look_on(void *self) {
  looking *to = self;
  tw_engine_stats before = {0}, now;
  while (!atomic_load(&to->stop)) {
    now = stats_of(to->engine);
    if (now.processed < before.processed || now.rebuilt < before.rebuilt) to->backwards = true;
    before = now;
    tw_engine_check_failures(to->engine);
  }
  return NULL;
}

static void rebuilds_reloads_and_looks_do_not_disturb_each_other(void **state) {
  (void)state;
  write_hog();
  tw_engine *engine = start_hearing(
      "{\"memory_limit\":\"4MiB\",\"instruction_limit\":1000000000,\"workers\":2,"
      "\"reload\":{\"watchdog\":{\"errors\":1,\"within\":\"60s\"}}}");
  looking to = {.engine = engine};
  pthread_t reloads, looks;
  assert_int_equal(pthread_create(&looks, NULL, look_on, &to), 0);
  assert_int_equal(pthread_create(&reloads, NULL, reload_on, engine), 0);
  for (int i = 0; i < 400; i++) send(engine, i % 60 == 7 ? "{\"hog\":true}" : "{}");
  pthread_join(reloads, NULL);
  send(engine, "{\"hog\":true}");
  send(engine, "{\"hog\":true}");
  assert_int_equal(tw_engine_close(engine, -1, NULL, NULL), TW_OK);
  atomic_store(&to.stop, true);
  pthread_join(looks, NULL);
  assert_false(to.backwards);
  assert_in_range(stats_of(engine).rebuilt, 1, 10);
  assert_int_equal(stats_of(engine).processed, 402);
  tw_engine_unref(engine);
}

/* ---------------------------------------------------------------------- parts */

/* An engine whose worker is this thread. */
typedef struct bench {
  tw_engine *engine;
  tw_worker *worker;
} bench;

static bench make_bench(void) {
  tw_engine *engine = calloc(1, sizeof *engine);
  engine->workers = calloc(1, sizeof *engine->workers);
  engine->path = (char *)(uintptr_t)path_of("main.lua");
  engine->host_options = (char *)(uintptr_t) "{}";
  engine->host_options_len = 2;
  engine->observer.failed = hear;
  engine->worker_count = 1;
  tw_pool_init(&engine->pool);
  tw_ledger_init(&engine->ledger);
  tw_snapshot *snapshot = tw_snapshot_new();
  static const tw_script_options defaults;
  tw_generation_plan plan = {.path = engine->path,
                             .number = 7,
                             .count = 1,
                             .pool = &engine->pool,
                             .ledger = &engine->ledger,
                             .options = &defaults,
                             .snapshot = snapshot,
                             .observer = &engine->observer,
                             .outlets = &engine->outlets,
                             .self = engine};
  tw_error error = {0};
  if (tw_generation_load(&plan, &engine->generation, &error)) fail_msg("%s", error.message);
  assert_int_equal(tw_generation_open(engine->generation, NULL), TW_OK);
  tw_snapshot_unref(snapshot);
  static const tw_engine_options options = {.queue = 4};
  const tw_worker_ops ops = {.sick = tw_engine_rebuild, .self = engine};
  assert_int_equal(tw_worker_init(engine->workers, &options, &ops, &engine->cells,
                                  &engine->committer, 0, engine->generation->scripts, NULL),
                   TW_OK);
  return (bench){engine, engine->workers};
}

static void free_bench(bench *made) {
  tw_worker_fini(made->worker);
  assert_int_equal(tw_generation_free(made->engine->generation, NULL), TW_OK);
  tw_pool_fini(&made->engine->pool);
  tw_ledger_fini(&made->engine->ledger);
  free(made->engine->workers);
  free(made->engine);
}

static void deliver(bench *made, const char *json) {
  tw_event *event;
  uint64_t reached;
  assert_int_equal(tw_event_parse(json, strlen(json), NULL, &event, NULL), TW_OK);
  assert_int_equal(tw_script_deliver(made->worker->script, event, 0, &reached, NULL), TW_OK);
  tw_event_free(event);
}

static void the_tally_goes_on_and_the_place_in_the_generation_is_taken(void **state) {
  (void)state;
  uint64_t received, failed;
  write_script("if event.bad then error 'bad' end");
  bench made = make_bench();
  tw_script *old = made.worker->script;
  for (int i = 0; i < 3; i++) deliver(&made, "{\"bad\":true}");
  tw_engine_rebuild(made.engine, made.worker);
  assert_ptr_not_equal(made.worker->script, old);
  assert_ptr_equal(made.engine->generation->scripts[0], made.worker->script);
  assert_int_equal(tw_script_get_setup(made.worker->script)->generation, 7);
  deliver(&made, "{\"bad\":false}");
  tw_script_tally(made.worker->script, &received, &failed);
  assert_int_equal(received, 4);
  assert_int_equal(failed, 4); /* that it was made anew is one, too */
  free_bench(&made);
}

/* Whatever fails: there is a script that goes on, and nothing is left behind. */
static void a_rebuild_survives_any_failing_allocation(void **state) {
  (void)state;
  write_hog();
  for (size_t n = 0, failed = 1; failed; n++) {
    bench made = make_bench();
    deliver(&made, "{}");
    tw_script *old = made.worker->script;
    tw_oom_fail_at(n);
    tw_engine_rebuild(made.engine, made.worker);
    failed = tw_oom_off();
    if (!failed) assert_ptr_not_equal(made.worker->script, old);
    assert_ptr_equal(made.engine->generation->scripts[0], made.worker->script);
    deliver(&made, "{}");
    free_bench(&made);
    assert_int_equal(tw_oom_live(), 0);
    if (n > 100) n += n / 10; /* the first ones each, later ones by samples */
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(a_script_whose_memory_is_full_is_made_anew_with_its_state),
      TEST(a_script_whose_events_fail_for_want_of_memory_is_made_anew),
      TEST(a_state_that_fills_the_memory_is_begun_anew),
      TEST(timers_run_in_the_new_script),
      TEST(one_that_fills_it_again_and_again_is_left_alone),
      TEST(rebuilds_rest_after_five_in_a_minute),
      TEST(rebuilds_reloads_and_looks_do_not_disturb_each_other),
      TEST(the_tally_goes_on_and_the_place_in_the_generation_is_taken),
      TEST(a_rebuild_survives_any_failing_allocation),
  };
  return cmocka_run_group_tests(tests, set_up, tear_down);
}
