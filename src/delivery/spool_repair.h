/// spool_repair.h: makes a new file of what can be read of a damaged one.
#ifndef TW_DELIVERY_SPOOL_REPAIR_H
#define TW_DELIVERY_SPOOL_REPAIR_H

#include "base/status.h"

/// Told what was found: one line each, without a newline.
typedef void (*tw_repair_say_fn)(void *self, const char *line);

typedef struct tw_repair_result {
  bool is_sound;     ///< nothing was damaged: the file is as it was
  uint64_t records;  ///< that the new file has
  uint64_t lost;     ///< events that waited for backends and are gone
  uint64_t salvaged; ///< events of damaged chunks that are dead letters now
  char damaged[512]; ///< the old file's path; "" when it is sound
} tw_repair_result;

/// The old file is kept under another name.
///
/// What can be told from the newest tree is taken from it; where pages of it are damaged, from
/// the tree before; and chunks of events that wait, also from pages that no tree leads to. What
/// is left of damaged chunks becomes dead letters, as their events may have changed.
/// @return TW_OK; TW_EEXIST: a living process has it; TW_EINVAL: a newer version; TW_ENOENT;
///         TW_ELIMIT: there is no room for the new file; TW_EIO; TW_ENOMEM
tw_status tw_spool_repair(const char *folder, tw_repair_say_fn say, void *self,
                          tw_repair_result *out, tw_error *error);

#endif
