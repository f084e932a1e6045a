/// cjson_guard.h: lua-cjson as a router script sees it.
#ifndef TW_SCRIPT_CJSON_GUARD_H
#define TW_SCRIPT_CJSON_GUARD_H

#include "script/state/state.h"

/// Lets `require "cjson"` find it, where it is linked in.
void tw_cjson_preload(lua_State *L, tw_lua *lua);

#endif
