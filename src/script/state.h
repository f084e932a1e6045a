/// state.h: what Tidewire keeps for one Lua state.
///
/// Every C function of the bindings has the `tw_lua` as its first upvalue.
#ifndef TW_SCRIPT_STATE_H
#define TW_SCRIPT_STATE_H

#include <lauxlib.h>
#include <lua.h>

#include "base/buffer.h"
#include "event/event.h"

/// Events that may be bound at the same time: the depth of routers and emits inside of emits.
#define TW_MAX_BOUND 64

/// A live event and the serial number that views of it carry.
typedef struct tw_binding {
  uint64_t serial; ///< 0: free
  tw_event *event;
} tw_binding;

typedef struct tw_lua {
  lua_State *L;    ///< the main thread
  bool light;      ///< views are light userdata: only in states that are ours alone
  uint64_t serial; ///< of the newest binding
  tw_binding bound[TW_MAX_BOUND]; ///< serial s stands at s % TW_MAX_BOUND
  tw_buffer scratch;              ///< for one value on its way to JSON
  tw_limits limits;               ///< of events made here
  int view_meta;                  ///< registry references: the metatable of views,
  int array_meta;                 ///< the mark of tables made with tidewire.array,
  int drop_mark;                  ///< the value that tidewire.drop raises,
  int split_meta;                 ///< the mark of lists made with tidewire.split
  uint32_t depth;                 ///< nested emits
} tw_lua;

static inline tw_lua *tw_lua_self(lua_State *L) {
  return lua_touserdata(L, lua_upvalueindex(1));
}

/// Pushes a C function with the tw_lua as its first upvalue.
static inline void tw_lua_pushfunction(lua_State *L, tw_lua *lua, lua_CFunction function) {
  lua_pushlightuserdata(L, lua);
  lua_pushcclosure(L, function, 1);
}
/// luaL_setfuncs for such functions, into the table on top.
static inline void tw_lua_setfuncs(lua_State *L, tw_lua *lua, const luaL_Reg *functions) {
  lua_pushlightuserdata(L, lua);
  luaL_setfuncs(L, functions, 1);
}

#endif
