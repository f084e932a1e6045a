/* Beside the workers: the journal and its outlets begin with the first generation, whose script
   may say that there are any, and end behind the last worker. */
#include "engine/durable.h"

#include <stdio.h>

#include "base/clock.h"
#include "base/status.h"
#include "base/wait.h"
#include "engine/change.h"
#include "script/upkeep.h"

/* How long the last commits of workers are waited for. */
#define SETTLE_NS UINT64_C(5000000000)

/* -------------------------------------------------------------------- tell */

void tw_engine_tell(tw_engine *engine, const tw_failure *failure) {
  if (engine->ops.failed) {
    engine->ops.failed(engine->self, failure);
    return;
  }
  uint64_t count = atomic_fetch_add(&engine->told, 1) + 1;
  if (count & (count - 1)) return;
  fprintf(stderr, "tidewire: %s%s%s: %s (failure %llu)\n", failure->path,
          *failure->path ? ": " : "", failure->where, failure->error->message,
          (unsigned long long)count);
}

static void tell(tw_engine *engine, const char *where, const char *path, uint64_t events,
                 const tw_error *error) {
  tw_failure failure = {.where = where, .path = path, .events = events, .error = error};
  tw_engine_tell(engine, &failure);
}

static void outlet_failed(void *self, const char *where, const char *path, uint64_t events,
                          const tw_error *error) {
  tell(self, where, path, events, error);
}

/* What the script of a target emits is routed like anything else. */
static tw_status emit_again(void *self, const tw_event *event, tw_error *error) {
  return tw_engine_send(self, event, error);
}

static void bound_cost(void *self, const char *path, uint64_t count) {
  tw_error error;
  if (path)
    tw_fail(&error, TW_ELIMIT, "the outbox is full: %llu events were shed",
            (unsigned long long)count);
  else
    tw_fail(&error, TW_ELIMIT,
            "the spool holds as many dead letters as it may (dead.max_bytes): the %llu oldest "
            "are gone",
            (unsigned long long)count);
  tell(self, "outbox", path ? path : "", count, &error);
}

/* A worker waits for room in an outbox. What it waits for may be a reload, which waits for the
   worker's state. */
static void waits(void *self) {
  tw_worker *worker = tw_worker_current();
  (void)self;
  if (!worker) return;
  pthread_mutex_lock(&worker->mutex);
  if (worker->wanted) tw_worker_write_state(worker);
  pthread_mutex_unlock(&worker->mutex);
}

static void spool_trouble(void *self, const tw_error *error) {
  tw_error fine;
  if (!error) tw_fail(&fine, TW_OK, "it is written again");
  tell(self, "spool", "", 0, error ? error : &fine);
}

/* ------------------------------------------------------------ dead letters */

static void outbox_dead(void *self, const char *path, const char *json, size_t len) {
  tw_engine *engine = self;
  tw_event *event;
  tw_error error = {.code = TW_EREFUSED, .position = TW_NO_POSITION};
  if (!engine->ops.dead || tw_event_parse(json, len, NULL, &event, NULL)) return;
  tw_value value;
  if (tw_event_get(event, "error", &value) == TW_OK && value.type == TW_STRING)
    snprintf(error.message, sizeof error.message, "%s", value.string);
  tw_event *lost = NULL;
  if (tw_event_get(event, "event", &value) == TW_OK)
    tw_event_parse(value.json, value.json_len, &engine->options.limits, &lost, NULL);
  tw_failure failure = {
      .where = "backend", .path = path, .event = lost, .events = 1, .error = &error};
  engine->ops.dead(engine->self, &failure);
  tw_event_free(lost);
  tw_event_free(event);
}

/* Without its event a letter is worth nothing. @return false without memory */
static bool show_event(tw_event *event, tw_dead_letter *letter) {
  if (tw_event_id(event, &letter->id, &letter->id_len) == TW_OK &&
      tw_event_json(event, &letter->event, &letter->event_len) == TW_OK)
    return true;
  letter->id = letter->event = NULL;
  return false;
}

void tw_engine_bury(tw_engine *engine, const tw_failure *failure) {
  tw_worker *worker = tw_worker_current();
  if (!engine->committer.is_durable || !worker || !failure->event) return;
  tw_dead_letter letter = {.time_us = tw_clock_utc_us(),
                           .where = failure->where,
                           .path = failure->path,
                           .name = failure->name,
                           .error = failure->error,
                           .generation = tw_script_get_setup(worker->script)->generation,
                           .origin = tw_worker_origin()};
  while (!show_event(failure->event, &letter) && tw_worker_await_memory(worker)) continue;
  tw_worker_collect_dead(worker, &letter);
}

/* ------------------------------------------------------------------- begin */

static void observe_failed(void *self, const tw_failure *failure) {
  tw_failure told = *failure;
  told.origin = tw_worker_origin();
  tw_engine_tell(self, &told);
}

static void observe_dead(void *self, const tw_failure *failure) {
  tw_engine *engine = self;
  tw_failure told = *failure;
  told.origin = tw_worker_origin();
  tw_engine_bury(engine, &told);
  if (engine->ops.dead) engine->ops.dead(engine->self, &told);
}

/* What a spool keeps is observed whether the host observes or not. */
static void observe(tw_engine *engine) {
  engine->observer.failed = observe_failed;
  engine->observer.dead = observe_dead;
}

tw_status tw_engine_open_journal(tw_engine *engine, tw_error *error) {
  const tw_engine_options *from = &engine->options;
  const tw_outlets_ops ops = {outlet_failed, emit_again, engine};
  tw_committer *committer = &engine->committer;
  const tw_journal_options options = {.folder = from->spool,
                                      .durability = from->durability,
                                      .max_bytes = from->spool_bytes,
                                      .min_free = from->spool_free,
                                      .group_bytes = from->group_bytes,
                                      .group_ns = from->group_ns,
                                      .sync_ns = from->sync_ns,
                                      .dead_max_bytes = from->dead_bytes,
                                      .dead = outbox_dead,
                                      .lost = bound_cost,
                                      .trouble = spool_trouble,
                                      .waits = waits,
                                      .self = engine};
  committer->workers = engine->worker_count;
  if (!from->has_outboxes) return TW_OK;
  tw_status status = tw_journal_open(&options, &committer->journal, error);
  if (status) return status;
  committer->is_durable = from->spool != NULL;
  if (committer->is_durable) observe(engine);
  status = tw_outlets_begin(&engine->outlets, committer->journal, committer->is_durable, &ops,
                            error);
  if (status == TW_OK)
    status = tw_outlets_set_common(&engine->outlets, from->delivery, from->delivery_len, error);
  if (status == TW_OK && from->awaits_delivery) {
    status = tw_arrivals_start(&committer->arrivals, error);
    committer->awaits_arrival = status == TW_OK;
  }
  return status;
}

tw_status tw_engine_take_states(tw_engine *engine, tw_error *error) {
  tw_status status = TW_OK;
  if (!engine->committer.is_durable) return TW_OK;
  for (unsigned i = 0; i < engine->worker_count && status == TW_OK; i++) {
    char *json;
    size_t len;
    tw_script *script = engine->generation->scripts[i];
    status = tw_journal_state(engine->committer.journal, i, engine->worker_count, &json, &len,
                              error);
    if (status == TW_OK && json) status = tw_script_import_state(script, json, len, error);
    tw_script_release(script);
    tw_free(json);
  }
  if (status) tw_error_prefix(error, "%s: ", engine->options.spool);
  return status;
}

void tw_engine_aim(tw_engine *engine, tw_generation *generation) {
  tw_error error;
  if (!engine->committer.journal) return;
  if (tw_outlets_aim(&engine->outlets, generation->fronts, &error))
    tell(engine, "outbox", "", 0, &error);
}

static void tell_orphan(void *self, const char *path, uint64_t events) {
  tw_error error;
  tw_fail(
      &error, TW_ENOENT,
      "%llu events wait in the spool for this backend, which the script does not have: bring "
      "it back, or see `tidewire spool export|drop --backend`",
      (unsigned long long)events);
  tell(self, "outbox", path, 0, &error);
}

void tw_engine_tell_orphans(tw_engine *engine) {
  if (engine->committer.is_durable)
    tw_journal_orphans(engine->committer.journal, tell_orphan, engine);
}

/* --------------------------------------------------------------------- end */

/* A journal that cannot write gives up when it is closed: so this does not wait for ever. */
static bool settle(tw_engine *engine, const struct timespec *end) {
  struct timespec soon = tw_deadline(SETTLE_NS);
  bool is_sooner = end && (end->tv_sec < soon.tv_sec ||
                           (end->tv_sec == soon.tv_sec && end->tv_nsec < soon.tv_nsec));
  bool are_settled = true;
  for (unsigned i = 0; i < engine->worker_count && are_settled; i++)
    if (engine->workers[i].ring)
      are_settled = tw_worker_settle(&engine->workers[i], is_sooner ? end : &soon);
  return are_settled;
}

bool tw_engine_is_drained(tw_engine *engine) {
  return engine->committer.journal && !tw_outlets_waiting(&engine->outlets);
}

/* One that was drained is drained again, of what its scripts have emitted at their end. */
uint64_t tw_engine_close_durable(tw_engine *engine, bool was_empty,
                                 const struct timespec *end) {
  tw_committer *committer = &engine->committer;
  uint64_t left = 0;
  if (!committer->journal) return 0;
  tw_journal_hurry(committer->journal);
  if (!committer->is_durable) tw_outlets_await(&engine->outlets, end, true);
  else if (was_empty && settle(engine, end)) tw_outlets_await(&engine->outlets, end, false);
  left = tw_outlets_stop(&engine->outlets, end);
  tw_journal_close(committer->journal);
  if (committer->awaits_arrival) tw_arrivals_stop(&committer->arrivals);
  return committer->is_durable ? 0 : left;
}

void tw_engine_free_durable(tw_engine *engine) {
  tw_outlets_fini(&engine->outlets);
  tw_journal_free(engine->committer.journal);
}

bool tw_engine_is_delivering_here(const tw_engine *engine) {
  const tw_committer *committer = &engine->committer;
  return committer->journal &&
         (tw_journal_is_here(committer->journal) || tw_delivery_is_here(&engine->outlets) ||
          tw_arrivals_are_here(&committer->arrivals));
}

static bool is_over(const struct timespec *end) {
  const struct timespec now = tw_deadline(0);
  return end && (now.tv_sec > end->tv_sec ||
                 (now.tv_sec == end->tv_sec && now.tv_nsec >= end->tv_nsec));
}

/* Calls that may end with the same record under way, before it is left to the next start: an
   outbox that is full may let nothing in for long. */
enum { STUCK_CALLS = 10 };

/* What `tidewire dead replay` has put there waits, too; the keeper looks for it only now and
   then. */
static void drain_replays(tw_engine *engine, const struct timespec *end) {
  for (int stuck = 0; stuck < STUCK_CALLS && !is_over(end) && !atomic_load(&engine->is_ending);)
    if (!tw_engine_replay(engine)) return;
    else if (atomic_load(&engine->committer.replays)) stuck++;
    else stuck = 0;
}

tw_status tw_engine_drain(tw_engine *engine, int timeout_ms, uint64_t *remaining,
                          tw_error *error) {
  struct timespec at;
  uint64_t left, unwanted;
  if (!remaining) remaining = &unwanted;
  *remaining = 0;
  if (!tw_engine_is_ours(engine)) return tw_engine_fail_forked(error);
  if (tw_worker_is_here())
    return tw_fail(error, TW_EINVAL, "a worker cannot wait for what it routes");
  if (tw_engine_is_delivering_here(engine))
    return tw_fail(error, TW_EINVAL, "what an engine calls to deliver cannot wait for that");
  if (!engine->committer.journal) return TW_OK;
  const struct timespec *end = tw_limit_in(timeout_ms, &at);
  if (engine->committer.is_durable) drain_replays(engine, end);
  *remaining = left = tw_outlets_await(&engine->outlets, end, false);
  if (!left) return TW_OK;
  return tw_fail(error, TW_ELIMIT, "%llu events were not delivered: they wait in outboxes",
                 (unsigned long long)left);
}

/* --------------------------------------------------------------- positions */

bool tw_engine_has_spool(const tw_engine *engine) { return engine->committer.is_durable; }

tw_status tw_engine_position(tw_engine *engine, const char *source, const tw_file_id *file,
                             tw_position *out, tw_error *error) {
  *out = (tw_position){0};
  if (!engine->committer.is_durable) return TW_OK;
  return tw_journal_position(engine->committer.journal, source, file, out, error);
}

tw_status tw_engine_visit_positions(tw_engine *engine, const char *source,
                                    tw_position_visit_fn visit, void *self, tw_error *error) {
  if (!engine->committer.is_durable) return TW_OK;
  return tw_journal_positions(engine->committer.journal, source, visit, self, error);
}

tw_status tw_engine_forget_position(tw_engine *engine, const char *source,
                                    const tw_file_id *file, tw_error *error) {
  if (!engine->committer.is_durable) return TW_OK;
  return tw_journal_forget(engine->committer.journal, source, file, error);
}
