/// run.h: `tidewire run`.
#ifndef TW_APP_RUN_H
#define TW_APP_RUN_H

#include "app/term.h"

/// @param argv  begins with "run". @return the exit status
int tw_command_run(int argc, char **argv, tw_term *term);

#endif
