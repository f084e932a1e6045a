/// load.h: compiling Lua in pieces, so that the guard can stop it.
#ifndef TW_SCRIPT_LOAD_H
#define TW_SCRIPT_LOAD_H

#include "script/state/guard.h"
#include "script/state/state.h"

/// luaL_loadbufferx. Leaves the chunk or the message. @return Lua's status
int tw_load_text(lua_State *L, tw_guard *guard, const char *text, size_t len, const char *name,
                 const char *mode);

/// Replaces `load` in the table of globals on top of the stack.
/// @param bytecode  whether it takes binary chunks
void tw_load_open(lua_State *L, tw_lua *lua, bool bytecode);

#endif
