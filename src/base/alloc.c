/* An allocation of nothing is one byte, so that NULL always means that there was no memory. */
#include "base/alloc.h"

#include <stdlib.h>
#include <string.h>

static void *libc_realloc(void *self, void *block, size_t size) {
  (void)self;
  if (size) return realloc(block, size);
  free(block);
  return NULL;
}

/* The one piece of process-wide state beside the tracker registry: set before all else. */
static tw_allocator current = {libc_realloc, NULL};

void tw_set_allocator(const tw_allocator *allocator) {
  current = allocator ? *allocator : (tw_allocator){libc_realloc, NULL};
}

void *tw_malloc(size_t size) { return current.realloc(current.self, NULL, size ? size : 1); }

void *tw_calloc(size_t count, size_t size) {
  if (size && count > SIZE_MAX / size) return NULL;
  void *block = tw_malloc(count * size);
  if (block) memset(block, 0, count * size);
  return block;
}

void *tw_realloc(void *block, size_t size) {
  return current.realloc(current.self, block, size ? size : 1);
}

void tw_free(void *memory) {
  if (memory) current.realloc(current.self, memory, 0);
}

char *tw_memdup(const void *bytes, size_t len) {
  char *copy = tw_malloc(len + 1);
  if (!copy) return NULL;
  if (len) memcpy(copy, bytes, len);
  copy[len] = '\0';
  return copy;
}

char *tw_strdup(const char *text) { return tw_memdup(text, strlen(text)); }
