/// state.h: what Tidewire keeps for one Lua state.
///
/// Every C function of the bindings has the `tw_lua` as its first upvalue.
#ifndef TW_SCRIPT_STATE_H
#define TW_SCRIPT_STATE_H

#include <lauxlib.h>
#include <lua.h>

#include "base/buffer.h"
#include "base/clock.h"
#include "event/event.h"

/// Events that may be bound at the same time: the depth of routers and emits inside of emits.
#define TW_MAX_BOUND 64

/// A live event and the serial number that views of it carry.
typedef struct tw_binding {
  uint64_t serial;
  tw_event *event; ///< NULL: free
} tw_binding;

/// The metatables by which values of ours are known.
typedef enum tw_mark {
  TW_MARK_VIEW,    ///< of views that are full userdata
  TW_MARK_OWNED,   ///< of the boxes that own an event
  TW_MARK_ARRAY,   ///< of tables made with tidewire.array
  TW_MARK_SPLIT,   ///< of lists made with tidewire.split
  TW_MARK_DROP,    ///< of the value that tidewire.drop raises
  TW_MARK_ANSWER,  ///< of what a backend answers; see answer.h
  TW_MARK_PATH,    ///< of tidewire.path objects
  TW_MARK_REGEX,   ///< of tidewire.regex objects
  TW_MARK_BREAKER, ///< of the breakers of timers
  TW_MARKS
} tw_mark;

/// A part of a userdata that owns memory outside of Lua. Lua calls no __gc of a userdata
/// made while the state is being closed, so those that are left then are closed by the
/// tw_lua, whose own __gc comes last.
typedef struct tw_owner {
  struct tw_owner *prev, *next;
  void (*close)(struct tw_owner *self);
} tw_owner;

typedef struct tw_lua {
  lua_State *L;    ///< the main thread; NULL when the Lua state is being closed
  bool light;      ///< views are light userdata: only in states that are ours alone
  uint64_t serial; ///< of the newest event made visible; never used twice
  tw_binding bound[TW_MAX_BOUND]; ///< serial s stands at s % TW_MAX_BOUND
  const void *marks[TW_MARKS];    ///< addresses of the metatables, which the registry keeps
  tw_buffer scratch;              ///< for one value on its way to JSON; see tw_lua_scratch
  tw_limits limits;               ///< of events made here
  int roots;                      ///< registry reference: the newest root view of each binding
  tw_owner owners;                ///< head of the ring of those that live
  uint32_t depth;                 ///< nested emits
  tw_clock clock;                 ///< of scripts and timers; see time.h
  int64_t due;                    ///< when the next timer wants to run; TW_NEVER
  int64_t hand_us;                ///< the time of a clock that a test turns by hand
  bool by_hand;                   ///< there is such a one
  bool ticking;                   ///< timers are being run
  unsigned closings;              ///< coroutines that are being closed, nested; protect.c
  int hooks;                      ///< registry reference: functions of the library; time.h
  struct tw_acks *acks;           ///< that were asked for, see acks.h; NULL: none was
  struct tw_gate *gate;           ///< for C objects that call into this state; see gate.h
  struct tw_guard *guard;         ///< the limits of a script's state; NULL in a host's
} tw_lua;

/// What Tidewire keeps for this Lua state, made by the first call. It lives in the registry
/// and ends with the state. Raises without memory: call it in protected mode.
///
/// @param light  the state is ours alone: all light userdata get the metatable of views
tw_lua *tw_lua_new(lua_State *L, bool light);

static inline tw_lua *tw_lua_self(lua_State *L) {
  return lua_touserdata(L, lua_upvalueindex(1));
}

/// The same in a state of ours, faster: it is in the extra space of every coroutine.
static inline tw_lua *tw_lua_light(lua_State *L) { return *(tw_lua **)lua_getextraspace(L); }

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

/// Makes a mark's metatable, pushes it and keeps it in the registry.
void tw_lua_new_mark(lua_State *L, tw_lua *lua, tw_mark mark, const char *name);
/// Pushes a mark's metatable. Never raises.
void tw_lua_push_mark(lua_State *L, const tw_lua *lua, tw_mark mark);
/// @return whether the table or userdata at `index` has that metatable. Never raises; wants
///         one free slot
bool tw_lua_has_mark(lua_State *L, const tw_lua *lua, int index, tw_mark mark);
/// Whether an error value is the one of tidewire.drop.
static inline bool tw_lua_is_drop(lua_State *L, const tw_lua *lua, int index) {
  return tw_lua_has_mark(L, lua, index, TW_MARK_DROP);
}
/// Whether a value is a list made with tidewire.split.
static inline bool tw_lua_is_split(lua_State *L, const tw_lua *lua, int index) {
  return tw_lua_has_mark(L, lua, index, TW_MARK_SPLIT);
}

/// The emptied scratch buffer, for what needs memory that an error must not leak. A call of
/// Lua that may collect garbage may run a finalizer that uses it again: have done with it
/// before. Raises when the state is being closed.
tw_buffer *tw_lua_scratch(lua_State *L, tw_lua *lua);

/// Adds an owner; cannot fail. Raises when the state is being closed.
void tw_lua_own(lua_State *L, tw_lua *lua, tw_owner *owner, void (*close)(tw_owner *self));
/// Closes an owner and takes it out; the second time does nothing. For __gc.
void tw_lua_disown(tw_owner *owner);

/// luaL_error with the position of the user's innermost Lua function, also when a function of
/// the standard library, such as table.insert, or of ours stands between.
int tw_lua_raise(lua_State *L, const char *format, ...);
/// Pushes nil, the message and the code's name. @return 3
int tw_lua_fail(lua_State *L, const tw_error *error);

#endif
