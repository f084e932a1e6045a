/// exit.h: the exit statuses of the command, after sysexits.h.
#ifndef TW_APP_EXIT_H
#define TW_APP_EXIT_H

/// When several apply to one run, the last in this list that does is reported.
typedef enum tw_exit {
  TW_EXIT_DONE = 0,
  TW_EXIT_REJECTED = 65,    ///< input was rejected, under --strict
  TW_EXIT_INPUT = 66,       ///< an input cannot be read
  TW_EXIT_WAITING = 75,     ///< events wait in the spool, or lines that were read: run again
  TW_EXIT_OUTPUT = 74,      ///< a backend, the rejects or the dead letters failed
  TW_EXIT_UNAVAILABLE = 69, ///< no daemon is there, or it is ending; another has the spool
  TW_EXIT_TIMEOUT = 75,     ///< the daemon did not answer in time
  TW_EXIT_SCRIPT = 78, ///< the script is wrong, or cannot be read, or its spool; nothing routed
  TW_EXIT_USAGE = 64   ///< the command line is wrong; nothing was done
} tw_exit;

#endif
