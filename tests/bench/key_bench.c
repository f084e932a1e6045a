/* What the choice of a worker costs who sends: processor time of the sending threads per event,
   with two workers that drop it. Medians of interleaved runs; EVENTS (100000) a thread. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "tidewire.h"

enum { RUNS = 5, MAX_THREADS = 4 };

static const char *const event =
    "{\"name\":\"order.paid\",\"data\":{\"user\":714512,\"total\":12.5},\"context\":{}}";
static long events = 100000;

typedef struct variant {
  const char *name, *key;
  double ns[2][RUNS];
} variant;

static variant variants[] = {
    {.name = "no key", .key = "nil"},
    {.name = "a path", .key = "'data.user'"},
    {.name = "a function", .key = "function(event) return event.data.user end"}};

typedef struct sender {
  pthread_t thread;
  tw_engine *engine;
  double ns; /* of an event */
} sender;

static void *send_all(void *self) {
  sender *me = self;
  struct timespec used;
  size_t len = strlen(event);
  for (long i = 0; i < events; i++) tw_engine_send_json(me->engine, event, len, NULL);
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
  me->ns = ((double)used.tv_sec * 1e9 + (double)used.tv_nsec) / (double)events;
  return NULL;
}

static double run(const char *path, const char *key, int threads) {
  sender senders[MAX_THREADS];
  tw_engine *engine;
  tw_error error;
  double ns = 0;
  FILE *file = fopen(path, "w");
  if (!file) exit(1);
  fprintf(file,
          "local tw = require 'tidewire'\nreturn tw.router { processors = { function() return "
          "false end }, engine = { workers = 2, partition_by = %s } }\n",
          key);
  fclose(file);
  if (tw_engine_new(path, NULL, 0, NULL, NULL, &engine, &error)) {
    fprintf(stderr, "key_bench: %s\n", error.message);
    exit(1);
  }
  for (int i = 0; i < threads; i++) {
    senders[i].engine = engine;
    pthread_create(&senders[i].thread, NULL, send_all, &senders[i]);
  }
  for (int i = 0; i < threads; i++) {
    pthread_join(senders[i].thread, NULL);
    ns += senders[i].ns / threads;
  }
  tw_engine_unref(engine);
  return ns;
}

static int ascending(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

static double median(double *values) {
  qsort(values, RUNS, sizeof *values, ascending);
  return values[RUNS / 2];
}

int main(void) {
  char path[] = "/tmp/tidewire-key-XXXXXX";
  const char *wanted = getenv("EVENTS");
  if (wanted) events = atol(wanted);
  int fd = mkstemp(path);
  if (fd < 0) return 1;
  close(fd);
  size_t count = sizeof variants / sizeof *variants;
  for (int i = 0; i < RUNS; i++)
    for (size_t v = 0; v < count; v++)
      for (int t = 0; t < 2; t++)
        variants[v].ns[t][i] = run(path, variants[v].key, t ? MAX_THREADS : 1);
  unlink(path);
  printf("%-12s %12s %12s\n", "ns an event", "1 thread", "4 threads");
  for (size_t v = 0; v < count; v++)
    printf("%-12s %12.0f %12.0f\n", variants[v].name, median(variants[v].ns[0]),
           median(variants[v].ns[1]));
  return 0;
}
