/// dead.h: `tidewire dead`.
#ifndef TW_APP_DEAD_H
#define TW_APP_DEAD_H

#include "app/term.h"

/// @param argv  begins with "dead". @return the exit status
int tw_command_dead(int argc, char **argv, tw_term *term);

#endif
