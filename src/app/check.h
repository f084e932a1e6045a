/// check.h: `tidewire check`.
#ifndef TW_APP_CHECK_H
#define TW_APP_CHECK_H

#include "app/term.h"

/// @param argv  begins with "check". @return the exit status
int tw_command_check(int argc, char **argv, tw_term *term);

#endif
