/// alloc.h: all memory of the library goes through here, so that a host can replace the
/// allocator and a test can make any allocation fail.
#ifndef TW_BASE_ALLOC_H
#define TW_BASE_ALLOC_H

#include "tidewire.h"

/// @return `size` bytes (at least one), or NULL. Free with tw_free.
void *tw_malloc(size_t size);
/// The same, zeroed; `count * size` is checked for overflow.
void *tw_calloc(size_t count, size_t size);
/// C's realloc; `block` is unchanged when it returns NULL.
void *tw_realloc(void *block, size_t size);
/// A copy of `len` bytes with a NUL behind them, or NULL.
char *tw_memdup(const void *bytes, size_t len);
char *tw_strdup(const char *text);

#endif
