/// input.h: files and streams, as blocks of whole lines.
///
/// `tw_input_next` hands out what is in memory and never waits; `tw_input_fill` reads once. The
/// caller decides what to do in between.
///
/// A file of which parts were read before (position.h) is read in *stretches*: from gap to gap
/// of what is committed.
#ifndef TW_APP_INPUT_H
#define TW_APP_INPUT_H

#include "base/buffer.h"
#include "core/block.h"
#include "delivery/position.h"

/// Bytes read at once, and the size of a block while no line needs more.
#define TW_INPUT_BLOCK ((size_t)128 << 10)

/// Starts zeroed but for `max_line` and `intake`.
typedef struct tw_input {
  size_t max_line;   ///< limit of a line's length, without its newline
  tw_intake *intake; ///< borrowed
  const char *name;  ///< borrowed: outlives the blocks
  /* Where the file is known by a cursor. */
  tw_file_id *file;            ///< borrowed: outlives the blocks. NULL: there is none
  const tw_position *position; ///< borrowed: what is committed; NULL: nothing
  bool leaves; ///< a last line without a newline is not handed out: it may still grow

  int fd;
  bool ended;      ///< the end of the stretch was read
  bool drained;    ///< and that of the file, and all that there is was handed out
  bool waits;      ///< not a regular file: reading may have to wait
  tw_block *block; ///< being filled, owned; NULL: what is to come begins with `rest`
  tw_buffer rest;  ///< read, behind the last line that was handed out
  size_t scan;     ///< up to here it has no newline
  uint64_t gone;   ///< bytes of the line at hand that were let go; it is beyond the limit
  uint64_t line;   ///< number of the block's first line
  uint64_t offset; ///< of the block's first byte
  uint64_t at;     ///< offset of the next byte to be read
  uint64_t stop;   ///< where the stretch ends; UINT64_MAX: with the file
} tw_input;

/// @return the name of an input as people say it
const char *tw_input_title(const char *name);
/// Opens a file, or standard input for "-".
/// @return TW_OK or TW_EIO; the message names the file
tw_status tw_input_open(tw_input *input, const char *name, tw_error *error);
/// Takes over an open regular file, and goes on behind what is committed of it: after `file`
/// and `position` were set.
/// @param name  of its source. @param fd  closed in any case
tw_status tw_input_continue(tw_input *input, const char *name, int fd, tw_error *error);
/// The file may have grown since its end was read.
void tw_input_resume(tw_input *input);
/// @return bytes of the last line, which lacks its newline and was left
uint64_t tw_input_unfinished(const tw_input *input);
/// Lets go of the file, and of what was read and not handed out.
void tw_input_close(tw_input *input);
/// @return whether something may be left to be read or handed out
bool tw_input_has_more(const tw_input *input);

/// @param[out] out  a block of whole lines, a reference of the caller's; NULL: what is in
///                  memory is used up: call tw_input_fill, unless it has ended
/// @return TW_OK, TW_ENOMEM; TW_EIO
tw_status tw_input_next(tw_input *input, tw_block **out, tw_error *error);
/// @return whether tw_input_fill would return at once
bool tw_input_ready(const tw_input *input);
/// Reads at most TW_INPUT_BLOCK bytes. Reading nothing, because a signal came, is not a
/// failure.
tw_status tw_input_fill(tw_input *input, tw_error *error);

#endif
