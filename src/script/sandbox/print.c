/* As Lua's own print, but the line is written whole: others write to standard error, too.

   A warning may come in pieces, and `@on` and `@off` switch all that follow. As in Lua's own
   library the state is in which function is set: `warn` begins one, `more_of` is inside of one,
   `silent` lets them pass. */
#include "script/sandbox/print.h"

#include <lauxlib.h>
#include <stdio.h>
#include <string.h>

static int print(lua_State *L) {
  int count = lua_gettop(L);
  luaL_Buffer line;
  luaL_buffinit(L, &line);
  for (int i = 1; i <= count; i++) {
    if (i > 1) luaL_addchar(&line, '\t');
    luaL_tolstring(L, i, NULL);
    luaL_addvalue(&line);
  }
  luaL_addchar(&line, '\n');
  luaL_pushresult(&line);
  size_t len;
  const char *text = lua_tolstring(L, -1, &len);
  fwrite(text, 1, len, stderr);
  return 0;
}

static void silent(void *L, const char *message, int more);

static void more_of(void *L, const char *message, int more);

static void warn(void *L, const char *message, int more) {
  if (!more && strcmp(message, "@off") == 0) lua_setwarnf(L, silent, L);
  if (!more && message[0] == '@') return;
  fputs("tidewire: warning: ", stderr);
  more_of(L, message, more);
}

static void more_of(void *L, const char *message, int more) {
  fputs(message, stderr);
  if (!more) fputs("\n", stderr);
  lua_setwarnf(L, more ? more_of : warn, L);
}

static void silent(void *L, const char *message, int more) {
  if (!more && strcmp(message, "@on") == 0) lua_setwarnf(L, warn, L);
}

void tw_print_setup(lua_State *L) {
  lua_setwarnf(L, warn, L);
  lua_pushcfunction(L, print);
  lua_setglobal(L, "print");
}
