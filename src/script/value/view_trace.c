/// view_trace.c: where a node stands: its path, for messages, and its depth, for the limit.
///
/// Nodes know no parent. Within the text of one value a parent is found by the sizes of the
/// subtrees; a value that was set into an edited container is found in that container's
/// box. Only failures and assignments of containers pay for this.
#include "script/value/view_inside.h"

/* A node's parent, and where it stands in it. */
typedef struct tw_stand {
  tw_ref parent, key;
  uint32_t index;
} tw_stand;

static bool holds(const tw_store *store, tw_ref top, tw_ref ref) {
  return ref >= top && ref - top < tw_node_size(tw_store_node(store, top));
}

/* The container below `top` of whose children `ref` is one, by the order of the text. */
static tw_stand stand_in_text(const tw_store *store, tw_ref top, tw_ref ref) {
  tw_stand stand = {.parent = top};
  for (;;) {
    bool keys = tw_node_kind(tw_store_node(store, stand.parent)) == TW_KIND_OBJECT;
    tw_ref child = stand.parent + 1 + keys;
    for (stand.index = 0; !holds(store, child, ref); stand.index++)
      child += tw_node_size(tw_store_node(store, child)) + keys;
    stand.key = child - 1;
    if (child == ref) return stand;
    stand.parent = child;
  }
}

static bool stand_in_slot(const tw_box *box, tw_ref ref, tw_stand *stand) {
  for (uint32_t i = 0; i < box->count; i++) {
    if (box->slots[i].value != ref) continue;
    *stand = (tw_stand){box->node, box->slots[i].key, i};
    return true;
  }
  return false;
}

/* Looks for the box that `ref`, or the value that it is a part of, was set into. */
static bool stand_in_boxes(const tw_event *event, tw_ref ref, tw_stand *stand) {
  const tw_edits *edits = event->edits;
  for (uint32_t b = 0; edits && b < edits->count; b++) {
    const tw_box *box = edits->boxes[b];
    if (stand_in_slot(box, ref, stand)) return true;
    for (uint32_t i = 0; i < box->count; i++) {
      if (!holds(event->store, box->slots[i].value, ref)) continue;
      *stand = stand_in_text(event->store, box->slots[i].value, ref);
      return true;
    }
  }
  return false;
}

/* @return false at the root, and where a value was taken out of the event */
static bool find_stand(const tw_event *event, tw_ref ref, tw_stand *stand) {
  if (ref == event->root) return false;
  if (!holds(event->store, event->root, ref)) return stand_in_boxes(event, ref, stand);
  *stand = stand_in_text(event->store, event->root, ref);
  const tw_box *box = event->edits ? tw_event_box(event, stand->parent) : NULL;
  if (box) stand_in_slot(box, ref, stand);
  return true;
}

uint32_t tw_view_depth(const tw_event *event, tw_ref node) {
  tw_stand stand;
  uint32_t depth = 1;
  for (; find_stand(event, node, &stand); node = stand.parent) depth++;
  return depth;
}

/* The event layer keeps a bound of the event's depth, and refuses what would be too deep when
   it is put. What it cannot see is a value that was taken out and is filled further. Each
   container adds to the bound, so looking here while it is high stops that too. */
static bool is_shallow(const tw_event *event) {
  uint32_t size = tw_node_size(tw_store_node(event->store, event->root));
  return (event->edits ? event->edits->depth : size) <= event->store->limits.max_depth / 2;
}

uint32_t tw_view_depth_for(lua_State *L, int index, const tw_event *event, tw_ref node) {
  bool container = lua_istable(L, index) || lua_isuserdata(L, index);
  return !container || is_shallow(event) ? 1 : tw_view_depth(event, node);
}

/* Recursion is as deep as the event is nested. */
void tw_view_path(const tw_event *event, tw_ref node, tw_path_text *path) {
  tw_stand stand;
  if (!find_stand(event, node, &stand)) return;
  tw_view_path(event, stand.parent, path);
  if (tw_event_is_array(event, stand.parent)) {
    tw_path_text_index(path, (int64_t)stand.index + 1);
  } else {
    size_t len;
    const char *key = tw_node_string(event->store, stand.key, &len);
    tw_path_text_key(path, key ? key : "?", key ? len : 1);
  }
}
