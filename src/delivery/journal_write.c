/* One transaction: heads that have moved, with their dead letters; chunks; states; how far
   sources were read; and at last the records of the outboxes that were touched.

   Everything is worked out on drafts, so that a transaction that fails leaves nothing behind
   and can be tried again, with what has moved meanwhile. */
#include <string.h>

#include "base/alloc.h"
#include "delivery/journal_inside.h"
#include "delivery/spool_keys.h"

/* ------------------------------------------------------------ dead letters */

/* How many numbers a chunk takes that cannot be read: no chunk has more letters. */
enum { DEAD_GAP = 1 << 20 };

static tw_status put_dead(tw_spool_txn *txn, tw_chunk *chunk, uint64_t *next, uint64_t *bytes,
                          tw_error *error) {
  unsigned char key[8];
  const char *data;
  size_t size;
  tw_chunk_number(chunk, *next);
  tw_chunk_bytes(chunk, &data, &size);
  tw_spool_write_number(key, *next);
  *next += tw_chunk_count(chunk);
  *bytes += size;
  return tw_spool_put(txn, TW_SPOOL_DEAD, key, sizeof key, data, size, error);
}

/* Others may have taken letters out: what is there is counted anew. The newest number also
   outlives its letter, so that a run gives no number twice while somebody looks at a list. */
static tw_status count_dead(tw_spool_txn *txn, uint64_t *bytes, tw_error *error) {
  unsigned char key[8] = {0};
  tw_spool_record record;
  tw_status status;
  *bytes = 0;
  while ((status = tw_spool_seek(txn, TW_SPOOL_DEAD, key, sizeof key, &record, error)) ==
             TW_OK ||
         (status == TW_EIO && record.key)) {
    *bytes += record.len;
    tw_spool_write_number(key, tw_spool_read_number(record.key) + 1);
  }
  return status == TW_ENOENT ? TW_OK : status;
}

static tw_status behind_last_dead(const tw_spool_record *last, uint64_t *next) {
  tw_chunk *chunk;
  tw_status status = tw_chunk_read(last->value, last->len, &chunk, NULL);
  if (status == TW_ENOMEM) return status;
  *next = tw_spool_read_number(last->key) + (chunk ? tw_chunk_count(chunk) : DEAD_GAP);
  tw_chunk_unref(chunk);
  return TW_OK;
}

tw_status tw_journal_begin_dead(tw_journal *journal, tw_error *error) {
  tw_spool_txn *txn;
  tw_spool_record record;
  tw_status status = tw_spool_begin(journal->spool, false, &txn, error);
  if (status) return status;
  status = count_dead(txn, &journal->dead_bytes, error);
  if (status == TW_OK) {
    status = tw_spool_last(txn, TW_SPOOL_DEAD, "", 0, &record, error);
    if (status == TW_OK || (status == TW_EIO && record.key))
      status = behind_last_dead(&record, &journal->dead_next);
    if (status == TW_ENOENT) status = TW_OK;
  }
  tw_spool_abort(txn);
  return status;
}

/* @param[out] lost  letters that had to go */
static tw_status drop_oldest_dead(tw_journal *journal, tw_spool_txn *txn, uint64_t *bytes,
                                  uint64_t *lost, tw_error *error) {
  unsigned char key[8] = {0};
  tw_spool_record record;
  tw_status status = count_dead(txn, bytes, error);
  while (status == TW_OK && *bytes > journal->options.dead_max_bytes) {
    tw_chunk *chunk = NULL;
    status = tw_spool_seek(txn, TW_SPOOL_DEAD, key, sizeof key, &record, error);
    if (status == TW_OK) status = tw_chunk_read(record.value, record.len, &chunk, error);
    if (status == TW_EIO && record.key) status = TW_OK;
    if (status) return status;
    *lost += chunk ? tw_chunk_count(chunk) : 1;
    *bytes -= record.len < *bytes ? record.len : *bytes;
    tw_chunk_unref(chunk);
    unsigned char oldest[8];
    memcpy(oldest, record.key, sizeof oldest);
    status = tw_spool_delete(txn, TW_SPOOL_DEAD, oldest, sizeof oldest, error);
  }
  return status;
}

/* ------------------------------------------------------------------- parts */

typedef struct writing {
  tw_journal *journal;
  tw_spool_txn *txn;
  uint64_t dead_next, dead_bytes, dead_lost;
} writing;

/* What a delivery has ended, as it is at this moment. */
static tw_status write_moved(writing *to, tw_spool_outbox *outbox, tw_error *error) {
  pthread_mutex_lock(&outbox->base.mutex);
  bool has_moved = outbox->has_moved;
  uint64_t head = outbox->base.head;
  outbox->taken = outbox->buried_count;
  pthread_mutex_unlock(&outbox->base.mutex);
  if (!has_moved) return TW_OK;
  outbox->is_drafted = true;
  tw_status status = TW_OK;
  for (size_t i = 0; i < outbox->taken && status == TW_OK; i++) {
    pthread_mutex_lock(&outbox->base.mutex);
    tw_chunk *chunk = outbox->buried[i];
    pthread_mutex_unlock(&outbox->base.mutex);
    status = put_dead(to->txn, chunk, &to->dead_next, &to->dead_bytes, error);
  }
  return status ? status : tw_spool_outbox_move(outbox, to->txn, head, error);
}

static tw_status write_states(writing *to, const tw_commit *commit, tw_error *error) {
  tw_status status = TW_OK;
  for (const tw_kept_state *state = commit->states; state && !status; state = state->next) {
    char key[TW_STATE_KEY_ROOM];
    size_t len = tw_state_key_write(key, state->worker, state->workers);
    status = tw_spool_put(to->txn, TW_SPOOL_STATE, key, len, state->json, state->len, error);
  }
  return status;
}

static tw_status write_commit(writing *to, const tw_commit *commit, tw_error *error) {
  tw_status status = TW_OK;
  for (size_t i = 0; i < commit->count && status == TW_OK; i++) {
    const tw_parcel *parcel = &commit->parcels[i];
    if (parcel->chunk)
      status =
          tw_spool_outbox_put((tw_spool_outbox *)parcel->outbox, to->txn, parcel->chunk, error);
  }
  for (size_t i = 0; i < commit->dead_count && status == TW_OK; i++)
    status = put_dead(to->txn, commit->dead[i], &to->dead_next, &to->dead_bytes, error);
  if (status == TW_OK) status = write_states(to, commit, error);
  for (const tw_replayed *it = commit->replayed; it && !status; it = it->next)
    status = tw_spool_delete(to->txn, TW_SPOOL_REPLAY, it->key, it->len, error);
  return status;
}

static tw_status write_outboxes(writing *to, tw_error *error) {
  tw_status status = TW_OK;
  for (tw_spool_outbox *outbox = to->journal->outboxes; outbox && !status;
       outbox = outbox->next)
    if (outbox->is_drafted) status = tw_spool_outbox_store(outbox, to->txn, error);
  return status;
}

static tw_status write_all(writing *to, const tw_group *group, tw_error *error) {
  tw_status status = TW_OK;
  for (tw_spool_outbox *outbox = to->journal->outboxes; outbox && !status;
       outbox = outbox->next)
    status = write_moved(to, outbox, error);
  for (const tw_commit *commit = group->first; commit && !status; commit = commit->next)
    status = write_commit(to, commit, error);
  if (status == TW_OK && to->dead_bytes > to->journal->options.dead_max_bytes)
    status = drop_oldest_dead(to->journal, to->txn, &to->dead_bytes, &to->dead_lost, error);
  if (status == TW_OK && group->first)
    status = tw_journal_store_places(to->journal, to->txn, error);
  return status ? status : write_outboxes(to, error);
}

/* ------------------------------------------------------------------- whole */

static void begin_drafts(tw_journal *journal) {
  for (tw_spool_outbox *outbox = journal->outboxes; outbox; outbox = outbox->next) {
    outbox->draft = outbox->stored;
    outbox->is_drafted = false;
    outbox->taken = 0;
  }
}

static void remember(const tw_group *group) {
  for (const tw_commit *commit = group->first; commit; commit = commit->next)
    for (size_t i = 0; i < commit->count; i++)
      if (commit->parcels[i].chunk)
        tw_spool_outbox_remember((tw_spool_outbox *)commit->parcels[i].outbox,
                                 commit->parcels[i].chunk);
}

static void settle(writing *to, const tw_group *group) {
  tw_journal *journal = to->journal;
  journal->dead_next = to->dead_next;
  journal->dead_bytes = to->dead_bytes;
  remember(group);
  for (tw_spool_outbox *outbox = journal->outboxes; outbox; outbox = outbox->next)
    tw_spool_outbox_settle(outbox);
  if (group->first) tw_journal_settle_places(journal);
  if (to->dead_lost && journal->options.lost)
    journal->options.lost(journal->options.self, NULL, to->dead_lost);
}

tw_status tw_journal_write(tw_journal *journal, const tw_group *group, tw_error *error) {
  writing to = {
      .journal = journal, .dead_next = journal->dead_next, .dead_bytes = journal->dead_bytes};
  begin_drafts(journal);
  tw_status status = tw_spool_begin(journal->spool, true, &to.txn, error);
  if (status) return status;
  status = write_all(&to, group, error);
  if (status == TW_OK) {
    status = tw_spool_commit(to.txn, error);
  } else {
    tw_spool_abort(to.txn);
  }
  if (status == TW_OK) settle(&to, group);
  return status;
}
