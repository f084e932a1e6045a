/// arena.h: memory that is freed all at once and, after a reset, used again.
#ifndef TW_BASE_ARENA_H
#define TW_BASE_ARENA_H

#include "base/alloc.h"

typedef struct tw_arena_chunk tw_arena_chunk;

/// Zero is a valid, empty arena.
typedef struct tw_arena {
  tw_arena_chunk *chunks; ///< newest first; only the newest has room
  char *next, *end;       ///< the free part of the newest
} tw_arena;

/// Slow path of tw_arena_alloc.
void *tw_arena_grow(tw_arena *arena, size_t size);

/// @return `size` bytes aligned to 8, valid until the next reset; NULL without memory
static inline void *tw_arena_alloc(tw_arena *arena, size_t size) {
  size = (size + 7) & ~(size_t)7;
  if (size <= (size_t)(arena->end - arena->next)) {
    void *block = arena->next;
    arena->next += size;
    return block;
  }
  return tw_arena_grow(arena, size);
}

/// Makes everything free again. Keeps one chunk, the largest up to `keep` bytes.
void tw_arena_reset(tw_arena *arena, size_t keep);
void tw_arena_fini(tw_arena *arena);

#endif
