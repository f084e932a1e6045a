/* The life of an engine: how it begins, flushes, closes and ends. */
#include "engine/engine.h"

#include <stdio.h>
#include <string.h>

#include "base/status.h"
#include "base/thread.h"
#include "base/wait.h"
#include "engine/durable.h"
#include "engine/keeper.h"

/* ------------------------------------------------------------------- forks */

static atomic_uint forks;

static void count_fork(void) { atomic_fetch_add(&forks, 1); }
static void watch_forks(void) { pthread_atfork(NULL, NULL, count_fork); }

bool tw_engine_is_ours(const tw_engine *engine) {
  return engine->forks == atomic_load_explicit(&forks, memory_order_relaxed);
}

tw_status tw_engine_fail_forked(tw_error *error) {
  return tw_fail(error, TW_ECLOSED,
                 "the engine's workers stayed in the parent process: make an engine here");
}

/* ------------------------------------------------------------------- begin */

static void told_dropped(void *self, tw_drop_cause cause, const tw_event *event) {
  static const char *const names[] = {"newest", "oldest", "timeout", "closed", "memory"};
  const tw_engine *engine = self;
  engine->ops.dropped(engine->self, names[cause], event);
}

static void told_failed(void *self, const char *where, tw_event *event, uint64_t events,
                        const tw_error *error) {
  const tw_engine *engine = self;
  tw_failure failure = {.where = where,
                        .path = "",
                        .event = event,
                        .events = events,
                        .error = error,
                        .origin = tw_worker_origin()};
  if (engine->ops.failed) engine->ops.failed(engine->self, &failure);
}

static void observe_failed(void *self, const tw_failure *failure) {
  const tw_engine *engine = self;
  tw_failure told = *failure;
  told.origin = tw_worker_origin();
  engine->ops.failed(engine->self, &told);
}

static void observe_dead(void *self, const tw_failure *failure) {
  const tw_engine *engine = self;
  tw_failure told = *failure;
  told.origin = tw_worker_origin();
  engine->ops.dead(engine->self, &told);
}

static tw_status keep_texts(tw_engine *engine, const char *path, const char *options,
                            size_t len, tw_error *error) {
  engine->path = tw_strdup(path);
  engine->host_options = options ? tw_memdup(options, len) : tw_strdup("{}");
  engine->host_options_len = options ? len : 2;
  return engine->path && engine->host_options ? TW_OK : tw_no_memory(error);
}

static tw_status new_engine(const char *path, const char *options, size_t len,
                            const tw_engine_ops *ops, void *self, tw_engine **out,
                            tw_error *error) {
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  pthread_once(&once, watch_forks);
  tw_engine *engine = tw_calloc(1, sizeof *engine);
  if (!engine) return tw_no_memory(error);
  atomic_init(&engine->refs, 1);
  engine->forks = atomic_load(&forks);
  if (ops) engine->ops = *ops;
  engine->ops.offers = NULL; /* the list is the caller's, */
  engine->ops.free = NULL;   /* and so is `self` until the engine is there */
  engine->self = self;
  if (engine->ops.failed) engine->observer.failed = observe_failed;
  if (engine->ops.dead) engine->observer.dead = observe_dead;
  pthread_mutex_init(&engine->closing, NULL);
  pthread_mutex_init(&engine->reloading, NULL);
  pthread_mutex_init(&engine->replaying, NULL);
  pthread_mutex_init(&engine->epoch_turn, NULL);
  pthread_mutex_init(&engine->epoch, NULL);
  tw_pool_init(&engine->pool);
  tw_ledger_init(&engine->ledger);
  tw_cells_init(&engine->cells, &(tw_limits){0});
  tw_dealing_init(&engine->dealing);
  tw_outlets_init(&engine->outlets);
  *out = engine;
  return keep_texts(engine, path, options, len, error);
}

static tw_status start_workers(tw_engine *engine, tw_error *error) {
  const tw_worker_ops ops = {.dropped = engine->ops.dropped ? told_dropped : NULL,
                             .failed = told_failed,
                             .sick = tw_engine_rebuild,
                             .self = engine};
  tw_status status = TW_OK;
  for (unsigned i = 0; i < engine->worker_count && status == TW_OK; i++)
    status = tw_worker_init(&engine->workers[i], &engine->options, &ops, &engine->cells,
                            &engine->committer, i, &engine->generation->scripts[i], error);
  for (unsigned i = 0; i < engine->worker_count && status == TW_OK; i++)
    status = tw_worker_start(&engine->workers[i], error);
  return status;
}

static void free_engine(tw_engine *engine) {
  tw_engine_free_durable(engine);
  for (unsigned i = 0; i < engine->worker_count; i++) tw_worker_fini(&engine->workers[i]);
  tw_free(engine->workers);
  tw_keeper_free(engine->keeper);
  tw_snapshot_unref(engine->seen);
  tw_snapshot_unref(engine->previous);
  tw_engine_options_fini(&engine->options);
  tw_pool_fini(&engine->pool);
  tw_ledger_fini(&engine->ledger);
  tw_host_free(engine->host);
  tw_cells_fini(&engine->cells);
  tw_dealing_fini(&engine->dealing);
  pthread_mutex_destroy(&engine->closing);
  pthread_mutex_destroy(&engine->reloading);
  pthread_mutex_destroy(&engine->replaying);
  pthread_mutex_destroy(&engine->epoch_turn);
  pthread_mutex_destroy(&engine->epoch);
  tw_free(engine->path);
  tw_free(engine->host_options);
  if (engine->ops.free) engine->ops.free(engine->self);
  tw_free(engine);
}

static tw_status close_once(tw_engine *engine, int timeout_ms, uint64_t *remaining,
                            tw_error *error);

static bool wants_keeper(const tw_engine *engine) {
  return engine->options.watch || engine->options.watchdog_ns || engine->committer.is_durable;
}

tw_status tw_engine_new(const char *script, const char *options, size_t len,
                        const tw_engine_ops *ops, void *self, tw_engine **out,
                        tw_error *error) {
  tw_engine *engine = NULL;
  tw_host *host;
  *out = NULL;
  tw_status status = tw_host_new(ops ? ops->offers : NULL, &host, error);
  if (status == TW_OK) status = new_engine(script, options, len, ops, self, &engine, error);
  if (engine) engine->host = host;
  else tw_host_free(host);
  if (status == TW_OK) status = tw_engine_first(engine, error);
  if (status == TW_OK) engine->ops.free = ops ? ops->free : NULL;
  if (status == TW_OK) status = start_workers(engine, error);
  if (status == TW_OK) tw_engine_tell_orphans(engine);
  if (status == TW_OK && wants_keeper(engine))
    status = tw_keeper_new(engine, &engine->keeper, error);
  if (status == TW_OK) {
    *out = engine;
    return TW_OK;
  }
  if (engine) {
    uint64_t none;
    close_once(engine, 0, &none, NULL);
    engine->ops.free = NULL;
    free_engine(engine);
  }
  if (ops && ops->free) ops->free(self);
  return status;
}

tw_engine *tw_engine_ref(tw_engine *engine) {
  if (engine) atomic_fetch_add_explicit(&engine->refs, 1, memory_order_relaxed);
  return engine;
}

static void *end_engine(void *self) {
  tw_engine *engine = self;
  uint64_t none;
  close_once(engine, -1, &none, NULL);
  free_engine(engine);
  return NULL;
}

/* A thread that the engine waits for cannot end it. Without another its memory stays, but its
   workers go. */
static void end_elsewhere(tw_engine *engine) {
  pthread_t thread;
  tw_error error;
  if (tw_start_thread(&thread, end_engine, engine, &error) == TW_OK) {
    pthread_detach(thread);
    return;
  }
  atomic_store(&engine->is_ending, true);
  tw_keeper_ask_to_stop(engine->keeper);
  for (unsigned i = 0; i < engine->worker_count; i++) tw_worker_close(&engine->workers[i]);
  fprintf(stderr, "tidewire: an engine let go of in its own callback is not freed: %s\n",
          error.message);
}

void tw_engine_unref(tw_engine *engine) {
  if (!engine || !tw_engine_is_ours(engine)) return;
  if (atomic_fetch_sub_explicit(&engine->refs, 1, memory_order_acq_rel) != 1) return;
  if (tw_worker_is_here() || tw_engine_is_staying_here(engine)) end_elsewhere(engine);
  else end_engine(engine);
}

/* ----------------------------------------------------------- flush, close */

const struct timespec *tw_limit_in(int timeout_ms, struct timespec *out) {
  if (timeout_ms < 0) return NULL;
  *out = tw_deadline((uint64_t)timeout_ms * 1000000);
  return out;
}

/* What is in memory is safe only when it is delivered. */
static bool awaits_outboxes(const tw_engine *engine) {
  const tw_committer *committer = &engine->committer;
  return committer->journal && (!committer->is_durable || committer->awaits_arrival);
}

static tw_status await_outboxes(tw_engine *engine, const struct timespec *end,
                                uint64_t *remaining, tw_error *error) {
  uint64_t left = tw_outlets_await(&engine->outlets, end, true);
  *remaining += left;
  if (!left) return TW_OK;
  return tw_fail(error, TW_ELIMIT, "the time was over before all was delivered");
}

tw_status tw_engine_flush(tw_engine *engine, int timeout_ms, uint64_t *remaining,
                          tw_error *error) {
  struct timespec at;
  uint64_t unwanted, numbers[TW_MAX_WORKERS] = {0};
  tw_status first = TW_OK;
  if (!remaining) remaining = &unwanted;
  *remaining = 0;
  if (!tw_engine_is_ours(engine)) return tw_engine_fail_forked(error);
  if (tw_worker_is_here())
    return tw_fail(error, TW_EINVAL, "a worker cannot wait for an engine to flush");
  if (tw_engine_is_delivering_here(engine))
    return tw_fail(error, TW_EINVAL, "what an engine calls to deliver cannot flush it");
  const struct timespec *end = tw_limit_in(timeout_ms, &at);
  for (unsigned i = 0; i < engine->worker_count; i++)
    numbers[i] = tw_worker_ask_flush(&engine->workers[i]);
  for (unsigned i = 0; i < engine->worker_count; i++) {
    uint64_t left;
    tw_status status = tw_worker_await_flush(&engine->workers[i], numbers[i], end, &left,
                                             first ? NULL : error);
    if (!first) first = status;
    *remaining += left;
  }
  if (!first && awaits_outboxes(engine)) first = await_outboxes(engine, end, remaining, error);
  return first;
}

/* Called once, with `closing`. Outboxes in a spool take what is left, also beyond their bounds:
   a backend that is dead keeps nobody from closing. The workers end first, and a reload that
   finds them closed gives up, so that neither it nor what waits keeps the time from being over.
 */
static tw_status close_now(tw_engine *engine, int timeout_ms, uint64_t *remaining,
                           tw_error *error) {
  struct timespec at;
  tw_engine_stay stay;
  const struct timespec *end = tw_limit_in(timeout_ms, &at);
  bool was_empty = tw_engine_is_drained(engine);
  atomic_store(&engine->is_ending, true);
  tw_keeper_ask_to_stop(engine->keeper);
  for (unsigned i = 0; i < engine->worker_count; i++)
    if (engine->workers[i].ring) tw_worker_close(&engine->workers[i]);
  bool is_in_time = true;
  if (engine->committer.is_durable) tw_outlets_unbind(&engine->outlets);
  for (unsigned i = 0; i < engine->worker_count; i++)
    is_in_time = tw_worker_await_end(&engine->workers[i], end) && is_in_time;
  if (!is_in_time) tw_outlets_unbind(&engine->outlets);
  for (unsigned i = 0; i < engine->worker_count; i++)
    *remaining += tw_worker_join(&engine->workers[i]);
  tw_keeper_stop(engine->keeper);
  *remaining += tw_engine_close_durable(engine, was_empty, end);
  pthread_mutex_lock(&engine->reloading);
  tw_engine_enter(engine, &stay);
  tw_generation *last = engine->generation;
  engine->generation = NULL;
  tw_dealing_stop(&engine->dealing);
  tw_dealing_go_on(&engine->dealing, NULL);
  tw_status status = tw_generation_free(last, error);
  tw_engine_leave(&stay);
  pthread_mutex_unlock(&engine->reloading);
  if (status || !*remaining) return status;
  return tw_fail(error, TW_ELIMIT, "the time was over before all was processed");
}

static tw_status close_once(tw_engine *engine, int timeout_ms, uint64_t *remaining,
                            tw_error *error) {
  tw_status status = TW_OK;
  *remaining = 0;
  pthread_mutex_lock(&engine->closing);
  if (!engine->is_closed) status = close_now(engine, timeout_ms, remaining, error);
  engine->is_closed = true;
  pthread_mutex_unlock(&engine->closing);
  return status;
}

tw_status tw_engine_close(tw_engine *engine, int timeout_ms, uint64_t *remaining,
                          tw_error *error) {
  uint64_t unwanted;
  if (!remaining) remaining = &unwanted;
  *remaining = 0;
  if (!tw_engine_is_ours(engine)) return tw_engine_fail_forked(error);
  if (tw_worker_is_here()) return tw_fail(error, TW_EINVAL, "a worker cannot close an engine");
  if (tw_engine_is_staying_here(engine))
    return tw_fail(error, TW_EINVAL, "what an engine calls cannot close it");
  return close_once(engine, timeout_ms, remaining, error);
}

static void add_counts(tw_engine_stats *to, const tw_worker_counts *from) {
  to->received += from->received;
  to->processed += from->processed;
  to->waiting += from->waiting;
  to->dropped_newest += from->dropped[TW_DROP_NEWEST];
  to->dropped_oldest += from->dropped[TW_DROP_OLDEST];
  to->dropped_timeout += from->dropped[TW_DROP_TIMEOUT];
  to->dropped_closed += from->dropped[TW_DROP_CLOSED];
  to->dropped_memory += from->dropped[TW_DROP_MEMORY];
  for (unsigned i = 0; i < TW_DROP_CAUSES; i++) to->dropped += from->dropped[i];
}

typedef struct visiting {
  tw_engine *engine;
  tw_branch_visit_fn visit;
  void *self;
} visiting;

static void visit_branch(void *self, const tw_branch *branch) {
  const visiting *to = self;
  tw_branch now = *branch;
  tw_outbox_stats stats;
  if (branch->kind && tw_outlets_stats(&to->engine->outlets, branch->path, &stats))
    now.outbox = &stats;
  to->visit(to->self, &now);
}

void tw_engine_visit(tw_engine *engine, tw_branch_visit_fn visit, void *self) {
  visiting to = {engine, visit, self};
  if (tw_engine_is_ours(engine)) tw_ledger_visit(&engine->ledger, visit_branch, &to);
}

void tw_engine_get_stats(tw_engine *engine, tw_engine_stats *out) {
  *out = (tw_engine_stats){.workers = engine->worker_count};
  if (!tw_engine_is_ours(engine)) return;
  out->generation = atomic_load(&engine->number);
  out->reloads = atomic_load(&engine->reloads);
  out->refused = atomic_load(&engine->refused);
  out->rebuilt = atomic_load(&engine->rebuilt);
  for (unsigned i = 0; i < engine->worker_count; i++) {
    tw_worker *worker = &engine->workers[i];
    pthread_mutex_lock(&worker->mutex);
    add_counts(out, &worker->counts);
    pthread_mutex_unlock(&worker->mutex);
  }
}

/* ----------------------------------------------------------------- backend */

static tw_status backend_send(void *self, tw_event *event, unsigned flags, tw_error *error) {
  (void)flags;
  return tw_engine_send(self, event, error);
}

/* A flush from inside a worker would wait for itself: the engine flushes anyway. */
static tw_status backend_flush_within(void *self, int timeout_ms, uint64_t *remaining,
                                      tw_error *error) {
  *remaining = 0;
  return tw_worker_is_here() ? TW_OK : tw_engine_flush(self, timeout_ms, remaining, error);
}

static tw_status backend_flush(void *self, uint64_t *lost, tw_error *error) {
  *lost = 0;
  uint64_t remaining;
  return backend_flush_within(self, -1, &remaining, error);
}

static void backend_free(void *self) { tw_engine_unref(self); }

tw_status tw_engine_backend(tw_engine *engine, tw_backend **out, tw_error *error) {
  static const tw_backend_ops ops = {.send = backend_send,
                                     .flush = backend_flush,
                                     .free = backend_free,
                                     .flush_within = backend_flush_within};
  return tw_backend_new(&ops, tw_engine_ref(engine), 0, out, error);
}
