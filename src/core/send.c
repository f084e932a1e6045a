/* An event's way through a tree. In each router it passes the processors in order, then goes
   as a copy of its own to each port, in ascending order of name; copies cost nothing until
   they are edited. A split makes several ways out of one, from the next processor on. What
   fails is told and never stops the ways beside it.

   A *passage* is an event's stay in one router. It lives on the stack of the thread that
   sends and is linked to the passage above, so that paths are made only when a failure is
   told. */
#include "core/ack.h"
#include "core/plan.h"
#include "core/split.h"
#include "core/targets.h"

typedef struct passage {
  tw_way way;
  const tw_plan *plan;
  unsigned flags, lane;
  uint64_t *reached; ///< see tw_router_deliver
} passage;

static tw_router_lane *counters(const passage *p) { return &p->way.router->lanes[p->lane]; }

/* Observers get a copy: their edits go nowhere. */
static void tell(const passage *p, const char *where, const char *name, const char *port,
                 const tw_event *event, const tw_error *error) {
  tw_event copy = tw_event_fork(event);
  tw_failure failure = {
      .where = where, .name = name, .event = &copy, .events = 1, .error = error};
  tw_tell(&p->way, port, &failure);
  tw_event_end(&copy);
}

/* ------------------------------------------------------------------- ports */

static void pass(const passage *p, tw_event *event, size_t from);

static void send_to_backend(const passage *p, const tw_port *port, const tw_event *event) {
  tw_error error;
  tw_error_clear(&error);
  tw_event copy = tw_event_fork(event);
  ++*p->reached;
  tw_status status = tw_backend_send(port->backend, &copy, p->flags, &error);
  if (status != TW_OK) {
    tw_error_complete(&error, status, "the backend");
    tw_ack_fail(status, &error);
    tell(p, "backend", NULL, port->name, event, &error);
  }
  tw_event_end(&copy);
}

static void send_to_router(const passage *up, const tw_port *port, const tw_event *event) {
  tw_plan *plan = tw_plan_enter(port->child, up->lane);
  passage p = {.way = {&up->way, port->name, port->child,
                       plan->watcher ? plan->watcher : up->way.watcher},
               .plan = plan,
               .flags = up->flags,
               .lane = up->lane,
               .reached = up->reached};
  tw_event copy = tw_event_fork(event);
  if (plan->is_open) {
    pass(&p, &copy, 0);
  } else {
    tw_error error;
    tw_fail(&error, TW_ECLOSED, "the router is not open");
    tw_ack_fail(TW_ECLOSED, &error);
    tell(up, "backend", NULL, port->name, event, &error);
  }
  tw_event_end(&copy);
  tw_plan_leave(plan, p.lane);
}

/* ------------------------------------------------------------------- route */

static void fail_route(const passage *p, const tw_event *event, tw_status status,
                       tw_error *error) {
  tw_error_complete(error, status, "the route");
  tw_lane_add(&counters(p)->failed);
  tell(p, "route", NULL, NULL, event, error);
}

/* Asks the route. A failure sends the event everywhere; so do names of which none is known.
   @param chosen  the event, which may get another priority
   @return whether `set` holds; otherwise every port gets the event */
static bool choose(const passage *p, tw_event *chosen, tw_port_set *set) {
  tw_error error, complaint;
  const tw_event *event = chosen;
  tw_targets targets = {.plan = p->plan, .set = set, .complaint = &complaint};
  const tw_route *route = p->plan->route;
  tw_status status = TW_OK;
  tw_error_clear(&error);
  if (!tw_port_set_init(set, p->plan->port_count, &event->store->arena)) {
    status = tw_no_memory(&error);
  } else {
    tw_event copy = tw_event_fork(event);
    status = route->ops.route(route->shared.self, &copy, &targets, &error);
    tw_event_end(&copy);
  }
  if (targets.has_priority) tw_event_set_priority(chosen, targets.priority);
  if (status != TW_OK) {
    fail_route(p, event, status, &error);
    return false;
  }
  if (targets.unknown != TW_OK) {
    fail_route(p, event, targets.unknown, &complaint);
    return targets.chosen > 0;
  }
  if (!targets.chosen) tw_lane_add(&counters(p)->unrouted);
  return true;
}

static void deliver(const passage *p, tw_event *event) {
  const tw_plan *plan = p->plan;
  tw_port_set set;
  set.words = NULL;
  bool is_chosen = plan->route && choose(p, event, &set);
  if (!plan->port_count && !plan->route) tw_lane_add(&counters(p)->unrouted);
  for (size_t i = 0; i < plan->port_count; i++) {
    const tw_port *port = plan->ports[i];
    if (is_chosen && !tw_port_set_has(&set, i)) continue;
    if (port->backend) send_to_backend(p, port, event);
    else send_to_router(p, port, event);
  }
}

/* -------------------------------------------------------------- processors */

/* An event whose processor failed, as it was before that.
   @return whether it goes on */
static bool recover(const passage *p, const tw_processor *processor, tw_event *event,
                    tw_error *error) {
  tw_error_complete(error, TW_EINVAL, "the processor");
  tw_lane_add(&counters(p)->failed);
  tell(p, "processor", processor->name, NULL, event, error);
  switch (processor->on_error) {
    case TW_ON_ERROR_PASS: return true;
    case TW_ON_ERROR_DROP: break;
    case TW_ON_ERROR_DEAD_LETTER: {
      tw_failure failure = {.where = "processor",
                            .name = processor->name,
                            .event = event,
                            .events = 1,
                            .error = error};
      if (!tw_tell_dead(&p->way, &failure)) break;
      tw_lane_add(&counters(p)->dead);
      return false;
    }
  }
  tw_lane_add(&counters(p)->dropped);
  return false;
}

/* Sends the pieces on. A piece that gets no id would pass for another one later. */
static void spread(const passage *p, const tw_processor *processor, tw_split *split,
                   tw_event *whole, size_t from) {
  if (!split->count) tw_lane_add(&counters(p)->dropped);
  for (uint32_t i = 0; i < split->count; i++) {
    tw_error error;
    tw_error_clear(&error);
    tw_event *piece = &split->pieces[i];
    bool has_id = tw_event_derive_id(piece, whole, i + 1, &error) == TW_OK;
    if (has_id || recover(p, processor, piece, &error)) pass(p, piece, from);
  }
}

/* One processor. @return whether the event goes on to the next */
static bool apply(const passage *p, size_t index, tw_event *event) {
  const tw_processor *processor = p->plan->processors[index];
  bool goes_on = false;
  tw_error error;
  tw_error_clear(&error);
  tw_event saved = tw_event_fork(event);
  tw_split split = {.whole = &saved, .now = event};
  tw_verdict verdict = processor->ops.process(processor->self, event, &split, &error);
  if (verdict == TW_SPLIT && split.is_short) {
    tw_no_memory(&error);
    verdict = TW_FAIL;
  } else if (verdict > TW_FAIL) {
    tw_fail(&error, TW_EINVAL, "the processor returned %u, which is no verdict",
            (unsigned)verdict);
    verdict = TW_FAIL;
  }
  switch (verdict) {
    case TW_PASS: goes_on = true; break;
    case TW_DROP: tw_lane_add(&counters(p)->dropped); break;
    case TW_SPLIT: spread(p, processor, &split, &saved, index + 1); break;
    case TW_FAIL:
      tw_split_fini(&split);
      tw_event_restore(event, &saved);
      return recover(p, processor, event, &error);
  }
  if (split.count) tw_split_fini(&split);
  tw_event_end(&saved);
  return goes_on;
}

static void pass(const passage *p, tw_event *event, size_t from) {
  for (size_t i = from; i < p->plan->processor_count; i++) {
    if (!apply(p, i, event)) return;
  }
  deliver(p, event);
}

/* -------------------------------------------------------------------- send */

/* What processors leave behind in the store of a host's event, which may be sent any number
   of times, adds up. When it outweighs the event, a copy goes instead. */
tw_status tw_router_deliver(tw_router *router, const tw_event *event, unsigned flags,
                            uint64_t *reached, tw_error *error) {
  *reached = 0;
  unsigned lane = tw_lane_here();
  tw_plan *plan = tw_plan_enter(router, lane);
  if (!plan->is_open) {
    tw_plan_leave(plan, lane);
    return tw_fail(error, TW_ECLOSED, "the router is not open");
  }
  tw_event *spare = NULL;
  if (tw_event_is_bloated(event) && tw_event_copy(event, &spare, NULL) == TW_OK) event = spare;
  passage p = {.way = {NULL, "", router, plan->watcher},
               .plan = plan,
               .flags = flags,
               .lane = lane,
               .reached = reached};
  tw_event copy = tw_event_fork(event);
  pass(&p, &copy, 0);
  tw_event_end(&copy);
  tw_plan_leave(plan, lane);
  tw_event_free(spare);
  return TW_OK;
}

tw_status tw_router_send(tw_router *router, const tw_event *event, unsigned flags,
                         tw_error *error) {
  uint64_t reached;
  return tw_router_deliver(router, event, flags, &reached, error);
}
