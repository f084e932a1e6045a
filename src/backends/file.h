/// file.h: the parts of the file backend.
///
///     file.c         options and ops
///     file_write.c   each piece of lines, under the file's lock; opening and syncing
///     file_path.c    from the path's strftime fields to the path of this moment
///     file_rotate.c  when to move a full file away, where to, and which old ones to remove
///
/// Several backends, also of other processes, may write into one file: each piece is
/// written under an flock(2), by whoever finds that the path still leads to the file it
/// has open. So a file that is moved away or removed (logrotate) is opened anew.
#ifndef TW_BACKENDS_FILE_H
#define TW_BACKENDS_FILE_H

#include <sys/stat.h>

#include "backends/line_writer.h"
#include "core/kind.h"

typedef enum tw_file_sync {
  TW_FILE_SYNC_NEVER, ///< the kernel writes to the disk when it likes
  TW_FILE_SYNC_FLUSH, ///< synced at flush and before a file is left
  TW_FILE_SYNC_ALWAYS ///< synced after each write
} tw_file_sync;

#define TW_FILE_UNSEEN  UINT64_MAX       /* just opened */
#define TW_FILE_CHANGED (UINT64_MAX - 1) /* a write failed midway */

/// Microseconds since 1970, UTC.
typedef int64_t (*tw_file_clock)(void);

typedef struct tw_file {
  char *pattern;       ///< the option `path`, owned
  tw_buffer path;      ///< `pattern` as it reads now, with its NUL
  int64_t path_second; ///< when `path` was made; INT64_MIN: not yet
  bool dated;          ///< the pattern has fields
  bool append;
  mode_t mode;
  tw_file_sync sync;
  uint64_t rotate_size; ///< 0: never
  int64_t rotate_us;    ///< 0: never
  uint64_t keep;        ///< rotated files; 0: all
  tw_file_clock clock;

  tw_line_writer writer;
  tw_line_fd out; ///< its fd is -1 while no file is open
  dev_t device;   ///< of the open file, with
  ino_t inode;
  bool unsynced;  ///< written to since the last sync
  bool doubtful;  ///< a sync has failed: the disk may lack what was written before
  bool unlisted;  ///< maybe new in its folder since the folder's last sync
  uint64_t size;  ///< of the open file when last seen, or one of the two above
  int64_t period; ///< number of the interval since 1970 that the file began in
} tw_file;

/* ------------------------------------------------------------- file_path.c */

/// @return TW_EINVAL for a field that is not known
tw_status tw_file_check_pattern(const char *pattern, bool *dated, tw_error *error);
/// Brings `file->path` up to date. @param[out] changed  it is another path than before
tw_status tw_file_expand(tw_file *file, int64_t now_us, bool *changed, tw_error *error);

/* ----------------------------------------------------------- file_rotate.c */

/// @return whether the open file is to be moved away before a line of `next` bytes
bool tw_file_is_due(const tw_file *file, int64_t now_us, size_t next);
/// Moves the file at the path to `path.TIME`, which was not there before, and removes the
/// oldest ones beyond `keep`.
tw_status tw_file_rotate(const tw_file *file, int64_t now_us, tw_error *error);

/* ------------------------------------------------------------ file_write.c */

/// Opens the file of this moment; makes missing folders.
tw_status tw_file_begin(tw_file *file, tw_error *error);
/// The writer's tw_put_lines.
tw_status tw_file_put_lines(void *self, const char *lines, size_t len, size_t *done,
                            tw_error *error);
/// Brings what was written to the disk.
tw_status tw_file_sync_now(tw_file *file, tw_error *error);
/// Closes the open file, if there is one. Trouble is kept for the next flush to tell.
void tw_file_leave(tw_file *file);

/* ---------------------------------------------------------------- for tests */

/// Gives a file backend that is not open yet another clock.
void tw_file_set_clock(tw_backend *backend, tw_file_clock clock);

#endif
