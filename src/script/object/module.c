/* The Lua module: C functions in `tidewire.core`, Lua over them in `tidewire`.

   `tidewire` is made known before its Lua source runs, because parts of the library that
   the source loads require it. Its C functions are there before that, the Lua ones come with
   it.

   The library's sources are in `package.preload`, where `require` looks first: no file beside
   a script can stand in for one of them. In a sandbox they run with globals of their own, which
   a script cannot reach. */
#include "script/object/module.h"

#include "base/suggest.h"
#include "script/embedded.h"
#include "script/object/object.h"
#include "script/object/shared.h"
#include "script/object/time.h"
#include "script/sandbox/sandbox.h"
#include "script/state/bindings.h"
#include "script/state/message.h"
#include "script/value/digest.h"

/* ---------------------------------------------------------------- helpers */

/* misuse(message): raises it at the line of the caller of the library */
static int misuse(lua_State *L) { return tw_lua_misuse(L, "%s", luaL_checkstring(L, 1)); }

/* suggest(word, list) -> the nearest, or nil */
static int suggest(lua_State *L) {
  const char *word = luaL_checkstring(L, 1);
  luaL_checktype(L, 2, LUA_TTABLE);
  size_t count = lua_rawlen(L, 2);
  const char **known = lua_newuserdatauv(L, (count + 1) * sizeof *known, 0);
  for (size_t i = 0; i < count; i++) {
    lua_rawgeti(L, 2, (lua_Integer)i + 1);
    luaL_argexpected(L, lua_type(L, -1) == LUA_TSTRING, 2, "list of strings");
    known[i] = lua_tostring(L, -1); /* the list keeps it alive */
    lua_pop(L, 1);
  }
  lua_pushstring(L, tw_suggest(word, known, count));
  return 1;
}

/* class(value) -> "router", "tracker", ...; nil for what is not ours */
static int class_of(lua_State *L) {
  tw_lua *lua = tw_lua_self(L);
  for (int class_ = TW_CLASS_ROUTER; class_ <= TW_CLASS_LOCATOR; class_++) {
    if (!tw_handle_test(L, lua, 1, (tw_class)class_)) continue;
    luaL_getmetafield(L, 1, "__name");
    lua_pushstring(L, lua_tostring(L, -1) + sizeof "tidewire." - 1);
    return 1;
  }
  return 0;
}

static int end_entry(lua_State *L, int status, lua_KContext context) {
  (void)status, (void)context;
  return lua_gettop(L);
}

static int call_entry(lua_State *L) {
  lua_pushvalue(L, lua_upvalueindex(2));
  lua_insert(L, 1);
  lua_callk(L, lua_gettop(L) - 1, LUA_MULTRET, 0, end_entry); /* what it calls may yield */
  return lua_gettop(L);
}

/* entry(function) -> the same as a C function: `return tidewire.router {` is a tail call,
   which would leave no line of the caller for messages if it went to a function in Lua */
static int entry(lua_State *L) {
  lua_settop(L, 1);
  lua_pushlightuserdata(L, tw_lua_self(L));
  lua_insert(L, 1);
  lua_pushcclosure(L, call_entry, 2);
  return 1;
}

/* callable(value): a function, or something with __call */
static int callable(lua_State *L) {
  bool is = lua_isfunction(L, 1) || luaL_getmetafield(L, 1, "__call") != LUA_TNIL;
  lua_pushboolean(L, is);
  return 1;
}

/* here() -> "file:line: " of the user's innermost function */
static int here(lua_State *L) {
  tw_lua_push_where(L);
  return 1;
}

/* where(function) -> "file:line" */
static int where(lua_State *L) {
  lua_Debug info;
  if (!lua_isfunction(L, 1)) return 0;
  lua_settop(L, 1);
  lua_getinfo(L, ">S", &info);
  if (info.linedefined < 0) return 0;
  lua_pushfstring(L, "%s:%d", info.short_src, info.linedefined);
  return 1;
}

/* ---------------------------------------------------------------- modules */

static void load(lua_State *L, const tw_embedded *module) {
  if (luaL_loadbufferx(L, module->source, module->len, module->chunk, "t") != LUA_OK)
    lua_error(L);
  tw_sandbox_push_library(L); /* chunk, globals */
  if (lua_isnil(L, -1) || !lua_setupvalue(L, -2, 1)) lua_pop(L, 1);
}

static int load_embedded(lua_State *L) {
  load(L, lua_touserdata(L, lua_upvalueindex(2)));
  lua_pushvalue(L, 1);
  lua_call(L, 1, 1);
  return 1;
}

static void preload(lua_State *L, tw_lua *lua, const tw_embedded *module) {
  lua_pushlightuserdata(L, lua);
  lua_pushlightuserdata(L, (void *)module);
  lua_pushcclosure(L, load_embedded, 2);
  lua_setfield(L, -2, module->name);
}

/* @return the module `tidewire` itself */
static const tw_embedded *preload_all(lua_State *L, tw_lua *lua) {
  const tw_embedded *main = NULL;
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_PRELOAD_TABLE);
  for (const tw_embedded *module = tw_embedded_modules; module->name; module++)
    if (strcmp(module->name, "tidewire") == 0) main = module;
    else preload(L, lua, module);
  lua_pop(L, 1);
  return main;
}

static void open_core(lua_State *L, tw_lua *lua) {
  static const luaL_Reg functions[] = {
      {"misuse", misuse}, {"suggest", suggest}, {"class", class_of}, {"callable", callable},
      {"where", where},   {"here", here},       {"entry", entry},    {NULL, NULL}};
  lua_newtable(L);
  tw_lua_setfuncs(L, lua, functions);
  tw_open_router(L, lua);
  tw_open_tracker(L, lua);
  tw_open_kind(L, lua);
  tw_open_context(L, lua);
  tw_open_time(L, lua);
  tw_open_shared(L, lua);
}

static void set_loaded(lua_State *L, const char *name) {
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
  lua_pushvalue(L, -2);
  lua_setfield(L, -2, name);
  lua_pop(L, 1);
}

static void open_module(lua_State *L, tw_lua *lua) {
  lua_newtable(L);
  tw_lua_open_event(L, lua);
  tw_lua_open_answer(L, lua);
  tw_lua_open_regex(L, lua);
  tw_lua_open_digest(L, lua);
  tw_lua_open_time(L, lua);
  lua_pushliteral(L, TW_VERSION);
  lua_setfield(L, -2, "version");
}

tw_gate *tw_module_open(lua_State *L, bool light) {
  luaL_checkstack(L, LUA_MINSTACK, "tidewire");
  tw_lua *lua = tw_lua_new(L, light);
  tw_gate *gate = lua->gate ? lua->gate : tw_gate_new(L, lua);
  open_core(L, lua);
  set_loaded(L, "tidewire.core");
  lua_getfield(L, -1, "new_processor");
  set_loaded(L, "tidewire.processors.core");
  lua_pop(L, 1);
  open_module(L, lua);
  set_loaded(L, "tidewire"); /* core, module */
  lua_insert(L, -2);
  load(L, preload_all(L, lua));
  lua_pushvalue(L, -3);
  lua_pushvalue(L, -3);
  lua_call(L, 2, 0); /* init.lua(module, core) */
  tw_class_seal(L, lua_gettop(L));
  lua_pop(L, 1);
  return gate;
}

int luaopen_tidewire(lua_State *L) {
  tw_module_open(L, false);
  return 1;
}
