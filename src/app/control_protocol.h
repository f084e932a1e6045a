/// control_protocol.h: what a daemon may be asked, and how it answers.
///
/// One line of JSON, one line of JSON. A request is an object with the member `command`;
/// members that a command does not know are ignored, so that later ones may be added:
///
/// | request | answer |
/// |---|---|
/// | `{"command":"reload"}` | `{"ok":true,"generation":4}`: the new script runs |
/// | | `{"ok":false,"error":"shop.lua:12: …","code":"script","generation":3}`: the old one does
/// | | `{"command":"status"}` | `{"ok":true,"version":"0.1.0","pid":4711,…}` | |
/// `{"command":"flush","timeout":5}` | `{"ok":true}` when all that was taken before is with the
/// backends; the time in seconds, 30 unless given |
/// | | `{"ok":false,"error":"…","code":"limit","remaining":17}` |
/// | anything else | `{"ok":false,"error":"…","code":"invalid"}` |
///
/// `code` is a word of tw_status_name. An answer is valid UTF-8, whatever a message holds.
#ifndef TW_APP_CONTROL_PROTOCOL_H
#define TW_APP_CONTROL_PROTOCOL_H

#include "base/buffer.h"
#include "base/status.h"

/// Bytes of a request, at most.
#define TW_CONTROL_REQUEST 4096

/// What the daemon does. Called from several threads at the same time.
typedef struct tw_control_ops {
  /// Replaces the script. @param[out] generation  the one that runs now, also on failure
  tw_status (*reload)(void *self, uint64_t *generation, tw_error *error);
  /// Adds members to the status, an object that is open.
  void (*status)(void *self, tw_builder *json);
  /// Waits until all that was taken is delivered. @param[out] remaining  what was not
  tw_status (*flush)(void *self, int timeout_ms, uint64_t *remaining, tw_error *error);
} tw_control_ops;

/// Carries out a request, and appends the answer with its newline.
/// @param request  one line, with or without its newline
void tw_control_answer(const char *request, size_t len, const tw_control_ops *ops, void *self,
                       tw_buffer *answer);
/// Appends the answer that something failed.
void tw_control_answer_failure(const tw_error *why, tw_buffer *answer);
/// A string of any bytes as a member; what is not UTF-8 becomes U+FFFD.
void tw_control_text(tw_builder *json, const char *key, const char *text);

#endif
