/* pack.c: JSON by a template with printf conversions.
 *
 * A recursive descent over the template that drives the builder. The builder's first error
 * sticks and ends the descent; its position is then a byte of the template. The compiler
 * checks the arguments against the conversions, so nothing but conversions that printf knows
 * too may take an argument. */
#include <stdio.h>

#include "event/builder_core.h"
#include "event/path_scan.h"

typedef struct {
  tw_builder *b;
  const char *format, *at;
  va_list args;
} packer;

static void pack_value(packer *p);

static bool failed(const packer *p) { return p->b->error.code != TW_OK; }

static void wrong(packer *p, const char *what) {
  if (failed(p)) return;
  size_t at = (size_t)(p->at - p->format);
  tw_fail_at(&p->b->error, TW_EINVAL, at, "format \"%.200s\": %s at byte %zu", p->format, what,
             at);
}

/* An error that something at `start` caused: it has its place in the template. */
static void place_error(packer *p, const char *start) {
  if (!failed(p)) return;
  p->b->error.position = (size_t)(start - p->format);
  tw_error_prefix(&p->b->error, "format \"%.200s\": at byte %zu: ", p->format,
                  p->b->error.position);
}

static void skip_space(packer *p) { p->at += strspn(p->at, " \t\r\n"); }

/* Steps over a character when it is there. */
static bool take(packer *p, char c) {
  skip_space(p);
  if (*p->at != c) return false;
  p->at++;
  return true;
}

/* -------------------------------------------------------------- conversions */

typedef enum { LENGTH_NONE, LENGTH_HH, LENGTH_L, LENGTH_LL, LENGTH_Z, LENGTH_J } modifier;

static modifier take_length(packer *p) {
  static const struct {
    const char *text;
    modifier length;
  } all[] = {
      {"hh", LENGTH_HH}, {"ll", LENGTH_LL}, {"l", LENGTH_L}, {"z", LENGTH_Z}, {"j", LENGTH_J}};
  for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
    size_t len = strlen(all[i].text);
    if (strncmp(p->at, all[i].text, len) != 0) continue;
    p->at += len;
    return all[i].length;
  }
  return LENGTH_NONE;
}

/* Some of the types are one and the same, but not on every platform. */
// NOLINTBEGIN(bugprone-branch-clone)
static void pack_signed(packer *p, modifier length) {
  switch (length) {
    case LENGTH_HH: tw_builder_bool(p->b, va_arg(p->args, int) != 0); return;
    case LENGTH_NONE: tw_builder_integer(p->b, va_arg(p->args, int)); return;
    case LENGTH_L: tw_builder_integer(p->b, va_arg(p->args, long)); return;
    case LENGTH_LL: tw_builder_integer(p->b, va_arg(p->args, long long)); return;
    case LENGTH_Z: tw_builder_integer(p->b, (int64_t)va_arg(p->args, size_t)); return;
    case LENGTH_J: tw_builder_integer(p->b, va_arg(p->args, intmax_t)); return;
  }
}

static void pack_unsigned(packer *p, modifier length) {
  char text[24];
  unsigned long long value = 0;
  switch (length) {
    case LENGTH_HH: return;
    case LENGTH_NONE: value = va_arg(p->args, unsigned); break;
    case LENGTH_L: value = va_arg(p->args, unsigned long); break;
    case LENGTH_LL: value = va_arg(p->args, unsigned long long); break;
    case LENGTH_Z: value = va_arg(p->args, size_t); break;
    case LENGTH_J: value = va_arg(p->args, uintmax_t); break;
  }
  tw_builder_raw(p->b, text, (size_t)snprintf(text, sizeof text, "%llu", value));
}
// NOLINTEND(bugprone-branch-clone)

/* As printf has it: a negative precision is none, and a text ends at a NUL. */
static const char *take_string(packer *p, bool has_precision, size_t *len) {
  int precision = has_precision ? va_arg(p->args, int) : -1;
  const char *text = va_arg(p->args, const char *);
  *len = !text ? 0 : precision < 0 ? strlen(text) : strnlen(text, (size_t)precision);
  return text;
}

static void pack_string(packer *p, bool has_precision) {
  size_t len;
  const char *text = take_string(p, has_precision, &len);
  if (text) tw_builder_string(p->b, text, len);
  else tw_builder_null(p->b);
}

/* Steps over `%s` or `%.*s`. */
static bool take_string_conversion(packer *p, bool *has_precision) {
  *has_precision = strncmp(p->at, "%.*s", 4) == 0;
  if (!*has_precision && strncmp(p->at, "%s", 2) != 0) return false;
  p->at += *has_precision ? 4 : 2;
  return true;
}

static void pack_number(packer *p) {
  const char *start = p->at++;
  modifier length = take_length(p);
  char c = *p->at;
  if (c == 'd' || c == 'i') pack_signed(p, length);
  else if (c == 'u' && length != LENGTH_HH) pack_unsigned(p, length);
  else if ((c == 'f' || c == 'g') && (length == LENGTH_NONE || length == LENGTH_L))
    tw_builder_number(p->b, va_arg(p->args, double));
  else {
    p->at = start;
    wrong(p, "not a conversion of a pack (%s %.*s %d %i %u %f %g %hhd)");
    return;
  }
  p->at++;
  place_error(p, start);
}

static void pack_conversion(packer *p) {
  const char *start = p->at;
  bool has_precision;
  if (!take_string_conversion(p, &has_precision)) {
    pack_number(p);
    return;
  }
  pack_string(p, has_precision);
  place_error(p, start);
}

/* ------------------------------------------------------------------- texts */

/* Copies a quoted text of the template, `%%` as `%`. @return false when it is malformed */
static bool take_quoted(packer *p) {
  tw_buffer *text = &p->b->scratch;
  text->len = 0;
  bool ok = tw_buffer_byte(text, *p->at++);
  for (; ok && *p->at && *p->at != '"'; p->at++) {
    if (*p->at == '%' && p->at[1] != '%') {
      wrong(p, "a conversion inside a quoted text (write %% for a percent sign)");
      return false;
    }
    if (*p->at == '%') p->at++;
    ok = tw_buffer_byte(text, *p->at);
    if (*p->at == '\\' && p->at[1]) ok = ok && tw_buffer_byte(text, *++p->at);
  }
  if (!ok || !tw_buffer_byte(text, '"')) tw_no_memory(&p->b->error);
  else if (!*p->at) wrong(p, "closing quote expected");
  else p->at++;
  return !failed(p);
}

/* true, false, null or a number, as it stands in the template. */
static void pack_word(packer *p) {
  size_t len = strcspn(p->at, " \t\r\n,:]}[{\"%");
  const char *start = p->at;
  if (!len) {
    wrong(p, "a value expected");
    return;
  }
  if (!failed(p)) {
    tw_builder_json(p->b, start, len);
    place_error(p, start);
  }
  p->at += len;
}

static void pack_key(packer *p) {
  const char *start = p->at;
  bool has_precision;
  size_t len = 0;
  if (*p->at == '"') {
    if (take_quoted(p)) tw_builder_key_json(p->b, p->b->scratch.data, p->b->scratch.len);
  } else if (take_string_conversion(p, &has_precision)) {
    const char *key = take_string(p, has_precision, &len);
    if (key) tw_builder_key_bytes(p->b, key, len);
    else p->at = start, wrong(p, "NULL as a key");
  } else {
    while (tw_path_key_byte(p->at[len])) len++;
    p->at += len;
    if (len) tw_builder_key_bytes(p->b, start, len);
    else wrong(p, "a key expected");
  }
  if (p->b->error.position == TW_NO_POSITION || p->b->error.code == TW_EJSON)
    place_error(p, start);
}

/* -------------------------------------------------------------- containers */

static void pack_object(packer *p) {
  tw_builder_begin_object(p->b);
  if (!take(p, '}')) {
    do {
      skip_space(p);
      pack_key(p);
      if (!failed(p) && !take(p, ':')) wrong(p, "`:` expected");
      pack_value(p);
    } while (!failed(p) && take(p, ','));
    if (!failed(p) && !take(p, '}')) wrong(p, "`,` or `}` expected");
  }
  tw_builder_end_object(p->b);
}

static void pack_array(packer *p) {
  tw_builder_begin_array(p->b);
  if (!take(p, ']')) {
    do pack_value(p);
    while (!failed(p) && take(p, ','));
    if (!failed(p) && !take(p, ']')) wrong(p, "`,` or `]` expected");
  }
  tw_builder_end_array(p->b);
}

static void pack_value(packer *p) {
  skip_space(p);
  const char *start = p->at;
  if (failed(p)) return;
  if (take(p, '{')) pack_object(p);
  else if (take(p, '[')) pack_array(p);
  else if (*p->at == '%') pack_conversion(p);
  else if (*p->at != '"') pack_word(p);
  else if (take_quoted(p)) {
    tw_builder_json(p->b, p->b->scratch.data, p->b->scratch.len);
    place_error(p, start);
  }
}

void tw_builder_vpack(tw_builder *b, const char *format, va_list args) {
  packer p = {.b = b, .format = format, .at = format};
  va_copy(p.args, args);
  pack_value(&p);
  skip_space(&p);
  if (!failed(&p) && *p.at) wrong(&p, "more behind the value");
  va_end(p.args);
}

void tw_builder_pack(tw_builder *b, const char *format, ...) {
  va_list args;
  va_start(args, format);
  tw_builder_vpack(b, format, args);
  va_end(args);
}
