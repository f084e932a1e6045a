/// print.h: `print` of router scripts.
#ifndef TW_SCRIPT_PRINT_H
#define TW_SCRIPT_PRINT_H

#include <lua.h>

/// Makes the global `print` write to standard error: standard output belongs to the events.
void tw_print_setup(lua_State *L);

#endif
