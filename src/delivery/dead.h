/// dead.h: dead letters: what could not be processed or delivered, with all that is known.
///
/// One is a JSON object on one line:
///
/// | member | |
/// |---|---|
/// | `time` | when it was given up, RFC 3339 |
/// | `where` | `"backend"`, `"processor"`, `"route"`, or `"source"`: a line that is no event |
/// | `path` | of the backend or router |
/// | `name` | of the processor |
/// | `error`, `status` | message, and the status' name |
/// | `attempts` | calls to the backend |
/// | `generation` | of the script |
/// | `source`, `line`, `offset` | where the event was read |
/// | `id` | the event's |
/// | `event` | the event; or |
/// | `text`, `text_base64` | the line, when it is no event |
///
/// Members without a value are left out.
#ifndef TW_DELIVERY_DEAD_H
#define TW_DELIVERY_DEAD_H

#include "base/buffer.h"
#include "core/block.h"

typedef struct tw_dead_letter {
  int64_t time_us; ///< since 1970
  const char *where, *path, *name;
  const tw_error *error;
  uint64_t attempts, generation; ///< 0: left out
  const tw_origin *origin;       ///< NULL: left out
  const char *id;
  size_t id_len;
  const char *event; ///< JSON; NULL: it is none
  size_t event_len;
  const char *text; ///< of a line, any bytes; NULL: there is an event
  size_t text_len;
} tw_dead_letter;

/// That of a line which is no event. All is borrowed.
tw_dead_letter tw_dead_line(const tw_line *line, const tw_origin *origin, const tw_error *why);
/// Appends it as JSON, without a newline. @return false without memory
bool tw_dead_letter_write(const tw_dead_letter *letter, tw_buffer *out);

#endif
