/* The pieces of a split live in the store of the event that is split, so that they share its
   text, and what is not touched is not copied. Running out of memory is remembered apart from
   the status: a callback may overlook the status, and its event must not go on in part. */
#include "core/split.h"

#include "event/memo.h"

static tw_status fail_short(tw_split *split, tw_error *error) {
  split->is_short = true;
  return tw_no_memory(error);
}

/* The arena has no realloc: a list that doubles wastes at most its own size. */
static bool reserve(tw_split *split) {
  if (split->count < split->cap) return true;
  uint32_t cap = split->cap ? split->cap * 2 : 8;
  tw_event *pieces = tw_store_alloc(split->whole->store, cap * sizeof *pieces);
  if (!pieces) return false;
  if (split->count) memcpy(pieces, split->pieces, split->count * sizeof *pieces);
  split->pieces = pieces;
  split->cap = cap;
  return true;
}

tw_status tw_split_add(tw_split *split, const tw_event *event) {
  tw_event piece;
  tw_store *store = split->whole->store;
  if (!reserve(split)) return fail_short(split, NULL);
  if (event->store == store) { /* the event itself, or another piece */
    piece = tw_event_fork(event);
  } else {
    tw_status status = tw_event_import(store, event, &piece, NULL);
    if (status != TW_OK) split->is_short = true;
    if (status != TW_OK) return status;
  }
  split->pieces[split->count++] = piece;
  return TW_OK;
}

tw_status tw_split_add_json(tw_split *split, const char *json, size_t len, tw_error *error) {
  tw_ref ref;
  if (!reserve(split)) return fail_short(split, error);
  tw_status status = tw_store_json(split->whole->store, json, len, &ref, error);
  if (status == TW_ENOMEM) split->is_short = true;
  if (status != TW_OK) return status;
  tw_event piece = tw_event_fork(split->whole);
  if (split->now) piece.priority = split->now->priority;
  status = tw_event_set_root(&piece, ref, error);
  if (status == TW_OK) {
    split->pieces[split->count++] = piece;
    return TW_OK;
  }
  tw_event_end(&piece);
  if (status == TW_ENOMEM) split->is_short = true;
  return status;
}

void tw_split_fini(tw_split *split) {
  for (uint32_t i = 0; i < split->count; i++) tw_event_end(&split->pieces[i]);
  split->count = 0;
}
