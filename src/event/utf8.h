/// utf8.h: one UTF-8 sequence at a time.
#ifndef TW_EVENT_UTF8_H
#define TW_EVENT_UTF8_H

#include <stddef.h>
#include <stdint.h>

static inline int tw_utf8_is_tail(char byte) { return (byte & 0xc0) == 0x80; }

/// @return whether `p` begins an encoded surrogate, U+D800 to U+DFFF: not UTF-8, but WTF-8
static inline int tw_utf8_is_surrogate(const char *p, const char *end) {
  return end - p >= 3 && (uint8_t)p[0] == 0xed && (uint8_t)p[1] >= 0xa0 &&
         (uint8_t)p[1] <= 0xbf && tw_utf8_is_tail(p[2]);
}

/// @return the bytes of the well-formed sequence at `p`, 1 to 4 (RFC 3629: none that is
///         overlong, a surrogate, or over U+10FFFF); 0 when it is none or not whole
static inline size_t tw_utf8_size(const char *p, const char *end) {
  uint8_t lead = (uint8_t)p[0];
  if (lead < 0x80) return 1;
  if (lead < 0xc2 || end - p < 2 || !tw_utf8_is_tail(p[1])) return 0;
  if (lead < 0xe0) return 2;
  uint8_t second = (uint8_t)p[1];
  if (end - p < 3 || !tw_utf8_is_tail(p[2])) return 0;
  if (lead < 0xf0) {
    if ((lead == 0xe0 && second < 0xa0) || (lead == 0xed && second >= 0xa0)) return 0;
    return 3;
  }
  if (lead > 0xf4 || end - p < 4 || !tw_utf8_is_tail(p[3])) return 0;
  if ((lead == 0xf0 && second < 0x90) || (lead == 0xf4 && second >= 0x90)) return 0;
  return 4;
}

/// Writes a code point, surrogates as in WTF-8. @return the bytes written, 1 to 4
static inline size_t tw_utf8_encode(uint32_t point, char *out) {
  if (point < 0x80) {
    out[0] = (char)point;
    return 1;
  }
  size_t size = point < 0x800 ? 2 : point < 0x10000 ? 3 : 4;
  for (size_t i = size - 1; i; i--, point >>= 6) out[i] = (char)(0x80 | (point & 0x3f));
  out[0] = (char)((0xf00 >> size & 0xff) | point);
  return size;
}

#endif
