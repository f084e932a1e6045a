/* Outboxes and chunks of a repaired spool, made to fit each other.

   Of an outbox from the newest tree head and tail are right: chunks outside of them have been
   delivered, or were never stored. An older one may lack what came later: its tail moves behind
   the last chunk that there is. Events between them that no chunk has are lost, unless the
   outbox never counted them as waiting: then they were shed. */
#include "delivery/spool_mend.h"

#include <stdio.h>
#include <string.h>

#include "delivery/spool_keys.h"

/* Of the longest path (TW_RECORD_KEY_MAX), with its NUL. */
#define PATH_ROOM 65537

typedef struct tw_mending {
  tw_repair *repair;
  char path[PATH_ROOM];
  size_t path_len;
  bool is_older;
  tw_outbox_record record;
  uint64_t at;            ///< the next event's number
  uint64_t events, bytes; ///< that there are
} tw_mending;

/* -------------------------------------------------------------------- reading */

void tw_repair_path_of(tw_repair *repair, uint32_t id, char *out, size_t room) {
  tw_spool_record record;
  tw_outbox_record outbox;
  char from[PATH_ROOM] = "";
  size_t len = 0;
  snprintf(out, room, "outbox %lu", (unsigned long)id);
  while (repair->txn &&
         !tw_spool_seek(repair->txn, TW_SPOOL_OUTBOX, from, len, &record, NULL) &&
         record.key_len < sizeof from) {
    if (tw_outbox_record_read(record.value, record.len, &outbox) && outbox.id == id) {
      snprintf(out, room, "%.*s", (int)record.key_len, (const char *)record.key);
      return;
    }
    memcpy(from, record.key, record.key_len);
    from[record.key_len] = '\0';
    len = record.key_len + 1;
  }
}

/* The first chunk with this key or behind it.
   @param[out] out  a reference; NULL: it cannot be read. @return TW_OK; TW_ENOENT */
static tw_status next_chunk(tw_repair *repair, unsigned char key[TW_CHUNK_KEY_LEN],
                            tw_chunk **out) {
  tw_spool_record record;
  *out = NULL;
  tw_status status =
      tw_spool_seek(repair->txn, TW_SPOOL_CHUNK, key, TW_CHUNK_KEY_LEN, &record, repair->error);
  if (status) return status;
  if (record.key_len == TW_CHUNK_KEY_LEN) memcpy(key, record.key, record.key_len);
  status = tw_chunk_read(record.value, record.len, out, repair->error);
  return status == TW_ENOMEM ? status : TW_OK;
}

/* The key behind. @return false when there is none */
static bool step(unsigned char key[TW_CHUNK_KEY_LEN]) {
  int i = TW_CHUNK_KEY_LEN;
  while (i > 0 && ++key[i - 1] == 0) i--;
  return i > 0;
}

/* --------------------------------------------------------------------- outbox */

static void tell_gap(tw_mending *mending, uint64_t end) {
  tw_repair_tell(mending->repair, "%s: no chunk has the events from %llu to %llu",
                 mending->path, (unsigned long long)mending->at, (unsigned long long)(end - 1));
}

static void count_waiting(tw_mending *mending, const tw_chunk *chunk) {
  tw_batch_item item;
  uint32_t count = tw_chunk_count(chunk);
  for (uint32_t i = tw_chunk_find(chunk, mending->record.head); i < count; i++) {
    tw_chunk_item(chunk, i, &item);
    mending->events++;
    mending->bytes += item.len + 1;
  }
}

/* A chunk of this outbox, in the order of numbers. */
static tw_status mend_chunk(tw_mending *mending, const unsigned char *key,
                            const tw_chunk *chunk) {
  uint64_t first = chunk ? tw_chunk_first(chunk) : 0;
  uint64_t end = chunk ? tw_chunk_item_number(chunk, tw_chunk_count(chunk)) : 0;
  bool is_behind = first >= mending->record.tail;
  if (is_behind && mending->is_older && chunk) mending->record.tail = end, is_behind = false;
  if (!chunk || end <= mending->record.head || is_behind)
    return tw_repair_delete(mending->repair, TW_SPOOL_CHUNK, key, TW_CHUNK_KEY_LEN);
  if (first > mending->at) tell_gap(mending, first);
  mending->at = end;
  count_waiting(mending, chunk);
  return TW_OK;
}

static tw_status mend_chunks(tw_mending *mending) {
  unsigned char key[TW_CHUNK_KEY_LEN];
  tw_status status = TW_OK;
  bool is_more = true;
  tw_chunk_key_write(key, mending->record.id, 0);
  while (!status && is_more) {
    tw_chunk *chunk;
    uint32_t id;
    uint64_t first;
    status = next_chunk(mending->repair, key, &chunk);
    if (status) break;
    tw_chunk_key_read(key, TW_CHUNK_KEY_LEN, &id, &first);
    is_more = id == mending->record.id;
    if (is_more) status = mend_chunk(mending, key, chunk);
    tw_chunk_unref(chunk);
    is_more = is_more && step(key);
  }
  return status == TW_ENOENT ? TW_OK : status;
}

static tw_status store_outbox(tw_mending *mending) {
  unsigned char value[TW_OUTBOX_RECORD_LEN];
  uint64_t waited = mending->record.events;
  if (mending->at < mending->record.tail) tell_gap(mending, mending->record.tail);
  if (waited > mending->events) {
    mending->repair->result->lost += waited - mending->events;
    tw_repair_tell(mending->repair, "%s: %llu of %llu events are lost", mending->path,
                   (unsigned long long)(waited - mending->events), (unsigned long long)waited);
  }
  mending->record.events = mending->events;
  mending->record.bytes = mending->bytes;
  tw_outbox_record_write(value, &mending->record);
  return tw_repair_put(mending->repair, TW_SPOOL_OUTBOX, mending->path, mending->path_len,
                       value, sizeof value);
}

bool tw_repair_is_older(const tw_repair *repair, const char *path, size_t len) {
  const char *at = repair->older.data, *end = at ? at + repair->older.len : NULL;
  while (at && at < end) {
    size_t line = (size_t)((const char *)memchr(at, '\n', (size_t)(end - at)) - at);
    if (line == len && memcmp(at, path, len) == 0) return true;
    at += line + 1;
  }
  return false;
}

static tw_status mend_outbox(tw_mending *mending) {
  mending->is_older = tw_repair_is_older(mending->repair, mending->path, mending->path_len);
  if (mending->is_older)
    tw_repair_tell(mending->repair,
                   "%s: its outbox is as it was before the damage; events may "
                   "be delivered again",
                   mending->path);
  mending->at = mending->record.head;
  mending->events = mending->bytes = 0;
  tw_status status = mend_chunks(mending);
  return status ? status : store_outbox(mending);
}

/* ----------------------------------------------------------------------- all */

/* Chunks of outboxes that nothing is known of: their events are whole. */
static tw_status bury_chunk(tw_repair *repair, const unsigned char *key,
                            const tw_chunk *chunk) {
  char name[256];
  uint32_t id;
  uint64_t first;
  tw_status status = TW_OK;
  tw_chunk_key_read(key, TW_CHUNK_KEY_LEN, &id, &first);
  tw_repair_path_of(repair, id, name, sizeof name);
  if (strncmp(name, "outbox ", 7) != 0) return TW_OK;
  repair->path = name;
  for (uint32_t i = 0; !status && chunk && i < tw_chunk_count(chunk); i++) {
    tw_batch_item item;
    tw_chunk_item(chunk, i, &item);
    status = tw_repair_bury(repair, item.text, item.len,
                            "its outbox is lost: it may have been delivered already");
  }
  if (!status && chunk)
    tw_repair_tell(repair, "%s: which one is lost: %lu events are dead letters now", name,
                   (unsigned long)tw_chunk_count(chunk));
  return status ? status : tw_repair_delete(repair, TW_SPOOL_CHUNK, key, TW_CHUNK_KEY_LEN);
}

static tw_status bury_strangers(tw_repair *repair) {
  unsigned char key[TW_CHUNK_KEY_LEN] = {0};
  tw_status status = TW_OK;
  for (bool is_more = true; !status && is_more; is_more = step(key)) {
    tw_chunk *chunk;
    status = next_chunk(repair, key, &chunk);
    if (status) break;
    status = bury_chunk(repair, key, chunk);
    tw_chunk_unref(chunk);
  }
  return status == TW_ENOENT ? TW_OK : status;
}

tw_status tw_repair_mend(tw_repair *repair) {
  tw_mending mending = {.repair = repair};
  tw_spool_record record;
  tw_status status = TW_OK;
  size_t len = 0;
  if (!repair->txn) status = tw_spool_begin(repair->out, true, &repair->txn, repair->error);
  while (!status) {
    status =
        tw_spool_seek(repair->txn, TW_SPOOL_OUTBOX, mending.path, len, &record, repair->error);
    if (status) break;
    if (record.key_len >= sizeof mending.path ||
        !tw_outbox_record_read(record.value, record.len, &mending.record))
      return tw_fail(repair->error, TW_EIO, "an outbox cannot be understood");
    memcpy(mending.path, record.key, record.key_len);
    mending.path[record.key_len] = '\0';
    mending.path_len = record.key_len;
    status = mend_outbox(&mending);
    len = mending.path_len + 1;
  }
  return status == TW_ENOENT ? bury_strangers(repair) : status;
}
