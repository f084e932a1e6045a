/* room.c: see room.h. The text of an event as it came, and the nodes that reading it makes,
   are the host's doing and not counted. */
#include "script/state/room.h"

/* Of each byte of text: itself, and half a node. */
enum { READ_FACTOR = 1 + sizeof(tw_node) / 2 };

void tw_room_weigh(lua_State *L, const tw_lua *lua, const tw_event *event) {
  tw_store *store = event->store;
  size_t share = (size_t)store->refusals + 1, limit = lua->guard->memory / (share * share);
  size_t weight = tw_room_weight(store);
  size_t given = tw_store_node(store, event->root)->len * (size_t)READ_FACTOR;
  if (given < store->forgiven) given = store->forgiven;
  if (weight <= given || weight - given <= limit) return;
  store->refusals++;
  store->forgiven = weight;
  tw_lua_raise(L,
               "not enough memory: the edits of this event take more than %f MiB; make fewer, "
               "or raise --memory-limit",
               (double)limit / (1 << 20));
}

static bool has_room(const tw_guard *guard, size_t bytes) {
  return guard->used <= guard->memory && bytes <= guard->memory - guard->used;
}

void tw_room_charge(lua_State *L, tw_owned *owned) {
  tw_guard *guard = owned->guard;
  size_t weight = tw_room_owned(&owned->store);
  if (!guard || weight <= owned->charged) return;
  size_t more = weight - owned->charged;
  if (!has_room(guard, more)) {
    guard->refused = true;
    lua_gc(L, LUA_GCCOLLECT);
  }
  if (!has_room(guard, more))
    tw_lua_raise(L,
                 "not enough memory: the script and the events that it keeps take more than "
                 "%f MiB; keep fewer, or raise --memory-limit",
                 (double)guard->memory / (1 << 20));
  guard->used += more;
  owned->charged += more;
}

void tw_room_refund(tw_owned *owned) {
  if (owned->guard) owned->guard->used -= owned->charged;
  owned->charged = 0;
}

void tw_room_check_view(lua_State *L, const tw_lua *lua, int index, const tw_event *event) {
  const tw_view *view = lua_islightuserdata(L, index) ? NULL : lua_touserdata(L, index);
  tw_room_check(L, lua, event);
  if (view && view->owned) tw_room_charge(L, view->owned);
}
