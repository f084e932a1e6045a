/// message.h: errors between C and Lua.
#ifndef TW_SCRIPT_MESSAGE_H
#define TW_SCRIPT_MESSAGE_H

#include "script/state/state.h"

/// Writes the one line of an error text that says what is wrong: `file:line: what`.
void tw_message_line(const char *text, char *out, size_t room);

/// What a value is, for messages: "nil", "a string".
const char *tw_lua_describe(lua_State *L, int index);

/// Pushes `file:line: ` of the nearest function that is neither C nor of the Lua library; ""
/// when there is none.
void tw_lua_push_where(lua_State *L);

/// Raises a misuse at the line of the caller: the nearest function that is neither C nor
/// of the Lua library.
int tw_lua_misuse(lua_State *L, const char *format, ...) TW_PRINTF(2, 3);
/// Ends a C function: returns true, or nil, message, code; a wrong argument raises.
int tw_lua_result(lua_State *L, tw_status status, const tw_error *error);

#endif
