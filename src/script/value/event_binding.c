/// event_binding.c: the functions of the Lua module that make, read and write events.
///
/// Text that is wrong comes from the world: `nil, message, code`. A value that cannot be part
/// of an event is misuse: an error, which names its path.
#include "script/state/bindings.h"
#include "script/state/guard.h"
#include "script/state/message.h"
#include "script/state/priority.h"
#include "script/value/value.h"
#include "script/value/view.h"

/* Lua counts the bytes of a string from 1. */
static int fail_in_text(lua_State *L, tw_error *error) {
  if (error->position != TW_NO_POSITION)
    tw_error_prefix(error, "byte %zu: ", error->position + 1);
  return tw_lua_fail(L, error);
}

/* tidewire.event(json_or_table) -> view */
static int make_event(lua_State *L) {
  tw_lua *lua = tw_lua_self(L);
  tw_error error = {0};
  tw_ref ref;
  size_t len;
  tw_event *event = tw_view_get(L, lua, 1, &ref);
  if (event && ref == event->root && !tw_event_is_array(event, ref)) {
    return tw_view_push_copy(L, lua, event, &error) ? tw_lua_fail(L, &error) : 1;
  }
  if (lua_type(L, 1) == LUA_TSTRING) {
    const char *json = lua_tolstring(L, 1, &len);
    return tw_view_push_json(L, lua, json, len, true, &error) ? fail_in_text(L, &error) : 1;
  }
  if (!event && !lua_istable(L, 1)) return luaL_typeerror(L, 1, "JSON text or table");
  if (tw_view_push_made(L, lua, 1, "", &error)) return tw_lua_raise(L, "%s", error.message);
  return 1;
}

/* tidewire.decode(json) -> value */
static int decode(lua_State *L) {
  tw_lua *lua = tw_lua_self(L);
  size_t len;
  const char *json = luaL_checklstring(L, 1, &len);
  tw_error error = {0};
  return tw_view_push_json(L, lua, json, len, false, &error) ? fail_in_text(L, &error) : 1;
}

/* tidewire.encode(value) -> JSON text */
static int encode(lua_State *L) {
  tw_lua *lua = tw_lua_self(L);
  luaL_checkany(L, 1);
  tw_buffer *out = tw_lua_scratch(L, lua);
  tw_error error = {0};
  if (tw_value_write(L, lua, 1, "", out, &error)) {
    tw_guard_look(lua->guard, L); /* when its time is over, that is why */
    return tw_lua_raise(L, "%s", error.message);
  }
  lua_pushlstring(L, out->data, out->len);
  return 1;
}

/* tidewire.totable(view) -> table; a scalar is its own copy */
static int to_table(lua_State *L) {
  tw_lua *lua = tw_lua_self(L);
  tw_ref ref;
  const tw_event *event = tw_view_get(L, lua, 1, &ref);
  if (event) {
    tw_value_push_table(L, lua, event, ref);
    return 1;
  }
  bool null = lua_islightuserdata(L, 1) && !lua_touserdata(L, 1);
  luaL_checkany(L, 1);
  if (lua_type(L, 1) > LUA_TSTRING || (lua_islightuserdata(L, 1) && !null))
    return luaL_typeerror(L, 1, "event view or scalar");
  lua_settop(L, 1);
  return 1;
}

/* tidewire.array([table]) -> the table, which stays an array when it is empty */
static int mark_array(lua_State *L) {
  tw_lua *lua = tw_lua_self(L);
  if (lua_isnoneornil(L, 1)) {
    lua_settop(L, 0);
    lua_newtable(L);
  }
  luaL_checktype(L, 1, LUA_TTABLE);
  if (lua_getmetatable(L, 1) && !tw_lua_has_mark(L, lua, 1, TW_MARK_ARRAY))
    return luaL_argerror(L, 1, "a table without a metatable expected");
  lua_settop(L, 1);
  tw_lua_push_mark(L, lua, TW_MARK_ARRAY);
  lua_setmetatable(L, 1);
  return 1;
}

/* tidewire.drop(): never returns; the one value that it raises is its second upvalue */
static int drop(lua_State *L) {
  lua_pushvalue(L, lua_upvalueindex(2));
  return lua_error(L);
}

/* tidewire.split(event, …) -> a list for a processor to return */
static int split(lua_State *L) {
  tw_lua *lua = tw_lua_self(L);
  int count = lua_gettop(L);
  for (int i = 1; i <= count; i++)
    if (!lua_istable(L, i) && !tw_view_is(L, lua, i))
      return luaL_typeerror(L, i, "event or table");
  luaL_checkstack(L, 4, NULL);
  lua_createtable(L, count, 0);
  for (int i = 1; i <= count; i++) {
    lua_pushvalue(L, i);
    lua_rawseti(L, -2, i);
  }
  tw_lua_push_mark(L, lua, TW_MARK_SPLIT);
  lua_setmetatable(L, -2);
  return 1;
}

/* The event that the view at `index` is the whole of. */
static tw_event *check_event(lua_State *L, tw_lua *lua, int index) {
  tw_ref ref;
  tw_event *event = tw_view_get(L, lua, index, &ref);
  if (!event || ref != event->root)
    tw_lua_misuse(L, "event must be an event, not %s",
                  event ? "a part of one" : tw_lua_describe(L, index));
  return event;
}

/* tidewire.priority(event) -> "high", "normal" or "low" */
static int get_priority(lua_State *L) {
  const tw_event *event = check_event(L, tw_lua_self(L), 1);
  lua_pushstring(L, tw_priority_word(tw_event_priority(event)));
  return 1;
}

/* tidewire.set_priority(event, word) */
static int set_priority(lua_State *L) {
  tw_event *event = check_event(L, tw_lua_self(L), 1);
  tw_event_set_priority(event, tw_lua_check_priority(L, 2));
  return 0;
}

static int uuid7(lua_State *L) {
  char id[37];
  tw_uuid7(id);
  lua_pushstring(L, id);
  return 1;
}

static void set_drop(lua_State *L, tw_lua *lua) {
  lua_pushlightuserdata(L, lua);
  lua_newuserdatauv(L, 0, 0);
  tw_lua_push_mark(L, lua, TW_MARK_DROP);
  lua_setmetatable(L, -2);
  lua_pushcclosure(L, drop, 2);
  lua_setfield(L, -2, "drop");
}

void tw_lua_open_event(lua_State *L, tw_lua *lua) {
  static const luaL_Reg functions[] = {
      {"event", make_event}, {"decode", decode},         {"encode", encode},
      {"totable", to_table}, {"array", mark_array},      {"split", split},
      {"uuid7", uuid7},      {"priority", get_priority}, {"set_priority", set_priority},
      {NULL, NULL}};
  luaL_checkstack(L, 8, NULL);
  tw_lua_setfuncs(L, lua, functions);
  lua_pushlightuserdata(L, NULL);
  lua_setfield(L, -2, "null");
  set_drop(L, lua);
  tw_lua_open_path(L, lua);
}
