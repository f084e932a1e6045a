/* Replacing a generation: build beside, verify, swap, drain, free.

   A request has a number. Whoever gets the lock serves all requests that were made before it
   began to read the files, and leaves the outcome for those that wait: nothing is swallowed,
   and the last state of the files wins.

   The markers of a swap are set while all queues are held, so that no thread can send first
   into a new generation and then into the old one. */
#include "engine/engine.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/status.h"
#include "core/inspect.h"
#include "engine/change.h"
#include "engine/durable.h"
#include "engine/keeper.h"
#include "script/upkeep.h"

/* The rest of what it would do is not worth the time of whoever closes the engine. */
static tw_status fail_ending(tw_error *error) {
  return tw_fail(error, TW_ECLOSED, "the engine is closed");
}

/* ------------------------------------------------------------------- build */

static tw_status read_options(tw_engine *engine, tw_script *script, tw_engine_options *out,
                              tw_error *error) {
  char *own;
  size_t len;
  *out = (tw_engine_options){0};
  tw_status status = tw_script_engine_options(script, &own, &len, error);
  if (status == TW_OK)
    status = tw_engine_options_read(engine->host_options, engine->host_options_len, own, len,
                                    out, error);
  if (status == TW_OK && tw_router_has_delivery(tw_script_router(script)))
    out->has_outboxes = true;
  if (status == TW_OK) out->deals = !out->partition_by && tw_script_has_partition(script);
  tw_free(own);
  tw_script_release(script);
  if (status == TW_EINVAL) tw_error_prefix(error, "%s: ", engine->path);
  return status;
}

/* The first script says how many workers there are. */
static tw_status decide(void *self, tw_script *first, unsigned *count, tw_error *error) {
  tw_engine *engine = self;
  tw_status status = read_options(engine, first, &engine->options, error);
  if (status) return status;
  engine->workers = tw_calloc(engine->options.workers, sizeof *engine->workers);
  if (!engine->workers) return tw_no_memory(error);
  *count = engine->worker_count = engine->options.workers;
  engine->cells.limits = engine->options.limits;
  return tw_engine_open_journal(engine, error);
}

/* Asks the host; then the backends are opened. */
static tw_status open_accepted(tw_engine *engine, tw_generation *generation, tw_error *error) {
  tw_status status = TW_OK;
  if (engine->ops.accept)
    status = engine->ops.accept(engine->self, tw_script_router(generation->scripts[0]), error);
  return status ? status : tw_generation_open(generation, error);
}

/* @param out  NULL in it: what to load; else it gets its dealer */
static tw_status load(tw_engine *engine, tw_snapshot *snapshot, tw_generation **out,
                      tw_error *error) {
  tw_generation_plan plan = {.path = engine->path,
                             .number = atomic_load(&engine->number) + 1,
                             .count = engine->worker_count,
                             .decide = decide,
                             .pool = &engine->pool,
                             .host = engine->host,
                             .ledger = &engine->ledger,
                             .gives_up = &engine->is_ending,
                             .snapshot = snapshot,
                             .observer = &engine->observer,
                             .self = engine,
                             .outlets = &engine->outlets};
  tw_engine_sandbox sandbox;
  tw_status status =
      tw_engine_sandbox_read(engine->host_options, engine->host_options_len, &sandbox, error);
  plan.options = &sandbox.script;
  if (status == TW_OK)
    status =
        *out ? tw_generation_deal(*out, &plan, error) : tw_generation_load(&plan, out, error);
  tw_engine_sandbox_fini(&sandbox);
  return status;
}

/* One worker takes all events, whatever their key. */
static bool deals(const tw_engine *engine) {
  return engine->options.deals && engine->worker_count > 1;
}

static void add_worker(tw_engine *engine, unsigned number, tw_error *error) {
  size_t len = strlen(error->message);
  if (engine->worker_count > 1)
    snprintf(error->message + len, sizeof error->message - len,
             " (with the state of worker %u)", number);
}

static tw_status try_state(tw_worker *worker, tw_script *next, tw_error *error) {
  tw_buffer state = {0};
  tw_status status = tw_worker_export_state(worker, &state, error);
  if (status == TW_OK) status = tw_script_import_state(next, state.data, state.len, error);
  else tw_error_prefix(error, "what the running generation keeps cannot be handed over: ");
  tw_script_release(next);
  tw_buffer_fini(&state);
  return status;
}

/* Whether each script takes over what its worker keeps at this time. */
static tw_status try_states(tw_engine *engine, tw_generation *next, tw_error *error) {
  tw_status status = TW_OK;
  for (unsigned i = 0; i < engine->worker_count && status == TW_OK; i++) {
    status = try_state(&engine->workers[i], next->scripts[i], error);
    if (status) add_worker(engine, i + 1, error);
  }
  return status;
}

/* Loaded, allowed, able to go on with the state, open; or nothing at all. */
static tw_status build(tw_engine *engine, tw_snapshot *snapshot, bool states,
                       tw_generation **out, tw_error *error) {
  tw_engine_options next = {0};
  *out = NULL;
  tw_status status = load(engine, snapshot, out, error);
  if (status) return status;
  status = read_options(engine, (*out)->scripts[0], &next, error);
  if (status == TW_OK) {
    status = tw_engine_options_change(&engine->options, &next, error);
    if (status) tw_error_prefix(error, "%s: ", engine->path);
  }
  tw_engine_options_fini(&next);
  if (status == TW_OK && deals(engine)) status = load(engine, snapshot, out, error);
  if (status == TW_OK && states) status = try_states(engine, *out, error);
  if (status == TW_OK && atomic_load(&engine->is_ending)) status = fail_ending(error);
  if (status == TW_OK) status = open_accepted(engine, *out, error);
  if (status == TW_OK) return TW_OK;
  tw_generation_free(*out, NULL);
  *out = NULL;
  return status;
}

/* A mistake of the host's is told before the script is looked at. */
static tw_status check_host_options(const tw_engine *engine, tw_error *error) {
  tw_engine_options unused;
  tw_status status = tw_engine_options_read(engine->host_options, engine->host_options_len,
                                            "{}", 2, &unused, error);
  tw_engine_options_fini(&unused);
  return status;
}

tw_status tw_engine_first(tw_engine *engine, tw_error *error) {
  engine->seen = tw_snapshot_new();
  if (!engine->seen) return tw_no_memory(error);
  tw_status status = check_host_options(engine, error);
  if (status == TW_OK) status = load(engine, engine->seen, &engine->generation, error);
  if (status == TW_OK && deals(engine))
    status = load(engine, engine->seen, &engine->generation, error);
  if (status == TW_OK) status = tw_engine_take_states(engine, error);
  if (status == TW_OK) status = open_accepted(engine, engine->generation, error);
  if (status == TW_OK)
    status = tw_outlets_aim(&engine->outlets, engine->generation->fronts, error);
  if (status) return status;
  atomic_store(&engine->number, engine->generation->number);
  engine->dealing.dealer = engine->generation->dealer;
  return TW_OK;
}

/* -------------------------------------------------------------------- swap */

/* @return false when workers may have ended: none changes then */
static bool set_markers(tw_engine *engine, tw_generation *next, pthread_barrier_t *meet) {
  bool are_open = true;
  for (unsigned i = 0; i < engine->worker_count; i++) {
    pthread_mutex_lock(&engine->workers[i].mutex);
    are_open = are_open && !engine->workers[i].is_closed;
  }
  for (unsigned i = 0; i < engine->worker_count && are_open; i++)
    tw_worker_change(&engine->workers[i], &next->scripts[i], meet);
  for (unsigned i = 0; i < engine->worker_count; i++)
    pthread_mutex_unlock(&engine->workers[i].mutex);
  return are_open;
}

/* A key may go to another worker than before: nobody is between the old function and a queue
   when the markers are set, and no worker goes on while another is still before its own. */
static tw_status swap(tw_engine *engine, tw_generation *next, tw_error *error) {
  pthread_barrier_t meet;
  tw_dealer *dealer = next->dealer;
  if (dealer) {
    pthread_barrier_init(&meet, NULL, engine->worker_count);
    tw_dealing_stop(&engine->dealing);
  }
  bool are_set = set_markers(engine, next, dealer ? &meet : NULL);
  if (dealer) tw_dealing_go_on(&engine->dealing, are_set ? dealer : engine->dealing.dealer);
  for (unsigned i = 0; i < engine->worker_count && are_set; i++)
    tw_worker_await_change(&engine->workers[i]);
  if (dealer) pthread_barrier_destroy(&meet);
  if (!are_set) return fail_ending(error);
  engine->generation = next;
  atomic_store(&engine->number, next->number);
  return TW_OK;
}

static void keep(tw_snapshot **place, tw_snapshot *snapshot) {
  tw_snapshot_unref(*place);
  *place = snapshot;
}

/* Outlets deliver to the new backends before the workers change over: those may wait for one
   that is full, because the old backend is dead. Only an engine that ends swaps nothing then.
   What closing the old generation fails with, its observers are told.
   @param states  whether state that cannot be taken over refuses it */
static tw_status replace(tw_engine *engine, tw_snapshot *snapshot, bool states,
                         tw_error *error) {
  tw_generation *next = NULL, *old = engine->generation;
  tw_status status = build(engine, snapshot, states, &next, error);
  if (status == TW_OK) tw_engine_aim(engine, next);
  if (status == TW_OK) status = swap(engine, next, error);
  if (status) {
    tw_generation_free(next, NULL);
    atomic_fetch_add(&engine->refused, 1);
    return status;
  }
  keep(&engine->previous, tw_snapshot_ref(old->snapshot));
  tw_generation_free(old, NULL);
  return TW_OK;
}

static void tell(const tw_engine *engine, const tw_error *error) {
  if (engine->ops.reloaded)
    engine->ops.reloaded(engine->self, atomic_load(&engine->number), error);
}

/* ------------------------------------------------------------------ reload */

static tw_status reload_now(tw_engine *engine, tw_error *error) {
  if (atomic_load(&engine->is_ending)) return fail_ending(error);
  tw_snapshot *fresh = tw_snapshot_new();
  if (!fresh) return tw_no_memory(error);
  tw_status status = replace(engine, fresh, true, error);
  keep(&engine->seen, fresh);
  tw_keeper_refresh(engine->keeper);
  if (status == TW_OK && engine->options.watchdog_ns)
    engine->trial_ends = tw_clock_monotonic_ns() + engine->options.watchdog_ns;
  if (status == TW_OK) atomic_fetch_add(&engine->reloads, 1);
  tell(engine, status ? error : NULL);
  return status;
}

static __thread tw_engine_stay *innermost;

void tw_engine_enter(const tw_engine *engine, tw_engine_stay *stay) {
  *stay = (tw_engine_stay){engine, innermost};
  innermost = stay;
}

void tw_engine_leave(const tw_engine_stay *stay) { innermost = stay->outer; }

/* Who sends into an engine may stand where its dealer is to be changed. */
bool tw_engine_is_staying_here(const tw_engine *engine) {
  const tw_engine_stay *at = innermost;
  while (at && at->engine != engine) at = at->outer;
  return at || tw_dealing_is_here(&engine->dealing) || tw_engine_is_delivering_here(engine);
}

static void serve(tw_engine *engine) {
  tw_engine_stay stay;
  tw_engine_enter(engine, &stay);
  engine->served = atomic_load(&engine->asked);
  engine->outcome_error = (tw_error){0};
  engine->outcome = reload_now(engine, &engine->outcome_error);
  tw_engine_leave(&stay);
}

tw_status tw_engine_reload(tw_engine *engine, tw_error *error) {
  if (!tw_engine_is_ours(engine))
    return tw_fail(error, TW_ECLOSED, "the engine's workers stayed in the parent process");
  if (tw_worker_is_here())
    return tw_fail(error, TW_EINVAL, "a worker cannot wait for its own replacement");
  if (tw_engine_is_staying_here(engine))
    return tw_fail(error, TW_EINVAL, "what an engine calls cannot reload it");
  uint64_t number = atomic_fetch_add(&engine->asked, 1) + 1;
  pthread_mutex_lock(&engine->reloading);
  if (engine->served < number) serve(engine);
  tw_status status = engine->outcome;
  if (status && error) *error = engine->outcome_error;
  pthread_mutex_unlock(&engine->reloading);
  return status;
}

/* Looked at with the lock: another reload may just have found the same change. */
void tw_engine_reload_changed(tw_engine *engine, bool is_told) {
  pthread_mutex_lock(&engine->reloading);
  bool is_due = is_told && engine->outcome && !tw_snapshot_is_whole(engine->seen);
  is_due = is_due || !tw_snapshot_is_current(engine->seen);
  if (is_due) serve(engine);
  pthread_mutex_unlock(&engine->reloading);
}

/* ---------------------------------------------------------------- watchdog */

/* So few events say nothing. */
enum { TRIAL_EVENTS = 20 };

/* A worker may put another script in the place of its own at any time. */
static void count(tw_engine *engine, uint64_t *received, uint64_t *failed) {
  *received = *failed = 0;
  for (unsigned i = 0; i < engine->worker_count; i++) {
    uint64_t more, worse;
    pthread_mutex_lock(&engine->workers[i].mutex);
    tw_script_tally(engine->generation->scripts[i], &more, &worse);
    pthread_mutex_unlock(&engine->workers[i].mutex);
    *received += more;
    *failed += worse;
  }
}

static void undo(tw_engine *engine, uint64_t received, uint64_t failed) {
  tw_error error = {0}, why;
  tw_snapshot *back = engine->previous;
  unsigned long long bad = atomic_load(&engine->number);
  engine->previous = NULL;
  engine->trial_ends = 0;
  if (replace(engine, back, false, &error)) { /* rather without its state than not at all */
    tw_fail(&why, error.code, "generation %llu fails too often, but cannot be undone: %s", bad,
            error.message);
  } else {
    atomic_fetch_add(&engine->refused, 1);
    keep(&engine->previous, NULL); /* that was the bad one */
    tw_fail(&why, TW_ESCRIPT, "%s: generation %llu was undone: %llu failures in %llu events",
            engine->path, bad, (unsigned long long)failed, (unsigned long long)received);
  }
  tw_snapshot_unref(back);
  tell(engine, &why);
}

void tw_engine_check_failures(tw_engine *engine) {
  uint64_t received, failed;
  pthread_mutex_lock(&engine->reloading);
  if (engine->trial_ends && tw_clock_monotonic_ns() > engine->trial_ends)
    engine->trial_ends = 0;
  if (engine->trial_ends && engine->generation && engine->previous) {
    tw_engine_stay stay;
    count(engine, &received, &failed);
    tw_engine_enter(engine, &stay);
    if (received >= TRIAL_EVENTS &&
        (double)failed > engine->options.watchdog_errors * (double)received)
      undo(engine, received, failed);
    tw_engine_leave(&stay);
  }
  pthread_mutex_unlock(&engine->reloading);
}
