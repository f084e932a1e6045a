/* Commits come into a list; one thread takes all that are there and writes them together. It
   begins when enough has come, when the oldest has waited long enough, or when somebody is in a
   hurry; while a transaction is being synced, the next ones gather by themselves.

   In memory there is no thread: who submits appends, and waits where an outbox is full. */
#include "delivery/journal.h"

#include <errno.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/thread.h"
#include "base/wait.h"
#include "delivery/journal_inside.h"

/* Heads that have moved are stored after this time, if no commit does it sooner. */
enum { MOVED_NS = 20000000 };
/* Between tries of a transaction that fails. */
enum { PAUSE_MIN_NS = 20000000, PAUSE_MAX_NS = 1000000000 };
/* Who waits for room in memory looks up so often. */
enum { WAIT_NS = 10000000 };
/* A transaction is not made larger than this, so that none takes too long. */
enum { GROUP_MOST = 16 << 20 };

/* ------------------------------------------------------------------ memory */

static tw_status append_parcel(const tw_journal *journal, tw_commit *commit, tw_parcel *parcel,
                               tw_error *error) {
  uint64_t shed = 0;
  tw_chunk *chunk = parcel->chunk;
  tw_status status;
  if (!chunk) return TW_OK;
  while ((status = tw_outbox_append_within(parcel->outbox, tw_chunk_ref(chunk), WAIT_NS, &shed,
                                           error)) == TW_ELIMIT) {
    tw_chunk_unref(chunk);
    if (journal->options.waits) journal->options.waits(journal->options.self);
  }
  commit->shed += shed;
  if (shed && journal->options.lost)
    journal->options.lost(journal->options.self, parcel->outbox->path, shed);
  return status;
}

static void submit_in_memory(const tw_journal *journal, tw_commit *commit) {
  tw_error error = {0};
  tw_status first = TW_OK;
  for (size_t i = 0; i < commit->count; i++) {
    tw_status status =
        append_parcel(journal, commit, &commit->parcels[i], first ? NULL : &error);
    if (!first) first = status;
  }
  commit->done(commit, first, &error);
}

/* ------------------------------------------------------------------ submit */

static void add(tw_journal *journal, tw_commit *commit) {
  if (!journal->first) journal->since_ns = tw_clock_monotonic_ns();
  commit->next = NULL;
  *journal->last = commit;
  journal->last = &commit->next;
  journal->bytes += commit->bytes;
  pthread_cond_signal(&journal->woken);
}

void tw_journal_submit(tw_journal *journal, tw_commit *commit) {
  if (!journal->spool) {
    submit_in_memory(journal, commit);
    return;
  }
  pthread_mutex_lock(&journal->mutex);
  bool is_closed = journal->is_closing;
  if (!is_closed) add(journal, commit);
  pthread_mutex_unlock(&journal->mutex);
  if (!is_closed) return;
  tw_error error;
  tw_fail(&error, TW_ECLOSED, "the spool is closed");
  commit->done(commit, TW_ECLOSED, &error);
}

void tw_journal_hurry(tw_journal *journal) {
  if (!journal->spool) return;
  pthread_mutex_lock(&journal->mutex);
  journal->is_hurried = true;
  pthread_cond_signal(&journal->woken);
  pthread_mutex_unlock(&journal->mutex);
}

/* ------------------------------------------------------------------- write */

/* @return nanoseconds until there is something to write: 0 now, UINT64_MAX: nothing is known of
 */
static uint64_t time_to_wait(const tw_journal *journal) {
  uint64_t now = tw_clock_monotonic_ns(), due = UINT64_MAX;
  if (journal->is_closing) return 0;
  if (journal->first) {
    if (journal->is_hurried || journal->bytes >= journal->options.group_bytes) return 0;
    due = journal->since_ns + journal->options.group_ns;
  }
  if (journal->moved_ns && journal->moved_ns + MOVED_NS < due)
    due = journal->moved_ns + MOVED_NS;
  if (journal->sync_due_ns && journal->sync_due_ns < due) due = journal->sync_due_ns;
  if (due == UINT64_MAX) return due;
  return due > now ? due - now : 0;
}

static void await_work(tw_journal *journal) {
  uint64_t wait;
  while ((wait = time_to_wait(journal))) {
    if (wait == UINT64_MAX) {
      pthread_cond_wait(&journal->woken, &journal->mutex);
    } else {
      struct timespec end = tw_deadline(wait);
      pthread_cond_timedwait(&journal->woken, &journal->mutex, &end);
    }
  }
}

/* Takes the first commits, as many as may be in one transaction. */
static tw_group take(tw_journal *journal) {
  tw_group group = {journal->first, 0};
  tw_commit **end = &group.first;
  while (*end && (end == &group.first || group.bytes + (*end)->bytes <= GROUP_MOST)) {
    group.bytes += (*end)->bytes;
    end = &(*end)->next;
  }
  journal->first = *end;
  *end = NULL;
  if (!journal->first) {
    journal->last = &journal->first;
    journal->is_hurried = false;
  }
  journal->bytes -= group.bytes;
  journal->since_ns = tw_clock_monotonic_ns();
  journal->moved_ns = 0;
  return group;
}

static void tell(tw_journal *journal, tw_status status, const tw_error *error) {
  if (status && !journal->is_in_trouble && journal->options.trouble)
    journal->options.trouble(journal->options.self, error);
  if (!status && journal->is_in_trouble && journal->options.trouble)
    journal->options.trouble(journal->options.self, NULL);
  journal->is_in_trouble = status != TW_OK;
}

/* What deliveries have ended is written also where there is no room for more, as it makes
   some. */
static tw_status try_once(tw_journal *journal, tw_group *group, tw_error *error) {
  static const tw_group none = {NULL, 0};
  tw_status status = TW_OK;
  for (const tw_commit *commit = group->first; commit && !status; commit = commit->next)
    status = tw_journal_note_blocks(journal, commit, error);
  if (status == TW_OK && group->first) status = tw_journal_make_room(journal, group, error);
  if (status == TW_OK) return tw_journal_write(journal, group, error);
  tw_error unwanted;
  tw_journal_write(journal, &none, &unwanted);
  return status;
}

/* @return false when the journal is being closed */
static bool pause(tw_journal *journal, uint64_t ns) {
  struct timespec end = tw_deadline(ns);
  pthread_mutex_lock(&journal->mutex);
  while (!journal->is_closing &&
         pthread_cond_timedwait(&journal->woken, &journal->mutex, &end) != ETIMEDOUT) {}
  bool goes_on = !journal->is_closing;
  pthread_mutex_unlock(&journal->mutex);
  return goes_on;
}

static void finish(tw_group *group, tw_status status, const tw_error *error) {
  for (tw_commit *commit = group->first, *next; commit; commit = next) {
    next = commit->next;
    commit->done(commit, status, error);
  }
}

/* Heads alone can wait for the next time; at the end there is none, and what was delivered will
   be so again. */
static void put_off(tw_journal *journal) {
  pthread_mutex_lock(&journal->mutex);
  if (!journal->is_closing) journal->moved_ns = tw_clock_monotonic_ns() + PAUSE_MAX_NS;
  pthread_mutex_unlock(&journal->mutex);
}

/* At the end a group may be given up. What comes behind it is given up, too: states there know
   of its events, and places have passed its blocks. */
static bool is_given_up(const tw_journal *journal, tw_group *group) {
  tw_error error;
  if (!group->first || !journal->has_given_up) return false;
  tw_fail(&error, TW_ECLOSED, "what was committed before could not be written");
  finish(group, TW_ECLOSED, &error);
  return true;
}

static void write_group(tw_journal *journal, tw_group *group) {
  tw_error error = {0};
  tw_status status;
  uint64_t wait = PAUSE_MIN_NS;
  bool is_last = false;
  if (is_given_up(journal, group)) return;
  while ((status = try_once(journal, group, &error)) && group->first && !is_last) {
    tell(journal, status, &error);
    is_last = !pause(journal, wait);
    wait = wait * 2 < PAUSE_MAX_NS ? wait * 2 : PAUSE_MAX_NS;
  }
  if (status == TW_OK || group->first) tell(journal, status, &error);
  else put_off(journal);
  if (status && group->first) journal->has_given_up = true;
  finish(group, status, &error);
  if (status == TW_OK && journal->options.durability == TW_DURABILITY_OS &&
      !journal->sync_due_ns)
    journal->sync_due_ns = tw_clock_monotonic_ns() + journal->options.sync_ns;
}

static void sync_if_due(tw_journal *journal, bool is_last) {
  tw_error error;
  if (!journal->sync_due_ns) return;
  if (!is_last && tw_clock_monotonic_ns() < journal->sync_due_ns) return;
  tw_status status = tw_spool_sync(journal->spool, &error);
  tell(journal, status, &error);
  journal->sync_due_ns =
      status ? tw_clock_monotonic_ns() + journal->options.sync_ns + PAUSE_MIN_NS : 0;
}

static __thread const tw_journal *here;

bool tw_journal_is_here(const tw_journal *journal) { return here == journal; }

static bool has_moved(const tw_journal *journal) { return journal->moved_ns != 0; }

static void *write_on(void *self) {
  tw_journal *journal = self;
  bool goes_on = true;
  here = journal;
  pthread_mutex_lock(&journal->mutex);
  while (goes_on) {
    await_work(journal);
    bool is_last = journal->is_closing && !journal->first && !has_moved(journal);
    tw_group group = take(journal);
    journal->is_writing = true;
    pthread_mutex_unlock(&journal->mutex);
    write_group(journal, &group);
    sync_if_due(journal, is_last);
    pthread_mutex_lock(&journal->mutex);
    journal->is_writing = false;
    pthread_cond_broadcast(&journal->idle);
    goes_on = !is_last;
  }
  pthread_mutex_unlock(&journal->mutex);
  return NULL;
}

/* -------------------------------------------------------------------- life */

static tw_status start(tw_journal *journal, tw_error *error) {
  tw_status status = tw_start_thread(&journal->writer, write_on, journal, error);
  journal->has_writer = status == TW_OK;
  return status;
}

static tw_status open_spool(tw_journal *journal, tw_error *error) {
  const tw_journal_options *from = &journal->options;
  const tw_spool_options options = {.mode = TW_SPOOL_OWN,
                                    .max_bytes = from->max_bytes,
                                    .min_free = from->min_free,
                                    .lazy = from->durability == TW_DURABILITY_OS};
  journal->folder = tw_strdup(from->folder);
  if (!journal->folder) return tw_no_memory(error);
  journal->options.folder = journal->folder;
  tw_status status = tw_spool_open(journal->folder, &options, &journal->spool, error);
  if (status == TW_OK) status = tw_journal_begin_dead(journal, error);
  return status ? status : start(journal, error);
}

static void fill_in(tw_journal_options *options) {
  if (!options->group_bytes) options->group_bytes = 1 << 20;
  if (!options->group_ns) options->group_ns = 2000000;
  if (!options->sync_ns) options->sync_ns = 100000000;
  if (!options->dead_max_bytes) options->dead_max_bytes = (uint64_t)256 << 20;
}

tw_status tw_journal_open(const tw_journal_options *options, tw_journal **out,
                          tw_error *error) {
  *out = NULL;
  tw_journal *journal = tw_calloc(1, sizeof *journal);
  if (!journal) return tw_no_memory(error);
  journal->options = *options;
  fill_in(&journal->options);
  journal->last = &journal->first;
  pthread_mutex_init(&journal->mutex, NULL);
  pthread_mutex_init(&journal->place_mutex, NULL);
  pthread_rwlock_init(&journal->open, NULL);
  atomic_init(&journal->refs, 1);
  tw_condition_init(&journal->woken);
  tw_condition_init(&journal->idle);
  tw_status status = options->folder ? open_spool(journal, error) : TW_OK;
  if (status == TW_OK) *out = journal;
  else tw_journal_free(journal);
  return status;
}

void tw_journal_close(tw_journal *journal) {
  if (!journal->has_writer) return;
  pthread_mutex_lock(&journal->mutex);
  journal->is_closing = true;
  pthread_cond_signal(&journal->woken);
  pthread_mutex_unlock(&journal->mutex);
  pthread_join(journal->writer, NULL);
  journal->has_writer = false;
}

void tw_journal_unref(tw_journal *journal) {
  if (atomic_fetch_sub_explicit(&journal->refs, 1, memory_order_acq_rel) != 1) return;
  tw_journal_free_places(journal);
  pthread_cond_destroy(&journal->woken);
  pthread_cond_destroy(&journal->idle);
  pthread_mutex_destroy(&journal->mutex);
  pthread_mutex_destroy(&journal->place_mutex);
  pthread_rwlock_destroy(&journal->open);
  tw_free(journal->folder);
  tw_free(journal);
}

/* Another process can have the spool from now on, also while a delivery that was left behind
   still has its outbox. */
void tw_journal_free(tw_journal *journal) {
  if (!journal) return;
  tw_journal_close(journal);
  pthread_rwlock_wrlock(&journal->open);
  tw_spool_close(journal->spool);
  journal->spool = NULL;
  pthread_rwlock_unlock(&journal->open);
  tw_journal_unref(journal);
}

tw_status tw_journal_outbox(tw_journal *journal, const char *path,
                            const tw_outbox_bounds *bounds, tw_outbox **out, tw_error *error) {
  tw_spool_outbox *outbox;
  *out = NULL;
  if (!journal->spool)
    return tw_outbox_new_memory(path, bounds, journal->options.dead, journal->options.self, out,
                                error);
  tw_status status = tw_spool_outbox_open(journal, path, bounds, &outbox, error);
  if (status == TW_OK) *out = &outbox->base;
  return status;
}
