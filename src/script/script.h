/// script.h: a router script, loaded into a Lua state of its own.
#ifndef TW_SCRIPT_SCRIPT_H
#define TW_SCRIPT_SCRIPT_H

#include "tidewire.h"

typedef struct tw_script tw_script;

/// Loads and runs a Lua file that returns a router. Opens nothing.
///
/// `require` finds modules beside the script, the `tidewire.*` modules and `cjson`.
/// @param[out] out  owned; belongs to the thread that uses it
/// @return TW_OK; TW_EIO when the file cannot be read; TW_ESCRIPT for everything that is
///         wrong in the script, the message beginning with `file:line: `
tw_status tw_script_load(const char *path, tw_script **out, tw_error *error);
/// The router it returned. Borrowed: lives as long as the script.
tw_router *tw_script_router(tw_script *script);
/// Closes the router and the Lua state.
void tw_script_free(tw_script *script);

#endif
