/// file_id.h: which file an open one is, whatever its name is by now.
#ifndef TW_APP_FILE_ID_H
#define TW_APP_FILE_ID_H

#include "core/block.h"

/// Bytes at a file's beginning that it is known by.
#define TW_HEAD_BYTES 1024

typedef enum tw_likeness {
  TW_FILE_OTHER,   ///< not that file
  TW_FILE_CHANGED, ///< at its place on the disk, but begins otherwise or ends too early: it was
                   ///< truncated, or is a new one that was given the old one's number
  TW_FILE_SAME
} tw_likeness;

/// @param title  for the message
/// @return TW_OK or TW_EIO
tw_status tw_file_identify(int fd, const char *title, tw_file_id *out, tw_error *error);
/// Compares an open file with one that was known.
/// @param least  bytes that the known one had at least
tw_likeness tw_file_compare(int fd, const tw_file_id *known, uint64_t least);

#endif
