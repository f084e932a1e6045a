/// main.c: chooses the command.
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "app/check.h"
#include "app/daemon.h"
#include "app/dead.h"
#include "app/exit.h"
#include "app/help.h"
#include "app/run.h"
#include "app/spool_command.h"
#include "base/suggest.h"

/// Occupies standard streams that are closed, so that no file of ours gets their numbers.
/// Opened the wrong way round: using them still fails.
static void occupy_streams(void) {
  for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
    if (fcntl(fd, F_GETFD) < 0) (void)!open("/dev/null", fd == 0 ? O_WRONLY : O_RDONLY);
}

static int print_version(void) {
  printf("tidewire %s\n", tw_version());
  return fflush(stdout) ? TW_EXIT_OUTPUT : TW_EXIT_DONE;
}

static int unknown(tw_term *term, const char *word) {
  static const char *const known[] = {"run",   "check", "reload", "status",   "dead",
                                      "spool", "help",  "--help", "--version"};
  const char *near = tw_suggest(word, known, sizeof known / sizeof *known);
  if (near) tw_term_complain(term, "unknown command \"%s\"; did you mean \"%s\"?", word, near);
  else tw_term_complain(term, "unknown command \"%s\"; see tidewire --help", word);
  return TW_EXIT_USAGE;
}

int main(int argc, char **argv) {
  tw_term term;
  occupy_streams();
  signal(SIGPIPE, SIG_IGN); // a closed pipe is a failed write
  signal(SIGXFSZ, SIG_IGN); // and so is a file at the limit of its size
  tw_term_init(&term);
  const char *command = argc > 1 ? argv[1] : "";
  if (strcmp(command, "run") == 0) return tw_command_run(argc - 1, argv + 1, &term);
  if (strcmp(command, "check") == 0) return tw_command_check(argc - 1, argv + 1, &term);
  if (strcmp(command, "dead") == 0) return tw_command_dead(argc - 1, argv + 1, &term);
  if (strcmp(command, "reload") == 0) return tw_command_reload(argc - 1, argv + 1, &term);
  if (strcmp(command, "status") == 0) return tw_command_status(argc - 1, argv + 1, &term);
  if (strcmp(command, "spool") == 0) return tw_command_spool(argc - 1, argv + 1, &term);
  if (strcmp(command, "--version") == 0 || strcmp(command, "-V") == 0) return print_version();
  if (strcmp(command, "--help") == 0 || strcmp(command, "-h") == 0) return tw_help_print(NULL);
  if (strcmp(command, "help") == 0) return tw_help_print(argc > 2 ? argv[2] : NULL);
  if (*command) return unknown(&term, command);
  tw_help_write(stderr);
  return TW_EXIT_USAGE;
}
