/// account.c: one lock for all that the workers tell.
///
/// With a spool, rejected lines and dead letters are the engine's to keep, together with how
/// far the source was read. Without one, records are gathered and written in large pieces while
/// lines are under way. What is told while none is, by a timer or at the end, is written at
/// once.
#include "app/account.h"

#include <stdio.h>

#include "app/rejects.h"

void tw_account_init(tw_account *account, tw_term *term, const char *rejects,
                     const char *dead) {
  *account = (tw_account){.term = term};
  pthread_mutex_init(&account->mutex, NULL);
  account->rejects = (tw_sink){.path = rejects, .what = "rejected lines", .term = term};
  account->dead = (tw_sink){.path = dead, .what = "dead letters", .term = term};
  account->failures = (tw_failures){.term = term, .dead = &account->dead};
}

void tw_account_fini(tw_account *account) {
  tw_sink_fini(&account->rejects);
  tw_sink_fini(&account->dead);
  pthread_mutex_destroy(&account->mutex);
}

void tw_account_use_spool(tw_account *account) {
  pthread_mutex_lock(&account->mutex);
  account->has_spool = true;
  pthread_mutex_unlock(&account->mutex);
}

static void rejected(void *self, const tw_block *block, const tw_line *line,
                     const tw_error *why) {
  tw_account *account = self;
  pthread_mutex_lock(&account->mutex);
  if (!account->has_spool) tw_rejects_add(&account->rejects, block->source, line, why);
  pthread_mutex_unlock(&account->mutex);
}

static void done(void *self, const tw_block *block) {
  tw_account *account = self;
  pthread_mutex_lock(&account->mutex);
  tw_tally_add(&account->tally, &block->tally);
  if (block->tally.left && block->file) account->has_left = true;
  else if (block->tally.left) account->output_failed = true;
  pthread_mutex_unlock(&account->mutex);
}

const tw_intake_ops tw_account_intake = {rejected, done};

/// A failure without an event that no backend counts is told nowhere else.
void tw_account_failed(void *self, const tw_failure *failure) {
  tw_account *account = self;
  pthread_mutex_lock(&account->mutex);
  tw_failures_add(&account->failures, failure);
  bool at_end = strcmp(failure->where, "close") == 0 || strcmp(failure->where, "state") == 0;
  if (at_end || (failure->event && strcmp(failure->where, "engine") == 0))
    account->output_failed = true;
  pthread_mutex_unlock(&account->mutex);
}

void tw_account_dead(void *self, const tw_failure *failure) {
  tw_account *account = self;
  pthread_mutex_lock(&account->mutex);
  if (!account->has_spool) tw_failures_keep(&account->failures, failure);
  if (!failure->origin) tw_sink_flush(&account->dead);
  pthread_mutex_unlock(&account->mutex);
}

void tw_account_reloaded(tw_account *account, uint64_t generation, const tw_error *error) {
  char good[64];
  unsigned long long number = generation;
  snprintf(good, sizeof good, "generation %llu runs", number);
  pthread_mutex_lock(&account->mutex);
  if (error)
    tw_term_complain(account->term, "%s; generation %llu goes on", error->message, number);
  else tw_term_say(account->term, good);
  pthread_mutex_unlock(&account->mutex);
}

void tw_account_flush(tw_account *account) {
  pthread_mutex_lock(&account->mutex);
  tw_sink_flush(&account->rejects);
  tw_sink_flush(&account->dead);
  pthread_mutex_unlock(&account->mutex);
}

tw_tally tw_account_tally(tw_account *account) {
  pthread_mutex_lock(&account->mutex);
  tw_tally tally = account->tally;
  pthread_mutex_unlock(&account->mutex);
  return tally;
}
