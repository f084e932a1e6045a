/* What an emit costs from 1, 2, 4 and 8 threads: events with two contexts of 5 fields and data
   of 5 fields. Beside one tracker for all there is a tracker for each thread: where nothing
   is shared, what is lost is the machine's, so that its row is what can be had. */
#include "measure.h"

enum { RUNS = 7, EVENTS = 200000, MAX_THREADS = 8 };

static const char *const request =
    "{\"host\":\"h1\",\"path\":\"/courses/42/video\",\"user_id\":714512,"
    "\"session\":\"0f2b8a91c3d4\",\"agent\":\"Mozilla/5.0\"}";
static const char *const job =
    "{\"course\":\"MITx/6.002x\",\"org\":\"MITx\",\"run\":\"2012_Fall\",\"staff\":false,"
    "\"depth\":3}";
static const char *const data =
    "{\"id\":\"i4x-MITx-6_002x-video-S1V1\",\"code\":\"8kARlsUt9lM\",\"currentTime\":12.47,"
    "\"speed\":\"1.0\",\"paused\":true}";

typedef struct emitter {
  pthread_t thread;
  tw_tracker *tracker;
  long events;
} emitter;

static void *emit_all(void *arg) {
  const emitter *self = arg;
  tw_error error;
  check(tw_enter_context(self->tracker, "request", request, strlen(request), &error), &error);
  check(tw_enter_context(self->tracker, "job", job, strlen(job), &error), &error);
  size_t len = strlen(data);
  for (long i = 0; i < self->events; i++) {
    check(tw_emit(self->tracker, "video.played", data, len, &error), &error);
  }
  check(tw_exit_context(self->tracker, "job", &error), &error);
  check(tw_exit_context(self->tracker, "request", &error), &error);
  return NULL;
}

static tw_tracker *new_tracker(tw_backend *backend) {
  tw_tracker *tracker;
  tw_error error;
  check(tw_tracker_new(NULL, &tracker, &error), &error);
  if (!backend) check(tw_backend_new_kind("null", NULL, 0, &backend, &error), &error);
  check(tw_router_add_backend(tw_tracker_router(tracker), "b", backend, &error), &error);
  return tracker;
}

static void emit_from(emitter *emitters, const variant *v) {
  for (unsigned i = 0; i < v->threads; i++) {
    emitters[i].events = EVENTS / v->threads;
    pthread_create(&emitters[i].thread, NULL, emit_all, &emitters[i]);
  }
  for (unsigned i = 0; i < v->threads; i++) pthread_join(emitters[i].thread, NULL);
}

static cost one_tracker(const variant *v) {
  emitter emitters[MAX_THREADS];
  tw_tracker *tracker = new_tracker(NULL);
  for (unsigned i = 0; i < v->threads; i++) emitters[i].tracker = tracker;
  cost start = now();
  emit_from(emitters, v);
  cost took = since(start);
  tw_tracker_unref(tracker);
  return took;
}

static cost a_tracker_each(const variant *v) {
  emitter emitters[MAX_THREADS];
  for (unsigned i = 0; i < v->threads; i++) emitters[i].tracker = new_tracker(NULL);
  cost start = now();
  emit_from(emitters, v);
  cost took = since(start);
  for (unsigned i = 0; i < v->threads; i++) tw_tracker_unref(emitters[i].tracker);
  return took;
}

/* The time until all has been processed counts too. */
static cost into_engine(const variant *v) {
  emitter emitters[MAX_THREADS];
  char options[40];
  tw_engine *engine;
  tw_backend *backend;
  tw_error error;
  int len = snprintf(options, sizeof options, "{\"workers\": %u}", v->workers);
  check(tw_engine_new(v->setup, options, (size_t)len, NULL, NULL, &engine, &error), &error);
  check(tw_engine_backend(engine, &backend, &error), &error);
  tw_tracker *tracker = new_tracker(backend);
  for (unsigned i = 0; i < v->threads; i++) emitters[i].tracker = tracker;
  cost start = now();
  emit_from(emitters, v);
  check(tw_engine_flush(engine, -1, NULL, &error), &error);
  cost took = since(start);
  tw_tracker_unref(tracker);
  tw_engine_unref(engine);
  return took;
}

int main(int argc, char **argv) {
  if (argc != 2) {
    fputs("usage: threads_bench ROUTER_SCRIPT\n", stderr);
    return 64;
  }
  variant inside[] = {
      {"one tracker, 1 thread", one_tracker, .threads = 1},
      {"one tracker, 2 threads", one_tracker, .threads = 2},
      {"one tracker, 4 threads", one_tracker, .threads = 4},
      {"one tracker, 8 threads", one_tracker, .threads = 8},
      {"a tracker each, 2 threads", a_tracker_each, .threads = 2},
      {"a tracker each, 8 threads", a_tracker_each, .threads = 8},
  };
  variant engine[] = {
      {"1 worker, 1 thread", into_engine, .threads = 1, .workers = 1, .setup = argv[1]},
      {"1 worker, 2 threads", into_engine, .threads = 2, .workers = 1, .setup = argv[1]},
      {"1 worker, 4 threads", into_engine, .threads = 4, .workers = 1, .setup = argv[1]},
      {"1 worker, 8 threads", into_engine, .threads = 8, .workers = 1, .setup = argv[1]},
      {"2 workers, 1 thread", into_engine, .threads = 1, .workers = 2, .setup = argv[1]},
      {"2 workers, 2 threads", into_engine, .threads = 2, .workers = 2, .setup = argv[1]},
      {"2 workers, 8 threads", into_engine, .threads = 8, .workers = 2, .setup = argv[1]},
  };
  puts("# emit from threads into a tracker with a null backend");
  run_all(inside, sizeof inside / sizeof *inside, RUNS, EVENTS);
  puts("# emit from threads into an engine, until all is processed");
  run_all(engine, sizeof engine / sizeof *engine, RUNS, EVENTS);
  return 0;
}
