/// spool_command.h: `tidewire spool inspect|verify|export|repair|drop DIR`.
#ifndef TW_APP_SPOOL_COMMAND_H
#define TW_APP_SPOOL_COMMAND_H

#include "app/spool_options.h"
#include "delivery/spool_tools.h"

/// @param argv  begins with "spool". @return the exit status
int tw_command_spool(int argc, char **argv, tw_term *term);

/* ------------------------------------------------- between the files of this command */

/// A spool that a command has open, in one transaction.
typedef struct tw_spool_tool {
  const char *command; ///< such as "spool verify"
  const tw_spool_args *options;
  tw_term *term;
  const char *folder;
  tw_spool *spool;
  tw_spool_txn *txn;
  tw_error error;
} tw_spool_tool;

/// Tells `tool->error`. @return the exit status for it
int tw_spool_explain(tw_spool_tool *tool, tw_status status);

/* Each with a transaction that reads; `drop` with one that writes. @return the exit status */
int tw_spool_inspect(tw_spool_tool *tool);
int tw_spool_verify(tw_spool_tool *tool);
int tw_spool_export(tw_spool_tool *tool);
int tw_spool_drop(tw_spool_tool *tool);
/// Opens the spool itself.
int tw_spool_repair_command(tw_spool_tool *tool);

#endif
