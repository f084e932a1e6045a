#include "script/sandbox/variadic.h"

#include "script/state/guard.h"

enum { MUCH = 1 << 18 }; /* bytes that are read in less than a millisecond */

/* Upvalues: the tw_lua, Lua's own function, which has none. */
static int charged(lua_State *L) {
  size_t bytes = 0;
  int count = lua_gettop(L);
  for (int i = 1; i <= count; i++)
    if (lua_type(L, i) == LUA_TSTRING) bytes += lua_rawlen(L, i);
  if (bytes >= MUCH) tw_guard_charge(tw_lua_self(L)->guard, L, bytes);
  return lua_tocfunction(L, lua_upvalueindex(2))(L);
}

static void replace(lua_State *L, tw_lua *lua, const char *library, const char *name) {
  lua_getfield(L, -1, library);
  lua_pushlightuserdata(L, lua);
  lua_getfield(L, -2, name); /* library, lua, function */
  lua_pushcclosure(L, charged, 2);
  lua_setfield(L, -2, name);
  lua_pop(L, 1);
}

void tw_variadic_open(lua_State *L, tw_lua *lua) {
  static const char *const functions[][2] = {{"string", "format"}, {"string", "pack"},
                                             {"string", "char"},   {"utf8", "char"},
                                             {"math", "max"},      {"math", "min"}};
  for (size_t i = 0; i < sizeof functions / sizeof *functions; i++)
    replace(L, lua, functions[i][0], functions[i][1]);
}
