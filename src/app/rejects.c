/// rejects.c: one JSON object for one rejected line, enough to find it and to send it again.
#include "app/rejects.h"

#include "event/builder_core.h"

/// @return the length of the text without a character that was cut in two at its end
static size_t whole_characters(const char *text, size_t len) {
  size_t lead = len;
  while (lead && len - lead < 4 && ((unsigned char)text[lead - 1] & 0xc0) == 0x80) lead--;
  if (!lead) return len;
  unsigned char first = (unsigned char)text[lead - 1];
  size_t need = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : first >= 0xc0 ? 2 : 1;
  return len - (lead - 1) < need ? lead - 1 : len;
}

void tw_rejects_add(tw_sink *sink, const char *source, const tw_line *line,
                    const tw_error *why) {
  bool cut = line->full > line->len;
  tw_builder *record = tw_sink_begin(sink);
  if (record) {
    tw_builder_bytes(record, "source", source, strlen(source));
    tw_builder_key(record, "line");
    tw_builder_integer(record, (int64_t)line->number);
    tw_builder_key(record, "offset");
    tw_builder_integer(record, (int64_t)line->offset);
    if (why->position != TW_NO_POSITION) {
      tw_builder_key(record, "position");
      tw_builder_integer(record, (int64_t)why->position);
    }
    tw_builder_bytes(record, "error", why->message, strlen(why->message));
    if (cut) {
      tw_builder_key(record, "length");
      tw_builder_integer(record, (int64_t)line->full);
    }
    tw_builder_bytes(record, "raw", line->text,
                     cut ? whole_characters(line->text, line->len) : line->len);
  }
  tw_sink_end(sink);
}
