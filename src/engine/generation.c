/* The first state is loaded before all others, so that a mistake in the script costs little.
   Tests run on one state more, which is freed again: what they leave in variables of the
   script is nobody's. */
#include "engine/generation.h"

#include "base/alloc.h"
#include "base/status.h"
#include "core/inspect.h"
#include "engine/outlet.h"

/* One whose backends are all in memory. */
static tw_status load_apart(const tw_generation_plan *plan, tw_script **out, tw_error *error) {
  tw_script_setup setup = {.snapshot = plan->snapshot,
                           .generation = plan->number,
                           .host = plan->host,
                           .is_rehearsal = true,
                           .options = plan->options};
  return tw_script_load_as(plan->path, &setup, out, error);
}

static tw_status rehearse(const tw_generation_plan *plan, tw_error *error) {
  tw_script *script;
  tw_status status = load_apart(plan, &script, error);
  if (status == TW_OK) status = tw_script_rehearse(script, error);
  tw_script_free(script);
  if (status) tw_error_prefix(error, "%s: ", plan->path);
  return status;
}

/* Backends with outboxes are called by their deliveries, whoever routed: workers need none of
   their own. */
tw_status tw_generation_load_bare(const tw_generation_plan *plan, unsigned worker,
                                  tw_script **out, tw_error *error) {
  tw_script_setup setup = {.pool = plan->pool,
                           .worker = plan->outlets->journal ? 0 : worker,
                           .host = plan->host,
                           .snapshot = plan->snapshot,
                           .generation = plan->number,
                           .options = plan->options};
  return tw_script_load_as(plan->path, &setup, out, error);
}

/* Puts outboxes before its backends, and has it watched. */
static tw_status equip(const tw_generation_plan *plan, tw_front **fronts, tw_script *script,
                       tw_error *error) {
  tw_status status = TW_OK;
  if (plan->outlets->journal)
    status = tw_outlets_wrap(plan->outlets, fronts, script, plan, error);
  if (status == TW_OK && plan->observer)
    status = tw_router_watch(tw_script_router(script), plan->observer, plan->self, error);
  return status;
}

tw_status tw_generation_load_one(const tw_generation_plan *plan, unsigned worker,
                                 tw_script **out, tw_error *error) {
  tw_status status = tw_generation_load_bare(plan, worker, out, error);
  if (status == TW_OK) status = equip(plan, plan->fronts, *out, error);
  if (status == TW_OK) return TW_OK;
  tw_script_free(*out);
  *out = NULL;
  return status;
}

/* What it decides tells whether there are outboxes, and what is observed. */
static tw_status load_first(const tw_generation_plan *plan, tw_generation *generation,
                            tw_error *error) {
  tw_script **first = generation->scripts;
  tw_status status = tw_generation_load_bare(plan, 0, first, error);
  if (status == TW_OK && tw_script_has_tests(*first)) status = rehearse(plan, error);
  if (status == TW_OK && !plan->count)
    status = plan->decide(plan->self, *first, &generation->count, error);
  return status ? status : equip(plan, &generation->fronts, *first, error);
}

static tw_status load_further(const tw_generation_plan *plan, tw_generation *generation,
                              unsigned worker, tw_error *error) {
  tw_script **script = &generation->scripts[worker];
  if (plan->gives_up && atomic_load(plan->gives_up))
    return tw_fail(error, TW_ECLOSED, "the engine is closed");
  tw_status status = tw_generation_load_bare(plan, worker, script, error);
  return status ? status : equip(plan, &generation->fronts, *script, error);
}

tw_status tw_generation_load(const tw_generation_plan *plan, tw_generation **out,
                             tw_error *error) {
  *out = NULL;
  tw_generation *generation = tw_calloc(1, sizeof *generation);
  if (!generation) return tw_no_memory(error);
  generation->number = plan->number;
  generation->snapshot = tw_snapshot_ref(plan->snapshot);
  generation->ledger = plan->ledger;
  generation->count = plan->count;
  tw_status status = load_first(plan, generation, error);
  for (unsigned i = 1; i < generation->count && status == TW_OK; i++)
    status = load_further(plan, generation, i, error);
  if (status) tw_generation_free(generation, NULL);
  else *out = generation;
  return status;
}

tw_status tw_generation_deal(tw_generation *generation, const tw_generation_plan *plan,
                             tw_error *error) {
  tw_script *script;
  tw_status status = load_apart(plan, &script, error);
  return status ? status : tw_dealer_new(script, &generation->dealer, error);
}

tw_status tw_generation_open(tw_generation *generation, tw_error *error) {
  tw_status status = TW_OK;
  for (unsigned i = 0; i < generation->count && status == TW_OK; i++) {
    status = tw_router_open(tw_script_router(generation->scripts[i]), error);
    tw_script_release(generation->scripts[i]);
  }
  for (unsigned i = 0; i < generation->count && status == TW_OK; i++) {
    status =
        tw_ledger_enter(generation->ledger, tw_script_router(generation->scripts[i]), error);
    generation->entered += status == TW_OK;
  }
  tw_snapshot_complete(generation->snapshot);
  return status;
}

tw_status tw_generation_free(tw_generation *generation, tw_error *error) {
  if (!generation) return TW_OK;
  tw_status first = TW_OK;
  for (unsigned i = 0; i < TW_MAX_WORKERS && generation->scripts[i]; i++) {
    tw_script *script = generation->scripts[i];
    tw_status status = tw_script_close(script, first ? NULL : error);
    if (!first) first = status;
    if (i < generation->entered) tw_ledger_leave(generation->ledger, tw_script_router(script));
    tw_script_free(script);
  }
  tw_fronts_free(generation->fronts);
  tw_dealer_free(generation->dealer);
  tw_snapshot_unref(generation->snapshot);
  tw_free(generation);
  return first;
}
