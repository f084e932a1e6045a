/// help.h: the texts of --help.
#ifndef TW_APP_HELP_H
#define TW_APP_HELP_H

#include <stdio.h>

/// Prints the help of a command, of the whole for NULL. @return the exit status
int tw_help_print(const char *command);
/// The help of the whole, to any stream.
void tw_help_write(FILE *to);

#endif
