/// shared.h: the stores of core/shared.h in Lua.
#ifndef TW_SCRIPT_SHARED_H
#define TW_SCRIPT_SHARED_H

#include "script/state/state.h"

/// Adds `open_shared` and the class of stores to the table on top, the module `tidewire.core`.
void tw_open_shared(lua_State *L, tw_lua *lua);

#endif
