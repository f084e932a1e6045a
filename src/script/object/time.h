/// time.h: the clock of a Lua state, and the timers that run on it.
///
/// The timers themselves are the Lua library's (timers.lua). C knows only when the next one
/// wants to run, so that a state without timers pays one comparison, and calls it through
/// the gate, so that a timer has the limits and the error handling of any other callback.
#ifndef TW_SCRIPT_TIME_H
#define TW_SCRIPT_TIME_H

#include "script/state/gate.h"

/// `due` of a state without timers.
#define TW_NEVER INT64_MAX

/// The functions that the Lua library gives to C, in the list `hooks`.
typedef enum tw_hook {
  TW_HOOK_POP = 1, ///< pop(now, first) -> the next timer that is due, its name and its breaker
  TW_HOOK_SHIFT,   ///< shift(by): the clock was changed
  TW_HOOK_FINISH,  ///< finish(reason): the last call
  TW_HOOK_EXPORT,  ///< export() -> JSON text
  TW_HOOK_IMPORT   ///< import(JSON text)
} tw_hook;

/// Microseconds since 1970 by the state's clock.
int64_t tw_lua_utc(const tw_lua *lua);
/// Microseconds on its clock that is never set back.
int64_t tw_lua_steady(const tw_lua *lua);
/// Replaces the clock. Timers keep how long they have to wait. May raise.
void tw_lua_set_clock(lua_State *L, tw_lua *lua, const tw_clock *clock);

/// Whether a timer wants to run.
static inline bool tw_timers_due(const tw_lua *lua) {
  return lua->due != TW_NEVER && !lua->ticking && lua->due <= tw_lua_steady(lua);
}
/// Runs every timer that is due, once. Timers may emit.
/// @param told  whose observer is told what fails; NULL: the first failure is the result
tw_status tw_timers_run(tw_gate *gate, tw_router *told, tw_error *error);
/// The same for a Lua program that has no loop of ours: runs what is due unless an event is
/// under way.
void tw_timers_between(lua_State *L, tw_lua *lua, tw_router *told);

/// Calls a hook with a text (NULL: none), and appends the text that it returns to `out`
/// (NULL: none is wanted).
tw_status tw_hook_call(tw_gate *gate, tw_hook hook, const char *text, size_t len,
                       tw_buffer *out, tw_error *error);

/// Adds what the library needs to the table on top, the module `tidewire.core`.
void tw_open_time(lua_State *L, tw_lua *lua);
/// Sets `now`, `format_time` and `parse_time` into the module table on top.
void tw_lua_open_time(lua_State *L, tw_lua *lua);

#endif
