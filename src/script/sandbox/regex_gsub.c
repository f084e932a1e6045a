/* regex:gsub. A replacement text is read anew for each match: what it names is looked up in the
   pattern, and a mistake in it is found by the first match, as with string.gsub. */
#include <string.h>

#include "script/sandbox/regex_inside.h"
#include "script/state/message.h"

enum { TEXT = 2, REPLACEMENT = 3 }; /* stack indices of the arguments */

enum { LONGEST_NAME = 32 };

typedef struct change {
  lua_State *L;
  tw_pcre *pcre;
  const char *text;
  size_t len;
  int type; /* of the replacement */
  tw_found found;
} change;

/* ------------------------------------------------------------------- text */

static void add_group(change *c, luaL_Buffer *out, uint32_t group) {
  const size_t *at = c->found.at + (size_t)2 * group;
  if (at[0] != PCRE2_UNSET) luaL_addlstring(out, c->text + at[0], at[1] - at[0]);
}

static bool is_digit(char c) { return c >= '0' && c <= '9'; }

/* A number of a group. @return the end of it; NULL when it is none */
static const char *read_number(const char *at, const char *end, uint32_t *group) {
  if (at == end || !is_digit(*at)) return NULL;
  for (*group = 0; at < end && is_digit(*at); at++)
    if (*group <= TW_PCRE_GROUPS) *group = *group * 10 + (uint32_t)(*at - '0');
  return at;
}

/* A name may stand for several groups: the first of them that took part. */
static bool find_name(const change *c, const char *name, uint32_t *group) {
  PCRE2_SPTR first, last;
  int size = pcre2_substring_nametable_scan(c->pcre->quick, (PCRE2_SPTR)name, &first, &last);
  if (size < 0) return false;
  for (PCRE2_SPTR entry = first;; entry += size) {
    *group = (uint32_t)entry[0] << 8 | entry[1];
    if (c->found.at[(size_t)2 * *group] != PCRE2_UNSET || entry == last) return true;
  }
}

static int refuse_group(const change *c, const char *name, size_t len) {
  lua_pushlstring(c->L, name, len);
  return tw_lua_raise(c->L, "gsub: the pattern has no group \"%s\" for the replacement",
                      lua_tostring(c->L, -1));
}

static int refuse_dollar(const change *c) {
  return tw_lua_raise(c->L,
                      "gsub: in a replacement, a group is $1 or ${name}, and $$ is a "
                      "dollar sign");
}

/* What stands behind a `$`, in braces. @return the end of it */
static const char *read_braces(const change *c, const char *at, const char *end,
                               uint32_t *group) {
  const char *close = memchr(at, '}', (size_t)(end - at));
  char name[LONGEST_NAME + 1];
  if (!close || close == at) return refuse_dollar(c), NULL;
  size_t len = (size_t)(close - at);
  if (is_digit(*at)) {
    if (read_number(at, close, group) != close) refuse_group(c, at, len);
    return close + 1;
  }
  if (len > LONGEST_NAME) return refuse_group(c, at, len), NULL;
  memcpy(name, at, len);
  name[len] = '\0';
  if (!find_name(c, name, group)) refuse_group(c, at, len);
  return close + 1;
}

static const char *add_reference(change *c, luaL_Buffer *out, const char *at, const char *end) {
  uint32_t group = 0;
  if (at < end && *at == '$') {
    luaL_addchar(out, '$');
    return at + 1;
  }
  const char *after = at < end && *at == '{' ? read_braces(c, at + 1, end, &group)
                                             : read_number(at, end, &group);
  if (!after) return refuse_dollar(c), NULL;
  if (group > c->found.groups) refuse_group(c, at, (size_t)(after - at));
  add_group(c, out, group);
  return after;
}

static void add_template(change *c, luaL_Buffer *out) {
  size_t len;
  const char *at = lua_tolstring(c->L, REPLACEMENT, &len), *end = at + len, *dollar;
  c->pcre->space->done += len / 16;
  while ((dollar = memchr(at, '$', (size_t)(end - at)))) {
    luaL_addlstring(out, at, (size_t)(dollar - at));
    at = add_reference(c, out, dollar + 1, end);
  }
  luaL_addlstring(out, at, (size_t)(end - at));
}

/* ------------------------------------------------------------------ values */

/* A function or a table says what stands instead; false and nil leave the match as it is. */
static void add_value(change *c, luaL_Buffer *out) {
  lua_State *L = c->L;
  if (c->type == LUA_TFUNCTION) {
    lua_pushvalue(L, REPLACEMENT);
    lua_call(L, tw_regex_push_groups(L, c->text, &c->found), 1);
  } else {
    tw_regex_push_group(L, c->text, &c->found, c->found.groups ? 1 : 0);
    lua_gettable(L, REPLACEMENT);
  }
  if (!lua_toboolean(L, -1)) {
    lua_pop(L, 1);
    add_group(c, out, 0);
  } else if (lua_isstring(L, -1)) {
    luaL_addvalue(out);
  } else {
    tw_lua_raise(L, "gsub: the replacement must be a string or a number, not %s",
                 tw_lua_describe(L, -1));
  }
}

static int check_replacement(lua_State *L) {
  int type = lua_type(L, REPLACEMENT);
  bool fits =
      type == LUA_TNUMBER || type == LUA_TSTRING || type == LUA_TFUNCTION || type == LUA_TTABLE;
  luaL_argexpected(L, fits, REPLACEMENT, "string/function/table");
  return type;
}

int tw_regex_gsub(lua_State *L) {
  change c = {.L = L, .pcre = tw_regex_check(L, tw_lua_self(L), 1)};
  c.text = luaL_checklstring(L, TEXT, &c.len);
  c.type = check_replacement(L);
  lua_Integer most = luaL_optinteger(L, 4, LUA_MAXINTEGER), count = 0;
  size_t from = 0;
  luaL_Buffer out;
  luaL_buffinit(L, &out);
  for (; count < most; count++) {
    if (!tw_regex_search(L, c.pcre, c.text, c.len, from, count > 0, &c.found)) break;
    luaL_addlstring(&out, c.text + from, c.found.at[0] - from);
    if (c.type == LUA_TFUNCTION || c.type == LUA_TTABLE) add_value(&c, &out);
    else add_template(&c, &out);
    from = c.found.at[1];
  }
  luaL_addlstring(&out, c.text + from, c.len - from);
  luaL_pushresult(&out);
  lua_pushinteger(L, count);
  return 2;
}
