/* utf8.c: checking UTF-8: ASCII by the word, sequences one by one. */
#include "event/utf8.h"

#include <string.h>

#include "event/text.h"

/* The first byte over 127. Words of eight are skipped whole. */
static const char *skip_ascii(const char *p, const char *end) {
  for (; end - p >= 8; p += 8) {
    uint64_t word;
    memcpy(&word, p, 8);
    if (word & 0x8080808080808080) break;
  }
  while (p < end && (uint8_t)*p < 0x80) p++;
  return p;
}

size_t tw_utf8_check(const char *text, size_t len) {
  const char *p = text, *end = text + len;
  while ((p = skip_ascii(p, end)) < end) {
    do {
      size_t size = tw_utf8_size(p, end);
      if (!size) return (size_t)(p - text);
      p += size;
    } while (p < end && (uint8_t)*p >= 0x80);
  }
  return len;
}
