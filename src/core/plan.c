/* Plans: see plan.h for how events and changes pass each other. What needs the router's
   configuration happens under the topology lock; entering and leaving never take it. */
#include "core/plan.h"

#include <string.h>

/* More than ever can leave, so that `left` is not zero before the plan is replaced. */
#define BIAS (UINT64_C(1) << 62)

static int find_slot(const tw_router *router) {
  for (int i = 0; i < TW_PLAN_SLOTS; i++) {
    if (!router->slots[i]) return i;
  }
  return -1;
}

/* Both lists lie behind the plan in one allocation. The router keeps processors and ports
   for as long as a plan may name them, but route and watcher are replaced: a plan holds its
   own. */
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
                   "events are still inside %d earlier versions of the router; change it when "
                   "they have left",
                   TW_PLAN_SLOTS - 1);
  }
  size_t pointers = is_open ? router->processor_count + router->port_count : 0;
  tw_plan *plan = tw_calloc(1, sizeof *plan + pointers * sizeof(void *));
  if (!plan) return tw_no_memory(error);
  atomic_init(&plan->lanes, TW_LANES);
  for (unsigned i = 0; i < TW_LANES; i++) atomic_init(&plan->left[i].count, BIAS);
  atomic_init(&plan->holds, is_open ? 0 : 2); /* itself, and being the current era */
  plan->era = is_open ? NULL : plan;
  plan->router = router;
  plan->slot = (uint8_t)slot;
  if (is_open) copy_configuration(plan, router);
  router->slots[slot] = plan;
  *out = plan;
  return TW_OK;
}

static void drop_configuration(tw_plan *plan) {
  if (plan->route) tw_shared_unref(&plan->route->shared);
  if (plan->watcher) tw_shared_unref(&plan->watcher->shared);
}

/* The configuration holds route and watcher too: nothing is called from here. */
void tw_plan_discard(tw_plan *plan) {
  if (!plan) return;
  plan->router->slots[plan->slot] = NULL;
  drop_configuration(plan);
  tw_free(plan);
}

/* ----------------------------------------------------------------- replace */

void tw_plan_install(tw_plan *plan) {
  plan->router->current = plan;
  for (unsigned i = 0; i < TW_LANES; i++)
    atomic_store(&plan->router->lanes[i].gate, plan->slot);
}

/* The exchange of a lane's gate is the moment of the change there: who entered before it is
   inside the old plan and was counted, who enters after it is inside the new one. */
static uint64_t swap_gates(tw_router *router, uint8_t slot, uint64_t entered[TW_LANES]) {
  uint64_t all = 0;
  for (unsigned i = 0; i < TW_LANES; i++) {
    entered[i] = atomic_exchange(&router->lanes[i].gate, slot) / TW_GATE_ONE;
    all += entered[i];
  }
  return all;
}

uint64_t tw_plan_entered(const tw_router *router) {
  uint64_t all = 0;
  for (unsigned i = 0; i < TW_LANES; i++)
    all += atomic_load(&router->lanes[i].gate) / TW_GATE_ONE;
  return all;
}

void tw_plan_swap(tw_plan *plan, tw_change *change) {
  tw_router *router = plan->router;
  tw_plan *old = router->current;
  *change = (tw_change){.old = old};
  if (plan->is_open) {
    plan->era = old->era;
    atomic_fetch_add(&plan->era->holds, 1);
  } else {
    change->era = old->era;
    change->era->next = plan;
    atomic_fetch_add(&plan->holds, 1);
  }
  router->current = plan;
  uint64_t entered = swap_gates(router, plan->slot, change->entered);
  if (old->is_open) router->received += entered;
}

void tw_plan_remove(tw_router *router, tw_change *change) {
  *change = (tw_change){.old = router->current, .era = router->current->era};
  for (unsigned i = 0; i < TW_LANES; i++)
    change->entered[i] = atomic_load(&router->lanes[i].gate) / TW_GATE_ONE;
}

/* --------------------------------------------------------------------- end */

/* Takes a hold off an era; the last one ends it, and takes the hold off the next era. */
static void drop_era(tw_plan *era, const tw_way *way, tw_closing *closing) {
  while (era && atomic_fetch_sub(&era->holds, 1) == 1) {
    tw_router *router = era->router;
    tw_plan *next = era->next;
    if (next) tw_tree_release(next, way, closing);
    else tw_router_destroy(router);
    tw_free(era);
    era = next;
  }
}

/* The slot is given back under the lock, as changes look for a free one; what is called
   from here may be the host's, so that it runs without. */
static void end_plan(tw_plan *plan, const tw_way *way, tw_closing *closing) {
  tw_plan *era = plan->era;
  tw_topology_lock();
  plan->router->slots[plan->slot] = NULL;
  tw_topology_unlock();
  drop_configuration(plan);
  if (plan != era) tw_free(plan);
  drop_era(era, way, closing);
}

void tw_plan_end_lane(tw_plan *plan, const tw_way *way, tw_closing *closing) {
  if (atomic_fetch_sub(&plan->lanes, 1) == 1) end_plan(plan, way, closing);
}

/* The plan is there until its last lane has ended, which no lane does before its turn here. */
void tw_change_finish(const tw_change *change, const tw_way *way, tw_closing *closing) {
  tw_plan *old = change->old;
  if (!old) return;
  for (unsigned i = 0; i < TW_LANES; i++) {
    uint64_t outstanding = BIAS + change->entered[i];
    if (atomic_fetch_sub(&old->left[i].count, outstanding) == outstanding)
      tw_plan_end_lane(old, way, closing);
  }
  drop_era(change->era, way, closing);
}
