/// embedded.h: the Lua library of lua/tidewire, compiled into the binary as source text.
#ifndef TW_SCRIPT_EMBEDDED_H
#define TW_SCRIPT_EMBEDDED_H

#include <stddef.h>

typedef struct tw_embedded {
  const char *name;  ///< as `require` wants it: "tidewire.processors"
  const char *chunk; ///< the chunk name: "@tidewire/processors/init.lua"
  const char *source;
  size_t len;
} tw_embedded;

/// Ends with an entry whose name is NULL.
extern const tw_embedded tw_embedded_modules[];

#endif
