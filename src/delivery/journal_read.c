/* What a journal finds in its spool: states, outboxes that nobody asks for, replays. */
#include <string.h>

#include "base/alloc.h"
#include "delivery/journal_inside.h"
#include "delivery/spool_keys.h"

/* ------------------------------------------------------------------- state */

/* States of another number of workers hold what belongs to other keys. */
static tw_status check_workers(tw_spool_txn *txn, unsigned workers, tw_error *error) {
  tw_spool_record record;
  unsigned worker = 0, of = 0;
  tw_status status = tw_spool_seek(txn, TW_SPOOL_STATE, "", 0, &record, error);
  if (status == TW_ENOENT) return TW_ENOENT;
  if (status) return status;
  if (tw_state_key_read(record.key, record.key_len, &worker, &of) && of == workers)
    return TW_ENOENT;
  return tw_fail(
      error, TW_EINVAL,
      "the spool holds what the scripts of %u workers keep (tidewire.state), and "
      "there are %u now: run with %u workers, or give it up with `tidewire spool drop "
      "--state`",
      of, workers, of);
}

tw_status tw_journal_state(tw_journal *journal, unsigned worker, unsigned workers, char **json,
                           size_t *len, tw_error *error) {
  tw_spool_txn *txn;
  const void *value;
  char key[TW_STATE_KEY_ROOM];
  *json = NULL;
  *len = 0;
  if (!journal->spool) return TW_OK;
  size_t key_len = tw_state_key_write(key, worker, workers);
  tw_status status = tw_spool_begin(journal->spool, false, &txn, error);
  if (status) return status;
  status = tw_spool_get(txn, TW_SPOOL_STATE, key, key_len, &value, len, error);
  if (status == TW_OK) {
    *json = tw_memdup(value, *len);
    if (!*json) status = tw_no_memory(error);
  } else if (status == TW_ENOENT) {
    status = check_workers(txn, workers, error);
  }
  tw_spool_abort(txn);
  return status == TW_ENOENT ? TW_OK : status;
}

/* ----------------------------------------------------------------- orphans */

static bool is_asked_for(tw_journal *journal, const char *path) {
  pthread_mutex_lock(&journal->mutex);
  const tw_spool_outbox *outbox = journal->outboxes;
  while (outbox && strcmp(outbox->base.path, path) != 0) outbox = outbox->next;
  pthread_mutex_unlock(&journal->mutex);
  return outbox != NULL;
}

void tw_journal_orphans(tw_journal *journal,
                        void (*visit)(void *self, const char *path, uint64_t events),
                        void *self) {
  tw_spool_txn *txn;
  tw_spool_record record;
  tw_buffer path = {0};
  if (!journal->spool || tw_spool_begin(journal->spool, false, &txn, NULL)) return;
  while (tw_spool_seek(txn, TW_SPOOL_OUTBOX, path.data ? path.data : "", path.len, &record,
                       NULL) == TW_OK) {
    tw_outbox_record it;
    path.len = 0;
    if (!tw_buffer_append(&path, record.key, record.key_len) || !tw_buffer_byte(&path, '\0'))
      break;
    if (tw_outbox_record_read(record.value, record.len, &it) && it.tail > it.head &&
        !is_asked_for(journal, path.data))
      visit(self, path.data, it.events);
  }
  tw_spool_abort(txn);
  tw_buffer_fini(&path);
}

/* ------------------------------------------------------------------ replay */

tw_status tw_journal_replay(tw_journal *journal, tw_buffer *key, const char **path,
                            tw_chunk **chunk, tw_error *error) {
  tw_spool_txn *txn;
  tw_spool_record record;
  *chunk = NULL;
  if (!journal->spool) return TW_OK;
  if (key->len && !tw_buffer_byte(key, '\0')) return tw_no_memory(error);
  const char *from = key->len ? key->data : "";
  tw_status status = tw_spool_begin(journal->spool, false, &txn, error);
  if (status) return status;
  status = tw_spool_seek(txn, TW_SPOOL_REPLAY, from, key->len, &record, error);
  if (status == TW_OK) {
    key->len = 0;
    if (!tw_buffer_append(key, record.key, record.key_len)) status = tw_no_memory(error);
    else status = tw_chunk_read(record.value, record.len, chunk, error);
    *path = key->data;
  }
  tw_spool_abort(txn);
  return status == TW_ENOENT ? TW_OK : status;
}
