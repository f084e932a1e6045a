/// feed.c: the loop: have blocks of lines processed, and wait while the input pauses.
///
/// Sources are read one after the other; with cursors, a source's next pass begins when all
/// that was read is committed. Those that are followed are looked at five times a second then.
///
/// Blocks of a regular file are *fetched* by the workers: what a worker has read itself is
/// still in its processor's cache when it takes the lines apart. A pipe may have to be waited
/// for, which only this thread does; its blocks are *pushed*.
///
/// The workers count the lines and flush the backends when they run dry. When the input pauses,
/// all blocks come back first, so that what is kept beside the backends is written as well.
#include "app/feed.h"

#include "app/signals.h"
#include "app/summary.h"
#include "base/alloc.h"
#include "base/wait.h"

enum {
  LOOK_MS = 200,     ///< between two looks at files that are followed
  FORMER_LOOKS = 50, ///< looks until those that they were before are looked at, too
};

void tw_feed_init(tw_feed *feed, tw_term *term, tw_progress *progress, tw_account *account,
                  tw_intake *intake, size_t max_line) {
  *feed = (tw_feed){.term = term,
                    .progress = progress,
                    .account = account,
                    .intake = intake,
                    .max_line = max_line};
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
  tw_progress_tick(feed->progress, &tally, tw_summary_totals(feed->engine).waiting);
}

static bool has_more(const tw_feed *feed) {
  return feed->status == TW_OK && tw_input_has_more(feed->input);
}

/// What cannot be read is told once while it lasts.
static void tell(tw_feed *feed, const tw_error *error) {
  bool again = strcmp(feed->told.message, error->message) == 0;
  feed->input_failed = true;
  feed->told = *error;
  if (!again) tw_term_complain(feed->term, "%s", error->message);
}

/* -------------------------------------------------------------------- push */

/// Waits until the engine is through with all but `most` blocks.
static void settle(tw_feed *feed, unsigned most) {
  while (!tw_intake_wait(feed->intake, most, tw_progress_interval(feed->progress))) tick(feed);
}

/// Everything that was read is delivered first.
static void pause_input(tw_feed *feed) {
  settle(feed, feed->input->block != NULL);
  tw_account_flush(feed->account);
  while (!tw_input_ready(feed->input) && !tw_signals_caught()) {
    tw_signals_wait(feed->input->fd, tw_progress_interval(feed->progress));
    tick(feed);
  }
}

/// One block, or one read, more. @return TW_ECLOSED when a signal has asked to finish
static tw_status push_one(tw_feed *feed) {
  tw_block *block;
  tw_status status = tw_input_next(feed->input, &block, &feed->error);
  if (block) {
    tick(feed);
    return tw_engine_feed(feed->engine, block, &feed->error);
  }
  if (status || feed->input->ended) return status;
  if (!tw_input_ready(feed->input)) pause_input(feed);
  if (tw_signals_caught()) return TW_ECLOSED;
  return tw_input_fill(feed->input, &feed->error);
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
    feed->status = tw_input_next(feed->input, &block, &feed->error);
    if (!block && !feed->status && !feed->input->ended)
      feed->status = tw_input_fill(feed->input, &feed->error);
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

/* ------------------------------------------------------------------ operands */

/// @return whether it was read to its end
static bool read_input(tw_feed *feed, tw_input *input) {
  feed->input = input;
  feed->error = (tw_error){0};
  feed->status = TW_OK;
  if (input->waits) push(feed);
  else fetch(feed);
  bool was_asked = feed->status == TW_ECLOSED && !*feed->error.message;
  if (feed->status && !was_asked) tell(feed, &feed->error);
  if (feed->status) tw_input_close(input); // of the block that it holds nobody would know
  return feed->status == TW_OK;
}

static bool read_files(tw_feed *feed, tw_operand *operand) {
  tw_error error;
  bool opened, go_on = true;
  while (go_on && !tw_signals_caught()) {
    if (operand->cursors) settle(feed, 0);
    tw_status status = tw_operand_open(operand, &opened, &error);
    if (status) tell(feed, &error);
    if (status || !opened) return status == TW_OK;
    go_on = read_input(feed, &operand->input);
  }
  return go_on;
}

/// @return whether all went well
static bool pass(tw_feed *feed, tw_operand *operand) {
  tw_error error;
  if (!operand->is_plain) settle(feed, 0);
  tw_status status = tw_operand_begin(operand, &error);
  if (status) tell(feed, &error);
  bool ok = !status && read_files(feed, operand);
  if (!operand->is_plain) settle(feed, 0);
  tw_operand_end(operand);
  return ok;
}

static void read_operand(tw_feed *feed, tw_operand *operand) {
  while (pass(feed, operand) && !tw_signals_caught() &&
         tw_operand_look(operand) == TW_OPERAND_REPLACED) {}
}

/* ------------------------------------------------------------------- follow */

/// Reads what has come. What the name led to before is read to its end first: nobody else may
/// find it any more.
static void follow_operand(tw_feed *feed, tw_operand *operand) {
  tw_operand_news news = tw_operand_look(operand);
  if (news == TW_OPERAND_REWRITTEN) tw_input_close(&operand->input);
  if (news != TW_OPERAND_SAME && operand->input.fd >= 0) {
    tw_input_resume(&operand->input);
    read_input(feed, &operand->input);
  }
  bool is_new = news == TW_OPERAND_REPLACED || news == TW_OPERAND_REWRITTEN;
  if (is_new && !tw_signals_caught()) read_operand(feed, operand);
}

static void wait_for_more(tw_feed *feed) {
  settle(feed, 0);
  tw_account_flush(feed->account);
  tw_signals_wait(-1, LOOK_MS);
  tick(feed);
}

/// Former files may still be written to by who has them open: they are looked at now and then.
static void follow(tw_feed *feed, tw_operand *operands, size_t count) {
  uint64_t looks = 0;
  while (!tw_signals_caught()) {
    wait_for_more(feed);
    bool is_time = ++looks % FORMER_LOOKS == 0;
    for (size_t i = 0; i < count && !tw_signals_caught(); i++) {
      if (is_time && operands[i].formers) read_operand(feed, &operands[i]);
      else follow_operand(feed, &operands[i]);
    }
  }
  settle(feed, 0);
}

/* -------------------------------------------------------------------- inputs */

static tw_status init_operands(tw_feed *feed, char **names, size_t count, bool follows,
                               tw_operand *operands, tw_error *error) {
  tw_status status = TW_OK;
  for (size_t i = 0; i < count && !status; i++)
    status = tw_operand_init(&operands[i], names[i], feed->keeps ? &feed->cursors : NULL,
                             follows, feed->term, feed->intake, feed->max_line, error);
  return status;
}

static void read_operands(tw_feed *feed, tw_operand *operands, size_t count, bool follows) {
  for (size_t i = 0; i < count && !tw_signals_caught(); i++) read_operand(feed, &operands[i]);
  if (follows) follow(feed, operands, count);
}

/// What the blocks under way point to goes only when they are back.
void tw_feed_read(tw_feed *feed, char **names, bool follows) {
  tw_error error;
  size_t count = 0;
  while (names[count]) count++;
  feed->keeps = tw_engine_has_spool(feed->engine);
  feed->cursors = tw_engine_cursors(feed->engine);
  tw_operand *operands = tw_calloc(count, sizeof *operands);
  tw_status status = operands ? init_operands(feed, names, count, follows, operands, &error)
                              : tw_no_memory(&error);
  if (status) tell(feed, &error);
  else read_operands(feed, operands, count, follows);
  settle(feed, 0);
  for (size_t i = 0; operands && i < count; i++)
    feed->unfinished += tw_operand_fini(&operands[i]);
  tw_free(operands);
}
