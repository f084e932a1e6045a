/* The functions of the string library that match patterns, over match.c, and `rep`, which
   repeats nothing without end.

   For what ends soon they do what Lua's own do, to the words of their errors. Only the work
   is counted: each attempt at a place of the subject by match.c, and a search for plain text by
   its length, at a step for 64 bytes, which is what memmem costs. What gsub puts together lies
   in a luaL_Buffer, in memory that the state's limit counts. */
#define _GNU_SOURCE /* memmem; NOLINT(bugprone-reserved-identifier) */
#include <string.h>

#include "script/sandbox/match.h"
#include "script/sandbox/table_lib.h"

/* The place of an index from either end, from 0. */
static size_t place_of(lua_Integer at, size_t len) {
  if (at > 0) return (size_t)at - 1;
  if (at == 0 || at < -(lua_Integer)len) return 0;
  return len + (size_t)at;
}

static tw_guard *guard_of(lua_State *L) { return tw_lua_self(L)->guard; }

/* ------------------------------------------------------------ find, match */

static bool is_plain(const char *pattern, size_t len) {
  for (size_t i = 0; i < len; i++)
    if (pattern[i] && strchr("^$*+?.([%-", pattern[i])) return false;
  return true;
}

static int find_plain(lua_State *L, const char *text, size_t len, size_t from,
                      const char *wanted, size_t wanted_len) {
  const char *found = memmem(text + from, len - from, wanted, wanted_len);
  tw_guard_step(guard_of(L), L, len / 64);
  if (!found) {
    lua_pushnil(L);
    return 1;
  }
  lua_pushinteger(L, found - text + 1);
  lua_pushinteger(L, found - text + (lua_Integer)wanted_len);
  return 2;
}

/* A `^` at the start ties the pattern to the first place. */
static int find_pattern(lua_State *L, const char *text, size_t len, size_t from,
                        const char *pattern, size_t pattern_len, bool find) {
  tw_match m;
  const char *at = text + from, *end;
  bool anchored = pattern_len && *pattern == '^';
  tw_match_init(&m, L, guard_of(L), text, len, pattern, pattern_len);
  pattern += anchored;
  do {
    if (!(end = tw_match_at(&m, at, pattern))) continue;
    if (!find) return tw_match_push(&m, at, end);
    lua_pushinteger(L, at - text + 1);
    lua_pushinteger(L, end - text);
    return tw_match_push(&m, NULL, NULL) + 2;
  } while (at++ < m.subject_end && !anchored);
  lua_pushnil(L);
  return 1;
}

static int search(lua_State *L, bool find) {
  size_t len, pattern_len;
  const char *text = luaL_checklstring(L, 1, &len);
  const char *pattern = luaL_checklstring(L, 2, &pattern_len);
  size_t from = place_of(luaL_optinteger(L, 3, 1), len);
  if (from > len) {
    lua_pushnil(L);
    return 1;
  }
  if (find && (lua_toboolean(L, 4) || is_plain(pattern, pattern_len)))
    return find_plain(L, text, len, from, pattern, pattern_len);
  return find_pattern(L, text, len, from, pattern, pattern_len, find);
}

static int find(lua_State *L) { return search(L, true); }
static int match(lua_State *L) { return search(L, false); }

/* ----------------------------------------------------------------- gmatch */

typedef struct walk {
  size_t from, last; /* where to go on; the end of the last match */
} walk;

/* Upvalues: the tw_lua, text, pattern, walk. An empty match at the end of the last one would
   be the same place twice. `^` is a character like others here: it would end the walk at once.
 */
static int next_match(lua_State *L) {
  size_t len, pattern_len;
  const char *text = lua_tolstring(L, lua_upvalueindex(2), &len);
  const char *pattern = lua_tolstring(L, lua_upvalueindex(3), &pattern_len);
  walk *at = lua_touserdata(L, lua_upvalueindex(4));
  tw_match m;
  tw_match_init(&m, L, guard_of(L), text, len, pattern, pattern_len);
  for (; at->from <= len; at->from++) {
    const char *start = text + at->from;
    const char *end = tw_match_at(&m, start, pattern);
    if (!end || (size_t)(end - text) == at->last) continue;
    at->from = at->last = (size_t)(end - text);
    return tw_match_push(&m, start, end);
  }
  return 0;
}

static int gmatch(lua_State *L) {
  size_t len;
  luaL_checklstring(L, 1, &len);
  luaL_checkstring(L, 2);
  size_t from = place_of(luaL_optinteger(L, 3, 1), len);
  lua_settop(L, 2);
  walk *at = lua_newuserdatauv(L, sizeof *at, 0);
  *at = (walk){from > len ? len + 1 : from, SIZE_MAX};
  lua_pushlightuserdata(L, tw_lua_self(L));
  lua_insert(L, 1);
  lua_pushcclosure(L, next_match, 4);
  return 1;
}

/* ------------------------------------------------------------------- gsub */

static void add_capture(tw_match *m, luaL_Buffer *out, int index, const char *start,
                        const char *end) {
  tw_match_push_one(m, index, start, end);
  luaL_tolstring(m->L, -1, NULL); /* a position */
  lua_remove(m->L, -2);
  luaL_addvalue(out);
}

static void add_text(tw_match *m, luaL_Buffer *out, const char *start, const char *end) {
  size_t len;
  const char *text = lua_tolstring(m->L, 3, &len), *last = text + len, *escape;
  tw_match_count(m, len); /* captures that are empty add nothing, however many */
  while ((escape = memchr(text, '%', (size_t)(last - text)))) {
    luaL_addlstring(out, text, (size_t)(escape - text));
    const char c = (char)(escape + 1 < last ? escape[1] : '\0');
    if (c == '%') luaL_addchar(out, '%');
    else if (c == '0') luaL_addlstring(out, start, (size_t)(end - start));
    else if (c >= '1' && c <= '9') add_capture(m, out, c - '1', start, end);
    else luaL_error(m->L, "invalid use of '%%' in replacement string");
    text = escape + 2;
  }
  luaL_addlstring(out, text, (size_t)(last - text));
}

/* What replaces a match. @return whether it is another text */
static bool add_replacement(tw_match *m, luaL_Buffer *out, const char *start, const char *end,
                            int type) {
  lua_State *L = m->L;
  if (type == LUA_TFUNCTION) {
    lua_pushvalue(L, 3);
    lua_call(L, tw_match_push(m, start, end), 1);
  } else if (type == LUA_TTABLE) {
    tw_match_push_one(m, 0, start, end);
    lua_gettable(L, 3);
  } else {
    add_text(m, out, start, end);
    return true;
  }
  if (!lua_toboolean(L, -1)) {
    lua_pop(L, 1);
    luaL_addlstring(out, start, (size_t)(end - start));
    return false;
  }
  if (!lua_isstring(L, -1))
    luaL_error(L, "invalid replacement value (a %s)", luaL_typename(L, -1));
  luaL_addvalue(out);
  return true;
}

static int check_replacement(lua_State *L) {
  int type = lua_type(L, 3);
  bool fits =
      type == LUA_TNUMBER || type == LUA_TSTRING || type == LUA_TFUNCTION || type == LUA_TTABLE;
  luaL_argexpected(L, fits, 3, "string/function/table");
  return type;
}

/* An empty match right behind the one before is none: the character there goes on as it is. */
static int gsub(lua_State *L) {
  size_t len, pattern_len;
  const char *at = luaL_checklstring(L, 1, &len), *last = NULL;
  const char *pattern = luaL_checklstring(L, 2, &pattern_len);
  int type = check_replacement(L);
  lua_Integer most = luaL_optinteger(L, 4, (lua_Integer)len + 1), count = 0;
  bool anchored = pattern_len && *pattern == '^', changed = false;
  tw_match m;
  luaL_Buffer out;
  tw_match_init(&m, L, guard_of(L), at, len, pattern, pattern_len);
  pattern += anchored;
  luaL_buffinit(L, &out);
  while (count < most) {
    const char *end = tw_match_at(&m, at, pattern);
    if (end && end != last) {
      count++;
      changed = add_replacement(&m, &out, at, end, type) || changed;
      at = last = end;
    } else if (at < m.subject_end) {
      luaL_addchar(&out, *at++);
    } else {
      break;
    }
    if (anchored) break;
  }
  luaL_addlstring(&out, at, (size_t)(m.subject_end - at));
  luaL_pushresult(&out);
  if (!changed) lua_pushvalue(L, 1);
  lua_pushinteger(L, count);
  return 2;
}

/* -------------------------------------------------------------------- rep */

/* Upvalues: the tw_lua, Lua's own. */
static int rep(lua_State *L) {
  size_t len, separator;
  luaL_checklstring(L, 1, &len);
  luaL_checkinteger(L, 2);
  luaL_optlstring(L, 3, "", &separator);
  if (!len && !separator) {
    lua_pushliteral(L, "");
    return 1;
  }
  lua_pushvalue(L, lua_upvalueindex(2));
  lua_insert(L, 1);
  lua_call(L, lua_gettop(L) - 1, 1);
  return 1;
}

void tw_string_open(lua_State *L, tw_lua *lua) {
  static const luaL_Reg functions[] = {
      {"find", find}, {"match", match}, {"gmatch", gmatch}, {"gsub", gsub}, {NULL, NULL}};
  tw_lua_setfuncs(L, lua, functions);
  lua_pushlightuserdata(L, lua);
  lua_getfield(L, -2, "rep");
  lua_pushcclosure(L, rep, 2);
  lua_setfield(L, -2, "rep");
  lua_pushnil(L);
  lua_setfield(L, -2, "dump");
}
