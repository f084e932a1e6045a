/// path_binding.c: tidewire.path objects: compiled paths and patterns over views.
///
/// A path starts at the view it is given, so the event's root is set to the view's node
/// while the path functions of the event layer run. Those raise no Lua error.
#include "script/state/bindings.h"
#include "script/state/room.h"
#include "script/value/path_inside.h"
#include "script/value/view_inside.h"

typedef struct tw_lua_path {
  tw_owner owner; /* first */
  tw_path *path;  /* NULL: closed. Its text is the user value */
} tw_lua_path;

static void close_path(tw_owner *owner) {
  tw_lua_path *self = (tw_lua_path *)owner;
  tw_path_free(self->path);
  self->path = NULL;
}

static int path_gc(lua_State *L) {
  tw_lua_disown(lua_touserdata(L, 1));
  return 0;
}

static int path_tostring(lua_State *L) {
  lua_getiuservalue(L, 1, 1);
  return 1;
}

/* tidewire.path(text) -> path */
static int new_path(lua_State *L) {
  tw_lua *lua = tw_lua_self(L);
  size_t len;
  const char *text = luaL_checklstring(L, 1, &len);
  tw_lua_path *self = lua_newuserdatauv(L, sizeof *self, 1);
  memset(self, 0, sizeof *self);
  tw_lua_push_mark(L, lua, TW_MARK_PATH);
  lua_setmetatable(L, -2);
  tw_lua_own(L, lua, &self->owner, close_path);
  lua_pushvalue(L, 1);
  lua_setiuservalue(L, -2, 1);
  tw_error error;
  if (tw_path_compile(text, len, &self->path, &error))
    return luaL_argerror(L, 1, error.message);
  return 1;
}

/* ---------------------------------------------------------------------- arguments */

const tw_path *tw_lua_check_path(lua_State *L, const tw_lua *lua, int index) {
  bool is_path = lua_isuserdata(L, index) && tw_lua_has_mark(L, lua, index, TW_MARK_PATH);
  const tw_lua_path *self = is_path ? lua_touserdata(L, index) : NULL;
  if (!self || !self->path) return luaL_typeerror(L, index, "tidewire.path"), NULL;
  return self->path;
}

tw_event *tw_lua_check_view(lua_State *L, tw_lua *lua, tw_ref *from) {
  tw_event *event = tw_view_get(L, lua, 2, from);
  if (!event) return luaL_typeerror(L, 2, "event view"), NULL;
  tw_room_check_view(L, lua, 2, event);
  return event;
}

/* The text of the path object at stack index 1, which keeps it. */
static const char *path_text(lua_State *L) {
  lua_getiuservalue(L, 1, 1);
  const char *text = lua_tostring(L, -1);
  lua_pop(L, 1);
  return text;
}

int tw_lua_path_raise(lua_State *L, const char *reason) {
  return tw_lua_raise(L, "%s: %s", path_text(L), reason);
}

/* Makes the value at `index` a value of the store, for a place `depth` containers deep. */
static tw_ref store_value(lua_State *L, tw_lua *lua, int index, uint32_t depth,
                          tw_event *event) {
  tw_ref value;
  tw_error error;
  index = lua_absindex(L, index);
  if (tw_value_store_at(L, lua, index, path_text(L), depth, event, &value, &error))
    tw_lua_raise(L, "%s", error.message);
  return value;
}

/* ----------------------------------------------------- the event layer, from a node */

static tw_ref swap_root(tw_event *event, tw_ref root) {
  tw_ref old = event->root;
  event->root = root;
  return old;
}

bool tw_lua_path_find(tw_event *event, tw_ref from, const tw_path *path, tw_ref *value) {
  tw_ref root = swap_root(event, from);
  bool found = tw_path_find(event, path, value);
  event->root = root;
  return found;
}

static tw_status put_from(tw_event *event, tw_ref from, const tw_path *path, tw_ref value,
                          tw_error *error) {
  tw_ref root = swap_root(event, from);
  tw_status status = tw_path_put(event, path, value, error);
  event->root = root;
  return status;
}

tw_matches tw_lua_path_match(lua_State *L, tw_event *event, tw_ref from, const tw_path *path) {
  tw_matches matches = {0};
  tw_error error;
  tw_ref root = swap_root(event, from);
  tw_status status = tw_path_match(event, path, &matches.places, &matches.count, &error);
  event->root = root;
  if (status) tw_lua_path_raise(L, error.message);
  return matches;
}

/* ------------------------------------------------------------------------- places */

/* A key's text outlives the edit that moved its member, because it is in the store. */
bool tw_place_stands(const tw_event *event, const tw_place *place) {
  tw_ref value;
  if (place->in_array)
    return tw_event_is_array(event, place->parent) &&
           tw_event_at(event, place->parent, place->index, &value) && value == place->value;
  size_t len;
  const char *key = tw_node_string(event->store, place->key, &len);
  return key && !tw_event_is_array(event, place->parent) &&
         tw_event_find(event, place->parent, key, len, &value) && value == place->value;
}

tw_status tw_place_put(tw_event *event, const tw_place *place, tw_ref value, tw_error *error) {
  if (place->in_array) return tw_event_put_at(event, place->parent, place->index, value, error);
  size_t len;
  const char *key = tw_node_string(event->store, place->key, &len);
  return key ? tw_event_put(event, place->parent, key, len, value, error) : tw_no_memory(error);
}

tw_status tw_place_delete(tw_event *event, const tw_place *place, tw_error *error) {
  if (place->in_array) return tw_event_delete_at(event, place->parent, place->index, error);
  size_t len;
  const char *key = tw_node_string(event->store, place->key, &len);
  return key ? tw_event_delete(event, place->parent, key, len, error) : tw_no_memory(error);
}

/* Stores the value at `index` for a place and puts it there; nil removes. */
static void assign_place(lua_State *L, tw_lua *lua, int index, tw_event *event,
                         const tw_place *place) {
  tw_error error;
  tw_status status;
  tw_room_check(L, lua, event);
  if (lua_isnil(L, index)) {
    status = tw_place_delete(event, place, &error);
  } else {
    uint32_t depth = tw_view_depth_for(L, index, event, place->parent);
    status = tw_place_put(event, place, store_value(L, lua, index, depth, event), &error);
  }
  if (status) tw_lua_path_raise(L, error.message);
}

/* ------------------------------------------------------------------------ methods */

/* path:get(view) -> value or nil */
static int path_get(lua_State *L) {
  tw_lua *lua = tw_lua_self(L);
  const tw_path *path = tw_lua_check_path(L, lua, 1);
  tw_ref from, value;
  tw_event *event = tw_lua_check_view(L, lua, &from);
  if (path->has_wildcard)
    return tw_lua_path_raise(L, "a path with wildcards has no one value; use map");
  if (tw_lua_path_find(event, from, path, &value)) {
    tw_view_push_value(L, lua, 2, event, value);
  } else if (path->count == 1 && path->steps[0].kind == TW_STEP_KEY) {
    lua_pushlstring(L, path->steps[0].key, path->steps[0].len);
    lua_gettable(L, 2); /* the event's id, or nil */
  } else {
    lua_pushnil(L);
  }
  return 1;
}

static lua_Integer remove_matches(lua_State *L, tw_event *event, tw_ref from,
                                  const tw_path *path) {
  tw_matches matches = tw_lua_path_match(L, event, from, path);
  lua_Integer removed = 0;
  tw_error error;
  for (size_t i = 0; i < matches.count; i++) {
    if (!tw_place_stands(event, &matches.places[i])) continue;
    if (tw_place_delete(event, &matches.places[i], &error)) tw_lua_path_raise(L, error.message);
    removed++;
  }
  return removed;
}

/* path:remove(view) -> how many were removed */
static int path_remove(lua_State *L) {
  tw_lua *lua = tw_lua_self(L);
  const tw_path *path = tw_lua_check_path(L, lua, 1);
  tw_ref from;
  tw_event *event = tw_lua_check_view(L, lua, &from);
  lua_pushinteger(L, remove_matches(L, event, from, path));
  return 1;
}

static void set_one(lua_State *L, tw_lua *lua, tw_event *event, tw_ref from,
                    const tw_path *path) {
  tw_error error;
  uint32_t depth = tw_view_depth(event, from) + path->count - 1;
  if (depth > event->store->limits.max_depth)
    tw_lua_path_raise(L, "nested deeper than the limit of the event allows");
  tw_ref value = store_value(L, lua, 3, depth, event);
  if (put_from(event, from, path, value, &error)) tw_lua_path_raise(L, error.message);
}

static lua_Integer set_matches(lua_State *L, tw_lua *lua, tw_event *event, tw_ref from,
                               const tw_path *path) {
  tw_matches matches = tw_lua_path_match(L, event, from, path);
  lua_Integer set = 0;
  for (size_t i = 0; i < matches.count; i++) {
    if (!tw_place_stands(event, &matches.places[i])) continue;
    assign_place(L, lua, 3, event, &matches.places[i]);
    set++;
  }
  return set;
}

/* path:set(view, value) -> how many were set; nil removes */
static int path_set(lua_State *L) {
  tw_lua *lua = tw_lua_self(L);
  const tw_path *path = tw_lua_check_path(L, lua, 1);
  tw_ref from;
  tw_event *event = tw_lua_check_view(L, lua, &from);
  if (lua_isnone(L, 3)) tw_lua_raise(L, "path:set: 'value' is missing; nil would remove");
  lua_Integer set = 1;
  if (lua_isnil(L, 3)) set = remove_matches(L, event, from, path);
  else if (path->has_wildcard) set = set_matches(L, lua, event, from, path);
  else set_one(L, lua, event, from, path);
  lua_pushinteger(L, set);
  return 1;
}

static void check_mapper(lua_State *L) {
  if (lua_isfunction(L, 3) || luaL_getmetafield(L, 3, "__call") != LUA_TNIL) lua_settop(L, 3);
  else tw_lua_raise(L, "path:map: 'f' must be a function, not a %s", luaL_typename(L, 3));
}

/* Calls the function at stack index 3 with a place's value and leaves value, result. */
static void call_mapper(lua_State *L, tw_lua *lua, tw_event *event, const tw_place *place) {
  tw_view_push_value(L, lua, 2, event, place->value);
  lua_pushvalue(L, 3);
  lua_pushvalue(L, -2);
  lua_call(L, 1, 1); /* value, result */
}

/* The value and the result on top, of the same type and equal. */
static bool unchanged(lua_State *L) {
  return lua_isinteger(L, -1) == lua_isinteger(L, -2) && lua_compare(L, -1, -2, LUA_OPEQ);
}

/* path:map(view, f) -> how many f was called for. A value that comes back unchanged is not
   written, so its exact text stays. */
static int path_map(lua_State *L) {
  tw_lua *lua = tw_lua_self(L);
  const tw_path *path = tw_lua_check_path(L, lua, 1);
  tw_ref from;
  tw_event *event = tw_lua_check_view(L, lua, &from);
  check_mapper(L);
  tw_matches matches = tw_lua_path_match(L, event, from, path);
  lua_Integer mapped = 0;
  for (size_t i = 0; i < matches.count; i++) {
    if (!tw_place_stands(event, &matches.places[i])) continue;
    call_mapper(L, lua, event, &matches.places[i]);
    event = tw_lua_check_view(L, lua, &from);
    if (!unchanged(L) && tw_place_stands(event, &matches.places[i]))
      assign_place(L, lua, -1, event, &matches.places[i]);
    lua_settop(L, 3);
    mapped++;
  }
  lua_pushinteger(L, mapped);
  return 1;
}

void tw_lua_open_path(lua_State *L, tw_lua *lua) {
  static const luaL_Reg methods[] = {{"get", path_get},
                                     {"set", path_set},
                                     {"remove", path_remove},
                                     {"map", path_map},
                                     {NULL, NULL}};
  tw_lua_new_mark(L, lua, TW_MARK_PATH, "tidewire.path");
  lua_newtable(L); /* meta, methods */
  tw_lua_setfuncs(L, lua, methods);
  tw_lua_add_rewrite(L, lua);
  lua_setfield(L, -2, "__index");
  lua_pushcfunction(L, path_gc);
  lua_setfield(L, -2, "__gc");
  lua_pushcfunction(L, path_tostring);
  lua_setfield(L, -2, "__tostring");
  lua_pop(L, 1);
  tw_lua_pushfunction(L, lua, new_path);
  lua_setfield(L, -2, "path");
}
