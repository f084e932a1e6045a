/* chunk_read.c: chunks as they are used, stored and found again.
 *
 * A stored form is checked once and wholly when it is read: the checksum, and besides each
 * number that something is found by, as a checksum is no proof against who makes one. So what
 * reads a chunk later need not look. */
#include <sched.h>
#include <xxhash.h>

#include "delivery/chunk_form.h"
#include "event/event.h"

tw_chunk *tw_chunk_ref(tw_chunk *chunk) {
  atomic_fetch_add_explicit(&chunk->refs, 1, memory_order_relaxed);
  return chunk;
}

void tw_chunk_unref(tw_chunk *chunk) {
  if (chunk && atomic_fetch_sub(&chunk->refs, 1) == 1) tw_free(chunk);
}

/* ---------------------------------------------------------------- the form */

static uint64_t checksum(const char *data, size_t size) {
  return XXH3_64bits(data + 8, size - 8);
}

bool tw_chunk_is_intact(const char *data, size_t size) {
  return size >= TW_CHUNK_HEADER && tw_chunk_get64(data) == checksum(data, size);
}

void tw_chunk_number(tw_chunk *chunk, uint64_t first) {
  chunk->shape.first = first;
  tw_chunk_put64(chunk->data + TW_CHUNK_AT_FIRST, first);
  atomic_store_explicit(&chunk->sum, TW_CHUNK_UNSUMMED, memory_order_relaxed);
}

/* One thread makes it; others that come meanwhile wait for the microseconds that it takes. */
static void make_sum(tw_chunk *chunk) {
  int expected = TW_CHUNK_UNSUMMED;
  if (atomic_compare_exchange_strong(&chunk->sum, &expected, TW_CHUNK_SUMMING)) {
    tw_chunk_put64(chunk->data, checksum(chunk->data, chunk->size));
    atomic_store(&chunk->sum, TW_CHUNK_SUMMED);
  }
  while (atomic_load(&chunk->sum) != TW_CHUNK_SUMMED) sched_yield();
}

/* That it is not there yet is nothing that a reader of the events could see. */
void tw_chunk_bytes(const tw_chunk *chunk, const char **data, size_t *size) {
  if (atomic_load(&chunk->sum) != TW_CHUNK_SUMMED) make_sum((tw_chunk *)chunk);
  *data = chunk->data;
  *size = chunk->size;
}

/* ----------------------------------------------------------------- reading */

static tw_chunk_shape read_shape(const char *data) {
  return (tw_chunk_shape){.first = tw_chunk_get64(data + TW_CHUNK_AT_FIRST),
                          .generation = tw_chunk_get64(data + TW_CHUNK_AT_GENERATION),
                          .time_us = (int64_t)tw_chunk_get64(data + TW_CHUNK_AT_TIME),
                          .count = tw_chunk_get32(data + TW_CHUNK_AT_COUNT),
                          .text_len = tw_chunk_get32(data + TW_CHUNK_AT_TEXT_LEN),
                          .ids_len = tw_chunk_get32(data + TW_CHUNK_AT_IDS_LEN),
                          .low = tw_chunk_get32(data + TW_CHUNK_AT_LOW),
                          .high = tw_chunk_get32(data + TW_CHUNK_AT_HIGH),
                          .item_size = tw_chunk_get32(data + TW_CHUNK_AT_ITEM_SIZE)};
}

static bool is_shape_sound(const char *data, size_t size, const tw_chunk_shape *shape) {
  return tw_chunk_get32(data + TW_CHUNK_AT_MAGIC) == TW_CHUNK_MAGIC &&
         (shape->item_size == TW_CHUNK_ITEM || shape->item_size == TW_CHUNK_ITEM_GAPS) &&
         shape->count && tw_chunk_shape_size(shape) == size;
}

/* An id in the text is in that of its own event, so that both can be copied together. */
static bool is_id_sound(const tw_chunk *chunk, uint32_t start, const tw_chunk_entry *entry) {
  uint32_t from = entry->is_id_in_text ? start : 0;
  uint32_t end = entry->is_id_in_text ? entry->end : chunk->shape.ids_len;
  return entry->id_len < TW_ID_MAX && entry->id_at >= from && entry->id_at <= end &&
         entry->id_len <= end - entry->id_at;
}

/* The line is a line, and nothing in the item leads out of the chunk. */
static bool is_item_sound(const tw_chunk *chunk, uint32_t index, const tw_chunk_entry *entry) {
  uint32_t start = tw_chunk_line_start(chunk, index);
  if (entry->end <= start || entry->end > chunk->shape.text_len) return false;
  const char *line = tw_chunk_texts(chunk) + start,
             *last = tw_chunk_texts(chunk) + entry->end - 1;
  return memchr(line, '\n', entry->end - start) == last && entry->priority >= -1 &&
         entry->priority <= 1 && is_id_sound(chunk, start, entry);
}

/* @return the first item that is not sound; the count when all are */
static uint32_t check_items(const tw_chunk *chunk) {
  const tw_chunk_shape *shape = &chunk->shape;
  uint32_t low = 0, high = 0, last = 0, end = 0, i = 0;
  for (; i < shape->count; i++) {
    tw_chunk_entry entry = tw_chunk_read_entry(chunk, i);
    bool ascends = i ? entry.offset > last : !entry.offset;
    if (!ascends || !is_item_sound(chunk, i, &entry)) return i;
    low += entry.priority < 0;
    high += entry.priority > 0;
    last = entry.offset;
    end = entry.end;
  }
  bool is_sound = end == shape->text_len && low == shape->low && high == shape->high &&
                  shape->first <= UINT64_MAX - 1 - last;
  return is_sound ? i : 0;
}

static tw_status damaged(tw_error *error, const char *where) {
  return tw_fail(error, TW_EIO, "a chunk of events is damaged: %s", where);
}

tw_status tw_chunk_read(const char *data, size_t size, tw_chunk **out, tw_error *error) {
  *out = NULL;
  if (size < TW_CHUNK_HEADER) return damaged(error, "it is shorter than its header");
  if (!tw_chunk_is_intact(data, size)) return damaged(error, "its checksum is another");
  tw_chunk_shape shape = read_shape(data);
  if (!is_shape_sound(data, size, &shape)) return damaged(error, "its header is none");
  tw_chunk *chunk = tw_chunk_alloc(&shape);
  if (!chunk) return tw_no_memory(error);
  memcpy(chunk->data, data, size);
  atomic_init(&chunk->sum, TW_CHUNK_SUMMED);
  uint32_t sound = check_items(chunk);
  if (sound == shape.count) {
    *out = chunk;
    return TW_OK;
  }
  tw_chunk_unref(chunk);
  return tw_fail(error, TW_EIO, "a chunk of events is damaged: its event %u", sound + 1);
}

/* ---------------------------------------------------------------- salvaging */

static void salvage_line(tw_store *store, const char *text, size_t len, tw_chunk_line_fn line,
                         void *self) {
  tw_event event;
  tw_buffer padded = {0};
  if (!len || text[0] != '{') return;
  if (tw_buffer_append(&padded, text, len) && tw_buffer_pad(&padded, TW_PADDING) &&
      tw_store_parse_again(store, padded.data, len, &event, NULL) == TW_OK) {
    line(self, text, len);
    tw_event_end(&event);
  }
  tw_store_reset(store);
  tw_buffer_fini(&padded);
}

/* The texts begin in a fixed place. Where they end a header tells that can be believed: one
   with its magic, where a line ends in that place. Otherwise everything is looked through;
   items and ids are no JSON. */
static const char *texts_end(const char *data, size_t size) {
  size_t end = TW_CHUNK_HEADER + (size_t)tw_chunk_get32(data + TW_CHUNK_AT_TEXT_LEN);
  bool is_told = tw_chunk_get32(data + TW_CHUNK_AT_MAGIC) == TW_CHUNK_MAGIC && end <= size;
  return is_told && data[end - 1] == '\n' ? data + end : data + size;
}

void tw_chunk_salvage(const char *data, size_t size, tw_chunk_line_fn line, void *self) {
  tw_store store;
  if (size <= TW_CHUNK_HEADER) return;
  const char *end = texts_end(data, size), *next;
  tw_store_init(&store, NULL);
  for (const char *at = data + TW_CHUNK_HEADER; at < end; at = next + 1) {
    next = memchr(at, '\n', (size_t)(end - at));
    if (!next) break; /* a line without its newline was cut off */
    salvage_line(&store, at, (size_t)(next - at), line, self);
  }
  tw_store_fini(&store);
}

/* ------------------------------------------------------------------- asking */

uint64_t tw_chunk_first(const tw_chunk *chunk) { return chunk->shape.first; }
uint32_t tw_chunk_count(const tw_chunk *chunk) { return chunk->shape.count; }
size_t tw_chunk_text_len(const tw_chunk *chunk) { return chunk->shape.text_len; }
size_t tw_chunk_size(const tw_chunk *chunk) { return chunk->size; }
uint64_t tw_chunk_generation(const tw_chunk *chunk) { return chunk->shape.generation; }
int64_t tw_chunk_time(const tw_chunk *chunk) { return chunk->shape.time_us; }

uint32_t tw_chunk_at_priority(const tw_chunk *chunk, int priority) {
  const tw_chunk_shape *shape = &chunk->shape;
  if (priority == TW_PRIORITY_LOW) return shape->low;
  if (priority == TW_PRIORITY_HIGH) return shape->high;
  return priority == TW_PRIORITY_NORMAL ? shape->count - shape->low - shape->high : 0;
}

void tw_chunk_item(const tw_chunk *chunk, uint32_t index, tw_batch_item *out) {
  tw_chunk_entry entry = tw_chunk_read_entry(chunk, index);
  uint32_t start = tw_chunk_line_start(chunk, index);
  const char *texts = tw_chunk_texts(chunk);
  out->text = texts + start;
  out->len = entry.end - start - 1;
  out->id = (entry.is_id_in_text ? texts : tw_chunk_ids(chunk)) + entry.id_at;
  out->id_len = entry.id_len;
  out->priority = entry.priority;
}

uint64_t tw_chunk_item_number(const tw_chunk *chunk, uint32_t index) {
  const tw_chunk_shape *shape = &chunk->shape;
  if (index < shape->count) return shape->first + tw_chunk_read_entry(chunk, index).offset;
  return shape->first + tw_chunk_read_entry(chunk, shape->count - 1).offset + 1;
}

uint32_t tw_chunk_find(const tw_chunk *chunk, uint64_t number) {
  uint32_t from = 0, to = chunk->shape.count;
  while (from < to) {
    uint32_t middle = from + (to - from) / 2;
    if (tw_chunk_item_number(chunk, middle) < number) from = middle + 1;
    else to = middle;
  }
  return from;
}
