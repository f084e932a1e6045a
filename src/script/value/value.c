/// value.c: values of an event as Lua values, and paths in messages.
///
/// A table is made in one descent over the nodes, by recursion: the limit of depth bounds the C
/// stack, and room on Lua's is asked for at every level. What raises for want of memory
/// leaves nothing behind, as all that was made is Lua's.
///
/// Paths have a fixed size: telling what is wrong needs no memory.
#include "script/value/value.h"

#include <stdio.h>

#include "event/text.h"

void tw_value_push_scalar(lua_State *L, const tw_event *event, tw_ref ref) {
  const tw_node *node = tw_store_node(event->store, ref);
  int64_t integer;
  size_t len;
  const char *text;
  switch (tw_node_kind(node)) {
    case TW_KIND_STRING: lua_pushlstring(L, node->text + 1, node->len - 2); return;
    case TW_KIND_INTEGER:
      if (tw_read_integer(node->text, node->len, &integer)) lua_pushinteger(L, integer);
      else lua_pushnumber(L, tw_read_number(node->text, node->len));
      return;
    case TW_KIND_NUMBER: lua_pushnumber(L, tw_read_number(node->text, node->len)); return;
    case TW_KIND_FALSE: lua_pushboolean(L, 0); return;
    case TW_KIND_TRUE: lua_pushboolean(L, 1); return;
    case TW_KIND_NULL: lua_pushlightuserdata(L, NULL); return;
    case TW_KIND_ESCAPED:
    case TW_KIND_KEY:
    case TW_KIND_ESCAPED_KEY:
      text = tw_node_string(event->store, ref, &len);
      if (!text) luaL_error(L, "out of memory");
      lua_pushlstring(L, text, len);
      return;
    case TW_KIND_ARRAY:
    case TW_KIND_OBJECT: lua_pushnil(L); return;
  }
}

static void push_array(lua_State *L, tw_lua *lua, const tw_event *event, tw_ref ref) {
  uint32_t count = tw_event_count(event, ref);
  lua_createtable(L, (int)count, 0);
  tw_cursor cursor = tw_cursor_begin(event, ref);
  for (lua_Integer i = 1; tw_cursor_next(&cursor); i++) {
    tw_value_push_table(L, lua, event, cursor.value);
    lua_rawseti(L, -2, i);
  }
  if (count) return;
  tw_lua_push_mark(L, lua, TW_MARK_ARRAY);
  lua_setmetatable(L, -2);
}

static void push_object(lua_State *L, tw_lua *lua, const tw_event *event, tw_ref ref) {
  lua_createtable(L, 0, (int)tw_event_count(event, ref));
  tw_cursor cursor = tw_cursor_begin(event, ref);
  while (tw_cursor_next(&cursor)) {
    tw_value_push_scalar(L, event, cursor.key);
    tw_value_push_table(L, lua, event, cursor.value);
    lua_rawset(L, -3);
  }
}

void tw_value_push_table(lua_State *L, tw_lua *lua, const tw_event *event, tw_ref ref) {
  luaL_checkstack(L, 6, "too deep");
  if (!tw_kind_is_container(tw_node_kind(tw_store_node(event->store, ref))))
    tw_value_push_scalar(L, event, ref);
  else if (tw_event_is_array(event, ref)) push_array(L, lua, event, ref);
  else push_object(L, lua, event, ref);
}

/* ------------------------------------------------------------------------- paths */

static const char cut[] = "…";

/* Room for the cut mark is kept; once it is there, the path is full. */
static void append(tw_path_text *path, const char *text, size_t len) {
  size_t room = sizeof path->text - sizeof cut;
  if (path->len > room) return;
  if (len > room - path->len) {
    memcpy(path->text + path->len, cut, sizeof cut);
    path->len = sizeof path->text;
    return;
  }
  memcpy(path->text + path->len, text, len);
  path->len += len;
  path->text[path->len] = '\0';
}

static bool is_name(const char *key, size_t len) {
  for (size_t i = 0; i < len; i++) {
    unsigned char c = (unsigned char)key[i];
    bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
    if (!letter && (i == 0 || c < '0' || c > '9')) return false;
  }
  return len > 0;
}

/* An odd name is shown with everything unprintable as `?`; it is for a message only. */
static void append_quoted(tw_path_text *path, const char *key, size_t len) {
  char shown[68];
  size_t used = 0;
  for (size_t i = 0; i < len && used < sizeof shown - 4; i++) {
    unsigned char c = (unsigned char)key[i];
    shown[used++] = (char)(c < 0x20 || c == 0x7f ? '?' : c);
  }
  append(path, "[\"", 2);
  append(path, shown, used);
  append(path, "\"]", 2);
}

void tw_path_text_key(tw_path_text *path, const char *key, size_t len) {
  if (!is_name(key, len)) {
    append_quoted(path, key, len);
    return;
  }
  if (path->len) append(path, ".", 1);
  append(path, key, len);
}

void tw_path_text_index(tw_path_text *path, int64_t index) {
  char text[32];
  int len = snprintf(text, sizeof text, "[%lld]", (long long)index);
  append(path, text, (size_t)len);
}
