/// builder_core.h: the inside of a builder, for the pack.
#ifndef TW_EVENT_BUILDER_CORE_H
#define TW_EVENT_BUILDER_CORE_H

#include "event/event.h"

/// What may come next. Containers that are open stand in a stack.
typedef struct tw_level {
  bool is_object;
  bool has_members;
} tw_level;

struct tw_builder {
  tw_buffer text;
  tw_error error;    ///< the first one; code TW_OK while there is none
  bool has_key;      ///< a key waits for its value
  bool finished;     ///< a whole value is there
  uint32_t depth;    ///< open containers; the outermost is levels[0]
  tw_store checker;  ///< to check JSON text with; empty between calls
  tw_buffer scratch; ///< for the pack's quoted texts
  tw_level levels[TW_DEPTH_BOUND];
};

/// Appends text that is known to be one JSON value.
void tw_builder_raw(tw_builder *builder, const char *json, size_t len);
/// The next member's key.
void tw_builder_key_bytes(tw_builder *builder, const char *key, size_t len);
/// The same from a JSON string with its quotes, checked.
void tw_builder_key_json(tw_builder *builder, const char *json, size_t len);
/// A member that holds any bytes: as a string, or where they are not UTF-8 as `KEY_base64`.
/// @param key  at most 50 bytes
void tw_builder_bytes(tw_builder *builder, const char *key, const char *bytes, size_t len);

#endif
