/// search.h: the files of router scripts: the script itself, and `require` in it.
#ifndef TW_SCRIPT_SEARCH_H
#define TW_SCRIPT_SEARCH_H

#include <lua.h>

#include "script/sandbox/snapshot.h"

/// luaL_loadbufferx of a file of the snapshot, text only; a first line with # is skipped.
/// Leaves the chunk or the message. @return Lua's status
int tw_search_load(lua_State *L, const tw_source *source);

/// Lets `require` find modules in the script's folder first, and return a module alone.
///
/// Lua's own returns where it found the module besides, so that in the declaration
/// `processors = { require "geo" }` the list would get a path as its second entry.
/// @param script    the script's path. Raises without memory
/// @param snapshot  borrowed: lives as long as the state
void tw_search_setup(lua_State *L, const char *script, tw_snapshot *snapshot);

#endif
