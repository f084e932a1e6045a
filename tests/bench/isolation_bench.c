/* isolation_bench.c: what a backend in good health loses when its neighbours are ill.
 *
 * The same events go to four outboxes, behind which one backend hangs, one answers errors, one
 * takes a millisecond for each batch, and one is in good health; and then to that one alone. It
 * works for each event about as long as a database does, so that it is what bounds the rate.
 * The outboxes of the others are full for most of the time, and shed. */
#include "measure.h"

#include <stdatomic.h>
#include <unistd.h>
#include <xxhash.h>

#include "base/wait.h"
#include "core/backend.h"
#include "delivery/delivery.h"

enum { EVENTS = 200000, CHUNK = 250, TEXT = 519, WORK = 60, RUNS = 7 };

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t let_go = PTHREAD_COND_INITIALIZER;
static bool is_over;
static atomic_ulong sink;

/* ---------------------------------------------------------------- backends */

static tw_status send_nothing(void *self, tw_event *event, unsigned flags, tw_error *error) {
  (void)self, (void)event, (void)flags, (void)error;
  return TW_OK;
}

static tw_status work(void *self, tw_batch *batch, tw_delivered *done, tw_error *error) {
  unsigned long sum = 0;
  (void)self, (void)done, (void)error;
  for (size_t i = 0; i < tw_batch_count(batch); i++) {
    const char *json;
    size_t len;
    tw_batch_json(batch, i, &json, &len);
    for (int n = 0; n < WORK; n++) sum += XXH3_64bits_withSeed(json, len, sum);
  }
  atomic_fetch_add(&sink, sum);
  return TW_OK;
}

static tw_status hang(void *self, tw_batch *batch, tw_delivered *done, tw_error *error) {
  (void)self, (void)batch, (void)done, (void)error;
  pthread_mutex_lock(&mutex);
  while (!is_over) pthread_cond_wait(&let_go, &mutex);
  pthread_mutex_unlock(&mutex);
  return TW_OK;
}

static tw_status be_away(void *self, tw_batch *batch, tw_delivered *done, tw_error *error) {
  (void)self, (void)batch, (void)done;
  snprintf(error->message, sizeof error->message, "the server is away");
  return TW_EIO;
}

static tw_status be_slow(void *self, tw_batch *batch, tw_delivered *done, tw_error *error) {
  (void)self, (void)batch, (void)done, (void)error;
  usleep(1000);
  return TW_OK;
}

/* -------------------------------------------------------------- deliveries */

typedef tw_status (*deliver_fn)(void *self, tw_batch *batch, tw_delivered *done,
                                tw_error *error);

static tw_delivery *start(deliver_fn deliver, tw_overload overload) {
  tw_error error;
  tw_backend *backend;
  tw_outbox *outbox;
  tw_delivery *delivery;
  tw_delivery_options options;
  const tw_delivery_ops ops = {0};
  const tw_backend_ops backend_ops = {.send = send_nothing, .deliver = deliver};
  check(tw_delivery_options_read("{\"max_events\":20000}", 20, NULL, 0, "bench", &options,
                                 &error),
        &error);
  options.bounds.overload = overload;
  check(tw_backend_new(&backend_ops, NULL, 0, &backend, &error), &error);
  check(tw_outbox_new_memory("bench", &options.bounds, NULL, NULL, &outbox, &error), &error);
  check(tw_delivery_new(outbox, &options, &ops, &delivery, &error), &error);
  if (!tw_delivery_aim(delivery, backend, false)) exit(1);
  tw_backend_unref(backend);
  check(tw_delivery_start(delivery, &error), &error);
  return delivery;
}

static tw_chunk *chunk_of(tw_chunk_builder *builder, const char *text) {
  tw_error error;
  tw_chunk *chunk;
  for (int i = 0; i < CHUNK; i++)
    check(tw_chunk_builder_add_text(builder, text, TEXT, "0123456789", 10, 0, &error), &error);
  check(tw_chunk_finish(builder, 1, 0, &chunk, &error), &error);
  return chunk;
}

static void pour(tw_delivery **deliveries, unsigned count) {
  char text[TEXT + 1];
  tw_chunk_builder builder = {0};
  int used = snprintf(text, sizeof text, "{\"name\":\"order.paid\",\"data\":\"");
  memset(text + used, 'x', (size_t)(TEXT - used - 2));
  memcpy(text + TEXT - 2, "\"}", 3);
  for (int n = 0; n < EVENTS; n += CHUNK) {
    for (unsigned i = 0; i < count; i++) {
      tw_error error;
      uint64_t shed;
      tw_chunk *chunk = chunk_of(&builder, text);
      check(tw_outbox_append(tw_delivery_outbox(deliveries[i]), chunk, &shed, &error), &error);
    }
  }
  tw_chunk_builder_fini(&builder);
}

static void finish(tw_delivery **deliveries, unsigned count) {
  pthread_mutex_lock(&mutex);
  is_over = true;
  pthread_cond_broadcast(&let_go);
  pthread_mutex_unlock(&mutex);
  for (unsigned i = 0; i < count; i++) tw_delivery_free(deliveries[i]);
}

/* The one in good health is the first, and the only one that sheds nothing. */
static cost run(const variant *self) {
  const deliver_fn kinds[] = {work, hang, be_away, be_slow};
  tw_delivery *deliveries[4];
  is_over = false;
  for (unsigned i = 0; i < self->workers; i++)
    deliveries[i] = start(kinds[i], i ? TW_OVERLOAD_OLDEST : TW_OVERLOAD_BLOCK);
  cost from = now();
  pour(deliveries, self->workers);
  tw_delivery_await(deliveries[0], NULL, true);
  cost took = since(from);
  finish(deliveries, self->workers);
  return took;
}

int main(void) {
  variant all[] = {
      {.name = "healthy backend alone", .run = run, .workers = 1},
      {.name = "beside hanging, failing, slow", .run = run, .workers = 4},
  };
  printf("Isolation: %d events of %d bytes to a backend in good health\n", EVENTS, TEXT);
  run_all(all, 2, RUNS, EVENTS);
  printf("it keeps %.1f%% of its throughput alone (target: 95%%)\n",
         100 * median(all[0].wall, RUNS) / median(all[1].wall, RUNS));
  return 0;
}
