/* The searcher of Lua files, over a snapshot, and without the second value that Lua's has for
   `require`.

   A searcher returns a loader and the file's name; `require` calls the loader with both, and
   returns what that returned and the file's name. So the loader knows the file's name itself,
   and nil stands in its place: at the end of a list it adds no entry. */
#include "script/sandbox/search.h"

#include <lauxlib.h>
#include <string.h>

#include "script/state/load.h"
#include "script/state/state.h"

/* The place of the searcher of Lua files among Lua's. */
enum { LUA_FILES = 2 };

int tw_search_load(lua_State *L, const tw_source *source) {
  const char *text = source->text, *end = text + source->len;
  if (source->len >= 3 && memcmp(text, "\xEF\xBB\xBF", 3) == 0) text += 3;
  if (text < end && *text == '#') {
    const char *line = memchr(text, '\n', (size_t)(end - text));
    text = line ? line : end; /* the line feed stays, so that lines keep their numbers */
  }
  lua_pushfstring(L, "@%s", source->path);
  int status = tw_load_text(L, tw_lua_light(L)->guard, text, (size_t)(end - text),
                            lua_tostring(L, -1), "t");
  lua_remove(L, -2);
  return status;
}

/* loader(name, nil); upvalues: the chunk, the file's name */
static int load(lua_State *L) {
  lua_settop(L, 1);
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_insert(L, 1);
  lua_pushvalue(L, lua_upvalueindex(2)); /* chunk, name, file */
  lua_call(L, 2, 1);
  return 1;
}

static int push_loader(lua_State *L, const tw_source *source) {
  if (tw_search_load(L, source) != LUA_OK)
    return luaL_error(L, "error loading module '%s' from file '%s':\n\t%s", lua_tostring(L, 1),
                      source->path, lua_tostring(L, -1));
  lua_pushstring(L, source->path);
  lua_pushcclosure(L, load, 2);
  return 1;
}

/* The next path of the list with its `?` replaced, or nothing at its end. */
static const char *push_candidate(lua_State *L, const char *name, const char **list) {
  while (**list == ';') ++*list;
  size_t len = strcspn(*list, ";");
  if (!len) return NULL;
  lua_pushlstring(L, *list, len);
  *list += len;
  const char *path = luaL_gsub(L, lua_tostring(L, -1), "?", name);
  lua_remove(L, -2);
  return path;
}

/* A file that comes later might be newer than the others. */
static int refuse_late(lua_State *L) {
  return tw_lua_raise(
      L,
      "module '%s' was not required while the script was loaded, and no file is "
      "read later: require it at the top of the script, or outside of functions",
      lua_tostring(L, 1));
}

/* Whether modules are searched that are no files of Lua. */
static bool has_more_searchers(lua_State *L) {
  lua_getfield(L, lua_upvalueindex(1), "searchers");
  bool has_more = lua_istable(L, -1) && lua_rawgeti(L, -1, LUA_FILES + 1) != LUA_TNIL;
  lua_settop(L, 4);
  return has_more;
}

/* searcher(name); upvalues: the table `package`, the snapshot */
static int search(lua_State *L) {
  const char *path;
  bool is_late = false;
  tw_snapshot *snapshot = lua_touserdata(L, lua_upvalueindex(2));
  lua_settop(L, 1);
  const char *name = luaL_gsub(L, luaL_checkstring(L, 1), ".", "/");
  lua_getfield(L, lua_upvalueindex(1), "path");
  const char *list = lua_tostring(L, -1);
  if (!list) return luaL_error(L, "'package.path' must be a string");
  lua_pushliteral(L, ""); /* name, file name, list, message */
  while ((path = push_candidate(L, name, &list))) {
    const tw_source *source;
    tw_status status = tw_snapshot_read(snapshot, path, &source, NULL);
    if (status == TW_OK) return push_loader(L, source);
    if (status == TW_ENOMEM) return luaL_error(L, "out of memory");
    is_late = is_late || status == TW_ECLOSED;
    lua_pushfstring(L, "%s\n\tno file '%s'", lua_tostring(L, 4), path);
    lua_replace(L, 4);
    lua_settop(L, 4);
  }
  return is_late && !has_more_searchers(L) ? refuse_late(L) : 1;
}

/* Modules beside the script come first. */
static void set_path(lua_State *L, const char *script) {
  const char *slash = strrchr(script, '/');
  int len = slash ? (int)(slash - script) : 1;
  lua_pushlstring(L, slash ? script : ".", (size_t)(slash && !len ? 1 : len));
  const char *folder = lua_tostring(L, -1);
  lua_getglobal(L, "package");
  lua_getfield(L, -1, "path");
  lua_pushfstring(L, "%s/?.lua;%s/?/init.lua;%s", folder, folder, lua_tostring(L, -1));
  lua_setfield(L, -3, "path");
  lua_pop(L, 3);
}

void tw_search_setup(lua_State *L, const char *script, tw_snapshot *snapshot) {
  set_path(L, script);
  lua_getglobal(L, "package");
  lua_getfield(L, -1, "searchers");
  lua_pushvalue(L, -2);
  lua_pushlightuserdata(L, snapshot);
  lua_pushcclosure(L, search, 2);
  lua_rawseti(L, -2, LUA_FILES);
  lua_pop(L, 2);
}
