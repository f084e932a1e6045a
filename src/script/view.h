/// view.h: events as Lua sees them.
///
/// A view is 64 bits: the serial of a binding (40 bits) and the number of a node (24 bits).
/// In a state of ours it is a light userdata, so that reading an event makes no garbage; in
/// a host's state it is a full userdata that holds the same bits. When the binding ends, the
/// serial is known no more, and the view raises a clear error.
#ifndef TW_SCRIPT_VIEW_H
#define TW_SCRIPT_VIEW_H

#include "script/state.h"

/// Makes the metatables; sets `view_meta`.
void tw_view_setup(lua_State *L, tw_lua *lua);

/// Makes an event visible to Lua until tw_view_unbind.
/// @return its serial; 0 when TW_MAX_BOUND events are bound already
uint64_t tw_view_bind(tw_lua *lua, tw_event *event);
void tw_view_unbind(tw_lua *lua, uint64_t serial);
/// Pushes the view of a bound event's root. May raise out of memory in a host's state.
void tw_view_push(lua_State *L, tw_lua *lua, uint64_t serial);

/// Pushes a new event that Lua owns, made by moving `*event`, whose store becomes owned.
/// Its views keep it alive. May raise out of memory: `event` is ended then.
void tw_view_push_owned(lua_State *L, tw_lua *lua, tw_event *event);

/// @return whether the value at `index` is a view of any kind, also of an ended event
bool tw_view_is(lua_State *L, tw_lua *lua, int index);
/// The event and node of the view at `index`. @return NULL when it is no view; raises an
/// error when its event has ended
tw_event *tw_view_get(lua_State *L, tw_lua *lua, int index, tw_ref *ref);

#endif
