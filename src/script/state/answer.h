/// answer.h: what a backend in Lua says of an event that it did not take, beyond that it
/// failed: `tidewire.permanent(message[, index])`, `tidewire.retry(message, { after = seconds
/// })` and `tidewire.disabled(message)`, returned or raised.
///
/// An answer is a userdata with nothing to set: scripts make answers, and cannot change them.
#ifndef TW_SCRIPT_ANSWER_H
#define TW_SCRIPT_ANSWER_H

#include "script/state/state.h"

typedef struct tw_answer {
  tw_status status;   ///< TW_OK: there is none
  int retry_after_ms; ///< 0: nothing was said
  lua_Integer index;  ///< of the event that it is about, from 1; 0: one of all
} tw_answer;

/// Whether a value is an answer. Never raises; wants one free slot.
static inline bool tw_lua_is_answer(lua_State *L, const tw_lua *lua, int index) {
  return tw_lua_has_mark(L, lua, index, TW_MARK_ANSWER);
}
/// Reads the answer at `index`, which is one; its message goes into the error, with its
/// status. Never raises; wants one free slot.
void tw_answer_read(lua_State *L, int index, tw_answer *out, tw_error *error);

/// Makes the metatable; part of tw_lua_new.
void tw_answer_setup(lua_State *L, tw_lua *lua);

#endif
