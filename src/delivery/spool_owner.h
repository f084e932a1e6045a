/// spool_owner.h: who has a spool.
#ifndef TW_DELIVERY_SPOOL_OWNER_H
#define TW_DELIVERY_SPOOL_OWNER_H

#include <stdbool.h>
#include <stdint.h>

/// What the file `owner` in a spool's folder says.
typedef struct tw_spool_owner {
  bool lives;      ///< a process has the spool open as its owner
  long process;    ///< its number; 0: unknown
  uint64_t failed; ///< a transaction whose last write is known to have failed; 0: none
} tw_spool_owner;

/// @param[out] out  zeroed when there is no such file
void tw_spool_owner_read(const char *folder, tw_spool_owner *out);

#endif
