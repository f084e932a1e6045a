/// bytes.h: comparing and copying few bytes, the usual length of names, without a call.
///
/// Two loads that overlap cover all lengths from one load's to twice that.
#ifndef TW_BASE_BYTES_H
#define TW_BASE_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

static inline bool tw_bytes_equal(const char *a, const char *b, size_t len) {
  if (len > 16) return memcmp(a, b, len) == 0;
  if (len >= 8) {
    uint64_t head_a, head_b, tail_a, tail_b;
    memcpy(&head_a, a, 8), memcpy(&tail_a, a + (len - 8), 8);
    memcpy(&head_b, b, 8), memcpy(&tail_b, b + (len - 8), 8);
    return head_a == head_b && tail_a == tail_b;
  }
  if (len >= 4) {
    uint32_t head_a, head_b, tail_a, tail_b;
    memcpy(&head_a, a, 4), memcpy(&tail_a, a + (len - 4), 4);
    memcpy(&head_b, b, 4), memcpy(&tail_b, b + (len - 4), 4);
    return head_a == head_b && tail_a == tail_b;
  }
  return !len || (a[0] == b[0] && a[len / 2] == b[len / 2] && a[len - 1] == b[len - 1]);
}

/// memcpy for bytes that do not overlap; `from` may be NULL when there are none.
static inline void tw_bytes_copy(char *to, const char *from, size_t len) {
  if (len > 16) {
    memcpy(to, from, len);
  } else if (len >= 8) {
    uint64_t head, tail;
    memcpy(&head, from, 8), memcpy(&tail, from + (len - 8), 8);
    memcpy(to, &head, 8), memcpy(to + (len - 8), &tail, 8);
  } else if (len >= 4) {
    uint32_t head, tail;
    memcpy(&head, from, 4), memcpy(&tail, from + (len - 4), 4);
    memcpy(to, &head, 4), memcpy(to + (len - 4), &tail, 4);
  } else if (len) {
    // It does not see that one byte has `len` 1, and so only the index 0.
    // cppcheck-suppress objectIndex
    char middle = from[len / 2], last = from[len - 1];
    to[0] = from[0], to[len / 2] = middle, to[len - 1] = last;
  }
}

#endif
