/* What is written is checked by whoever made it: events are JSON already. Texts of errors may
   quote anything, as a line does that is no event. */
#include "delivery/dead.h"

#include "base/clock.h"
#include "event/builder_core.h"

static void add_text(tw_builder *letter, const char *key, const char *text) {
  if (text) tw_builder_bytes(letter, key, text, strlen(text));
}

static void add_number(tw_builder *letter, const char *key, uint64_t number) {
  tw_builder_key(letter, key);
  tw_builder_integer(letter, (int64_t)number);
}

static void add_place(tw_builder *out, const tw_dead_letter *letter) {
  char time[TW_RFC3339_LEN];
  tw_rfc3339(letter->time_us, time);
  tw_builder_key(out, "time");
  tw_builder_string(out, time, sizeof time);
  add_text(out, "where", letter->where);
  add_text(out, "path", letter->path);
  add_text(out, "name", letter->name);
}

static void add_reason(tw_builder *out, const tw_dead_letter *letter) {
  if (letter->error) {
    add_text(out, "error", letter->error->message);
    add_text(out, "status", tw_status_name(letter->error->code));
  }
  if (letter->attempts) add_number(out, "attempts", letter->attempts);
  if (letter->generation) add_number(out, "generation", letter->generation);
}

static void add_origin(tw_builder *out, const tw_origin *origin) {
  add_text(out, "source", origin->source);
  add_number(out, "line", origin->line);
  add_number(out, "offset", origin->offset);
}

static void add_event(tw_builder *out, const tw_dead_letter *letter) {
  if (letter->id) tw_builder_bytes(out, "id", letter->id, letter->id_len);
  if (letter->event) {
    tw_builder_key(out, "event");
    tw_builder_raw(out, letter->event, letter->event_len);
  } else if (letter->text) {
    tw_builder_bytes(out, "text", letter->text, letter->text_len);
  }
}

bool tw_dead_letter_write(const tw_dead_letter *letter, tw_buffer *out) {
  const char *text;
  size_t len;
  tw_builder *builder = tw_builder_new();
  if (!builder) return false;
  tw_builder_begin_object(builder);
  add_place(builder, letter);
  add_reason(builder, letter);
  if (letter->origin) add_origin(builder, letter->origin);
  add_event(builder, letter);
  tw_builder_end_object(builder);
  bool is_written =
      tw_builder_text(builder, &text, &len, NULL) == TW_OK && tw_buffer_append(out, text, len);
  tw_builder_free(builder);
  return is_written;
}

tw_dead_letter tw_dead_line(const tw_line *line, const tw_origin *origin, const tw_error *why) {
  return (tw_dead_letter){.time_us = tw_clock_utc_us(),
                          .where = "source",
                          .error = why,
                          .origin = origin,
                          .text = line->text,
                          .text_len = line->len};
}
