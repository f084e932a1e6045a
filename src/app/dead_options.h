/// dead_options.h: the command line of `tidewire dead`.
#ifndef TW_APP_DEAD_OPTIONS_H
#define TW_APP_DEAD_OPTIONS_H

#include "app/command_line.h"
#include "app/dead_filter.h"

typedef enum tw_dead_verb {
  TW_DEAD_LIST,
  TW_DEAD_SHOW,
  TW_DEAD_REPLAY,
  TW_DEAD_EXPORT,
  TW_DEAD_REMOVE,
  TW_DEAD_VERBS
} tw_dead_verb;

typedef struct tw_dead_options {
  tw_dead_verb verb;
  const char *folder;
  tw_dead_filter filter;
  bool quiet, yes;
  bool events;         ///< export: these alone
  bool to_backend;     ///< replay: not through the script
  const char *backend; ///< to this one; NULL: to that of the letter
} tw_dead_options;

/// @param argv  begins with "dead"
/// @param[out] out  to be ended with tw_dead_filter_fini of its filter, in any case
tw_parsed tw_dead_options_read(int argc, char **argv, tw_term *term, tw_dead_options *out);

#endif
