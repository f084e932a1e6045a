/// chunk_form.h: the stored form of a chunk, for the files that make and read it.
///
/// | at | bytes | |
/// |---|---|---|
/// | 0 | 8 | XXH3 of 64 bits of all that follows |
/// | 8 | 4 | "TWC1" |
/// | 12 | 4 | bytes of an item: 12, or 16 when the numbers have gaps |
/// | 16 | 8 | number of the first event |
/// | 24 | 8 | generation |
/// | 32 | 8 | time |
/// | 40 | 4 | events |
/// | 44 | 4 | bytes of the texts |
/// | 48 | 4 | bytes of the ids |
/// | 52 | 4 | events of low priority |
/// | 56 | 4 | events of high priority |
/// | 60 | 4 | zero |
/// | 64 | | texts, items, ids |
///
/// An item:
///
/// | at | bytes | |
/// |---|---|---|
/// | 0 | 4 | where its line ends, behind the newline, from the beginning of the texts |
/// | 4 | 4 | where its id begins, from that of the texts, or of the ids |
/// | 8 | 2 | bytes of the id |
/// | 10 | 1 | priority |
/// | 11 | 1 | 1: the id is in the text; 0: among the ids |
/// | 12 | 4 | with gaps: its number less that of the first |
#ifndef TW_DELIVERY_CHUNK_FORM_H
#define TW_DELIVERY_CHUNK_FORM_H

#include <stdatomic.h>

#include "delivery/chunk.h"

#define TW_CHUNK_MAGIC 0x31435754u /* "TWC1" */

enum {
  TW_CHUNK_HEADER = 64,
  TW_CHUNK_ITEM = 12,
  TW_CHUNK_ITEM_GAPS = 16,
  TW_CHUNK_AT_MAGIC = 8,
  TW_CHUNK_AT_ITEM_SIZE = 12,
  TW_CHUNK_AT_FIRST = 16,
  TW_CHUNK_AT_GENERATION = 24,
  TW_CHUNK_AT_TIME = 32,
  TW_CHUNK_AT_COUNT = 40,
  TW_CHUNK_AT_TEXT_LEN = 44,
  TW_CHUNK_AT_IDS_LEN = 48,
  TW_CHUNK_AT_LOW = 52,
  TW_CHUNK_AT_HIGH = 56
};

/// The header's numbers, and what was worked out of them.
typedef struct tw_chunk_shape {
  uint64_t first, generation;
  int64_t time_us;
  uint32_t count, text_len, ids_len, low, high;
  uint32_t item_size;
} tw_chunk_shape;

/// Whether the checksum is in the stored form.
typedef enum tw_chunk_sum { TW_CHUNK_UNSUMMED, TW_CHUNK_SUMMING, TW_CHUNK_SUMMED } tw_chunk_sum;

struct tw_chunk {
  atomic_size_t refs;
  atomic_int sum;       ///< a tw_chunk_sum
  tw_chunk_shape shape; ///< as in the header
  size_t size;          ///< of `data`
  char data[];          ///< the stored form
};

typedef struct tw_chunk_entry {
  uint32_t end, id_at, offset;
  uint16_t id_len;
  int8_t priority;
  bool is_id_in_text;
} tw_chunk_entry;

/* Compilers make one load or store of each of these where the machine is little-endian. */
static inline uint32_t tw_chunk_get32(const char *from) {
  const unsigned char *b = (const unsigned char *)from;
  return (uint32_t)b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 | (uint32_t)b[3] << 24;
}
static inline uint64_t tw_chunk_get64(const char *from) {
  return tw_chunk_get32(from) | (uint64_t)tw_chunk_get32(from + 4) << 32;
}
static inline void tw_chunk_put32(char *to, uint32_t value) {
  for (int i = 0; i < 4; i++) to[i] = (char)(value >> 8 * i);
}
static inline void tw_chunk_put64(char *to, uint64_t value) {
  tw_chunk_put32(to, (uint32_t)value);
  tw_chunk_put32(to + 4, (uint32_t)(value >> 32));
}

static inline size_t tw_chunk_shape_size(const tw_chunk_shape *shape) {
  return TW_CHUNK_HEADER + (size_t)shape->text_len + (size_t)shape->count * shape->item_size +
         shape->ids_len;
}
static inline const char *tw_chunk_texts(const tw_chunk *chunk) {
  return chunk->data + TW_CHUNK_HEADER;
}
static inline const char *tw_chunk_items(const tw_chunk *chunk) {
  return tw_chunk_texts(chunk) + chunk->shape.text_len;
}
static inline const char *tw_chunk_ids(const tw_chunk *chunk) {
  return tw_chunk_items(chunk) + (size_t)chunk->shape.count * chunk->shape.item_size;
}

static inline void tw_chunk_write_entry(char *to, const tw_chunk_entry *entry,
                                        uint32_t item_size) {
  tw_chunk_put32(to, entry->end);
  tw_chunk_put32(to + 4, entry->id_at);
  to[8] = (char)entry->id_len;
  to[9] = (char)(entry->id_len >> 8);
  to[10] = (char)entry->priority;
  to[11] = entry->is_id_in_text ? 1 : 0;
  if (item_size == TW_CHUNK_ITEM_GAPS) tw_chunk_put32(to + 12, entry->offset);
}
/// Entry `index`; its line begins where the one before it ends.
static inline tw_chunk_entry tw_chunk_read_entry(const tw_chunk *chunk, uint32_t index) {
  uint32_t item_size = chunk->shape.item_size;
  const char *from = tw_chunk_items(chunk) + (size_t)index * item_size;
  return (tw_chunk_entry){
      .end = tw_chunk_get32(from),
      .id_at = tw_chunk_get32(from + 4),
      .id_len = (uint16_t)((unsigned char)from[8] | (unsigned char)from[9] << 8),
      .priority = (int8_t)from[10],
      .is_id_in_text = from[11] != 0,
      .offset = item_size == TW_CHUNK_ITEM_GAPS ? tw_chunk_get32(from + 12) : index};
}
static inline uint32_t tw_chunk_line_start(const tw_chunk *chunk, uint32_t index) {
  return index ? tw_chunk_get32(tw_chunk_items(chunk) +
                                (size_t)(index - 1) * chunk->shape.item_size)
               : 0;
}

/// A chunk with room for what `shape` says and its header written but for the checksum.
/// @return with one reference; NULL without memory
tw_chunk *tw_chunk_alloc(const tw_chunk_shape *shape);
/// Whether the checksum in a stored form is that of its bytes.
bool tw_chunk_is_intact(const char *data, size_t size);

#endif
