/* With metamethods that are functions of C, or without any, each of these can go on for ever
   without an instruction that a hook would count: a length that is told too long, a range up
   to math.maxinteger. So the loops are here, and count what they do. */
#include "script/sandbox/table_lib.h"

#include <limits.h>

#include "script/state/guard.h"

enum {
  OFTEN = 1024, /* elements between two looks */
  LONG = 4096   /* a text of which two are slow to compare */
};

/* One element may take long: a metamethod in C such as `next` goes through a whole table. */
static inline void step(lua_State *L, lua_Integer i) {
  tw_guard *guard = tw_lua_self(L)->guard;
  if ((i & (OFTEN - 1)) == 0) tw_guard_step(guard, L, OFTEN);
  else tw_guard_look(guard, L);
}

/* A table, or anything with the metamethods that `needs` names. */
static void check_table(lua_State *L, int index, const char *const *needs) {
  if (lua_istable(L, index)) return;
  bool fits = lua_getmetatable(L, index);
  for (int i = 0; fits && needs[i]; i++) {
    lua_pushstring(L, needs[i]);
    fits = lua_rawget(L, -2) != LUA_TNIL;
    lua_pop(L, 1);
  }
  if (!fits) luaL_checktype(L, index, LUA_TTABLE);
  lua_pop(L, 1);
}

static const char *const read_write[] = {"__index", "__newindex", "__len", NULL};
static const char *const read_only[] = {"__index", "__len", NULL};

/* ---------------------------------------------------------- insert, remove */

static int insert(lua_State *L) {
  check_table(L, 1, read_write);
  lua_Integer next = (lua_Integer)((lua_Unsigned)luaL_len(L, 1) + 1), place = next;
  switch (lua_gettop(L)) {
    case 2: break;
    case 3:
      place = luaL_checkinteger(L, 2);
      luaL_argcheck(L, (lua_Unsigned)place - 1u < (lua_Unsigned)next, 2,
                    "position out of bounds");
      for (lua_Integer i = next; i > place; i--) {
        step(L, i);
        lua_geti(L, 1, i - 1);
        lua_seti(L, 1, i);
      }
      break;
    default: return luaL_error(L, "wrong number of arguments to 'insert'");
  }
  lua_seti(L, 1, place);
  return 0;
}

static int take_out(lua_State *L) {
  check_table(L, 1, read_write);
  lua_Integer size = luaL_len(L, 1);
  lua_Integer place = luaL_optinteger(L, 2, size);
  if (place != size)
    luaL_argcheck(L, (lua_Unsigned)place - 1u <= (lua_Unsigned)size, 2,
                  "position out of bounds");
  lua_geti(L, 1, place);
  for (; place < size; place++) {
    step(L, place);
    lua_geti(L, 1, place + 1);
    lua_seti(L, 1, place);
  }
  lua_pushnil(L);
  lua_seti(L, 1, place);
  return 1;
}

/* ------------------------------------------------------------ move, concat */

static int move(lua_State *L) {
  static const char *const reads[] = {"__index", NULL}, *const writes[] = {"__newindex", NULL};
  lua_Integer from = luaL_checkinteger(L, 2), end = luaL_checkinteger(L, 3);
  lua_Integer to = luaL_checkinteger(L, 4);
  int target = lua_isnoneornil(L, 5) ? 1 : 5;
  check_table(L, 1, reads);
  check_table(L, target, writes);
  lua_settop(L, 5);
  if (end >= from) {
    luaL_argcheck(L, from > 0 || end < LUA_MAXINTEGER + from, 3, "too many elements to move");
    lua_Integer count = end - from + 1;
    luaL_argcheck(L, to <= LUA_MAXINTEGER - count + 1, 4, "destination wrap around");
    bool down = to > end || to <= from || (target != 1 && !lua_compare(L, 1, target, LUA_OPEQ));
    for (lua_Integer n = 0; n < count; n++) {
      lua_Integer i = down ? n : count - 1 - n;
      step(L, n);
      lua_geti(L, 1, from + i);
      lua_seti(L, target, to + i);
    }
  }
  lua_pushvalue(L, target);
  return 1;
}

static void add_element(lua_State *L, luaL_Buffer *out, lua_Integer i) {
  step(L, i);
  lua_geti(L, 1, i);
  if (!lua_isstring(L, -1))
    luaL_error(L, "invalid value (at index %I) in table for 'concat'", (LUAI_UACINT)i);
  luaL_addvalue(out);
}

static int concat(lua_State *L) {
  luaL_Buffer out;
  check_table(L, 1, read_only);
  lua_Integer end = luaL_len(L, 1);
  size_t len;
  const char *separator = luaL_optlstring(L, 2, "", &len);
  lua_Integer i = luaL_optinteger(L, 3, 1);
  end = luaL_optinteger(L, 4, end);
  luaL_buffinit(L, &out);
  for (; i < end; i++) {
    add_element(L, &out, i);
    luaL_addlstring(&out, separator, len);
  }
  if (i == end) add_element(L, &out, i);
  luaL_pushresult(&out);
  return 1;
}

/* ----------------------------------------------------------------- unpack */

static int unpack(lua_State *L) {
  lua_Integer i = luaL_optinteger(L, 2, 1);
  lua_Integer end = luaL_opt(L, luaL_checkinteger, 3, luaL_len(L, 1));
  if (i > end) return 0;
  lua_Unsigned count = (lua_Unsigned)end - (lua_Unsigned)i;
  if (count >= INT_MAX || !lua_checkstack(L, (int)++count))
    return luaL_error(L, "too many results to unpack");
  for (lua_Unsigned n = 0; n < count; n++) {
    step(L, (lua_Integer)n);
    lua_geti(L, 1, (lua_Integer)((lua_Unsigned)i + n));
  }
  return (int)count;
}

/* ------------------------------------------------------------------- sort */

/* Two texts are compared to the end of what they have in common. */
static void charge(lua_State *L) {
  if (lua_type(L, 1) != LUA_TSTRING || lua_type(L, 2) != LUA_TSTRING) return;
  size_t len = lua_rawlen(L, 1);
  if (len >= LONG) tw_guard_charge(tw_lua_self(L)->guard, L, len);
}

/* Upvalues: the tw_lua, the script's function or nil, how often it was called. */
static int compare(lua_State *L) {
  lua_Integer calls = lua_tointeger(L, lua_upvalueindex(3)) + 1;
  lua_pushinteger(L, calls);
  lua_replace(L, lua_upvalueindex(3));
  step(L, calls);
  if (lua_isnil(L, lua_upvalueindex(2))) {
    charge(L);
    lua_pushboolean(L, lua_compare(L, 1, 2, LUA_OPLT));
    return 1;
  }
  lua_pushvalue(L, lua_upvalueindex(2));
  lua_insert(L, 1);
  lua_call(L, 2, 1);
  return 1;
}

static bool has_long_text(lua_State *L, lua_Integer count) {
  bool found = false;
  for (lua_Integer i = 1; i <= count && !found; i++) {
    found = lua_rawgeti(L, 1, i) == LUA_TSTRING && lua_rawlen(L, -1) >= LONG;
    lua_pop(L, 1);
  }
  return found;
}

/* Lua's own sort does the work, and calls a comparison of ours that counts, but where that is
   not needed: few elements end soon; a function of Lua is seen by hooks. */
static bool is_harmless(lua_State *L) {
  enum { FEW = 1000 };
  if (lua_isfunction(L, 2) && !lua_iscfunction(L, 2)) return true;
  if (!lua_istable(L, 1) || lua_getmetatable(L, 1)) return false;
  lua_Unsigned count = lua_rawlen(L, 1);
  return count <= FEW && !has_long_text(L, (lua_Integer)count);
}

/* Upvalues: the tw_lua, Lua's own. */
static int sort(lua_State *L) {
  lua_settop(L, 2);
  if (!lua_isnil(L, 2)) luaL_checktype(L, 2, LUA_TFUNCTION);
  if (!is_harmless(L)) {
    lua_settop(L, 2);
    lua_pushlightuserdata(L, tw_lua_self(L));
    lua_insert(L, 2);
    lua_pushinteger(L, 0);
    lua_pushcclosure(L, compare, 3); /* table, compare */
  }
  lua_settop(L, 2);
  lua_pushvalue(L, lua_upvalueindex(2));
  lua_insert(L, 1);
  lua_call(L, 2, 0);
  return 0;
}

void tw_table_open(lua_State *L, tw_lua *lua) {
  static const luaL_Reg functions[] = {{"insert", insert}, {"remove", take_out}, {"move", move},
                                       {"concat", concat}, {"unpack", unpack},   {NULL, NULL}};
  tw_lua_setfuncs(L, lua, functions);
  lua_pushlightuserdata(L, lua);
  lua_getfield(L, -2, "sort");
  lua_pushcclosure(L, sort, 2);
  lua_setfield(L, -2, "sort");
}
