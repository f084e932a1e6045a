/* edit.c: changing an event, copy-on-write.
 *
 * Two things are copied before they change. The edits (the list of boxes) when another event
 * shares them; both then get a new token, so that from then on neither owns the boxes made
 * before. A box when its owner is another token than that of the event's edits. So a branch
 * pays for the containers that it changes, and nobody sees what another changed.
 *
 * Everything that may fail comes before the first visible change. Growing a list in the arena
 * doubles it; the old one is lost until the store is reset. */
#include "event/box.h"

enum { SPARE_BOXES = 4, SPARE_SLOTS = 4 };

/* ------------------------------------------------------------------- edits */

static tw_edits *copy_edits(tw_event *event) {
  tw_store *store = event->store;
  tw_edits *old = event->edits;
  uint32_t cap = (old ? old->count : 0) + SPARE_BOXES;
  tw_edits *edits = tw_store_alloc(store, sizeof *edits + cap * sizeof(tw_box *));
  if (!edits) return NULL;
  *edits = (tw_edits){.refs = 1, .cap = cap, .boxes = (tw_box **)(edits + 1)};
  edits->token = ++store->tokens;
  edits->depth = old ? old->depth : tw_node_size(store->nodes + event->root);
  if (old) {
    edits->count = old->count;
    edits->recent = old->recent;
    memcpy(edits->boxes, old->boxes, old->count * sizeof(tw_box *));
    old->token = ++store->tokens;
    old->refs--;
  }
  return event->edits = edits;
}

/* The event's own edits, about to change. */
static tw_edits *own_edits(tw_event *event) {
  tw_edits *edits = event->edits;
  if (!edits || edits->refs > 1) return copy_edits(event);
  edits->rendered = NULL;
  return edits;
}

static bool insert_box(tw_store *store, tw_edits *edits, uint32_t at, tw_box *box) {
  if (edits->count == edits->cap) {
    tw_box **boxes = tw_store_alloc(store, sizeof(tw_box *) * edits->cap * 2);
    if (!boxes) return false;
    memcpy(boxes, edits->boxes, edits->count * sizeof(tw_box *));
    edits->boxes = boxes;
    edits->cap *= 2;
  }
  memmove(edits->boxes + at + 1, edits->boxes + at, (edits->count - at) * sizeof(tw_box *));
  edits->boxes[at] = edits->recent = box;
  edits->count++;
  return true;
}

/* ------------------------------------------------------------------- boxes */

static inline tw_box *new_box(tw_store *store, tw_ref node, bool is_array, uint32_t room,
                              uint64_t owner) {
  tw_box *box = tw_store_alloc(store, sizeof *box + room * sizeof *box->slots);
  if (!box) return NULL;
  *box = (tw_box){.owner = owner, .node = node, .is_array = is_array, .cap = room};
  box->slots = (tw_slot *)(box + 1);
  return box;
}

/* At most so many members: exact where more room would be a waste. */
static uint32_t most_members(const tw_event *event, tw_ref container) {
  uint32_t size = tw_node_size(event->store->nodes + container);
  return size <= 64 ? size - 1 : tw_event_count(event, container);
}

/* Two keys of the same bit may be equal. */
static void add_members(const tw_node *nodes, tw_box *box) {
  tw_ref end = box->node + tw_node_size(nodes + box->node);
  tw_slot *slot = box->slots;
  uint64_t seen = 0, twice = 0;
  for (tw_ref at = box->node + 1; at < end; at += 1 + tw_node_size(nodes + at + 1)) {
    uint64_t bit = tw_key_seen(nodes + at);
    twice |= seen & bit;
    seen |= bit;
    *slot++ = (tw_slot){at, at + 1};
  }
  box->count = (uint32_t)(slot - box->slots);
  box->seen = seen;
  box->unique = !twice;
}

static void add_elements(const tw_node *nodes, tw_box *box) {
  tw_ref end = box->node + tw_node_size(nodes + box->node);
  for (tw_ref at = box->node + 1; at < end; at += tw_node_size(nodes + at))
    box->slots[box->count++] = (tw_slot){0, at};
}

static tw_box *box_of_nodes(const tw_event *event, tw_ref container, uint64_t owner) {
  const tw_node *nodes = event->store->nodes;
  bool is_array = tw_node_kind(nodes + container) == TW_KIND_ARRAY;
  uint32_t room = most_members(event, container) + SPARE_SLOTS;
  tw_box *box = new_box(event->store, container, is_array, room, owner);
  if (!box) return NULL;
  if (is_array) add_elements(nodes, box);
  else add_members(nodes, box);
  return box;
}

static tw_box *copy_box(tw_store *store, const tw_box *old, uint64_t owner) {
  tw_box *box = new_box(store, old->node, old->is_array, old->count + SPARE_SLOTS, owner);
  if (!box) return NULL;
  box->count = old->count;
  box->unique = old->unique;
  box->seen = old->seen;
  memcpy(box->slots, old->slots, old->count * sizeof *old->slots);
  return box;
}

/* Uses what removals have left free at the front, where that is much. */
static bool grow_slots(tw_store *store, tw_box *box) {
  uint32_t cap = box->cap + box->front, count = box->count;
  bool roomy = box->front > count / 2;
  tw_slot *slots = box->slots - box->front;
  if (!roomy) slots = tw_store_alloc(store, sizeof *slots * (cap *= 2));
  if (!slots) return false;
  memmove(slots, box->slots, count * sizeof *slots);
  box->slots = slots;
  box->cap = cap;
  box->front = 0;
  return true;
}

static tw_box *make_own_box(tw_event *event, tw_ref container) {
  tw_edits *edits = own_edits(event);
  if (!edits) return NULL;
  uint32_t at = tw_edits_search(edits, container);
  tw_box *box =
      at < edits->count && edits->boxes[at]->node == container ? edits->boxes[at] : NULL;
  if (!box) {
    box = box_of_nodes(event, container, edits->token);
    return box && insert_box(event->store, edits, at, box) ? box : NULL;
  }
  if (box->owner != edits->token) {
    box = copy_box(event->store, box, edits->token);
    if (box) edits->boxes[at] = edits->recent = box;
    return box;
  }
  edits->recent = box;
  return box->count < box->cap || grow_slots(event->store, box) ? box : NULL;
}

/* The event's own box of a container, with room for one more member. NULL without memory. */
static inline tw_box *own_box(tw_event *event, tw_ref container) {
  tw_edits *edits = event->edits;
  if (!edits || edits->refs > 1 || !edits->recent) return make_own_box(event, container);
  tw_box *box = edits->recent;
  if (box->node != container || box->owner != edits->token || box->count == box->cap)
    return make_own_box(event, container);
  edits->rendered = NULL;
  return box;
}

/* Removes the slots of a key but for slot `keep`, from 1. */
static void remove_key(const tw_store *store, tw_box *box, const char *key, size_t len,
                       uint32_t keep) {
  uint32_t meta = tw_node_meta(TW_KIND_KEY, tw_key_hash(key, len)), left = 0;
  for (uint32_t i = 0; i < box->count; i++) {
    const tw_node *node = store->nodes + box->slots[i].key;
    if (i + 1 == keep || !tw_key_equals(node, meta, key, len))
      box->slots[left++] = box->slots[i];
  }
  if (left < box->count) tw_box_moved(box);
  box->count = left;
}

static tw_status too_deep(const tw_event *event, tw_error *error) {
  return tw_fail(error, TW_ELIMIT, "the event would nest deeper than %u: raise max_depth",
                 event->store->limits.max_depth);
}

static tw_status check_container_depth(const tw_event *event, tw_ref container, tw_ref value,
                                       uint32_t *bound, tw_error *error) {
  uint32_t max = event->store->limits.max_depth, depth = tw_event_depth(event, value);
  if (*bound + depth > max) {
    uint32_t above = tw_event_depth_of(event, event->root, container);
    if ((above ? above : 1) + depth > max) return too_deep(event, error);
    *bound = tw_event_depth(event, event->root);
  }
  *bound += depth;
  return TW_OK;
}

/* Whether a value may stand in a container. The bound of the event's depth is cheap and rough;
   only where it says that the value may be too deep is the real depth worked out. */
static inline tw_status check_depth(const tw_event *event, tw_ref container, tw_ref value,
                                    uint32_t *bound, tw_error *error) {
  const tw_node *nodes = event->store->nodes;
  *bound = event->edits ? event->edits->depth : tw_node_size(nodes + event->root);
  if (!tw_kind_is_container(tw_node_kind(nodes + value))) return TW_OK;
  return check_container_depth(event, container, value, bound, error);
}

/* ------------------------------------------------------------------ editing */

static inline tw_status check_object(const tw_event *event, tw_ref object, tw_error *error) {
  tw_kind kind = tw_node_kind(event->store->nodes + object);
  const tw_box *box = tw_event_box(event, object);
  if (box ? !box->is_array : kind == TW_KIND_OBJECT) return TW_OK;
  return tw_fail(error, TW_ETYPE, "%s has no keys: an object is needed",
                 tw_kind_is_container(kind) ? "an array" : "a scalar");
}

tw_status tw_event_put(tw_event *event, tw_ref object, const char *key, size_t len,
                       tw_ref value, tw_error *error) {
  tw_store *store = event->store;
  uint32_t depth;
  tw_ref key_node;
  tw_status status = check_object(event, object, error);
  if (!status) status = check_depth(event, object, value, &depth, error);
  if (status) return status;
  tw_box *box = own_box(event, object);
  if (!box) return tw_no_memory(error);
  uint32_t slot = tw_box_find(store, box, key, len);
  if (slot) {
    box->slots[slot - 1].value = value;
    if (!box->unique) remove_key(store, box, key, len, slot);
  } else {
    status = tw_store_key(store, key, len, &key_node, error);
    if (status) return status;
    box->slots[box->count++] = (tw_slot){key_node, value};
    box->seen |= tw_key_seen(store->nodes + key_node);
    tw_box_appended(store, box);
  }
  event->edits->depth = depth;
  return TW_OK;
}

tw_status tw_event_delete(tw_event *event, tw_ref object, const char *key, size_t len,
                          tw_error *error) {
  tw_ref there;
  tw_status status = check_object(event, object, error);
  if (status) return status;
  tw_box *box = tw_event_box(event, object);
  uint32_t slot = box ? tw_box_find(event->store, box, key, len) : 0;
  if (!slot && (box || !tw_event_find(event, object, key, len, &there)))
    return tw_fail(error, TW_ENOENT, "there is no member \"%.*s\"", (int)(len < 99 ? len : 99),
                   key);
  box = own_box(event, object);
  if (!box) return tw_no_memory(error);
  if (slot && box->unique) tw_box_remove(box, slot - 1);
  else remove_key(event->store, box, key, len, 0);
  return TW_OK;
}

/* An empty object may become an array, but not the event itself. */
static tw_status check_array(const tw_event *event, tw_ref array, tw_error *error) {
  tw_kind kind = tw_node_kind(event->store->nodes + array);
  if (tw_kind_is_container(kind) && (tw_event_is_array(event, array) ||
                                     (array != event->root && !tw_event_count(event, array))))
    return TW_OK;
  return tw_fail(error, TW_ETYPE, "%s has no elements: an array is needed",
                 tw_kind_is_container(kind) ? "an object" : "a scalar");
}

tw_status tw_event_put_at(tw_event *event, tw_ref array, uint32_t index, tw_ref value,
                          tw_error *error) {
  uint32_t depth;
  tw_status status = check_array(event, array, error);
  if (status) return status;
  uint32_t count = tw_event_count(event, array);
  if (index > count)
    return tw_fail(error, TW_EINVAL, "index %u is past the end of an array of %u: append at %u",
                   index, count, count);
  status = check_depth(event, array, value, &depth, error);
  if (status) return status;
  tw_box *box = own_box(event, array);
  if (!box) return tw_no_memory(error);
  event->edits->depth = depth;
  box->is_array = true;
  box->slots[index] = (tw_slot){0, value};
  if (index == count) box->count++;
  return TW_OK;
}

tw_status tw_event_delete_at(tw_event *event, tw_ref array, uint32_t index, tw_error *error) {
  tw_status status = check_array(event, array, error);
  if (status) return status;
  uint32_t count = tw_event_count(event, array);
  if (index >= count)
    return tw_fail(error, TW_ENOENT, "there is no element %u in an array of %u", index, count);
  tw_box *box = own_box(event, array);
  if (!box) return tw_no_memory(error);
  tw_box_remove(box, index);
  return TW_OK;
}

/* Whether a box stands for the value or for something inside it. */
static bool is_edited(const tw_event *event, tw_ref value) {
  const tw_edits *edits = event->edits;
  tw_ref end = value + tw_node_size(event->store->nodes + value);
  uint32_t at = edits ? tw_edits_search(edits, value) : 0;
  return edits && at < edits->count && edits->boxes[at]->node < end;
}

/* Edits made to the old root do not concern the new one, unless it was a part of it. */
tw_status tw_event_set_root(tw_event *event, tw_ref value, tw_error *error) {
  tw_status status = check_object(event, value, error);
  if (status) return status;
  if (is_edited(event, value)) {
    uint32_t depth = tw_event_depth(event, value);
    if (depth > event->store->limits.max_depth) return too_deep(event, error);
    if (!own_edits(event)) return tw_no_memory(error);
    event->edits->depth = depth;
  } else if (event->edits) {
    event->edits->refs--;
    event->edits = NULL;
  }
  event->root = value;
  return TW_OK;
}
