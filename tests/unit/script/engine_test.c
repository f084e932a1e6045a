/* Engines: workers, reload under load, overload, flush, closing, forks. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka.h needs those above. */
#include <cmocka.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "support/oom.h"
#include "tidewire.h"

static char folder[] = "/tmp/tidewire-engine-XXXXXX";

static const char *path_of(const char *name) {
  static _Thread_local char path[2][256];
  static _Thread_local unsigned turn;
  char *out = path[turn++ % 2];
  snprintf(out, sizeof path[0], "%s/%s", folder, name);
  return out;
}

static void write_file(const char *name, const char *format, ...) {
  char fresh[64];
  snprintf(fresh, sizeof fresh, "%s.new", name);
  FILE *file = fopen(path_of(fresh), "w");
  assert_non_null(file);
  va_list args;
  va_start(args, format);
  vfprintf(file, format, args);
  va_end(args);
  fclose(file);
  assert_int_equal(rename(path_of(fresh), path_of(name)), 0);
}

typedef struct told {
  atomic_uint dropped, failed, reloads;
  _Atomic(const char *) cause;
} told;

static void count_dropped(void *self, const char *cause, const tw_event *event) {
  told *to = self;
  (void)event;
  atomic_fetch_add(&to->dropped, 1);
  atomic_store(&to->cause, cause);
}

static void count_failed(void *self, const tw_failure *failure) {
  told *to = self;
  atomic_fetch_add(&to->failed, 1);
  (void)failure;
}

static void count_reloads(void *self, uint64_t generation, const tw_error *error) {
  told *to = self;
  (void)generation, (void)error;
  atomic_fetch_add(&to->reloads, 1);
}

static tw_engine *start(const char *options, told *to) {
  static const tw_engine_ops ops = {
      .failed = count_failed, .dropped = count_dropped, .reloaded = count_reloads};
  tw_engine *engine;
  tw_error error = {0};
  if (tw_engine_new(path_of("main.lua"), options, strlen(options), to ? &ops : NULL, to,
                    &engine, &error))
    fail_msg("%s", error.message);
  return engine;
}

static tw_status send(tw_engine *engine, const char *format, ...) {
  char json[256];
  va_list args;
  va_start(args, format);
  int len = vsnprintf(json, sizeof json, format, args);
  va_end(args);
  return tw_engine_send_json(engine, json, (size_t)len, NULL);
}

static void reload(tw_engine *engine) {
  tw_error error = {0};
  if (tw_engine_reload(engine, &error)) fail_msg("%s", error.message);
}

static void assert_refused(tw_engine *engine, const char *expected) {
  tw_error error = {0};
  assert_int_not_equal(tw_engine_reload(engine, &error), TW_OK);
  if (!strstr(error.message, expected)) fail_msg("wanted %s\ngot %s", expected, error.message);
  assert_null(strchr(error.message, '\n'));
}

static void flush(tw_engine *engine) {
  uint64_t remaining;
  assert_int_equal(tw_engine_flush(engine, 20000, &remaining, NULL), TW_OK);
  assert_int_equal(remaining, 0);
}

/* The lines of the output file; the file is emptied. */
static char *take_output(void) {
  FILE *file = fopen(path_of("out"), "r");
  assert_non_null(file);
  size_t len = 0, room = 0;
  char *text = NULL;
  ssize_t got = getdelim(&text, &room, '\0', file);
  len = got > 0 ? (size_t)got : 0;
  if (!text) text = malloc(1);
  text[len] = '\0';
  fclose(file);
  return text;
}

static void assert_output(const char *expected) {
  char *text = take_output();
  assert_string_equal(text, expected);
  free(text);
}

#define HEAD "local tw = require 'tidewire'\n"
#define OUT  "backends = { out = tw.backends.file { path = '%s' } }"

static void write_script(const char *body) {
  write_file("main.lua",
             HEAD "return tw.router { processors = { function(event) %s end }, " OUT " }", body,
             path_of("out"));
}

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

static void state_moves_to_the_next_generation(void **state) {
  (void)state;
  static const char script[] = HEAD
      "local count = tw.state('count', { version = 1, init = function() return { n = 0 } "
      "end })\n"
      "return tw.router { processors = { function(event)\n"
      "  count.n = count.n + 1\n"
      "  event.n = count.n event.g = event.generation\n"
      "end }, " OUT " }";
  write_file("main.lua", script, path_of("out"));
  tw_engine *engine = start("{}", NULL);
  send(engine, "{}");
  reload(engine);
  send(engine, "{}");
  flush(engine);
  assert_output("{\"n\":1,\"g\":1}\n{\"n\":2,\"g\":2}\n");
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
  assert_int_equal(unlink(path_of("main.lua")), 0);
  assert_refused(engine, "main.lua: No such file or directory");
  send(engine, "{}");
  flush(engine);
  assert_output("{\"g\":1}\n");
  tw_engine_stats stats;
  tw_engine_get_stats(engine, &stats);
  assert_int_equal(stats.refused, 6);
  assert_int_equal(atomic_load(&to.reloads), 6);
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

typedef struct emitter {
  tw_engine *engine;
  unsigned number, events;
  atomic_bool *go_on;
} emitter;

static void *emit(void *self) {
  emitter *me = self;
  for (unsigned i = 0; atomic_load(me->go_on) || i < EVENTS; i++) {
    if (send(me->engine, "{\"who\":%u,\"i\":%u}", me->number, i)) return NULL;
    me->events++;
  }
  return NULL;
}

/* Every worker adds the marks of one generation only: "a" twice or "b" twice. */
static void write_version(unsigned round) {
  const char *mark = round % 2 ? "a" : "b";
  write_file("mark.lua", "return '%s'", mark);
  write_file("main.lua",
             HEAD
             "local mark, late = require 'mark', '%s'\n"
             "return tw.router { processors = {\n"
             "  function(event) event.m = mark end,\n"
             "  function(event) event.m = event.m .. late .. event.generation end,\n"
             "}, " OUT " }%s",
             mark, path_of("out"), round % 10 == 9 ? "}" : "");
  if (round % 50 == 25)
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
    bool is_bad = i % 10 == 9 || i % 50 == 25;
    tw_error error = {0};
    tw_status status = tw_engine_reload(engine, &error);
    if ((status != TW_OK) != is_bad) fail_msg("round %u: %s", i, error.message);
    refused += is_bad;
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
  assert_int_equal(tw_flush(tracker, NULL), TW_OK);
  assert_output("{\"name\":\"a\",\"context\":{},\"data\":{\"x\":1}}\n");
  tw_tracker_unref(tracker);
}

/* ---------------------------------------------------------------- watching */

static tw_engine_stats stats_of(tw_engine *engine) {
  tw_engine_stats stats;
  tw_engine_get_stats(engine, &stats);
  return stats;
}

/* Sends events until one comes out as expected. */
static void await_output(tw_engine *engine, const char *expected) {
  bool found = false;
  for (int i = 0; i < 2000 && !found; i++) {
    send(engine, "{}");
    flush(engine);
    char *text = take_output();
    found = strstr(text, expected) != NULL;
    free(text);
    usleep(5000);
  }
  if (!found) fail_msg("%s never came", expected);
}

static void await_refusal(tw_engine *engine) {
  for (int i = 0; i < 2000 && !stats_of(engine).refused; i++) usleep(5000);
  assert_true(stats_of(engine).refused > 0);
}

static void write_in_place(const char *name, const char *text) {
  FILE *file = fopen(path_of(name), "w");
  assert_non_null(file);
  fputs(text, file);
  fclose(file);
}

static void write_main(const char *comment) {
  write_file("main.lua",
             HEAD
             "%s\nlocal value = require 'value'\n"
             "return tw.router { processors = { function(event) event.v = value end }, " OUT
             " }",
             comment, path_of("out"));
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

static void a_generation_that_fails_too_often_is_undone(void **state) {
  (void)state;
  told to = {0};
  write_script("event.v = 1");
  tw_engine *engine = start("{\"watchdog_errors\":0.5,\"watchdog_within\":20}", &to);
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

static int set_up(void **state) {
  (void)state;
  tw_oom_install();
  return mkdtemp(folder) ? 0 : -1;
}

static int before(void **state) {
  (void)state;
  unlink(path_of("out"));
  unlink(path_of("broken.lua"));
  return 0;
}

static int after(void **state) {
  (void)state;
  if (!tw_oom_live()) return 0;
  print_error("%zu blocks were not freed\n", tw_oom_live());
  return -1;
}

static int tear_down(void **state) {
  (void)state;
  char command[300];
  snprintf(command, sizeof command, "rm -rf '%s'", folder);
  return system(command);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, before, after)

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(an_engine_processes_what_it_is_sent),
      TEST(a_reload_changes_the_script_and_keeps_what_is_declared_alike),
      TEST(a_memory_backend_survives_a_reload),
      TEST(state_moves_to_the_next_generation),
      TEST(timers_run_on_a_worker_without_events),
      TEST(what_is_wrong_is_told_and_the_old_generation_goes_on),
      TEST(tests_that_a_script_declares_decide_about_it),
      TEST(reloads_under_load_lose_double_and_mix_nothing),
      TEST(calls_at_the_same_time_all_see_the_last_state),
      TEST(each_key_keeps_its_order_over_four_workers),
      TEST(a_full_queue_drops_the_newest_when_told_so),
      TEST(a_full_queue_drops_the_oldest_when_told_so),
      TEST(a_full_queue_blocks_and_drops_after_its_time),
      TEST(a_flush_out_of_time_says_what_remains),
      TEST(closing_out_of_time_drops_and_tells),
      TEST(an_engine_may_be_closed_while_others_emit),
      TEST(a_child_process_is_refused),
      TEST(a_tracker_sends_into_an_engine_and_flushes_it),
      TEST(a_changed_file_or_module_is_reloaded),
      TEST(a_switched_symbolic_link_is_seen),
      TEST(a_generation_that_fails_too_often_is_undone),
      TEST(wrong_options_are_told),
  };
  return cmocka_run_group_tests(tests, set_up, tear_down);
}
