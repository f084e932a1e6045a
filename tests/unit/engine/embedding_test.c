/* What a host in C relies on when it runs a tracker over an engine: threads and their
   contexts, references, limits, statistics that add up, forks. */
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
#include <sys/wait.h>
#include <unistd.h>

#include "support/folder.h"
#include "support/oom.h"
#include "tidewire.h"

enum { THREADS = 4, EVENTS = 500 };

static const char *script_path(void) { return in_folder("main.lua"); }

static void write_script(const char *text) {
  char whole[512];
  snprintf(whole, sizeof whole, "local tw = require 'tidewire'\n%s\n", text);
  write_all(script_path(), whole);
}

#define KEEP "return tw.router { backends = { kept = tw.backends.host 'kept' } }"

static tw_engine *start_told(const char *options, tw_backend *kept, const tw_engine_ops *told,
                             void *self) {
  const tw_offer offers[] = {{.name = "kept", .backend = kept}, {0}};
  tw_engine_ops ops = *told;
  tw_engine *engine;
  tw_error error = {0};
  ops.offers = offers;
  if (tw_engine_new(script_path(), options, strlen(options), &ops, self, &engine, &error))
    fail_msg("%s", error.message);
  return engine;
}

static tw_engine *start(const char *options, tw_backend *kept) {
  return start_told(options, kept, &(tw_engine_ops){0}, NULL);
}

static tw_backend *new_memory(void) {
  tw_backend *memory;
  assert_int_equal(tw_backend_new_kind("memory", NULL, 0, &memory, NULL), TW_OK);
  return memory;
}

static size_t count_of(tw_backend *memory) {
  size_t count;
  assert_int_equal(tw_memory_count(memory, &count), TW_OK);
  return count;
}

static tw_tracker *track(tw_engine *engine) {
  tw_tracker *tracker;
  tw_backend *into;
  assert_int_equal(tw_tracker_new(NULL, &tracker, NULL), TW_OK);
  assert_int_equal(tw_engine_backend(engine, &into, NULL), TW_OK);
  assert_int_equal(tw_router_add_backend(tw_tracker_router(tracker), "engine", into, NULL),
                   TW_OK);
  return tracker;
}

static atomic_uint wrong;

static void expect(bool right) {
  if (!right) atomic_fetch_add(&wrong, 1);
}

static void run_all(void *(*body)(void *), void *argument) {
  pthread_t threads[THREADS];
  for (int i = 0; i < THREADS; i++)
    assert_int_equal(pthread_create(&threads[i], NULL, body, argument), 0);
  for (int i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
  assert_int_equal(atomic_exchange(&wrong, 0), 0);
}

/* ------------------------------------------------------------------ threads */

/* Finds no context of another thread, and leaves its own entered. */
static void *emit_and_end_inside(void *tracker) {
  char *text;
  size_t len;
  expect(tw_resolve_context(tracker, &text, &len, NULL) == TW_OK && strcmp(text, "{}") == 0);
  tw_free(text);
  expect(tw_enter_context(tracker, "request", "{\"user\":7}", 10, NULL) == TW_OK);
  expect(tw_enter_context(tracker, "job", "{\"id\":1}", 8, NULL) == TW_OK);
  for (int i = 0; i < EVENTS; i++) expect(tw_emit(tracker, "a", NULL, 0, NULL) == TW_OK);
  return NULL;
}

static void threads_that_end_inside_of_contexts_leave_nothing_behind(void **state) {
  (void)state;
  tw_backend *kept = new_memory();
  write_script(KEEP);
  tw_engine *engine = start("{\"workers\":2}", kept);
  tw_tracker *tracker = track(engine);
  for (int round = 0; round < 3; round++) run_all(emit_and_end_inside, tracker);
  assert_int_equal(tw_flush(tracker, -1, NULL, NULL), TW_OK);
  assert_int_equal(count_of(kept), 3 * THREADS * EVENTS);
  for (size_t i = 0; i < count_of(kept); i += 97) {
    tw_event *event;
    const char *json;
    size_t len;
    assert_int_equal(tw_memory_get(kept, i, &event), TW_OK);
    assert_int_equal(tw_event_json(event, &json, &len), TW_OK);
    assert_non_null(strstr(json, "\"context\":{\"user\":7,\"id\":1}"));
    tw_event_free(event);
  }
  tw_tracker_unref(tracker);
  tw_engine_unref(engine);
  tw_backend_unref(kept);
} /* and no block is left: see TEST */

static void *emit_and_let_go(void *tracker) {
  tw_enter_context(tracker, "request", "{\"user\":7}", 10, NULL);
  for (int i = 0; i < EVENTS; i++) expect(tw_emit(tracker, "a", NULL, 0, NULL) == TW_OK);
  tw_tracker_unref(tracker);
  return NULL;
}

/* The host keeps neither the tracker nor the engine: the threads hold the one, which holds
   the other, and the last of them flushes and closes both. */
static void the_last_thread_that_emits_takes_tracker_and_engine_with_it(void **state) {
  (void)state;
  for (int round = 0; round < 5; round++) {
    tw_backend *kept = new_memory();
    pthread_t threads[THREADS];
    write_script(KEEP);
    tw_engine *engine = start("{\"workers\":2}", kept);
    tw_tracker *tracker = track(engine);
    tw_engine_unref(engine);
    for (int i = 0; i < THREADS; i++) tw_tracker_ref(tracker);
    for (int i = 0; i < THREADS; i++)
      pthread_create(&threads[i], NULL, emit_and_let_go, tracker);
    tw_tracker_unref(tracker);
    for (int i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
    assert_int_equal(atomic_exchange(&wrong, 0), 0);
    assert_int_equal(count_of(kept), THREADS * EVENTS);
    tw_backend_unref(kept);
  }
}

/* --------------------------------------------------------------- statistics */

typedef struct told {
  atomic_uint newest, other;
} told;

static void count_dropped(void *self, const char *cause, const tw_event *event) {
  told *to = self;
  (void)event;
  atomic_fetch_add(strcmp(cause, "newest") == 0 ? &to->newest : &to->other, 1);
}

static void *send_many(void *engine) {
  for (int i = 0; i < EVENTS; i++) {
    tw_status status = tw_engine_send_json(engine, "{}", 2, NULL);
    expect(status == TW_OK || status == TW_ELIMIT);
  }
  return NULL;
}

static void what_was_sent_is_processed_dropped_or_waiting(void **state) {
  (void)state;
  told to = {0};
  tw_backend *kept = new_memory();
  tw_engine_stats stats;
  write_script(KEEP);
  tw_engine *engine = start_told("{\"workers\":2,\"queue\":4,\"overload\":\"drop_newest\"}",
                                 kept, &(tw_engine_ops){.dropped = count_dropped}, &to);
  run_all(send_many, engine);
  tw_engine_get_stats(engine, &stats);
  assert_int_equal(stats.processed + stats.dropped + stats.waiting, THREADS * EVENTS);
  assert_int_equal(tw_engine_flush(engine, 20000, NULL, NULL), TW_OK);
  tw_engine_get_stats(engine, &stats);
  assert_int_equal(stats.waiting, 0);
  assert_int_equal(stats.received, stats.processed);
  assert_int_equal(stats.processed + stats.dropped, THREADS * EVENTS);
  assert_int_equal(stats.dropped, to.newest);
  assert_int_equal(to.other, 0);
  assert_int_equal(count_of(kept), stats.processed);
  assert_int_equal(stats.workers, 2);
  tw_engine_unref(engine);
  tw_backend_unref(kept);
}

/* ------------------------------------------------------------------ options */

static void limits_of_events_hold_for_what_the_host_sends(void **state) {
  (void)state;
  tw_backend *kept = new_memory();
  tw_error error = {0};
  write_script(KEEP);
  tw_engine *engine = start("{\"max_event\":32,\"max_depth\":2}", kept);
  const char *deep = "{\"a\":{\"b\":{}}}", *right = "{\"a\":{\"b\":1}}";
  char wide[64] = "{\"a\":\"0123456789012345678901234567890123456789\"}";
  assert_int_equal(tw_engine_send_json(engine, deep, strlen(deep), &error), TW_ELIMIT);
  assert_int_equal(tw_engine_send_json(engine, wide, strlen(wide), &error), TW_ELIMIT);
  assert_int_equal(tw_engine_send_json(engine, right, strlen(right), &error), TW_OK);
  tw_engine_unref(engine);
  assert_int_equal(count_of(kept), 1);
  tw_backend_unref(kept);
}

static void the_hosts_options_come_before_the_scripts(void **state) {
  (void)state;
  tw_backend *kept = new_memory();
  tw_engine_stats stats;
  write_script("return tw.router { engine = { workers = 3 } }");
  tw_engine *engine = start("{}", kept);
  tw_engine_get_stats(engine, &stats);
  assert_int_equal(stats.workers, 3);
  tw_engine_unref(engine);
  engine = start("{\"workers\":2}", kept);
  tw_engine_get_stats(engine, &stats);
  assert_int_equal(stats.workers, 2);
  tw_engine_unref(engine);
  tw_backend_unref(kept);
}

static void what_a_running_engine_cannot_change_is_named(void **state) {
  (void)state;
  static const struct {
    const char *option, *value;
  } cases[] = {{"workers", "2"},
               {"queue", "16"},
               {"overload", "'drop_oldest'"},
               {"block_for", "'1s'"},
               {"watch", "true"},
               {"max_event", "'1KiB'"},
               {"max_depth", "5"},
               {"partition_by", "'name'"},
               {"reload", "{ watchdog = { errors = 1, within = 5 } }"}};
  tw_backend *kept = new_memory();
  write_script("return tw.router {}");
  tw_engine *engine = start("{}", kept);
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    char text[200], expected[100];
    tw_error error = {0};
    snprintf(text, sizeof text, "return tw.router { engine = { %s = %s } }", cases[i].option,
             cases[i].value);
    write_script(text);
    snprintf(expected, sizeof expected, "engine: %s%s cannot be changed by a reload: restart",
             cases[i].option, strcmp(cases[i].option, "reload") ? "" : ".watchdog");
    assert_int_equal(tw_engine_reload(engine, &error), TW_EINVAL);
    if (!strstr(error.message, expected)) fail_msg("%s", error.message);
  }
  tw_engine_unref(engine);
  tw_backend_unref(kept);
}

static tw_status try(const char *options, tw_error *error) {
  tw_engine *engine;
  tw_status status =
      tw_engine_new(script_path(), options, strlen(options), NULL, NULL, &engine, error);
  tw_engine_unref(engine);
  return status;
}

static void what_limits_a_script_is_for_the_host_alone_to_say(void **state) {
  (void)state;
  static const char *const options[] = {"grants = 'io'", "package_path = '?.lua'",
                                        "memory_limit = '1GiB'", "instruction_limit = 1",
                                        "time_limit = '1h'"};
  for (size_t i = 0; i < sizeof options / sizeof *options; i++) {
    char text[200];
    tw_error error = {0};
    snprintf(text, sizeof text, "return tw.router { engine = { %s } }", options[i]);
    write_script(text);
    assert_int_equal(try("{}", &error), TW_EINVAL);
    assert_non_null(strstr(error.message, "is for the host to say, not for the script"));
  }
}

static void the_host_grants_and_limits_what_a_script_may_do(void **state) {
  (void)state;
  char options[200];
  tw_error error = {0};
  write_script("io.stdout:flush() return tw.router {}");
  assert_int_equal(try("{}", &error), TW_ESCRIPT);
  assert_int_equal(try("{\"grants\":\"io\"}", &error), TW_OK);
  assert_int_equal(try("{\"grants\":\"oi\"}", &error), TW_EINVAL);
  write_script("for i = 1, 100000 do end return tw.router {}");
  assert_int_equal(try("{}", &error), TW_OK);
  assert_int_equal(try("{\"instruction_limit\":1000}", &error), TW_ELIMIT);
  write_script(
      "local kept = {} for i = 1, 100 do kept[i] = ('x'):rep(100000) .. i end\n"
      "return tw.router {}");
  assert_int_equal(try("{}", &error), TW_OK);
  assert_int_equal(try("{\"memory_limit\":\"4MiB\"}", &error), TW_ENOMEM);
  write_all(in_folder("elsewhere.txt"), "return 1");
  write_script("require 'elsewhere' return tw.router {}");
  assert_int_equal(try("{}", &error), TW_ESCRIPT);
  snprintf(options, sizeof options, "{\"package_path\":\"%s\"}", in_folder("?.txt"));
  if (try(options, &error)) fail_msg("%s", error.message);
}

/* ---------------------------------------------------------------- callbacks */

typedef struct meddler {
  _Atomic(tw_engine *) engine;
  atomic_uint calls, refused;
} meddler;

/* What a callback must not do is refused on a worker instead of waiting for itself. */
static void meddle(void *self, const tw_failure *failure) {
  meddler *with = self;
  tw_engine *engine = atomic_load(&with->engine);
  (void)failure;
  atomic_fetch_add(&with->calls, 1);
  if (tw_engine_flush(engine, -1, NULL, NULL) == TW_EINVAL &&
      tw_engine_reload(engine, NULL) == TW_EINVAL &&
      tw_engine_close(engine, -1, NULL, NULL) == TW_EINVAL)
    atomic_fetch_add(&with->refused, 1);
}

static void a_callback_that_would_wait_for_its_own_worker_is_refused(void **state) {
  (void)state;
  meddler with = {0};
  tw_backend *kept = new_memory();
  write_script("return tw.router { processors = { function() error 'x' end } }");
  tw_engine *engine = start_told("{}", kept, &(tw_engine_ops){.failed = meddle}, &with);
  atomic_store(&with.engine, engine);
  assert_int_equal(tw_engine_send_json(engine, "{}", 2, NULL), TW_OK);
  assert_int_equal(tw_engine_flush(engine, 20000, NULL, NULL), TW_OK);
  assert_int_equal(with.calls, 1);
  assert_int_equal(with.refused, 1);
  tw_engine_unref(engine);
  tw_backend_unref(kept);
}

/* -------------------------------------------------------------------- forks */

static void ignore(void *self, const tw_failure *failure) {
  (void)failure;
  atomic_fetch_add((atomic_uint *)self, 1);
}

/* The tracker of before still takes events, and says that they get nowhere. */
static bool old_tracker_is_refused(tw_tracker *tracker) {
  atomic_uint failures = 0;
  const tw_observer observer = {.failed = ignore};
  tw_router_set_observer(tw_tracker_router(tracker), &observer, &failures, NULL);
  bool right = tw_emit(tracker, "a", NULL, 0, NULL) == TW_OK && failures == 1 &&
               tw_flush(tracker, -1, NULL, NULL) == TW_ECLOSED;
  tw_tracker_unref(tracker);
  return right;
}

/* The thread sanitizer cannot follow threads that such a child starts: not with it. */
#ifdef __SANITIZE_THREAD__
static bool new_engine_works(void) { return true; }
#else
static bool new_engine_works(void) {
  tw_backend *kept = new_memory();
  tw_engine *engine = start("{\"workers\":2}", kept);
  bool right = tw_engine_send_json(engine, "{}", 2, NULL) == TW_OK &&
               tw_engine_reload(engine, NULL) == TW_OK &&
               tw_engine_flush(engine, 20000, NULL, NULL) == TW_OK && count_of(kept) == 1;
  tw_engine_unref(engine);
  tw_backend_unref(kept);
  return right;
}
#endif

/* The address sanitizer's allocator leaves its locks to the child as another thread held them.
 */
#ifdef __SANITIZE_ADDRESS__
enum { CHILD_MAY_ALLOCATE = 0 };
#else
enum { CHILD_MAY_ALLOCATE = 1 };
#endif

static void a_child_lets_go_of_what_it_had_and_makes_an_engine_of_its_own(void **state) {
  (void)state;
  if (!CHILD_MAY_ALLOCATE) return;
  tw_backend *kept = new_memory();
  write_script(KEEP);
  tw_engine *engine = start("{\"workers\":2}", kept);
  tw_tracker *tracker = track(engine);
  assert_int_equal(tw_emit(tracker, "a", NULL, 0, NULL), TW_OK);
  assert_int_equal(tw_flush(tracker, -1, NULL, NULL), TW_OK);
  pid_t child = fork();
  if (child == 0) {
    bool right = old_tracker_is_refused(tracker);
    tw_engine_unref(engine);
    _exit(right && new_engine_works() ? 0 : 1);
  }
  int result;
  assert_int_equal(waitpid(child, &result, 0), child);
  assert_int_equal(result, 0);
  assert_int_equal(tw_emit(tracker, "b", NULL, 0, NULL), TW_OK);
  tw_tracker_unref(tracker);
  tw_engine_unref(engine);
  assert_int_equal(count_of(kept), 2);
  tw_backend_unref(kept);
}

static int set_up(void **state) {
  tw_oom_install();
  return make_folder(state);
}

#define TEST(name) cmocka_unit_test_teardown(name, tw_oom_leaves_nothing)

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(threads_that_end_inside_of_contexts_leave_nothing_behind),
      TEST(the_last_thread_that_emits_takes_tracker_and_engine_with_it),
      TEST(what_was_sent_is_processed_dropped_or_waiting),
      TEST(limits_of_events_hold_for_what_the_host_sends),
      TEST(the_hosts_options_come_before_the_scripts),
      TEST(what_a_running_engine_cannot_change_is_named),
      TEST(what_limits_a_script_is_for_the_host_alone_to_say),
      TEST(the_host_grants_and_limits_what_a_script_may_do),
      TEST(a_callback_that_would_wait_for_its_own_worker_is_refused),
      TEST(a_child_lets_go_of_what_it_had_and_makes_an_engine_of_its_own),
  };
  return cmocka_run_group_tests(tests, set_up, remove_folder);
}
