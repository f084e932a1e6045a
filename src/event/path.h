/// path.h: paths such as `data.items[0].sku`, and patterns such as `context.*.email`.
///
/// path    = step { step }
/// step    = [ "." ] key | "[" index "]" | "[" quoted "]" | wildcard
/// key     = letters, digits, `_`, `-`, `$`, `@` and bytes from 0x80
/// quoted  = a JSON string
/// wildcard= "*" any member or element | "[*]" the same | "**" any depth, also none
///
/// A path with wildcards has at most 63 steps.
#ifndef TW_EVENT_PATH_H
#define TW_EVENT_PATH_H

#include "event/event.h"

typedef enum tw_step_kind {
  TW_STEP_KEY,
  TW_STEP_INDEX,
  TW_STEP_ANY,
  TW_STEP_DEEP
} tw_step_kind;

typedef struct tw_step {
  tw_step_kind kind;
  uint32_t index;  ///< of TW_STEP_INDEX, from 0
  const char *key; ///< of TW_STEP_KEY, unescaped
  size_t len;
} tw_step;

/// A compiled path: immutable, may be used by several threads.
typedef struct tw_path {
  uint32_t count;
  bool has_wildcard;
  tw_step *steps;
} tw_path;

/// @param[out] out  owned; free with tw_path_free. TW_EINVAL with the position
tw_status tw_path_compile(const char *text, size_t len, tw_path **out, tw_error *error);
void tw_path_free(tw_path *path);

/// The value at a path without wildcards. @return false when nothing is there
bool tw_path_find(const tw_event *event, const tw_path *path, tw_ref *value);
/// Sets it; missing objects on the way are made, and arrays before an index 0.
/// See tw_event_set_json.
tw_status tw_path_put(tw_event *event, const tw_path *path, tw_ref value, tw_error *error);
tw_status tw_path_delete(tw_event *event, const tw_path *path, tw_error *error);

/// Where a pattern matched: a member of an object or an element of an array.
typedef struct tw_place {
  tw_ref parent, key, value; ///< key: of an object's member
  uint32_t index;            ///< of an array's element
  bool in_array;
} tw_place;
/// Collects the places that match, each once, in the order of the event; elements of one
/// array in descending order, so that they can be deleted one after the other. Of keys that
/// occur twice in an object all match, so that nothing is overlooked; a delete takes them
/// all, and the later one is TW_ENOENT. With `**` a place may lie inside another.
/// @param[out] places  in the arena of the event's store
tw_status tw_path_match(const tw_event *event, const tw_path *path, tw_place **places,
                        size_t *count, tw_error *error);

#endif
