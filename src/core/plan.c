#include "core/plan.h"

#include <string.h>

#define BIAS (INT64_C(1) << 62)

static int find_slot(const tw_router *router) {
  for (int i = 0; i < TW_PLAN_SLOTS; i++) {
    if (!router->slots[i]) return i;
  }
  return -1;
}

static void copy_configuration(tw_plan *plan, const tw_router *router) {
  plan->is_open = true;
  plan->processor_count = router->processor_count;
  plan->port_count = router->port_count;
  plan->processors = (tw_processor **)(plan + 1);
  plan->ports = (tw_port **)(plan->processors + plan->processor_count);
  for (size_t i = 0; i < plan->processor_count; i++)
    plan->processors[i] = router->processors[i];
  for (size_t i = 0; i < plan->port_count; i++) plan->ports[i] = router->ports[i];
  plan->route = router->route;
  plan->watcher = router->watcher;
  if (plan->route) tw_shared_ref(&plan->route->shared);
  if (plan->watcher) tw_shared_ref(&plan->watcher->shared);
}

tw_status tw_plan_new(tw_router *router, bool is_open, tw_plan **out, tw_error *error) {
  int slot = find_slot(router);
  *out = NULL;
  if (slot < 0) {
    return tw_fail(error, TW_ELIMIT,
                   "%d changes of the router wait for an event that is still inside; "
                   "change it after that event",
                   TW_PLAN_SLOTS);
  }
  size_t pointers = is_open ? router->processor_count + router->port_count : 0;
  tw_plan *plan = tw_calloc(1, sizeof *plan + pointers * sizeof(void *));
  if (!plan) return tw_no_memory(error);
  atomic_init(&plan->left, BIAS);
  plan->router = router;
  plan->slot = (uint8_t)slot;
  if (is_open) copy_configuration(plan, router);
  router->slots[slot] = plan;
  *out = plan;
  return TW_OK;
}

static void free_plan(tw_plan *plan) {
  if (plan->route) tw_shared_unref(&plan->route->shared);
  if (plan->watcher) tw_shared_unref(&plan->watcher->shared);
  tw_free(plan);
}

/* The configuration holds route and watcher too: nothing is called from here. */
void tw_plan_discard(tw_plan *plan) {
  if (!plan) return;
  plan->router->slots[plan->slot] = NULL;
  free_plan(plan);
}

void tw_plan_install(tw_plan *plan) {
  plan->router->current = plan;
  atomic_store(&plan->router->gate, plan->slot);
}

tw_plan *tw_plan_swap(tw_plan *plan, uint64_t *entered) {
  tw_router *router = plan->router;
  tw_plan *old = router->current;
  atomic_fetch_sub(&plan->left, 1); /* the predecessor is inside */
  old->next = plan;
  router->current = plan;
  *entered = atomic_exchange(&router->gate, plan->slot) / TW_GATE_ONE;
  if (old->is_open) router->received += *entered;
  return old;
}

void tw_plan_retire(tw_plan *plan, uint64_t entered, const tw_way *way, tw_closing *closing) {
  int64_t outstanding = BIAS + (int64_t)entered;
  if (atomic_fetch_sub(&plan->left, outstanding) == outstanding) {
    tw_plan_end(plan, way, closing);
  }
}

void tw_plan_end(tw_plan *plan, const tw_way *way, tw_closing *closing) {
  while (plan) {
    tw_router *router = plan->router;
    tw_plan *next = plan->next;
    if (plan->releases) tw_tree_release(router, way, closing);
    tw_topology_lock();
    router->slots[plan->slot] = NULL;
    tw_topology_unlock();
    free_plan(plan);
    if (!next) tw_router_destroy(router);
    bool next_is_empty = next && atomic_fetch_add(&next->left, 1) == -1;
    plan = next_is_empty ? next : NULL;
  }
}
