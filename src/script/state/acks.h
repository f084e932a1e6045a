/// acks.h: acknowledgements on their way back to the Lua state that wants to know.
///
/// They arrive on any thread, and wait until the state calls in: then each one's function is
/// called once, in the order of arrival. Those that arrive after the state has ended are
/// forgotten.
#ifndef TW_SCRIPT_ACKS_H
#define TW_SCRIPT_ACKS_H

#include "script/state/state.h"

/// Promises the function at `index` a call. May raise out of memory.
/// @return what tw_acks_arrived is to be called with, exactly once
void *tw_acks_expect(lua_State *L, tw_lua *lua, int index);
/// A tw_ack_fn.
void tw_acks_arrived(void *expected, tw_status status, const tw_error *error);

/// Calls the functions of those that have arrived, unless an event is under way, or another of
/// these functions: `f(true)`, or `f(nil, message, code)`. Never raises.
/// @param told  whose observer is told of one that fails; NULL: standard error
/// @return how many
size_t tw_acks_call(lua_State *L, tw_lua *lua, tw_router *told);
/// Waits until one has arrived, unless none is expected. @param seconds  below 2^31
void tw_acks_wait(tw_lua *lua, double seconds);
/// @return how many were promised a call and have not had it
size_t tw_acks_pending(tw_lua *lua);

/// Part of the end of a tw_lua.
void tw_acks_close(tw_lua *lua);

#endif
