/// memory.c: keeps a copy of every event, for tests and for looking at what was routed.
///
/// The events stay after close, until the backend is freed. A mutex of its own guards
/// them, because tw_memory_count and tw_memory_get come from outside of the ops.
#include <pthread.h>

#include "backends/kinds.h"
#include "base/alloc.h"
#include "base/status.h"

typedef struct memory {
  pthread_mutex_t lock;
  tw_event **events; /* owned, each too */
  size_t count, cap;
  uint64_t limit; /* UINT64_MAX: none */
} memory;

static tw_status memory_create(tw_event *options, void **self, tw_error *error) {
  uint64_t limit = tw_option_integer(options, "limit", UINT64_MAX);
  if (!limit) return tw_fail(error, TW_EINVAL, "memory: limit: 0 would keep nothing");
  memory *backend = tw_calloc(1, sizeof *backend);
  if (!backend) return tw_no_memory(error);
  backend->limit = limit;
  pthread_mutex_init(&backend->lock, NULL);
  *self = backend;
  return TW_OK;
}

static bool make_room(memory *backend) {
  if (backend->count < backend->cap) return true;
  size_t cap = backend->cap ? backend->cap * 2 : 64;
  tw_event **events = tw_realloc(backend->events, cap * sizeof(tw_event *));
  if (!events) return false;
  backend->events = events;
  backend->cap = cap;
  return true;
}

static tw_status keep(memory *backend, const tw_event *event, tw_error *error) {
  if (backend->count >= backend->limit)
    return tw_fail(error, TW_ELIMIT, "memory: holds %zu events, its limit; raise `limit`",
                   backend->count);
  if (!make_room(backend)) return tw_no_memory(error);
  tw_status status = tw_event_copy(event, &backend->events[backend->count], error);
  if (status == TW_OK) backend->count++;
  return status;
}

static tw_status memory_send(void *self, tw_event *event, unsigned flags, tw_error *error) {
  (void)flags;
  memory *backend = self;
  pthread_mutex_lock(&backend->lock);
  tw_status status = keep(backend, event, error);
  pthread_mutex_unlock(&backend->lock);
  return status;
}

/* What is kept stays kept: the rest comes again when there is room. */
static tw_status memory_deliver(void *self, tw_batch *batch, tw_delivered *done,
                                tw_error *error) {
  memory *backend = self;
  tw_status status = TW_OK;
  pthread_mutex_lock(&backend->lock);
  for (size_t i = 0; i < tw_batch_count(batch) && status == TW_OK; i++) {
    tw_event *event;
    status = tw_batch_event(batch, i, &event, error);
    if (status == TW_OK) status = keep(backend, event, error);
    done->count += status == TW_OK;
  }
  pthread_mutex_unlock(&backend->lock);
  return status;
}

static void memory_free(void *self) {
  memory *backend = self;
  for (size_t i = 0; i < backend->count; i++) tw_event_free(backend->events[i]);
  tw_free(backend->events);
  pthread_mutex_destroy(&backend->lock);
  tw_free(backend);
}

static const tw_backend_ops memory_ops = {
    .send = memory_send, .deliver = memory_deliver, .free = memory_free};
static const tw_option memory_options[] = {{"limit", TW_OPTION_INTEGER, false}};

const tw_backend_kind tw_memory_kind = {
    .name = "memory",
    .ops = &memory_ops,
    .options = memory_options,
    .option_count = sizeof memory_options / sizeof *memory_options,
    .create = memory_create};

tw_status tw_memory_count(tw_backend *backend, size_t *out) {
  *out = 0;
  memory *self = tw_backend_self(backend, &tw_memory_kind);
  if (!self) return TW_ETYPE;
  pthread_mutex_lock(&self->lock);
  *out = self->count;
  pthread_mutex_unlock(&self->lock);
  return TW_OK;
}

tw_status tw_memory_get(tw_backend *backend, size_t index, tw_event **out) {
  *out = NULL;
  memory *self = tw_backend_self(backend, &tw_memory_kind);
  if (!self) return TW_ETYPE;
  pthread_mutex_lock(&self->lock);
  tw_status status = TW_ENOENT;
  if (index < self->count) status = tw_event_copy(self->events[index], out, NULL);
  pthread_mutex_unlock(&self->lock);
  return status;
}
