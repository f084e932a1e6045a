/// router.h: the inside of a router.
///
/// A router has a *configuration*, which the *topology* lock guards, and a *plan*, the
/// immutable picture of it that events are routed by. A change makes a new plan; see plan.h.
/// One lock serves all routers, because trees may share routers; it is held for moments,
/// never while a callback runs, and never by an event on its way.
///
/// A *port* is a name in a router with the backend or router behind it. Ports are added and
/// never removed, so that a pointer to one is good as long as its router.
///
/// A *use* is a wish that a tree be open: tw_router_open's, or an open parent's. A router
/// with uses holds a use of every backend and child behind its ports.
#ifndef TW_CORE_ROUTER_H
#define TW_CORE_ROUTER_H

#include "base/lane.h"
#include "core/backend.h"
#include "core/inspect.h"
#include "core/processor.h"

typedef struct tw_plan tw_plan;

typedef struct tw_port {
  tw_backend *backend; ///< owned; either this
  tw_router *child;    ///< owned; or this
  bool is_used;        ///< it holds a use of what is behind it; guarded
  char *delivery;      ///< of a backend: options as JSON, owned; NULL: none. Guarded
  size_t delivery_len;
  size_t len;
  char name[];
} tw_port;

/// What a host gave and may take back while events are inside: freed with the last plan.
typedef struct tw_shared {
  atomic_size_t refs;
  void (*free)(void *self);
  void *self;
} tw_shared;

typedef struct tw_route {
  tw_shared shared;
  tw_route_ops ops;
} tw_route;

typedef struct tw_watcher {
  tw_shared shared;
  tw_observer observer;
} tw_watcher;

/// Plans that may be alive at once: one is current, the others wait for events to leave.
#define TW_PLAN_SLOTS 256

/// What each event writes.
typedef struct tw_router_lane {
  atomic_uint_fast64_t gate; ///< see plan.h
  atomic_uint_fast64_t dropped, unrouted, failed, dead;
  char pad[TW_LANE_SIZE - 5 * sizeof(atomic_uint_fast64_t)];
} tw_router_lane;

struct tw_router {
  tw_router_lane lanes[TW_LANES];
  tw_plan *slots[TW_PLAN_SLOTS];
  atomic_size_t refs;
  atomic_uint_fast64_t told; ///< failures that the default observer has seen

  /* All below is guarded by the topology lock. */
  tw_plan *current;
  tw_plan *spare; ///< a closed plan, so that closing needs no memory; there while in use
  tw_processor **processors;
  tw_port **ports; ///< in ascending order of name
  size_t processor_count, processor_cap, port_count, port_cap;
  tw_route *route;
  tw_watcher *watcher;
  size_t uses;
  bool is_opened;    ///< by tw_router_open
  bool was_closed;   ///< by tw_router_close
  uint64_t received; ///< by plans that are no longer current
  uint64_t mark;     ///< of the last search that came by
};

/// Where in a tree a call is: the routers from the root down, on the callers' stacks.
typedef struct tw_way {
  const struct tw_way *up;
  const char *name; ///< of the port that led here, "" for the root
  tw_router *router;
  const tw_watcher *watcher; ///< who is told; NULL: the default
} tw_way;

void tw_topology_lock(void);
void tw_topology_unlock(void);

void tw_shared_ref(tw_shared *shared);
/// Frees it with the last reference; NULL is allowed.
void tw_shared_unref(tw_shared *shared);

/// The port behind `port` in order of name, the first for NULL. @return NULL after the last
tw_port *tw_router_next_port(tw_router *router, const tw_port *port);
/// @return by how far the port's name is before (< 0) or behind a name
int tw_port_compare(const tw_port *port, const char *name, size_t len);
/// TW_ENOENT, with a message that lists the known names.
tw_status tw_router_fail_unknown(tw_router *router, const char *name, tw_error *error);
/// @return what no router is marked with yet
uint64_t tw_router_new_mark(void);
/// Frees the router: no event can be inside or come.
void tw_router_destroy(tw_router *router);

/* -------------------------------------------------------------------- tree */

/// How long a flush may take, and what was not done by then.
typedef struct tw_patience {
  uint64_t end_ns;    ///< on the monotonic clock; UINT64_MAX: no end
  uint64_t remaining; ///< events
} tw_patience;

/// How far closing, or a flush, has come, and its first failure.
typedef struct tw_closing {
  tw_error *error;
  tw_status status;
  tw_patience *patience; ///< NULL: backends take the time they need
} tw_closing;

/// Takes a use: opens what is not open. On failure nothing is left behind; the message
/// begins with the backend's path below `router`.
tw_status tw_tree_use(tw_router *router, tw_error *error);
/// Ends a use. After the last, the last event inside flushes and closes.
/// @param up, name  the way to the router, for messages
void tw_tree_unuse(tw_router *router, const tw_way *up, const char *name, tw_closing *closing);
/// Ends the uses that a router's ports hold, after the last event before it was closed.
/// @param closed  the plan that closed it
/// @param way  to the router; NULL when an event that left brought us here
void tw_tree_release(const tw_plan *closed, const tw_way *way, tw_closing *closing);
/// tw_router_open, unless it was closed before: TW_ECLOSED.
tw_status tw_router_open_first(tw_router *router, tw_error *error);

/* --------------------------------------------------------------- observing */

/// Writes the path of the way, and of a port of it, cut at `room`. `port` may be NULL.
void tw_way_path(const tw_way *way, const char *port, char *out, size_t room);
/// Tells a failure to the observer of the way. `failure->path` is filled in here.
/// @param port  the name of the backend that failed; NULL otherwise
void tw_tell(const tw_way *way, const char *port, tw_failure *failure);
/// Hands the event of a failure to the observer's `dead`. @return false when it has none
bool tw_tell_dead(const tw_way *way, tw_failure *failure);

#endif
