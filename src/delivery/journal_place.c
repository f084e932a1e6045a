/* How far files were read. A place is loaded when it is first asked for, and changed by the
   writer alone, as blocks become durable; what it says is always what the next transaction
   stores. */
#include <string.h>

#include "base/alloc.h"
#include "delivery/journal_inside.h"
#include "delivery/spool_keys.h"

static tw_status make_key(const char *source, const tw_file_id *file, tw_buffer *out,
                          tw_error *error) {
  unsigned char id[16];
  tw_spool_write_number(id, file->device);
  tw_spool_write_number(id + 8, file->inode);
  bool fits =
      tw_buffer_append(out, source, strlen(source) + 1) && tw_buffer_append(out, id, sizeof id);
  return fits ? TW_OK : tw_no_memory(error);
}

static tw_journal_place *find(tw_journal *journal, const tw_buffer *key) {
  tw_journal_place *place = journal->places;
  while (place && (place->key_len != key->len || memcmp(place->key, key->data, key->len) != 0))
    place = place->next;
  return place;
}

static tw_status load(tw_journal *journal, const tw_buffer *key, tw_position *out,
                      tw_error *error) {
  tw_spool_txn *txn;
  const void *value;
  size_t len;
  *out = (tw_position){.line = 1};
  tw_status status = tw_spool_begin(journal->spool, false, &txn, error);
  if (status) return status;
  status = tw_spool_get(txn, TW_SPOOL_SOURCE, key->data, key->len, &value, &len, error);
  if (status == TW_OK) status = tw_position_read(value, len, out, error);
  tw_spool_abort(txn);
  return status == TW_ENOENT ? TW_OK : status;
}

/* One of another file that had the same number is begun anew. */
static void identify(tw_position *position, const tw_file_id *file) {
  bool is_same = position->head_len == file->head_len && position->head_hash == file->head_hash;
  if (position->inode && is_same) return;
  tw_position_fini(position);
  *position = (tw_position){.device = file->device,
                            .inode = file->inode,
                            .head_hash = file->head_hash,
                            .head_len = file->head_len,
                            .line = 1};
}

/* With the place mutex. */
static tw_status hold(tw_journal *journal, const char *source, const tw_file_id *file,
                      tw_journal_place **out, tw_error *error) {
  tw_buffer key = {0};
  *out = NULL;
  tw_status status = make_key(source, file, &key, error);
  if (status == TW_OK) *out = find(journal, &key);
  if (status || *out) {
    tw_buffer_fini(&key);
    return status;
  }
  tw_journal_place *place = tw_calloc(1, sizeof *place + key.len);
  if (!place) status = tw_no_memory(error);
  if (status == TW_OK) status = load(journal, &key, &place->position, error);
  if (status) {
    tw_free(place);
  } else {
    memcpy(place->key, key.data, key.len);
    place->key_len = key.len;
    place->next = journal->places;
    *out = journal->places = place;
  }
  tw_buffer_fini(&key);
  return status;
}

/* ------------------------------------------------------------------- write */

/* Behind its last byte and newline: a file's last line is read when it has one. */
static uint64_t end_of(const tw_block *block) {
  return block->offset + (block->full ? block->full + 1 : block->len);
}

static tw_status note_block(tw_journal *journal, const tw_block *block, tw_error *error) {
  tw_journal_place *place;
  tw_status status = hold(journal, block->source, block->file, &place, error);
  if (status) return status;
  if (place->is_forgotten)
    place->position.inode = 0; /* it begins anew, as it may look the same */
  identify(&place->position, block->file);
  tw_range range = {block->offset, end_of(block), block->tally.lines};
  if (!tw_position_add(&place->position, &range)) return tw_no_memory(error);
  place->is_changed = true;
  place->is_forgotten = false;
  return TW_OK;
}

/* A range that is added twice, as after a failure half-way, is added once. */
tw_status tw_journal_note_blocks(tw_journal *journal, const tw_commit *commit,
                                 tw_error *error) {
  tw_status status = TW_OK;
  pthread_mutex_lock(&journal->place_mutex);
  for (size_t i = 0; i < commit->block_count && status == TW_OK; i++)
    if (commit->blocks[i]->file) status = note_block(journal, commit->blocks[i], error);
  pthread_mutex_unlock(&journal->place_mutex);
  return status;
}

static tw_status store(tw_journal_place *place, tw_spool_txn *txn, tw_error *error) {
  tw_buffer json = {0};
  if (place->is_forgotten)
    return tw_spool_delete(txn, TW_SPOOL_SOURCE, place->key, place->key_len, error);
  tw_status status = tw_position_write(&place->position, &json) ? TW_OK : tw_no_memory(error);
  if (status == TW_OK)
    status = tw_spool_put(txn, TW_SPOOL_SOURCE, place->key, place->key_len, json.data, json.len,
                          error);
  tw_buffer_fini(&json);
  return status;
}

tw_status tw_journal_store_places(tw_journal *journal, tw_spool_txn *txn, tw_error *error) {
  tw_status status = TW_OK;
  pthread_mutex_lock(&journal->place_mutex);
  for (tw_journal_place *place = journal->places; place && status == TW_OK; place = place->next)
    if (place->is_changed || place->is_forgotten) status = store(place, txn, error);
  pthread_mutex_unlock(&journal->place_mutex);
  return status;
}

static void free_place(tw_journal_place *place) {
  tw_position_fini(&place->position);
  tw_free(place);
}

void tw_journal_settle_places(tw_journal *journal) {
  pthread_mutex_lock(&journal->place_mutex);
  for (tw_journal_place **at = &journal->places; *at;) {
    tw_journal_place *place = *at;
    place->is_changed = false;
    if (!place->is_forgotten) {
      at = &place->next;
      continue;
    }
    *at = place->next;
    free_place(place);
  }
  pthread_mutex_unlock(&journal->place_mutex);
}

void tw_journal_free_places(tw_journal *journal) {
  for (tw_journal_place *gone; (gone = journal->places);) {
    journal->places = gone->next;
    free_place(gone);
  }
}

/* -------------------------------------------------------------------- read */

static tw_status copy(const tw_position *from, tw_position *out, tw_error *error) {
  *out = *from;
  out->ranges = NULL;
  out->cap = out->count;
  if (!from->count) return TW_OK;
  out->ranges = tw_malloc(from->count * sizeof *from->ranges);
  if (out->ranges) {
    memcpy(out->ranges, from->ranges, from->count * sizeof *from->ranges);
    return TW_OK;
  }
  *out = (tw_position){0};
  return tw_no_memory(error);
}

tw_status tw_journal_position(tw_journal *journal, const char *source, const tw_file_id *file,
                              tw_position *out, tw_error *error) {
  tw_journal_place *place;
  *out = (tw_position){0};
  if (!journal->spool) return TW_OK;
  pthread_mutex_lock(&journal->place_mutex);
  tw_status status = hold(journal, source, file, &place, error);
  if (status == TW_OK && place->position.inode && !place->is_forgotten)
    status = copy(&place->position, out, error);
  pthread_mutex_unlock(&journal->place_mutex);
  return status;
}

static bool is_of(const tw_spool_record *record, const char *source) {
  size_t len = strlen(source) + 1;
  return record->key_len == len + 16 && memcmp(record->key, source, len) == 0;
}

/* What is stored, as it is now in memory. */
static tw_status visit_stored(tw_journal *journal, const tw_spool_record *record,
                              tw_position_fn visit, void *self, tw_error *error) {
  tw_position position = {0};
  tw_buffer key = {.data = (char *)record->key, .len = record->key_len};
  const tw_journal_place *place = find(journal, &key);
  if (place && place->is_forgotten) return TW_OK;
  if (place && place->position.inode) {
    visit(self, &place->position);
    return TW_OK;
  }
  tw_status status = tw_position_read(record->value, record->len, &position, error);
  if (status == TW_OK) visit(self, &position);
  tw_position_fini(&position);
  return status;
}

tw_status tw_journal_positions(tw_journal *journal, const char *source, tw_position_fn visit,
                               void *self, tw_error *error) {
  tw_spool_txn *txn;
  tw_spool_record record;
  tw_buffer key = {0};
  if (!journal->spool) return TW_OK;
  if (!tw_buffer_append(&key, source, strlen(source) + 1)) return tw_no_memory(error);
  tw_status status = tw_spool_begin(journal->spool, false, &txn, error);
  pthread_mutex_lock(&journal->place_mutex);
  while (status == TW_OK) {
    status = tw_spool_seek(txn, TW_SPOOL_SOURCE, key.data, key.len, &record, error);
    if (status == TW_OK && !is_of(&record, source)) status = TW_ENOENT;
    if (status == TW_OK) status = visit_stored(journal, &record, visit, self, error);
    key.len = 0;
    if (status == TW_OK &&
        !(tw_buffer_append(&key, record.key, record.key_len) && tw_buffer_byte(&key, '\0')))
      status = tw_no_memory(error);
  }
  pthread_mutex_unlock(&journal->place_mutex);
  if (txn) tw_spool_abort(txn);
  tw_buffer_fini(&key);
  return status == TW_ENOENT ? TW_OK : status;
}

tw_status tw_journal_forget(tw_journal *journal, const char *source, const tw_file_id *file,
                            tw_error *error) {
  tw_journal_place *place;
  if (!journal->spool) return TW_OK;
  pthread_mutex_lock(&journal->place_mutex);
  tw_status status = hold(journal, source, file, &place, error);
  if (status == TW_OK) place->is_forgotten = true;
  pthread_mutex_unlock(&journal->place_mutex);
  return status;
}
