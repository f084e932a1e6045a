/* The program that the oracle kills: an engine with a spool, threads that emit numbered events
   with acknowledgements, one that reloads, and a backend of the host's that fails at random.

   emitter SEED            emits until it is killed; with SIGTERM it closes its engine
   emitter SEED until N    closes it when N events were acknowledged in this life
   emitter SEED drain      emits nothing, and ends when all outboxes are empty

   Exit status 3: it cannot begin, or end; 4: events are not acknowledged any more.

   It runs in the folder of the round, where router.lua and the ledger lie. Everything that an
   event holds follows from its number, so that judge.lua can tell whether it is whole. The
   number is marked in the ledger before the event is emitted, and again when it is
   acknowledged. Keys belong to threads: so the numbers of a key rise in the order of emitting.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <time.h>

#include "ledger.h"
#include "tidewire.h"

enum { THREADS = 3, KEYS = 4, UNDER_WAY = 800, VARIANTS = 12, PATIENCE_S = 90 };

typedef struct bed {
  ledger *book;
  uint64_t seed;
  bool is_draining;
  tw_engine *engine;
  tw_tracker *tracker;
  int out; /* of the host's backend */
  atomic_bool is_over;
  _Atomic int64_t under_way;
  uint64_t wanted; /* acknowledgements, before it ends; 0: without end */
  _Atomic uint64_t acknowledged;
} bed;

typedef struct sender {
  pthread_t thread;
  bed *bed;
  unsigned index;
} sender;

static void die(const char *what, const tw_error *error) {
  fprintf(stderr, "emitter: %s: %s\n", what, error->message);
  exit(3);
}

static void nap(uint64_t us) {
  struct timespec time = {(time_t)(us / 1000000), (long)(us % 1000000) * 1000};
  nanosleep(&time, NULL);
}

/* -------------------------------------------------------------------- emit */

/* The bed is one: an acknowledgement needs no more than the number. */
static bed the;

static void told(void *self, tw_status status, const tw_error *error) {
  uint64_t number = (uint64_t)(uintptr_t)self;
  (void)error;
  atomic_store(&the.book->marks[number], status ? FAILED : ACKED);
  if (!status) atomic_fetch_add(&the.acknowledged, 1);
  atomic_fetch_sub(&the.under_way, 1);
}

/* As judge.lua writes it. @return the length */
static int write_data(char *out, size_t room, uint64_t number, unsigned key) {
  char piece[17];
  snprintf(piece, sizeof piece, "%016llx",
           (unsigned long long)(number * UINT64_C(0x9E3779B97F4A7C15)));
  uint64_t pieces = number % 997 == 0 ? 2000 : number % 23 + 1;
  int len =
      snprintf(out, room, "{\"n\":%llu,\"key\":%u,\"pad\":\"", (unsigned long long)number, key);
  for (uint64_t i = 0; i < pieces; i++, len += 16) memcpy(out + len, piece, 16);
  memcpy(out + len, "\"}", 2);
  return len + 2;
}

static bool emit_next(sender *self, uint64_t *state) {
  static _Thread_local char data[40000];
  ledger *book = the.book;
  uint64_t number = atomic_fetch_add(&book->next, 1) + 1;
  if (number >= LEDGER_MOST) return false;
  unsigned key = self->index * KEYS + (unsigned)below(state, KEYS);
  int len = write_data(data, sizeof data, number, key);
  atomic_store(&book->marks[number], ISSUED);
  atomic_fetch_add(&the.under_way, 1);
  tw_emit_acked(the.tracker, "oracle", data, (size_t)len, told, (void *)(uintptr_t)number,
                NULL);
  return true;
}

static void *emit_on(void *arg) {
  sender *self = arg;
  uint64_t state = the.seed + 7 * (self->index + 1);
  bool goes_on = true;
  while (goes_on && !atomic_load(&the.is_over)) {
    for (uint64_t i = below(&state, 100); i > 0 && goes_on; i--)
      goes_on = emit_next(self, &state);
    nap(below(&state, 8000));
    while (atomic_load(&the.under_way) > UNDER_WAY && !atomic_load(&the.is_over)) nap(1000);
  }
  return NULL;
}

/* ------------------------------------------------------------------ reload */

/* The folder has one script at any moment, whole. */
static void write_script(const char *mode, unsigned variant) {
  FILE *file = fopen("main.lua.new", "w");
  if (!file || fprintf(file, "return require \"router\" (%u, \"%s\")\n", variant, mode) < 0 ||
      fclose(file) || rename("main.lua.new", "main.lua")) {
    perror("main.lua");
    exit(3);
  }
}

static void *reload_on(void *arg) {
  uint64_t state = the.seed + 3;
  (void)arg;
  while (!atomic_load(&the.is_over)) {
    tw_error error = {0};
    nap(below(&state, 120000));
    write_script("faults", (unsigned)below(&state, VARIANTS));
    if (tw_engine_reload(the.engine, &error) == TW_OK || error.code == TW_ECLOSED) continue;
    if (!getenv("FAULT_CALLS")) die("reload", &error);
    fprintf(stderr, "reload\t\t%s\n", error.message);
  }
  return NULL;
}

/* ------------------------------------------------------ a backend of ours */

static uint64_t number_of(tw_event *event) {
  tw_value value;
  if (tw_event_get(event, "data.n", &value) || value.type != TW_INTEGER) return 0;
  return (uint64_t)value.integer;
}

static tw_status host_send(void *self, tw_event *event, unsigned flags, tw_error *error) {
  (void)self, (void)event, (void)flags;
  error->code = TW_EINVAL;
  return TW_EINVAL;
}

static tw_status say(tw_error *error, tw_status status, const char *message) {
  error->code = status;
  snprintf(error->message, sizeof error->message, "%s", message);
  return status;
}

/* A line is one write with O_APPEND: several calls at the same time never mix. Behind one that
   was cut off the next begins with a newline. */
static bool write_line(tw_event *event) {
  static _Thread_local char line[80000];
  static atomic_bool is_torn;
  const char *json;
  size_t len;
  if (tw_event_json(event, &json, &len) || len + 3 > sizeof line) return false;
  size_t start = atomic_exchange(&is_torn, false);
  line[0] = '\n';
  memcpy(line + start, json, len);
  line[start + len] = '\n';
  bool is_whole = write(the.out, line, start + len + 1) == (ssize_t)(start + len + 1);
  if (!is_whole) atomic_store(&is_torn, true);
  return is_whole;
}

static tw_status host_deliver(void *self, tw_batch *batch, tw_delivered *done,
                              tw_error *error) {
  static _Thread_local uint64_t state;
  (void)self;
  if (!state) state = the.seed ^ (uint64_t)time(NULL);
  if (!the.is_draining && below(&state, 6) == 0) return say(error, TW_EIO, "chosen to fail");
  uint64_t most = the.is_draining ? UINT64_MAX : below(&state, 60);
  for (size_t i = 0; i < tw_batch_count(batch); i++, done->count++) {
    tw_event *event;
    if (i == most) return say(error, TW_EIO, "chosen to fail after some");
    tw_status status = tw_batch_event(batch, i, &event, error);
    if (status) return status;
    if (number_of(event) % 13 == 5) {
      done->is_exact = true;
      return say(error, TW_EREFUSED, "never wanted");
    }
    if (!write_line(event)) return say(error, TW_EIO, "not written");
  }
  return TW_OK;
}

/* Only once in a while the last line is not whole, and then the next one begins a new one. */
static tw_status host_open(void *self, tw_error *error) {
  (void)self;
  the.out = open("out/host.ndjson", O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  if (the.out < 0 || write(the.out, "\n", 1) != 1) return say(error, TW_EIO, strerror(errno));
  return TW_OK;
}

static void host_close(void *self) {
  (void)self;
  close(the.out);
}

/* -------------------------------------------------------------------- life */

static void note(void *self, const tw_failure *failure) {
  (void)self;
  fprintf(stderr, "%s\t%s\t%s\n", failure->where, failure->path, failure->error->message);
}

static void dropped(void *self, const char *cause, const tw_event *event) {
  (void)self, (void)event;
  fprintf(stderr, "dropped\t\t%s\n", cause);
}

static void begin(void) {
  static const tw_backend_ops host_ops = {
      .open = host_open, .send = host_send, .close = host_close, .deliver = host_deliver};
  static const char options[] = "{\"grants\":\"io\"}";
  tw_offer offers[2] = {{.name = "host"}, {0}};
  tw_engine_ops ops = {.failed = note, .dropped = dropped, .offers = offers};
  tw_backend *backend;
  tw_error error = {0};
  if (tw_backend_new(&host_ops, NULL, 0, &offers[0].backend, &error) ||
      tw_engine_new("main.lua", options, sizeof options - 1, &ops, NULL, &the.engine, &error))
    die("start", &error);
  tw_backend_unref(offers[0].backend);
  if (tw_engine_backend(the.engine, &backend, &error) ||
      tw_tracker_new(NULL, &the.tracker, &error) ||
      tw_router_add_backend(tw_tracker_router(the.tracker), "engine", backend, &error))
    die("tracker", &error);
}

static void end(void) {
  tw_error error = {0};
  uint64_t remaining;
  if (tw_engine_close(the.engine, 5000, &remaining, &error) && error.code != TW_ELIMIT)
    die("close", &error);
  tw_tracker_unref(the.tracker); /* flushes without limit, but for an engine that is closed */
  tw_engine_unref(the.engine);
}

static void await_end(void) {
  const struct timespec moment = {0, 20000000};
  sigset_t wanted;
  uint64_t before = 0;
  sigemptyset(&wanted);
  sigaddset(&wanted, SIGTERM);
  for (int idle = 0; sigtimedwait(&wanted, NULL, &moment) != SIGTERM; idle++) {
    uint64_t now = atomic_load(&the.acknowledged);
    if (the.wanted && now >= the.wanted) return;
    if (now != before) idle = 0;
    before = now;
    if (the.wanted && idle > PATIENCE_S * 50) {
      fputs("emitter: events are not acknowledged any more\n", stderr);
      exit(4);
    }
  }
}

static void run(void) {
  sender senders[THREADS];
  pthread_t reloads;
  for (unsigned i = 0; i < THREADS; i++) {
    senders[i] = (sender){.bed = &the, .index = i};
    pthread_create(&senders[i].thread, NULL, emit_on, &senders[i]);
  }
  pthread_create(&reloads, NULL, reload_on, NULL);
  await_end();
  atomic_store(&the.is_over, true);
  for (unsigned i = 0; i < THREADS; i++) pthread_join(senders[i].thread, NULL);
  pthread_join(reloads, NULL);
}

static void drain(void) {
  uint64_t remaining = 0;
  tw_error error = {0};
  if (tw_engine_flush(the.engine, 60000, NULL, &error)) die("flush", &error);
  for (int tries = 0; tries < 100; tries++) {
    if (tw_engine_drain(the.engine, 5000, &remaining, &error) == TW_OK) return;
    nap(100000);
  }
  die("drain", &error);
}

int main(int argc, char **argv) {
  sigset_t blocked;
  if (argc < 2) return 64;
  sigemptyset(&blocked);
  sigaddset(&blocked, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &blocked, NULL);
  setvbuf(stderr, NULL, _IOLBF, 0);
  the.book = ledger_open("ledger");
  the.seed = strtoull(argv[1], NULL, 10);
  the.is_draining = argc == 3;
  the.wanted = argc == 4 ? strtoull(argv[3], NULL, 10) : 0;
  uint64_t state = the.seed;
  if (the.is_draining) write_script("calm", 0);
  else if (access("main.lua", F_OK)) write_script("faults", (unsigned)below(&state, VARIANTS));
  begin();
  atomic_fetch_add(&the.book->ready, 1);
  if (the.is_draining) drain();
  else run();
  end();
  return 0;
}
