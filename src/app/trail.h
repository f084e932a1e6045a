/// trail.h: the files that a name leads to, and led to before: found again after a rotation.
///
/// Where the name is `app.log`, the file that was read under it may be `app.log.1` or
/// `app.log-20260101` by now, in the same folder. It is known by its id (file_id.h).
#ifndef TW_APP_TRAIL_H
#define TW_APP_TRAIL_H

#include <stdbool.h>

#include "app/file_id.h"
#include "delivery/position.h"

typedef enum tw_whereabouts {
  TW_FILE_GONE,      ///< known, and not in the folder any more
  TW_FILE_REWRITTEN, ///< known, but its place is taken by other contents
  TW_FILE_FORMER,    ///< known, and under another name by now
  TW_FILE_BETWEEN,   ///< was under the name since, while nobody looked
  TW_FILE_CURRENT    ///< is under the name now; the last of a trail
} tw_whereabouts;

typedef struct tw_trail_file {
  tw_whereabouts where;
  char *path; ///< owned; NULL when it is not to be read
  bool is_known;
  tw_file_id id;              ///< of a known one
  uint64_t offset, line, end; ///< how far it was read, and what of it at most
  int64_t modified;           ///< when, nanoseconds since 1970
} tw_trail_file;

/// Starts zeroed.
typedef struct tw_trail {
  tw_trail_file *files; ///< in the order in which they are to be read
  size_t count, cap;
} tw_trail;

void tw_trail_fini(tw_trail *trail);
/// Adds a file that was read under the name. @return false without memory
bool tw_trail_add(tw_trail *trail, const tw_position *position);
/// Finds out where they are, which came in between, and which is there now; there may be none.
/// @param path  of the source
/// @return TW_OK; TW_EIO: the folder cannot be read; TW_ENOMEM
tw_status tw_trail_find(tw_trail *trail, const char *path, tw_error *error);

/// @return whether `name` is that of `base` after a rotation: base with digits, and what
///         stands between digits, behind it or before its extension
bool tw_is_rotated_name(const char *base, const char *name);

#endif
