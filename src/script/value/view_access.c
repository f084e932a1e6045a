/// view_access.c: a view as a table: reading, writing, length, equality, text.
///
/// The metamethods come in two forms, for views that are light userdata and for full ones.
/// Both find the event and the node, and go on in the same code. Reading a field is the
/// hottest path of all scripting: it makes no Lua value but its result.
#include "script/state/gate.h"
#include "script/state/guard.h"
#include "script/state/room.h"
#include "script/value/view_inside.h"

/* ------------------------------------------------------------------------ reading */

static inline int push(lua_State *L, const tw_lua *lua, const tw_subject *at, tw_ref value) {
  if (!tw_kind_is_container(tw_node_kind(tw_store_node(at->event->store, value))))
    tw_value_push_scalar(L, at->event, value);
  else tw_view_push_node(L, lua, 1, at->serial, value);
  return 1;
}

/* The root of a whole event; what tidewire.decode gives is none. */
static bool is_event(lua_State *L, const tw_subject *at) {
  const tw_view *view = lua_islightuserdata(L, 1) ? NULL : lua_touserdata(L, 1);
  return at->node == at->event->root && (!view || !view->owned || view->owned->is_event);
}

/* In a script of an engine. */
static bool is_generation(const tw_lua *lua, const char *key, size_t len) {
  return len == 10 && lua->gate && lua->gate->generation && !memcmp(key, "generation", 10);
}

static int push_missing(lua_State *L, const tw_lua *lua, const tw_subject *at, const char *key,
                        size_t len) {
  if (len == 2 && !memcmp(key, "id", 2) && is_event(L, at)) {
    const char *id;
    if (tw_event_id(at->event, &id, &len)) return tw_lua_raise(L, "out of memory");
    lua_pushlstring(L, id, len);
  } else if (is_generation(lua, key, len) && is_event(L, at)) {
    lua_pushinteger(L, (lua_Integer)lua->gate->generation);
  } else {
    lua_pushnil(L);
  }
  return 1;
}

/* The element that a number names, counted from 1; floats as in Lua. */
static bool element_number(lua_State *L, int index, lua_Integer *number) {
  int exact;
  *number = lua_tointegerx(L, index, &exact);
  return exact;
}

static int index_at(lua_State *L, const tw_lua *lua, const tw_subject *at) {
  lua_Integer number;
  tw_ref value;
  if (lua_type(L, 2) == LUA_TNUMBER && element_number(L, 2, &number) && number >= 1 &&
      number <= TW_MAX_NODES && tw_view_is_array(at->event, at->node) &&
      tw_event_at(at->event, at->node, (uint32_t)number - 1, &value))
    return push(L, lua, at, value);
  lua_pushnil(L);
  return 1;
}

static inline int read_field(lua_State *L, const tw_lua *lua, const tw_subject *at) {
  if (lua_type(L, 2) != LUA_TSTRING) return index_at(L, lua, at);
  size_t len;
  const char *key = lua_tolstring(L, 2, &len);
  tw_ref value;
  if (tw_event_find(at->event, at->node, key, len, &value)) return push(L, lua, at, value);
  return push_missing(L, lua, at, key, len);
}

/* ------------------------------------------------------------------------ writing */

/* Raises `error` with the path of the container in front. */
static int raise_in(lua_State *L, const tw_subject *at, const tw_error *error) {
  tw_path_text path = {0};
  tw_view_path(at->event, at->node, &path);
  return tw_lua_raise(L, "%s: %s", path.len ? path.text : "event", error->message);
}

/* The path of the member that is being assigned. */
static void member_path(lua_State *L, const tw_subject *at, tw_path_text *path) {
  tw_view_path(at->event, at->node, path);
  size_t len;
  lua_Integer number;
  if (lua_type(L, 2) == LUA_TSTRING) {
    const char *key = lua_tolstring(L, 2, &len);
    tw_path_text_key(path, key, len);
  } else if (element_number(L, 2, &number)) {
    tw_path_text_index(path, number);
  }
}

/* Makes the assigned value, at stack index 3, a value of the store. Paths cost a search, so
   a failure is made again with the path for its message. */
static tw_ref assigned(lua_State *L, tw_lua *lua, const tw_subject *at) {
  tw_ref value;
  tw_error error;
  uint32_t depth = tw_view_depth_for(L, 3, at->event, at->node);
  if (!tw_value_store_at(L, lua, 3, "", depth, at->event, &value, &error)) return value;
  tw_path_text path = {0};
  member_path(L, at, &path);
  if (tw_value_store_at(L, lua, 3, path.text, depth, at->event, &value, &error))
    tw_lua_raise(L, "%s", error.message);
  return value;
}

static void check(lua_State *L, const tw_subject *at, tw_status status, const tw_error *error) {
  if (status && status != TW_ENOENT) raise_in(L, at, error);
}

/* A string, by far the most frequent, without the detours. What fails goes through assigned,
   which says where. */
static inline bool store_string(lua_State *L, const tw_subject *at, tw_ref *value) {
  size_t len;
  const char *bytes = lua_tolstring(L, 3, &len);
  return tw_store_string(at->event->store, bytes, len, value, NULL) == TW_OK;
}

static inline void write_field(lua_State *L, tw_lua *lua, const tw_subject *at) {
  size_t len;
  const char *key = lua_tolstring(L, 2, &len);
  tw_ref value;
  tw_error error;
  int type = lua_type(L, 3);
  if (type == LUA_TNIL) {
    check(L, at, tw_event_delete(at->event, at->node, key, len, &error), &error);
    return;
  }
  if (type != LUA_TSTRING || !store_string(L, at, &value)) value = assigned(L, lua, at);
  check(L, at, tw_event_put(at->event, at->node, key, len, value, &error), &error);
}

static int raise_hole(lua_State *L, const tw_subject *at, uint32_t count) {
  tw_path_text path = {0};
  member_path(L, at, &path);
  return tw_lua_raise(L, "%s: an array has no holes; it has %d elements, so append at [%d]",
                      path.text, (int)count, (int)count + 1);
}

static void write_element(lua_State *L, tw_lua *lua, const tw_subject *at, lua_Integer number) {
  uint32_t count = tw_event_count(at->event, at->node);
  tw_error error;
  bool known = number >= 1 && number <= count;
  if (lua_isnil(L, 3)) {
    if (!known) return;
    check(L, at, tw_event_delete_at(at->event, at->node, (uint32_t)number - 1, &error), &error);
    return;
  }
  if (!known && number != (lua_Integer)count + 1) raise_hole(L, at, count);
  tw_ref value = assigned(L, lua, at);
  check(L, at, tw_event_put_at(at->event, at->node, (uint32_t)number - 1, value, &error),
        &error);
}

/* A key that the container cannot have; removing what cannot be there is no error. */
static void refuse_key(lua_State *L, const tw_subject *at) {
  if (lua_isnil(L, 3)) return;
  bool is_array = tw_view_is_array(at->event, at->node);
  tw_path_text path = {0};
  tw_view_path(at->event, at->node, &path);
  const char *where = path.len ? path.text : "event";
  int type = lua_type(L, 2);
  if (type != LUA_TSTRING && type != LUA_TNUMBER)
    tw_lua_raise(L, "%s: a field's name must be a string or an index, not a %s", where,
                 luaL_typename(L, 2));
  const char *key = lua_tostring(L, 2); /* the key is not used again */
  if (is_array)
    tw_lua_raise(L, "%s: an array has no field \"%s\"; write to [1] to [%d]", where, key,
                 (int)tw_event_count(at->event, at->node) + 1);
  tw_lua_raise(L,
               "%s: an object's field needs a string as its name, not the number %s; use "
               "tostring(%s), or assign a new array",
               where, key, key);
}

/* An object without members may still become an array. */
static bool takes_elements(const tw_subject *at) {
  return tw_view_is_array(at->event, at->node) || !tw_event_count(at->event, at->node);
}

/* What was written before stays until the event ends, so that edits add up. An event that is
   not bound is one that Lua owns. */
static inline void check_room(lua_State *L, const tw_lua *lua, const tw_subject *at) {
  tw_room_check(L, lua, at->event);
  if (tw_view_bound(lua, at->serial) != at->event) tw_room_check_view(L, lua, 1, at->event);
}

static inline int write_member(lua_State *L, tw_lua *lua, const tw_subject *at) {
  lua_Integer number;
  check_room(L, lua, at);
  if (lua_type(L, 2) == LUA_TSTRING) {
    if (!tw_view_is_array(at->event, at->node)) write_field(L, lua, at);
    else refuse_key(L, at);
  } else if (lua_type(L, 2) == LUA_TNUMBER && element_number(L, 2, &number) &&
             takes_elements(at)) {
    write_element(L, lua, at, number);
  } else {
    refuse_key(L, at);
  }
  return 0;
}

/* ------------------------------------------------------------------- length, text */

static int length(lua_State *L, const tw_lua *lua, const tw_subject *at) {
  (void)lua;
  bool is_array = tw_view_is_array(at->event, at->node);
  lua_pushinteger(L, is_array ? (lua_Integer)tw_event_count(at->event, at->node) : 0);
  return 1;
}

static int text(lua_State *L, tw_lua *lua, const tw_subject *at) {
  tw_buffer *out = tw_lua_scratch(L, lua);
  if (!tw_event_render(at->event, at->node, out)) return tw_lua_raise(L, "out of memory");
  lua_pushlstring(L, out->data, out->len);
  return 1;
}

/* ------------------------------------------------------------------- both forms */

/* NAME_light and NAME_full: find the subject of the view at stack index 1, then `body`. */
#define TW_BOTH(name, verb, body)                                          \
  static int name##_light(lua_State *L) {                                  \
    tw_lua *lua = tw_lua_light(L);                                         \
    tw_subject at = tw_view_of_light(lua, lua_touserdata(L, 1));           \
    return at.event ? body(L, lua, &at) : tw_view_raise_ended(L, 1, verb); \
  }                                                                        \
  static int name##_full(lua_State *L) {                                   \
    tw_lua *lua = tw_lua_self(L);                                          \
    tw_subject at = tw_view_of_full(lua, lua_touserdata(L, 1));            \
    return at.event ? body(L, lua, &at) : tw_view_raise_ended(L, 1, verb); \
  }

TW_BOTH(index, "index", read_field)
TW_BOTH(newindex, "set a field of", write_member)
TW_BOTH(length, "get the length of", length)
TW_BOTH(text, "print", text)

/* Printing never raises for null and for light userdata of others. */
static int tostring_light(lua_State *L) {
  uintptr_t bits = (uintptr_t)lua_touserdata(L, 1);
  if (bits & TW_LIGHT_TAG) return text_light(L);
  if (bits) lua_pushfstring(L, "userdata: %p", lua_touserdata(L, 1));
  else lua_pushliteral(L, "null");
  return 1;
}

/* Light views are equal when their bits are; full ones are compared here. */
static int equal(lua_State *L) {
  tw_lua *lua = tw_lua_self(L);
  bool views = lua_isuserdata(L, 1) && lua_isuserdata(L, 2) &&
               tw_lua_has_mark(L, lua, 1, TW_MARK_VIEW) &&
               tw_lua_has_mark(L, lua, 2, TW_MARK_VIEW);
  const tw_view *a = lua_touserdata(L, 1), *b = lua_touserdata(L, 2);
  lua_pushboolean(L, views && a->serial == b->serial && a->node == b->node);
  return 1;
}

void tw_view_access_setup(lua_State *L, tw_lua *lua) {
  static const luaL_Reg light[] = {
      {"__index", index_light},   {"__newindex", newindex_light}, {"__len", length_light},
      {"__pairs", tw_view_pairs}, {"__tostring", tostring_light}, {NULL, NULL}};
  static const luaL_Reg full[] = {{"__index", index_full},
                                  {"__newindex", newindex_full},
                                  {"__len", length_full},
                                  {"__pairs", tw_view_pairs},
                                  {"__tostring", text_full},
                                  {"__eq", equal},
                                  {NULL, NULL}};
  tw_lua_new_mark(L, lua, TW_MARK_VIEW, "event view");
  tw_lua_setfuncs(L, lua, full);
  lua_pop(L, 1);
  if (!lua->light) return;
  lua_pushlightuserdata(L, NULL);
  lua_newtable(L); /* null, meta */
  tw_lua_setfuncs(L, lua, light);
  lua_pushboolean(L, 0);
  lua_setfield(L, -2, "__metatable");
  lua_setmetatable(L, -2);
  lua_pop(L, 1);
}
