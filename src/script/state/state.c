/// state.c: the tw_lua of a Lua state, its marks, and errors with a position.
///
/// The tw_lua is a userdata in the registry under the address of a static. It is zeroed,
/// hence closed, before its metatable is set, so that its __gc is safe at any time. After
/// __gc its memory stays until all finalizers of the state have run: what they call finds
/// a state without bindings.
#include "script/state/state.h"

#include "script/state/acks.h"
#include "script/state/answer.h"
#include "script/state/message.h"
#include "script/value/view.h"

static const char state_key = 0;

/* A scratch buffer beyond this is given back after use. */
enum { SCRATCH_KEPT = 1 << 20 };

void tw_lua_disown(tw_owner *owner) {
  if (!owner->next) return;
  owner->close(owner);
  owner->prev->next = owner->next;
  owner->next->prev = owner->prev;
  owner->prev = owner->next = NULL;
}

static int state_gc(lua_State *L) {
  tw_lua *lua = lua_touserdata(L, 1);
  lua->L = NULL;
  while (lua->owners.next && lua->owners.next != &lua->owners) tw_lua_disown(lua->owners.next);
  memset(lua->bound, 0, sizeof lua->bound);
  tw_buffer_fini(&lua->scratch);
  tw_acks_close(lua);
  return 0;
}

static lua_State *main_thread(lua_State *L) {
  lua_rawgeti(L, LUA_REGISTRYINDEX, LUA_RIDX_MAINTHREAD);
  lua_State *main = lua_tothread(L, -1);
  lua_pop(L, 1);
  return main;
}

static int drop_tostring(lua_State *L) {
  lua_pushliteral(L, "tidewire.drop() was called outside of a processor");
  return 1;
}

static void make_marks(lua_State *L, tw_lua *lua) {
  tw_view_setup(L, lua);
  tw_answer_setup(L, lua);
  tw_lua_new_mark(L, lua, TW_MARK_ARRAY, "tidewire.array");
  tw_lua_new_mark(L, lua, TW_MARK_SPLIT, "tidewire.split");
  tw_lua_new_mark(L, lua, TW_MARK_BREAKER, "breaker");
  tw_lua_new_mark(L, lua, TW_MARK_DROP, "tidewire.drop");
  lua_pushcfunction(L, drop_tostring);
  lua_setfield(L, -2, "__tostring");
  lua_pop(L, 4);
}

tw_lua *tw_lua_new(lua_State *L, bool light) {
  luaL_checkstack(L, 8, NULL);
  lua_rawgetp(L, LUA_REGISTRYINDEX, &state_key);
  tw_lua *lua = lua_touserdata(L, -1);
  lua_pop(L, 1);
  if (lua) return lua;
  lua = lua_newuserdatauv(L, sizeof *lua, 0);
  *lua = (tw_lua){.light = light && sizeof(void *) == 8,
                  .clock = tw_clock_real,
                  .due = INT64_MAX,
                  .hooks = LUA_NOREF};
  lua->owners.prev = lua->owners.next = &lua->owners;
  lua->serial = (uint64_t)1 << 47; /* so that light views are no addresses: see view.c */
  lua->limits = (tw_limits){TW_MAX_DEPTH, TW_MAX_EVENT};
  lua_createtable(L, 0, 1); /* self, meta */
  lua_pushcfunction(L, state_gc);
  lua_setfield(L, -2, "__gc");
  lua_setmetatable(L, -2); /* self */
  make_marks(L, lua);
  lua_newtable(L);
  lua->roots = luaL_ref(L, LUA_REGISTRYINDEX);
  lua->L = main_thread(L);
  if (light) *(tw_lua **)lua_getextraspace(lua->L) = lua; /* new coroutines copy it */
  lua_rawsetp(L, LUA_REGISTRYINDEX, &state_key);
  return lua;
}

/* The metatable is kept under its own address, which is also what it is known by. */
void tw_lua_new_mark(lua_State *L, tw_lua *lua, tw_mark mark, const char *name) {
  lua_newtable(L);
  lua_pushstring(L, name);
  lua_setfield(L, -2, "__name");
  lua_pushboolean(L, 0); /* scripts do not get at it */
  lua_setfield(L, -2, "__metatable");
  const void *address = lua_topointer(L, -1);
  lua_pushvalue(L, -1);
  lua_rawsetp(L, LUA_REGISTRYINDEX, address);
  lua->marks[mark] = address;
}

void tw_lua_push_mark(lua_State *L, const tw_lua *lua, tw_mark mark) {
  lua_rawgetp(L, LUA_REGISTRYINDEX, lua->marks[mark]);
}

bool tw_lua_has_mark(lua_State *L, const tw_lua *lua, int index, tw_mark mark) {
  if (!lua_getmetatable(L, index)) return false;
  bool same = lua_topointer(L, -1) == lua->marks[mark];
  lua_pop(L, 1);
  return same;
}

static void check_open(lua_State *L, const tw_lua *lua) {
  if (!lua->L) tw_lua_raise(L, "events cannot be used while the Lua state is being closed");
}

void tw_lua_own(lua_State *L, tw_lua *lua, tw_owner *owner, void (*close)(tw_owner *self)) {
  check_open(L, lua);
  *owner = (tw_owner){lua->owners.prev, &lua->owners, close};
  owner->prev->next = owner->next->prev = owner;
}

tw_buffer *tw_lua_scratch(lua_State *L, tw_lua *lua) {
  check_open(L, lua);
  if (lua->scratch.cap > SCRATCH_KEPT) tw_buffer_fini(&lua->scratch);
  lua->scratch.len = 0;
  return &lua->scratch;
}

int tw_lua_raise(lua_State *L, const char *format, ...) {
  luaL_checkstack(L, 8, NULL);
  tw_lua_push_where(L);
  va_list args;
  va_start(args, format);
  lua_pushvfstring(L, format, args);
  va_end(args);
  lua_concat(L, 2);
  return lua_error(L);
}

int tw_lua_fail(lua_State *L, const tw_error *error) {
  lua_pushnil(L);
  lua_pushstring(L, error->message);
  lua_pushstring(L, tw_status_name(error->code));
  return 3;
}
