/* report.c: failures that no event on its way has met. */
#include "core/router.h"

/* The observer may be replaced while it is told: a reference keeps it. */
static tw_watcher *watcher_of(tw_router *router) {
  tw_topology_lock();
  tw_watcher *watcher = router->watcher;
  if (watcher) tw_shared_ref(&watcher->shared);
  tw_topology_unlock();
  return watcher;
}

void tw_router_notice(tw_router *router, const char *where, const char *name,
                      const tw_error *error) {
  tw_watcher *watcher = watcher_of(router);
  tw_way way = {.name = "", .router = router, .watcher = watcher};
  tw_failure failure = {.where = where, .name = name, .error = error};
  tw_tell(&way, NULL, &failure);
  if (watcher) tw_shared_unref(&watcher->shared);
}

void tw_router_report(tw_router *router, const char *where, const char *name,
                      const tw_error *error) {
  tw_lane_add(&router->lanes[tw_lane_here()].failed);
  tw_router_notice(router, where, name, error);
}
