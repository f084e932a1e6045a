/// summary_json.c: the same counts for programs.
///
/// All members are always there, but for what only backends with an outbox have, also those
/// that are 0, so that a reader need not tell "none" from "not told". Backends and routers are
/// lists in the order of the tree; the root is the router whose path is "". Without memory
/// nothing is written: half an object helps nobody.
#include "app/summary.h"

#include "event/builder_core.h"

/// Counts beyond 2^63 do not occur.
static void integer(tw_builder *json, const char *key, uint64_t value) {
  tw_builder_key(json, key);
  tw_builder_integer(json, (int64_t)value);
}

/// Paths are bytes, which need not be UTF-8.
static void text(tw_builder *json, const char *key, const char *value) {
  tw_builder_bytes(json, key, value, strlen(value));
}

/// null when no record was written: then there is no file either.
static void sink(tw_builder *json, const char *key, const tw_sink *from) {
  tw_builder_key(json, key);
  if (!from->lines) {
    tw_builder_null(json);
    return;
  }
  tw_builder_begin_object(json);
  text(json, "path", from->path);
  integer(json, "lines", from->lines);
  integer(json, "lost", from->lost);
  tw_builder_end_object(json);
}

/// Of a backend that has an outbox alone.
static void outbox(tw_builder *json, const tw_outbox_stats *stats) {
  if (!stats) return;
  tw_builder_key(json, "outbox");
  tw_builder_begin_object(json);
  integer(json, "waiting", stats->waiting);
  integer(json, "waiting_bytes", stats->waiting_bytes);
  integer(json, "retries", stats->retries);
  integer(json, "dead", stats->dead);
  integer(json, "shed", stats->shed);
  integer(json, "late", stats->late);
  text(json, "breaker", stats->breaker);
  tw_builder_end_object(json);
}

static void backend_entry(void *self, const tw_branch *branch) {
  tw_builder *json = self;
  if (!branch->kind) return;
  tw_builder_begin_object(json);
  text(json, "path", branch->path);
  text(json, "kind", branch->kind);
  integer(json, "sent", branch->backend.sent);
  integer(json, "failed", branch->backend.failed);
  integer(json, "duplicate", branch->backend.duplicate);
  outbox(json, branch->outbox);
  tw_builder_end_object(json);
}

static void router_entry(void *self, const tw_branch *branch) {
  tw_builder *json = self;
  if (branch->kind) return;
  tw_builder_begin_object(json);
  text(json, "path", branch->path);
  integer(json, "received", branch->router.received);
  integer(json, "dropped", branch->router.dropped);
  integer(json, "unrouted", branch->router.unrouted);
  integer(json, "failures", branch->router.failed);
  integer(json, "dead", branch->router.dead);
  tw_builder_end_object(json);
}

static void tally(tw_builder *json, const tw_tally *from) {
  integer(json, "lines", from->lines);
  integer(json, "blank", from->blank);
  integer(json, "read", from->read);
  integer(json, "routed", from->routed);
  integer(json, "dropped", from->dropped);
  integer(json, "rejected", from->rejected);
  integer(json, "left", from->left);
  integer(json, "bytes", from->bytes);
}

static void tree(tw_builder *json, tw_engine *engine) {
  tw_builder_key(json, "backends");
  tw_builder_begin_array(json);
  tw_engine_visit(engine, backend_entry, json);
  tw_builder_end_array(json);
  tw_builder_key(json, "routers");
  tw_builder_begin_array(json);
  tw_engine_visit(engine, router_entry, json);
  tw_builder_end_array(json);
}

static void reloads(tw_builder *json, tw_engine *engine) {
  tw_engine_stats stats;
  tw_engine_get_stats(engine, &stats);
  integer(json, "workers", stats.workers);
  integer(json, "generation", stats.generation);
  integer(json, "reloads", stats.reloads);
  integer(json, "refused", stats.refused);
}

static void measures(tw_builder *json, const tw_summary *summary) {
  tw_builder_key(json, "seconds");
  tw_builder_number(json, summary->seconds);
  tw_builder_key(json, "cpu_seconds");
  tw_builder_number(json, summary->cpu_seconds);
  integer(json, "peak_memory", summary->peak);
  tw_builder_key(json, "interrupted");
  tw_builder_bool(json, summary->caught != 0);
  integer(json, "status", (uint64_t)summary->status);
}

void tw_summary_json(const tw_summary *summary, tw_buffer *out) {
  const char *line;
  size_t len;
  tw_builder *json = tw_builder_new();
  if (!json) return;
  tw_builder_begin_object(json);
  text(json, "script", summary->script);
  reloads(json, summary->engine);
  tally(json, summary->tally);
  integer(json, "unfinished", summary->unfinished);
  tree(json, summary->engine);
  sink(json, "rejects", summary->rejects);
  sink(json, "dead", summary->dead);
  measures(json, summary);
  tw_builder_end_object(json);
  if (!tw_builder_text(json, &line, &len, NULL) && tw_buffer_append(out, line, len))
    tw_buffer_byte(out, '\n');
  tw_builder_free(json);
}
