/// rejects.h: the record of an input line that is no event.
#ifndef TW_APP_REJECTS_H
#define TW_APP_REJECTS_H

#include "app/sink.h"
#include "core/block.h"

/// Appends `{"source", "line", "offset", "position", "error", "raw"}`; `raw_base64` where
/// the line is not UTF-8; of a line beyond the limit only its beginning, with `length`.
/// @param why  the position is a byte offset into the line
void tw_rejects_add(tw_sink *sink, const char *source, const tw_line *line,
                    const tw_error *why);

#endif
