/// regex_inside.h: what the files of tidewire.regex share.
#ifndef TW_SCRIPT_REGEX_INSIDE_H
#define TW_SCRIPT_REGEX_INSIDE_H

#include "script/sandbox/pcre.h"
#include "script/state/state.h"

/// Of the userdata, whose user values are the pattern and the flags.
typedef struct tw_regex_object {
  tw_owner owner; ///< first
  tw_pcre pcre;
} tw_regex_object;

/// The regex at stack index 1 or an upvalue; raises otherwise.
tw_pcre *tw_regex_check(lua_State *L, const tw_lua *lua, int index);
/// tw_pcre_match for Lua: tells the guard, and raises. @return whether there is a match
bool tw_regex_search(lua_State *L, tw_pcre *pcre, const char *text, size_t len, size_t from,
                     bool again, tw_found *found);
/// Pushes a group's text, or false when it took no part.
void tw_regex_push_group(lua_State *L, const char *text, const tw_found *found, uint32_t group);
/// Pushes all groups; the whole match when there are none. @return how many
int tw_regex_push_groups(lua_State *L, const char *text, const tw_found *found);

/// regex:gsub(text, replacement, [most]) -> text, count
int tw_regex_gsub(lua_State *L);

#endif
