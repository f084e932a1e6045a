/// variadic.h: functions of Lua's libraries that read all their arguments in one call of C: a
/// hundred thousand references to one long text are as much to read as that many texts.
#ifndef TW_SCRIPT_VARIADIC_H
#define TW_SCRIPT_VARIADIC_H

#include "script/state/state.h"

/// Lets `format`, `pack` and `char` of `string`, `char` of `utf8`, `max` and `min` of `math`
/// tell the guard how much text they are given, in the table of globals on top of the stack.
void tw_variadic_open(lua_State *L, tw_lua *lua);

#endif
