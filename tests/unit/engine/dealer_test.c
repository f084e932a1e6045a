/* A function of the script as the key of events: who gets them, and in what order. */
#include "engine_case.h"

/* Each state marks what it processes with a number of its own. */
#define MARKED                                                                   \
  "local mine = tw.shared('workers'):incr('count')\n"                            \
  "return tw.router { processors = { function(event) event.w = mine end }, " OUT \
  ", engine = { workers = 4, partition_by = function(event) %s end } }"

static void write_deal(const char *body) {
  write_file("main.lua", HEAD MARKED, path_of("out"), body);
}

/* How many different workers the lines with `part` in them were processed by. */
static unsigned workers_of(const char *part) {
  char *text = take_output(), *rest = NULL;
  unsigned long seen = 0;
  for (char *line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest))
    if (strstr(line, part)) seen |= 1ul << (strtoul(strstr(line, "\"w\":") + 4, NULL, 10) % 64);
  free(text);
  return (unsigned)__builtin_popcountl(seen);
}

static void equal_keys_have_one_worker_and_no_key_takes_turns(void **state) {
  (void)state;
  write_deal("return event.data.user or event.context.user_id");
  tw_engine *engine = start("{}", NULL);
  for (int i = 0; i < 40; i++) {
    send(engine, "{\"data\":{\"user\":1},\"context\":{}}");
    send(engine, "{\"data\":{\"user\":1.0},\"context\":{}}");
    send(engine, "{\"data\":{},\"context\":{\"user_id\":\"b\"}}");
    send(engine, "{\"data\":{\"user\":true},\"context\":{}}");
    send(engine, "{\"data\":{},\"context\":{}}");
    send(engine, "{\"data\":{\"user\":null},\"context\":{}}");
    send(engine, "{\"data\":{\"user\":\"u%d\"},\"context\":{}}", i);
  }
  flush(engine);
  assert_int_equal(workers_of("\"user\":1"), 1);
  assert_int_equal(workers_of("\"b\""), 1);
  assert_int_equal(workers_of("true"), 1);
  assert_true(workers_of("{\"data\":{},\"context\":{}") > 1);
  assert_true(workers_of("null") > 1);
  assert_int_equal(workers_of("\"u"), 4);
  tw_engine_unref(engine);
}

typedef struct failures {
  unsigned calls;
  uint64_t events;
  char message[496];
} failures;

static void keep_failure(void *self, const tw_failure *failure) {
  failures *to = self;
  assert_string_equal(failure->where, "partition_by");
  assert_non_null(failure->event);
  to->calls++;
  to->events += failure->events;
  snprintf(to->message, sizeof to->message, "%s", failure->error->message);
}

static void a_function_that_fails_is_told_and_the_events_take_turns(void **state) {
  (void)state;
  static const struct {
    const char *body, *expected;
  } cases[] = {
      {"\n\nreturn event.gone.n", "main.lua:5: attempt to index a nil value"},
      {"return {}",
       "partition_by returned a table; return a string, a number, a boolean or nil"},
      {"return event", "partition_by returned a userdata; return"},
      {"tw.drop()", "tidewire.drop() outside of a processor"},
      {"tw.emit 'x'", "main.lua:3: emit: the script is still loading"},
      {"while true do end", "main.lua:3: "},
      {"require 'other'", "main.lua:3: module 'other' was not required while"},
  };
  static const tw_engine_ops ops = {.failed = keep_failure};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    failures to = {0};
    tw_engine *engine;
    unlink(path_of("out"));
    write_deal(cases[i].body);
    assert_int_equal(tw_engine_new(path_of("main.lua"), NULL, 0, &ops, &to, &engine, NULL),
                     TW_OK);
    for (int n = 0; n < 4; n++) send(engine, "{}");
    if (!strstr(to.message, cases[i].expected))
      fail_msg("wanted %s\ngot %s", cases[i].expected, to.message);
    for (int n = 4; n < 9; n++) send(engine, "{}");
    assert_int_equal(to.calls, 4); /* the 1st, 2nd, 4th, 8th */
    assert_int_equal(to.events, 8);
    flush(engine);
    assert_int_equal(workers_of("w"), 4);
    tw_engine_unref(engine);
  }
}

static void what_the_function_edits_is_not_seen(void **state) {
  (void)state;
  write_file("main.lua",
             HEAD "return tw.router { " OUT
                  ", engine = { workers = 2,\n"
                  "partition_by = function(event) event.a.b = 2 event.c = 1 return 'k' end } }",
             path_of("out"));
  tw_engine *engine = start("{}", NULL);
  send(engine, "{\"a\":{\"b\":1}}");
  flush(engine);
  assert_output("{\"a\":{\"b\":1}}\n");
  tw_engine_unref(engine);
}

static void one_worker_asks_nobody(void **state) {
  (void)state;
  told to = {0};
  write_deal("error 'called'");
  tw_engine *engine = start("{\"workers\":1}", &to);
  send(engine, "{}");
  flush(engine);
  reload(engine);
  send(engine, "{}");
  flush(engine);
  assert_int_equal(atomic_load(&to.failed), 0);
  tw_engine_unref(engine);
}

static void the_path_of_the_host_comes_first(void **state) {
  (void)state;
  told to = {0};
  write_deal("error 'called'");
  tw_engine *engine = start("{\"partition_by\":\"k\"}", &to);
  for (int i = 0; i < 20; i++) send(engine, "{\"k\":5}");
  flush(engine);
  assert_int_equal(workers_of("\"k\":5"), 1);
  assert_int_equal(atomic_load(&to.failed), 0);
  tw_engine_unref(engine);
}

static void a_path_and_a_function_do_not_change_for_each_other(void **state) {
  (void)state;
  static const char path[] =
      HEAD "return tw.router { " OUT ", engine = { workers = 4, partition_by = 'k' } }";
  write_file("main.lua", path, path_of("out"));
  tw_engine *engine = start("{}", NULL);
  write_deal("return 1");
  assert_refused(engine, "engine: partition_by cannot be changed by a reload: restart");
  tw_engine_unref(engine);
  write_deal("return 1");
  engine = start("{}", NULL);
  write_file("main.lua", path, path_of("out"));
  assert_refused(engine, "engine: partition_by cannot be changed by a reload: restart");
  tw_engine_unref(engine);
}

/* -------------------------------------------------------------------- load */

enum { EMITTERS = 4, KEYS = 8 };

static void *emit(void *self) {
  emitter *me = self;
  for (; atomic_load(me->go_on); me->events++)
    if (send(me->engine, "{\"k\":%u,\"n\":%u}", me->number * KEYS + me->events % KEYS,
             me->events / KEYS))
      return NULL;
  return NULL;
}

/* The file has the events in the order in which they were processed. */
static void check_order(unsigned total) {
  char *text = take_output(), *line = text, *end;
  unsigned next[EMITTERS * KEYS] = {0}, lines = 0;
  for (; (end = strchr(line, '\n')); line = end + 1, lines++) {
    unsigned key, n;
    *end = '\0';
    if (sscanf(line, "{\"k\":%u,\"n\":%u", &key, &n) != 2) fail_msg("torn: %s", line);
    if (next[key] != n) fail_msg("key %u: wanted %u, got %u", key, next[key], n);
    next[key]++;
  }
  assert_int_equal(lines, total);
  free(text);
}

/* Each generation deals the keys to other workers. */
static void keys_keep_their_order_when_the_function_changes(void **state) {
  (void)state;
  static const char script[] =
      HEAD "return tw.router { " OUT
           ", engine = { workers = 3, queue = 64,\n"
           "partition_by = function(event) return 'salt %u/' .. event.k end } }";
  write_file("main.lua", script, path_of("out"), 0);
  tw_engine *engine = start("{}", NULL);
  atomic_bool go_on = true;
  emitter emitters[EMITTERS];
  pthread_t threads[EMITTERS];
  for (unsigned i = 0; i < EMITTERS; i++) {
    emitters[i] = (emitter){engine, i, 0, &go_on};
    pthread_create(&threads[i], NULL, emit, &emitters[i]);
  }
  for (unsigned i = 1; i <= 60; i++) {
    write_file("main.lua", script, path_of("out"), i);
    reload(engine);
  }
  atomic_store(&go_on, false);
  unsigned total = 0;
  for (unsigned i = 0; i < EMITTERS; i++) {
    pthread_join(threads[i], NULL);
    total += emitters[i].events;
  }
  flush(engine);
  check_order(total);
  tw_engine_unref(engine);
}

static void it_may_be_closed_while_others_emit(void **state) {
  (void)state;
  for (int round = 0; round < 10; round++) {
    write_deal("return event.k");
    tw_engine *engine = start("{\"queue\":8}", NULL);
    atomic_bool go_on = true;
    emitter emitters[EMITTERS];
    pthread_t threads[EMITTERS];
    for (unsigned i = 0; i < EMITTERS; i++) {
      emitters[i] = (emitter){engine, i, 0, &go_on};
      pthread_create(&threads[i], NULL, emit, &emitters[i]);
    }
    usleep(5000);
    reload(engine);
    assert_int_equal(tw_engine_close(engine, -1, NULL, NULL), TW_OK);
    uint64_t sent = 0;
    for (unsigned i = 0; i < EMITTERS; i++) {
      pthread_join(threads[i], NULL);
      sent += emitters[i].events;
    }
    assert_int_equal(stats_of(engine).processed, sent);
    tw_engine_unref(engine);
  }
}

/* A host that sends on from its callbacks, on a worker and on the thread that sends. */
static tw_engine *_Atomic again;

static void send_again(void *self, const tw_failure *failure) {
  (void)self, (void)failure;
  tw_engine *engine = atomic_load(&again);
  if (engine && failure->event) send(engine, "{\"again\":true}");
}

static void callbacks_may_send_while_the_function_changes(void **state) {
  (void)state;
  static const tw_engine_ops ops = {.failed = send_again};
  static const char script[] =
      HEAD "return tw.router { " OUT
           ", processors = { function(event)\n"
           "  if not event.again then error 'bad' end\n"
           "end }, engine = { workers = 2, queue = 64,\n"
           "partition_by = function(event) return event.again and %u or event.gone.n end } }";
  tw_engine *engine;
  write_file("main.lua", script, path_of("out"), 0);
  assert_int_equal(tw_engine_new(path_of("main.lua"), NULL, 0, &ops, NULL, &engine, NULL),
                   TW_OK);
  atomic_store(&again, engine);
  atomic_bool go_on = true;
  emitter one = {engine, 0, 0, &go_on};
  pthread_t thread;
  pthread_create(&thread, NULL, emit, &one);
  for (unsigned i = 1; i <= 20; i++) {
    write_file("main.lua", script, path_of("out"), i);
    reload(engine);
  }
  atomic_store(&go_on, false);
  pthread_join(thread, NULL);
  flush(engine);
  flush(engine); /* what was sent again before the first one was through */
  atomic_store(&again, NULL);
  tw_engine_stats stats = stats_of(engine);
  assert_true(stats.received > one.events);
  assert_int_equal(stats.waiting, 0);
  tw_engine_unref(engine);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(equal_keys_have_one_worker_and_no_key_takes_turns),
      TEST(a_function_that_fails_is_told_and_the_events_take_turns),
      TEST(what_the_function_edits_is_not_seen),
      TEST(one_worker_asks_nobody),
      TEST(the_path_of_the_host_comes_first),
      TEST(a_path_and_a_function_do_not_change_for_each_other),
      TEST(keys_keep_their_order_when_the_function_changes),
      TEST(it_may_be_closed_while_others_emit),
      TEST(callbacks_may_send_while_the_function_changes),
  };
  return cmocka_run_group_tests(tests, set_up, tear_down);
}
