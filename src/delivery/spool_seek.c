/* Looking for records in the order of keys.

   Keys that LMDB gets in a shortened form (spool_record.h) stand in the order of hashes among
   those with the same first 471 bytes, and may stand beside keys that fit. Such a *group* is
   searched from end to end for the one that comes next in the order of whole keys; all other
   keys are found directly. */
#include <string.h>

#include "delivery/spool_inside.h"
#include "delivery/spool_record.h"

static tw_status cannot_read(const tw_spool_txn *txn, int code, tw_error *error) {
  return tw_spool_fail(txn->spool->folder, &txn->spool->options, code, "cannot read", error);
}

typedef struct position {
  MDB_val at, data;
} position;

static int move(tw_spool_txn *txn, position *place, MDB_cursor_op how) {
  return mdb_cursor_get(txn->cursor, &place->at, &place->data, how);
}

static int set_range(tw_spool_txn *txn, void *bytes, size_t len, position *out) {
  out->at = (MDB_val){len, bytes};
  return move(txn, out, MDB_SET_RANGE);
}

static bool begins_with(const MDB_val *at, const void *bytes, size_t len) {
  return at->mv_size >= len && memcmp(at->mv_data, bytes, len) == 0;
}

static int compare(const void *a, size_t a_len, const void *b, size_t b_len) {
  size_t common = a_len < b_len ? a_len : b_len;
  int order = common ? memcmp(a, b, common) : 0;
  return order ? order : (a_len > b_len) - (a_len < b_len);
}

/* What a search in a group is for: the first key from `key` on, or the last one with that
   prefix. */
typedef struct tw_wanted {
  const void *key;
  size_t len;
  bool last;
} tw_wanted;

static bool fits(const tw_wanted *wanted, const tw_spool_record *record) {
  if (!wanted->last)
    return compare(record->key, record->key_len, wanted->key, wanted->len) >= 0;
  return record->key_len >= wanted->len &&
         (!wanted->len || memcmp(record->key, wanted->key, wanted->len) == 0);
}

static bool better(const tw_wanted *wanted, const tw_spool_record *a,
                   const tw_spool_record *b) {
  int order = compare(a->key, a->key_len, b->key, b->key_len);
  return wanted->last ? order > 0 : order < 0;
}

static tw_spool_record key_of(const position *place) {
  tw_spool_table table;
  tw_spool_record record = {.key = ""};
  tw_record_key_read(place->at.mv_data, place->at.mv_size, place->data.mv_data,
                     place->data.mv_size, &table, &record);
  return record;
}

/* Searches the group that `place` is in. @return whether one fits; then `place` is there, and
   otherwise behind the group, or at its end with *code set */
static bool search_group(tw_spool_txn *txn, const tw_wanted *wanted, position *place,
                         int *code) {
  unsigned char head[TW_RECORD_KEY_HEAD];
  position best = *place;
  tw_spool_record best_key = {0};
  memcpy(head, place->at.mv_data, sizeof head);
  *code = set_range(txn, head, sizeof head, place);
  for (; !*code && begins_with(&place->at, head, sizeof head);
       *code = move(txn, place, MDB_NEXT)) {
    tw_spool_record key = key_of(place);
    if (!fits(wanted, &key) || (best_key.key && !better(wanted, &key, &best_key))) continue;
    best = *place;
    best_key = key;
  }
  if (!best_key.key) return false;
  *place = best;
  *code = 0;
  return true;
}

static tw_status open_cursor(tw_spool_txn *txn, tw_error *error) {
  if (txn->cursor) return TW_OK;
  int code = mdb_cursor_open(txn->txn, txn->spool->tree, &txn->cursor);
  return code ? cannot_read(txn, code, error) : TW_OK;
}

static tw_status found(const tw_spool_txn *txn, int code, tw_spool_table table,
                       const position *place, tw_spool_record *out, tw_error *error) {
  if (code == MDB_NOTFOUND) return tw_spool_none(error);
  if (code) return cannot_read(txn, code, error);
  if (*(const unsigned char *)place->at.mv_data != table) return tw_spool_none(error);
  return tw_spool_take_apart(txn, &place->at, &place->data, out, error);
}

tw_status tw_spool_seek(tw_spool_txn *txn, tw_spool_table table, const void *from,
                        size_t from_len, tw_spool_record *out, tw_error *error) {
  tw_record_key made;
  position place;
  tw_wanted wanted = {.key = from, .len = from_len};
  *out = (tw_spool_record){0};
  tw_status status = tw_spool_check_key(txn, from_len, error);
  if (!status) status = open_cursor(txn, error);
  if (status) return status;
  tw_record_key_make(&made, table, from, from_len);
  /* What comes next may stand anywhere in a group, which begins with its head. */
  size_t len = made.len < TW_RECORD_KEY_HEAD ? made.len : TW_RECORD_KEY_HEAD;
  int code = set_range(txn, made.bytes, len, &place);
  while (!code && place.at.mv_size >= TW_RECORD_KEY_HEAD)
    if (search_group(txn, &wanted, &place, &code)) break;
  return found(txn, code, table, &place, out, error);
}

/* The least key behind all that begin with `bytes`. @return false when there is none */
static bool step_behind(unsigned char *bytes, size_t *len) {
  while (*len && bytes[*len - 1] == UINT8_MAX) --*len;
  if (!*len) return false;
  bytes[*len - 1]++;
  return true;
}

/* The last place whose key begins with these bytes, in LMDB's order. */
static int last_place(tw_spool_txn *txn, const unsigned char *bytes, size_t len,
                      position *out) {
  unsigned char behind[TW_RECORD_KEY_ROOM];
  size_t behind_len = len;
  memcpy(behind, bytes, len);
  int code = MDB_NOTFOUND;
  if (step_behind(behind, &behind_len)) code = set_range(txn, behind, behind_len, out);
  if (code == MDB_NOTFOUND) code = move(txn, out, MDB_LAST);
  else if (!code) code = move(txn, out, MDB_PREV);
  if (!code && !begins_with(&out->at, bytes, len)) code = MDB_NOTFOUND;
  return code;
}

tw_status tw_spool_last(tw_spool_txn *txn, tw_spool_table table, const void *prefix,
                        size_t prefix_len, tw_spool_record *out, tw_error *error) {
  tw_record_key made;
  position place;
  tw_wanted wanted = {.key = prefix, .len = prefix_len, .last = true};
  *out = (tw_spool_record){0};
  tw_status status = tw_spool_check_key(txn, prefix_len, error);
  if (!status) status = open_cursor(txn, error);
  if (status) return status;
  tw_record_key_make(&made, table, prefix, prefix_len);
  size_t len = made.len < TW_RECORD_KEY_HEAD ? made.len : TW_RECORD_KEY_HEAD;
  int code = last_place(txn, made.bytes, len, &place);
  if (!code && place.at.mv_size >= TW_RECORD_KEY_HEAD &&
      !search_group(txn, &wanted, &place, &code))
    code = MDB_NOTFOUND;
  return found(txn, code, table, &place, out, error);
}

tw_status tw_spool_seek_back(tw_spool_txn *txn, tw_spool_table table, const void *from,
                             size_t from_len, tw_spool_record *out, tw_error *error) {
  tw_record_key made;
  position place;
  *out = (tw_spool_record){0};
  if (from_len >= TW_RECORD_KEY_HEAD - 1)
    return tw_fail(error, TW_EINVAL, "keys of %zu bytes do not lie in their own order",
                   from_len);
  tw_status status = tw_spool_check_key(txn, from_len, error);
  if (!status) status = open_cursor(txn, error);
  if (status) return status;
  tw_record_key_make(&made, table, from, from_len);
  int code = set_range(txn, made.bytes, made.len, &place);
  bool is_it =
      !code && place.at.mv_size == made.len && begins_with(&place.at, made.bytes, made.len);
  if (code == MDB_NOTFOUND) code = move(txn, &place, MDB_LAST);
  else if (!code && !is_it) code = move(txn, &place, MDB_PREV);
  return found(txn, code, table, &place, out, error);
}
