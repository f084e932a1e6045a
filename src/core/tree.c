/* Opening, flushing, closing and visiting a tree. Callbacks run without the topology lock:
   a walk asks for one port after the other, so that the tree may grow meanwhile. */
#include <limits.h>
#include <string.h>

#include "base/clock.h"
#include "core/plan.h"

/* -------------------------------------------------------------------- open */

/* Closing must not need memory: each router of the tree gets its closed plan now. */
static tw_status reserve_spares(tw_router *router, tw_error *error) {
  tw_status status = TW_OK;
  if (!router->spare) status = tw_plan_new(router, false, &router->spare, error);
  for (size_t i = 0; status == TW_OK && i < router->port_count; i++) {
    if (router->ports[i]->child) status = reserve_spares(router->ports[i]->child, error);
  }
  return status;
}

/* Counts the use, and one for each router below a router that had none. */
static void raise_uses(tw_router *router) {
  if (router->uses++) return;
  for (size_t i = 0; i < router->port_count; i++) {
    tw_port *port = router->ports[i];
    if (!port->child || port->is_used) continue;
    port->is_used = true;
    raise_uses(port->child);
  }
}

/* A port is marked after its backend is open. Of two threads that open it at the same time
   one waits in tw_backend_use, then finds the mark and gives its use back. */
static tw_status open_backend(tw_router *router, tw_port *port, tw_error *error) {
  uint64_t lost;
  tw_topology_lock();
  bool is_used = port->is_used;
  tw_topology_unlock();
  if (is_used) return TW_OK;
  tw_status status = tw_backend_use(port->backend, error);
  if (status != TW_OK) return status;
  tw_topology_lock();
  bool is_extra = port->is_used || !router->uses;
  if (!is_extra) port->is_used = true;
  tw_topology_unlock();
  if (is_extra) tw_backend_unuse(port->backend, &lost, NULL);
  return TW_OK;
}

static tw_status let_events_in(tw_router *router, tw_error *error) {
  tw_plan *plan;
  tw_change change = {0};
  tw_status status = TW_OK;
  tw_topology_lock();
  if (router->uses && !router->current->is_open) {
    status = tw_plan_new(router, true, &plan, error);
    if (status == TW_OK) tw_plan_swap(plan, &change);
  }
  tw_topology_unlock();
  tw_change_finish(&change, NULL, NULL);
  return status;
}

/* From the leaves up: a router lets events in when all behind it is open. */
static tw_status open_below(const tw_way *way, tw_error *error) {
  tw_router *router = way->router;
  tw_port *port = NULL;
  while ((port = tw_router_next_port(router, port))) {
    tw_status status;
    if (port->child) {
      tw_way below = {way, port->name, port->child, NULL};
      status = open_below(&below, error);
    } else {
      char path[200];
      status = open_backend(router, port, error);
      tw_way_path(way, port->name, path, sizeof path);
      if (status != TW_OK) tw_error_prefix(error, "%s: ", path);
    }
    if (status != TW_OK) return status;
  }
  return let_events_in(router, error);
}

tw_status tw_tree_use(tw_router *router, tw_error *error) {
  tw_way way = {NULL, "", router, NULL};
  tw_closing closing = {0};
  tw_topology_lock();
  tw_status status = reserve_spares(router, error);
  if (status == TW_OK) raise_uses(router);
  tw_topology_unlock();
  if (status != TW_OK) return status;
  status = open_below(&way, error);
  if (status != TW_OK) tw_tree_unuse(router, NULL, "", &closing);
  return status;
}

tw_status tw_router_open(tw_router *router, tw_error *error) {
  tw_closing closing = {0};
  tw_topology_lock();
  bool is_opened = router->is_opened;
  tw_topology_unlock();
  if (is_opened) return TW_OK;
  tw_status status = tw_tree_use(router, error);
  if (status != TW_OK) return status;
  tw_topology_lock();
  bool is_extra = router->is_opened;
  router->is_opened = true;
  router->was_closed = false;
  tw_topology_unlock();
  if (is_extra) tw_tree_unuse(router, NULL, "", &closing);
  return TW_OK;
}

tw_status tw_router_open_first(tw_router *router, tw_error *error) {
  tw_topology_lock();
  bool was_closed = router->was_closed;
  tw_topology_unlock();
  if (was_closed) return tw_fail(error, TW_ECLOSED, "the router was closed");
  return tw_router_open(router, error);
}

/* ------------------------------------------------------------ flush, close */

/* The observer that holds for a router: its own or that of the way above. Referenced. */
static tw_watcher *hold_watcher(tw_router *router) {
  tw_topology_lock();
  tw_watcher *watcher = router->watcher;
  if (watcher) tw_shared_ref(&watcher->shared);
  tw_topology_unlock();
  return watcher;
}

static void drop_watcher(tw_watcher *watcher) {
  if (watcher) tw_shared_unref(&watcher->shared);
}

static tw_way step_down(const tw_way *up, const char *name, tw_router *router,
                        const tw_watcher *own) {
  const tw_watcher *inherited = up ? up->watcher : NULL;
  return (tw_way){up, name, router, own ? own : inherited};
}

/* Tells that a backend failed to flush, and keeps the first such failure. */
static void note_failure(const tw_way *way, const tw_port *port, uint64_t lost,
                         tw_status status, const tw_error *cause, tw_closing *closing) {
  bool is_late = closing && closing->patience && status == TW_ELIMIT; /* no backend's fault */
  tw_failure failure = {.where = "backend", .events = lost, .error = cause};
  if (!is_late) tw_tell(way, port->name, &failure);
  if (!closing || closing->status != TW_OK) return;
  closing->status = status;
  if (!closing->error) return;
  char path[200];
  *closing->error = *cause;
  tw_way_path(way, port->name, path, sizeof path);
  tw_error_prefix(closing->error, "%s: ", path);
}

static int milliseconds_until(uint64_t end_ns) {
  if (end_ns == UINT64_MAX) return -1;
  uint64_t now = tw_clock_monotonic_ns();
  uint64_t left = end_ns > now ? (end_ns - now + 999999) / 1000000 : 0;
  return left < INT_MAX ? (int)left : INT_MAX;
}

static tw_status flush_backend(tw_backend *backend, const tw_closing *closing, uint64_t *lost,
                               tw_error *cause) {
  tw_patience *patience = closing ? closing->patience : NULL;
  if (!patience) return tw_backend_flush(backend, lost, cause);
  uint64_t remaining = 0;
  tw_status status = tw_backend_flush_within(backend, milliseconds_until(patience->end_ns),
                                             lost, &remaining, cause);
  patience->remaining += remaining;
  return status;
}

static void flush_below(const tw_way *way, tw_closing *closing) {
  tw_port *port = NULL;
  while ((port = tw_router_next_port(way->router, port))) {
    uint64_t lost;
    tw_error cause = {0};
    if (port->child) {
      tw_watcher *own = hold_watcher(port->child);
      tw_way below = step_down(way, port->name, port->child, own);
      flush_below(&below, closing);
      drop_watcher(own);
      continue;
    }
    tw_status status = flush_backend(port->backend, closing, &lost, &cause);
    if (status != TW_OK) note_failure(way, port, lost, status, &cause, closing);
  }
}

static tw_status flush_tree(tw_router *router, tw_patience *patience, tw_error *error) {
  tw_closing closing = {.error = error, .patience = patience};
  tw_watcher *own = hold_watcher(tw_router_ref(router));
  tw_way way = step_down(NULL, "", router, own);
  flush_below(&way, &closing);
  drop_watcher(own);
  tw_router_unref(router);
  return closing.status;
}

tw_status tw_router_flush(tw_router *router, tw_error *error) {
  return flush_tree(router, NULL, error);
}

tw_status tw_router_flush_within(tw_router *router, int timeout_ms, uint64_t *remaining,
                                 tw_error *error) {
  tw_patience patience = {.end_ns = UINT64_MAX};
  if (timeout_ms >= 0)
    patience.end_ns = tw_clock_monotonic_ns() + (uint64_t)timeout_ms * 1000000;
  tw_status status = flush_tree(router, &patience, error);
  if (remaining) *remaining = patience.remaining;
  return status;
}

/* A port whose use is to end; its mark is taken away. None when the router is in use again,
   or was since: then events may be inside that came later, and their era ends the uses. */
static tw_port *next_to_release(const tw_router *router, const tw_plan *closed) {
  tw_port *found = NULL;
  tw_topology_lock();
  bool is_due = !router->uses && router->current == closed;
  for (size_t i = 0; is_due && !found && i < router->port_count; i++) {
    if (router->ports[i]->is_used) found = router->ports[i];
  }
  if (found) found->is_used = false;
  tw_topology_unlock();
  return found;
}

static void release_ports(const tw_way *way, const tw_plan *closed, tw_closing *closing) {
  tw_port *port;
  while ((port = next_to_release(way->router, closed))) {
    uint64_t lost;
    tw_error cause = {0};
    if (port->child) {
      tw_tree_unuse(port->child, way, port->name, closing);
      continue;
    }
    tw_status status = tw_backend_unuse(port->backend, &lost, &cause);
    if (status != TW_OK) note_failure(way, port, lost, status, &cause, closing);
  }
}

void tw_tree_release(const tw_plan *closed, const tw_way *way, tw_closing *closing) {
  tw_router *router = closed->router;
  if (way) {
    release_ports(way, closed, closing);
    return;
  }
  tw_watcher *own = hold_watcher(router);
  tw_way root = step_down(NULL, "", router, own);
  release_ports(&root, closed, closing);
  drop_watcher(own);
}

/* A router that others still use is only flushed. */
void tw_tree_unuse(tw_router *router, const tw_way *up, const char *name, tw_closing *closing) {
  tw_watcher *own = hold_watcher(router);
  tw_way way = step_down(up, name, router, own);
  tw_change change = {0};
  tw_topology_lock();
  bool is_last = --router->uses == 0;
  if (is_last) {
    tw_plan_swap(router->spare, &change);
    router->spare = NULL;
  }
  tw_topology_unlock();
  tw_change_finish(&change, &way, closing);
  if (!is_last) flush_below(&way, closing);
  drop_watcher(own);
}

tw_status tw_router_close(tw_router *router, tw_error *error) {
  tw_closing closing = {.error = error};
  tw_topology_lock();
  bool is_opened = router->is_opened;
  router->is_opened = false;
  router->was_closed = true;
  tw_topology_unlock();
  if (!is_opened) return TW_OK;
  tw_router_ref(router);
  tw_tree_unuse(router, NULL, "", &closing);
  tw_router_unref(router);
  return closing.status;
}

/* ------------------------------------------------------------------- visit */

static tw_status visit_below(tw_router *router, tw_buffer *path, tw_visit_fn visit,
                             void *self) {
  tw_status status = TW_OK;
  tw_port *port = NULL;
  size_t base = path->len;
  while (status == TW_OK && (port = tw_router_next_port(router, port))) {
    bool fits = (!base || tw_buffer_byte(path, '/')) &&
                tw_buffer_append(path, port->name, port->len) && tw_buffer_pad(path, 1);
    if (!fits) return TW_ENOMEM;
    visit(self, path->data, port->backend, port->child);
    if (port->child) status = visit_below(port->child, path, visit, self);
    path->len = base;
  }
  return status;
}

tw_status tw_router_visit_with(tw_router *router, tw_buffer *path, tw_visit_fn visit,
                               void *self) {
  path->len = 0;
  tw_status status = visit_below(tw_router_ref(router), path, visit, self);
  tw_router_unref(router);
  return status;
}

tw_status tw_router_visit(tw_router *router, tw_visit_fn visit, void *self) {
  tw_buffer path = {0};
  tw_status status = tw_router_visit_with(router, &path, visit, self);
  tw_buffer_fini(&path);
  return status;
}
