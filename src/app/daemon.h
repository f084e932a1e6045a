/// daemon.h: `tidewire reload` and `tidewire status`: commands for a daemon that runs.
#ifndef TW_APP_DAEMON_H
#define TW_APP_DAEMON_H

#include "app/term.h"

/// @param argv  begins with "reload". @return the exit status
int tw_command_reload(int argc, char **argv, tw_term *term);
/// @param argv  begins with "status". @return the exit status
int tw_command_status(int argc, char **argv, tw_term *term);

#endif
