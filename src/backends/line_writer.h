/// line_writer.h: events as lines, gathered in one buffer and written whole.
///
/// Events are rendered straight into the buffer. It is put out when it is full, when no
/// event follows at once, and at flush. What cannot be put out is given up, counted, and
/// told: nothing that is written is ever half a line for the reader.
///
/// A batch gives up nothing: what is not written comes again.
#ifndef TW_BACKENDS_LINE_WRITER_H
#define TW_BACKENDS_LINE_WRITER_H

#include "core/batch.h"

/* ------------------------------------------------------------ a descriptor */

/// A descriptor that lines are written to.
typedef struct tw_line_fd {
  int fd;
  bool is_file; ///< a regular file: raises no SIGPIPE, can be cut back
  bool torn;    ///< what was written last is a piece of a line: the next begins with a newline
} tw_line_fd;

/// Looks at what the descriptor is; the caller goes on owning it.
tw_line_fd tw_line_fd_of(int fd);
/// Writes whole lines; waits where the descriptor does not block. On failure the piece of a
/// line behind the last whole one is cut off, where that can be done: a file that nobody
/// else has written to. A closed pipe is an error and raises no SIGPIPE.
///
/// @param name  for messages
/// @param[out] done  bytes of whole lines that are written, also on failure
tw_status tw_line_fd_write(tw_line_fd *out, const char *name, const char *lines, size_t len,
                           size_t *done, tw_error *error);

/* --------------------------------------------------------------- the writer */

/// Puts out whole lines; `done` as in tw_line_fd_write.
typedef tw_status (*tw_put_lines)(void *self, const char *lines, size_t len, size_t *done,
                                  tw_error *error);

typedef struct tw_line_writer {
  tw_buffer lines;
  uint64_t lost;  ///< lines given up and not told yet
  tw_error cause; ///< why, or other trouble to tell at flush; `code` TW_OK: nothing to tell
  tw_put_lines put;
  void *self; ///< of `put`, borrowed
} tw_line_writer;

tw_status tw_line_writer_open(tw_line_writer *writer, tw_put_lines put, void *self,
                              tw_error *error);
void tw_line_writer_close(tw_line_writer *writer);

/// The ops' send. On failure this event is not written; earlier ones that are lost with it
/// are told by the next flush.
tw_status tw_line_writer_send(tw_line_writer *writer, tw_event *event, unsigned flags,
                              tw_error *error);
/// The ops' flush.
tw_status tw_line_writer_flush(tw_line_writer *writer, uint64_t *lost, tw_error *error);
/// The ops' deliver: lines are written as they lie in the batch. What `send` has gathered goes
/// before them; the next flush tells what became of it.
/// @param[out] done  events whose lines are written whole, also on failure
tw_status tw_line_writer_deliver(tw_line_writer *writer, const tw_batch *batch,
                                 tw_delivered *done, tw_error *error);

#endif
