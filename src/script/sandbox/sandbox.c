/* All of Lua's libraries are opened, the functions that cannot be limited are replaced, and
   the globals are copied for the library's own Lua files, which so need not fear what a
   script does to `string` or `pcall`. Then what is not granted is taken out of the script's
   globals and of what `require` knows.

   Methods of strings are found in the library's copy first, where a script cannot change
   them, and then in the script's `string`, where it may add some. */
#include "script/sandbox/sandbox.h"

#include <lualib.h>
#include <string.h>

#include "script/sandbox/cjson_guard.h"
#include "script/sandbox/print.h"
#include "script/sandbox/protect.h"
#include "script/sandbox/search.h"
#include "script/sandbox/table_lib.h"
#include "script/sandbox/variadic.h"
#include "script/state/load.h"

static const char library_key = 0;

static const char *const grant_names[] = {"io",       "os",   "debug", "package",
                                          "bytecode", "lpeg", NULL};

tw_status tw_script_check_options(const tw_script_options *options, tw_error *error) {
  for (const char *const *grant = options->grants; grant && *grant; grant++) {
    bool known = false;
    for (const char *const *name = grant_names; *name; name++)
      known = known || strcmp(*name, *grant) == 0;
    if (!known)
      return tw_fail(error, TW_EINVAL,
                     "nothing called \"%.40s\" can be granted; there are io, os, debug, "
                     "package, bytecode and lpeg",
                     *grant);
  }
  return TW_OK;
}

static bool is_granted(const tw_script_options *options, const char *name) {
  for (const char *const *grant = options->grants; grant && *grant; grant++)
    if (strcmp(*grant, name) == 0) return true;
  return false;
}

/* ------------------------------------------------------- library's globals */

/* Replaces the table on top by a copy. */
static void copy_table(lua_State *L) {
  lua_newtable(L);
  for (lua_pushnil(L); lua_next(L, -3);) { /* table, copy, key, value */
    lua_pushvalue(L, -2);
    lua_insert(L, -2);
    lua_rawset(L, -4);
  }
  lua_remove(L, -2);
}

static void keep_library(lua_State *L) {
  static const char *const tables[] = {"string",    "table", "math", "utf8",
                                       "coroutine", "os",    "io",   NULL};
  lua_pushglobaltable(L);
  copy_table(L);
  for (const char *const *name = tables; *name; name++) {
    lua_getfield(L, -1, *name);
    copy_table(L);
    lua_setfield(L, -2, *name);
  }
  lua_rawsetp(L, LUA_REGISTRYINDEX, &library_key);
}

void tw_sandbox_push_library(lua_State *L) { lua_rawgetp(L, LUA_REGISTRYINDEX, &library_key); }

static void lock_strings(lua_State *L) {
  lua_pushliteral(L, "");
  lua_getmetatable(L, -1);
  tw_sandbox_push_library(L);
  lua_getfield(L, -1, "string"); /* "", meta, library, string */
  lua_createtable(L, 0, 1);
  lua_getglobal(L, "string");
  lua_setfield(L, -2, "__index");
  lua_setmetatable(L, -2);
  lua_setfield(L, -3, "__index");
  lua_pushboolean(L, 0);
  lua_setfield(L, -3, "__metatable");
  lua_pop(L, 3);
}

/* ---------------------------------------------------------------- require */

/* A searcher that lets the one for modules in C find `lpeg` alone. */
static int search_lpeg(lua_State *L) {
  if (strcmp(luaL_checkstring(L, 1), "lpeg") != 0) return 0;
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_pushvalue(L, 1);
  lua_call(L, 1, LUA_MULTRET);
  return lua_gettop(L) - 1;
}

/* `package` is on top. Its searchers are: what is preloaded, files of Lua, modules in C, and
   parts of those. */
static void limit_searchers(lua_State *L, const tw_script_options *options) {
  enum { C_MODULES = 3, C_PARTS };
  lua_getfield(L, -1, "searchers"); /* package, searchers */
  if (!is_granted(options, "package")) {
    lua_rawgeti(L, -1, C_MODULES);
    lua_pushcclosure(L, search_lpeg, 1);
    if (!is_granted(options, "lpeg")) lua_pop(L, 1), lua_pushnil(L);
    lua_rawseti(L, -2, C_MODULES);
    lua_pushnil(L);
    lua_rawseti(L, -2, C_PARTS);
  }
  lua_pop(L, 1);
}

/* A copy for the script: what it writes there, but into `loaded` and `preload`, has no
   effect. */
static void copy_fields(lua_State *L, const char *const *names) {
  lua_newtable(L);
  for (; *names; names++) {
    lua_getfield(L, -2, *names);
    lua_setfield(L, -2, *names);
  }
  lua_remove(L, -2);
}

static void limit_package(lua_State *L, const char *script, const tw_script_options *options,
                          tw_snapshot *snapshot) {
  static const char *const kept[] = {"loaded", "preload", "path", "config", NULL};
  lua_getglobal(L, "package");
  if (!is_granted(options, "package")) {
    lua_pushstring(L, options->package_path ? options->package_path : "");
    lua_setfield(L, -2, "path");
  }
  tw_search_setup(L, script, snapshot);
  limit_searchers(L, options);
  if (!is_granted(options, "package")) copy_fields(L, kept);
  lua_setglobal(L, "package");
}

/* -------------------------------------------------------------- allow-list */

/* Each byte of the format may become a whole date. Upvalue: Lua's own, which has none. */
static int format_date(lua_State *L) {
  enum { LONGEST = 1000 };
  size_t len;
  luaL_optlstring(L, 1, "", &len);
  if (len > LONGEST)
    return luaL_error(L, "os.date: a format of %d bytes is too long; %d is the limit", (int)len,
                      LONGEST);
  return lua_tocfunction(L, lua_upvalueindex(1))(L);
}

static void wrap_date(lua_State *L) {
  lua_getglobal(L, "os");
  lua_getfield(L, -1, "date");
  lua_pushcclosure(L, format_date, 1);
  lua_setfield(L, -2, "date");
  lua_pop(L, 1);
}

static void limit_os(lua_State *L) {
  static const char *const kept[] = {"time", "date", "clock", "difftime", "getenv", NULL};
  lua_getglobal(L, "os");
  copy_fields(L, kept);
  lua_setglobal(L, "os");
}

static void remove_global(lua_State *L, const char *name) {
  lua_pushnil(L);
  lua_setglobal(L, name);
}

/* A hook of the script's would take the place of the guard's. */
static void limit_debug(lua_State *L) {
  lua_getglobal(L, "debug");
  lua_pushnil(L);
  lua_setfield(L, -2, "sethook");
  lua_pop(L, 1);
}

static void limit_globals(lua_State *L, const tw_script_options *options) {
  remove_global(L, "dofile");
  remove_global(L, "loadfile");
  if (!is_granted(options, "os")) limit_os(L);
  if (!is_granted(options, "io")) remove_global(L, "io");
  if (is_granted(options, "debug")) limit_debug(L);
  else remove_global(L, "debug");
}

/* What `require` returns for the name of a library is the script's. */
static void limit_loaded(lua_State *L) {
  static const char *const names[] = {"io", "os", "debug", "package", NULL};
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
  for (const char *const *name = names; *name; name++) {
    lua_getglobal(L, *name);
    lua_setfield(L, -2, *name);
  }
  lua_pop(L, 1);
}

static void replace_functions(lua_State *L, tw_lua *lua, const tw_script_options *options) {
  lua_pushglobaltable(L);
  tw_protect_open(L, lua);
  tw_load_open(L, lua, is_granted(options, "bytecode"));
  tw_variadic_open(L, lua);
  lua_getfield(L, -1, "table");
  tw_table_open(L, lua);
  lua_getfield(L, -2, "string");
  tw_string_open(L, lua);
  lua_pop(L, 3);
}

void tw_sandbox_open(lua_State *L, tw_lua *lua, const char *script,
                     const tw_script_options *options, tw_snapshot *snapshot) {
  luaL_openlibs(L);
  tw_print_setup(L);
  tw_cjson_preload(L, lua);
  replace_functions(L, lua, options);
  wrap_date(L);
  keep_library(L);
  lock_strings(L);
  limit_package(L, script, options, snapshot);
  limit_globals(L, options);
  limit_loaded(L);
}
