/// plan.h: how events and changes of a router pass each other without a lock.
///
/// An event *enters* the router's current plan and *leaves* it again; a plan that was
/// replaced is freed by whoever leaves it last.
///
/// A `gate` of the router is one word: the current plan's slot in the low byte, above it how
/// many have entered that plan. Entering is one atomic addition, which counts and tells the
/// slot at the same moment, so that no plan is freed between finding and holding it. Leaving
/// is one atomic addition to the plan's `left`. Replacing the plan exchanges the gate, which
/// tells how many entered the old one for good; that many are subtracted from its `left`.
/// `left` starts with a bias that goes at the same time: it is zero exactly when the plan is
/// replaced and empty. However many events flow, those inside one plan leave it in time: a
/// change is never put off by later events.
///
/// All of this is there once for each lane (lane.h), and an event leaves by the lane where it
/// entered. The lanes of a router change one after the other; a plan ends when it is empty
/// in all of them.
///
/// An *era* is the plans from one closed plan to before the next: the router's time from
/// being closed through being open. What is to happen after its last event (closing the
/// backends, at the end freeing the router) waits for all plans of the era and of earlier
/// ones. The closed plan that begins an era stands for it.
#ifndef TW_CORE_PLAN_H
#define TW_CORE_PLAN_H

#include "core/router.h"

#define TW_GATE_ONE  ((uint64_t)TW_PLAN_SLOTS)
#define TW_GATE_SLOT ((uint64_t)TW_PLAN_SLOTS - 1)

struct tw_plan {
  tw_lane left[TW_LANES]; ///< written by each event
  atomic_uint lanes;      ///< that are not both replaced and empty
  tw_router *router;
  bool is_open; ///< lets events in; a closed plan has nothing else
  uint8_t slot;
  tw_route *route;
  tw_watcher *watcher;
  size_t processor_count, port_count;
  tw_processor **processors;
  tw_port **ports;
  tw_plan *era; ///< the closed plan that began the plan's era

  /* Of an era. */
  atomic_size_t holds; ///< its plans, the era before, and being the current one
  tw_plan *next;       ///< set when the era is over; NULL then: its end is the router's
};

/// A plan that was replaced, and its era when that is over.
typedef struct tw_change {
  tw_plan *old; ///< NULL: nothing was replaced
  uint64_t entered[TW_LANES];
  tw_plan *era; ///< NULL: it goes on
} tw_change;

/// Makes a plan of the configuration and keeps a slot for it. Under the lock.
/// @param is_open  false: a closed plan
tw_status tw_plan_new(tw_router *router, bool is_open, tw_plan **out, tw_error *error);
/// Frees a plan that was never current. Under the lock.
void tw_plan_discard(tw_plan *plan);
/// @return how many events have entered the current plan
uint64_t tw_plan_entered(const tw_router *router);
/// Makes the first plan of a new router current.
void tw_plan_install(tw_plan *plan);
/// Makes a plan current; a closed one begins an era. Under the lock, without which
/// tw_change_finish follows.
void tw_plan_swap(tw_plan *plan, tw_change *change);
/// Lets the last plan of a router go that nobody can enter any more. Under the lock, as above.
void tw_plan_remove(tw_router *router, tw_change *change);
/// Ends the old plan when all have left it, or else the last to leave will.
/// @param way, closing  for tw_tree_release, when this call ends the era; may be NULL
void tw_change_finish(const tw_change *change, const tw_way *way, tw_closing *closing);
/// Follows the last that left a plan by one of its lanes.
void tw_plan_end_lane(tw_plan *plan, const tw_way *way, tw_closing *closing);

static inline tw_plan *tw_plan_enter(tw_router *router, unsigned lane) {
  uint64_t gate =
      atomic_fetch_add_explicit(&router->lanes[lane].gate, TW_GATE_ONE, memory_order_acquire);
  return router->slots[gate & TW_GATE_SLOT];
}

static inline void tw_plan_leave(tw_plan *plan, unsigned lane) {
  if (atomic_fetch_add_explicit(&plan->left[lane].count, 1, memory_order_acq_rel) ==
      UINT64_MAX) {
    tw_plan_end_lane(plan, NULL, NULL);
  }
}

#endif
