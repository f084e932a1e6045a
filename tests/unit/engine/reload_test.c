/* Reloads: what is kept, what is refused, under load, by watching. */
#include "engine_case.h"

#include <sys/stat.h>

static void a_reload_changes_the_script_and_keeps_what_is_declared_alike(void **state) {
  (void)state;
  write_script("event.g = event.generation");
  tw_engine *engine = start("{\"workers\":2}", NULL);
  send(engine, "{\"n\":1}");
  write_script("event.g = -event.generation");
  reload(engine);
  send(engine, "{\"n\":2}");
  flush(engine);
  assert_output("{\"n\":1,\"g\":1}\n{\"n\":2,\"g\":-2}\n");
  tw_engine_unref(engine);
}

static void a_memory_backend_survives_a_reload(void **state) {
  (void)state;
  write_file("main.lua",
             HEAD
             "local seen = tw.backends.memory()\n"
             "return tw.router { processors = { function(event)\n"
             "  event.before = seen:count()\n"
             "end }, backends = { out = tw.backends.file { path = '%s' }, seen = seen } }",
             path_of("out"));
  tw_engine *engine = start("{}", NULL);
  send(engine, "{}");
  reload(engine);
  send(engine, "{}");
  flush(engine);
  assert_output("{\"before\":0}\n{\"before\":1}\n");
  tw_engine_unref(engine);
}

static void what_is_wrong_is_told_and_the_old_generation_goes_on(void **state) {
  (void)state;
  write_script("event.g = event.generation");
  told to = {0};
  tw_engine *engine = start("{}", &to);
  write_file("main.lua", "return {");
  assert_refused(engine, "main.lua:1: unexpected symbol");
  write_file("main.lua", "\nrequire 'broken'");
  assert_refused(engine, "main.lua:2: module 'broken' not found");
  write_file("broken.lua", "\n\nlocal = 1");
  assert_refused(engine, "broken.lua:3: <name> expected");
  write_file("main.lua", HEAD
             "return tw.router { backends = { out = tw.backends.sqlite { path = "
             "'/dev/null/db' } } }");
  assert_refused(engine, "out: ");
  write_file("main.lua", HEAD "return tw.router { engine = { workers = 2 } }");
  assert_refused(engine, "main.lua: engine: workers cannot be changed by a reload: restart");
  write_file("main.lua", HEAD
             "return tw.router { engine = { reload = { watchdog = { errors = "
             "0.1, within = '5s' } } } }");
  assert_refused(engine, "engine: reload.watchdog cannot be changed by a reload: restart");
  assert_int_equal(unlink(path_of("main.lua")), 0);
  assert_refused(engine, "main.lua: No such file or directory");
  send(engine, "{}");
  flush(engine);
  assert_output("{\"g\":1}\n");
  tw_engine_stats stats;
  tw_engine_get_stats(engine, &stats);
  assert_int_equal(stats.refused, 7);
  assert_int_equal(atomic_load(&to.reloads), 7);
  tw_engine_unref(engine);
}

static void tests_that_a_script_declares_decide_about_it(void **state) {
  (void)state;
  static const char script[] = HEAD
      "return tw.router { processors = { function(event) event.a = %s end }, " OUT
      ", tests = { { 'sets a', given = { name = 'x' }, expect = { name = 'x', a = 1 } } } }";
  write_file("main.lua", script, "1", path_of("out"));
  tw_engine *engine = start("{}", NULL);
  write_file("main.lua", script, "2", path_of("out"));
  assert_refused(engine, "main.lua: test 1 'sets a': out: a: expected 1, got 2");
  write_file("main.lua", script, "nil .. 'x'", path_of("out"));
  assert_refused(engine, "main.lua: test 1 'sets a': failed: ");
  write_file("main.lua", script, "1 -- still", path_of("out"));
  write_file("main.lua", script, "0 + 1", path_of("out"));
  reload(engine);
  flush(engine);
  assert_output("");
  tw_engine_unref(engine);
}

/* -------------------------------------------------------------------- load */

enum { EMITTERS = 3, EVENTS = 6000 };

static void *emit(void *self) {
  emitter *me = self;
  for (unsigned i = 0; atomic_load(me->go_on) || i < EVENTS; i++) {
    if (send(me->engine, "{\"who\":%u,\"i\":%u}", me->number, i)) return NULL;
    me->events++;
  }
  return NULL;
}

static bool is_bad(unsigned round) { return round % 10 == 9 || round % 100 == 50; }

/* Every worker adds the marks of one generation only: "a" twice or "b" twice; and "?" when its
   state is not what the events before have left. */
static void write_version(unsigned round) {
  const char *mark = round % 2 ? "a" : "b";
  write_file("mark.lua", "return '%s'", mark);
  write_file("main.lua",
             HEAD
             "local mark, late = require 'mark', '%s'\n"
             "local due = tw.state('due')\n"
             "return tw.router { processors = {\n"
             "  function(event) event.m = mark end,\n"
             "  function(event)\n"
             "    local who = 'k' .. event.who\n"
             "    local is_due = (due[who] or 0) == event.i\n"
             "    due[who] = event.i + 1\n"
             "    event.m = event.m .. (is_due and late or '?') .. event.generation\n"
             "  end,\n"
             "}, " OUT " }%s",
             mark, path_of("out"), round % 10 == 9 ? "}" : "");
  if (round % 100 == 50)
    write_file("main.lua", HEAD
               "return tw.router { backends = { out = tw.backends.sqlite { path = "
               "'/dev/null/db' } } }");
}

/* Counts the events of each emitter, and looks at their order and their marks. */
static void check_output(const emitter *emitters) {
  char *text = take_output(), *line = text, *end;
  unsigned next[EMITTERS] = {0}, last = 0, generations = 0;
  for (; (end = strchr(line, '\n')); line = end + 1) {
    unsigned who, i, generation;
    char first, second;
    *end = '\0';
    if (sscanf(line, "{\"who\":%u,\"i\":%u,\"m\":\"%c%c%u\"}", &who, &i, &first, &second,
               &generation) != 5)
      fail_msg("mixed or torn: %s", line);
    assert_int_equal(first, second);
    if (next[who] != i) fail_msg("of %u: wanted %u, got %u", who, next[who], i);
    next[who]++;
    generations += generation != last;
    last = generation;
  }
  for (unsigned i = 0; i < EMITTERS; i++) assert_int_equal(next[i], emitters[i].events);
  assert_true(generations > 2);
  free(text);
}

static unsigned rounds(void) {
  const char *text = getenv("TIDEWIRE_RELOADS");
  return text ? (unsigned)atoi(text) : 100;
}

static void reloads_under_load_lose_double_and_mix_nothing(void **state) {
  (void)state;
  told to = {0};
  write_version(0);
  tw_engine *engine = start("{\"workers\":2,\"partition_by\":\"who\",\"queue\":256}", &to);
  atomic_bool go_on = true;
  emitter emitters[EMITTERS];
  pthread_t threads[EMITTERS];
  for (unsigned i = 0; i < EMITTERS; i++) {
    emitters[i] = (emitter){engine, i, 0, &go_on};
    pthread_create(&threads[i], NULL, emit, &emitters[i]);
  }
  unsigned refused = 0;
  size_t live = 0;
  for (unsigned i = 0; i < rounds(); i++) {
    write_version(i);
    tw_error error = {0};
    tw_status status = tw_engine_reload(engine, &error);
    if ((status != TW_OK) != is_bad(i)) fail_msg("round %u: %s", i, error.message);
    refused += is_bad(i);
    if (i == 20) live = tw_oom_live();
  }
  atomic_store(&go_on, false);
  for (unsigned i = 0; i < EMITTERS; i++) pthread_join(threads[i], NULL);
  flush(engine);
  if (tw_oom_live() > live + 2 * live / 10 + 2000)
    fail_msg("blocks grew from %zu to %zu", live, tw_oom_live());
  check_output(emitters);
  tw_engine_stats stats;
  tw_engine_get_stats(engine, &stats);
  assert_int_equal(stats.refused, refused);
  assert_int_equal(stats.reloads, rounds() - refused);
  assert_int_equal(stats.dropped, 0);
  assert_int_equal(atomic_load(&to.failed), 0);
  tw_engine_unref(engine);
}

static void *reload_once(void *engine) {
  reload(engine);
  return NULL;
}

static void calls_at_the_same_time_all_see_the_last_state(void **state) {
  (void)state;
  write_script("event.v = 1");
  tw_engine *engine = start("{}", NULL);
  write_script("event.v = 2");
  pthread_t threads[6];
  for (int i = 0; i < 6; i++) pthread_create(&threads[i], NULL, reload_once, engine);
  for (int i = 0; i < 6; i++) pthread_join(threads[i], NULL);
  send(engine, "{}");
  flush(engine);
  assert_output("{\"v\":2}\n");
  tw_engine_unref(engine);
}

/* ---------------------------------------------------------------- watching */

static void await_refusal(tw_engine *engine) {
  for (int i = 0; i < 2000 && !stats_of(engine).refused; i++) usleep(5000);
  assert_true(stats_of(engine).refused > 0);
}

static void a_changed_file_or_module_is_reloaded(void **state) {
  (void)state;
  write_file("value.lua", "return 1");
  write_main("");
  tw_engine *engine = start("{\"watch\":true}", NULL);
  write_file("value.lua", "return 22");
  await_output(engine, "{\"v\":22}");
  write_in_place("value.lua", "return 333");
  await_output(engine, "{\"v\":333}");
  assert_int_equal(unlink(path_of("value.lua")), 0);
  await_refusal(engine);
  write_file("value.lua", "return 5");
  await_output(engine, "{\"v\":5}");
  uint64_t before = stats_of(engine).generation;
  write_file("other.lua", "this is required by nobody");
  usleep(150000);
  assert_int_equal(stats_of(engine).generation, before);
  write_main("-- changed");
  for (int i = 0; i < 2000 && stats_of(engine).generation == before; i++) usleep(5000);
  assert_true(stats_of(engine).generation > before);
  tw_engine_unref(engine);
}

/* As Kubernetes does it: ..data -> v1, and the file is reached through that. */
static void a_switched_symbolic_link_is_seen(void **state) {
  (void)state;
  for (int i = 1; i < 3; i++) {
    char folder_name[16], file[64];
    snprintf(folder_name, sizeof folder_name, "v%d", i);
    snprintf(file, sizeof file, "v%d/deep.lua", i);
    mkdir(path_of(folder_name), 0700);
    write_file(file,
               HEAD "return tw.router { processors = { function(event) event.v = %d end }, " OUT
                    " }",
               i, path_of("out"));
  }
  unlink(path_of("main.lua"));
  assert_int_equal(symlink("v1", path_of("..data")), 0);
  assert_int_equal(symlink("..data/deep.lua", path_of("main.lua")), 0);
  tw_engine *engine = start("{\"watch\":true}", NULL);
  await_output(engine, "{\"v\":1}");
  assert_int_equal(symlink("v2", path_of("..next")), 0);
  assert_int_equal(rename(path_of("..next"), path_of("..data")), 0);
  await_output(engine, "{\"v\":2}");
  tw_engine_unref(engine);
  unlink(path_of("main.lua"));
}

static void a_script_may_ask_for_the_watchdog_itself(void **state) {
  (void)state;
  static const char script[] =
      HEAD "return tw.router { processors = { function(event) %s end }, " OUT
           ", engine = { reload = { watchdog = { errors = 0.05, within = '10s' } } } }";
  write_file("main.lua", script, "event.v = event.generation", path_of("out"));
  tw_engine *engine = start("{}", NULL);
  write_file("main.lua", script, "event.v = nil .. 'x'", path_of("out"));
  reload(engine);
  await_output(engine, "{\"v\":3}");
  await_refusal(engine); /* it counts when the undone one has been closed */
  assert_int_equal(stats_of(engine).refused, 1);
  tw_engine_unref(engine);
}

static void a_generation_that_fails_too_often_is_undone(void **state) {
  (void)state;
  told to = {0};
  write_script("event.v = 1");
  tw_engine *engine = start("{\"reload\":{\"watchdog\":{\"errors\":0.5,\"within\":20}}}", &to);
  write_script("event.v = nil .. 'x'");
  reload(engine);
  for (int i = 0; i < 2000 && !stats_of(engine).refused; i++) {
    send(engine, "{}");
    usleep(2000);
  }
  assert_int_equal(stats_of(engine).generation, 3);
  flush(engine);
  unlink(path_of("out"));
  assert_int_equal(stats_of(engine).refused, 1);
  write_script("event.v = event.generation");
  reload(engine);
  send(engine, "{}");
  flush(engine);
  assert_output("{\"v\":4}\n");
  tw_engine_unref(engine);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(a_reload_changes_the_script_and_keeps_what_is_declared_alike),
      TEST(a_memory_backend_survives_a_reload),
      TEST(what_is_wrong_is_told_and_the_old_generation_goes_on),
      TEST(tests_that_a_script_declares_decide_about_it),
      TEST(reloads_under_load_lose_double_and_mix_nothing),
      TEST(calls_at_the_same_time_all_see_the_last_state),
      TEST(a_changed_file_or_module_is_reloaded),
      TEST(a_switched_symbolic_link_is_seen),
      TEST(a_generation_that_fails_too_often_is_undone),
      TEST(a_script_may_ask_for_the_watchdog_itself),
  };
  return cmocka_run_group_tests(tests, set_up, tear_down);
}
