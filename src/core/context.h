/// context.h: what emitting does with a context.
#ifndef TW_CORE_CONTEXT_H
#define TW_CORE_CONTEXT_H

#include "base/buffer.h"
#include "base/status.h"

/// Appends the union as a JSON object. @return false without memory
bool tw_context_append(tw_context *context, tw_buffer *out);

#endif
