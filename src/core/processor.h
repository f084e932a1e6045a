/// processor.h: what routers do with a processor.
#ifndef TW_CORE_PROCESSOR_H
#define TW_CORE_PROCESSOR_H

#include <stdatomic.h>

#include "core/kind.h"

/// Immutable but for the references.
struct tw_processor {
  tw_processor_ops ops;
  void *self;
  tw_on_error on_error;
  char *name; ///< owned
  atomic_size_t refs;
};

/// The bytes of the event's `name`.
/// @return TW_OK; TW_ENOENT when it has none that is a string; TW_ENOMEM
tw_status tw_event_name(tw_event *event, const char **name, size_t *len);

extern const tw_processor_kind tw_allowlist_kind;
extern const tw_processor_kind tw_regex_filter_kind;

#endif
