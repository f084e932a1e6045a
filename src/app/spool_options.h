/// spool_options.h: the command lines of `tidewire spool`.
#ifndef TW_APP_SPOOL_OPTIONS_H
#define TW_APP_SPOOL_OPTIONS_H

#include "app/command_line.h"

typedef struct tw_spool_args {
  const char *folder;
  const char *backend, *source; ///< path, name; NULL: not said
  bool dead, state, all;        ///< what is meant
  bool yes, json, quiet;
} tw_spool_args;

/// @param argv  begins with the command's whole name, such as "spool drop"
tw_parsed tw_spool_options_read(int argc, char **argv, tw_term *term, tw_spool_args *out);

#endif
