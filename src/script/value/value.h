/// value.h: Lua values to JSON and back.
///
/// A table is an array when its keys are 1 to n without a hole, or when it was made with
/// tidewire.array; otherwise an object, whose keys must all be strings. An empty table is an
/// object. Views are copied as they are now. A table with `__index`, `__len` or `__pairs`
/// is refused, because what it shows is not what it holds; other metamethods do not matter.
#ifndef TW_SCRIPT_VALUE_H
#define TW_SCRIPT_VALUE_H

#include "script/state/state.h"

/// Appends the value at `index` as JSON. nil is written as null. Raises no Lua error of its
/// own, and allocates nothing in Lua.
/// @param root  the name that paths in messages begin with, such as "data"; may be ""
/// @param max_depth  nesting that is allowed
/// @return TW_OK; TW_ETYPE, TW_EJSON or TW_ELIMIT with a message that names the path:
///         `data.user.callback: a function cannot be part of an event`; TW_ENOMEM
tw_status tw_value_write_depth(lua_State *L, tw_lua *lua, int index, const char *root,
                               uint32_t max_depth, tw_buffer *out, tw_error *error);
/// The same with the depth of the state's limits.
tw_status tw_value_write(lua_State *L, tw_lua *lua, int index, const char *root, tw_buffer *out,
                         tw_error *error);
/// The value at `index` as a new value of the event's store. Uses the scratch buffer.
/// @param depth  containers that stand around its place inside the event
tw_status tw_value_store_at(lua_State *L, tw_lua *lua, int index, const char *root,
                            uint32_t depth, tw_event *event, tw_ref *out, tw_error *error);
/// Pushes a scalar as its Lua value, a container as a plain table, deeply. An empty array
/// gets the mark of tidewire.array. Of equal keys the last counts. Raises without memory.
void tw_value_push_table(lua_State *L, tw_lua *lua, const tw_event *event, tw_ref ref);
/// Pushes a scalar; a container is not allowed. An integer of more than 64 bits becomes a
/// float. Raises without memory.
void tw_value_push_scalar(lua_State *L, const tw_event *event, tw_ref ref);

/// A path as Lua would write it, for messages; cut with `…` when it grows too long.
typedef struct tw_path_text {
  char text[200]; ///< NUL-terminated
  size_t len;
} tw_path_text;

/// Appends `.name`, or `["odd name"]`; without the dot at the start.
void tw_path_text_key(tw_path_text *path, const char *key, size_t len);
/// Appends `[1]`.
void tw_path_text_index(tw_path_text *path, int64_t index);

#endif
