/// measure.h: what the benchmarks in C share: clocks, checks, and tables of interleaved runs.
///
/// The variants of a table run in turn, so that what else the machine does falls on all of
/// them alike; printed are medians, and ratios to the first variant.
#ifndef TW_BENCH_MEASURE_H
#define TW_BENCH_MEASURE_H

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tidewire.h"

enum { MAX_RUNS = 31 };

static inline void check(tw_status status, const tw_error *error) {
  if (status == TW_OK) return;
  fprintf(stderr, "bench: %s\n", error->message);
  exit(1);
}

static inline double seconds_on(clockid_t clock) {
  struct timespec now;
  clock_gettime(clock, &now);
  return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

/// What one run took.
typedef struct cost {
  double wall, cpu; ///< seconds; the process's processor time
} cost;

static inline cost now(void) {
  return (cost){seconds_on(CLOCK_MONOTONIC), seconds_on(CLOCK_PROCESS_CPUTIME_ID)};
}

static inline cost since(cost start) {
  cost end = now();
  return (cost){end.wall - start.wall, end.cpu - start.cpu};
}

static inline int ascending(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

static inline double median(double *values, int count) {
  qsort(values, (size_t)count, sizeof *values, ascending);
  return values[count / 2];
}

/// One way to do the work.
typedef struct variant {
  const char *name;
  cost (*run)(const struct variant *self);
  unsigned threads, workers;
  const void *setup;
  double wall[MAX_RUNS], cpu[MAX_RUNS]; ///< of one event
} variant;

/// Runs the variants in turn, once more than is counted, and prints what they cost, also as
/// ratios to the first.
/// @param runs  at most MAX_RUNS  @param events  of one run
static inline void run_all(variant *all, size_t count, int runs, double events) {
  for (int run = -1; run < runs; run++) {
    for (size_t i = 0; i < count; i++) {
      cost took = all[i].run(&all[i]);
      if (run < 0) continue;
      all[i].wall[run] = took.wall / events;
      all[i].cpu[run] = took.cpu / events;
    }
  }
  double wall = median(all[0].wall, runs), cpu = median(all[0].cpu, runs);
  printf("%-32s %10s %8s %10s %8s\n", "", "million/s", "ratio", "ns of CPU", "ratio");
  for (size_t i = 0; i < count; i++) {
    double its_wall = median(all[i].wall, runs), its_cpu = median(all[i].cpu, runs);
    printf("%-32s %10.3f %8.2f %10.0f %8.2f\n", all[i].name, 1e-6 / its_wall, wall / its_wall,
           its_cpu * 1e9, its_cpu / cpu);
  }
  fflush(stdout);
}

#endif
