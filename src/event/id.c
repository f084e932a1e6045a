/* id.c: what an event is known by.
 *
 * In this order: a derived id (a piece of a split event, or an event that was replaced), the
 * sender's own `id` or `messageId` in the JSON, a UUIDv7. The first and last are in the cell
 * that copies of an event share, so that all branches see the same. */
#include <stdio.h>
#include <xxhash.h>

#include "event/memo.h"

enum { OWN_ID_MAX = 255 };

static bool own_id_named(const tw_event *event, const char *name, tw_ref *value, size_t *len,
                         const char **id) {
  if (!tw_event_find(event, event->root, name, strlen(name), value)) return false;
  const tw_node *node = tw_store_node(event->store, *value);
  if (!tw_kind_is_string(tw_node_kind(node)) || node->len <= 2) return false;
  if (tw_node_kind(node) == TW_KIND_STRING && node->len - 2 > OWN_ID_MAX) return false;
  *id = tw_node_string(event->store, *value, len);
  return !*id || *len <= OWN_ID_MAX;
}

/* @return whether the event's JSON has an id; `*id` is NULL without memory */
static bool own_id(const tw_event *event, tw_ref *value, const char **id, size_t *len) {
  return own_id_named(event, "id", value, len, id) ||
         own_id_named(event, "messageId", value, len, id);
}

static void make_uuid(tw_event_id_cell *cell) {
  if (cell->len) return;
  tw_uuid7(cell->text);
  cell->len = 36;
}

tw_status tw_event_fix_id(const tw_event *event, tw_error *error) {
  tw_ref value;
  const char *id;
  size_t len;
  if (event->id->len) return TW_OK;
  if (!own_id(event, &value, &id, &len)) make_uuid(event->id);
  else if (!id) return tw_no_memory(error);
  return TW_OK;
}

/* What is not the event's own. */
static void cell_id(const tw_event *event, const char **id, size_t *len) {
  make_uuid(event->id);
  *id = event->id->text;
  *len = event->id->len;
}

tw_status tw_event_id(tw_event *event, const char **id, size_t *len) {
  tw_ref value;
  event->store->is_lent = true;
  bool own = !event->id->derived && own_id(event, &value, id, len);
  if (own) *id = tw_memo_string(event->store, value, len);
  else cell_id(event, id, len);
  return *id ? TW_OK : TW_ENOMEM;
}

/* Without a NUL behind it an id needs no copy. */
tw_status tw_event_peek_id(const tw_event *event, const char **id, size_t *len) {
  tw_ref value;
  if (event->id->derived || !own_id(event, &value, id, len)) cell_id(event, id, len);
  return *id ? TW_OK : TW_ENOMEM;
}

/* A cell of the event's own, which stands before the id in the JSON. */
static tw_status derive(tw_event *event, const char *id, size_t len, tw_error *error) {
  tw_event_id_cell *cell = tw_store_alloc(event->store, sizeof *cell);
  if (!cell) return tw_no_memory(error);
  memcpy(cell->text, id, len);
  cell->text[len] = '\0';
  cell->len = (uint16_t)len;
  cell->derived = true;
  event->id = cell;
  return TW_OK;
}

tw_status tw_event_keep_id(tw_event *event, tw_error *error) {
  const char *id;
  size_t len;
  if (tw_event_id(event, &id, &len)) return tw_no_memory(error);
  return derive(event, id, len, error);
}

/* Pieces of pieces of … may get too long a name: then a hash stands for the whole's. */
static size_t piece_id(const char *whole, size_t len, uint32_t index, char text[TW_ID_MAX]) {
  int written = snprintf(text, TW_ID_MAX, "%.*s/%u", (int)len, whole, index);
  if (written < TW_ID_MAX && !memchr(whole, '\0', len)) return (size_t)written;
  XXH128_hash_t hash = XXH3_128bits(whole, len);
  written = snprintf(text, TW_ID_MAX, "%016llx%016llx/%u", (unsigned long long)hash.high64,
                     (unsigned long long)hash.low64, index);
  return (size_t)written;
}

static bool same(const char *a, size_t a_len, const char *b, size_t b_len) {
  return a_len == b_len && memcmp(a, b, a_len) == 0;
}

/* The piece keeps an id that its maker gave it. One that stands in the whole too was copied. */
tw_status tw_event_derive_id(tw_event *piece, tw_event *whole, uint32_t index,
                             tw_error *error) {
  const char *id, *own, *whole_own;
  char text[TW_ID_MAX];
  size_t len, own_len, whole_len;
  tw_ref value;
  if (tw_event_id(whole, &id, &len)) return tw_no_memory(error);
  if (own_id(piece, &value, &own, &own_len)) {
    bool in_whole = own_id(whole, &value, &whole_own, &whole_len);
    if (!own || (in_whole && !whole_own)) return tw_no_memory(error);
    bool copied = in_whole && same(own, own_len, whole_own, whole_len);
    if (!copied && !same(own, own_len, id, len)) return TW_OK;
  }
  len = piece_id(id, len, index, text);
  return derive(piece, text, len, error);
}

/* A copy keeps the whole cell; whoever kept only the id's text has to find out whether it was
   the event's own. One that is made of the text again, or that the text has none against,
   yields to a later edit; any other was derived. */
tw_status tw_event_give_id(tw_event *event, const char *id, size_t len, tw_error *error) {
  const char *own = NULL;
  size_t own_len = 0;
  tw_ref value;
  if (len >= TW_ID_MAX)
    return tw_fail(error, TW_ELIMIT, "an id has at most %d bytes, this one %zu", TW_ID_MAX - 1,
                   len);
  bool has_own = own_id(event, &value, &own, &own_len);
  if (has_own && !own) return tw_no_memory(error);
  if (has_own && same(own, own_len, id, len)) return TW_OK;
  memcpy(event->id->text, id, len);
  event->id->text[len] = '\0';
  event->id->len = (uint16_t)len;
  event->id->derived = has_own;
  return TW_OK;
}
