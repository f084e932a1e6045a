/* All at once, by seeds: emitters, reloads of good and broken scripts, sick states, flushes,
   the watchdog, and closing with a time, over workers, queues, policies and keys. Each event is
   processed at most once and in the order of its key, and the counts are exact. */
#include "engine_case.h"

#include <dirent.h>

enum { EMITTERS = 3, EVENTS = 1500, RELOADS = 25 };

typedef struct storm {
  tw_engine *engine;
  atomic_uint random;
  atomic_uint taken, refused, seen, out_of_order, told_dropped;
  atomic_int last[EMITTERS]; /* number of the last event of each key */
  atomic_bool is_over;
} storm;

static unsigned draw(storm *self, unsigned below) {
  unsigned next = atomic_fetch_add(&self->random, 0x9e3779b9u) * 2654435761u;
  return (next >> 16) % below;
}

static tw_status see(void *self, tw_event *event, unsigned flags, tw_error *error) {
  storm *to = self;
  tw_value key, number;
  (void)flags, (void)error;
  if (tw_event_get(event, "key", &key) || tw_event_get(event, "n", &number)) return TW_EINVAL;
  int before_it = atomic_exchange(&to->last[key.integer], (int)number.integer);
  if (before_it >= (int)number.integer) atomic_fetch_add(&to->out_of_order, 1);
  atomic_fetch_add(&to->seen, 1);
  return TW_OK;
}

static void count_drop(void *self, const char *cause, const tw_event *event) {
  (void)cause, (void)event;
  atomic_fetch_add(&((storm *)self)->told_dropped, 1);
}

static void ignore_failure(void *self, const tw_failure *failure) { (void)self, (void)failure; }

typedef struct emitting {
  storm *storm;
  int key;
} emitting;

static void *emit_all(void *self) {
  const emitting *it = self;
  storm *to = it->storm;
  for (int i = 1; i <= EVENTS; i++) {
    tw_status status = send(to->engine, "{\"key\":%d,\"n\":%d}", it->key, i);
    if (status == TW_ECLOSED) return NULL;
    atomic_fetch_add(status == TW_OK ? &to->taken : &to->refused, 1);
  }
  return NULL;
}

/* What a generation does to an event, besides handing it on. */
static const char *const bodies[] = {"", "error 'no'",
                                     "kept = kept or {} kept[#kept + 1] = ('x'):rep(20000)",
                                     "seen = (seen or 0) + 1", "local"};
enum { BROKEN = 4 };

static void write_body(unsigned which, bool by_function) {
  const char *key = by_function ? "function(event) return event.key end" : "'key'";
  write_file("main.lua",
             HEAD
             "local kept, seen\nlocal count = tw.state('count', {})\n"
             "return tw.router { engine = { partition_by = %s },\n"
             "processors = { function(event) count.n = (count.n or 0) + 1 %s end },\n"
             "backends = { all = tw.backends.host 'all' } }",
             key, bodies[which]);
}

typedef struct changing {
  storm *storm;
  bool by_function;
} changing;

static void *reload_often(void *self) {
  const changing *it = self;
  for (int i = 0; i < RELOADS && !atomic_load(&it->storm->is_over); i++) {
    write_body(draw(it->storm, 5), it->by_function);
    tw_engine_reload(it->storm->engine, NULL);
  }
  return NULL;
}

static void *flush_often(void *self) {
  storm *to = self;
  while (!atomic_load(&to->is_over)) tw_engine_flush(to->engine, (int)draw(to, 4), NULL, NULL);
  return NULL;
}

static void begin_storm(storm *to, bool by_function) {
  static const char *const policies[] = {"block", "drop_newest", "drop_oldest"};
  static const tw_backend_ops backend_ops = {.send = see};
  char options[300];
  tw_backend *backend;
  write_body(0, by_function);
  assert_int_equal(tw_backend_new(&backend_ops, to, 0, &backend, NULL), TW_OK);
  const tw_offer offers[] = {{.name = "all", .backend = backend}, {0}};
  const tw_engine_ops ops = {.dropped = count_drop, .failed = ignore_failure, .offers = offers};
  snprintf(options, sizeof options,
           "{\"workers\":%u,\"queue\":%u,\"overload\":\"%s\",\"memory_limit\":\"4MiB\","
           "\"time_limit\":\"none\",\"watch\":%s,"
           "\"reload\":{\"watchdog\":{\"errors\":0.5,\"within\":5}}}",
           1 + draw(to, 4), draw(to, 2) ? 1 : 300, policies[draw(to, 3)],
           draw(to, 2) ? "true" : "false");
  tw_error error = {0};
  if (tw_engine_new(path_of("main.lua"), options, strlen(options), &ops, to, &to->engine,
                    &error))
    fail_msg("%s", error.message);
  tw_backend_unref(backend);
}

static void assert_exact(storm *to, uint64_t remaining) {
  tw_engine_stats stats = stats_of(to->engine);
  assert_int_equal(to->out_of_order, 0);
  assert_int_equal(stats.waiting, 0);
  assert_int_equal(stats.received, to->taken);
  assert_int_equal(stats.processed, to->seen);
  assert_int_equal(stats.processed + stats.dropped, to->taken + to->refused);
  assert_int_equal(stats.dropped, to->told_dropped);
  assert_int_equal(stats.dropped_closed, remaining);
}

static void rage(unsigned seed) {
  storm to = {0};
  pthread_t threads[EMITTERS], reloader, flusher;
  emitting emitters[EMITTERS];
  uint64_t remaining;
  atomic_init(&to.random, seed * 7919);
  changing changes = {&to, draw(&to, 2)};
  begin_storm(&to, changes.by_function);
  for (int i = 0; i < EMITTERS; i++) {
    emitters[i] = (emitting){&to, i};
    pthread_create(&threads[i], NULL, emit_all, &emitters[i]);
  }
  pthread_create(&reloader, NULL, reload_often, &changes);
  pthread_create(&flusher, NULL, flush_often, &to);
  bool ends_early = draw(&to, 2);
  for (int i = 0; i < EMITTERS && !ends_early; i++) pthread_join(threads[i], NULL);
  usleep(draw(&to, 30000));
  tw_engine_close(to.engine, ends_early ? (int)draw(&to, 5) : -1, &remaining, NULL);
  for (int i = 0; i < EMITTERS && ends_early; i++) pthread_join(threads[i], NULL);
  atomic_store(&to.is_over, true);
  pthread_join(reloader, NULL);
  pthread_join(flusher, NULL);
  assert_exact(&to, remaining);
  tw_engine_unref(to.engine);
}

static void nothing_is_lost_or_doubled_in_a_storm(void **state) {
  (void)state;
  const char *more = getenv("TIDEWIRE_STORMS");
  unsigned seeds = more ? (unsigned)atoi(more) : 12;
  for (unsigned seed = 1; seed <= seeds; seed++) rage(seed);
}

/* ------------------------------------------------------------ made and freed often */

static unsigned entries_of(const char *path) {
  unsigned count = 0;
  DIR *at = opendir(path);
  assert_non_null(at);
  while (readdir(at)) count++;
  closedir(at);
  return count;
}

static void an_engine_leaves_no_thread_and_no_descriptor(void **state) {
  (void)state;
  write_script("event.v = 1");
  unsigned files = entries_of("/proc/self/fd"), threads = entries_of("/proc/self/task");
  for (int i = 0; i < 200; i++) {
    tw_engine *engine = start(i % 2 ? "{\"watch\":true,\"workers\":3}" : "{}", NULL);
    send(engine, "{}");
    tw_engine_unref(engine);
  }
  assert_int_equal(entries_of("/proc/self/fd"), files);
  for (int i = 0; i < 2000 && entries_of("/proc/self/task") > threads; i++) usleep(1000);
  assert_int_equal(entries_of("/proc/self/task"), threads);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(nothing_is_lost_or_doubled_in_a_storm),
      TEST(an_engine_leaves_no_thread_and_no_descriptor),
  };
  return cmocka_run_group_tests(tests, set_up, tear_down);
}
