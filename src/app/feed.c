/// feed.c: the loop: read a block and hand it to the engine; wait while the input pauses.
///
/// The engine's workers take the lines apart, count them and flush the backends when they run
/// dry. When the input pauses, all blocks come back first, so that what is kept beside the
/// backends is written as well.
#include "app/feed.h"

#include "app/signals.h"

static void tick(tw_feed *feed) {
  if (!feed->progress->term) return;
  tw_tally tally = tw_account_tally(feed->account);
  tw_progress_tick(feed->progress, &tally);
}

/// Waits until the engine is through with all but `most` blocks.
static void settle(tw_feed *feed, unsigned most) {
  while (!tw_intake_wait(feed->input.intake, most, tw_progress_interval(feed->progress)))
    tick(feed);
}

/// Everything that was read is delivered first.
static void pause_input(tw_feed *feed) {
  settle(feed, feed->input.block != NULL);
  tw_account_flush(feed->account);
  while (!tw_input_ready(&feed->input) && !tw_signals_caught()) {
    tw_signals_wait(feed->input.fd, tw_progress_interval(feed->progress));
    tick(feed);
  }
}

static tw_status hand_over(tw_feed *feed, tw_block *block, tw_error *error) {
  tw_status status = tw_engine_feed(feed->engine, block, error);
  if (status) tw_error_prefix(error, "%s: ", tw_input_title(feed->input.name));
  tick(feed);
  return status;
}

/// One block more. @return TW_ECLOSED when a signal has asked to finish
static tw_status next(tw_feed *feed, tw_error *error) {
  tw_block *block;
  tw_status status = tw_input_next(&feed->input, &block, error);
  if (status || feed->input.ended) return block ? hand_over(feed, block, error) : status;
  if (block) return hand_over(feed, block, error);
  if (!tw_input_ready(&feed->input)) pause_input(feed);
  if (tw_signals_caught()) return TW_ECLOSED;
  return tw_input_fill(&feed->input, error);
}

static bool has_more(const tw_feed *feed) {
  return !feed->input.ended || (feed->input.block && feed->input.block->len);
}

void tw_feed_file(tw_feed *feed, const char *name) {
  tw_error error = {0};
  tw_status status = tw_input_open(&feed->input, name, &error);
  while (status == TW_OK && has_more(feed)) status = next(feed, &error);
  bool was_asked = status == TW_ECLOSED && !*error.message;
  if (status && !was_asked) {
    feed->input_failed = true;
    tw_term_complain(feed->term, "%s", error.message);
  }
  tw_input_close(&feed->input);
}
