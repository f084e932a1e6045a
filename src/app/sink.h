/// sink.h: an NDJSON file that is created with its first line.
///
/// For what must be kept beside the backends: rejected lines and dead letters.
#ifndef TW_APP_SINK_H
#define TW_APP_SINK_H

#include "app/term.h"
#include "backends/line_writer.h"
#include "base/status.h"

/// Starts zeroed but for its references, which are borrowed. The first failure is told.
typedef struct tw_sink {
  const char *path;
  const char *what; ///< what it keeps, such as "rejected lines"
  tw_term *term;
  tw_line_fd out; ///< of the open file when `is_open`
  bool is_open;
  tw_builder *record; ///< the line that is being built; owned
  tw_buffer gathered; ///< whole lines that are not written yet
  uint64_t lines;     ///< begun so far
  uint64_t lost;      ///< of them: could not be built or written
  bool told;          ///< that lines were lost
} tw_sink;

/// @return a builder inside an open object; NULL without memory. End with tw_sink_end
tw_builder *tw_sink_begin(tw_sink *sink);
/// Closes the object and keeps it as a line.
void tw_sink_end(tw_sink *sink);
/// Writes what is gathered, in whole lines. A file that was moved away is made anew.
void tw_sink_flush(tw_sink *sink);
/// Closes the file; what is gathered should be flushed before.
void tw_sink_fini(tw_sink *sink);

#endif
