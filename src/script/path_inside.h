/// path_inside.h: what the files of path objects share among themselves.
#ifndef TW_SCRIPT_PATH_INSIDE_H
#define TW_SCRIPT_PATH_INSIDE_H

#include "event/path.h"
#include "script/state.h"

/// The path object at `index`; raises when it is something else.
const tw_path *tw_lua_check_path(lua_State *L, const tw_lua *lua, int index);

/// Whether the value still stands where it was matched: what was edited since may have moved
/// or removed it.
bool tw_place_stands(const tw_event *event, const tw_place *place);
tw_status tw_place_put(tw_event *event, const tw_place *place, tw_ref value, tw_error *error);
tw_status tw_place_delete(tw_event *event, const tw_place *place, tw_error *error);

/// Adds `text`, `rewrite`, `move` and `decode` to the table of methods on top; see rewrite.c.
void tw_lua_add_rewrite(lua_State *L, tw_lua *lua);

#endif
