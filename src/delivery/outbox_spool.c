/* An outbox in a spool. A chunk stands under the number of its first event, so that chunks sort
   in the order of routing; what was shed leaves gaps. The oldest chunk that is there holds the
   stored head, or begins behind it.

   A delivery moves `head` in memory at once; what is stored follows with the next transaction.
   After a crash, what was delivered in between is delivered again. */
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "delivery/journal_inside.h"
#include "delivery/spool_keys.h"

static tw_spool_outbox *self_of(tw_outbox *outbox) { return (tw_spool_outbox *)outbox; }

/* @return the number behind the last event of a chunk */
static uint64_t end_of(const tw_chunk *chunk) {
  return tw_chunk_item_number(chunk, tw_chunk_count(chunk));
}

/* -------------------------------------------------------------------- read */

static bool holds(const tw_chunk *chunk, uint64_t number) {
  return tw_chunk_first(chunk) <= number && number < end_of(chunk);
}

/* @return a reference; NULL when the chunk is in the spool alone */
static tw_chunk *get_recent(const tw_spool_outbox *outbox, uint64_t number) {
  if (outbox->last && holds(outbox->last, number)) return tw_chunk_ref(outbox->last);
  for (unsigned i = 0; i < outbox->recent_count; i++) {
    tw_chunk *chunk = outbox->recent[(outbox->recent_first + i) % TW_RECENT_CHUNKS];
    if (holds(chunk, number)) return tw_chunk_ref(chunk);
  }
  return NULL;
}

/* @return whether the record is a chunk of this outbox */
static bool is_ours(const tw_spool_outbox *outbox, const tw_spool_record *record) {
  uint32_t id;
  uint64_t first;
  return tw_chunk_key_read(record->key, record->key_len, &id, &first) && id == outbox->id;
}

/* A chunk that cannot be read is skipped whole: up to the next one, or to the tail. */
static uint64_t behind_damaged(const tw_spool_outbox *outbox, tw_spool_txn *txn,
                               const tw_spool_record *record) {
  unsigned char key[TW_CHUNK_KEY_LEN];
  tw_spool_record next;
  uint32_t id;
  uint64_t first, tail = outbox->base.tail;
  if (!tw_chunk_key_read(record->key, record->key_len, &id, &first)) return tail;
  tw_chunk_key_write(key, id, first + 1);
  tw_status status = tw_spool_seek(txn, TW_SPOOL_CHUNK, key, sizeof key, &next, NULL);
  bool is_there = (status == TW_OK || (status == TW_EIO && next.key)) && is_ours(outbox, &next);
  if (!is_there) return tail;
  tw_chunk_key_read(next.key, next.key_len, &id, &first);
  return first;
}

/* The chunk with the number, or the one behind it. A record with a damaged value is found, too.
 */
static tw_status find(const tw_spool_outbox *outbox, tw_spool_txn *txn, uint64_t number,
                      tw_spool_record *record, tw_error *error) {
  unsigned char key[TW_CHUNK_KEY_LEN];
  tw_chunk_key_write(key, outbox->id, number);
  *record = (tw_spool_record){0};
  tw_status status = tw_spool_seek_back(txn, TW_SPOOL_CHUNK, key, sizeof key, record, error);
  if (status == TW_OK && is_ours(outbox, record)) {
    tw_chunk *chunk;
    status = tw_chunk_read(record->value, record->len, &chunk, error);
    bool has_it = status == TW_OK && end_of(chunk) > number;
    tw_chunk_unref(chunk);
    if (status || has_it) return status;
  } else if (status == TW_EIO && record->key && is_ours(outbox, record)) {
    return status;
  }
  *record = (tw_spool_record){0};
  status = tw_spool_seek(txn, TW_SPOOL_CHUNK, key, sizeof key, record, error);
  if (record->key && !is_ours(outbox, record)) {
    *record = (tw_spool_record){0};
    return TW_ENOENT;
  }
  return status;
}

/* @param[out] skip  set with TW_EIO when a chunk is damaged */
static tw_status read_stored(tw_spool_outbox *outbox, uint64_t number, tw_chunk **out,
                             uint64_t *skip, tw_error *error) {
  tw_spool_txn *txn;
  tw_spool_record record;
  tw_spool *spool = outbox->journal->spool;
  if (!spool) return tw_fail(error, TW_ECLOSED, "the spool is closed");
  tw_status status = tw_spool_begin(spool, false, &txn, error);
  if (status) return status;
  status = find(outbox, txn, number, &record, error);
  if (status == TW_OK) status = tw_chunk_read(record.value, record.len, out, error);
  if (status == TW_EIO && record.key) *skip = behind_damaged(outbox, txn, &record);
  tw_spool_abort(txn);
  return status == TW_ENOENT ? TW_OK : status;
}

/* The chunk that was read last is kept: one is read in several batches. */
static tw_status read_chunk(tw_outbox *base, uint64_t number, tw_chunk **out, uint64_t *skip,
                            tw_error *error) {
  tw_spool_outbox *outbox = self_of(base);
  tw_chunk *before = NULL;
  *out = NULL;
  *skip = number;
  pthread_mutex_lock(&outbox->reading);
  pthread_mutex_lock(&base->mutex);
  bool is_behind = number >= base->tail;
  if (!is_behind) *out = get_recent(outbox, number);
  pthread_mutex_unlock(&base->mutex);
  tw_status status = TW_OK;
  if (!is_behind && !*out) {
    pthread_rwlock_rdlock(&outbox->journal->open);
    status = read_stored(outbox, number, out, skip, error);
    pthread_rwlock_unlock(&outbox->journal->open);
  }
  pthread_mutex_lock(&base->mutex);
  if (*out && *out != outbox->last) {
    before = outbox->last;
    outbox->last = tw_chunk_ref(*out);
  }
  if (*out && end_of(*out) > outbox->given) outbox->given = end_of(*out);
  pthread_mutex_unlock(&base->mutex);
  pthread_mutex_unlock(&outbox->reading);
  tw_chunk_unref(before);
  return status;
}

/* ----------------------------------------------------------------- advance */

static bool bury(tw_spool_outbox *outbox, tw_chunk *dead) {
  if (outbox->buried_count == outbox->buried_cap) {
    size_t cap = outbox->buried_cap ? outbox->buried_cap * 2 : 4;
    tw_chunk **grown = tw_realloc(outbox->buried, cap * sizeof(tw_chunk *));
    if (!grown) return false;
    outbox->buried = grown;
    outbox->buried_cap = cap;
  }
  outbox->buried[outbox->buried_count++] = dead;
  return true;
}

/* Letters must not be stored later than the head: both are taken, or nothing. What waits is
   counted by the transaction, but that nothing does is known at once. */
static bool advance(tw_outbox *base, uint64_t head, tw_chunk *dead) {
  tw_spool_outbox *outbox = self_of(base);
  tw_journal *journal = outbox->journal;
  pthread_mutex_lock(&base->mutex);
  bool fits = !dead || bury(outbox, dead);
  if (fits) {
    if (dead) base->dead += tw_chunk_count(dead);
    if (head > base->head) base->head = head;
    if (base->head == base->tail) base->events = base->bytes = 0;
    outbox->has_moved = true;
    pthread_cond_broadcast(&base->changed);
  }
  pthread_mutex_unlock(&base->mutex);
  if (!fits) return false;
  pthread_mutex_lock(&journal->mutex);
  if (!journal->moved_ns) {
    journal->moved_ns = tw_clock_monotonic_ns();
    pthread_cond_signal(&journal->woken);
  }
  pthread_mutex_unlock(&journal->mutex);
  return true;
}

/* -------------------------------------------------------------------- life */

static void unlink_from_journal(tw_spool_outbox *outbox) {
  tw_journal *journal = outbox->journal;
  pthread_mutex_lock(&journal->mutex);
  while (journal->is_writing) pthread_cond_wait(&journal->idle, &journal->mutex);
  tw_spool_outbox *before = atomic_load(&journal->outboxes);
  if (before == outbox) atomic_store(&journal->outboxes, outbox->next);
  while (before && before->next != outbox) before = before->next;
  if (before) before->next = outbox->next;
  pthread_mutex_unlock(&journal->mutex);
}

static void free_outbox(tw_outbox *base) {
  tw_spool_outbox *outbox = self_of(base);
  unlink_from_journal(outbox);
  for (size_t i = 0; i < outbox->buried_count; i++) tw_chunk_unref(outbox->buried[i]);
  for (unsigned i = 0; i < outbox->recent_count; i++)
    tw_chunk_unref(outbox->recent[(outbox->recent_first + i) % TW_RECENT_CHUNKS]);
  tw_chunk_unref(outbox->last);
  tw_free(outbox->buried);
  pthread_mutex_destroy(&outbox->reading);
  tw_outbox_fini(base);
  tw_journal *journal = outbox->journal;
  tw_free(outbox);
  tw_journal_unref(journal);
}

static const tw_outbox_ops ops = {.read = read_chunk, .advance = advance, .free = free_outbox};

/* The id of a path is the next free one; ids of paths that were dropped are not used again
   while chunks of theirs could be left. */
static tw_status next_id(tw_spool_txn *txn, uint32_t *out, tw_error *error) {
  tw_spool_record record;
  unsigned char key[512] = {0};
  size_t len = 0;
  uint32_t most = 0;
  tw_status status;
  while ((status = tw_spool_seek(txn, TW_SPOOL_OUTBOX, key, len, &record, error)) == TW_OK) {
    tw_outbox_record it;
    if (!tw_outbox_record_read(record.value, record.len, &it))
      return tw_fail(error, TW_EIO, "the spool's record of an outbox is damaged");
    if (it.id > most) most = it.id;
    if (record.key_len + 1 > sizeof key) break;
    memcpy(key, record.key, record.key_len);
    key[record.key_len] = 0; /* the smallest key behind it */
    len = record.key_len + 1;
  }
  *out = most + 1;
  return status == TW_ENOENT ? TW_OK : status;
}

tw_status tw_spool_outbox_load(tw_spool_txn *txn, const char *path, tw_outbox_record *out,
                               tw_error *error) {
  const void *value;
  size_t len;
  tw_status status =
      tw_spool_get(txn, TW_SPOOL_OUTBOX, path, strlen(path), &value, &len, error);
  if (status == TW_OK && !tw_outbox_record_read(value, len, out))
    status =
        tw_fail(error, TW_EIO, "the spool's record of the outbox \"%.200s\" is damaged", path);
  return status;
}

static tw_status store_record(tw_spool_txn *txn, const char *path,
                              const tw_outbox_record *record, tw_error *error) {
  unsigned char value[TW_OUTBOX_RECORD_LEN];
  tw_outbox_record_write(value, record);
  return tw_spool_put(txn, TW_SPOOL_OUTBOX, path, strlen(path), value, sizeof value, error);
}

/* Its record is made here, so that it is there before the first chunk. */
static tw_status load(tw_spool *spool, const char *path, tw_outbox_record *out,
                      tw_error *error) {
  tw_spool_txn *txn;
  *out = (tw_outbox_record){0};
  tw_status status = tw_spool_begin(spool, true, &txn, error);
  if (status) return status;
  status = tw_spool_outbox_load(txn, path, out, error);
  if (status != TW_ENOENT) {
    tw_spool_abort(txn);
    return status;
  }
  status = next_id(txn, &out->id, error);
  if (status == TW_OK) status = store_record(txn, path, out, error);
  if (status == TW_OK) return tw_spool_commit(txn, error);
  tw_spool_abort(txn);
  return status;
}

tw_status tw_spool_outbox_open(tw_journal *journal, const char *path,
                               const tw_outbox_bounds *bounds, tw_spool_outbox **out,
                               tw_error *error) {
  *out = NULL;
  tw_spool_outbox *outbox = tw_calloc(1, sizeof *outbox);
  if (!outbox) return tw_no_memory(error);
  tw_status status = load(journal->spool, path, &outbox->stored, error);
  if (status == TW_OK && !tw_outbox_init(&outbox->base, &ops, path, bounds))
    status = tw_no_memory(error);
  if (status) {
    tw_free(outbox);
    return status;
  }
  pthread_mutex_init(&outbox->reading, NULL);
  outbox->journal = journal;
  outbox->id = outbox->stored.id;
  outbox->draft = outbox->stored;
  outbox->base.head = outbox->stored.head;
  outbox->base.tail = outbox->stored.tail;
  outbox->base.events = outbox->stored.events;
  outbox->base.bytes = outbox->stored.bytes;
  pthread_mutex_lock(&journal->mutex);
  atomic_fetch_add(&journal->refs, 1);
  outbox->next = atomic_load(&journal->outboxes);
  atomic_store(&journal->outboxes, outbox);
  pthread_mutex_unlock(&journal->mutex);
  *out = outbox;
  return TW_OK;
}

/* ------------------------------------------------------------- transaction */

static void count_off(tw_outbox_record *draft, const tw_chunk *chunk, uint32_t from,
                      uint32_t to) {
  for (uint32_t i = from; i < to; i++) {
    tw_batch_item item;
    tw_chunk_item(chunk, i, &item);
    draft->bytes -= draft->bytes < item.len + 1 ? draft->bytes : item.len + 1;
  }
  draft->events -= draft->events < to - from ? draft->events : to - from;
}

/* @return the chunk of a record: the one that is remembered, or else read again */
static tw_status open_chunk(tw_spool_outbox *outbox, const tw_spool_record *record,
                            uint64_t first, tw_chunk **out, tw_error *error) {
  pthread_mutex_lock(&outbox->base.mutex);
  *out = get_recent(outbox, first);
  pthread_mutex_unlock(&outbox->base.mutex);
  if (*out && tw_chunk_size(*out) == record->len) return TW_OK;
  tw_chunk_unref(*out);
  return tw_chunk_read(record->value, record->len, out, error);
}

/* One chunk below the new head, or that the head is in. A damaged one goes with what is counted
   unknown: the delivery has told of it.
   @return TW_ENOENT when there is none */
static tw_status move_past(tw_spool_outbox *outbox, tw_spool_txn *txn, uint64_t head,
                           tw_error *error) {
  tw_outbox_record *draft = &outbox->draft;
  unsigned char key[TW_CHUNK_KEY_LEN];
  tw_spool_record record = {0};
  uint32_t id;
  uint64_t first = 0;
  tw_chunk_key_write(key, draft->id, 0);
  tw_status status = tw_spool_seek(txn, TW_SPOOL_CHUNK, key, sizeof key, &record, error);
  if (status && !(status == TW_EIO && record.key)) return status;
  if (!is_ours(outbox, &record)) return TW_ENOENT;
  tw_chunk_key_read(record.key, record.key_len, &id, &first);
  if (first >= head) return TW_ENOENT;
  memcpy(key, record.key, sizeof key);
  tw_chunk *chunk = NULL;
  if (status == TW_OK) status = open_chunk(outbox, &record, first, &chunk, error);
  if (status == TW_ENOMEM) return status;
  if (chunk) {
    uint32_t to = tw_chunk_find(chunk, head);
    count_off(draft, chunk, tw_chunk_find(chunk, draft->head), to);
    bool is_partly = to < tw_chunk_count(chunk);
    tw_chunk_unref(chunk);
    if (is_partly) return TW_ENOENT;
  }
  return tw_spool_delete(txn, TW_SPOOL_CHUNK, key, sizeof key, error);
}

tw_status tw_spool_outbox_move(tw_spool_outbox *outbox, tw_spool_txn *txn, uint64_t head,
                               tw_error *error) {
  tw_outbox_record *draft = &outbox->draft;
  tw_status status = TW_OK;
  if (head <= draft->head) return TW_OK;
  while (status == TW_OK) status = move_past(outbox, txn, head, error);
  if (status != TW_ENOENT) return status;
  draft->head = head;
  if (head == draft->tail) draft->events = draft->bytes = 0;
  outbox->is_drafted = true;
  return TW_OK;
}

tw_status tw_spool_outbox_put(tw_spool_outbox *outbox, tw_spool_txn *txn, tw_chunk *chunk,
                              tw_error *error) {
  unsigned char key[TW_CHUNK_KEY_LEN];
  const char *data;
  size_t size;
  tw_chunk_number(chunk, outbox->draft.tail);
  tw_chunk_bytes(chunk, &data, &size);
  tw_chunk_key_write(key, outbox->draft.id, outbox->draft.tail);
  tw_status status = tw_spool_put(txn, TW_SPOOL_CHUNK, key, sizeof key, data, size, error);
  if (status) return status;
  outbox->draft.tail = end_of(chunk);
  outbox->draft.events += tw_chunk_count(chunk);
  outbox->draft.bytes += tw_chunk_text_len(chunk);
  outbox->is_drafted = true;
  return TW_OK;
}

tw_status tw_spool_outbox_store(tw_spool_outbox *outbox, tw_spool_txn *txn, tw_error *error) {
  return store_record(txn, outbox->base.path, &outbox->draft, error);
}

/* ------------------------------------------------------------------ settle */

static void drop_oldest_recent(tw_spool_outbox *outbox) {
  tw_chunk *gone = outbox->recent[outbox->recent_first];
  outbox->recent_first = (outbox->recent_first + 1) % TW_RECENT_CHUNKS;
  outbox->recent_count--;
  outbox->recent_bytes -= tw_chunk_size(gone);
  tw_chunk_unref(gone);
}

void tw_spool_outbox_remember(tw_spool_outbox *outbox, tw_chunk *chunk) {
  pthread_mutex_lock(&outbox->base.mutex);
  while (outbox->recent_count &&
         (outbox->recent_count == TW_RECENT_CHUNKS ||
          outbox->recent_bytes + tw_chunk_size(chunk) > TW_RECENT_BYTES))
    drop_oldest_recent(outbox);
  unsigned at = (outbox->recent_first + outbox->recent_count++) % TW_RECENT_CHUNKS;
  outbox->recent[at] = tw_chunk_ref(chunk);
  outbox->recent_bytes += tw_chunk_size(chunk);
  pthread_mutex_unlock(&outbox->base.mutex);
}

static void publish(tw_spool_outbox *outbox) {
  tw_outbox *base = &outbox->base;
  outbox->stored = outbox->draft;
  outbox->is_drafted = false;
  base->tail = outbox->stored.tail;
  bool is_empty = base->head == base->tail;
  base->events = is_empty ? 0 : outbox->stored.events;
  base->bytes = is_empty ? 0 : outbox->stored.bytes;
  pthread_cond_broadcast(&base->changed);
}

/* Chunks that are through are not kept for their own sake. */
void tw_spool_outbox_settle(tw_spool_outbox *outbox) {
  tw_outbox *base = &outbox->base;
  if (!outbox->is_drafted) return;
  pthread_mutex_lock(&base->mutex);
  publish(outbox);
  for (size_t i = 0; i < outbox->taken; i++) tw_chunk_unref(outbox->buried[i]);
  outbox->buried_count -= outbox->taken;
  if (outbox->buried_count)
    memmove(outbox->buried, outbox->buried + outbox->taken,
            outbox->buried_count * sizeof(tw_chunk *));
  outbox->taken = 0;
  outbox->has_moved = base->head > outbox->stored.head || outbox->buried_count;
  while (outbox->recent_count &&
         end_of(outbox->recent[outbox->recent_first]) <= outbox->stored.head)
    drop_oldest_recent(outbox);
  pthread_mutex_unlock(&base->mutex);
}

/* What is remembered may be what was shed. */
void tw_spool_outbox_settle_shed(tw_spool_outbox *outbox, uint64_t from) {
  tw_outbox *base = &outbox->base;
  if (!outbox->is_drafted) return;
  pthread_mutex_lock(&base->mutex);
  publish(outbox);
  base->shed += outbox->draft_shed;
  while (outbox->recent_count) drop_oldest_recent(outbox);
  if (outbox->last && tw_chunk_first(outbox->last) >= from) {
    tw_chunk_unref(outbox->last);
    outbox->last = NULL;
  }
  pthread_mutex_unlock(&base->mutex);
}
