/* Reloads under full load: what events wait for them, and whether any is lost, doubled or seen
   by two generations.

     bench_reload_bench FOLDER [RELOADS]     of this file; 1000 unless given

   Two workers, two threads that send as fast as the queues take, and one that reloads without
   a pause: the scripts alternate, every tenth is broken, every hundredth fails in opening a
   backend. The same load is measured before without reloads: what it is exceeded by is what
   reloads add. "at the swap" is the time between the last event of a generation and the first
   of the next on the same worker.

   Exit status 1: an event was lost, doubled, out of order or mixed, a reload had another
   outcome than it should have, or memory grew. */
#include <math.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "tidewire.h"

enum { WORKERS = 2, QUIET_SECONDS = 5, WARM = 100, BUCKETS = 400 };

/* What may be added to the latency of one event in a thousand, and to resident memory. */
static const double ADDED_MS = 5, GROWN_SHARE = 0.1, GROWN_MIB = 4;

static char folder[] = "/tmp/tidewire-reload-XXXXXX";
static tw_engine *engine;
static unsigned problems;

static void fail(const char *format, ...) {
  va_list args;
  va_start(args, format);
  fprintf(stderr, "reload_bench: ");
  vfprintf(stderr, format, args);
  fprintf(stderr, "\n");
  va_end(args);
  problems++;
}

static double seconds_on(clockid_t clock) {
  struct timespec now;
  clock_gettime(clock, &now);
  return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static double resident_mib(void) {
  long pages = 0;
  FILE *file = fopen("/proc/self/statm", "r");
  if (!file) return 0;
  if (fscanf(file, "%*s %ld", &pages) != 1) pages = 0;
  fclose(file);
  return (double)pages * (double)sysconf(_SC_PAGESIZE) / 1048576;
}

/* ----------------------------------------------------------------- scripts */

static void write_file(const char *name, const char *format, ...) {
  char fresh[128], path[128];
  snprintf(path, sizeof path, "%s/%s", folder, name);
  snprintf(fresh, sizeof fresh, "%s/new", folder);
  FILE *file = fopen(fresh, "w");
  va_list args;
  va_start(args, format);
  if (file) vfprintf(file, format, args);
  va_end(args);
  if (!file || fclose(file) || rename(fresh, path)) fail("%s cannot be written", path);
}

static bool cannot_open(unsigned round) { return round % 100 == 50; }
static bool is_broken(unsigned round) { return round % 10 == 9; }

static void write_version(unsigned round) {
  const char *mark = round % 2 ? "a" : "b";
  char backend[128];
  snprintf(backend, sizeof backend, "file { path = '%s/out' }", folder);
  write_file("mark.lua", "return '%s'", mark);
  write_file("main.lua",
             "local tw, build = require 'tidewire', require 'reload_router'\n"
             "return build(require 'mark', '%s', tw.backends.%s)%s\n",
             mark, cannot_open(round) ? "sqlite { path = '/dev/null/db' }" : backend,
             is_broken(round) ? ")" : "");
}

/* -------------------------------------------------------------------- load */

typedef struct sender {
  pthread_t thread;
  unsigned number;
  uint64_t sent;
  atomic_bool is_over;
} sender;

static sender senders[WORKERS];

static void send_line(const char *line, int len) {
  tw_error error;
  if (tw_engine_send_json(engine, line, (size_t)len, &error)) fail("%s", error.message);
}

static void *send_all(void *self) {
  sender *me = self;
  char line[128];
  while (!atomic_load_explicit(&me->is_over, memory_order_relaxed)) {
    int len = snprintf(line, sizeof line, "{\"who\":%u,\"i\":%llu,\"t\":%.6f}", me->number,
                       (unsigned long long)me->sent, seconds_on(CLOCK_REALTIME));
    send_line(line, len);
    me->sent++;
  }
  return NULL;
}

static void begin_load(void) {
  for (unsigned i = 0; i < WORKERS; i++) {
    senders[i].number = i; /* keys 0 and 1 have a worker each */
    atomic_store(&senders[i].is_over, false);
    pthread_create(&senders[i].thread, NULL, send_all, &senders[i]);
  }
}

static void end_load(void) {
  for (unsigned i = 0; i < WORKERS; i++) atomic_store(&senders[i].is_over, true);
  for (unsigned i = 0; i < WORKERS; i++) pthread_join(senders[i].thread, NULL);
}

static void reload_all(unsigned reloads, double *warm_mib) {
  for (unsigned round = 1; round <= reloads; round++) {
    tw_error error = {0};
    write_version(round);
    tw_status status = tw_engine_reload(engine, &error);
    bool is_bad = is_broken(round) || cannot_open(round);
    if ((status != TW_OK) != is_bad) fail("reload %u: %s", round, error.message);
    if (round == WARM) *warm_mib = resident_mib();
  }
}

/* ----------------------------------------------------------------- figures */

typedef struct histogram {
  uint64_t counts[BUCKETS], total;
  double longest; /* us */
} histogram;

typedef struct figures {
  histogram took, gaps;
  double seconds;
} figures;

static void add_buckets(tw_event *event, const char *field, histogram *out) {
  for (unsigned i = 0; i < BUCKETS; i++) {
    char path[32];
    tw_value value;
    snprintf(path, sizeof path, "seen.%s.%u", field, i);
    if (tw_event_get(event, path, &value)) continue;
    out->counts[i] += (uint64_t)value.integer;
    out->total += (uint64_t)value.integer;
  }
}

static double number_at(tw_event *event, const char *path) {
  tw_value value;
  if (tw_event_get(event, path, &value)) return 0;
  return value.number;
}

static void add_report(tw_event *event, figures *out) {
  char due[16];
  unsigned who = (unsigned)number_at(event, "who");
  snprintf(due, sizeof due, "seen.due[%u]", who);
  if (number_at(event, "seen.bad") > 0)
    fail("%.0f events were lost, doubled, out of order or mixed", number_at(event, "seen.bad"));
  if (number_at(event, due) != (double)senders[who].sent)
    fail("%llu events were sent, %.0f seen", (unsigned long long)senders[who].sent,
         number_at(event, due));
  add_buckets(event, "took", &out->took);
  add_buckets(event, "gaps", &out->gaps);
  out->took.longest = fmax(out->took.longest, number_at(event, "seen.longest"));
  out->gaps.longest = fmax(out->gaps.longest, number_at(event, "seen.longest_gap"));
}

/* Each worker is asked by the key of its sender. */
static void take_figures(figures *out) {
  char path[128], line[65536];
  tw_error error;
  for (unsigned i = 0; i < WORKERS; i++) {
    int len = snprintf(line, sizeof line, "{\"who\":%u,\"report\":true}", i);
    send_line(line, len);
  }
  if (tw_engine_flush(engine, -1, NULL, &error)) fail("%s", error.message);
  snprintf(path, sizeof path, "%s/out", folder);
  FILE *file = fopen(path, "r");
  unsigned reports = 0;
  while (file && fgets(line, sizeof line, file)) {
    tw_event *event;
    if (tw_event_parse(line, strlen(line), NULL, &event, &error)) fail("%s", error.message);
    else add_report(event, out), tw_event_free(event), reports++;
  }
  if (file) fclose(file);
  if (reports != WORKERS) fail("%u reports instead of %d", reports, WORKERS);
  if (truncate(path, 0)) fail("%s cannot be emptied", path);
}

/* The upper end of the bucket that holds the share, in milliseconds. */
static double quantile(const histogram *of, double share) {
  uint64_t below = 0;
  for (unsigned i = 0; i < BUCKETS; i++) {
    below += of->counts[i];
    if (of->total && (double)below >= share * (double)of->total)
      return fmin(exp2((i + 1) / 8.0), of->longest) / 1000;
  }
  return 0;
}

static void print_row(const char *name, const histogram *of) {
  printf("%-26s %9llu %8.3f %8.3f %8.3f %8.3f\n", name, (unsigned long long)of->total,
         quantile(of, 0.5), quantile(of, 0.99), quantile(of, 0.999), of->longest / 1000);
}

static void print_all(const figures *quiet, const figures *busy, unsigned reloads) {
  double added = quantile(&busy->took, 0.999) - quantile(&quiet->took, 0.999);
  printf("%-26s %9s %8s %8s %8s %8s\n", "ms", "count", "p50", "p99", "p99.9", "max");
  print_row("an event, quiet", &quiet->took);
  print_row("an event, with reloads", &busy->took);
  print_row("at the swap", &busy->gaps);
  printf("reloads add %.3f ms to the p99.9 (target: at most %.0f): %s\n", added, ADDED_MS,
         added <= ADDED_MS ? "met" : "missed");
  printf("%u reloads in %.1f s; %.0f events/s quiet, %.0f with reloads\n", reloads,
         busy->seconds, (double)quiet->took.total / quiet->seconds,
         (double)busy->took.total / busy->seconds);
}

/* -------------------------------------------------------------------- main */

static void run(unsigned reloads) {
  static figures quiet, busy;
  double warm_mib = 0, start = seconds_on(CLOCK_MONOTONIC);
  begin_load();
  sleep(QUIET_SECONDS);
  end_load();
  quiet.seconds = seconds_on(CLOCK_MONOTONIC) - start;
  take_figures(&quiet);
  start = seconds_on(CLOCK_MONOTONIC);
  begin_load();
  reload_all(reloads, &warm_mib);
  end_load();
  double end_mib = resident_mib();
  busy.seconds = seconds_on(CLOCK_MONOTONIC) - start;
  take_figures(&busy);
  print_all(&quiet, &busy, reloads);
  if (reloads <= WARM) return;
  printf("resident: %.1f MiB after %d reloads, %.1f MiB after %u\n", warm_mib, WARM, end_mib,
         reloads);
  if (end_mib > warm_mib * (1 + GROWN_SHARE) + GROWN_MIB) fail("memory grew");
}

int main(int argc, char **argv) {
  if (argc < 2) {
    fprintf(stderr, "usage: bench_reload_bench FOLDER [RELOADS]\n");
    return 64;
  }
  unsigned reloads = argc > 2 ? (unsigned)atoi(argv[2]) : 1000;
  char main_path[128], options[512], remove[128];
  tw_error error;
  if (!mkdtemp(folder)) return 1;
  write_version(0);
  snprintf(main_path, sizeof main_path, "%s/main.lua", folder);
  int len = snprintf(options, sizeof options,
                     "{\"workers\":%d,\"partition_by\":\"who\",\"queue\":256,"
                     "\"package_path\":\"%s/?.lua\"}",
                     WORKERS, argv[1]);
  if (tw_engine_new(main_path, options, (size_t)len, NULL, NULL, &engine, &error))
    fail("%s", error.message);
  else run(reloads);
  tw_engine_unref(engine);
  snprintf(remove, sizeof remove, "rm -rf '%s'", folder);
  if (system(remove)) return 1;
  return problems != 0;
}
