/// summary.c: the counts of a run, gathered from the tree.
///
/// The tree is walked twice: first for the sums and the widest name, then to print in
/// columns of that width. Other columns are 14 wide: room for 9,999,999,999 and a space.
/// Trouble is in colour only where there is some, so that a good run has none.
#include "app/summary.h"

#include <stdio.h>
#include <stdlib.h>

/* ------------------------------------------------------------------- totals */

static void add(void *self, const tw_branch *branch) {
  tw_totals *totals = self;
  size_t width = strlen(branch->path);
  if (branch->kind) {
    totals->sent += branch->backend.sent;
    totals->failed += branch->backend.failed;
    totals->duplicate += branch->backend.duplicate;
    width += strlen(branch->kind) + 3;
    if (branch->outbox) totals->has_outboxes = true;
    if (branch->outbox) totals->waiting += branch->outbox->waiting;
  } else {
    totals->routers++;
    totals->failures += branch->router.failed;
    totals->dead += branch->router.dead;
  }
  if ((int)width > totals->width) totals->width = (int)width;
}

tw_totals tw_summary_totals(tw_engine *engine) {
  tw_totals totals = {0};
  tw_engine_visit(engine, add, &totals);
  return totals;
}

/* -------------------------------------------------------------------- text */

typedef struct tw_table {
  const tw_term *term;
  tw_buffer *out;
  int width;      ///< of the first column
  bool duplicate; ///< show that column
} tw_table;

/// A number in a column; one that is bad news in colour when it is not 0.
static void cell(const tw_table *table, uint64_t value, tw_style style) {
  char text[TW_GROUPED_ROOM];
  bool loud = value && style != TW_PLAIN;
  tw_buffer_printf(table->out, "%s%14s%s", loud ? tw_term_style(table->term, style) : "",
                   tw_grouped(value, text), loud ? tw_term_style(table->term, TW_PLAIN) : "");
}

static void row(const tw_table *table, const char *name, uint64_t value, tw_style style) {
  tw_buffer_printf(table->out, "  %-*s", table->width, name);
  cell(table, value, style);
}

static void backend_row(void *self, const tw_branch *branch) {
  const tw_table *table = self;
  char name[512];
  if (!branch->kind) return;
  snprintf(name, sizeof name, "%s (%s)", branch->path, branch->kind);
  row(table, name, branch->backend.sent, TW_PLAIN);
  cell(table, branch->backend.failed, TW_RED);
  if (table->duplicate) cell(table, branch->backend.duplicate, TW_PLAIN);
  tw_buffer_byte(table->out, '\n');
}

static void router_row(void *self, const tw_branch *branch) {
  const tw_table *table = self;
  const tw_router_stats *stats = &branch->router;
  if (branch->kind) return;
  row(table, *branch->path ? branch->path : "(root)", stats->received, TW_PLAIN);
  cell(table, stats->dropped, TW_PLAIN);
  cell(table, stats->unrouted, TW_PLAIN);
  cell(table, stats->failed, TW_YELLOW);
  cell(table, stats->dead, TW_YELLOW);
  tw_buffer_byte(table->out, '\n');
}

/// Outboxes are shown when they say something: a good run has emptied them at once.
static bool has_news(const tw_branch *branch) {
  const tw_outbox_stats *stats = branch->outbox;
  return stats && (stats->waiting || stats->retries || stats->dead || stats->shed ||
                   stats->late || strcmp(stats->breaker, "closed") != 0);
}

static void look_for_news(void *self, const tw_branch *branch) {
  bool *found = self;
  if (has_news(branch)) *found = true;
}

static void outbox_row(void *self, const tw_branch *branch) {
  const tw_table *table = self;
  const tw_outbox_stats *stats = branch->outbox;
  if (!has_news(branch)) return;
  row(table, branch->path, stats->waiting, TW_YELLOW);
  cell(table, stats->retries, TW_PLAIN);
  cell(table, stats->dead, TW_RED);
  cell(table, stats->shed, TW_RED);
  cell(table, stats->late, TW_YELLOW);
  tw_buffer_printf(table->out, "%14s\n", stats->breaker);
}

static void heading(const tw_table *table, const char *name, const char *const *columns) {
  tw_buffer_printf(table->out, "%s%-*s", tw_term_style(table->term, TW_BOLD), table->width + 2,
                   name);
  for (; *columns; columns++) tw_buffer_printf(table->out, "%14s", *columns);
  tw_buffer_printf(table->out, "%s\n", tw_term_style(table->term, TW_PLAIN));
}

static void show_outboxes(tw_table *table, tw_engine *engine) {
  const char *const columns[] = {"waiting", "retries", "dead", "shed", "late", "breaker", NULL};
  bool is_worth_it = false;
  tw_engine_visit(engine, look_for_news, &is_worth_it);
  if (!is_worth_it) return;
  heading(table, "outbox", columns);
  tw_engine_visit(engine, outbox_row, table);
}

/// Routers are shown when they say something that the other rows do not.
static void show_tree(tw_table *table, tw_engine *engine, const tw_totals *totals) {
  const char *const backends[] = {"sent", "failed", table->duplicate ? "duplicate" : NULL,
                                  NULL};
  const char *const routers[] = {"received", "dropped", "unrouted", "failures", "dead", NULL};
  heading(table, "backend", backends);
  tw_engine_visit(engine, backend_row, table);
  show_outboxes(table, engine);
  if (totals->routers == 1 && !totals->failures && !totals->dead) return;
  heading(table, "router", routers);
  tw_engine_visit(engine, router_row, table);
}

static void note_sink(tw_buffer *out, const char *what, const tw_sink *sink) {
  if (!sink->lines) return;
  tw_buffer_printf(out, "%s in ", what);
  tw_term_clean(out, sink->path);
  if (sink->lost) tw_buffer_printf(out, ", of which %llu lost", (unsigned long long)sink->lost);
  tw_buffer_byte(out, '\n');
}

/// What the spool has kept of them, and how much of it was there before, only it knows.
static void note_spool(tw_buffer *out, const tw_summary *summary, const tw_totals *totals) {
  if (!summary->spool || !(summary->tally->rejected || totals->dead)) return;
  tw_buffer_printf(out, "rejected lines and dead letters in ");
  tw_term_clean(out, summary->spool);
  tw_buffer_printf(out, ": see tidewire dead list\n");
}

static void note_unfinished(tw_buffer *out, uint64_t lines) {
  if (!lines) return;
  tw_buffer_printf(out, "%llu unfinished line%s left for the next run\n",
                   (unsigned long long)lines, lines == 1 ? " is" : "s are");
}

static void note_reloads(tw_buffer *out, tw_engine *engine) {
  tw_engine_stats stats;
  tw_engine_get_stats(engine, &stats);
  unsigned long long reloads = stats.reloads, refused = stats.refused;
  if (!reloads && !refused) return;
  tw_buffer_printf(out, "generation %llu of the script after %llu reload%s",
                   (unsigned long long)stats.generation, reloads, reloads == 1 ? "" : "s");
  if (refused) tw_buffer_printf(out, ", %llu refused", refused);
  tw_buffer_byte(out, '\n');
}

static void show_tally(const tw_table *table, const tw_summary *summary) {
  const tw_tally *tally = summary->tally;
  char blank[TW_GROUPED_ROOM];
  row(table, "read", tally->read, TW_PLAIN);
  if (tally->blank)
    tw_buffer_printf(table->out, "  and %s blank", tw_grouped(tally->blank, blank));
  tw_buffer_byte(table->out, '\n');
  row(table, "routed", tally->routed, TW_PLAIN);
  tw_buffer_byte(table->out, '\n');
  row(table, "dropped", tally->dropped, TW_PLAIN);
  tw_buffer_byte(table->out, '\n');
  row(table, "rejected", tally->rejected, TW_YELLOW);
  tw_buffer_byte(table->out, '\n');
  if (!tally->left) return;
  row(table, "left", tally->left, TW_RED);
  tw_buffer_byte(table->out, '\n');
}

void tw_summary_text(const tw_summary *summary, const tw_term *term, tw_buffer *out) {
  tw_totals totals = tw_summary_totals(summary->engine);
  tw_table table = {.term = term,
                    .out = out,
                    .width = totals.width > 12 ? totals.width : 12,
                    .duplicate = totals.duplicate > 0};
  const char *const columns[] = {"events", NULL};
  char rate[TW_GROUPED_ROOM];
  heading(&table, "input", columns);
  show_tally(&table, summary);
  show_tree(&table, summary->engine, &totals);
  note_sink(out, "rejected lines", summary->rejects);
  note_sink(out, "dead letters", summary->dead);
  note_spool(out, summary, &totals);
  note_unfinished(out, summary->unfinished);
  note_reloads(out, summary->engine);
  double per_second =
      summary->seconds > 0 ? (double)summary->tally->read / summary->seconds : 0;
  tw_buffer_printf(out, "%s%.2f s, %s events/s, %.1f MB read, %.1f MB of memory\n",
                   summary->caught ? "stopped by a signal after " : "", summary->seconds,
                   tw_grouped((uint64_t)per_second, rate), (double)summary->tally->bytes / 1e6,
                   (double)summary->peak / 1e6);
}

/// Not getrusage: its figure outlives exec and may be the shell's.
uint64_t tw_peak_memory(void) {
  FILE *status = fopen("/proc/self/status", "re");
  char line[128];
  uint64_t kilobytes = 0;
  while (status && fgets(line, sizeof line, status))
    if (strncmp(line, "VmHWM:", 6) == 0) kilobytes = strtoull(line + 6, NULL, 10);
  if (status) fclose(status);
  return kilobytes * 1024;
}
