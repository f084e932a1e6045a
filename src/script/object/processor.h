/// processor.h: processors, routes and observers that are Lua functions.
#ifndef TW_SCRIPT_PROCESSOR_H
#define TW_SCRIPT_PROCESSOR_H

#include "script/state/gate.h"

/// Makes a processor of the callable value at `index`. Raises out of memory.
tw_status tw_lua_processor_new(lua_State *L, tw_lua *lua, int index, int holds,
                               const char *name, tw_on_error on_error, tw_processor **out,
                               tw_error *error);
/// Makes the function at `index` the route of a router.
tw_status tw_lua_route_set(lua_State *L, tw_lua *lua, int index, int holds, tw_router *router,
                           tw_error *error);
/// Tells the functions at `failed` and `dead`, either of which may be nil, about failures.
tw_status tw_lua_observer_set(lua_State *L, tw_lua *lua, int failed, int dead, int holds,
                              tw_router *router, tw_error *error);

#endif
