/// steering.c: a control socket's operations, and SIGHUP's, on an engine.
#include "app/steering.h"

#include <stdio.h>

#include "base/clock.h"

static void count(tw_builder *json, const char *key, uint64_t value) {
  tw_builder_key(json, key);
  tw_builder_integer(json, (int64_t)value);
}

/* ------------------------------------------------------------------- control */

static tw_status reload(void *self, uint64_t *generation, tw_error *error) {
  tw_steering *steering = self;
  tw_engine_stats stats;
  tw_status status = tw_engine_reload(steering->engine, error);
  tw_engine_get_stats(steering->engine, &stats);
  *generation = stats.generation;
  return status;
}

static tw_status flush(void *self, int timeout_ms, uint64_t *remaining, tw_error *error) {
  const tw_steering *steering = self;
  return tw_engine_flush(steering->engine, timeout_ms, remaining, error);
}

static void add_counts(const tw_engine_stats *stats, tw_builder *json) {
  count(json, "workers", stats->workers);
  count(json, "received", stats->received);
  count(json, "processed", stats->processed);
  count(json, "waiting", stats->waiting);
  tw_builder_key(json, "dropped");
  tw_builder_begin_object(json);
  count(json, "newest", stats->dropped_newest);
  count(json, "oldest", stats->dropped_oldest);
  count(json, "timeout", stats->dropped_timeout);
  count(json, "closed", stats->dropped_closed);
  count(json, "memory", stats->dropped_memory);
  tw_builder_end_object(json);
  count(json, "reloads", stats->reloads);
  count(json, "refused", stats->refused);
}

static void add_refusal(tw_steering *steering, tw_builder *json) {
  pthread_mutex_lock(&steering->mutex);
  if (*steering->refusal) {
    tw_control_text(json, "refusal", steering->refusal);
  } else {
    tw_builder_key(json, "refusal");
    tw_builder_null(json);
  }
  pthread_mutex_unlock(&steering->mutex);
}

static void add_outbox(const tw_outbox_stats *stats, tw_builder *json) {
  tw_builder_key(json, "outbox");
  tw_builder_begin_object(json);
  count(json, "waiting", stats->waiting);
  count(json, "waiting_bytes", stats->waiting_bytes);
  count(json, "retries", stats->retries);
  count(json, "dead", stats->dead);
  count(json, "shed", stats->shed);
  count(json, "late", stats->late);
  tw_control_text(json, "breaker", stats->breaker);
  tw_builder_end_object(json);
}

static void add_backend(void *self, const tw_branch *branch) {
  tw_builder *json = self;
  if (!branch->kind) return;
  tw_builder_begin_object(json);
  tw_control_text(json, "path", branch->path);
  tw_control_text(json, "kind", branch->kind);
  count(json, "sent", branch->backend.sent);
  count(json, "failed", branch->backend.failed);
  count(json, "duplicate", branch->backend.duplicate);
  if (branch->outbox) add_outbox(branch->outbox, json);
  tw_builder_end_object(json);
}

static void status(void *self, tw_builder *json) {
  tw_steering *steering = self;
  tw_engine_stats stats;
  tw_engine_get_stats(steering->engine, &stats);
  count(json, "generation", stats.generation);
  tw_control_text(json, "script", steering->options->operands[0]);
  tw_builder_key(json, "uptime");
  tw_builder_number(json, (double)(tw_clock_monotonic_ns() - steering->began) / 1e9);
  add_counts(&stats, json);
  add_refusal(steering, json);
  tw_builder_key(json, "backends");
  tw_builder_begin_array(json);
  tw_engine_visit(steering->engine, add_backend, json);
  tw_builder_end_array(json);
}

/* ------------------------------------------------------------------- reloads */

/// The outcome is told by the engine, whoever has asked.
static void hang_up(void *self) {
  const tw_steering *steering = self;
  tw_engine_reload(steering->engine, NULL);
}

void tw_steering_told(tw_steering *steering, uint64_t generation, const tw_error *error) {
  pthread_mutex_lock(&steering->mutex);
  snprintf(steering->refusal, sizeof steering->refusal, "%s", error ? error->message : "");
  pthread_mutex_unlock(&steering->mutex);
  if (error || !steering->options->quiet)
    tw_account_reloaded(steering->account, generation, error);
}

/* --------------------------------------------------------------------- life */

void tw_steering_init(tw_steering *steering, const tw_options *options, tw_account *account) {
  *steering = (tw_steering){.options = options, .account = account};
  pthread_mutex_init(&steering->mutex, NULL);
  tw_hangup_install();
}

tw_status tw_steering_claim(tw_steering *steering, tw_error *error) {
  if (!steering->options->control) return TW_OK;
  return tw_control_open(steering->options->control, &steering->control, error);
}

tw_status tw_steering_begin(tw_steering *steering, tw_engine *engine, tw_error *error) {
  static const tw_control_ops ops = {reload, status, flush};
  steering->engine = engine;
  steering->began = tw_clock_monotonic_ns();
  tw_status failed = tw_hangup_serve(hang_up, steering, &steering->hangup, error);
  if (failed || !steering->control) return failed;
  return tw_control_serve(steering->control, &ops, steering, TW_CONTROL_PATIENCE_MS, error);
}

void tw_steering_end(tw_steering *steering) {
  tw_hangup_stop(steering->hangup);
  tw_control_close(steering->control);
  steering->hangup = NULL;
  steering->control = NULL;
}

void tw_steering_fini(tw_steering *steering) { pthread_mutex_destroy(&steering->mutex); }
