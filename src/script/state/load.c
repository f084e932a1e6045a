/* Lua's compiler calls nothing but its reader, and may take long: each name is looked for in
   all scopes around it. So the reader hands out small pieces and tells the guard of each; what
   it raises ends the compiler. */
#include "script/state/load.h"

enum {
  PIECE = 512,       /* bytes */
  PIECE_STEPS = 500, /* instructions that compiling one takes as long as */
  RESERVED = 5 /* the stack's slot of the text that a function gave: load has 4 arguments */
};

typedef struct reading {
  tw_guard *guard;
  const char *text; /* that is left */
  size_t len;
  bool is_function; /* more comes from the function at index 1 */
} reading;

static void pull(lua_State *L, reading *from) {
  luaL_checkstack(L, 2, "too many nested functions");
  lua_pushvalue(L, 1);
  lua_call(L, 0, 1);
  if (lua_isnil(L, -1)) {
    lua_pop(L, 1);
    return;
  }
  if (!lua_isstring(L, -1)) luaL_error(L, "reader function must return a string");
  lua_replace(L, RESERVED);
  from->text = lua_tolstring(L, RESERVED, &from->len);
}

static const char *read(lua_State *L, void *self, size_t *size) {
  reading *from = self;
  tw_guard_step(from->guard, L, PIECE_STEPS);
  if (!from->len && from->is_function) pull(L, from);
  const char *text = from->text;
  *size = from->len < PIECE ? from->len : PIECE;
  if (!*size) return NULL;
  from->text += *size;
  from->len -= *size;
  return text;
}

int tw_load_text(lua_State *L, tw_guard *guard, const char *text, size_t len, const char *name,
                 const char *mode) {
  reading from = {guard, text, len, false};
  return lua_load(L, read, &from, name, mode);
}

/* Upvalues: the tw_lua, whether it takes bytecode. */
static int load(lua_State *L) {
  tw_guard *guard = tw_lua_self(L)->guard;
  bool any = lua_toboolean(L, lua_upvalueindex(2));
  bool has_env = !lua_isnone(L, 4);
  const char *mode = any ? luaL_optstring(L, 3, "bt") : "t";
  reading from = {.guard = guard, .is_function = !lua_isstring(L, 1)};
  if (from.is_function) luaL_checktype(L, 1, LUA_TFUNCTION);
  else from.text = lua_tolstring(L, 1, &from.len);
  const char *name = luaL_optstring(L, 2, from.is_function ? "=(load)" : from.text);
  lua_settop(L, RESERVED);
  int status = lua_load(L, read, &from, name, mode);
  tw_guard_check(guard, L);
  if (status != LUA_OK) {
    lua_pushnil(L);
    lua_insert(L, -2);
    return 2;
  }
  if (has_env) {
    lua_pushvalue(L, 4);
    if (!lua_setupvalue(L, -2, 1)) lua_pop(L, 1);
  }
  return 1;
}

void tw_load_open(lua_State *L, tw_lua *lua, bool bytecode) {
  lua_pushlightuserdata(L, lua);
  lua_pushboolean(L, bytecode);
  lua_pushcclosure(L, load, 2);
  lua_setfield(L, -2, "load");
}
