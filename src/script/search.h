/// search.h: `require` in router scripts.
#ifndef TW_SCRIPT_SEARCH_H
#define TW_SCRIPT_SEARCH_H

#include <lua.h>

/// Lets `require` find modules in the script's folder first, and return a module alone.
///
/// Lua's own returns where it found the module besides, so that in the declaration
/// `processors = { require "geo" }` the list would get a path as its second entry.
/// @param script  the script's path. Raises without memory
void tw_search_setup(lua_State *L, const char *script);

#endif
