/// room.h: the memory outside of Lua that a script makes events take.
///
/// An event that is on its way may grow by its edits as much as the script may have memory:
/// what is overwritten stays in its store until it ends. When that is passed, the edit fails,
/// and those that follow have a quarter of it, then a ninth, and so on, so that one greedy
/// function does not keep the others from their edits. An event that Lua owns counts as
/// memory of the Lua state.
#ifndef TW_SCRIPT_ROOM_H
#define TW_SCRIPT_ROOM_H

#include "script/state/guard.h"
#include "script/value/view_inside.h"

static inline size_t tw_room_weight(const tw_store *store) {
  return store->spent + (size_t)store->count * sizeof *store->nodes;
}
/// What a store counts for that Lua owns.
static inline size_t tw_room_owned(const tw_store *store) {
  return store->spent + store->cap * sizeof *store->nodes;
}
/// Raises when the edits of an event that weighs more than the script's memory are too many.
void tw_room_weigh(lua_State *L, const tw_lua *lua, const tw_event *event);
/// The same for any event.
static inline void tw_room_check(lua_State *L, const tw_lua *lua, const tw_event *event) {
  if (lua->guard && tw_room_weight(event->store) > lua->guard->memory)
    tw_room_weigh(L, lua, event);
}
/// Counts what an owned event has grown by; raises when that is more than there is.
void tw_room_charge(lua_State *L, tw_owned *owned);
/// Both for the event of the view at `index`, before an edit.
void tw_room_check_view(lua_State *L, const tw_lua *lua, int index, const tw_event *event);
/// Gives back what was counted.
void tw_room_refund(tw_owned *owned);

#endif
