/* order-service.c: a host in C whose operator routes its events while it runs.

     cc -o order-service scripts/order-service.c $(pkg-config --cflags --libs tidewire) -pthread
     ./order-service scripts/order-service.lua

   Four tills take orders, each on a thread of its own. What becomes of an order is said by the
   script: edit it meanwhile, and see what the service tells. Ctrl-C ends it, and the books are
   balanced. */
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <tidewire.h>
#include <time.h>

enum { TILLS = 4 };

typedef struct {
  atomic_ullong orders, cents;
} book;

static book emitted, ledger; /* what the tills have taken; what has come to the ledger */
static atomic_bool stopping;
static tw_tracker *tracker;

/* The ledger is a backend of this program, which the script names. All workers call it. */
static tw_status enter_into_ledger(void *self, tw_event *event, unsigned flags, tw_error *error) {
  book *to = self;
  tw_value cents;
  (void)flags;
  if (tw_event_get(event, "data.cents", &cents) != TW_OK || cents.type != TW_INTEGER) {
    snprintf(error->message, sizeof error->message, "the ledger wants whole data.cents");
    return TW_ETYPE;
  }
  atomic_fetch_add(&to->orders, 1);
  atomic_fetch_add(&to->cents, (unsigned long long)cents.integer);
  return TW_OK;
}

static void on_reload(void *self, uint64_t generation, const tw_error *error) {
  (void)self;
  if (error) printf("still generation %" PRIu64 ": %s\n", generation, error->message);
  else printf("generation %" PRIu64 " runs\n", generation);
}

static void on_failure(void *self, const tw_failure *failure) {
  (void)self;
  printf("%s %s: %s\n", failure->where, failure->name ? failure->name : failure->path,
         failure->error->message);
}

static void *run_till(void *number) {
  const struct timespec pause = {.tv_nsec = 1000000};
  char till[32];
  int len = snprintf(till, sizeof till, "{\"till\":%d}", *(int *)number);
  tw_enter_context(tracker, "till", till, (size_t)len, NULL);
  for (int order = 1; !atomic_load(&stopping); order++) {
    int cents = 100 + order * 37 % 9900;
    if (tw_emitf(tracker, "order.paid", "{order:%d, cents:%d}", order, cents) == TW_OK) {
      atomic_fetch_add(&emitted.orders, 1);
      atomic_fetch_add(&emitted.cents, (unsigned long long)cents);
    }
    nanosleep(&pause, NULL);
  }
  tw_exit_context(tracker, "till", NULL);
  return NULL;
}

/* A tracker whose events go into an engine that runs the script. */
static tw_status start(const char *script, tw_engine **engine, tw_error *error) {
  static const char options[] = "{\"workers\":2,\"partition_by\":\"context.till\",\"watch\":true}";
  static const tw_backend_ops ledger_ops = {.send = enter_into_ledger};
  tw_offer offers[] = {{.name = "ledger"}, {0}};
  const tw_engine_ops ops = {.failed = on_failure, .reloaded = on_reload, .offers = offers};
  tw_backend *into_engine;
  tw_status status = tw_backend_new(&ledger_ops, &ledger, 0, &offers[0].backend, error);
  if (status != TW_OK) return status;
  status = tw_engine_new(script, options, strlen(options), &ops, NULL, engine, error);
  tw_backend_unref(offers[0].backend); /* the engine has a reference of its own */
  if (status == TW_OK) status = tw_engine_backend(*engine, &into_engine, error);
  if (status == TW_OK) status = tw_tracker_new(NULL, &tracker, error);
  if (status == TW_OK)
    status = tw_router_add_backend(tw_tracker_router(tracker), "engine", into_engine, error);
  return status;
}

int main(int count, char **arguments) {
  pthread_t tills[TILLS];
  int numbers[TILLS], sig;
  sigset_t ends;
  tw_engine *engine;
  tw_error error;
  uint64_t remaining;
  if (count != 2) return fprintf(stderr, "usage: order-service SCRIPT\n"), 64;
  setvbuf(stdout, NULL, _IOLBF, 0);
  sigemptyset(&ends);
  sigaddset(&ends, SIGINT);
  sigaddset(&ends, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &ends, NULL); /* in all threads: main waits for them */
  if (start(arguments[1], &engine, &error) != TW_OK)
    return fprintf(stderr, "order-service: %s\n", error.message), 1;
  puts("generation 1 runs");
  for (int i = 0; i < TILLS; i++) {
    numbers[i] = i + 1;
    pthread_create(&tills[i], NULL, run_till, &numbers[i]);
  }
  sigwait(&ends, &sig);
  atomic_store(&stopping, true);
  for (int i = 0; i < TILLS; i++) pthread_join(tills[i], NULL);
  tw_status status = tw_engine_close(engine, 10000, &remaining, &error);
  if (status != TW_OK) printf("%s: %" PRIu64 " orders are lost\n", error.message, remaining);
  printf("taken:  %llu orders, %llu cents\n", emitted.orders, emitted.cents);
  printf("ledger: %llu orders, %llu cents\n", ledger.orders, ledger.cents);
  tw_tracker_unref(tracker);
  tw_engine_unref(engine);
  return status != TW_OK;
}
