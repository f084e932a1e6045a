/// value.h: Lua values to JSON and back.
#ifndef TW_SCRIPT_VALUE_H
#define TW_SCRIPT_VALUE_H

#include "script/state.h"

/// Appends the value at `index` as JSON: nil, booleans, numbers, strings, tables without
/// metamethods, views, tidewire.null. Raises no Lua error of its own.
/// @param root  the name that paths in messages begin with, such as "data"; may be ""
/// @return TW_OK; TW_ETYPE, TW_EJSON or TW_ELIMIT with a message that names the path:
///         `data.user.callback: a function cannot be part of an event`
tw_status tw_value_write(lua_State *L, tw_lua *lua, int index, const char *root, tw_buffer *out,
                         tw_error *error);
/// The value at `index` as a new value of the event's store.
tw_status tw_value_store(lua_State *L, tw_lua *lua, int index, const char *root,
                         tw_event *event, tw_ref *out, tw_error *error);
/// Pushes a scalar as its Lua value, a container as a plain table, deeply. An empty array
/// gets the mark of tidewire.array. Raises without memory.
void tw_value_push_table(lua_State *L, tw_lua *lua, const tw_event *event, tw_ref ref);
/// Pushes a scalar; a container is not allowed.
void tw_value_push_scalar(lua_State *L, const tw_event *event, tw_ref ref);

#endif
