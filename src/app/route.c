/// route.c: the loop: read a block, route its lines, and flush whenever the input pauses.
///
/// Each event is parsed where it stands in the input's buffer and lives in one store, which
/// is reset behind it, so that nothing is allocated for a line once the memory has grown.
///
/// Accounting: every line adds to `lines` and to one of blank and read; every one that is
/// read ends in exactly one of routed, dropped and rejected, also when memory runs out.
/// A block is the batch that a signal lets finish.
#include "app/route.h"

#include "app/rejects.h"
#include "app/signals.h"
#include "core/inspect.h"
#include "script/upkeep.h"

static void reject(tw_feed *feed, const tw_line *line, const tw_error *why) {
  feed->tally.rejected++;
  tw_rejects_add(feed->rejects, feed->input.name, line, why);
}

/// Such a line never reaches the JSON reader: only its beginning is in memory.
static void reject_long(tw_feed *feed, const tw_line *line) {
  tw_error why;
  feed->tally.lines++;
  feed->tally.read++;
  tw_fail(&why, TW_ELIMIT, "the line has %llu bytes; the limit is %zu (--max-event)",
          (unsigned long long)line->full, feed->input.max_line);
  reject(feed, line, &why);
}

/// JSON's own white space; a NUL is none.
static bool is_blank(const tw_line *line) {
  size_t at = 0;
  while (at < line->len && strchr(" \t\r", line->text[at]) && line->text[at]) at++;
  return at == line->len;
}

/// A line without memory for it, before any backend got it, is kept as a rejected one.
static void send_event(tw_feed *feed, const tw_line *line, const tw_event *event) {
  tw_error error;
  uint64_t reached = 0;
  tw_status status = tw_router_deliver(feed->router, event, TW_MORE, &reached, &error);
  if (reached) feed->tally.routed++;
  else if (status) reject(feed, line, &error);
  else feed->tally.dropped++;
  if (reached && status) {
    feed->output_failed = true;
    tw_term_complain(feed->term, "%s, line %llu: was not routed everywhere: %s",
                     tw_input_title(feed->input.name), (unsigned long long)line->number,
                     error.message);
  }
}

/// Nearly all lines begin with a brace: only the others are looked at for being blank.
static void route_line(tw_feed *feed, const tw_line *line) {
  tw_event event;
  tw_error error;
  feed->tally.lines++;
  if (line->text[0] != '{' && is_blank(line)) {
    feed->tally.blank++;
    return;
  }
  feed->tally.read++;
  if (tw_store_parse(&feed->store, line->text, line->len, &event, &error)) {
    reject(feed, line, &error);
  } else {
    send_event(feed, line, &event);
    tw_event_end(&event);
  }
  tw_store_reset(&feed->store);
}

/// What the observer tells of a failed flush is not told again here.
static void flush(tw_feed *feed) {
  tw_error error;
  if (tw_router_flush(feed->router, &error)) feed->output_failed = true;
  tw_sink_flush(feed->rejects);
  tw_sink_flush(feed->dead);
}

/// @return for how many milliseconds nothing but the input can happen; negative: for ever
static int longest_wait(const tw_feed *feed) {
  const int64_t most = 3600000;
  int64_t timer = tw_script_next_timer(feed->script);
  int progress = tw_progress_interval(feed->progress);
  if (timer < 0) return progress;
  int64_t wait = (timer + 999) / 1000; // not too early
  if (wait > most) wait = most;
  return progress >= 0 && progress < wait ? progress : (int)wait;
}

/// Runs the script's timers. What they emit is delivered before the input is waited for again.
static void run_timers(tw_feed *feed) {
  if (tw_script_next_timer(feed->script) != 0) return;
  tw_script_tick(feed->script);
  flush(feed);
}

/// The input has paused: everything that was read is delivered first.
static void pause_input(tw_feed *feed) {
  flush(feed);
  while (!tw_input_ready(&feed->input) && !tw_signals_caught()) {
    tw_signals_wait(feed->input.fd, longest_wait(feed));
    tw_progress_tick(feed->progress, &feed->tally);
    run_timers(feed);
  }
}

/// Between two blocks. @return false when the run should end
static bool next_block(tw_feed *feed, tw_error *error) {
  tw_progress_tick(feed->progress, &feed->tally);
  tw_script_tick(feed->script);
  if (!tw_input_ready(&feed->input)) pause_input(feed);
  if (tw_signals_caught()) return false;
  if (!tw_input_fill(&feed->input, error)) return true;
  feed->input_failed = true;
  tw_term_complain(feed->term, "%s", error->message);
  return false;
}

static void route_lines(tw_feed *feed) {
  tw_line line;
  tw_error error;
  bool more = true;
  while (more) {
    switch (tw_input_next(&feed->input, &line)) {
      case TW_INPUT_LINE: route_line(feed, &line); break;
      case TW_INPUT_LONG: reject_long(feed, &line); break;
      case TW_INPUT_MORE: more = next_block(feed, &error); break;
      case TW_INPUT_END: more = false; break;
    }
  }
}

void tw_feed_file(tw_feed *feed, const char *name) {
  tw_error error;
  if (tw_input_open(&feed->input, name, &error)) {
    feed->input_failed = true;
    tw_term_complain(feed->term, "%s", error.message);
  } else {
    route_lines(feed);
  }
  feed->tally.bytes += feed->input.offset;
  tw_input_close(&feed->input);
  flush(feed);
}

void tw_feed_fini(tw_feed *feed) {
  tw_input_fini(&feed->input);
  tw_store_fini(&feed->store);
}
