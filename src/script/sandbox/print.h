/// print.h: `print` and `warn` of router scripts.
#ifndef TW_SCRIPT_PRINT_H
#define TW_SCRIPT_PRINT_H

#include <lua.h>

/// Makes the global `print` write to standard error: standard output belongs to the events.
/// Warnings go there too, such as of errors in finalizers; `warn "@off"` silences them.
void tw_print_setup(lua_State *L);

#endif
