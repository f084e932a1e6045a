/// chunks.h: numbered events in chunks, as tests of outboxes and deliveries append them.
#ifndef TW_SUPPORT_CHUNKS_H
#define TW_SUPPORT_CHUNKS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "delivery/outbox.h"

/// Adds an event `{"n":NUMBER}`, whose id is the number. @return false without memory
static inline bool add_event(tw_chunk_builder *builder, uint64_t number, int priority) {
  char text[64], id[24];
  int len = snprintf(text, sizeof text, "{\"n\":%llu}", (unsigned long long)number);
  int id_len = snprintf(id, sizeof id, "%llu", (unsigned long long)number);
  return tw_chunk_builder_add_text(builder, text, (size_t)len, id, (size_t)id_len, priority,
                                   NULL) == TW_OK;
}

/// A chunk of `count` events from number `first` on.
static inline tw_chunk *chunk_of(uint64_t first, uint32_t count, int priority) {
  tw_chunk_builder builder = {0};
  tw_chunk *chunk;
  for (uint32_t i = 0; i < count; i++) assert_true(add_event(&builder, first + i, priority));
  assert_int_equal(tw_chunk_finish(&builder, 7, 0, &chunk, NULL), TW_OK);
  tw_chunk_builder_fini(&builder);
  return chunk;
}

/// A chunk of one event for each letter: 'l'ow, 'n'ormal, 'h'igh.
static inline tw_chunk *mixed_chunk(uint64_t first, const char *priorities) {
  tw_chunk_builder builder = {0};
  tw_chunk *chunk;
  for (; *priorities; priorities++, first++) {
    int priority = *priorities == 'l' ? -1 : *priorities == 'h';
    assert_true(add_event(&builder, first, priority));
  }
  assert_int_equal(tw_chunk_finish(&builder, 7, 0, &chunk, NULL), TW_OK);
  tw_chunk_builder_fini(&builder);
  return chunk;
}

/// The number of an event by its id.
static inline uint64_t number_of(const char *id, size_t len) {
  uint64_t number = 0;
  for (size_t i = 0; i < len; i++) number = number * 10 + (uint64_t)(id[i] - '0');
  return number;
}

static inline tw_outbox *new_memory(uint64_t max_events, tw_overload overload) {
  tw_outbox *outbox;
  const tw_outbox_bounds bounds = {.max_events = max_events, .overload = overload};
  assert_int_equal(tw_outbox_new_memory("db", &bounds, NULL, NULL, &outbox, NULL), TW_OK);
  return outbox;
}

/// @return events that it cost
static inline uint64_t append(tw_outbox *outbox, tw_chunk *chunk) {
  uint64_t shed;
  assert_int_equal(tw_outbox_append(outbox, chunk, &shed, NULL), TW_OK);
  return shed;
}

#endif
