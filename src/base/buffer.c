/* The slow paths of a buffer. It doubles, so that appending costs the same however long it
   grows, and never shrinks: what is reused soon has the size of the largest event. */
#include "base/buffer.h"

#include <stdio.h>

bool tw_buffer_grow(tw_buffer *buffer, size_t extra) {
  if (extra > SIZE_MAX / 2 - buffer->len) return false; /* then doubling cannot wrap */
  size_t cap = buffer->cap ? buffer->cap * 2 : 256;
  if (cap < buffer->len + extra) cap = buffer->len + extra;
  char *data = tw_realloc(buffer->data, cap);
  if (!data) return false;
  buffer->data = data;
  buffer->cap = cap;
  return true;
}

/* For the NUL of a C string, and for the reader, whose vectors look past the end. */
bool tw_buffer_pad(tw_buffer *buffer, size_t count) {
  if (!tw_buffer_reserve(buffer, count)) return false;
  memset(buffer->data + buffer->len, 0, count);
  return true;
}

/* Formats twice: the first time only to know the length. The NUL needs room but is no part
   of the text. */
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
