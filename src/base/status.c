/* A tw_error has a fixed size and belongs to whoever asks, so that a failure can be told
   without memory. What does not fit is cut at the end, for the front says what and where. A
   prefix that would leave no room is left out. */
#include "base/status.h"

#include <stdio.h>
#include <string.h>

const char *tw_version(void) { return TW_VERSION; }

const char *tw_status_name(tw_status status) {
  switch (status) {
    case TW_OK: return "ok";
    case TW_EINVAL: return "invalid";
    case TW_EJSON: return "json";
    case TW_ELIMIT: return "limit";
    case TW_ENOMEM: return "memory";
    case TW_ENOENT: return "not-found";
    case TW_EEXIST: return "exists";
    case TW_ETYPE: return "type";
    case TW_EIO: return "io";
    case TW_ESCRIPT: return "script";
    case TW_ECLOSED: return "closed";
    case TW_EREFUSED: return "refused";
    case TW_EDISABLED: return "disabled";
  }
  return "unknown";
}

/* Names and patterns come from anywhere and may hold anything. */
static void keep_on_one_line(char *text) {
  for (; *text; text++) {
    if ((unsigned char)*text < ' ' || *text == 0x7F) *text = ' ';
  }
}

static void fill(tw_error *error, tw_status code, size_t position, const char *format,
                 va_list args) {
  if (!error) return;
  error->code = code;
  error->position = position;
  vsnprintf(error->message, sizeof error->message, format, args);
  keep_on_one_line(error->message);
}

tw_status tw_fail(tw_error *error, tw_status code, const char *format, ...) {
  va_list args;
  va_start(args, format);
  fill(error, code, TW_NO_POSITION, format, args);
  va_end(args);
  return code;
}

tw_status tw_fail_at(tw_error *error, tw_status code, size_t position, const char *format,
                     ...) {
  va_list args;
  va_start(args, format);
  fill(error, code, position, format, args);
  va_end(args);
  return code;
}

void tw_error_clear(tw_error *error) {
  error->code = TW_OK;
  error->position = TW_NO_POSITION;
  error->message[0] = '\0';
}

void tw_error_complete(tw_error *error, tw_status status, const char *who) {
  if (error->code == TW_OK) error->code = status;
  if (!error->message[0]) tw_fail(error, error->code, "%s failed and gave no reason", who);
  error->message[sizeof error->message - 1] = '\0';
  keep_on_one_line(error->message);
}

void tw_error_prefix(tw_error *error, const char *format, ...) {
  if (!error) return;
  char message[sizeof error->message];
  va_list args;
  va_start(args, format);
  int written = vsnprintf(message, sizeof message, format, args);
  va_end(args);
  if (written < 0 || (size_t)written >= sizeof message) return;
  size_t used = (size_t)written;
  size_t tail = strnlen(error->message, sizeof message - used - 1);
  memcpy(message + used, error->message, tail);
  message[used + tail] = '\0';
  memcpy(error->message, message, used + tail + 1);
  keep_on_one_line(error->message);
}
