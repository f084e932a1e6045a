/// feed.c: the loop: have blocks of lines processed, and wait while the input pauses.
///
/// Blocks of a regular file are *fetched* by the workers: what a worker has read itself is
/// still in its processor's cache when it takes the lines apart. A pipe may have to be waited
/// for, which only this thread does; its blocks are *pushed*.
///
/// The workers count the lines and flush the backends when they run dry. When the input pauses,
/// all blocks come back first, so that what is kept beside the backends is written as well.
#include "app/feed.h"

#include "app/signals.h"
#include "base/wait.h"

void tw_feed_init(tw_feed *feed, tw_term *term, tw_progress *progress, tw_account *account,
                  tw_intake *intake, size_t max_line) {
  *feed = (tw_feed){.term = term,
                    .progress = progress,
                    .account = account,
                    .input = {.max_line = max_line, .intake = intake}};
  pthread_mutex_init(&feed->mutex, NULL);
  tw_condition_init(&feed->over);
}

void tw_feed_fini(tw_feed *feed) {
  pthread_cond_destroy(&feed->over);
  pthread_mutex_destroy(&feed->mutex);
}

static void tick(tw_feed *feed) {
  if (!feed->progress->term) return;
  tw_tally tally = tw_account_tally(feed->account);
  tw_progress_tick(feed->progress, &tally);
}

static bool has_more(const tw_feed *feed) {
  return feed->status == TW_OK && tw_input_has_more(&feed->input);
}

/* -------------------------------------------------------------------- push */

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

/// One block, or one read, more. @return TW_ECLOSED when a signal has asked to finish
static tw_status push_one(tw_feed *feed) {
  tw_block *block;
  tw_status status = tw_input_next(&feed->input, &block, &feed->error);
  if (block) {
    tick(feed);
    return tw_engine_feed(feed->engine, block, &feed->error);
  }
  if (status || feed->input.ended) return status;
  if (!tw_input_ready(&feed->input)) pause_input(feed);
  if (tw_signals_caught()) return TW_ECLOSED;
  return tw_input_fill(&feed->input, &feed->error);
}

static void push(tw_feed *feed) {
  while (has_more(feed)) feed->status = push_one(feed);
}

/* ------------------------------------------------------------------- fetch */

/// On a worker's thread; others wait for their turn.
static tw_block *fetch_one(void *self) {
  tw_feed *feed = self;
  tw_block *block = NULL;
  pthread_mutex_lock(&feed->mutex);
  if (tw_signals_caught()) feed->status = TW_ECLOSED;
  while (has_more(feed) && !block) {
    feed->status = tw_input_next(&feed->input, &block, &feed->error);
    if (!block && !feed->status && !feed->input.ended)
      feed->status = tw_input_fill(&feed->input, &feed->error);
  }
  pthread_mutex_unlock(&feed->mutex);
  return block;
}

static void begin_request(void *self) {
  tw_feed *feed = self;
  pthread_mutex_lock(&feed->mutex);
  feed->requests++;
  pthread_mutex_unlock(&feed->mutex);
}

static void end_request(void *self) {
  tw_feed *feed = self;
  pthread_mutex_lock(&feed->mutex);
  feed->requests--;
  pthread_cond_signal(&feed->over);
  pthread_mutex_unlock(&feed->mutex);
}

static void await_requests(tw_feed *feed) {
  int interval = tw_progress_interval(feed->progress);
  pthread_mutex_lock(&feed->mutex);
  while (feed->requests) {
    struct timespec end = tw_deadline((uint64_t)(interval < 0 ? 3600000 : interval) * 1000000);
    pthread_cond_timedwait(&feed->over, &feed->mutex, &end);
    pthread_mutex_unlock(&feed->mutex);
    tick(feed);
    pthread_mutex_lock(&feed->mutex);
  }
  pthread_mutex_unlock(&feed->mutex);
}

static void fetch(tw_feed *feed) {
  const tw_block_source source = {fetch_one, begin_request, end_request, feed};
  tw_error error;
  tw_status status = tw_engine_fetch(feed->engine, &source, &error);
  await_requests(feed);
  if (status == TW_OK || feed->status) return;
  feed->status = status;
  feed->error = error;
}

/* -------------------------------------------------------------------- file */

void tw_feed_file(tw_feed *feed, const char *name) {
  feed->error = (tw_error){0};
  feed->status = tw_input_open(&feed->input, name, &feed->error);
  if (feed->input.waits) push(feed);
  else fetch(feed);
  bool was_asked = feed->status == TW_ECLOSED && !*feed->error.message;
  if (feed->status && !was_asked) {
    feed->input_failed = true;
    tw_term_complain(feed->term, "%s", feed->error.message);
  }
  tw_input_close(&feed->input);
}
