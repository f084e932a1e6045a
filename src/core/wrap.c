/* Other backends in the places of those in a tree, before it is opened for the first time: so
   no event and no plan knows the ones before.

   A router that hangs in the tree twice is met once, by the path that comes first in order of
   name; what is behind its ports has one place in memory, however many paths lead there. */
#include <string.h>

#include "core/router.h"

/* ---------------------------------------------------------------- delivery */

static tw_port *find_port(tw_router *router, const char *name) {
  tw_port *port = NULL;
  while ((port = tw_router_next_port(router, port)) && strcmp(port->name, name) != 0) continue;
  return port;
}

tw_status tw_router_set_delivery(tw_router *router, const char *name, const char *json,
                                 size_t len, tw_error *error) {
  tw_port *port = find_port(router, name);
  if (!port) return tw_router_fail_unknown(router, name, error);
  if (port->child)
    return tw_fail(error, TW_EINVAL,
                   "\"%.80s\" is a router; say how its backends are delivered to", name);
  char *copy = tw_malloc(len + 1);
  if (!copy) return tw_no_memory(error);
  memcpy(copy, json, len);
  copy[len] = '\0';
  tw_topology_lock();
  char *before = port->delivery;
  port->delivery = copy;
  port->delivery_len = len;
  tw_topology_unlock();
  tw_free(before);
  return TW_OK;
}

/* Trees are small, and this is asked when they are loaded: a router that hangs in one twice is
   looked at twice. */
bool tw_router_has_delivery(tw_router *router) {
  tw_port *port = NULL;
  bool has = false;
  while (!has && (port = tw_router_next_port(router, port)))
    has = port->child ? tw_router_has_delivery(port->child) : port->delivery != NULL;
  return has;
}

/* -------------------------------------------------------------------- wrap */

typedef struct wrapping {
  tw_wrap_fn wrap;
  void *self;
  uint64_t mark; /* of the routers that were met */
  tw_buffer path;
  tw_error *error;
} wrapping;

static tw_status replace(const wrapping *to, tw_port *port) {
  tw_backend *other = NULL;
  tw_status status = to->wrap(to->self, to->path.data, port->backend, port->delivery,
                              port->delivery_len, &other, to->error);
  if (status != TW_OK) return status;
  tw_topology_lock();
  tw_backend *before = port->backend;
  port->backend = other;
  tw_topology_unlock();
  tw_backend_unref(before);
  return TW_OK;
}

/* @return whether the router is met for the first time; TW_EINVAL in `status` when events may
   be inside */
static bool meet(const wrapping *to, tw_router *router, tw_status *status) {
  tw_topology_lock();
  bool is_new = router->mark != to->mark, is_open = router->uses > 0;
  router->mark = to->mark;
  tw_topology_unlock();
  *status = is_open ? tw_fail(to->error, TW_EINVAL, "the router is open already") : TW_OK;
  return is_new && !is_open;
}

static tw_status wrap_below(wrapping *to, tw_router *router) {
  tw_status status;
  tw_port *port = NULL;
  tw_buffer *path = &to->path;
  size_t base = path->len;
  if (!meet(to, router, &status)) return status;
  while (status == TW_OK && (port = tw_router_next_port(router, port))) {
    bool fits = (!base || tw_buffer_byte(path, '/')) &&
                tw_buffer_append(path, port->name, port->len) && tw_buffer_pad(path, 1);
    if (!fits) return tw_no_memory(to->error);
    status = port->child ? wrap_below(to, port->child) : replace(to, port);
    path->len = base;
  }
  return status;
}

tw_status tw_router_wrap(tw_router *router, tw_wrap_fn wrap, void *self, tw_error *error) {
  wrapping to = {.wrap = wrap, .self = self, .mark = tw_router_new_mark(), .error = error};
  tw_status status = wrap_below(&to, tw_router_ref(router));
  tw_router_unref(router);
  tw_buffer_fini(&to.path);
  return status;
}
