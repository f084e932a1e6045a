/// protect.h: Lua's functions that could swallow a kill or hide a coroutine from the guard,
/// made safe: pcall, xpcall, setmetatable, and the coroutine library.
#ifndef TW_SCRIPT_PROTECT_H
#define TW_SCRIPT_PROTECT_H

#include "script/state/state.h"

/// Replaces them in the table of globals on top of the stack.
void tw_protect_open(lua_State *L, tw_lua *lua);

#endif
