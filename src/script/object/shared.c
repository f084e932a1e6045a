/* Shared stores in Lua: a userdata with one reference.

   A store's time is the steady clock of the state, so that a test's clock lets its values
   expire. A string that a store gives is a copy of our own, which a Lua error must not leak:
   it is put into the scratch buffer before Lua sees it. */
#include "script/object/shared.h"

#include <math.h>

#include "core/shared.h"
#include "script/object/time.h"
#include "script/state/message.h"

typedef struct box {
  tw_kv *store; /* NULL: closed */
} box;

static int box_gc(lua_State *L) {
  box *self = lua_touserdata(L, 1);
  tw_kv_close(self->store);
  self->store = NULL;
  return 0;
}

/* ---------------------------------------------------------------- arguments */

static tw_kv *check_store(lua_State *L) {
  const box *self = luaL_checkudata(L, 1, "tidewire.shared");
  if (!self->store) luaL_error(L, "the shared store is closed");
  return self->store;
}

static const char *check_key(lua_State *L, size_t *len) {
  if (lua_type(L, 2) != LUA_TSTRING)
    tw_lua_misuse(L, "shared: 'key' must be a string, not %s", tw_lua_describe(L, 2));
  return lua_tolstring(L, 2, len);
}

/* Seconds, as microseconds; nil is forever. */
static int64_t check_ttl(lua_State *L, int index) {
  if (lua_isnoneornil(L, index)) return TW_KV_FOREVER;
  lua_Number seconds = lua_type(L, index) == LUA_TNUMBER ? lua_tonumber(L, index) : 0;
  if (!(seconds > 0))
    tw_lua_misuse(L, "shared: 'ttl' must be a number of seconds above 0, not %s",
                  luaL_tolstring(L, index, NULL));
  return seconds < 1e12 ? (int64_t)ceil(seconds * 1e6) : TW_KV_FOREVER;
}

static tw_kv_value check_value(lua_State *L, int index) {
  tw_kv_value value = {.type = TW_KV_NIL};
  switch (lua_type(L, index)) {
    case LUA_TNIL: break;
    case LUA_TBOOLEAN:
      value = (tw_kv_value){.type = TW_KV_BOOLEAN, .boolean = lua_toboolean(L, index)};
      break;
    case LUA_TNUMBER:
      if (lua_isinteger(L, index))
        value = (tw_kv_value){.type = TW_KV_INTEGER, .integer = lua_tointeger(L, index)};
      else value = (tw_kv_value){.type = TW_KV_NUMBER, .number = lua_tonumber(L, index)};
      break;
    case LUA_TSTRING:
      value.type = TW_KV_STRING;
      value.text = lua_tolstring(L, index, &value.len);
      break;
    default:
      tw_lua_misuse(L, "shared: 'value' must be nil, a boolean, a number or a string, not %s",
                    tw_lua_describe(L, index));
  }
  return value;
}

/* ------------------------------------------------------------------ methods */

static void push_text(lua_State *L, tw_lua *lua, tw_kv_value *value) {
  tw_buffer *scratch = tw_lua_scratch(L, lua);
  bool fits = tw_buffer_append(scratch, value->text, value->len);
  tw_free((char *)value->text);
  if (!fits) luaL_error(L, "out of memory");
  lua_pushlstring(L, scratch->data, value->len);
}

static void push_value(lua_State *L, tw_lua *lua, tw_kv_value *value) {
  switch (value->type) {
    case TW_KV_NIL: lua_pushnil(L); return;
    case TW_KV_BOOLEAN: lua_pushboolean(L, value->boolean); return;
    case TW_KV_INTEGER: lua_pushinteger(L, value->integer); return;
    case TW_KV_NUMBER: lua_pushnumber(L, value->number); return;
    case TW_KV_STRING: push_text(L, lua, value); return;
  }
}

/* store:get(key) -> value or nil */
static int get(lua_State *L) {
  tw_lua *lua = tw_lua_self(L);
  tw_kv *store = check_store(L);
  size_t len;
  const char *key = check_key(L, &len);
  tw_kv_value value;
  tw_error error = {0};
  tw_lua_scratch(L, lua); /* raises when the state is being closed, before there is a copy */
  if (tw_kv_get(store, key, len, tw_lua_steady(lua), &value, &error))
    return tw_lua_fail(L, &error);
  push_value(L, lua, &value);
  return 1;
}

/* store:set(key, value, [ttl]) */
static int set(lua_State *L) {
  lua_settop(L, 4);
  tw_kv *store = check_store(L);
  size_t len;
  const char *key = check_key(L, &len);
  tw_kv_value value = check_value(L, 3);
  int64_t ttl = check_ttl(L, 4);
  tw_error error = {0};
  tw_status status =
      tw_kv_set(store, key, len, &value, ttl, tw_lua_steady(tw_lua_self(L)), &error);
  return status ? tw_lua_fail(L, &error) : (lua_pushboolean(L, 1), 1);
}

/* store:incr(key, [by], [ttl]) -> the sum */
static int incr(lua_State *L) {
  tw_lua *lua = tw_lua_self(L);
  lua_settop(L, 4);
  tw_kv *store = check_store(L);
  size_t len;
  const char *key = check_key(L, &len);
  tw_kv_value by = {.type = TW_KV_INTEGER, .integer = 1};
  if (!lua_isnil(L, 3)) by = check_value(L, 3);
  if (by.type != TW_KV_INTEGER && by.type != TW_KV_NUMBER)
    tw_lua_misuse(L, "shared: 'by' must be a number, not %s", tw_lua_describe(L, 3));
  int64_t ttl = check_ttl(L, 4);
  tw_error error = {0};
  if (tw_kv_incr(store, key, len, &by, ttl, tw_lua_steady(lua), &error))
    return tw_lua_fail(L, &error);
  push_value(L, lua, &by);
  return 1;
}

/* store:delete(key) -> whether it was there */
static int delete (lua_State *L) {
  tw_kv *store = check_store(L);
  size_t len;
  const char *key = check_key(L, &len);
  lua_pushboolean(L, tw_kv_delete(store, key, len, tw_lua_steady(tw_lua_self(L))));
  return 1;
}

/* store:ttl(key) -> seconds, math.huge, or nil; store:ttl(key, seconds) -> whether it was there
 */
static int ttl(lua_State *L) {
  tw_kv *store = check_store(L);
  size_t len;
  const char *key = check_key(L, &len);
  int64_t now = tw_lua_steady(tw_lua_self(L));
  if (!lua_isnoneornil(L, 3)) {
    lua_pushboolean(L, tw_kv_expire(store, key, len, check_ttl(L, 3), now));
    return 1;
  }
  int64_t left = tw_kv_ttl(store, key, len, now);
  if (left == TW_KV_FOREVER) lua_pushnumber(L, HUGE_VAL);
  else if (left < 0) lua_pushnil(L);
  else lua_pushnumber(L, (lua_Number)left / 1e6);
  return 1;
}

/* store:count() */
static int count(lua_State *L) {
  size_t entries = tw_kv_count(check_store(L), tw_lua_steady(tw_lua_self(L)));
  lua_pushinteger(L, (lua_Integer)entries);
  return 1;
}

/* open_shared(name, max_entries, max_bytes); 0 is the default */
static int open_shared(lua_State *L) {
  const char *name = luaL_checkstring(L, 1);
  tw_kv_bounds bounds = {(size_t)luaL_optinteger(L, 2, 0), (size_t)luaL_optinteger(L, 3, 0)};
  box *self = lua_newuserdatauv(L, sizeof *self, 0);
  self->store = NULL;
  luaL_setmetatable(L, "tidewire.shared");
  tw_error error = {0};
  if (tw_kv_open(name, &bounds, &self->store, &error)) return tw_lua_fail(L, &error);
  return 1;
}

void tw_open_shared(lua_State *L, tw_lua *lua) {
  static const luaL_Reg methods[] = {{"get", get},       {"set", set}, {"incr", incr},
                                     {"delete", delete}, {"ttl", ttl}, {"count", count},
                                     {NULL, NULL}};
  static const luaL_Reg functions[] = {{"open_shared", open_shared}, {NULL, NULL}};
  tw_lua_setfuncs(L, lua, functions);
  luaL_newmetatable(L, "tidewire.shared");
  lua_pushcfunction(L, box_gc);
  lua_setfield(L, -2, "__gc");
  lua_pushboolean(L, 0); /* scripts do not get at it */
  lua_setfield(L, -2, "__metatable");
  lua_newtable(L);
  tw_lua_setfuncs(L, lua, methods);
  lua_setfield(L, -2, "__index");
  lua_pop(L, 1);
}
