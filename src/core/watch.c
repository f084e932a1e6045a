/// watch.c: an observer beside another.
///
/// A router below that has an observer of its own does not ask the one above it. So the new
/// one is put in front of each that there is, and at the root in any case.
#include "base/alloc.h"
#include "core/router.h"

typedef struct pair {
  tw_observer first;
  void *self;         ///< of the first, borrowed
  tw_watcher *second; ///< a reference; NULL: there is none
} pair;

static void both_failed(void *self, const tw_failure *failure) {
  const pair *both = self;
  if (both->first.failed) both->first.failed(both->self, failure);
  if (both->second && both->second->observer.failed)
    both->second->observer.failed(both->second->shared.self, failure);
}

static void both_dead(void *self, const tw_failure *failure) {
  const pair *both = self;
  if (both->first.dead) both->first.dead(both->self, failure);
  if (both->second && both->second->observer.dead)
    both->second->observer.dead(both->second->shared.self, failure);
}

static void free_pair(void *self) {
  pair *both = self;
  if (both->second) tw_shared_unref(&both->second->shared);
  tw_free(both);
}

/// @return the router's own observer, as a reference; NULL when it has none
static tw_watcher *own_watcher(tw_router *router) {
  tw_topology_lock();
  tw_watcher *watcher = router->watcher;
  if (watcher) tw_shared_ref(&watcher->shared);
  tw_topology_unlock();
  return watcher;
}

/// A router that hangs in the tree twice is met twice.
static bool is_watched(const tw_watcher *watcher, const void *self) {
  return watcher && watcher->observer.failed == both_failed &&
         ((const pair *)watcher->shared.self)->self == self;
}

typedef struct watching {
  const tw_observer *observer;
  void *self;
  tw_status status; ///< the first failure
  tw_error *error;
} watching;

/// @param watcher  kept; may be NULL
static void put_before(watching *to, tw_router *router, tw_watcher *watcher) {
  pair *both = tw_malloc(sizeof *both);
  if (!both) {
    if (watcher) tw_shared_unref(&watcher->shared);
    to->status = tw_no_memory(to->error);
    return;
  }
  *both = (pair){.first = *to->observer, .self = to->self, .second = watcher};
  bool keeps = to->observer->dead || (watcher && watcher->observer.dead);
  tw_observer ops = {
      .failed = both_failed, .dead = keeps ? both_dead : NULL, .free = free_pair};
  to->status = tw_router_set_observer(router, &ops, both, to->error);
}

static void watch_child(void *self, const char *path, tw_backend *backend, tw_router *child) {
  watching *to = self;
  (void)path, (void)backend;
  tw_watcher *watcher = child && !to->status ? own_watcher(child) : NULL;
  if (!watcher) return;
  if (is_watched(watcher, to->self)) tw_shared_unref(&watcher->shared);
  else put_before(to, child, watcher);
}

tw_status tw_router_watch(tw_router *router, const tw_observer *observer, void *self,
                          tw_error *error) {
  watching to = {.observer = observer, .self = self, .status = TW_OK, .error = error};
  put_before(&to, router, own_watcher(router));
  tw_status status = tw_router_visit(router, watch_child, &to);
  return to.status ? to.status : status;
}
