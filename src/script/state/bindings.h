/// bindings.h: the parts of the Lua module that are about events.
#ifndef TW_SCRIPT_BINDINGS_H
#define TW_SCRIPT_BINDINGS_H

#include "script/state/state.h"

/// Sets `null`, `array`, `totable`, `event`, `encode`, `decode`, `drop`, `split`, `uuid7`,
/// `priority`, `set_priority` and `path` into the module table on top of the stack.
void tw_lua_open_event(lua_State *L, tw_lua *lua);
/// Sets `permanent`, `retry` and `disabled`.
void tw_lua_open_answer(lua_State *L, tw_lua *lua);
/// Sets `path` only; part of tw_lua_open_event.
void tw_lua_open_path(lua_State *L, tw_lua *lua);
/// Sets `regex`.
void tw_lua_open_regex(lua_State *L, tw_lua *lua);

#endif
