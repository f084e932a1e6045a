/* tidewire.regex objects: PCRE2 patterns over strings.

   Offsets of a match are copied out of PCRE2 before anything is pushed: pushing may collect
   garbage, and a finalizer of a host's may match again. */
#include "script/sandbox/regex_inside.h"
#include "script/state/bindings.h"
#include "script/state/message.h"

static const char space_key = 0;

/* ------------------------------------------------------------------ space */

typedef struct shared_space {
  tw_owner owner; /* first */
  tw_pcre_space space;
} shared_space;

static void close_space(tw_owner *owner) {
  tw_pcre_space_close(&((shared_space *)owner)->space);
}

static int space_gc(lua_State *L) {
  tw_lua_disown(lua_touserdata(L, 1));
  return 0;
}

/* The space of the state, made by the first pattern. The registry keeps it. */
static tw_pcre_space *space_of(lua_State *L, tw_lua *lua) {
  lua_rawgetp(L, LUA_REGISTRYINDEX, &space_key);
  shared_space *self = lua_touserdata(L, -1);
  lua_pop(L, 1);
  if (self) return &self->space;
  self = lua_newuserdatauv(L, sizeof *self, 0);
  memset(self, 0, sizeof *self);
  lua_createtable(L, 0, 1);
  lua_pushcfunction(L, space_gc);
  lua_setfield(L, -2, "__gc");
  lua_setmetatable(L, -2);
  tw_lua_own(L, lua, &self->owner, close_space);
  tw_error error;
  if (tw_pcre_space_open(&self->space, lua->guard, &error)) luaL_error(L, "%s", error.message);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &space_key);
  return &self->space;
}

/* ---------------------------------------------------------------- compile */

static const struct {
  char letter;
  uint32_t option;
} flags[] = {{'i', PCRE2_CASELESS}, {'m', PCRE2_MULTILINE}, {'s', PCRE2_DOTALL},
             {'x', PCRE2_EXTENDED}, {'u', PCRE2_UCP},       {'U', PCRE2_UNGREEDY}};

static uint32_t option_of(lua_State *L, char letter) {
  for (size_t i = 0; i < sizeof flags / sizeof *flags; i++)
    if (flags[i].letter == letter) return flags[i].option;
  tw_lua_misuse(L, "regex: unknown flag '%c'; there are i, m, s, x, u and U", letter);
  return 0;
}

static const char *check_string(lua_State *L, int index, const char *name, size_t *len) {
  if (lua_type(L, index) != LUA_TSTRING)
    tw_lua_misuse(L, "regex: '%s' must be a string, not %s", name, tw_lua_describe(L, index));
  return lua_tolstring(L, index, len);
}

static uint32_t check_flags(lua_State *L) {
  uint32_t options = 0;
  size_t len;
  if (lua_isnoneornil(L, 2)) return 0;
  const char *letters = check_string(L, 2, "flags", &len);
  for (size_t i = 0; i < len; i++) options |= option_of(L, letters[i]);
  return options;
}

/* Patterns that Lua has not collected yet may hold the memory that there is none of. */
static void compile(lua_State *L, tw_pcre_space *space, uint32_t options, tw_pcre *out) {
  tw_error error;
  size_t len;
  const char *pattern = check_string(L, 1, "pattern", &len);
  tw_status status = tw_pcre_open(space, pattern, len, options, out, &error);
  if (status == TW_ENOMEM) {
    lua_gc(L, LUA_GCCOLLECT);
    status = tw_pcre_open(space, pattern, len, options, out, &error);
  }
  tw_pcre_tell(space, L);
  if (status == TW_ENOMEM) luaL_error(L, "out of memory");
  if (status) tw_lua_misuse(L, "regex: %s", error.message);
}

/* The collector sees a small userdata: tells it how much there is to be won, with the watched
   twin that the pattern may get. */
static void tell_collector(lua_State *L, const tw_pcre *pcre) {
  lua_gc(L, LUA_GCSTEP, (int)(4 * tw_pcre_size(pcre) / 1024 + 1));
}

static void close_regex(tw_owner *owner) { tw_pcre_close(&((tw_regex_object *)owner)->pcre); }

static int regex_gc(lua_State *L) {
  tw_lua_disown(lua_touserdata(L, 1));
  return 0;
}

/* tidewire.regex(pattern, [flags]) -> regex */
static int new_regex(lua_State *L) {
  tw_lua *lua = tw_lua_self(L);
  size_t len;
  check_string(L, 1, "pattern", &len);
  uint32_t options = check_flags(L);
  lua_settop(L, 2);
  tw_pcre_space *space = space_of(L, lua);
  tw_regex_object *self = lua_newuserdatauv(L, sizeof *self, 2);
  memset(self, 0, sizeof *self);
  tw_lua_push_mark(L, lua, TW_MARK_REGEX);
  lua_setmetatable(L, -2);
  tw_lua_own(L, lua, &self->owner, close_regex);
  for (int i = 1; i <= 2; i++) {
    lua_pushvalue(L, i);
    lua_setiuservalue(L, -2, i);
  }
  compile(L, space, options, &self->pcre);
  tell_collector(L, &self->pcre);
  return 1;
}

/* ------------------------------------------------------------------ match */

tw_pcre *tw_regex_check(lua_State *L, const tw_lua *lua, int index) {
  bool is_regex = lua_isuserdata(L, index) && tw_lua_has_mark(L, lua, index, TW_MARK_REGEX);
  tw_regex_object *self = is_regex ? lua_touserdata(L, index) : NULL;
  if (!self) return luaL_typeerror(L, index, "tidewire.regex"), NULL;
  if (!self->pcre.quick || !self->pcre.space->data)
    tw_lua_raise(L, "a regex cannot be used while the Lua state is being closed");
  return &self->pcre;
}

bool tw_regex_search(lua_State *L, tw_pcre *pcre, const char *text, size_t len, size_t from,
                     bool again, tw_found *found) {
  tw_error error;
  tw_status status = tw_pcre_match(pcre, text, len, from, again, found, &error);
  if (status == TW_OK || status == TW_ENOENT) {
    tw_pcre_tell(pcre->space, L);
    return status == TW_OK;
  }
  tw_pcre_tell_all(pcre->space, L);
  if (status == TW_ENOMEM) luaL_error(L, "out of memory");
  return tw_lua_raise(L, "%s", error.message);
}

void tw_regex_push_group(lua_State *L, const char *text, const tw_found *found,
                         uint32_t group) {
  const size_t *at = found->at + (size_t)2 * group;
  if (at[0] == PCRE2_UNSET) lua_pushboolean(L, 0);
  else lua_pushlstring(L, text + at[0], at[1] - at[0]);
}

/* Groups from `first` on. */
static int push_from(lua_State *L, const char *text, const tw_found *found, uint32_t first) {
  luaL_checkstack(L, (int)found->groups + 1, "too many groups");
  for (uint32_t group = first; group <= found->groups; group++)
    tw_regex_push_group(L, text, found, group);
  return (int)(found->groups + 1 - first);
}

int tw_regex_push_groups(lua_State *L, const char *text, const tw_found *found) {
  return push_from(L, text, found, found->groups ? 1 : 0);
}

/* The subject of a method at stack index 2, and where to begin, at 3. @return whether that is
   in the text */
static bool check_text(lua_State *L, const char **text, size_t *len, size_t *from) {
  *text = luaL_checklstring(L, 2, len);
  lua_Integer at = luaL_optinteger(L, 3, 1), size = (lua_Integer)*len;
  if (at < 0) at = at < -size ? 1 : size + at + 1;
  *from = at > 0 ? (size_t)at - 1 : 0;
  return *from <= *len;
}

/* The match that a method is about; false when there is none. */
static bool find_in(lua_State *L, const char **text, tw_found *found) {
  size_t len, from;
  tw_pcre *pcre = tw_regex_check(L, tw_lua_self(L), 1);
  return check_text(L, text, &len, &from) &&
         tw_regex_search(L, pcre, *text, len, from, false, found);
}

/* regex:match(text, [init]) -> groups, or the whole match; nil */
static int match(lua_State *L) {
  const char *text;
  tw_found found;
  if (find_in(L, &text, &found)) return tw_regex_push_groups(L, text, &found);
  lua_pushnil(L);
  return 1;
}

/* regex:find(text, [init]) -> start, end, groups; nil */
static int find(lua_State *L) {
  const char *text;
  tw_found found;
  if (!find_in(L, &text, &found)) return lua_pushnil(L), 1;
  lua_pushinteger(L, (lua_Integer)found.at[0] + 1);
  lua_pushinteger(L, (lua_Integer)found.at[1]);
  return 2 + push_from(L, text, &found, 1);
}

/* regex:test(text, [init]) -> boolean */
static int test(lua_State *L) {
  const char *text;
  tw_found found;
  lua_pushboolean(L, find_in(L, &text, &found));
  return 1;
}

/* --------------------------------------------------------------- captures */

/* Sets the groups that have names in the table on top. Where a name is given to several, the
   one that took part counts. */
static void set_names(lua_State *L, const tw_pcre *pcre, const char *text,
                      const tw_found *found) {
  uint32_t count = 0, size = 0;
  PCRE2_SPTR entry = NULL;
  pcre2_pattern_info(pcre->quick, PCRE2_INFO_NAMECOUNT, &count);
  pcre2_pattern_info(pcre->quick, PCRE2_INFO_NAMEENTRYSIZE, &size);
  pcre2_pattern_info(pcre->quick, PCRE2_INFO_NAMETABLE, &entry);
  for (; count; count--, entry += size) {
    const char *name = (const char *)entry + 2;
    lua_getfield(L, -1, name);
    bool is_set = lua_toboolean(L, -1);
    lua_pop(L, 1);
    if (is_set) continue;
    tw_regex_push_group(L, text, found, (uint32_t)entry[0] << 8 | entry[1]);
    lua_setfield(L, -2, name);
  }
}

/* regex:captures(text, [init]) -> { [0] = whole match, groups, name = group }; nil */
static int captures(lua_State *L) {
  const char *text;
  tw_found found;
  if (!find_in(L, &text, &found)) return lua_pushnil(L), 1;
  lua_createtable(L, (int)found.groups, 1);
  for (uint32_t group = 0; group <= found.groups; group++) {
    tw_regex_push_group(L, text, &found, group);
    lua_rawseti(L, -2, (lua_Integer)group);
  }
  set_names(L, tw_regex_check(L, tw_lua_self(L), 1), text, &found);
  return 1;
}

/* ----------------------------------------------------------------- gmatch */

typedef struct walk {
  size_t from;
  bool again; /* a match ended there */
  bool ended;
} walk;

/* Upvalues: the tw_lua, regex, text, walk. */
static int next_match(lua_State *L) {
  size_t len;
  tw_found found;
  tw_pcre *pcre = tw_regex_check(L, tw_lua_self(L), lua_upvalueindex(2));
  const char *text = lua_tolstring(L, lua_upvalueindex(3), &len);
  walk *at = lua_touserdata(L, lua_upvalueindex(4));
  if (at->ended) return 0;
  at->ended = !tw_regex_search(L, pcre, text, len, at->from, at->again, &found);
  if (at->ended) return 0;
  at->from = found.at[1];
  at->again = true;
  return tw_regex_push_groups(L, text, &found);
}

/* regex:gmatch(text, [init]) -> iterator */
static int gmatch(lua_State *L) {
  const char *text;
  size_t len, from;
  tw_lua *lua = tw_lua_self(L);
  tw_regex_check(L, lua, 1);
  bool ended = !check_text(L, &text, &len, &from);
  lua_settop(L, 2);
  walk *at = lua_newuserdatauv(L, sizeof *at, 0);
  *at = (walk){from, false, ended};
  lua_pushlightuserdata(L, lua);
  lua_insert(L, 1);
  lua_pushcclosure(L, next_match, 4);
  return 1;
}

/* ------------------------------------------------------------------- open */

/* A method, or the field `pattern`; upvalues: the tw_lua, methods, "pattern". */
static int get_field(lua_State *L) {
  lua_settop(L, 2);
  lua_pushvalue(L, 2);
  if (lua_rawget(L, lua_upvalueindex(2)) != LUA_TNIL) return 1;
  if (!lua_rawequal(L, 2, lua_upvalueindex(3))) return 1;
  tw_regex_check(L, tw_lua_self(L), 1);
  lua_getiuservalue(L, 1, 1);
  return 1;
}

/* tidewire.regex("^a", "i") */
static int to_string(lua_State *L) {
  tw_regex_check(L, tw_lua_self(L), 1);
  lua_getiuservalue(L, 1, 1);
  const char *pattern = lua_tostring(L, -1);
  if (lua_getiuservalue(L, 1, 2) == LUA_TSTRING && *lua_tostring(L, -1))
    lua_pushfstring(L, "tidewire.regex(\"%s\", \"%s\")", pattern, lua_tostring(L, -1));
  else lua_pushfstring(L, "tidewire.regex(\"%s\")", pattern);
  return 1;
}

void tw_lua_open_regex(lua_State *L, tw_lua *lua) {
  static const luaL_Reg methods[] = {
      {"match", match},   {"find", find},          {"test", test}, {"captures", captures},
      {"gmatch", gmatch}, {"gsub", tw_regex_gsub}, {NULL, NULL}};
  static const luaL_Reg meta[] = {{"__gc", regex_gc}, {"__tostring", to_string}, {NULL, NULL}};
  tw_lua_new_mark(L, lua, TW_MARK_REGEX, "tidewire.regex");
  tw_lua_setfuncs(L, lua, meta);
  lua_pushlightuserdata(L, lua);
  lua_newtable(L);
  tw_lua_setfuncs(L, lua, methods);
  lua_pushliteral(L, "pattern");
  lua_pushcclosure(L, get_field, 3);
  lua_setfield(L, -2, "__index");
  lua_pop(L, 1);
  tw_lua_pushfunction(L, lua, new_regex);
  lua_setfield(L, -2, "regex");
}
