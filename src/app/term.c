/// term.c: standard error, written in one piece for each line.
///
/// The summary, complaints and the progress line are put together in memory first. So what
/// others write to the same place, such as a script that prints, comes between our lines and
/// not into them. Without memory a line is cut short; that never ends a run.
#include "app/term.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/// Longest message; what goes beyond is cut.
#define SAY_ROOM 2048

static bool wanted(const char *variable) {
  const char *value = getenv(variable);
  return value && *value;
}

/// A terminal that says nothing of its kind, or that it is dumb, cannot redraw a line.
/// NO_COLOR counts when it is not empty, whatever it holds (no-color.org).
void tw_term_init(tw_term *term) {
  const char *kind = getenv("TERM");
  bool able = kind && *kind && strcmp(kind, "dumb") != 0;
  term->is_terminal = able && isatty(STDERR_FILENO) == 1;
  term->colour = term->is_terminal && !wanted("NO_COLOR");
  term->progress = false;
  pthread_mutex_init(&term->mutex, NULL);
}

const char *tw_term_style(const tw_term *term, tw_style style) {
  if (!term->colour) return "";
  switch (style) {
    case TW_PLAIN: return "\x1b[0m";
    case TW_BOLD: return "\x1b[1m";
    case TW_RED: return "\x1b[31m";
    case TW_YELLOW: return "\x1b[33m";
  }
  return "";
}

void tw_term_clean(tw_buffer *out, const char *text) {
  for (; *text; text++) {
    unsigned char byte = (unsigned char)*text;
    bool steers = byte < 0x20 || byte == 0x7f;
    tw_buffer_append(out, steers ? "?" : text, 1);
  }
}

/// `\r` and "erase to the end" redraw in place; the cursor stays behind the text. The mutex is
/// held.
static void draw(tw_term *term, const char *text) {
  if (!term->is_terminal || (!text && !term->progress)) return;
  fprintf(stderr, "\r\x1b[K%s", text ? text : "");
  fflush(stderr);
  term->progress = text != NULL;
}

void tw_term_progress(tw_term *term, const char *text) {
  pthread_mutex_lock(&term->mutex);
  draw(term, text);
  pthread_mutex_unlock(&term->mutex);
}

void tw_term_write(tw_term *term, const tw_buffer *text) {
  pthread_mutex_lock(&term->mutex);
  draw(term, NULL);
  if (text->len) fwrite(text->data, 1, text->len, stderr);
  pthread_mutex_unlock(&term->mutex);
}

static void write_line(tw_term *term, const char *message, bool is_bad) {
  tw_buffer line = {0};
  tw_buffer_printf(&line, "tidewire: %s", is_bad ? tw_term_style(term, TW_RED) : "");
  tw_term_clean(&line, message);
  tw_buffer_printf(&line, "%s\n", is_bad ? tw_term_style(term, TW_PLAIN) : "");
  tw_term_write(term, &line);
  tw_buffer_fini(&line);
}

void tw_term_complain(tw_term *term, const char *format, ...) {
  char message[SAY_ROOM];
  va_list args;
  va_start(args, format);
  vsnprintf(message, sizeof message, format, args);
  va_end(args);
  write_line(term, message, true);
}

void tw_term_say(tw_term *term, const char *text) { write_line(term, text, false); }

const char *tw_grouped(uint64_t value, char out[TW_GROUPED_ROOM]) {
  char digits[TW_GROUPED_ROOM];
  int count = snprintf(digits, sizeof digits, "%llu", (unsigned long long)value);
  char *to = out;
  for (int i = 0; i < count; i++) {
    if (i && (count - i) % 3 == 0) *to++ = ',';
    *to++ = digits[i];
  }
  *to = 0;
  return out;
}
