/* box.c: finding members of an edited object, and how deep an event nests.
 *
 * A box of many members that is searched again and again gets a hash table. An entry tells
 * the key's node and where its slot was. Removals move slots, each by one: so the slot is
 * looked for as many places around as there were removals since (`drift`), and the table is
 * made anew when these are many. A removal at either end moves no other slot. Entries of
 * removed keys stay; their slots are not found. */
#include "event/box.h"

/* Linear searches that cost about as much as making the table. */
enum { PATIENCE = 16 };

static bool same_key(tw_store *store, tw_ref a, tw_ref b) {
  size_t a_len, b_len;
  const char *a_key = tw_node_string(store, a, &a_len),
             *b_key = tw_node_string(store, b, &b_len);
  return a_key && b_key && a_len == b_len && memcmp(a_key, b_key, a_len) == 0;
}

/* Of equal keys the later slot replaces the earlier, as the last is read.
   @param[out] again  the key was there. @return false without memory */
static bool index_slot(tw_store *store, tw_box *box, uint32_t slot, bool *again) {
  size_t len;
  tw_ref key = box->slots[slot].key;
  const char *bytes = tw_node_string(store, key, &len);
  if (!bytes) return false;
  uint32_t at = tw_memo_hash(bytes, len) & box->mask;
  while (box->index[at].key && !same_key(store, key, box->index[at].key))
    at = (at + 1) & box->mask;
  *again = box->index[at].key != 0;
  box->entries += !*again;
  box->index[at] = (tw_entry){key, slot + box->shift};
  return true;
}

/* Room for twice the members, so that appending keeps it for a while. The memory of the one
   before is used again where it is enough. */
static bool make_table(tw_store *store, tw_box *box) {
  uint32_t size = box->index ? box->mask + 1 : 16;
  if (size < box->count * 2) {
    while (size < box->count * 4) size *= 2;
    box->index = NULL;
  }
  if (!box->index) box->index = tw_store_alloc(store, size * sizeof *box->index);
  if (!box->index) return false;
  box->mask = size - 1;
  box->entries = box->shift = box->drift = 0;
  memset(box->index, 0, size * sizeof *box->index);
  return true;
}

static void build_index(tw_store *store, tw_box *box) {
  if (!make_table(store, box)) return;
  box->unique = box->indexed = true;
  for (uint32_t i = 0; i < box->count && box->indexed; i++) {
    bool again = false;
    box->indexed = index_slot(store, box, i, &again);
    box->unique &= !again;
  }
  box->unique &= box->indexed;
}

void tw_box_moved(tw_box *box) {
  if (box->indexed) box->walks = 0;
  box->indexed = false;
}

/* The index is worth making anew at once. */
static void outdate(tw_box *box) {
  box->indexed = false;
  box->walks = PATIENCE;
}

void tw_box_appended(tw_store *store, tw_box *box) {
  bool again;
  if (!box->indexed) return;
  bool fits = (box->entries + 1) * 2 <= box->mask + 1;
  if (!fits || !index_slot(store, box, box->count - 1, &again)) outdate(box);
}

/* The shorter side moves. */
void tw_box_remove(tw_box *box, uint32_t slot) {
  uint32_t behind = --box->count - slot;
  if (slot < behind) {
    memmove(box->slots + 1, box->slots, slot * sizeof *box->slots);
    box->slots++;
    box->front++;
    box->cap--;
    box->shift++;
  } else {
    memmove(box->slots + slot, box->slots + slot + 1, behind * sizeof *box->slots);
  }
  box->drift += slot && behind;
  if (box->indexed && box->drift > PATIENCE + box->count / 64) outdate(box);
}

/* From the end, where the last of equal keys is met first. */
static uint32_t walk_box(const tw_store *store, const tw_box *box, const char *key,
                         size_t len) {
  uint32_t meta = tw_node_meta(TW_KIND_KEY, tw_key_hash(key, len));
  for (uint32_t i = box->count; i; i--)
    if (tw_key_equals(store->nodes + box->slots[i - 1].key, meta, key, len)) return i;
  return 0;
}

/* @return the number, from 1, of the entry's slot; 0 when it was removed */
static uint32_t slot_of(const tw_box *box, const tw_entry *entry) {
  int64_t place = (int64_t)entry->place - box->shift, from = place - box->drift,
          end = place + box->drift + 1;
  if (from < 0) from = 0;
  if (end > box->count) end = box->count;
  for (; from < end; from++)
    if (box->slots[from].key == entry->key) return (uint32_t)from + 1;
  return 0;
}

uint32_t tw_box_search(tw_store *store, tw_box *box, const char *key, size_t len) {
  if (box->count < TW_MEMO_MEMBERS) return walk_box(store, box, key, len);
  if (!box->indexed && ++box->walks > PATIENCE) build_index(store, box);
  if (!box->indexed) return walk_box(store, box, key, len);
  uint32_t meta = tw_node_meta(TW_KIND_KEY, tw_key_hash(key, len));
  uint32_t at = tw_memo_hash(key, len) & box->mask;
  for (; box->index[at].key; at = (at + 1) & box->mask)
    if (tw_key_equals(store->nodes + box->index[at].key, meta, key, len))
      return slot_of(box, &box->index[at]);
  return 0;
}

uint32_t tw_event_depth(const tw_event *event, tw_ref value) {
  const tw_node *node = event->store->nodes + value;
  if (!tw_kind_is_container(tw_node_kind(node))) return 0;
  uint32_t deepest = 0;
  if (tw_node_size(node) > 1 || event->edits) {
    tw_cursor cursor = tw_cursor_begin(event, value);
    while (tw_cursor_next(&cursor)) {
      uint32_t depth = tw_event_depth(event, cursor.value);
      if (depth > deepest) deepest = depth;
    }
  }
  return deepest + 1;
}

uint32_t tw_event_depth_of(const tw_event *event, tw_ref from, tw_ref container) {
  if (from == container) return 1;
  tw_cursor cursor = tw_cursor_begin(event, from);
  while (tw_cursor_next(&cursor)) {
    if (!tw_kind_is_container(tw_node_kind(event->store->nodes + cursor.value))) continue;
    uint32_t depth = tw_event_depth_of(event, cursor.value, container);
    if (depth) return depth + 1;
  }
  return 0;
}
