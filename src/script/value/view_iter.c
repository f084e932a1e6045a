/// view_iter.c: pairs over a view.
///
/// pairs over an object takes a snapshot of its keys, without those that a later equal key
/// hides. Each step reads the value as it is then and skips keys that are gone, so fields
/// may be set, added and removed meanwhile; an added one is not visited. pairs over an
/// array is live: after the element at hand was removed, the one that took its place is
/// next.
#include "event/memo.h"
#include "script/value/view_inside.h"

static bool is_boxed(const tw_event *event, tw_ref node) {
  return event->edits && tw_event_box(event, node);
}

typedef struct tw_iterator {
  bool is_array, was_boxed;
  uint32_t next;  /* the next key; an array's next index */
  uint32_t count; /* of keys; an array's elements at the last step */
  uint32_t slot;  /* where the next key is expected in the box */
  tw_ref current; /* an array's element at hand */
  tw_ref keys[];
} tw_iterator;

/* Hashes in the nodes tell plain keys apart without looking at their bytes. */
static bool same_key(tw_store *store, tw_ref a, tw_ref b) {
  const tw_node *anode = tw_store_node(store, a), *bnode = tw_store_node(store, b);
  bool plain = tw_node_kind(anode) == TW_KIND_KEY && tw_node_kind(bnode) == TW_KIND_KEY;
  if (plain && (anode->meta != bnode->meta || anode->len != bnode->len)) return false;
  size_t alen, blen;
  const char *atext = tw_node_string(store, a, &alen), *btext = tw_node_string(store, b, &blen);
  return atext && btext && alen == blen && !memcmp(atext, btext, alen);
}

static uint32_t key_hash(tw_store *store, tw_ref key) {
  size_t len;
  const char *text = tw_node_string(store, key, &len);
  return text ? tw_memo_hash(text, len) : 0;
}

/* Few keys: each against those behind it. Hidden ones become UINT32_MAX. */
static void hide_few(tw_store *store, tw_iterator *it) {
  for (uint32_t i = 0; i < it->count; i++)
    for (uint32_t j = i + 1; j < it->count; j++)
      if (same_key(store, it->keys[i], it->keys[j])) {
        it->keys[i] = UINT32_MAX;
        break;
      }
}

/* Many keys: from the last to the first through an open hash table of positions + 1. */
static void hide_many(tw_store *store, tw_iterator *it, uint32_t *table, uint32_t mask) {
  for (uint32_t i = it->count; i-- > 0;) {
    uint32_t at = key_hash(store, it->keys[i]) & mask;
    while (table[at] && !same_key(store, it->keys[i], it->keys[table[at] - 1]))
      at = (at + 1) & mask;
    if (table[at]) it->keys[i] = UINT32_MAX;
    else table[at] = i + 1;
  }
}

enum { FEW_KEYS = 24 };

static void hide_equal_keys(lua_State *L, tw_lua *lua, tw_store *store, tw_iterator *it) {
  if (it->count <= FEW_KEYS) {
    hide_few(store, it);
    return;
  }
  uint32_t size = 64;
  while (size < 2 * it->count) size *= 2;
  tw_buffer *table = tw_lua_scratch(L, lua);
  if (!tw_buffer_pad(table, size * sizeof(uint32_t))) tw_lua_raise(L, "out of memory");
  hide_many(store, it, (uint32_t *)(void *)table->data, size - 1);
}

static tw_iterator *push_keys(lua_State *L, const tw_subject *at) {
  uint32_t count = tw_event_count(at->event, at->node);
  tw_iterator *it = lua_newuserdatauv(L, sizeof *it + count * sizeof(tw_ref), 0);
  *it = (tw_iterator){.was_boxed = is_boxed(at->event, at->node)};
  tw_cursor cursor = tw_cursor_begin(at->event, at->node);
  while (it->count < count && tw_cursor_next(&cursor)) it->keys[it->count++] = cursor.key;
  return it;
}

/* The value of key `key` now. In a box it is where it was expected, or one before when the
   last one was removed; otherwise it is searched. */
static bool value_now(const tw_subject *at, tw_iterator *it, tw_ref key, tw_ref *value) {
  const tw_box *box = at->event->edits ? tw_event_box(at->event, at->node) : NULL;
  if (!box && !it->was_boxed) {
    *value = key + 1;
    return true;
  }
  for (uint32_t back = 0; box && back < 2 && back <= it->slot; back++) {
    uint32_t slot = it->slot - back;
    if (slot >= box->count || box->slots[slot].key != key) continue;
    *value = box->slots[slot].value;
    it->slot = slot + 1;
    return true;
  }
  size_t len;
  const char *text = tw_node_string(at->event->store, key, &len);
  return text && tw_event_find(at->event, at->node, text, len, value);
}

static void push_key(lua_State *L, const tw_event *event, tw_ref key) {
  size_t len;
  const char *text = tw_node_string(event->store, key, &len);
  if (!text) tw_lua_raise(L, "out of memory");
  lua_pushlstring(L, text, len);
}

enum { ITERATOR_VIEW = lua_upvalueindex(2), ITERATOR = lua_upvalueindex(3) };

static int next_field(lua_State *L, tw_lua *lua, const tw_subject *at, tw_iterator *it) {
  tw_ref value;
  while (it->next < it->count) {
    tw_ref key = it->keys[it->next++];
    if (key == UINT32_MAX) {
      it->slot++;
    } else if (value_now(at, it, key, &value)) {
      push_key(L, at->event, key);
      tw_view_push_value(L, lua, ITERATOR_VIEW, at->event, value);
      return 2;
    }
  }
  lua_pushnil(L);
  return 1;
}

/* Goes on behind the element at hand, or where it was when it is gone. */
static void step_array(const tw_subject *at, tw_iterator *it) {
  uint32_t count = tw_event_count(at->event, at->node);
  tw_ref here;
  bool stayed =
      it->next && tw_event_at(at->event, at->node, it->next - 1, &here) && here == it->current;
  uint32_t gone = !stayed && count < it->count ? it->count - count : 0;
  it->next -= gone < it->next ? gone : it->next;
  it->count = count;
}

static int next_element(lua_State *L, tw_lua *lua, const tw_subject *at, tw_iterator *it) {
  step_array(at, it);
  if (!tw_view_is_array(at->event, at->node) ||
      !tw_event_at(at->event, at->node, it->next, &it->current)) {
    lua_pushnil(L);
    return 1;
  }
  lua_pushinteger(L, (lua_Integer)++it->next);
  tw_view_push_value(L, lua, ITERATOR_VIEW, at->event, it->current);
  return 2;
}

static int pairs_next(lua_State *L) {
  tw_lua *lua = tw_lua_self(L);
  tw_iterator *it = lua_touserdata(L, ITERATOR);
  tw_subject at = tw_view_subject(L, lua, ITERATOR_VIEW);
  if (!at.event) return tw_view_raise_ended(L, ITERATOR_VIEW, "iterate over");
  return it->is_array ? next_element(L, lua, &at, it) : next_field(L, lua, &at, it);
}

static void push_iterator(lua_State *L, tw_lua *lua, const tw_subject *at) {
  if (tw_view_is_array(at->event, at->node)) {
    tw_iterator *it = lua_newuserdatauv(L, sizeof *it, 0);
    *it = (tw_iterator){.is_array = true, .count = tw_event_count(at->event, at->node)};
  } else {
    hide_equal_keys(L, lua, at->event->store, push_keys(L, at));
  }
}

int tw_view_pairs(lua_State *L) {
  tw_lua *lua = tw_lua_self(L);
  tw_subject at = tw_view_subject(L, lua, 1);
  if (!at.event) return tw_view_raise_ended(L, 1, "iterate over");
  lua_settop(L, 1);
  lua_pushlightuserdata(L, lua);
  lua_pushvalue(L, 1);
  push_iterator(L, lua, &at); /* view, lua, view, iterator */
  lua_pushcclosure(L, pairs_next, 3);
  lua_insert(L, 1); /* next, view */
  lua_pushnil(L);
  return 3;
}
