/* The configuration of routers. Each change is made in the configuration, then a plan is
   made of it when the router is open; without memory for the plan it is taken back. */
#include "core/router.h"

#include <pthread.h>
#include <string.h>

#include "core/names.h"
#include "core/plan.h"

static pthread_mutex_t topology = PTHREAD_MUTEX_INITIALIZER;

void tw_topology_lock(void) { pthread_mutex_lock(&topology); }
void tw_topology_unlock(void) { pthread_mutex_unlock(&topology); }

/* ----------------------------------------------------------------- sharing */

void tw_shared_ref(tw_shared *shared) {
  atomic_fetch_add_explicit(&shared->refs, 1, memory_order_relaxed);
}

void tw_shared_unref(tw_shared *shared) {
  if (!shared || atomic_fetch_sub(&shared->refs, 1) != 1) return;
  if (shared->free) shared->free(shared->self);
  tw_free(shared);
}

/* Both things that are shared begin with the tw_shared. */
static void *new_shared(size_t size, void (*free_self)(void *), void *self, tw_error *error) {
  tw_shared *shared = tw_calloc(1, size);
  if (!shared) {
    if (free_self) free_self(self);
    tw_no_memory(error);
    return NULL;
  }
  atomic_init(&shared->refs, 1);
  shared->free = free_self;
  shared->self = self;
  return shared;
}

/* -------------------------------------------------------------------- life */

tw_status tw_router_new(tw_router **out, tw_error *error) {
  tw_plan *plan;
  tw_router *router = tw_calloc(1, sizeof *router);
  *out = NULL;
  if (!router) return tw_no_memory(error);
  atomic_init(&router->refs, 1);
  tw_status status = tw_plan_new(router, false, &plan, error);
  if (status != TW_OK) {
    tw_free(router);
    return status;
  }
  tw_plan_install(plan);
  *out = router;
  return TW_OK;
}

tw_router *tw_router_ref(tw_router *router) {
  if (router) atomic_fetch_add_explicit(&router->refs, 1, memory_order_relaxed);
  return router;
}

/* Nobody can enter any more, but events may still be inside: the end of the last era frees
   the router. */
void tw_router_unref(tw_router *router) {
  if (!router || atomic_fetch_sub(&router->refs, 1) != 1) return;
  if (router->is_opened) {
    tw_closing closing = {0};
    router->is_opened = false;
    tw_tree_unuse(router, NULL, "", &closing);
  }
  tw_change last;
  tw_topology_lock();
  tw_plan_discard(router->spare);
  tw_plan_remove(router, &last);
  tw_topology_unlock();
  tw_change_finish(&last, NULL, NULL);
}

static void free_port(tw_port *port) {
  tw_backend_unref(port->backend);
  tw_router_unref(port->child);
  tw_free(port->delivery);
  tw_free(port);
}

void tw_router_destroy(tw_router *router) {
  for (size_t i = 0; i < router->processor_count; i++) {
    tw_processor_unref(router->processors[i]);
  }
  for (size_t i = 0; i < router->port_count; i++) free_port(router->ports[i]);
  if (router->route) tw_shared_unref(&router->route->shared);
  if (router->watcher) tw_shared_unref(&router->watcher->shared);
  tw_free(router->processors);
  tw_free(router->ports);
  tw_free(router);
}

/* ----------------------------------------------------------------- changes */

/* Lets the configuration hold for the events to come. Under the lock. */
static tw_status publish(tw_router *router, tw_change *change, tw_error *error) {
  tw_plan *plan;
  if (!router->current->is_open) return TW_OK;
  tw_status status = tw_plan_new(router, true, &plan, error);
  if (status == TW_OK) tw_plan_swap(plan, change);
  return status;
}

/* Makes room for one more pointer.
   @return the vector, which may have moved; NULL without memory: it stays as it was */
static void *reserve(void *vector, size_t count, size_t *cap) {
  if (count < *cap) return vector;
  size_t wanted = *cap ? *cap * 2 : 4;
  void *grown = tw_realloc(vector, wanted * sizeof(void *));
  if (grown) *cap = wanted;
  return grown;
}

static tw_status append_processor(tw_router *router, tw_processor *processor, tw_change *change,
                                  tw_error *error) {
  tw_processor **grown =
      reserve(router->processors, router->processor_count, &router->processor_cap);
  if (!grown) return tw_no_memory(error);
  router->processors = grown;
  grown[router->processor_count++] = processor;
  tw_status status = publish(router, change, error);
  if (status != TW_OK) router->processor_count--;
  return status;
}

tw_status tw_router_add_processor(tw_router *router, tw_processor *processor, tw_error *error) {
  tw_change change = {0};
  if (!processor) return tw_fail(error, TW_EINVAL, "NULL is no processor");
  tw_topology_lock();
  tw_status status = append_processor(router, processor, &change, error);
  tw_topology_unlock();
  tw_change_finish(&change, NULL, NULL);
  if (status != TW_OK) tw_processor_unref(processor);
  return status;
}

tw_status tw_router_set_route(tw_router *router, const tw_route_ops *ops, void *self,
                              tw_error *error) {
  tw_change change = {0};
  if (!ops->route) {
    if (ops->free) ops->free(self);
    return tw_fail(error, TW_EINVAL, "a route needs the operation `route`");
  }
  tw_route *route = new_shared(sizeof *route, ops->free, self, error);
  if (!route) return TW_ENOMEM;
  route->ops = *ops;
  tw_topology_lock();
  tw_route *before = router->route;
  router->route = route;
  tw_status status = publish(router, &change, error);
  if (status != TW_OK) router->route = before;
  tw_topology_unlock();
  tw_change_finish(&change, NULL, NULL);
  tw_route *gone = status == TW_OK ? before : route;
  if (gone) tw_shared_unref(&gone->shared);
  return status;
}

tw_status tw_router_set_observer(tw_router *router, const tw_observer *observer, void *self,
                                 tw_error *error) {
  tw_change change = {0};
  tw_watcher *watcher = NULL;
  if (observer) {
    watcher = new_shared(sizeof *watcher, observer->free, self, error);
    if (!watcher) return TW_ENOMEM;
    watcher->observer = *observer;
  }
  tw_topology_lock();
  tw_watcher *before = router->watcher;
  router->watcher = watcher;
  tw_status status = publish(router, &change, error);
  if (status != TW_OK) router->watcher = before;
  tw_topology_unlock();
  tw_change_finish(&change, NULL, NULL);
  tw_watcher *gone = status == TW_OK ? before : watcher;
  if (gone) tw_shared_unref(&gone->shared);
  return status;
}

/* ------------------------------------------------------------------- ports */

int tw_port_compare(const tw_port *port, const char *name, size_t len) {
  int order = memcmp(port->name, name, port->len < len ? port->len : len);
  return order ? order : (port->len > len) - (port->len < len);
}

/* The first port whose name is not before `name`. */
static size_t lower_bound(tw_port *const *ports, size_t count, const char *name, size_t len) {
  size_t low = 0, high = count;
  while (low < high) {
    size_t middle = low + (high - low) / 2;
    if (tw_port_compare(ports[middle], name, len) < 0) low = middle + 1;
    else high = middle;
  }
  return low;
}

static tw_port *find_port(const tw_router *router, const char *name, size_t *at) {
  size_t len = strlen(name);
  *at = lower_bound(router->ports, router->port_count, name, len);
  if (*at == router->port_count) return NULL;
  tw_port *port = router->ports[*at];
  return tw_port_compare(port, name, len) == 0 ? port : NULL;
}

tw_port *tw_router_next_port(tw_router *router, const tw_port *port) {
  size_t at = 0;
  tw_topology_lock();
  if (port && find_port(router, port->name, &at)) at++;
  tw_port *next = at < router->port_count ? router->ports[at] : NULL;
  tw_topology_unlock();
  return next;
}

/* Whether `wanted` is `from` or below it. Each router is searched once for a mark. */
static bool is_below(tw_router *from, const tw_router *wanted, uint64_t visit) {
  if (from == wanted) return true;
  if (from->mark == visit) return false;
  from->mark = visit;
  for (size_t i = 0; i < from->port_count; i++) {
    tw_router *child = from->ports[i]->child;
    if (child && is_below(child, wanted, visit)) return true;
  }
  return false;
}

static uint64_t mark; /* guarded by the lock, as the marks are */

uint64_t tw_router_new_mark(void) {
  tw_topology_lock();
  uint64_t fresh = ++mark;
  tw_topology_unlock();
  return fresh;
}

static tw_status check_port(const tw_router *router, const tw_port *port, tw_error *error) {
  size_t at;
  const char *name = port->name;
  if (!*name || strchr(name, '/')) {
    return tw_fail(error, TW_EINVAL, "the name \"%.80s\" is %s; give one without '/'", name,
                   *name ? "a path" : "empty");
  }
  if (find_port(router, name, &at)) {
    return tw_fail(error, TW_EEXIST, "the name \"%.80s\" is taken; choose another", name);
  }
  if (port->child && is_below(port->child, router, ++mark)) {
    return tw_fail(error, TW_EINVAL,
                   "router \"%.80s\" would close a circle: this router is below it", name);
  }
  return TW_OK;
}

static tw_status insert_port(tw_router *router, tw_port *port, tw_change *change,
                             tw_error *error) {
  size_t at;
  tw_port **grown = reserve(router->ports, router->port_count, &router->port_cap);
  if (!grown) return tw_no_memory(error);
  router->ports = grown;
  find_port(router, port->name, &at);
  tw_port **place = router->ports + at;
  size_t behind = router->port_count - at;
  memmove(place + 1, place, behind * sizeof(tw_port *));
  *place = port;
  router->port_count++;
  tw_status status = publish(router, change, error);
  if (status == TW_OK) return TW_OK;
  memmove(place, place + 1, behind * sizeof(tw_port *));
  router->port_count--;
  return status;
}

static tw_status use_port(tw_port *port, tw_error *error) {
  tw_status status =
      port->backend ? tw_backend_use(port->backend, error) : tw_tree_use(port->child, error);
  if (status != TW_OK) tw_error_prefix(error, "%s%s", port->name, port->child ? "/" : ": ");
  return status;
}

static void unuse_port(tw_port *port) {
  uint64_t lost;
  tw_closing closing = {0};
  if (port->backend) tw_backend_unuse(port->backend, &lost, NULL);
  else tw_tree_unuse(port->child, NULL, "", &closing);
}

/* What is added to an open router is opened first, without the lock; meanwhile the router
   may open or close, so that this is looked at again. */
static tw_status add_port(tw_router *router, tw_port *port, tw_error *error) {
  tw_change change = {0};
  bool is_used = false;
  tw_status status;
  for (;;) {
    tw_topology_lock();
    status = check_port(router, port, error);
    if (status != TW_OK || is_used || !router->uses) break;
    tw_topology_unlock();
    status = use_port(port, error);
    if (status != TW_OK) return status;
    is_used = true;
  }
  port->is_used = is_used && router->uses;
  if (status == TW_OK) status = insert_port(router, port, &change, error);
  bool is_extra = is_used && (status != TW_OK || !port->is_used);
  tw_topology_unlock();
  tw_change_finish(&change, NULL, NULL);
  if (is_extra) unuse_port(port);
  return status;
}

/* `backend` or `child` is kept. */
static tw_status add(tw_router *router, const char *name, tw_backend *backend, tw_router *child,
                     tw_error *error) {
  if (!backend && !child) return tw_fail(error, TW_EINVAL, "NULL is no backend and no router");
  size_t len = strlen(name);
  tw_port *port = tw_malloc(sizeof *port + len + 1);
  if (!port) {
    tw_backend_unref(backend);
    tw_router_unref(child);
    return tw_no_memory(error);
  }
  *port = (tw_port){.backend = backend, .child = child, .len = len};
  memcpy(port->name, name, len + 1);
  tw_status status = add_port(router, port, error);
  if (status != TW_OK) free_port(port);
  return status;
}

tw_status tw_router_add_backend(tw_router *router, const char *name, tw_backend *backend,
                                tw_error *error) {
  return add(router, name, backend, NULL, error);
}

tw_status tw_router_add_router(tw_router *router, const char *name, tw_router *child,
                               tw_error *error) {
  return add(router, name, NULL, child, error);
}

/* ------------------------------------------------------------------ asking */

/* Under the lock. */
static tw_status fail_unknown_port(const tw_router *router, const char *name, tw_error *error) {
  const char *known[32];
  size_t count = router->port_count < 32 ? router->port_count : 32;
  for (size_t i = 0; i < count; i++) known[i] = router->ports[i]->name;
  return tw_fail_unknown(error, TW_ENOENT, "no backend", name, known, count,
                         "the router has none");
}

tw_status tw_router_fail_unknown(tw_router *router, const char *name, tw_error *error) {
  tw_topology_lock();
  tw_status status = fail_unknown_port(router, name, error);
  tw_topology_unlock();
  return status;
}

tw_status tw_router_get(tw_router *router, const char *name, tw_backend **backend,
                        tw_router **child, tw_error *error) {
  size_t at;
  tw_status status = TW_OK;
  *backend = NULL;
  *child = NULL;
  tw_topology_lock();
  tw_port *port = find_port(router, name, &at);
  if (!port) status = fail_unknown_port(router, name, error);
  else if (port->backend) *backend = tw_backend_ref(port->backend);
  else *child = tw_router_ref(port->child);
  tw_topology_unlock();
  return status;
}

void tw_router_get_stats(const tw_router *router, tw_router_stats *out) {
  tw_topology_lock();
  *out = (tw_router_stats){.received = router->received};
  if (router->current->is_open) out->received += tw_plan_entered(router);
  tw_topology_unlock();
  for (const tw_router_lane *lane = router->lanes; lane < router->lanes + TW_LANES; lane++) {
    out->dropped += atomic_load(&lane->dropped);
    out->unrouted += atomic_load(&lane->unrouted);
    out->failed += atomic_load(&lane->failed);
    out->dead += atomic_load(&lane->dead);
  }
}

static tw_processor *processor_at(tw_router *router, size_t index) {
  tw_topology_lock();
  tw_processor *processor = index < router->processor_count ? router->processors[index] : NULL;
  tw_topology_unlock();
  return processor;
}

void tw_router_visit_processors(tw_router *router, tw_processor_visit_fn visit, void *self) {
  tw_processor *processor;
  for (size_t i = 0; (processor = processor_at(router, i)); i++) {
    visit(self, processor->name, processor->on_error);
  }
}

bool tw_router_has_route(tw_router *router) {
  tw_topology_lock();
  bool has = router->route != NULL;
  tw_topology_unlock();
  return has;
}
