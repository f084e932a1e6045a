/// input.h: lines of files and streams, in place in one buffer of bounded size.
///
/// `tw_input_next` hands out the lines that are in memory and never touches the file;
/// `tw_input_fill` reads one block more. The caller decides what to do in between.
#ifndef TW_APP_INPUT_H
#define TW_APP_INPUT_H

#include "base/status.h"

/// Bytes read at once, and the buffer's first size.
#define TW_INPUT_BLOCK ((size_t)256 << 10)
/// Bytes that are kept of a line beyond the limit.
#define TW_INPUT_KEPT ((size_t)4096)

typedef struct tw_line {
  char *text; ///< without its newline; a NUL and TW_PADDING readable bytes follow
  size_t len;
  uint64_t number; ///< from 1
  uint64_t offset; ///< of its first byte in the source
  uint64_t full;   ///< its real length: more than `len` when it is beyond the limit
} tw_line;

typedef enum tw_input_got {
  TW_INPUT_LINE, ///< a line within the limit
  TW_INPUT_LONG, ///< a line beyond it: only its beginning is there
  TW_INPUT_MORE, ///< what is in memory is used up: call tw_input_fill
  TW_INPUT_END   ///< the source has ended
} tw_input_got;

/// Starts zeroed but for `max_line`.
typedef struct tw_input {
  size_t max_line;  ///< limit of a line's length, without its newline
  const char *name; ///< borrowed
  int fd;
  bool ended; ///< the end was read
  bool waits; ///< not a regular file: reading may have to wait
  char *data; ///< `cap` bytes and padding
  size_t cap;
  size_t start; ///< of the line at hand
  size_t scan;  ///< up to here it has no newline
  size_t end;
  uint64_t gone; ///< bytes of the line at hand that were let go; then it is beyond the limit
  uint64_t number, offset; ///< of the line at hand; lines count from 0 here
} tw_input;

/// @return the name of an input as people say it
const char *tw_input_title(const char *name);
/// Opens a file, or standard input for "-"; forgets the one before, keeps the buffer.
/// @return TW_OK, TW_EIO or TW_ENOMEM; the message names the file
tw_status tw_input_open(tw_input *input, const char *name, tw_error *error);
void tw_input_close(tw_input *input);
void tw_input_fini(tw_input *input);

/// @param[out] line  valid until the next call that takes this input
tw_input_got tw_input_next(tw_input *input, tw_line *line);
/// @return whether tw_input_fill would return at once
bool tw_input_ready(const tw_input *input);
/// Reads at most one block. Reading nothing, because a signal came, is not a failure.
tw_status tw_input_fill(tw_input *input, tw_error *error);

#endif
