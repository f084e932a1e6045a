/// sandbox.h: what a router script finds in its state.
#ifndef TW_SCRIPT_SANDBOX_H
#define TW_SCRIPT_SANDBOX_H

#include "script/script.h"
#include "script/state/state.h"

/// Opens the libraries that the script may use into an empty state, and a set of its own for
/// the Lua files of this library, which the script cannot reach. Raises.
/// @param script    its path: modules beside it can be required
/// @param snapshot  of its files; lives as long as the state
void tw_sandbox_open(lua_State *L, tw_lua *lua, const char *script,
                     const tw_script_options *options, tw_snapshot *snapshot);

/// Pushes the globals of the library's own Lua files; nil in a host's state.
void tw_sandbox_push_library(lua_State *L);

#endif
