/* The first state is loaded before all others, so that a mistake in the script costs little.
   Tests run on one state more, which is freed again: what they leave in variables of the
   script is nobody's. */
#include "script/generation.h"

#include "base/alloc.h"
#include "base/status.h"
#include "core/inspect.h"

static tw_status rehearse(const tw_generation_plan *plan, tw_error *error) {
  tw_script *script;
  tw_script_setup setup = {.snapshot = plan->snapshot,
                           .generation = plan->number,
                           .host = plan->host,
                           .is_rehearsal = true,
                           .options = plan->options};
  tw_status status = tw_script_load_as(plan->path, &setup, &script, error);
  if (status == TW_OK) status = tw_script_rehearse(script, error);
  tw_script_free(script);
  if (status) tw_error_prefix(error, "%s: ", plan->path);
  return status;
}

static tw_status load_one(const tw_generation_plan *plan, tw_script **out, tw_error *error) {
  tw_script_setup setup = {.pool = plan->pool,
                           .host = plan->host,
                           .snapshot = plan->snapshot,
                           .generation = plan->number,
                           .options = plan->options};
  tw_status status = tw_script_load_as(plan->path, &setup, out, error);
  if (status == TW_OK && plan->observer)
    status = tw_router_watch(tw_script_router(*out), plan->observer, plan->self, error);
  return status;
}

tw_status tw_generation_load(const tw_generation_plan *plan, tw_generation **out,
                             tw_error *error) {
  *out = NULL;
  size_t size = sizeof(tw_generation) + plan->count * sizeof(tw_script *);
  tw_generation *generation = tw_calloc(1, size);
  if (!generation) return tw_no_memory(error);
  generation->number = plan->number;
  generation->snapshot = tw_snapshot_ref(plan->snapshot);
  generation->count = plan->count;
  tw_status status = TW_OK;
  for (unsigned i = 0; i < plan->count && status == TW_OK; i++) {
    status = load_one(plan, &generation->scripts[i], error);
    if (status == TW_OK && i == 0 && tw_script_has_tests(generation->scripts[0]))
      status = rehearse(plan, error);
  }
  if (status) tw_generation_free(generation, NULL);
  else *out = generation;
  return status;
}

tw_status tw_generation_open(tw_generation *generation, tw_error *error) {
  tw_status status = TW_OK;
  for (unsigned i = 0; i < generation->count && status == TW_OK; i++) {
    status = tw_router_open(tw_script_router(generation->scripts[i]), error);
    tw_script_release(generation->scripts[i]);
  }
  tw_snapshot_complete(generation->snapshot);
  return status;
}

tw_status tw_generation_free(tw_generation *generation, tw_error *error) {
  if (!generation) return TW_OK;
  tw_status first = TW_OK;
  for (unsigned i = 0; i < generation->count; i++) {
    tw_status status = tw_script_close(generation->scripts[i], first ? NULL : error);
    if (!first) first = status;
    tw_script_free(generation->scripts[i]);
  }
  tw_snapshot_unref(generation->snapshot);
  tw_free(generation);
  return first;
}
