/// command_line.h: the options of a command, by a table.
#ifndef TW_APP_COMMAND_LINE_H
#define TW_APP_COMMAND_LINE_H

#include <getopt.h>

#include "app/term.h"
#include "base/status.h"

/// What parsing decided: go on with the options, or end with a status.
typedef struct tw_parsed {
  bool go_on;
  int status;
} tw_parsed;

typedef struct tw_command_line {
  const struct option *table; ///< at most 31, and an end
  /// Takes an option. @param code  its `val` in the table. @param value  NULL: it has none
  tw_status (*set)(void *self, int code, const char *value, tw_error *error);
  void *self;
} tw_command_line;

/// `argv[0]` is the command's name, such as "run". argv is put in order: the operands stand
/// behind `optind`.
tw_parsed tw_command_line_read(int argc, char **argv, const tw_command_line *line,
                               tw_term *term);

#endif
