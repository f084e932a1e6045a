/// buffer.h: bytes that grow. Zero is a valid, empty buffer.
#ifndef TW_BASE_BUFFER_H
#define TW_BASE_BUFFER_H

#include <string.h>

#include "base/alloc.h"
#include "base/bytes.h"

typedef struct tw_buffer {
  char *data; ///< owned; NULL while nothing was reserved
  size_t len, cap;
} tw_buffer;

/// Slow path of tw_buffer_reserve.
bool tw_buffer_grow(tw_buffer *buffer, size_t extra);

/// Makes room for `extra` bytes behind `len`. @return false without memory
static inline bool tw_buffer_reserve(tw_buffer *buffer, size_t extra) {
  return extra <= buffer->cap - buffer->len || tw_buffer_grow(buffer, extra);
}

/// @return false without memory; nothing is appended then
static inline bool tw_buffer_append(tw_buffer *buffer, const void *bytes, size_t len) {
  if (!tw_buffer_reserve(buffer, len)) return false;
  tw_bytes_copy(buffer->data + buffer->len, bytes, len);
  buffer->len += len;
  return true;
}

static inline bool tw_buffer_byte(tw_buffer *buffer, char byte) {
  if (!tw_buffer_reserve(buffer, 1)) return false;
  buffer->data[buffer->len++] = byte;
  return true;
}

/// Puts `count` NULs behind the text without counting them in `len`.
bool tw_buffer_pad(tw_buffer *buffer, size_t count);
/// Appends formatted text.
bool tw_buffer_printf(tw_buffer *buffer, const char *format, ...) TW_PRINTF(2, 3);
void tw_buffer_fini(tw_buffer *buffer);

#endif
