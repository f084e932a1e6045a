/* Fronts and outlets. See front_open for how the use of a target comes to a delivery: the
   router opens its fronts when a generation starts, so that a target which does not open
   refuses the generation; aiming hands that use over, and the delivery ends it. */
#include "engine/outlet.h"

#include <string.h>

#include "base/alloc.h"
#include "base/status.h"
#include "core/inspect.h"
#include "engine/worker.h"
#include "script/upkeep.h"

/* What stands in the router. Lives as long as somebody has a reference to the backend. */
typedef struct tw_front_self {
  tw_outlets *outlets;
  tw_outlet *outlet;
  tw_backend *target; /* a reference */
  bool is_tolerant;   /* one that does not open is tried again by the delivery */
  bool is_used;       /* the use is ours still */
  bool is_open;       /* the router has it open */
} front_self;

/* -------------------------------------------------------------------- front */

static tw_status front_open(void *self, tw_error *error) {
  front_self *front = self;
  tw_error why = {0};
  tw_status status = tw_backend_use(front->target, &why);
  front->is_used = status == TW_OK;
  front->is_open = true;
  if (status == TW_OK) return TW_OK;
  if (front->is_tolerant && status == TW_EIO) {
    const tw_outlets_ops *ops = &front->outlets->ops;
    tw_error_prefix(&why, "it is tried again: ");
    ops->failed(ops->self, "backend", front->outlet->outbox->path, 0, &why);
    return TW_OK;
  }
  if (error) *error = why;
  return status;
}

static tw_status front_send(void *self, tw_event *event, unsigned flags, tw_error *error) {
  front_self *front = self;
  tw_worker *worker = tw_worker_current();
  (void)flags;
  if (!worker || worker->collector.committer->journal != front->outlets->journal)
    return tw_fail(error, TW_ECLOSED, "an outbox takes events from the workers of its engine");
  return tw_worker_collect(worker, front->outlet, event, error);
}

static void front_close(void *self) {
  front_self *front = self;
  uint64_t lost;
  front->is_open = false;
  if (front->is_used) tw_backend_unuse(front->target, &lost, NULL);
  front->is_used = false;
}

static void front_free(void *self) {
  front_self *front = self;
  tw_backend_unref(front->target);
  tw_free(front);
}

static const tw_backend_ops front_ops = {
    .open = front_open, .send = front_send, .close = front_close, .free = front_free};

/* ------------------------------------------------------------------ targets */

struct tw_portal {
  atomic_uint refs;
  pthread_mutex_t mutex;
  tw_outlets *outlets; /* NULL: closed */
};

static tw_portal *ref_portal(tw_portal *portal) {
  atomic_fetch_add_explicit(&portal->refs, 1, memory_order_relaxed);
  return portal;
}

static void unref_portal(tw_portal *portal) {
  if (!portal || atomic_fetch_sub_explicit(&portal->refs, 1, memory_order_acq_rel) != 1) return;
  pthread_mutex_destroy(&portal->mutex);
  tw_free(portal);
}

/* It does not wait for room: workers may wait for the very outbox that is emptied here. What
   finds none is refused, and the backend may ask to be called again. */
static tw_status emit_through(void *self, const tw_event *event, tw_error *error) {
  tw_portal *portal = self;
  pthread_mutex_lock(&portal->mutex);
  const tw_outlets *outlets = portal->outlets;
  tw_worker_set_hasty(true);
  tw_status status = outlets ? outlets->ops.emit(outlets->ops.self, event, error)
                             : tw_fail(error, TW_ECLOSED, "the engine is closed");
  tw_worker_set_hasty(false);
  pthread_mutex_unlock(&portal->mutex);
  return status;
}

static void close_portal(tw_portal *portal) {
  pthread_mutex_lock(&portal->mutex);
  portal->outlets = NULL;
  pthread_mutex_unlock(&portal->mutex);
}

/* A Lua backend with the state that it lives in. */
typedef struct instance {
  tw_script *script;
  tw_portal *portal;   /* a reference */
  tw_backend *backend; /* a reference */
} instance;

static tw_status instance_open(void *self, tw_error *error) {
  const instance *it = self;
  tw_status status = tw_backend_use(it->backend, error);
  tw_script_release(it->script);
  return status;
}

static tw_status instance_send(void *self, tw_event *event, unsigned flags, tw_error *error) {
  const instance *it = self;
  tw_status status = tw_backend_send(it->backend, event, flags, error);
  tw_script_release(it->script);
  return status;
}

static tw_status instance_deliver(void *self, tw_batch *batch, tw_delivered *done,
                                  tw_error *error) {
  const instance *it = self;
  tw_status status = tw_backend_deliver(it->backend, batch, done, error);
  tw_script_release(it->script);
  return status;
}

static void instance_close(void *self) {
  const instance *it = self;
  uint64_t lost;
  tw_backend_unuse(it->backend, &lost, NULL);
  tw_script_release(it->script);
}

static void instance_free(void *self) {
  instance *it = self;
  tw_backend_unref(it->backend);
  tw_script_free(it->script);
  unref_portal(it->portal);
  tw_free(it);
}

static tw_status load_instance(const tw_generation_plan *plan, const char *path,
                               tw_backend **out, tw_error *error) {
  static const tw_backend_ops ops = {.open = instance_open,
                                     .send = instance_send,
                                     .deliver = instance_deliver,
                                     .close = instance_close,
                                     .free = instance_free};
  instance *it = tw_calloc(1, sizeof *it);
  if (!it) return tw_no_memory(error);
  tw_status status = tw_generation_load_bare(plan, 0, &it->script, error);
  if (status == TW_OK) status = tw_script_backend(it->script, path, &it->backend, error);
  if (status) {
    tw_script_free(it->script);
    tw_free(it);
    return status;
  }
  it->portal = ref_portal(plan->outlets->portal);
  tw_script_redirect(it->script, emit_through, it->portal);
  tw_script_release(it->script);
  return tw_backend_new_front(&ops, it, it->backend, out, error);
}

/* ------------------------------------------------------------------ outlets */

void tw_outlets_init(tw_outlets *outlets) {
  *outlets = (tw_outlets){0};
  pthread_mutex_init(&outlets->mutex, NULL);
}

tw_status tw_outlets_begin(tw_outlets *outlets, tw_journal *journal, bool is_durable,
                           const tw_outlets_ops *ops, tw_error *error) {
  outlets->portal = tw_calloc(1, sizeof *outlets->portal);
  if (!outlets->portal) return tw_no_memory(error);
  atomic_init(&outlets->portal->refs, 1);
  pthread_mutex_init(&outlets->portal->mutex, NULL);
  outlets->portal->outlets = outlets;
  outlets->journal = journal;
  outlets->is_durable = is_durable;
  outlets->ops = *ops;
  return TW_OK;
}

tw_status tw_outlets_set_common(tw_outlets *outlets, const char *json, size_t len,
                                tw_error *error) {
  tw_free(outlets->common);
  outlets->common = json ? tw_memdup(json, len) : NULL;
  outlets->common_len = len;
  return json && !outlets->common ? tw_no_memory(error) : TW_OK;
}

void tw_outlets_fini(tw_outlets *outlets) {
  for (tw_outlet *gone; (gone = outlets->first);) {
    outlets->first = gone->next;
    tw_delivery_free(gone->delivery);
    tw_free(gone);
  }
  tw_free(outlets->common);
  unref_portal(outlets->portal);
  pthread_mutex_destroy(&outlets->mutex);
}

static void told_failed(void *self, const char *path, uint64_t events, const tw_error *error) {
  const tw_outlets *outlets = self;
  outlets->ops.failed(outlets->ops.self, "backend", path, events, error);
}

/* That it delivers again is a notice too: its code is TW_OK. */
static void told_changed(void *self, const char *path, const char *breaker,
                         const tw_error *why) {
  const tw_outlets *outlets = self;
  (void)breaker;
  outlets->ops.failed(outlets->ops.self, "outbox", path, 0, why);
}

static tw_outlet *find(tw_outlets *outlets, const char *path) {
  tw_outlet *outlet = outlets->first;
  while (outlet && strcmp(outlet->outbox->path, path) != 0) outlet = outlet->next;
  return outlet;
}

static tw_status make_outlet(tw_outlets *outlets, const char *path,
                             const tw_delivery_options *options, tw_outlet **out,
                             tw_error *error) {
  const tw_delivery_ops ops = {.failed = told_failed, .changed = told_changed, .self = outlets};
  tw_outbox *outbox;
  tw_outlet *outlet = tw_calloc(1, sizeof *outlet);
  if (!outlet) return tw_no_memory(error);
  tw_status status =
      tw_journal_outbox(outlets->journal, path, &options->bounds, &outbox, error);
  if (status == TW_OK)
    status = tw_delivery_new(outbox, options, &ops, &outlet->delivery, error);
  if (status) {
    tw_free(outlet);
    return status;
  }
  outlet->outbox = outbox;
  outlet->index = outlets->count++;
  tw_outlet **end = &outlets->first;
  while (*end) end = &(*end)->next;
  *end = outlet;
  *out = outlet;
  return TW_OK;
}

static tw_status get_outlet(tw_outlets *outlets, const char *path,
                            const tw_delivery_options *options, tw_outlet **out,
                            tw_error *error) {
  tw_status status = TW_OK;
  pthread_mutex_lock(&outlets->mutex);
  *out = find(outlets, path);
  if (!*out) status = make_outlet(outlets, path, options, out, error);
  pthread_mutex_unlock(&outlets->mutex);
  return status;
}

/* --------------------------------------------------------------------- wrap */

typedef struct wrapping {
  tw_outlets *outlets;
  tw_front **fronts;
  const tw_generation_plan *plan;
} wrapping;

static tw_status make_target(const wrapping *to, const char *path, tw_backend *backend,
                             tw_backend **out, tw_error *error) {
  if (tw_backend_is_scripted(backend)) return load_instance(to->plan, path, out, error);
  *out = tw_backend_ref(backend);
  return TW_OK;
}

static tw_status make_front_backend(const wrapping *to, tw_front *front, tw_error *error) {
  front_self *self = tw_calloc(1, sizeof *self);
  if (!self) return tw_no_memory(error);
  self->outlets = to->outlets;
  self->outlet = front->outlet;
  self->target = tw_backend_ref(front->target);
  self->is_tolerant = to->outlets->is_durable && to->plan->number == 1;
  front->self = self;
  return tw_backend_new_front(&front_ops, self, front->target, &front->front, error);
}

/* What waits in memory is bounded also where nobody says how. In a spool the bound is that of
   the spool: a backend that is away for an hour stops no other one. */
static void bound(const tw_outlets *outlets, tw_delivery_options *options) {
  tw_outbox_bounds *bounds = &options->bounds;
  if (outlets->is_durable) {
    if (!options->has_max_events) bounds->max_events = 0;
    if (!options->has_max_bytes) bounds->max_bytes = 0;
  }
  if (outlets->is_durable || bounds->max_events || bounds->max_bytes) return;
  bounds->max_events = 100000;
  bounds->max_bytes = (uint64_t)64 << 20;
}

static tw_status fill_front(const wrapping *to, tw_front *front, tw_backend *backend,
                            const char *delivery, size_t len, tw_error *error) {
  tw_outlets *outlets = to->outlets;
  tw_status status = tw_delivery_options_read(
      delivery, len, outlets->common, outlets->common_len, front->path, &front->options, error);
  bound(outlets, &front->options);
  if (status == TW_OK) status = make_target(to, front->path, backend, &front->target, error);
  if (status == TW_OK && tw_backend_is_scripted(backend)) front->options.max_in_flight = 1;
  if (status == TW_OK)
    status = get_outlet(outlets, front->path, &front->options, &front->outlet, error);
  return status ? status : make_front_backend(to, front, error);
}

static void free_front(tw_front *front) {
  tw_backend_unref(front->front);
  tw_backend_unref(front->target);
  tw_free(front);
}

static tw_status make_front(const wrapping *to, const char *path, tw_backend *backend,
                            const char *delivery, size_t len, tw_front **out, tw_error *error) {
  size_t size = strlen(path) + 1;
  tw_front *front = tw_calloc(1, sizeof *front + size);
  if (!front) return tw_no_memory(error);
  memcpy(front->path, path, size);
  tw_status status = fill_front(to, front, backend, delivery, len, error);
  if (status) {
    free_front(front);
    return status;
  }
  front->next = *to->fronts;
  *out = *to->fronts = front;
  return TW_OK;
}

static tw_status wrap(void *self, const char *path, tw_backend *backend, const char *delivery,
                      size_t len, tw_backend **out, tw_error *error) {
  const wrapping *to = self;
  tw_status status = TW_OK;
  tw_front *front = *to->fronts;
  while (front && strcmp(front->path, path) != 0) front = front->next;
  if (!front && to->plan->fronts)
    return tw_fail(error, TW_ESCRIPT,
                   "backend \"%.120s\" was not there when it was loaded first", path);
  if (!front) status = make_front(to, path, backend, delivery, len, &front, error);
  if (status == TW_OK) *out = tw_backend_ref(front->front);
  return status;
}

tw_status tw_outlets_wrap(tw_outlets *outlets, tw_front **fronts, tw_script *script,
                          const tw_generation_plan *plan, tw_error *error) {
  wrapping to = {outlets, fronts, plan};
  return tw_router_wrap(tw_script_router(script), wrap, &to, error);
}

/* ---------------------------------------------------------------------- aim */

static tw_status aim(tw_front *front, tw_error *error) {
  tw_outlet *outlet = front->outlet;
  front_self *self = front->self;
  tw_delivery_tune(outlet->delivery, &front->options);
  if (!tw_delivery_aim(outlet->delivery, front->target, self->is_used))
    return tw_no_memory(error);
  self->is_used = false;
  if (outlet->is_started) return TW_OK;
  tw_status status = tw_delivery_start(outlet->delivery, error);
  outlet->is_started = status == TW_OK;
  return status;
}

static void unbind(const tw_outlet *outlet) {
  tw_outbox *outbox = outlet->outbox;
  pthread_mutex_lock(&outbox->mutex);
  outbox->bounds.max_events = outbox->bounds.max_bytes = 0;
  pthread_cond_broadcast(&outbox->changed);
  pthread_mutex_unlock(&outbox->mutex);
}

static bool is_named(const tw_outlet *outlet, const tw_front *fronts) {
  while (fronts && fronts->outlet != outlet) fronts = fronts->next;
  return fronts != NULL;
}

tw_status tw_outlets_aim(tw_outlets *outlets, tw_front *fronts, tw_error *error) {
  tw_status first = TW_OK;
  pthread_mutex_lock(&outlets->mutex);
  for (const tw_outlet *it = outlets->first; it; it = it->next)
    if (!is_named(it, fronts)) unbind(it);
  for (tw_front *front = fronts; front; front = front->next) {
    tw_status status = aim(front, first ? NULL : error);
    if (!first) first = status;
  }
  pthread_mutex_unlock(&outlets->mutex);
  return first;
}

void tw_fronts_free(tw_front *fronts) {
  for (tw_front *gone; (gone = fronts);) {
    fronts = gone->next;
    free_front(gone);
  }
}

/* --------------------------------------------------------------- all of them */

static uint64_t waiting(const tw_outlet *outlet) {
  tw_outbox_stats stats;
  tw_delivery_get_stats(outlet->delivery, &stats);
  return stats.waiting;
}

/* The list only grows at its end while the engine lives. */
static tw_outlet *next_of(tw_outlets *outlets, const tw_outlet *outlet) {
  pthread_mutex_lock(&outlets->mutex);
  tw_outlet *next = outlet ? outlet->next : outlets->first;
  pthread_mutex_unlock(&outlets->mutex);
  return next;
}

uint64_t tw_outlets_await(tw_outlets *outlets, const struct timespec *end, bool patient) {
  uint64_t left = 0;
  for (tw_outlet *it = NULL; (it = next_of(outlets, it));)
    if (it->is_started && !tw_delivery_await(it->delivery, end, patient)) left += waiting(it);
  return left;
}

void tw_outlets_unbind(tw_outlets *outlets) {
  for (const tw_outlet *it = NULL; (it = next_of(outlets, it));) unbind(it);
}

uint64_t tw_outlets_waiting(tw_outlets *outlets) {
  uint64_t sum = 0;
  for (tw_outlet *it = NULL; (it = next_of(outlets, it));) sum += waiting(it);
  return sum;
}

uint64_t tw_outlets_stop(tw_outlets *outlets, const struct timespec *end) {
  uint64_t left = 0;
  for (tw_outlet *it = NULL; (it = next_of(outlets, it));)
    if (it->is_started) left += tw_delivery_stop(it->delivery, end);
  if (outlets->portal) close_portal(outlets->portal);
  return left;
}

bool tw_outlets_stats(tw_outlets *outlets, const char *path, tw_outbox_stats *out) {
  pthread_mutex_lock(&outlets->mutex);
  tw_outlet *outlet = find(outlets, path);
  pthread_mutex_unlock(&outlets->mutex);
  if (outlet) tw_delivery_get_stats(outlet->delivery, out);
  return outlet != NULL;
}

tw_outbox *tw_outlets_find(tw_outlets *outlets, const char *path) {
  pthread_mutex_lock(&outlets->mutex);
  tw_outlet *outlet = find(outlets, path);
  pthread_mutex_unlock(&outlets->mutex);
  return outlet ? outlet->outbox : NULL;
}
