/// inspect.h: what the layers above may learn about a router beyond its public statistics.
#ifndef TW_CORE_INSPECT_H
#define TW_CORE_INSPECT_H

#include "base/buffer.h"
#include "tidewire.h"

/// tw_router_send that also tells what became of the event.
///
/// @param[out] reached  how many times the event, or a piece of it, was handed to a
///                      backend in the tree, whether that took it or failed; 0 when
///                      processors and routes ended its way everywhere. What the script
///                      emits meanwhile does not count
tw_status tw_router_deliver(tw_router *router, const tw_event *event, unsigned flags,
                            uint64_t *reached, tw_error *error);

/// Tells the router's observer of a failure that no event has met, such as a timer's, and
/// counts it.
/// @param where  what failed: "timer", "close" or "state"
void tw_router_report(tw_router *router, const char *where, const char *name,
                      const tw_error *error);
/// The same for what is no failure of its own, and not counted as one.
/// @param where  "breaker"
void tw_router_notice(tw_router *router, const char *where, const char *name,
                      const tw_error *error);

/// @param name  borrowed for the call
typedef void (*tw_processor_visit_fn)(void *self, const char *name, tw_on_error on_error);
/// Visits the processors of this router alone, in order.
void tw_router_visit_processors(tw_router *router, tw_processor_visit_fn visit, void *self);
/// @return whether the router chooses its backends with a route of its own
bool tw_router_has_route(tw_router *router);

/// Has everything in a tree observed: by `observer`, and besides by the observers that the
/// tree has already. One of them that is set later takes its place.
///
/// @param observer  copied; its `free` is not called
/// @param self      borrowed: outlives the tree
tw_status tw_router_watch(tw_router *router, const tw_observer *observer, void *self,
                          tw_error *error);

/// tw_router_visit with a buffer for the paths, which is kept: a second visit needs memory only
/// for longer ones.
tw_status tw_router_visit_with(tw_router *router, tw_buffer *path, tw_visit_fn visit,
                               void *self);

/// Says how the backend of this name is to be delivered to, by those who have outboxes.
/// @param json  an object of options (delivery.h), copied, not looked at
/// @return TW_OK, TW_ENOENT, TW_EINVAL when it is a router, TW_ENOMEM
tw_status tw_router_set_delivery(tw_router *router, const char *name, const char *json,
                                 size_t len, tw_error *error);

/// @return whether that was said of a backend in the tree
bool tw_router_has_delivery(tw_router *router);

/// Puts another backend into the place of each one in a tree that was never open, and which
/// nobody changes meanwhile. A backend that hangs there under two names is one for each; of a
/// router that does, what is below it is wrapped once, under the path that comes first.
///
/// @param backend  borrowed. @param delivery  as above; NULL: nothing was said
/// @param[out] out  what takes its place: a reference is kept. May be `backend` with a new
///                  reference
typedef tw_status (*tw_wrap_fn)(void *self, const char *path, tw_backend *backend,
                                const char *delivery, size_t len, tw_backend **out,
                                tw_error *error);
/// @return TW_OK; TW_EINVAL for an open tree; what `wrap` said first: then some are replaced
///         and the others not
tw_status tw_router_wrap(tw_router *router, tw_wrap_fn wrap, void *self, tw_error *error);

#endif
