/* string.c: strings between memory and JSON text. Both ways copy in runs: what needs no
 * escape is found a word at a time and copied in one piece. */
#include <string.h>

#include "event/text.h"
#include "event/utf8.h"

/* ----------------------------------------------------------------- writing */

#define ONES      0x0101010101010101u
#define HIGHS     0x8080808080808080u
#define ALL(byte) (ONES * (byte))

/* Not zero when one of the bytes is a quote, a backslash, a control character or not ASCII.
   May find more than there is only in words where it finds something. */
static inline uint64_t needs_care(uint64_t x) {
  uint64_t quote = x ^ ALL('"'), backslash = x ^ ALL('\\');
  return ((x - ALL(0x20)) | (quote - ONES) | (backslash - ONES) | x) & HIGHS;
}

static inline bool is_plain(char c) {
  return (unsigned char)c >= 0x20 && (unsigned char)c < 0x80 && c != '"' && c != '\\';
}

/* Whether the last bytes are clean, judged by the last word of a text from `begin`. It may
   reach back over bytes that were done before; what it finds there costs time, no more. */
static inline bool is_tail_clean(const char *begin, const char *end) {
  uint64_t word;
  if (end - begin < 8) return false;
  memcpy(&word, end - 8, 8);
  return !needs_care(word);
}

/* The first byte from `p` on that is escaped or not UTF-8. */
static const char *skip_clean(const char *begin, const char *p, const char *end) {
  for (;;) {
    uint64_t word;
    for (; end - p >= 8; p += 8) {
      memcpy(&word, p, 8);
      if (needs_care(word)) break;
    }
    if (end - p < 8 && is_tail_clean(begin, end)) return end;
    while (p < end && is_plain(*p)) p++;
    if (p == end || (unsigned char)*p < 0x80) return p;
    do {
      size_t size = tw_utf8_size(p, end);
      if (!size) return p;
      p += size;
    } while (p < end && (unsigned char)*p >= 0x80);
  }
}

/* Up to 16 bytes in two words that overlap, filled up with what needs no care. */
static inline bool is_short_plain(const char *bytes, size_t len) {
  uint64_t first = ALL('a'), last = ALL('a');
  uint32_t half[2];
  if (len >= 8) {
    memcpy(&first, bytes, 8);
    memcpy(&last, bytes + len - 8, 8);
  } else if (len >= 4) {
    memcpy(half, bytes, 4);
    memcpy(half + 1, bytes + len - 4, 4);
    memcpy(&first, half, 8);
  } else if (len) {
    char few[8] = {bytes[0], bytes[len / 2], bytes[len - 1], 'a', 'a', 'a', 'a', 'a'};
    memcpy(&first, few, 8);
  }
  return !needs_care(first) && !needs_care(last);
}

bool tw_string_is_plain(const char *bytes, size_t len) {
  if (len <= 16 && is_short_plain(bytes, len)) return true;
  return skip_clean(bytes, bytes, bytes + len) == bytes + len;
}

static char hex_digit(unsigned value) { return "0123456789abcdef"[value & 15]; }

static bool write_escape(tw_buffer *out, unsigned point) {
  static const char names[] = "btnvfr"; /* of 8 to 13; there is no \v */
  char text[6] = {'\\', 'u'};
  if (point == '"' || point == '\\') text[1] = (char)point;
  else if (point >= 8 && point <= 13 && point != 11) text[1] = names[point - 8];
  if (text[1] != 'u') return tw_buffer_append(out, text, 2);
  for (unsigned i = 0; i < 4; i++) text[2 + i] = hex_digit(point >> (12 - 4 * i));
  return tw_buffer_append(out, text, 6);
}

/* Writes what stopped a run. @return the bytes it took; 0 when it is not UTF-8 */
static size_t escape_at(tw_buffer *out, const char *p, const char *end, bool *ok) {
  if ((unsigned char)*p < 0x80) {
    *ok = write_escape(out, (unsigned char)*p);
    return 1;
  }
  if (!tw_utf8_is_surrogate(p, end)) return 0;
  *ok = write_escape(out, 0xd000u | ((unsigned)p[1] & 0x3f) << 6 | ((unsigned)p[2] & 0x3f));
  return 3;
}

tw_status tw_write_string(tw_buffer *out, const char *bytes, size_t len, tw_error *error) {
  size_t before = out->len;
  const char *p = bytes, *end = bytes + len;
  bool ok = tw_buffer_reserve(out, len + 2) && tw_buffer_byte(out, '"');
  while (ok) {
    const char *run = p;
    p = skip_clean(bytes, p, end);
    ok = tw_buffer_append(out, run, (size_t)(p - run));
    if (!ok || p == end) break;
    size_t size = escape_at(out, p, end, &ok);
    if (!size) {
      out->len = before;
      return tw_fail_at(error, TW_EJSON, (size_t)(p - bytes), "the text is not UTF-8");
    }
    p += size;
  }
  if (ok && tw_buffer_byte(out, '"')) return TW_OK;
  out->len = before;
  return tw_no_memory(error);
}

/* -------------------------------------------------------------- unescaping */

static uint32_t hex_value(char c) {
  return (uint32_t)(c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10);
}
static uint32_t read_hex4(const char *p) {
  return hex_value(p[0]) << 12 | hex_value(p[1]) << 8 | hex_value(p[2]) << 4 | hex_value(p[3]);
}

/* The code point of the \u escape at `*p`, two escapes for a pair of surrogates. */
static uint32_t read_unicode_escape(const char **p, const char *end) {
  uint32_t high = read_hex4(*p + 2);
  *p += 6;
  if (high < 0xd800 || high > 0xdbff || end - *p < 6 || (*p)[0] != '\\' || (*p)[1] != 'u')
    return high;
  uint32_t low = read_hex4(*p + 2);
  if (low < 0xdc00 || low > 0xdfff) return high;
  *p += 6;
  return 0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00);
}

static char short_escape(char c) {
  switch (c) {
    case 'b': return '\b';
    case 'f': return '\f';
    case 'n': return '\n';
    case 'r': return '\r';
    case 't': return '\t';
  }
  return c; /* a quote, a backslash, a slash */
}

size_t tw_unescape(const char *text, size_t len, char *out) {
  const char *p = text, *end = text + len;
  char *to = out;
  for (;;) {
    const char *escape = memchr(p, '\\', (size_t)(end - p));
    size_t run = (size_t)((escape ? escape : end) - p);
    memcpy(to, p, run);
    to += run;
    if (!escape) return (size_t)(to - out);
    p = escape;
    if (p[1] == 'u') {
      to += tw_utf8_encode(read_unicode_escape(&p, end), to);
    } else {
      *to++ = short_escape(p[1]);
      p += 2;
    }
  }
}
