/* What a spool costs an engine: one process for each figure, started in turn by run.sh.

     durable_bench job SCRIPT EVENTS_FILE
   The file's lines through an engine, until all are with their backends.

     durable_bench append EVENTS_FILE OUT BYTES
   The plain program beside it: the file's bytes appended, with fdatasync after each BYTES; 0:
   without.

     durable_bench fill SCRIPT EVENTS BYTES
   A spool with so many undelivered events of so many bytes each.

     durable_bench first SCRIPT [all]
   The time from the start of the process until a backend has the first of them; `all`: goes on
   until all are delivered, and tells the memory.

   All wait for what they have asked for; nothing is left to happen after the end. */
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/block.h"
#include "engine/engine.h"
#include "measure.h"

enum { BLOCK = 256 << 10, UNDER_WAY = 16 };

static double started; /* by the monotonic clock */

static FILE *open_file(const char *path) {
  FILE *file = fopen(path, "r");
  if (file) return file;
  perror(path);
  exit(1);
}

/* --------------------------------------------------------------------- job */

static void rejected(void *self, const tw_block *block, const tw_line *line,
                     const tw_error *why) {
  (void)self, (void)block, (void)line;
  fprintf(stderr, "bench: a line is no event: %s\n", why->message);
}

static void done(void *self, const tw_block *block) { (void)self, (void)block; }

/* Whole lines into a block; what follows the last newline goes to the next one. */
static bool fill_block(tw_block *block, FILE *file, char *rest, size_t *rest_len) {
  if (!tw_block_reserve(block, BLOCK)) abort();
  memcpy(block->data, rest, *rest_len);
  size_t len = *rest_len + fread(block->data + *rest_len, 1, BLOCK - *rest_len, file);
  size_t whole = len;
  while (whole && block->data[whole - 1] != '\n') whole--;
  *rest_len = len - whole;
  memcpy(rest, block->data + whole, *rest_len);
  block->len = whole;
  block->source = "bench";
  block->max_line = 1 << 20;
  tw_block_reserve(block, BLOCK);
  return whole > 0;
}

static void feed(tw_engine *engine, FILE *file) {
  static const tw_intake_ops ops = {rejected, done};
  static char rest[BLOCK];
  size_t rest_len = 0;
  uint64_t line = 1;
  tw_intake intake;
  tw_error error;
  tw_intake_init(&intake, &ops, NULL);
  for (;;) {
    tw_intake_wait(&intake, UNDER_WAY, -1);
    tw_block *block = tw_intake_take(&intake);
    if (!block) abort();
    block->line = line++;
    if (!fill_block(block, file, rest, &rest_len)) {
      tw_block_unref(block, 1);
      break;
    }
    check(tw_engine_feed(engine, block, &error), &error);
  }
  tw_intake_wait(&intake, 0, -1);
  tw_intake_fini(&intake);
}

static int run_job(const char *script, const char *path) {
  tw_engine *engine;
  tw_error error;
  FILE *file = open_file(path);
  check(tw_engine_new(script, "{\"grants\":\"os\"}", 15, NULL, NULL, &engine, &error), &error);
  feed(engine, file);
  check(tw_engine_flush(engine, -1, NULL, &error), &error);
  check(tw_engine_drain(engine, -1, NULL, &error), &error);
  check(tw_engine_close(engine, -1, NULL, &error), &error);
  tw_engine_unref(engine);
  fclose(file);
  return 0;
}

/* ------------------------------------------------------------------ append */

static void write_all(int fd, const char *bytes, size_t len) {
  while (len) {
    ssize_t wrote = write(fd, bytes, len);
    if (wrote < 0) {
      perror("append");
      exit(1);
    }
    bytes += wrote;
    len -= (size_t)wrote;
  }
}

static int run_append(const char *path, const char *out, size_t bytes) {
  static char piece[BLOCK];
  size_t len, unsynced = 0;
  FILE *file = open_file(path);
  int fd = open(out, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND, 0644);
  while ((len = fread(piece, 1, bytes && bytes < sizeof piece ? bytes : sizeof piece, file))) {
    write_all(fd, piece, len);
    unsynced += len;
    if (bytes && unsynced >= bytes) {
      fdatasync(fd);
      unsynced = 0;
    }
  }
  if (bytes) fdatasync(fd);
  close(fd);
  fclose(file);
  return 0;
}

/* ------------------------------------------------------------ a backend of ours */

typedef struct host {
  bool takes; /* otherwise it is away */
  _Atomic uint64_t taken;
  double first; /* seconds from the start to the first delivery */
  long peak_kib;
} host;

/* Of what the process has for itself: the spool's pages belong to the disk's cache. */
static long status_kib(const char *name) {
  char line[256];
  long value = 0;
  size_t len = strlen(name);
  FILE *file = open_file("/proc/self/status");
  while (fgets(line, sizeof line, file))
    if (strncmp(line, name, len) == 0) value = strtol(line + len, NULL, 10);
  fclose(file);
  return value;
}

static tw_status host_send(void *self, tw_event *event, unsigned flags, tw_error *error) {
  (void)self, (void)event, (void)flags, (void)error;
  return TW_EIO;
}

static tw_status host_deliver(void *self, tw_batch *batch, tw_delivered *to, tw_error *error) {
  host *it = self;
  (void)to;
  if (!it->takes) {
    snprintf(error->message, sizeof error->message, "away");
    return error->code = TW_EDISABLED;
  }
  uint64_t before = atomic_fetch_add(&it->taken, tw_batch_count(batch));
  if (!before) it->first = seconds_on(CLOCK_MONOTONIC) - started;
  long kib = before % 64000 < 1000 ? status_kib("RssAnon:") : 0;
  if (kib > it->peak_kib) it->peak_kib = kib;
  return TW_OK;
}

static tw_engine *start(const char *script, host *self) {
  static const tw_backend_ops ops = {.send = host_send, .deliver = host_deliver};
  tw_offer offers[2] = {{.name = "host"}, {0}};
  tw_engine_ops engine_ops = {.offers = offers};
  tw_engine *engine;
  tw_error error;
  check(tw_backend_new(&ops, self, 0, &offers[0].backend, &error), &error);
  check(tw_engine_new(script, "{\"grants\":\"os\"}", 15, &engine_ops, self, &engine, &error),
        &error);
  tw_backend_unref(offers[0].backend);
  return engine;
}

/* -------------------------------------------------------------- fill, first */

static int run_fill(const char *script, uint64_t events, size_t size) {
  host self = {0};
  tw_error error;
  tw_engine *engine = start(script, &self);
  char *json = malloc(size + 64);
  if (!json) abort();
  for (uint64_t i = 0; i < events; i++) {
    int len = snprintf(json, size + 64, "{\"n\":%llu,\"pad\":\"", (unsigned long long)i);
    for (; len + 2 < (int)size; len++) json[len] = (char)('a' + (i + (uint64_t)len) % 26);
    memcpy(json + len, "\"}", 2);
    check(tw_engine_send_json(engine, json, (size_t)len + 2, &error), &error);
  }
  check(tw_engine_flush(engine, -1, NULL, &error), &error);
  printf("filled: %llu events of %zu bytes, %ld MiB of own memory at most\n",
         (unsigned long long)events, size, status_kib("VmHWM:") / 1024);
  tw_engine_close(engine, -1, NULL, &error);
  tw_engine_unref(engine);
  free(json);
  return 0;
}

static int run_first(const char *script, bool wants_all) {
  const struct timespec moment = {0, 200000};
  host self = {.takes = true};
  tw_error error;
  tw_engine *engine = start(script, &self);
  while (!atomic_load(&self.taken)) nanosleep(&moment, NULL);
  if (wants_all) check(tw_engine_drain(engine, -1, NULL, &error), &error);
  double whole = seconds_on(CLOCK_MONOTONIC) - started;
  printf("first delivery after %.3f s (target 2)", self.first);
  if (wants_all)
    printf(
        "; %llu events in %.1f s; own memory %ld MiB at most, %ld MiB with the spool's pages",
        (unsigned long long)atomic_load(&self.taken), whole, self.peak_kib / 1024,
        status_kib("VmHWM:") / 1024);
  printf("\n");
  fflush(stdout);
  if (!wants_all) _exit(0); /* what waits is wanted for the next run */
  tw_engine_unref(engine);
  return 0;
}

int main(int argc, char **argv) {
  started = seconds_on(CLOCK_MONOTONIC);
  const char *mode = argc > 2 ? argv[1] : "";
  if (!strcmp(mode, "job") && argc == 4) return run_job(argv[2], argv[3]);
  if (!strcmp(mode, "append") && argc == 5)
    return run_append(argv[2], argv[3], strtoull(argv[4], NULL, 10));
  if (!strcmp(mode, "fill") && argc == 5)
    return run_fill(argv[2], strtoull(argv[3], NULL, 10), strtoull(argv[4], NULL, 10));
  if (!strcmp(mode, "first")) return run_first(argv[2], argc > 3);
  fputs("usage: durable_bench job|append|fill|first …; see the head of the source\n", stderr);
  return 64;
}
