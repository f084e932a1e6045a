/* What an emit costs, and an added branch of the tree: events with two contexts of 5 fields
   and data of 5 fields. CPU time per event; threads_bench.c is about several threads. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tidewire.h"

static const char *const request =
    "{\"host\":\"h1\",\"path\":\"/courses/42/video\",\"user_id\":714512,"
    "\"session\":\"0f2b8a91c3d4\",\"agent\":\"Mozilla/5.0\"}";
static const char *const job =
    "{\"course\":\"MITx/6.002x\",\"org\":\"MITx\",\"run\":\"2012_Fall\",\"staff\":false,"
    "\"depth\":3}";
static const char *const data =
    "{\"id\":\"i4x-MITx-6_002x-video-S1V1\",\"code\":\"8kARlsUt9lM\",\"currentTime\":12.47,"
    "\"speed\":\"1.0\",\"paused\":true}";

static long events = 1000000;

static tw_status null_send(void *self, tw_event *event, unsigned flags, tw_error *error) {
  (void)self, (void)event, (void)flags, (void)error;
  return TW_OK;
}
static tw_verdict drop(void *self, tw_event *event, tw_split *split, tw_error *error) {
  (void)self, (void)event, (void)split, (void)error;
  return TW_DROP;
}
static tw_verdict look(void *self, tw_event *event, tw_split *split, tw_error *error) {
  (void)self, (void)event, (void)split, (void)error;
  return TW_PASS;
}

static void check(tw_status status, const tw_error *error) {
  if (status == TW_OK) return;
  fprintf(stderr, "emit_bench: %s\n", error->message);
  exit(1);
}

static double cpu_seconds(void) {
  struct timespec now;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static void add_null(tw_router *router, const char *name) {
  static const tw_backend_ops ops = {.send = null_send};
  tw_backend *backend;
  tw_error error;
  check(tw_backend_new(&ops, NULL, 0, &backend, &error), &error);
  check(tw_router_add_backend(router, name, backend, &error), &error);
}

static void add_processor(tw_router *router, const tw_processor_ops *ops) {
  tw_processor *processor;
  tw_error error;
  check(tw_processor_new("bench", ops, NULL, TW_ON_ERROR_PASS, &processor, &error), &error);
  check(tw_router_add_processor(router, processor, &error), &error);
}

/* -------------------------------------------------------------------- emit */

static void emit_all(tw_tracker *tracker) {
  tw_error error;
  check(tw_enter_context(tracker, "request", request, strlen(request), &error), &error);
  check(tw_enter_context(tracker, "job", job, strlen(job), &error), &error);
  size_t len = strlen(data);
  for (long i = 0; i < events; i++) {
    check(tw_emit(tracker, "edx.video.played", data, len, &error), &error);
  }
}

static void bench_emit(void) {
  tw_tracker *tracker;
  tw_error error;
  check(tw_tracker_new(NULL, &tracker, &error), &error);
  add_null(tw_tracker_router(tracker), "null");
  double start = cpu_seconds();
  emit_all(tracker);
  printf("emit to a null backend   %6.0f ns\n", (cpu_seconds() - start) * 1e9 / (double)events);
  tw_tracker_unref(tracker);
}

/* ------------------------------------------------------------------ routes */

/* @return nanoseconds for each event that is sent, parsed already */
static double send_through(tw_router *router) {
  tw_event *event;
  tw_error error;
  check(tw_event_parse(request, strlen(request), NULL, &event, &error), &error);
  check(tw_router_open(router, &error), &error);
  double start = cpu_seconds();
  for (long i = 0; i < events; i++) check(tw_router_send(router, event, 0, &error), &error);
  double spent = cpu_seconds() - start;
  tw_event_free(event);
  tw_router_unref(router);
  return spent * 1e9 / (double)events;
}

/* A tree with branches that are routers with one processor, then a backend. */
static double with_branches(int count, const tw_processor_ops *ops) {
  tw_router *router;
  tw_error error;
  char name[16];
  check(tw_router_new(&router, &error), &error);
  add_null(router, "null");
  for (int i = 0; i < count; i++) {
    tw_router *branch;
    check(tw_router_new(&branch, &error), &error);
    add_processor(branch, ops);
    add_null(branch, "null");
    snprintf(name, sizeof name, "b%02d", i);
    check(tw_router_add_router(router, name, branch, &error), &error);
  }
  return send_through(router);
}

static double with_processors(int count) {
  static const tw_processor_ops ops = {look, NULL};
  tw_router *router;
  tw_error error;
  check(tw_router_new(&router, &error), &error);
  add_null(router, "null");
  for (int i = 0; i < count; i++) add_processor(router, &ops);
  return send_through(router);
}

int main(int argc, char **argv) {
  static const tw_processor_ops drop_ops = {drop, NULL}, look_ops = {look, NULL};
  if (argc > 1) events = atol(argv[1]);
  bench_emit();
  double base = with_branches(0, &drop_ops);
  printf("send to one null backend  %5.1f ns\n", base);
  printf("+ a branch that drops     %5.1f ns\n", (with_branches(32, &drop_ops) - base) / 32);
  printf("+ a branch that reads     %5.1f ns\n", (with_branches(32, &look_ops) - base) / 32);
  printf("+ a processor that reads  %5.1f ns\n", (with_processors(32) - base) / 32);
  return 0;
}
