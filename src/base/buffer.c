#include "base/buffer.h"

#include <stdio.h>

bool tw_buffer_grow(tw_buffer *buffer, size_t extra) {
  if (extra > SIZE_MAX / 2 - buffer->len) return false;
  size_t cap = buffer->cap ? buffer->cap * 2 : 256;
  if (cap < buffer->len + extra) cap = buffer->len + extra;
  char *data = tw_realloc(buffer->data, cap);
  if (!data) return false;
  buffer->data = data;
  buffer->cap = cap;
  return true;
}

bool tw_buffer_pad(tw_buffer *buffer, size_t count) {
  if (!tw_buffer_reserve(buffer, count)) return false;
  memset(buffer->data + buffer->len, 0, count);
  return true;
}

bool tw_buffer_printf(tw_buffer *buffer, const char *format, ...) {
  va_list args, again;
  va_start(args, format);
  va_copy(again, args);
  int need = vsnprintf(NULL, 0, format, args);
  va_end(args);
  bool ok = need >= 0 && tw_buffer_reserve(buffer, (size_t)need + 1);
  if (ok) {
    vsnprintf(buffer->data + buffer->len, (size_t)need + 1, format, again);
    buffer->len += (size_t)need;
  }
  va_end(again);
  return ok;
}

void tw_buffer_fini(tw_buffer *buffer) {
  tw_free(buffer->data);
  *buffer = (tw_buffer){0};
}
