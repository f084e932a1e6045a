/* lua-cjson ends the process when its buffer cannot grow, overflows the C stack when its
   depth is set high, and loses its buffer when Lua has no memory for what it decodes. So what
   it is given is looked at first: how much text a value becomes, how much memory a text may
   need, and how long both take, for nothing stops one call. Its configuration stays within
   what is safe. */
#include "script/sandbox/cjson_guard.h"

#include "script/state/guard.h"
#include "script/state/message.h"

/* Linked into the command and the library, but not into the module for Lua programs, where
   `require` finds cjson as any other module. */
extern int luaopen_cjson(lua_State *L) __attribute__((weak));

enum {
  MOST_TEXT = 32 << 20, /* that a value becomes */
  MOST_DEPTH = 200,     /* of its tables */
  MOST_RATIO = 10,      /* of an array's length to its elements */
  MOST_GAPS = 1000,     /* of a short array's length */
  EACH_BYTE = 40,       /* that a byte of text may take: `[],[],` is the worst */
  DECODE_NS = 60,       /* for a byte, at worst: the same */
  ENCODE_NS = 400,      /* for a value: a number is the worst */
  BYTE_NS = 4,          /* for a byte of a string, or of a gap */
  LONG_NS = 1 << 18,    /* what is shorter is not looked at */
  OFTEN = 1024
};

/* ----------------------------------------------------------------- encode */

typedef struct weighing {
  tw_guard *guard;
  size_t bytes; /* at most, so far */
  size_t plain; /* of them: in strings and gaps */
  unsigned values;
} weighing;

static void weigh(lua_State *L, weighing *w, int index, int depth);

/* What is missing in an array is written as `null,`. */
static size_t gaps(lua_Number length, size_t elements) {
  lua_Number most = (lua_Number)(elements * MOST_RATIO + MOST_GAPS);
  return (size_t)(length < most ? length : most) * 5;
}

static void add_plain(weighing *w, size_t bytes) {
  w->bytes += bytes;
  w->plain += bytes;
}

static void weigh_table(lua_State *L, weighing *w, int index, int depth) {
  lua_Number length = 0;
  size_t elements = 0;
  if (depth >= MOST_DEPTH)
    luaL_error(L, "cjson.encode: tables nest deeper than %d", MOST_DEPTH);
  luaL_checkstack(L, 4, NULL);
  w->bytes += 2;
  for (lua_pushnil(L); lua_next(L, index); lua_pop(L, 1)) {
    weigh(L, w, lua_absindex(L, -2), depth + 1);
    weigh(L, w, lua_absindex(L, -1), depth + 1);
    elements++;
    if (lua_type(L, -2) == LUA_TNUMBER && lua_tonumber(L, -2) > length)
      length = lua_tonumber(L, -2);
  }
  if (length > (lua_Number)elements) add_plain(w, gaps(length, elements));
}

static void weigh(lua_State *L, weighing *w, int index, int depth) {
  if (++w->values % OFTEN == 0) tw_guard_step(w->guard, L, OFTEN);
  w->bytes += 32;
  if (lua_type(L, index) == LUA_TSTRING) add_plain(w, 6 * lua_rawlen(L, index));
  else if (lua_istable(L, index)) weigh_table(L, w, index, depth);
  if (w->bytes > MOST_TEXT) luaL_error(L, "cjson.encode: the text would be too long");
}

/* Raises when the limits do not allow for so long a call. */
static void charge(lua_State *L, tw_guard *guard, size_t ns) {
  if (ns >= LONG_NS) tw_guard_charge(guard, L, ns);
}

/* Upvalues: the tw_lua, lua-cjson's. */
static int encode(lua_State *L) {
  weighing w = {.guard = tw_lua_self(L)->guard};
  luaL_argcheck(L, lua_gettop(L) == 1, 1, "expected 1 argument");
  weigh(L, &w, 1, 0);
  charge(L, w.guard, w.values * (size_t)ENCODE_NS + w.plain / 6 * BYTE_NS);
  lua_pushvalue(L, lua_upvalueindex(2));
  lua_insert(L, 1);
  lua_call(L, 1, 1);
  return 1;
}

/* ----------------------------------------------------------------- decode */

static bool has_room(const tw_guard *guard, size_t len) {
  size_t needed = len * EACH_BYTE;
  return guard->used <= guard->memory && guard->memory - guard->used >= needed;
}

static int decode(lua_State *L) {
  tw_guard *guard = tw_lua_self(L)->guard;
  size_t len;
  luaL_argcheck(L, lua_gettop(L) == 1, 1, "expected 1 argument");
  luaL_checklstring(L, 1, &len);
  if (guard && !has_room(guard, len)) {
    lua_gc(L, LUA_GCCOLLECT);
    if (!has_room(guard, len))
      return luaL_error(L, "cjson.decode: not enough memory for a text of this length");
  }
  charge(L, guard, len * DECODE_NS);
  lua_pushvalue(L, lua_upvalueindex(2));
  lua_insert(L, 1);
  lua_call(L, 1, 1);
  return 1;
}

static int set_depth(lua_State *L) {
  lua_Integer depth = luaL_optinteger(L, 1, 1);
  luaL_argcheck(L, depth >= 1 && depth <= 1000, 1, "expected integer between 1 and 1000");
  lua_pushvalue(L, lua_upvalueindex(2));
  lua_insert(L, 1);
  lua_call(L, lua_gettop(L) - 1, LUA_MULTRET);
  return lua_gettop(L);
}

/* With a ratio of 0 one element could be a thousand million places behind the others. */
static int set_sparse(lua_State *L) {
  lua_Integer ratio = luaL_optinteger(L, 2, 1), safe = luaL_optinteger(L, 3, 0);
  luaL_argcheck(L, ratio >= 1 && ratio <= MOST_RATIO, 2, "expected integer between 1 and 10");
  luaL_argcheck(L, safe >= 0 && safe <= MOST_GAPS, 3, "expected integer between 0 and 1000");
  lua_pushvalue(L, lua_upvalueindex(2));
  lua_insert(L, 1);
  lua_call(L, lua_gettop(L) - 1, LUA_MULTRET);
  return lua_gettop(L);
}

/* --------------------------------------------------------------- preload */

/* Wraps the function `name` of the table on top. */
static void wrap(lua_State *L, tw_lua *lua, const char *name, lua_CFunction with) {
  lua_pushlightuserdata(L, lua);
  lua_getfield(L, -2, name);
  lua_pushcclosure(L, with, 2);
  lua_setfield(L, -2, name);
}

static int open_cjson(lua_State *L) {
  tw_lua *lua = tw_lua_self(L);
  lua_pushcfunction(L, luaopen_cjson);
  lua_call(L, 0, 1);
  wrap(L, lua, "encode", encode);
  wrap(L, lua, "decode", decode);
  wrap(L, lua, "encode_max_depth", set_depth);
  wrap(L, lua, "decode_max_depth", set_depth);
  wrap(L, lua, "encode_sparse_array", set_sparse);
  static const char *const gone[] = {"new", "encode_keep_buffer", NULL};
  for (const char *const *name = gone; *name; name++) {
    lua_pushnil(L);
    lua_setfield(L, -2, *name);
  }
  return 1;
}

void tw_cjson_preload(lua_State *L, tw_lua *lua) {
  if (!luaopen_cjson) return;
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_PRELOAD_TABLE);
  tw_lua_pushfunction(L, lua, open_cjson);
  lua_setfield(L, -2, "cjson");
  lua_pop(L, 1);
}
