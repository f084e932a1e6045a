/* utf8.c: checking UTF-8. */
#include "event/utf8.h"

#include <string.h>

#include "event/text.h"

size_t tw_utf8_check(const char *text, size_t len) {
  const char *p = text, *end = text + len;
  while (p < end) {
    uint64_t word;
    if (end - p >= 8) {
      memcpy(&word, p, 8);
      if (!(word & 0x8080808080808080)) {
        p += 8;
        continue;
      }
    }
    size_t size = tw_utf8_size(p, end);
    if (!size) return (size_t)(p - text);
    p += size;
  }
  return len;
}
