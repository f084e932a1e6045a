/* An arena is a list of chunks, each twice the one before. Blocks are never freed one by one,
   and a chunk that is full is never looked at again until all are freed. */
#include "base/arena.h"

struct tw_arena_chunk {
  tw_arena_chunk *older;
  size_t size; /* of data */
  _Alignas(8) char data[];
};

enum { FIRST_CHUNK = 4096 };

void *tw_arena_grow(tw_arena *arena, size_t size) {
  size_t room = arena->chunks ? arena->chunks->size * 2 : FIRST_CHUNK;
  if (room < size) room = size;
  if (room > SIZE_MAX - sizeof(tw_arena_chunk)) return NULL;
  tw_arena_chunk *chunk = tw_malloc(sizeof *chunk + room);
  if (!chunk) return NULL;
  chunk->older = arena->chunks;
  chunk->size = room;
  arena->chunks = chunk;
  arena->next = chunk->data + size;
  arena->end = chunk->data + room;
  return chunk->data;
}

/* Chunks double, so the newest is the largest that was ever needed. */
void tw_arena_reset(tw_arena *arena, size_t keep) {
  tw_arena_chunk *kept = NULL;
  for (tw_arena_chunk *chunk = arena->chunks, *older; chunk; chunk = older) {
    older = chunk->older;
    if (!kept && chunk->size <= keep) kept = chunk;
    else tw_free(chunk);
  }
  arena->chunks = kept;
  arena->next = kept ? kept->data : NULL;
  arena->end = kept ? kept->data + kept->size : NULL;
  if (kept) kept->older = NULL;
}

void tw_arena_fini(tw_arena *arena) { tw_arena_reset(arena, 0); }
