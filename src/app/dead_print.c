/// dead_print.c: what comes from events is cleaned, so that it cannot steer a terminal.
#include "app/dead_print.h"

#include <inttypes.h>

#include "app/term.h"

/// Bytes of a message in a list: one line is meant to be seen at a glance.
enum { ERROR_BYTES = 200 };

static void column(tw_buffer *out, const char *text, int width) {
  size_t from = out->len;
  tw_term_clean(out, *text ? text : "-");
  int missing = width - (int)(out->len - from);
  tw_buffer_printf(out, "%*s", missing > 0 ? missing + 1 : 1, "");
}

/// A whole number of characters.
static void short_error(tw_buffer *out, const char *text) {
  char line[ERROR_BYTES + 1];
  size_t len = strcspn(text, "\n");
  if (len > ERROR_BYTES) len = ERROR_BYTES;
  while (len && ((unsigned char)text[len] & 0xc0) == 0x80) len--;
  memcpy(line, text, len);
  line[len] = 0;
  tw_term_clean(out, line);
}

void tw_dead_print_line(const tw_letter *letter, tw_buffer *out) {
  char time[32] = "-";
  const char *full = tw_letter_text(letter, "time");
  if (strlen(full) >= 19) memcpy(time, full, 19), memcpy(time + 19, "Z", 2);
  tw_buffer_printf(out, "%8" PRIu64 "  %s  ", letter->number, time);
  column(out, tw_letter_text(letter, "where"), 9);
  column(out, tw_letter_text(letter, "path"), 12);
  column(out, tw_letter_text(letter, "event.name"), 16);
  short_error(out, letter->event ? tw_letter_text(letter, "error") : "it cannot be read");
  tw_buffer_byte(out, '\n');
}

/// Texts as they are, everything else as JSON.
static void member(const tw_letter *letter, const char *name, tw_buffer *out) {
  tw_value value;
  tw_buffer text = {0};
  if (!letter->event || tw_event_get(letter->event, name, &value)) return;
  bool is_text = value.type == TW_STRING;
  tw_buffer_append(&text, is_text ? value.string : value.json,
                   is_text ? value.string_len : value.json_len);
  tw_buffer_printf(out, "  %-11s ", name);
  if (tw_buffer_pad(&text, 1)) tw_term_clean(out, text.data);
  tw_buffer_byte(out, '\n');
  tw_buffer_fini(&text);
}

void tw_dead_print_all(const tw_letter *letter, tw_buffer *out) {
  static const char *const members[] = {
      "time",   "where", "path",   "name", "error", "status",      "attempts", "generation",
      "source", "line",  "offset", "id",   "text",  "text_base64", "event",    NULL};
  tw_buffer_printf(out, "letter %" PRIu64 "\n", letter->number);
  for (const char *const *name = members; *name; name++) member(letter, *name, out);
  if (!letter->event) tw_buffer_printf(out, "  it cannot be read: see tidewire dead export\n");
}

bool tw_dead_print_json(const tw_letter *letter, bool event, tw_buffer *out) {
  tw_value value = {.json = letter->text, .json_len = letter->len};
  if (event && (!letter->event || tw_event_get(letter->event, "event", &value))) return false;
  tw_buffer_append(out, value.json, value.json_len);
  tw_buffer_byte(out, '\n');
  return true;
}
