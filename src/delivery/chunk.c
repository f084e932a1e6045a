/* chunk.c: gathering events, and making chunks of them.
 *
 * The builder holds the three parts of the stored form side by side, as they grow at their own
 * rates; a chunk is one block with a copy of each. An event that nobody edited costs a copy of
 * its text: neither that nor its id is looked at but for a newline, and an id that stands in
 * the text as it is read (without escapes) is pointed at.
 *
 * Whoever finishes a chunk does not know its number yet, and one that stays in memory is never
 * stored: so the checksum is made when somebody asks for the stored form (chunk_read.c). */
#include "delivery/chunk.h"

#include "delivery/chunk_form.h"

/* One giant event must not hold its memory for ever. */
enum { KEEP = 1 << 20 };
#define MAX_TEXT ((size_t)2 << 30)

void tw_chunk_builder_fini(tw_chunk_builder *builder) {
  tw_buffer_fini(&builder->text);
  tw_buffer_fini(&builder->items);
  tw_buffer_fini(&builder->ids);
  *builder = (tw_chunk_builder){0};
}

/* ------------------------------------------------------------------ adding */

static tw_status too_much(tw_error *error) {
  return tw_fail(error, TW_ELIMIT, "a chunk of events holds less than 2 GiB of text");
}

/* Where an id is found again: in the line that begins at `start`, when it was borrowed from
   the `len` bytes at `text`; otherwise in a copy. @return false without memory */
static bool place_id(tw_chunk_builder *builder, size_t start, const char *text, size_t len,
                     const char *id, size_t id_len, tw_chunk_entry *entry) {
  uintptr_t at = (uintptr_t)id, from = (uintptr_t)text;
  entry->id_len = (uint16_t)id_len;
  entry->is_id_in_text = text && at >= from && at - from <= len && len - (at - from) >= id_len;
  if (entry->is_id_in_text) {
    entry->id_at = (uint32_t)(start + (at - from));
    return true;
  }
  entry->id_at = (uint32_t)builder->ids.len;
  return !id_len || tw_buffer_append(&builder->ids, id, id_len);
}

/* Adds the entry of the line that stands at the end of the texts from `start` on. On failure
   all is as before. @param text  what the line was copied from, with the id maybe in it */
static tw_status add_entry(tw_chunk_builder *builder, size_t start, const char *text,
                           size_t len, const char *id, size_t id_len, int priority,
                           tw_error *error) {
  tw_chunk_entry entry = {.priority = (int8_t)((priority > 0) - (priority < 0))};
  size_t ids = builder->ids.len;
  entry.end = (uint32_t)builder->text.len;
  bool fits = tw_buffer_reserve(&builder->items, TW_CHUNK_ITEM) &&
              place_id(builder, start, text, len, id, id_len, &entry);
  if (!fits || builder->text.len > MAX_TEXT || builder->count == UINT32_MAX) {
    builder->text.len = start;
    builder->ids.len = ids;
    return fits ? too_much(error) : tw_no_memory(error);
  }
  tw_chunk_write_entry(builder->items.data + builder->items.len, &entry, TW_CHUNK_ITEM);
  builder->items.len += TW_CHUNK_ITEM;
  builder->count++;
  builder->low += entry.priority < 0;
  builder->high += entry.priority > 0;
  return TW_OK;
}

tw_status tw_chunk_builder_add(tw_chunk_builder *builder, const tw_event *event,
                               tw_error *error) {
  const tw_node *whole = tw_event_untouched(event);
  size_t start = builder->text.len, id_len;
  const char *id;
  if (tw_event_peek_id(event, &id, &id_len) || !tw_event_render_line(event, &builder->text))
    return tw_no_memory(error);
  return add_entry(builder, start, whole ? whole->text : NULL, whole ? whole->len : 0, id,
                   id_len, event->priority, error);
}

tw_status tw_chunk_builder_add_text(tw_chunk_builder *builder, const char *json, size_t len,
                                    const char *id, size_t id_len, int priority,
                                    tw_error *error) {
  size_t start = builder->text.len;
  if (id_len >= TW_ID_MAX)
    return tw_fail(error, TW_ELIMIT, "an id has at most %d bytes, this one %zu", TW_ID_MAX - 1,
                   id_len);
  if (len >= MAX_TEXT) return too_much(error);
  if (!tw_buffer_reserve(&builder->text, len + 1)) return tw_no_memory(error);
  tw_buffer_append(&builder->text, json, len);
  tw_buffer_byte(&builder->text, '\n');
  return add_entry(builder, start, json, len, id, id_len, priority, error);
}

/* --------------------------------------------------------------- finishing */

static void write_header(char *to, const tw_chunk_shape *shape) {
  memset(to, 0, TW_CHUNK_HEADER);
  tw_chunk_put32(to + TW_CHUNK_AT_MAGIC, TW_CHUNK_MAGIC);
  tw_chunk_put32(to + TW_CHUNK_AT_ITEM_SIZE, shape->item_size);
  tw_chunk_put64(to + TW_CHUNK_AT_FIRST, shape->first);
  tw_chunk_put64(to + TW_CHUNK_AT_GENERATION, shape->generation);
  tw_chunk_put64(to + TW_CHUNK_AT_TIME, (uint64_t)shape->time_us);
  tw_chunk_put32(to + TW_CHUNK_AT_COUNT, shape->count);
  tw_chunk_put32(to + TW_CHUNK_AT_TEXT_LEN, shape->text_len);
  tw_chunk_put32(to + TW_CHUNK_AT_IDS_LEN, shape->ids_len);
  tw_chunk_put32(to + TW_CHUNK_AT_LOW, shape->low);
  tw_chunk_put32(to + TW_CHUNK_AT_HIGH, shape->high);
}

tw_chunk *tw_chunk_alloc(const tw_chunk_shape *shape) {
  size_t size = tw_chunk_shape_size(shape);
  tw_chunk *chunk = tw_malloc(sizeof *chunk + size);
  if (!chunk) return NULL;
  atomic_init(&chunk->refs, 1);
  atomic_init(&chunk->sum, TW_CHUNK_UNSUMMED);
  chunk->shape = *shape;
  chunk->size = size;
  write_header(chunk->data, shape);
  return chunk;
}

static void empty(tw_chunk_builder *builder) {
  builder->text.len = builder->items.len = builder->ids.len = 0;
  builder->count = builder->low = builder->high = 0;
  if (builder->text.cap > KEEP) tw_buffer_fini(&builder->text);
  if (builder->items.cap > KEEP) tw_buffer_fini(&builder->items);
  if (builder->ids.cap > KEEP) tw_buffer_fini(&builder->ids);
}

static char *put_part(char *to, const tw_buffer *part) {
  if (part->len) memcpy(to, part->data, part->len);
  return to + part->len;
}

tw_status tw_chunk_finish(tw_chunk_builder *builder, uint64_t generation, int64_t time_us,
                          tw_chunk **out, tw_error *error) {
  tw_chunk_shape shape = {.generation = generation,
                          .time_us = time_us,
                          .count = builder->count,
                          .text_len = (uint32_t)builder->text.len,
                          .ids_len = (uint32_t)builder->ids.len,
                          .low = builder->low,
                          .high = builder->high,
                          .item_size = TW_CHUNK_ITEM};
  *out = NULL;
  if (!builder->count) return tw_fail(error, TW_EINVAL, "a chunk without events");
  tw_chunk *chunk = tw_chunk_alloc(&shape);
  if (!chunk) return tw_no_memory(error);
  char *to = put_part(chunk->data + TW_CHUNK_HEADER, &builder->text);
  put_part(put_part(to, &builder->items), &builder->ids);
  empty(builder);
  *out = chunk;
  return TW_OK;
}

/* -------------------------------------------------------------- thinning out */

/* The shape of what is left; all but the count may be of no use when none is. */
static tw_chunk_shape shape_without(const tw_chunk *chunk, int priority) {
  tw_chunk_shape shape = chunk->shape;
  uint32_t last = 0;
  shape.count = shape.text_len = shape.ids_len = shape.low = shape.high = 0;
  for (uint32_t i = 0; i < chunk->shape.count; i++) {
    tw_chunk_entry entry = tw_chunk_read_entry(chunk, i);
    if (entry.priority <= priority) continue;
    if (!shape.count++) shape.first = chunk->shape.first + entry.offset;
    shape.text_len += entry.end - tw_chunk_line_start(chunk, i);
    shape.ids_len += entry.is_id_in_text ? 0 : entry.id_len;
    shape.low += entry.priority < 0;
    shape.high += entry.priority > 0;
    last = entry.offset;
  }
  uint64_t span = chunk->shape.first + last + 1 - shape.first;
  shape.item_size = span == shape.count ? TW_CHUNK_ITEM : TW_CHUNK_ITEM_GAPS;
  return shape;
}

/* Where the next line, item and id go. */
typedef struct parts {
  char *texts, *item, *ids;
  uint32_t text_len, ids_len;
} parts;

static void copy_event(const tw_chunk *from, uint32_t index, const tw_chunk_shape *shape,
                       parts *to) {
  tw_chunk_entry entry = tw_chunk_read_entry(from, index);
  uint32_t start = tw_chunk_line_start(from, index), len = entry.end - start;
  memcpy(to->texts + to->text_len, tw_chunk_texts(from) + start, len);
  if (entry.is_id_in_text) {
    entry.id_at = entry.id_at - start + to->text_len;
  } else {
    memcpy(to->ids + to->ids_len, tw_chunk_ids(from) + entry.id_at, entry.id_len);
    entry.id_at = to->ids_len;
    to->ids_len += entry.id_len;
  }
  to->text_len += len;
  entry.end = to->text_len;
  entry.offset = (uint32_t)(from->shape.first + entry.offset - shape->first);
  tw_chunk_write_entry(to->item, &entry, shape->item_size);
  to->item += shape->item_size;
}

tw_status tw_chunk_without(const tw_chunk *chunk, int priority, tw_chunk **out,
                           tw_error *error) {
  tw_chunk_shape shape = shape_without(chunk, priority);
  *out = NULL;
  if (!shape.count) return TW_OK;
  tw_chunk *copy = tw_chunk_alloc(&shape);
  if (!copy) return tw_no_memory(error);
  char *texts = copy->data + TW_CHUNK_HEADER, *items = texts + shape.text_len;
  parts to = {
      .texts = texts, .item = items, .ids = items + (size_t)shape.count * shape.item_size};
  for (uint32_t i = 0; i < chunk->shape.count; i++)
    if (tw_chunk_read_entry(chunk, i).priority > priority) copy_event(chunk, i, &shape, &to);
  tw_chunk_number(copy, shape.first);
  *out = copy;
  return TW_OK;
}
