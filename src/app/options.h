/// options.h: the command line.
#ifndef TW_APP_OPTIONS_H
#define TW_APP_OPTIONS_H

#include "app/command_line.h"
#include "script/script.h"

/// More grants than there are names to grant are not kept.
#define TW_MAX_GRANTS 16

typedef struct tw_options {
  const char *rejects, *dead; ///< paths
  bool strict, quiet, json;
  tw_limits limits;
  tw_script_options script;
  const char *grants[TW_MAX_GRANTS + 1]; ///< what `script.grants` points to
  char grant_text[256];                  ///< the names in it
  size_t grant_len;
  unsigned workers;                ///< 0: as the script says
  const char *partition_by;        ///< path of the key; NULL: as the script says
  bool watch;                      ///< reload when a file of the script changes
  bool follow;                     ///< wait for more behind the end of files
  const char *spool;               ///< its folder; NULL: as the script says, as with the next
  const char *durability;          ///< "commit", "os" or "memory"
  uint64_t spool_size, spool_free; ///< bytes; 0: as the script says
  const char *control;             ///< path of the control socket, or NULL
  int drain_ms;    ///< for what was read, after a signal; negative: without limit
  int timeout_ms;  ///< of a request to a daemon
  char **operands; ///< borrowed from argv; NULL behind the last
  int operand_count;
} tw_options;

/// `argv[0]` is the command's name, such as "run"; argv is put in order.
tw_parsed tw_options_run(int argc, char **argv, tw_term *term, tw_options *out);
tw_parsed tw_options_check_command(int argc, char **argv, tw_term *term, tw_options *out);
/// Of the commands that ask a daemon.
tw_parsed tw_options_ask(int argc, char **argv, tw_term *term, tw_options *out);

#endif
