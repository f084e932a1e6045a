/// module.h: the Lua module in a state.
#ifndef TW_SCRIPT_MODULE_H
#define TW_SCRIPT_MODULE_H

#include "script/state/gate.h"

/// Makes `require "tidewire"` and its parts work, and pushes the module. Raises.
/// @param light  the state is ours alone: views are light userdata
tw_gate *tw_module_open(lua_State *L, bool light);

#endif
