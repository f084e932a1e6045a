/// table_lib.h: functions of Lua's libraries that could run for ever inside one call of C, as
/// versions that the guard can stop.
#ifndef TW_SCRIPT_TABLE_LIB_H
#define TW_SCRIPT_TABLE_LIB_H

#include "script/state/state.h"

/// Replaces `insert`, `remove`, `move`, `concat`, `unpack` and `sort` in the table library on
/// top of the stack, which keeps its other functions.
void tw_table_open(lua_State *L, tw_lua *lua);

/// Replaces `find`, `match`, `gmatch`, `gsub` and `rep` in the string library on top of the
/// stack, and takes `dump` out.
void tw_string_open(lua_State *L, tw_lua *lua);

#endif
