/// status.h: filling in a tw_error.
#ifndef TW_BASE_STATUS_H
#define TW_BASE_STATUS_H

#include "tidewire.h"

/// Fills `error`, if there is one, and returns `code`: `return tw_fail(error, TW_EINVAL, …)`.
tw_status tw_fail(tw_error *error, tw_status code, const char *format, ...) TW_PRINTF(3, 4);
/// The same with a byte position.
tw_status tw_fail_at(tw_error *error, tw_status code, size_t position, const char *format, ...)
    TW_PRINTF(4, 5);
/// TW_ENOMEM with its message. Inline, so that analysers see that it never returns TW_OK.
static inline tw_status tw_no_memory(tw_error *error) {
  tw_fail(error, TW_ENOMEM, "out of memory");
  return TW_ENOMEM;
}
/// Makes it an error without a reason, for a callback that may leave it so.
void tw_error_clear(tw_error *error);
/// Fills in what a callback that failed with `status` left out, and keeps it on one line.
void tw_error_complete(tw_error *error, tw_status status, const char *who);
/// Puts text in front of the message: `video/db: no such folder`.
void tw_error_prefix(tw_error *error, const char *format, ...) TW_PRINTF(2, 3);

#endif
