/* What happens at a bound: of the spool (its size, the disk) and of each outbox.

   What matters least goes first, so priorities are taken in ascending order; within one, from
   each outbox as its policy says. "drop_oldest" sheds what waits, the oldest first.
   "drop_newest" sheds what comes, unless something that matters less waits. Where neither frees
   enough, whoever commits waits: TW_ELIMIT.

   What a delivery has in its hands is not shed, so that each event is delivered, dead or shed,
   and never two of these. Shedding is a transaction of its own: LMDB uses the pages that are
   freed in one only in the next. */
#include <string.h>

#include "delivery/journal_inside.h"
#include "delivery/spool_keys.h"

/* Beside the chunks a transaction copies pages of the tree. */
enum { TREE_BYTES = 128 << 10 };

/* What is still to be freed. */
typedef struct shortage {
  tw_spool_outbox *only; /* NULL: of all outboxes */
  uint64_t events, bytes;
} shortage;

static bool is_enough(const shortage *of) { return !of->events && !of->bytes; }

static void free_up(shortage *of, uint64_t events, uint64_t bytes) {
  of->events -= events < of->events ? events : of->events;
  of->bytes -= bytes < of->bytes ? bytes : of->bytes;
}

/* A reload may change them at any time. */
static tw_outbox_bounds bounds_of(tw_spool_outbox *outbox) {
  pthread_mutex_lock(&outbox->base.mutex);
  tw_outbox_bounds bounds = outbox->base.bounds;
  pthread_mutex_unlock(&outbox->base.mutex);
  return bounds;
}

static tw_spool_outbox *outbox_of(const tw_parcel *parcel) {
  return (tw_spool_outbox *)parcel->outbox;
}

/* ----------------------------------------------------------------- waiting */

/* It stands under the number of the first event that is left. */
static tw_status put_rest(const tw_spool_outbox *outbox, tw_spool_txn *txn,
                          const tw_chunk *rest, tw_error *error) {
  unsigned char key[TW_CHUNK_KEY_LEN];
  const char *data;
  size_t size;
  tw_chunk_bytes(rest, &data, &size);
  tw_chunk_key_write(key, outbox->draft.id, tw_chunk_first(rest));
  return tw_spool_put(txn, TW_SPOOL_CHUNK, key, sizeof key, data, size, error);
}

/* Rewrites or deletes one chunk. */
static tw_status shed_chunk(tw_spool_outbox *outbox, tw_spool_txn *txn,
                            const tw_spool_record *record, int priority, shortage *of,
                            tw_error *error) {
  tw_chunk *chunk, *rest = NULL;
  unsigned char key[TW_CHUNK_KEY_LEN];
  memcpy(key, record->key, sizeof key);
  tw_status status = tw_chunk_read(record->value, record->len, &chunk, error);
  if (status == TW_EIO) return TW_OK; /* the delivery will tell of it */
  if (status) return status;
  if (tw_chunk_at_priority(chunk, priority))
    status = tw_chunk_without(chunk, priority, &rest, error);
  else rest = tw_chunk_ref(chunk);
  if (status == TW_OK && rest != chunk) {
    uint64_t events = tw_chunk_count(chunk) - (rest ? tw_chunk_count(rest) : 0);
    uint64_t bytes = tw_chunk_text_len(chunk) - (rest ? tw_chunk_text_len(rest) : 0);
    status = tw_spool_delete(txn, TW_SPOOL_CHUNK, key, sizeof key, error);
    if (status == TW_OK && rest) status = put_rest(outbox, txn, rest, error);
    outbox->draft.events -= events;
    outbox->draft.bytes -= bytes;
    outbox->draft_shed += events;
    outbox->is_drafted = true;
    free_up(of, events, bytes);
  }
  tw_chunk_unref(rest);
  tw_chunk_unref(chunk);
  return status;
}

static tw_status shed_chunks(tw_spool_outbox *outbox, tw_spool_txn *txn, uint64_t from,
                             int priority, shortage *of, tw_error *error) {
  tw_status status = TW_OK;
  while (status == TW_OK && !is_enough(of)) {
    unsigned char key[TW_CHUNK_KEY_LEN];
    tw_spool_record record = {0};
    uint32_t id;
    tw_chunk_key_write(key, outbox->draft.id, from);
    status = tw_spool_seek(txn, TW_SPOOL_CHUNK, key, sizeof key, &record, error);
    if (status && !(status == TW_EIO && record.key)) break;
    uint64_t first;
    if (!tw_chunk_key_read(record.key, record.key_len, &id, &first) || id != outbox->draft.id)
      break;
    from = first + 1;
    status = status ? TW_OK : shed_chunk(outbox, txn, &record, priority, of, error);
  }
  return status == TW_ENOENT ? TW_OK : status;
}

static void tell_lost(const tw_journal *journal, const tw_outbox *outbox, uint64_t events) {
  if (events && journal->options.lost)
    journal->options.lost(journal->options.self, outbox->path, events);
}

/* Nothing is read from it meanwhile: `reading` is held. */
static tw_status shed_locked(tw_journal *journal, tw_spool_outbox *outbox, int priority,
                             shortage *of, tw_error *error) {
  tw_spool_txn *txn;
  shortage before = *of;
  pthread_mutex_lock(&outbox->base.mutex);
  uint64_t from = outbox->given > outbox->base.head ? outbox->given : outbox->base.head;
  pthread_mutex_unlock(&outbox->base.mutex);
  outbox->draft = outbox->stored;
  outbox->is_drafted = false;
  outbox->draft_shed = 0;
  tw_status status = tw_spool_begin(journal->spool, true, &txn, error);
  if (status) return status;
  status = shed_chunks(outbox, txn, from, priority, of, error);
  if (status == TW_OK && outbox->is_drafted) status = tw_spool_outbox_store(outbox, txn, error);
  if (status == TW_OK && outbox->is_drafted) status = tw_spool_commit(txn, error);
  else tw_spool_abort(txn);
  if (status) {
    *of = before;
    return status;
  }
  tw_spool_outbox_settle_shed(outbox, from);
  tell_lost(journal, &outbox->base, outbox->draft_shed);
  return TW_OK;
}

static tw_status shed_waiting(tw_journal *journal, tw_spool_outbox *outbox, int priority,
                              shortage *of, tw_error *error) {
  if (is_enough(of) || !outbox->stored.events) return TW_OK;
  pthread_mutex_lock(&outbox->reading);
  tw_status status = shed_locked(journal, outbox, priority, of, error);
  pthread_mutex_unlock(&outbox->reading);
  return status;
}

/* ---------------------------------------------------------------- incoming */

static tw_status shed_parcel(const tw_journal *journal, tw_commit *commit, tw_parcel *parcel,
                             int priority, shortage *of, tw_error *error) {
  tw_chunk *rest;
  if (!parcel->chunk || !tw_chunk_at_priority(parcel->chunk, priority)) return TW_OK;
  tw_status status = tw_chunk_without(parcel->chunk, priority, &rest, error);
  if (status) return status;
  uint64_t events = tw_chunk_count(parcel->chunk) - (rest ? tw_chunk_count(rest) : 0);
  size_t bytes = tw_chunk_size(parcel->chunk) - (rest ? tw_chunk_size(rest) : 0);
  free_up(of, events, bytes);
  commit->shed += events;
  commit->bytes -= bytes;
  tw_outbox *base = parcel->outbox;
  pthread_mutex_lock(&base->mutex);
  base->shed += events;
  pthread_mutex_unlock(&base->mutex);
  tw_chunk_unref(parcel->chunk);
  parcel->chunk = rest;
  tell_lost(journal, base, events);
  return TW_OK;
}

static tw_status shed_coming(const tw_journal *journal, tw_group *group,
                             const tw_spool_outbox *outbox, int priority, shortage *of,
                             tw_error *error) {
  tw_status status = TW_OK;
  for (tw_commit *commit = group->first; commit && !status; commit = commit->next)
    for (size_t i = commit->count; i-- > 0 && !status && !is_enough(of);)
      if (outbox_of(&commit->parcels[i]) == outbox)
        status = shed_parcel(journal, commit, &commit->parcels[i], priority, of, error);
  return status;
}

/* @return whether something that matters more than `priority` comes to the outbox */
static bool brings_more(const tw_group *group, const tw_spool_outbox *outbox, int priority) {
  for (const tw_commit *commit = group->first; commit; commit = commit->next)
    for (size_t i = 0; i < commit->count; i++) {
      const tw_parcel *parcel = &commit->parcels[i];
      if (outbox_of(parcel) != outbox || !parcel->chunk) continue;
      for (int p = priority + 1; p <= TW_PRIORITY_HIGH; p++)
        if (tw_chunk_at_priority(parcel->chunk, p)) return true;
    }
  return false;
}

static tw_status shed_from(tw_journal *journal, tw_group *group, tw_spool_outbox *outbox,
                           int priority, shortage *of, tw_error *error) {
  tw_status status = TW_OK;
  switch (bounds_of(outbox).overload) {
    case TW_OVERLOAD_BLOCK: break;
    case TW_OVERLOAD_OLDEST:
      status = shed_waiting(journal, outbox, priority, of, error);
      if (status == TW_OK) status = shed_coming(journal, group, outbox, priority, of, error);
      break;
    case TW_OVERLOAD_NEWEST:
      status = shed_coming(journal, group, outbox, priority, of, error);
      if (status == TW_OK && brings_more(group, outbox, priority))
        status = shed_waiting(journal, outbox, priority, of, error);
      break;
  }
  return status;
}

static tw_status shed(tw_journal *journal, tw_group *group, shortage *of, tw_error *error) {
  tw_status status = TW_OK;
  for (int p = TW_PRIORITY_LOW; p <= TW_PRIORITY_HIGH && status == TW_OK; p++)
    for (tw_spool_outbox *it = journal->outboxes; it && !status && !is_enough(of);
         it = it->next)
      if (!of->only || of->only == it) status = shed_from(journal, group, it, p, of, error);
  return status;
}

/* ------------------------------------------------------------------ bounds */

static void add_coming(const tw_group *group, const tw_spool_outbox *outbox, uint64_t *events,
                       uint64_t *bytes) {
  for (const tw_commit *commit = group->first; commit; commit = commit->next)
    for (size_t i = 0; i < commit->count; i++) {
      const tw_chunk *chunk = commit->parcels[i].chunk;
      if (!chunk || outbox_of(&commit->parcels[i]) != outbox) continue;
      *events += tw_chunk_count(chunk);
      *bytes += tw_chunk_text_len(chunk);
    }
}

static uint64_t over(uint64_t value, uint64_t bound) {
  return bound && value > bound ? value - bound : 0;
}

/* An empty outbox takes whatever comes. */
static tw_status fit_outbox(tw_journal *journal, tw_group *group, tw_spool_outbox *outbox,
                            tw_error *error) {
  const tw_outbox_bounds bounds = bounds_of(outbox);
  if (!bounds.max_events && !bounds.max_bytes) return TW_OK;
  uint64_t coming = 0, coming_bytes = 0;
  add_coming(group, outbox, &coming, &coming_bytes);
  pthread_mutex_lock(&outbox->base.mutex);
  uint64_t waiting = outbox->base.tail > outbox->base.head ? outbox->stored.events : 0;
  pthread_mutex_unlock(&outbox->base.mutex);
  if (!coming || !waiting) return TW_OK;
  shortage of = {outbox, over(waiting + coming, bounds.max_events),
                 over(outbox->stored.bytes + coming_bytes, bounds.max_bytes)};
  if (is_enough(&of)) return TW_OK;
  tw_status status = shed(journal, group, &of, error);
  if (status || is_enough(&of)) return status;
  return tw_fail(error, TW_ELIMIT,
                 "the outbox \"%.120s\" is full: %llu events wait; routing pauses until its "
                 "backend has taken some",
                 outbox->base.path, (unsigned long long)waiting);
}

tw_status tw_journal_make_room(tw_journal *journal, tw_group *group, tw_error *error) {
  tw_status status = TW_OK;
  for (tw_spool_outbox *it = journal->outboxes; it && status == TW_OK; it = it->next)
    status = fit_outbox(journal, group, it, error);
  if (status) return status;
  uint64_t need = TREE_BYTES, room = tw_spool_room(journal->spool);
  for (const tw_commit *commit = group->first; commit; commit = commit->next)
    need += commit->bytes + commit->bytes / 16;
  shortage of = {NULL, 0, over(need, room ? room : 1)};
  if (is_enough(&of)) return TW_OK;
  status = shed(journal, group, &of, error);
  if (status || is_enough(&of)) return status;
  return tw_fail(error, TW_ELIMIT,
                 "%.200s: the spool is full: %llu KiB are wanted and %llu KiB free (max_bytes, "
                 "min_free, or the disk); routing pauses until backends have taken some",
                 journal->folder, (unsigned long long)need >> 10,
                 (unsigned long long)room >> 10);
}
