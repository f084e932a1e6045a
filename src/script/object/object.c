/* The classes of C objects, and their metatables.

   An object belongs to a class when it has that very metatable, which the gate keeps: nothing
   that a script can put together passes for one. `__metatable` hides it from scripts.

   A class has its methods and its finalizer from C. Its parts go to the Lua library as
   `core.CLASS`, which adds methods and getters to them while it loads; a field is a method,
   or else what a getter gives. When it has loaded, the metatable is taken out of them: scripts
   can get at `core`. */
#include "script/object/object.h"

#include "script/state/message.h"
#include "script/value/value.h"
#include "script/value/view.h"

static const char *const class_names[] = {"router",    "tracker", "backend",
                                          "processor", "context", "locator"};

static bool has_holds(tw_class class_) {
  return class_ == TW_CLASS_ROUTER || class_ == TW_CLASS_TRACKER;
}

void tw_class_push(lua_State *L, tw_lua *lua, tw_class class_) {
  lua_rawgeti(L, LUA_REGISTRYINDEX, lua->gate->classes);
  lua_rawgeti(L, -1, (lua_Integer)class_ + 1);
  lua_replace(L, -2);
}

static void set_table(lua_State *L, const char *field) {
  lua_newtable(L);
  lua_setfield(L, -2, field);
}

/* The metatable comes last: a handle that is finalized before it was opened is all zero. */
tw_handle *tw_handle_new(lua_State *L, tw_lua *lua, tw_class class_) {
  tw_handle *handle = lua_newuserdatauv(L, sizeof *handle, has_holds(class_) ? 1 : 0);
  *handle = (tw_handle){0};
  if (has_holds(class_)) {
    lua_newtable(L);
    set_table(L, "backends");
    set_table(L, "processors");
    lua_setiuservalue(L, -2, 1);
  }
  tw_class_push(L, lua, class_);
  lua_setmetatable(L, -2);
  return handle;
}

static tw_handle *handle_of(lua_State *L, tw_lua *lua, int index, tw_class class_) {
  tw_handle *handle = lua_type(L, index) == LUA_TUSERDATA ? lua_touserdata(L, index) : NULL;
  if (!handle || !lua_getmetatable(L, index)) return NULL;
  tw_class_push(L, lua, class_);
  bool same = lua_rawequal(L, -1, -2);
  lua_pop(L, 2);
  return same ? handle : NULL;
}

/* One that was finalized can still be met: finalizers run in any order. */
static bool is_live(const tw_handle *handle) {
  return handle->router || handle->tracker || handle->backend || handle->processor ||
         handle->context || handle->locator;
}

tw_handle *tw_handle_test(lua_State *L, tw_lua *lua, int index, tw_class class_) {
  tw_handle *handle = handle_of(L, lua, index, class_);
  return handle && is_live(handle) ? handle : NULL;
}

tw_handle *tw_handle_check(lua_State *L, tw_lua *lua, int index, tw_class class_,
                           const char *name) {
  tw_handle *handle = tw_handle_test(L, lua, index, class_);
  if (handle) return handle;
  if (handle_of(L, lua, index, class_)) tw_lua_misuse(L, "%s is closed", name);
  tw_lua_misuse(L, "%s must be a %s, not %s", name, class_names[class_],
                tw_lua_describe(L, index));
  return NULL;
}

tw_handle *tw_handle_check_tree(lua_State *L, tw_lua *lua, int index) {
  tw_handle *handle = tw_handle_test(L, lua, index, TW_CLASS_TRACKER);
  if (handle) return handle;
  if (handle_of(L, lua, index, TW_CLASS_TRACKER)) tw_lua_misuse(L, "self is closed");
  return tw_handle_check(L, lua, index, TW_CLASS_ROUTER, "self");
}

/* A field is a method, or what the getter of that name gives. */
static int index_object(lua_State *L) {
  lua_pushvalue(L, 2);
  if (lua_rawget(L, lua_upvalueindex(2)) != LUA_TNIL) return 1;
  lua_pushvalue(L, 2);
  if (lua_rawget(L, lua_upvalueindex(3)) == LUA_TNIL) return 1;
  lua_pushvalue(L, 1);
  lua_call(L, 1, 1);
  return 1;
}

/* The closure's first upvalue is the tw_lua, as for all of our functions. */
static void push_index(lua_State *L, tw_lua *lua, int parts) {
  lua_pushlightuserdata(L, lua);
  lua_getfield(L, parts, "methods");
  lua_getfield(L, parts, "getters");
  lua_pushcclosure(L, index_object, 3);
}

static void fill_metatable(lua_State *L, tw_lua *lua, tw_class class_, int parts,
                           lua_CFunction finalize) {
  push_index(L, lua, parts);
  lua_setfield(L, -2, "__index");
  lua_pushfstring(L, "tidewire.%s", class_names[class_]);
  lua_setfield(L, -2, "__name");
  lua_pushboolean(L, 0);
  lua_setfield(L, -2, "__metatable");
  tw_lua_pushfunction(L, lua, finalize);
  lua_setfield(L, -2, "__gc");
}

void tw_class_setup(lua_State *L, tw_lua *lua, tw_class class_, const luaL_Reg *methods,
                    lua_CFunction finalize) {
  lua_createtable(L, 0, 3);
  int parts = lua_gettop(L);
  lua_newtable(L);
  tw_lua_setfuncs(L, lua, methods);
  lua_setfield(L, parts, "methods");
  set_table(L, "getters");
  lua_newtable(L); /* parts, metatable */
  fill_metatable(L, lua, class_, parts, finalize);
  lua_rawgeti(L, LUA_REGISTRYINDEX, lua->gate->classes);
  lua_pushvalue(L, -2);
  lua_rawseti(L, -2, (lua_Integer)class_ + 1);
  lua_pop(L, 1);
  lua_setfield(L, parts, "meta");
  lua_setfield(L, parts - 1, class_names[class_]);
}

void tw_class_seal(lua_State *L, int core) {
  for (size_t i = 0; i < sizeof class_names / sizeof *class_names; i++) {
    lua_getfield(L, core, class_names[i]);
    lua_pushnil(L);
    lua_setfield(L, -2, "meta");
    lua_pop(L, 1);
  }
}

/* ------------------------------------------------------------------- JSON */

/* Without a value the text is a literal and not the scratch buffer's. */
const char *tw_lua_check_json(lua_State *L, tw_lua *lua, int index, const char *name,
                              size_t *len) {
  *len = 2;
  if (lua_isnoneornil(L, index)) return "{}";
  if (!lua_istable(L, index) && !tw_view_is(L, lua, index))
    tw_lua_misuse(L, "%s must be a table, not %s", name, tw_lua_describe(L, index));
  tw_view_get(L, lua, index, &(tw_ref){0}); /* raises when the event has ended */
  tw_error error = {0};
  tw_buffer *text = tw_lua_scratch(L, lua);
  if (tw_value_write(L, lua, index, name, text, &error)) tw_lua_misuse(L, "%s", error.message);
  if (text->data[0] != '{') tw_lua_misuse(L, "%s must be an object, not a list", name);
  *len = text->len;
  return text->data;
}

const char *tw_lua_check_name(lua_State *L, int index) {
  if (lua_type(L, index) != LUA_TSTRING)
    tw_lua_misuse(L, "name must be a string, not %s", tw_lua_describe(L, index));
  size_t len;
  const char *name = lua_tolstring(L, index, &len);
  const char *odd = memchr(name, '\0', len);
  if (odd)
    tw_lua_misuse(L, "name must not hold a NUL, but byte %d is one", (int)(odd - name) + 1);
  return name;
}

tw_buffer tw_lua_take_scratch(tw_lua *lua) {
  tw_buffer scratch = lua->scratch;
  lua->scratch = (tw_buffer){0};
  return scratch;
}

/* A callback may have made another one meanwhile; one is enough. */
void tw_lua_give_scratch(tw_lua *lua, tw_buffer *scratch) {
  if (lua->scratch.data) tw_buffer_fini(scratch);
  else lua->scratch = *scratch;
}

/* By way of an event that Lua owns, so that nothing is leaked when making the table raises. */
void tw_lua_push_json(lua_State *L, tw_lua *lua, const char *text, size_t len) {
  tw_error error = {0};
  if (tw_view_push_json(L, lua, text, len, true, &error)) tw_lua_misuse(L, "%s", error.message);
  tw_ref root;
  const tw_event *owned = tw_view_get(L, lua, -1, &root);
  tw_value_push_table(L, lua, owned, root);
  lua_remove(L, -2);
}
