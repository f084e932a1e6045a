/* cursor.c: reading an event: its boxes where there are any, its nodes elsewhere.
 *
 * A member is found by walking over the keys: a comparison of kind and hash in one word and
 * of the length, then of the bytes; subtrees are stepped over by their size. Big containers
 * that are searched again and again get an index (memo.h, and edit.c for boxes). */
#include "event/box.h"

/* First box whose node is not below `ref`. */
uint32_t tw_edits_search(const tw_edits *edits, tw_ref ref) {
  uint32_t low = 0, high = edits->count;
  while (low < high) {
    uint32_t middle = (low + high) / 2;
    if (edits->boxes[middle]->node < ref) low = middle + 1;
    else high = middle;
  }
  return low;
}

tw_box *tw_edits_find(const tw_edits *edits, tw_ref container) {
  uint32_t at = tw_edits_search(edits, container);
  return at < edits->count && edits->boxes[at]->node == container ? edits->boxes[at] : NULL;
}

static void note_walk(tw_store *store, tw_ref object) {
  tw_memo *memo = tw_memo_get(store, object);
  if (memo) memo->walks++;
}

static bool find_in_nodes(tw_store *store, tw_ref object, const char *key, size_t len,
                          tw_ref *value) {
  const tw_node *nodes = store->nodes, *found = NULL, *at = nodes + object + 1;
  const tw_node *end = nodes + object + tw_node_size(nodes + object);
  uint32_t meta = tw_node_meta(TW_KIND_KEY, tw_key_hash(key, len)), members = 0;
  for (; at < end; at += 1 + tw_node_size(at + 1), members++)
    if (tw_key_equals(at, meta, key, len)) found = at + 1;
  if (members >= TW_MEMO_MEMBERS) note_walk(store, object);
  *value = found ? (tw_ref)(found - nodes) : 0;
  return found != NULL;
}

static bool find_in_box(tw_store *store, tw_box *box, const char *key, size_t len,
                        tw_ref *value) {
  uint32_t slot = tw_box_find(store, box, key, len);
  *value = slot ? box->slots[slot - 1].value : 0;
  return slot != 0;
}

bool tw_event_find(const tw_event *event, tw_ref object, const char *key, size_t len,
                   tw_ref *value) {
  *value = 0;
  tw_store *store = event->store;
  const tw_node *node = store->nodes + object;
  tw_box *box = tw_event_box(event, object);
  if (box) return !box->is_array && find_in_box(store, box, key, len, value);
  if (tw_node_kind(node) != TW_KIND_OBJECT) return false;
  if (store->has_memos && tw_node_size(node) > TW_MEMO_MEMBERS &&
      tw_memo_find(store, object, key, len, value))
    return *value != 0;
  return find_in_nodes(store, object, key, len, value);
}

static bool at_in_nodes(const tw_store *store, tw_ref array, uint32_t index, tw_ref *value) {
  tw_ref at = array + 1, end = array + tw_node_size(store->nodes + array);
  for (; index && at < end; index--) at += tw_node_size(store->nodes + at);
  *value = at < end ? at : 0;
  return at < end;
}

bool tw_event_at(const tw_event *event, tw_ref array, uint32_t index, tw_ref *value) {
  *value = 0;
  const tw_node *node = event->store->nodes + array;
  const tw_box *box = tw_event_box(event, array);
  if (box) {
    bool there = box->is_array && index < box->count;
    if (there) *value = box->slots[index].value;
    return there;
  }
  if (tw_node_kind(node) != TW_KIND_ARRAY) return false;
  if (index >= TW_MEMO_MEMBERS && tw_memo_at(event->store, array, index, value))
    return *value != 0;
  return at_in_nodes(event->store, array, index, value);
}

static uint32_t count_nodes(const tw_store *store, tw_ref container) {
  const tw_node *nodes = store->nodes, *node = nodes + container;
  uint32_t key = tw_node_kind(node) == TW_KIND_OBJECT, count = 0;
  tw_ref end = container + tw_node_size(node);
  for (tw_ref at = container + 1; at < end; at += key + tw_node_size(nodes + at + key)) count++;
  return count;
}

uint32_t tw_event_count(const tw_event *event, tw_ref container) {
  const tw_box *box = tw_event_box(event, container);
  const tw_node *node = event->store->nodes + container;
  if (box) return box->count;
  if (!tw_kind_is_container(tw_node_kind(node))) return 0;
  bool has_memo = event->store->has_memos && tw_node_size(node) > TW_MEMO_MEMBERS;
  tw_memo *memo = has_memo ? tw_memo_peek(event->store, container) : NULL;
  if (memo && memo->count) return memo->count;
  uint32_t count = count_nodes(event->store, container);
  if (count >= TW_MEMO_MEMBERS) memo = tw_memo_get(event->store, container);
  if (memo) memo->count = count;
  return count;
}

tw_cursor tw_cursor_begin(const tw_event *event, tw_ref container) {
  const tw_box *box = tw_event_box(event, container);
  const tw_node *node = event->store->nodes + container;
  tw_cursor cursor = {
      .event = event, .box = box, .is_array = tw_event_is_array(event, container)};
  if (box) {
    cursor.end = box->count;
  } else if (tw_kind_is_container(tw_node_kind(node))) {
    cursor.next = container + 1;
    cursor.end = container + tw_node_size(node);
  }
  return cursor;
}

bool tw_cursor_next(tw_cursor *cursor) {
  if (cursor->next >= cursor->end) return false;
  if (cursor->box) {
    const tw_slot *slot = cursor->box->slots + cursor->next++;
    cursor->key = slot->key;
    cursor->value = slot->value;
    return true;
  }
  if (!cursor->is_array) cursor->key = cursor->next++;
  cursor->value = cursor->next;
  cursor->next += tw_node_size(cursor->event->store->nodes + cursor->value);
  return true;
}
