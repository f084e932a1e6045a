/* Errors between C and Lua.

   From Lua comes text of several lines; logs, dead letters and a tw_error take one. It is
   the first, which has the position.

   Misuse is told at a line that the author of the script can change. So frames of C are passed
   over, and those of the embedded library, which are known by their chunk names. */
#include "script/state/message.h"

#include <stdio.h>
#include <string.h>

#include "script/embedded.h"

/* Lua's loader puts the position of a syntax error on a second line, behind the name of the
   module; there it is the message. */
static const char *line_that_matters(const char *text) {
  const char *second = strchr(text, '\n');
  const char *loading = strstr(text, "error loading module '");
  if (!second || !loading || loading > second) return text;
  return second + 1 + strspn(second + 1, "\t ");
}

void tw_message_line(const char *text, char *out, size_t room) {
  text = line_that_matters(text);
  size_t len = strcspn(text, "\n");
  if (len && text[len] == '\n' && text[len - 1] == ':') len--;
  if (len >= room) len = room - 1;
  memcpy(out, text, len);
  for (size_t i = 0; i < len; i++)
    if ((unsigned char)out[i] < ' ') out[i] = ' ';
  out[len] = '\0';
}

static bool is_embedded(const char *source) {
  for (const tw_embedded *module = tw_embedded_modules; module->name; module++)
    if (strcmp(module->chunk, source) == 0) return true;
  return false;
}

/* A function that was called in tail position has left no frame: then the next one out is
   told. */
void tw_lua_push_where(lua_State *L) {
  lua_Debug frame;
  for (int level = 1; lua_getstack(L, level, &frame); level++) {
    lua_getinfo(L, "Sl", &frame);
    if (frame.currentline <= 0 || is_embedded(frame.source)) continue;
    lua_pushfstring(L, "%s:%d: ", frame.short_src, frame.currentline);
    return;
  }
  lua_pushliteral(L, "");
}

/* In the order of LUA_TNIL to LUA_TTHREAD. */
const char *tw_lua_describe(lua_State *L, int index) {
  static const char *const words[] = {"nil",        "a boolean",  "a userdata",
                                      "a number",   "a string",   "a table",
                                      "a function", "a userdata", "a coroutine"};
  int type = lua_type(L, index);
  return words[type == LUA_TNONE ? LUA_TNIL : type];
}

int tw_lua_misuse(lua_State *L, const char *format, ...) {
  char message[sizeof((tw_error *)0)->message];
  va_list args;
  va_start(args, format);
  vsnprintf(message, sizeof message, format, args);
  va_end(args);
  tw_lua_push_where(L);
  lua_pushstring(L, message);
  lua_concat(L, 2);
  return lua_error(L);
}

int tw_lua_result(lua_State *L, tw_status status, const tw_error *error) {
  if (status == TW_OK) {
    lua_pushboolean(L, 1);
    return 1;
  }
  if (status == TW_EINVAL) return tw_lua_misuse(L, "%s", error->message);
  return tw_lua_fail(L, error);
}
