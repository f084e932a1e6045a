/// snapshot.h: the texts of a script's files, each read once.
///
/// All states of a generation are loaded from one snapshot, so that they cannot see different
/// versions of a file that is written meanwhile. It can be used from any thread.
#ifndef TW_SCRIPT_SNAPSHOT_H
#define TW_SCRIPT_SNAPSHOT_H

#include "tidewire.h"

typedef struct tw_snapshot tw_snapshot;

/// A file as it was when it was first asked for. Lives as long as the snapshot.
typedef struct tw_source {
  const char *path;
  const char *text;
  size_t len;
} tw_source;

/// @return an empty snapshot, owned; NULL without memory
tw_snapshot *tw_snapshot_new(void);
tw_snapshot *tw_snapshot_ref(tw_snapshot *snapshot);
/// NULL is allowed.
void tw_snapshot_unref(tw_snapshot *snapshot);

/// @param[out] out  borrowed; NULL on failure
/// @return TW_OK; TW_EIO, with the system's reason alone as the message; TW_ECLOSED when it
///         was not read before the snapshot was complete; TW_ENOMEM
tw_status tw_snapshot_read(tw_snapshot *snapshot, const char *path, const tw_source **out,
                           tw_error *error);
/// From now on only what was read is there.
void tw_snapshot_complete(tw_snapshot *snapshot);
/// @return whether no file of it has been changed, replaced or removed since it was read, and
///         none has come that was looked for in vain
bool tw_snapshot_is_current(tw_snapshot *snapshot);
/// @return false when a file was there and could not be read, as for want of descriptors
bool tw_snapshot_is_whole(tw_snapshot *snapshot);
/// Visits the paths of the files; `visit` must not use the snapshot.
void tw_snapshot_visit(tw_snapshot *snapshot, void (*visit)(void *self, const char *path),
                       void *self);

#endif
