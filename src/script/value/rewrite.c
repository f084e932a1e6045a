/// rewrite.c: reading, replacing, moving and decoding values as JSON text.
///
/// A Lua number holds 64 bits; a JSON number may have thirty digits. So processors that
/// hash, move or decode values do not take them as Lua values but as text. As in
/// path_binding.c, a path starts at the view that it is given, and places are collected
/// before the first edit. With `**` one may lie inside another: when the outer one has been
/// replaced, the edit of the inner one goes to a value that nobody sees any more.
#include "script/state/room.h"
#include "script/value/path_inside.h"
#include "script/value/view_inside.h"

/* -------------------------------------------------------------- arguments */

/* What the method works on: a path at stack index 1, and a view at 2. */
static tw_matches match(lua_State *L, tw_lua *lua, tw_event **event) {
  tw_ref from;
  const tw_path *path = tw_lua_check_path(L, lua, 1);
  *event = tw_lua_check_view(L, lua, &from);
  return tw_lua_path_match(L, *event, from, path);
}

/* ------------------------------------------------------------------- text */

static const char *const kind_names[] = {
    [TW_KIND_NULL] = "null",      [TW_KIND_FALSE] = "boolean",     [TW_KIND_TRUE] = "boolean",
    [TW_KIND_INTEGER] = "number", [TW_KIND_NUMBER] = "number",     [TW_KIND_STRING] = "string",
    [TW_KIND_ESCAPED] = "string", [TW_KIND_ARRAY] = "array",       [TW_KIND_OBJECT] = "object",
    [TW_KIND_KEY] = "string",     [TW_KIND_ESCAPED_KEY] = "string"};

/* An edited container may have become an array: what the text says is not enough. */
static const char *kind_name(const tw_event *event, tw_ref ref) {
  tw_kind kind = tw_node_kind(tw_store_node(event->store, ref));
  if (tw_kind_is_container(kind)) return tw_event_is_array(event, ref) ? "array" : "object";
  return kind_names[kind];
}

/* Pushes text and kind. */
static void push_text(lua_State *L, tw_lua *lua, tw_event *event, tw_ref ref) {
  tw_kind kind = tw_node_kind(tw_store_node(event->store, ref));
  if (tw_kind_is_string(kind)) {
    size_t len;
    const char *text = tw_node_string(event->store, ref, &len);
    if (!text) luaL_error(L, "out of memory");
    lua_pushlstring(L, text, len);
  } else {
    tw_buffer *text = tw_lua_scratch(L, lua);
    if (!tw_event_render(event, ref, text)) luaL_error(L, "out of memory");
    lua_pushlstring(L, text->data, text->len);
  }
  lua_pushstring(L, kind_name(event, ref));
}

/* path:text(view) -> text, kind; nil when nothing is there */
static int path_text(lua_State *L) {
  tw_lua *lua = tw_lua_self(L);
  const tw_path *path = tw_lua_check_path(L, lua, 1);
  tw_ref from, value;
  tw_event *event = tw_lua_check_view(L, lua, &from);
  if (path->has_wildcard)
    return tw_lua_path_raise(L, "a path with wildcards has no one value; use rewrite");
  lua_pushnil(L);
  if (!tw_lua_path_find(event, from, path, &value)) return 1;
  push_text(L, lua, event, value);
  return 2;
}

/* ---------------------------------------------------------------- rewrite */

static bool is_container(const char *json, size_t len) {
  size_t start = 0;
  while (start < len && strchr(" \t\r\n", json[start])) start++;
  return start < len && (json[start] == '{' || json[start] == '[');
}

/* Puts JSON text at a place. What stands around it counts for the limit of depth. */
static tw_status put_json(tw_event *event, const tw_place *place, const char *json, size_t len,
                          tw_error *error) {
  tw_limits *limits = &event->store->limits;
  tw_limits saved = *limits;
  tw_ref value;
  if (is_container(json, len)) {
    uint32_t around = tw_view_depth(event, place->parent);
    if (around >= saved.max_depth)
      return tw_fail(error, TW_ELIMIT, "nested deeper than the limit of the event allows");
    limits->max_depth = saved.max_depth - around;
  }
  tw_status status = tw_store_json(event->store, json, len, &value, error);
  *limits = saved;
  return status ? status : tw_place_put(event, place, value, error);
}

/* Does what `f` returned, which is on top, to one place. @return whether it changed */
static bool apply(lua_State *L, tw_event *event, const tw_place *place) {
  tw_error error;
  tw_status status;
  size_t len;
  if (lua_isnil(L, -1) || !tw_place_stands(event, place)) return false;
  if (lua_type(L, -1) == LUA_TSTRING) {
    const char *json = lua_tolstring(L, -1, &len);
    status = put_json(event, place, json, len, &error);
  } else if (lua_isboolean(L, -1) && !lua_toboolean(L, -1)) {
    status = tw_place_delete(event, place, &error);
  } else {
    return tw_lua_raise(L, "path:rewrite: 'f' must return JSON text, false or nil, not a %s",
                        luaL_typename(L, -1));
  }
  if (status) tw_lua_path_raise(L, error.message);
  return true;
}

/* Pushes what becomes of a place: the result of f, or what stands instead of f. */
static tw_event *push_replacement(lua_State *L, tw_lua *lua, tw_event *event,
                                  const tw_place *place) {
  tw_ref from;
  lua_pushvalue(L, 3);
  if (!lua_isfunction(L, 3)) return event;
  push_text(L, lua, event, place->value);
  lua_call(L, 2, 1);
  return tw_lua_check_view(L, lua, &from); /* f may have ended it */
}

/* path:rewrite(view, f) -> how many places changed. f(text, kind) returns JSON text to put
   there, false to remove, nil to leave; or is itself the text or false, for every place. */
static int path_rewrite(lua_State *L) {
  tw_lua *lua = tw_lua_self(L);
  lua_Integer changed = 0;
  bool constant = lua_type(L, 3) == LUA_TSTRING || lua_isboolean(L, 3);
  if (!constant && !lua_isfunction(L, 3))
    return tw_lua_raise(L, "path:rewrite: 'f' must be a function, JSON text or false, not a %s",
                        luaL_typename(L, 3));
  tw_event *event;
  tw_matches found = match(L, lua, &event);
  for (size_t i = 0; i < found.count; i++) {
    if (!tw_place_stands(event, &found.places[i])) continue;
    event = push_replacement(L, lua, event, &found.places[i]);
    tw_room_check(L, lua, event);
    changed += apply(L, event, &found.places[i]);
    lua_settop(L, 3);
  }
  lua_pushinteger(L, changed);
  return 1;
}

/* ------------------------------------------------------------------- move */

/* Takes the value out before it is put in: it may move into what it stood in, and a value
   must never stand in two places. */
static tw_status move(tw_event *event, tw_ref from, const tw_path *source,
                      const tw_path *target, tw_ref value, tw_error *error) {
  tw_event saved = tw_event_fork(event);
  tw_ref root = event->root;
  event->root = from;
  tw_status status = tw_path_delete(event, source, error);
  if (!status) status = tw_path_put(event, target, value, error);
  event->root = root;
  if (status) tw_event_restore(event, &saved);
  else tw_event_end(&saved);
  return status;
}

/* path:move(view, to) -> true, or false when nothing is there; nil, message, code */
static int path_move(lua_State *L) {
  tw_lua *lua = tw_lua_self(L);
  const tw_path *source = tw_lua_check_path(L, lua, 1);
  const tw_path *target = tw_lua_check_path(L, lua, 3);
  tw_ref from, value;
  tw_event *event = tw_lua_check_view(L, lua, &from);
  tw_error error;
  if (source->has_wildcard || target->has_wildcard)
    return tw_lua_raise(L, "path:move: wildcards are not allowed");
  bool found = tw_lua_path_find(event, from, source, &value);
  if (found && move(event, from, source, target, value, &error)) return tw_lua_fail(L, &error);
  lua_pushboolean(L, found);
  return 1;
}

/* ----------------------------------------------------------------- decode */

/* @return TW_ETYPE when the value is no string */
static tw_status decode(tw_event *event, const tw_place *place, tw_error *error) {
  if (!tw_kind_is_string(tw_node_kind(tw_store_node(event->store, place->value))))
    return TW_ETYPE;
  size_t len;
  const char *json = tw_node_string(event->store, place->value, &len);
  return json ? put_json(event, place, json, len, error) : tw_no_memory(error);
}

/* path:decode(view) -> how many strings became their value, how many were no JSON, and why
   the first of these was none */
static int path_decode(lua_State *L) {
  tw_lua *lua = tw_lua_self(L);
  tw_event *event;
  tw_matches found = match(L, lua, &event);
  tw_error error, first;
  lua_Integer decoded = 0, invalid = 0;
  for (size_t i = 0; i < found.count; i++) {
    if (!tw_place_stands(event, &found.places[i])) continue;
    tw_room_check(L, lua, event);
    tw_status status = decode(event, &found.places[i], &error);
    if (status == TW_ENOMEM) return tw_lua_path_raise(L, error.message);
    if (status == TW_OK) decoded++;
    else if (status != TW_ETYPE && !invalid++) first = error;
  }
  lua_pushinteger(L, decoded);
  lua_pushinteger(L, invalid);
  if (invalid) lua_pushstring(L, first.message);
  return invalid ? 3 : 2;
}

void tw_lua_add_rewrite(lua_State *L, tw_lua *lua) {
  static const luaL_Reg methods[] = {{"text", path_text},
                                     {"rewrite", path_rewrite},
                                     {"move", path_move},
                                     {"decode", path_decode},
                                     {NULL, NULL}};
  tw_lua_setfuncs(L, lua, methods);
}
