/* One mutex guards opening, flushing and closing, and with TW_SERIAL also sending; it checks
   for errors, so that a serial backend which is reached again from inside its own call fails
   instead of waiting for itself. `is_open` changes under the mutex only; senders of other
   backends read it without: a router keeps its use until its last event has left.

   A backend that stands before another one answers what it is asked about itself with the
   other's answers; calls it takes itself. */
#include "core/backend.h"

#include <errno.h>
#include <pthread.h>

#include "base/lane.h"
#include "core/deliver.h"

struct tw_backend {
  tw_backend_ops ops;
  void *self;
  bool serial, scripted;
  atomic_bool is_open;
  atomic_uint_fast64_t accepted; ///< under the mutex
  atomic_uint_fast64_t refused, lost;
  atomic_size_t refs;
  const tw_backend_kind *kind; ///< NULL: made with tw_backend_new
  tw_backend *behind;          ///< a reference; NULL: it stands before none
  pthread_mutex_t mutex;
  size_t uses;            ///< guarded by `mutex`
  tw_lane sent[TW_LANES]; ///< accepted without the mutex
};

static bool init_mutex(pthread_mutex_t *mutex) {
  pthread_mutexattr_t attributes;
  if (pthread_mutexattr_init(&attributes) != 0) return false;
  pthread_mutexattr_settype(&attributes, PTHREAD_MUTEX_ERRORCHECK);
  int failed = pthread_mutex_init(mutex, &attributes);
  pthread_mutexattr_destroy(&attributes);
  return !failed;
}

static tw_status make(const tw_backend_ops *ops, void *self, unsigned flags,
                      const tw_backend_kind *kind, tw_backend **out, tw_error *error) {
  tw_status status = TW_OK;
  tw_backend *backend = tw_calloc(1, sizeof *backend);
  *out = NULL;
  if (!backend) {
    status = tw_no_memory(error);
    goto fail;
  }
  if (!ops->send) {
    status = tw_fail(error, TW_EINVAL, "a backend needs the operation `send`");
    goto fail;
  }
  if (!init_mutex(&backend->mutex)) {
    status = tw_fail(error, TW_ENOMEM, "the system has no room for another mutex");
    goto fail;
  }
  backend->ops = *ops;
  backend->self = self;
  backend->serial = (flags & TW_SERIAL) != 0;
  backend->scripted = (flags & TW_SCRIPTED) != 0;
  backend->kind = kind;
  atomic_init(&backend->refs, 1);
  *out = backend;
  return TW_OK;
fail:
  tw_free(backend);
  if (ops->free) ops->free(self);
  return status;
}

tw_status tw_backend_new(const tw_backend_ops *ops, void *self, unsigned flags,
                         tw_backend **out, tw_error *error) {
  return make(ops, self, flags, NULL, out, error);
}

tw_backend *tw_backend_ref(tw_backend *backend) {
  if (backend) atomic_fetch_add_explicit(&backend->refs, 1, memory_order_relaxed);
  return backend;
}

static void close_now(tw_backend *backend) {
  atomic_store(&backend->is_open, false);
  if (backend->ops.close) backend->ops.close(backend->self);
}

/* Routers end their uses before they let go, so that it is closed by now. */
void tw_backend_unref(tw_backend *backend) {
  if (!backend || atomic_fetch_sub(&backend->refs, 1) != 1) return;
  if (backend->ops.free) backend->ops.free(backend->self);
  pthread_mutex_destroy(&backend->mutex);
  tw_backend_unref(backend->behind);
  tw_free(backend);
}

tw_status tw_backend_new_front(const tw_backend_ops *ops, void *self, tw_backend *behind,
                               tw_backend **out, tw_error *error) {
  tw_status status = make(ops, self, 0, NULL, out, error);
  if (*out) (*out)->behind = tw_backend_ref(behind);
  return status;
}

bool tw_backend_is_scripted(const tw_backend *backend) { return backend->scripted; }
bool tw_backend_is_serial(const tw_backend *backend) { return backend->serial; }
bool tw_backend_flushes_apart(const tw_backend *backend) {
  return backend->ops.deliver && backend->ops.flush && !backend->scripted;
}

/* ------------------------------------------------------------------- calls */

static tw_status enter(tw_backend *backend, tw_error *error) {
  if (pthread_mutex_lock(&backend->mutex) == 0) return TW_OK;
  return tw_fail(error, TW_EINVAL, "the backend was called again from inside its own call");
}

static void leave(tw_backend *backend) { pthread_mutex_unlock(&backend->mutex); }

/* Callbacks always get an error to write to, also when the host that called wants none. */
static tw_status open_now(tw_backend *backend, tw_error *error) {
  tw_error unwanted;
  if (!backend->ops.open) return TW_OK;
  if (!error) error = &unwanted;
  tw_error_clear(error);
  tw_status status = backend->ops.open(backend->self, error);
  if (status != TW_OK) tw_error_complete(error, status, "opening");
  return status;
}

tw_status tw_backend_use(tw_backend *backend, tw_error *error) {
  tw_status status = enter(backend, error);
  if (status != TW_OK) return status;
  if (!backend->uses) status = open_now(backend, error);
  if (status == TW_OK && !backend->uses++) atomic_store(&backend->is_open, true);
  leave(backend);
  return status;
}

static tw_status flush_now(tw_backend *backend, uint64_t *lost, tw_error *error) {
  tw_error unwanted;
  if (!backend->ops.flush || !atomic_load(&backend->is_open)) return TW_OK;
  if (!error) error = &unwanted;
  tw_error_clear(error);
  tw_status status = backend->ops.flush(backend->self, lost, error);
  if (status == TW_OK) *lost = 0;
  else tw_error_complete(error, status, "flushing");
  atomic_fetch_add_explicit(&backend->lost, *lost, memory_order_relaxed);
  return status;
}

tw_status tw_backend_flush(tw_backend *backend, uint64_t *lost, tw_error *error) {
  *lost = 0;
  tw_status status = enter(backend, error);
  if (status != TW_OK) return status;
  status = flush_now(backend, lost, error);
  leave(backend);
  return status;
}

/* Takes a use while it waits, so that nobody closes it meanwhile. @return false when closed */
static bool hold(tw_backend *backend) {
  if (enter(backend, NULL)) return false;
  bool is_open = atomic_load(&backend->is_open);
  if (is_open) backend->uses++;
  leave(backend);
  return is_open;
}

tw_status tw_backend_flush_within(tw_backend *backend, int timeout_ms, uint64_t *lost,
                                  uint64_t *remaining, tw_error *error) {
  tw_error unwanted;
  *remaining = 0;
  if (!backend->ops.flush_within) return tw_backend_flush(backend, lost, error);
  *lost = 0;
  if (!hold(backend)) return TW_OK;
  if (!error) error = &unwanted;
  tw_error_clear(error);
  tw_status status = backend->ops.flush_within(backend->self, timeout_ms, remaining, error);
  if (status) tw_error_complete(error, status, "flushing");
  if (enter(backend, NULL)) return status;
  if (--backend->uses == 0) close_now(backend);
  leave(backend);
  return status;
}

tw_status tw_backend_unuse(tw_backend *backend, uint64_t *lost, tw_error *error) {
  *lost = 0;
  tw_status status = enter(backend, error);
  if (status != TW_OK) return status;
  status = flush_now(backend, lost, error);
  if (--backend->uses == 0) close_now(backend);
  leave(backend);
  return status;
}

static tw_status send_now(tw_backend *backend, tw_event *event, unsigned flags,
                          tw_error *error) {
  if (!atomic_load_explicit(&backend->is_open, memory_order_relaxed)) {
    return tw_fail(error, TW_ECLOSED, "the backend is not open");
  }
  return backend->ops.send(backend->self, event, flags, error);
}

/* Under the mutex nobody else writes `accepted`: no bus needs to be locked. */
static tw_status send_serially(tw_backend *backend, tw_event *event, unsigned flags,
                               tw_error *error) {
  tw_status status = enter(backend, error);
  if (status == TW_OK) {
    status = send_now(backend, event, flags, error);
    uint64_t accepted = atomic_load_explicit(&backend->accepted, memory_order_relaxed);
    atomic_store_explicit(&backend->accepted, accepted + (status == TW_OK),
                          memory_order_relaxed);
    leave(backend);
  }
  if (status != TW_OK) tw_lane_add(&backend->refused);
  return status;
}

tw_status tw_backend_send(tw_backend *backend, tw_event *event, unsigned flags,
                          tw_error *error) {
  if (backend->serial) return send_serially(backend, event, flags, error);
  tw_status status = send_now(backend, event, flags, error);
  tw_lane_add(status == TW_OK ? &backend->sent[tw_lane_here()].count : &backend->refused);
  return status;
}

/* What is delivered and what is a dead letter has been counted once, however often it was
   tried; the rest will come again. */
static void count_delivered(tw_backend *backend, tw_status status, const tw_delivered *done) {
  bool is_dead = status == TW_EREFUSED && done->is_exact;
  atomic_fetch_add_explicit(&backend->sent[tw_lane_here()].count, done->count,
                            memory_order_relaxed);
  if (is_dead) tw_lane_add(&backend->refused);
}

static tw_status deliver_now(tw_backend *backend, tw_batch *batch, tw_delivered *done,
                             tw_error *error) {
  uint64_t lost;
  if (!atomic_load_explicit(&backend->is_open, memory_order_relaxed))
    return tw_fail(error, TW_ECLOSED, "the backend is not open");
  tw_status status = tw_deliver(&backend->ops, backend->self, batch, done, &lost, error);
  atomic_fetch_add_explicit(&backend->lost, lost, memory_order_relaxed);
  count_delivered(backend, status, done);
  return status;
}

tw_status tw_backend_deliver(tw_backend *backend, tw_batch *batch, tw_delivered *done,
                             tw_error *error) {
  *done = (tw_delivered){0};
  if (!backend->serial) return deliver_now(backend, batch, done, error);
  tw_status status = enter(backend, error);
  if (status != TW_OK) return status;
  status = deliver_now(backend, batch, done, error);
  leave(backend);
  return status;
}

/* ------------------------------------------------------- what it says of itself */

/* Not recursive, as a front may stand before a front. */
static const tw_backend *hindmost(const tw_backend *backend) {
  while (backend->behind) backend = backend->behind;
  return backend;
}

tw_backend *tw_backend_hindmost(tw_backend *backend) {
  while (backend->behind) backend = backend->behind;
  return backend;
}

void tw_backend_get_stats(const tw_backend *backend, tw_backend_stats *out) {
  backend = hindmost(backend);
  const tw_backend_kind *kind = backend->kind;
  uint64_t lost = atomic_load_explicit(&backend->lost, memory_order_relaxed);
  uint64_t accepted = atomic_load_explicit(&backend->accepted, memory_order_relaxed);
  for (unsigned i = 0; i < TW_LANES; i++)
    accepted += atomic_load_explicit(&backend->sent[i].count, memory_order_relaxed);
  out->sent = accepted > lost ? accepted - lost : 0;
  out->failed = atomic_load_explicit(&backend->refused, memory_order_relaxed) + lost;
  out->duplicate = kind && kind->duplicates ? kind->duplicates(backend->self) : 0;
}

/* ------------------------------------------------------------------- kinds */

tw_status tw_backend_from_kind(const tw_backend_kind *kind, const char *options, size_t len,
                               tw_backend **out, tw_error *error) {
  tw_event *event = NULL;
  void *self = NULL;
  *out = NULL;
  tw_status status = options ? tw_event_parse(options, len, NULL, &event, error)
                             : tw_event_parse("{}", 2, NULL, &event, error);
  if (status != TW_OK) {
    tw_error_prefix(error, "%s: options: ", kind->name);
    return status;
  }
  status = tw_options_check(event, kind->name, kind->options, kind->option_count, error);
  if (status == TW_OK) status = kind->create(event, &self, error);
  tw_event_free(event);
  if (status != TW_OK) return status;
  return make(kind->ops, self, kind->flags, kind, out, error);
}

const char *tw_backend_kind_name(const tw_backend *backend) {
  const tw_backend_kind *kind = hindmost(backend)->kind;
  return kind ? kind->name : "custom";
}

bool tw_backend_writes_into(const tw_backend *backend, const struct stat *file) {
  backend = hindmost(backend);
  const tw_backend_kind *kind = backend->kind;
  return kind && kind->writes_into && kind->writes_into(backend->self, file);
}

void *tw_backend_self(tw_backend *backend, const tw_backend_kind *kind) {
  const tw_backend *last = hindmost(backend);
  return last->kind == kind ? last->self : NULL;
}
