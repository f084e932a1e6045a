/// path_inside.h: what the files of path objects share among themselves.
#ifndef TW_SCRIPT_PATH_INSIDE_H
#define TW_SCRIPT_PATH_INSIDE_H

#include "event/path.h"
#include "script/state/state.h"

/// The path object at `index`; raises when it is something else.
const tw_path *tw_lua_check_path(lua_State *L, const tw_lua *lua, int index);

/// The event and node of the view at stack index 2, where a path's method starts; raises when
/// it is something else, or its event has ended.
tw_event *tw_lua_check_view(lua_State *L, tw_lua *lua, tw_ref *from);
/// Raises an error about the path at stack index 1.
int tw_lua_path_raise(lua_State *L, const char *reason);

/// The places that a path matches, all found before the first edit.
typedef struct tw_matches {
  tw_place *places; ///< in the arena of the store
  size_t count;
} tw_matches;

/// As tw_path_find and tw_path_match, from a node instead of the root; the latter raises.
bool tw_lua_path_find(tw_event *event, tw_ref from, const tw_path *path, tw_ref *value);
tw_matches tw_lua_path_match(lua_State *L, tw_event *event, tw_ref from, const tw_path *path);

/// Whether the value still stands where it was matched: what was edited since may have moved
/// or removed it.
bool tw_place_stands(const tw_event *event, const tw_place *place);
tw_status tw_place_put(tw_event *event, const tw_place *place, tw_ref value, tw_error *error);
tw_status tw_place_delete(tw_event *event, const tw_place *place, tw_error *error);

/// Adds `text`, `rewrite`, `move` and `decode` to the table of methods on top; see rewrite.c.
void tw_lua_add_rewrite(lua_State *L, tw_lua *lua);

#endif
