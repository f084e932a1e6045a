/* Only the worker uses its script, so it needs no lock to make another. The place in the
   generation that owns the script is what others look at: reading and changing it wants the
   worker's mutex. A reload that waits for the worker to change over goes on waiting; what it
   frees then is the new script.

   The generation is not asked for what to load: while a reload is under way, the engine's is
   not the worker's yet, or not any more. The script itself knows what it was loaded from. */
#include "engine/rebuild.h"

#include <stdio.h>

#include "base/clock.h"
#include "base/status.h"
#include "core/inspect.h"
#include "engine/engine.h"
#include "script/upkeep.h"

enum { MOST = 5 };
#define WINDOW_NS ((uint64_t)60 * 1000000000)
#define REST_NS   ((uint64_t)60 * 1000000000)

tw_rebuild_answer tw_rebuilds_ask(tw_rebuilds *self, uint64_t now) {
  if (self->until && now < self->until) return TW_REBUILD_RESTS;
  if (self->until || now - self->since > WINDOW_NS) *self = (tw_rebuilds){0};
  if (!self->count) self->since = now;
  if (self->count++ < MOST) return TW_REBUILD_NOW;
  self->until = now + REST_NS;
  return TW_REBUILD_STOPS;
}

/* ---------------------------------------------------------------------- make */

static double mib(size_t bytes) { return (double)bytes / (1 << 20); }

/* What closing it fails with, its observers are told. */
static void discard(tw_engine *engine, tw_script *script) {
  tw_script_close(script, NULL);
  tw_ledger_leave(&engine->ledger, tw_script_router(script));
  tw_script_free(script);
}

static tw_status load(tw_engine *engine, const tw_script *old, tw_script **out,
                      tw_error *error) {
  const tw_script_setup *setup = tw_script_get_setup(old);
  bool observed = engine->observer.failed || engine->observer.dead;
  tw_generation_plan plan = {.path = engine->path,
                             .number = setup->generation,
                             .pool = setup->pool,
                             .host = setup->host,
                             .snapshot = setup->snapshot,
                             .observer = observed ? &engine->observer : NULL,
                             .self = engine,
                             .outlets = &engine->outlets,
                             .fronts = &engine->generation->fronts};
  tw_engine_sandbox sandbox;
  *out = NULL;
  tw_status status =
      tw_engine_sandbox_read(engine->host_options, engine->host_options_len, &sandbox, error);
  plan.options = &sandbox.script;
  if (status == TW_OK) status = tw_generation_load_one(&plan, setup->worker, out, error);
  if (status == TW_OK) status = tw_router_open(tw_script_router(*out), error);
  if (status == TW_OK) status = tw_ledger_enter(&engine->ledger, tw_script_router(*out), error);
  tw_engine_sandbox_fini(&sandbox);
  if (status == TW_OK) return TW_OK;
  tw_script_free(*out);
  *out = NULL;
  return status;
}

static tw_status move_state(tw_script *old, tw_script *next, tw_error *why) {
  tw_buffer state = {0};
  tw_status status = tw_script_export_state(old, &state, why);
  if (status == TW_OK) status = tw_script_import_state(next, state.data, state.len, why);
  tw_script_memory held = tw_script_collect(next);
  if (status == TW_OK && held.used > held.most / 2)
    status = tw_fail(why, TW_ELIMIT, "it alone fills %.3g of %.3g MiB", mib(held.used),
                     mib(held.most));
  tw_buffer_fini(&state);
  return status;
}

/* Without memory for a third script, what could be taken over stays in the second. */
static void begin_anew(tw_engine *engine, const tw_script *old, tw_script **next) {
  tw_script *other;
  if (load(engine, old, &other, NULL)) return;
  discard(engine, *next);
  *next = other;
}

/* --------------------------------------------------------------------- swap */

static void swap(tw_engine *engine, tw_worker *worker, tw_script *next) {
  tw_script *old = worker->script;
  pthread_mutex_lock(&worker->mutex);
  tw_script_follow(next, old);
  *worker->home = worker->script = next;
  pthread_mutex_unlock(&worker->mutex);
  discard(engine, old);
}

static void tell(const tw_worker *worker, const tw_error *error) {
  tw_router_report(tw_script_router(worker->script), "state", NULL, error);
}

/* Replaces the script, and says in `error` what became of its state. */
static void replace(tw_engine *engine, tw_worker *worker, tw_script *next, const char *what,
                    tw_error *error) {
  tw_error why = {0};
  tw_script *old = worker->script;
  tw_script_lend_memory(old);
  if (tw_script_finish(old, true, &why)) tell(worker, &why);
  tw_status status = move_state(old, next, &why);
  if (status) begin_anew(engine, old, &next);
  swap(engine, worker, next);
  atomic_fetch_add(&engine->rebuilt, 1);
  if (status)
    tw_fail(error, TW_ELIMIT, "%s was made anew, and its tidewire.state begun anew: %s", what,
            why.message);
  else tw_fail(error, TW_ELIMIT, "%s was made anew, and its tidewire.state handed over", what);
}

static void describe(const tw_engine *engine, const tw_worker *worker, char *out, size_t room) {
  tw_script_memory held = tw_script_collect(worker->script);
  snprintf(out, room,
           "worker %u kept %.3g of %.3g MiB with all garbage collected: its script, of "
           "generation %llu,",
           (unsigned)(worker - engine->workers) + 1, mib(held.used), mib(held.most),
           (unsigned long long)tw_script_get_setup(worker->script)->generation);
}

void tw_engine_rebuild(void *self, tw_worker *worker) {
  tw_engine *engine = self;
  tw_script *next;
  tw_error error = {0};
  char what[160];
  tw_rebuild_answer answer = tw_rebuilds_ask(&worker->rebuilds, tw_clock_monotonic_ns());
  if (answer == TW_REBUILD_RESTS) return;
  describe(engine, worker, what, sizeof what);
  if (answer == TW_REBUILD_STOPS)
    tw_fail(&error, TW_ELIMIT,
            "%s was made anew %d times within a minute, and is left as it is for the next one: "
            "what wants memory fails, and on_error decides. Keep less, or raise memory_limit",
            what, MOST);
  else if (load(engine, worker->script, &next, &error))
    tw_error_prefix(&error, "%s goes on, because making it anew failed: ", what);
  else replace(engine, worker, next, what, &error);
  tell(worker, &error);
}
