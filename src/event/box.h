/// box.h: edits and boxes, between the files that read, change and render them.
#ifndef TW_EVENT_BOX_H
#define TW_EVENT_BOX_H

#include "event/memo.h"

/// @return the number of the first box whose node is not below `ref`
uint32_t tw_edits_search(const tw_edits *edits, tw_ref ref);

/// What a key adds to the `seen` of its box: one with escapes may be equal to any.
static inline uint64_t tw_key_seen(const tw_node *key) {
  if (tw_node_kind(key) == TW_KIND_ESCAPED_KEY) return UINT64_MAX;
  return tw_key_bit(key->meta >> 4, key->len);
}

/// Slow path of tw_box_find.
uint32_t tw_box_search(tw_store *store, tw_box *box, const char *key, size_t len);
/// @return the number, from 1, of the last slot of that key; 0 when there is none
static inline uint32_t tw_box_find(tw_store *store, tw_box *box, const char *key, size_t len) {
  if (!(box->seen & tw_key_bit(tw_key_hash(key, len), len))) return 0;
  return tw_box_search(store, box, key, len);
}

/// Slots were moved or removed: the index is out of date.
void tw_box_moved(tw_box *box);
/// Removes one slot, whose key is in no other.
void tw_box_remove(tw_box *box, uint32_t slot);
/// A member with a new key was appended; keeps the index right.
void tw_box_appended(tw_store *store, tw_box *box);

/// How deep the value nests as it is now: 0 for a scalar, 1 for `{}`.
uint32_t tw_event_depth(const tw_event *event, tw_ref value);
/// The depth of a container that stands somewhere below `from`, which is 1; 0 when it is not
/// there.
uint32_t tw_event_depth_of(const tw_event *event, tw_ref from, tw_ref container);

#endif
