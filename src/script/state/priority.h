/// priority.h: how much an event matters, as Lua says it: "high", "normal", "low".
#ifndef TW_SCRIPT_PRIORITY_H
#define TW_SCRIPT_PRIORITY_H

#include "script/state/state.h"

/// Reads the word at `index`. Never raises, makes nothing.
/// @return TW_ETYPE or TW_EINVAL for anything else
tw_status tw_priority_read(lua_State *L, int index, tw_priority *out, tw_error *error);
/// The same; raises a misuse.
tw_priority tw_lua_check_priority(lua_State *L, int index);
/// @return the word
const char *tw_priority_word(tw_priority priority);

#endif
