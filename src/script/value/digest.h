/// digest.h: keyed and plain digests for Lua, over nettle and xxhash.
#ifndef TW_SCRIPT_DIGEST_H
#define TW_SCRIPT_DIGEST_H

#include "script/state/state.h"

/// Sets into the module table on top of the stack:
/// - `hmac_sha256(key, text)`: 64 lower-case hexadecimal digits (RFC 2104 with SHA-256)
/// - `xxh3(text)`: XXH3's 64 bits as an integer, the same on every machine
void tw_lua_open_digest(lua_State *L, tw_lua *lua);

#endif
