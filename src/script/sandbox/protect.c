/* Each does what Lua's own does, and raises again when the call was killed meanwhile.

   A message handler of xpcall would run with hooks off while a hook raises, and a coroutine
   that a hook's error ended would run its `<close>` variables so: in both cases the script's
   functions are not called. Finalizers always run with hooks off, so a script has none. */
#include "script/sandbox/protect.h"

#include "script/state/guard.h"

static tw_guard *guard_of(lua_State *L) { return tw_lua_self(L)->guard; }

/* ---------------------------------------------------------- pcall, xpcall */

/* `context` results of before stay below the call's: false and the handler of xpcall. */
static int finish(lua_State *L, int status, lua_KContext context) {
  tw_guard_check(guard_of(L), L);
  if (status == LUA_OK || status == LUA_YIELD) return lua_gettop(L) - (int)context;
  lua_pushboolean(L, 0);
  lua_insert(L, -2);
  return 2;
}

static int protected_call(lua_State *L) {
  luaL_checkany(L, 1);
  lua_pushboolean(L, 1);
  lua_insert(L, 1);
  int status = lua_pcallk(L, lua_gettop(L) - 2, LUA_MULTRET, 0, 0, finish);
  return finish(L, status, 0);
}

/* Upvalues: the tw_lua, the script's handler. */
static int handle(lua_State *L) {
  if (tw_guard_is_killed(guard_of(L))) return 1;
  lua_settop(L, 1);
  lua_pushvalue(L, lua_upvalueindex(2));
  lua_insert(L, 1);
  lua_call(L, 1, 1);
  return 1;
}

static int protected_call_with(lua_State *L) {
  int count = lua_gettop(L);
  luaL_checktype(L, 2, LUA_TFUNCTION);
  lua_pushlightuserdata(L, tw_lua_self(L));
  lua_pushvalue(L, 2);
  lua_pushcclosure(L, handle, 2);
  lua_replace(L, 2);
  lua_pushboolean(L, 1);
  lua_pushvalue(L, 1);
  lua_rotate(L, 3, 2); /* f, handler, true, f, arguments */
  int status = lua_pcallk(L, count - 2, LUA_MULTRET, 2, 2, finish);
  return finish(L, status, 2);
}

/* ------------------------------------------------- metatables and the collector */

static int set_metatable(lua_State *L) {
  int type = lua_type(L, 2);
  luaL_checktype(L, 1, LUA_TTABLE);
  luaL_argexpected(L, type == LUA_TNIL || type == LUA_TTABLE, 2, "nil or table");
  if (luaL_getmetafield(L, 1, "__metatable") != LUA_TNIL)
    return luaL_error(L, "cannot change a protected metatable");
  lua_settop(L, 2);
  if (type == LUA_TTABLE) {
    lua_pushliteral(L, "__gc");
    if (lua_rawget(L, 2) != LUA_TNIL)
      return luaL_error(L,
                        "a router script has no finalizers: use <close>, or a backend's "
                        "close, instead of __gc");
    lua_settop(L, 2);
  }
  lua_setmetatable(L, 1);
  return 1;
}

static int collect_garbage(lua_State *L) {
  const char *what = luaL_optstring(L, 1, "collect");
  if (strcmp(what, "count") != 0)
    return luaL_error(L, "collectgarbage: a router script can only ask for \"count\"");
  lua_pushnumber(L, lua_gc(L, LUA_GCCOUNT) + lua_gc(L, LUA_GCCOUNTB) / 1024.0);
  return 1;
}

/* ------------------------------------------------------------- coroutines */

static lua_State *check_coroutine(lua_State *L) {
  lua_State *co = lua_tothread(L, 1);
  luaL_argexpected(L, co, 1, "coroutine");
  return co;
}

/* A hook counts anew in each coroutine that it is set in, so that a switch itself counts. */
enum { SWITCH_STEPS = 20 };

/* @return how many results are on top of `L`; -1: an error is */
static int resume(lua_State *L, lua_State *co, int args) {
  tw_guard *guard = guard_of(L);
  tw_guard_step(guard, L, SWITCH_STEPS);
  if (!lua_checkstack(co, args)) {
    lua_pushliteral(L, "too many arguments to resume");
    return -1;
  }
  lua_xmove(L, co, args);
  int results;
  lua_State *before = guard ? tw_guard_switch(guard, co) : NULL;
  int status = lua_resume(co, L, args, &results);
  if (guard) tw_guard_switch_back(guard, before);
  tw_guard_check(guard, L);
  if (status != LUA_OK && status != LUA_YIELD) {
    lua_xmove(co, L, 1);
    return -1;
  }
  if (lua_checkstack(L, results + 1)) {
    lua_xmove(co, L, results);
    return results;
  }
  lua_pop(co, results);
  lua_pushliteral(L, "too many results to resume");
  return -1;
}

static int co_resume(lua_State *L) {
  lua_State *co = check_coroutine(L);
  int results = resume(L, co, lua_gettop(L) - 1);
  lua_pushboolean(L, results >= 0);
  if (results < 0) results = 1;
  lua_insert(L, -(results + 1));
  return results + 1;
}

/* A coroutine that a kill ended must not run its `<close>` variables: no hook would see
   them. The kill leaves its mark as the error, which only C can raise. */
static bool was_killed(lua_State *L, lua_State *co) {
  const tw_guard *guard = guard_of(L);
  if (!guard || lua_status(co) == LUA_OK || lua_status(co) == LUA_YIELD) return false;
  return lua_gettop(co) && lua_touserdata(co, -1) == guard;
}

/* Calls of C that Lua allows to be nested are counted for each coroutine, and one that is
   closed takes no count over from the one that closes it: so few may close each other. */
enum { MOST_CLOSINGS = 10 };

/* Leaves the coroutine's error on `L` when there is one. @return whether */
static bool close_coroutine(lua_State *L, lua_State *co) {
  tw_lua *lua = tw_lua_self(L);
  tw_guard *guard = lua->guard;
  if (was_killed(L, co)) {
    lua_pushliteral(L, "the coroutine was stopped");
    return true;
  }
  if (lua->closings >= MOST_CLOSINGS) {
    lua_pushliteral(L, "too many coroutines are closed inside of each other");
    return true;
  }
  lua_State *before = guard ? tw_guard_switch(guard, co) : NULL;
  lua->closings++;
  int status = lua_resetthread(co);
  lua->closings--;
  if (guard) tw_guard_switch_back(guard, before);
  tw_guard_check(guard, L);
  if (status == LUA_OK) return false;
  lua_xmove(co, L, 1);
  return true;
}

static int wrapped(lua_State *L) {
  lua_State *co = lua_tothread(L, lua_upvalueindex(2));
  int results = resume(L, co, lua_gettop(L));
  if (results >= 0) return results;
  int status = lua_status(co);
  if (status != LUA_OK && status != LUA_YIELD) { /* it ended by its own error */
    lua_pushvalue(L, -1);
    lua_xmove(L, co, 1); /* lua_resetthread takes it from there */
    lua_pop(L, 1);
    if (!close_coroutine(L, co)) lua_pushliteral(L, "error in a coroutine");
  }
  if (status != LUA_ERRMEM && lua_type(L, -1) == LUA_TSTRING) {
    luaL_where(L, 1);
    lua_insert(L, -2);
    lua_concat(L, 2);
  }
  return lua_error(L);
}

static int co_create(lua_State *L) {
  luaL_checktype(L, 1, LUA_TFUNCTION);
  lua_State *co = lua_newthread(L);
  lua_pushvalue(L, 1);
  lua_xmove(L, co, 1);
  return 1;
}

static int co_wrap(lua_State *L) {
  co_create(L);
  lua_pushlightuserdata(L, tw_lua_self(L));
  lua_insert(L, -2);
  lua_pushcclosure(L, wrapped, 2);
  return 1;
}

/* Only one that is suspended or dead: not one that runs, nor one that waits for another. */
static bool can_close(lua_State *L, lua_State *co) {
  lua_Debug frame;
  if (L == co) return false;
  if (lua_status(co) != LUA_OK) return true;
  return !lua_getstack(co, 0, &frame);
}

static int co_close(lua_State *L) {
  lua_State *co = check_coroutine(L);
  if (!can_close(L, co))
    return luaL_error(L, "cannot close a %s coroutine", L == co ? "running" : "normal");
  bool failed = close_coroutine(L, co);
  lua_pushboolean(L, !failed);
  if (!failed) return 1;
  lua_insert(L, -2);
  return 2;
}

/* ------------------------------------------------------------------- open */

static void open_coroutine(lua_State *L, tw_lua *lua) {
  static const luaL_Reg functions[] = {{"create", co_create},
                                       {"resume", co_resume},
                                       {"wrap", co_wrap},
                                       {"close", co_close},
                                       {NULL, NULL}};
  lua_getfield(L, -1, "coroutine");
  tw_lua_setfuncs(L, lua, functions);
  lua_pop(L, 1);
}

void tw_protect_open(lua_State *L, tw_lua *lua) {
  static const luaL_Reg functions[] = {{"pcall", protected_call},
                                       {"xpcall", protected_call_with},
                                       {"setmetatable", set_metatable},
                                       {"collectgarbage", collect_garbage},
                                       {NULL, NULL}};
  tw_lua_setfuncs(L, lua, functions);
  open_coroutine(L, lua);
}
