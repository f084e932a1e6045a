/* The searcher of Lua files, without the second value that it has for `require`.

   A searcher returns a loader and the file's name; `require` calls the loader with both, and
   returns what that returned and the file's name. So the loader is wrapped in one that knows
   the file's name, and nil stands in its place: at the end of a list it adds no entry. */
#include "script/search.h"

#include <lauxlib.h>
#include <string.h>

/* loader(name, nil); upvalues: the loader, the file's name */
static int load(lua_State *L) {
  lua_settop(L, 1);
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_insert(L, 1);
  lua_pushvalue(L, lua_upvalueindex(2)); /* loader, name, file */
  lua_call(L, 2, 1);
  return 1;
}

/* searcher(name); upvalue: Lua's own */
static int search(lua_State *L) {
  lua_settop(L, 1);
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_insert(L, 1);
  lua_call(L, 1, 2); /* loader, file; or a message, nil */
  if (!lua_isfunction(L, 1)) {
    lua_settop(L, 1);
    return 1;
  }
  lua_pushcclosure(L, load, 2);
  return 1;
}

/* Modules beside the script come first. */
static void set_path(lua_State *L, const char *script) {
  const char *slash = strrchr(script, '/');
  int len = slash ? (int)(slash - script) : 1;
  lua_pushlstring(L, slash ? script : ".", (size_t)(slash && !len ? 1 : len));
  const char *folder = lua_tostring(L, -1);
  lua_getglobal(L, "package");
  lua_getfield(L, -1, "path");
  lua_pushfstring(L, "%s/?.lua;%s/?/init.lua;%s", folder, folder, lua_tostring(L, -1));
  lua_setfield(L, -3, "path");
  lua_pop(L, 3);
}

/* The place of the searcher of Lua files among Lua's. */
enum { LUA_FILES = 2 };

void tw_search_setup(lua_State *L, const char *script) {
  set_path(L, script);
  lua_getglobal(L, "package");
  lua_getfield(L, -1, "searchers");
  lua_rawgeti(L, -1, LUA_FILES);
  lua_pushcclosure(L, search, 1);
  lua_rawseti(L, -2, LUA_FILES);
  lua_pop(L, 2);
}
