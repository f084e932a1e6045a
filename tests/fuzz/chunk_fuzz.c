/* Stored forms of chunks: any bytes, bytes with a checksum that fits, and forms that were just
 * made.
 *
 * Input: a byte that says which of these, then the bytes. Made ones take from them: the
 * number's lowest byte; then for each event its priority, the lengths of id and text (a byte
 * each), and both; a newline in a text becomes a blank. What was made must read back as it was,
 * and no bit of it may be flipped unnoticed. Whatever reads must be sound in all it tells, and
 * what is left without a priority, too. */
#include <stdio.h>
#include <stdlib.h>

#include "delivery/chunk_form.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CHECK(condition)                                                    \
  do {                                                                      \
    if (!(condition)) {                                                     \
      fprintf(stderr, "line %d: %s does not hold\n", __LINE__, #condition); \
      abort();                                                              \
    }                                                                       \
  } while (0)

/* -------------------------------------------------------------- what was read */

static unsigned touched; /* so that all bytes are looked at */

static void touch(const char *bytes, size_t len) {
  for (size_t i = 0; i < len; i++) touched += (unsigned char)bytes[i];
}

/* Everything that a chunk tells fits together. */
static void check_sound(const tw_chunk *chunk) {
  uint32_t count = tw_chunk_count(chunk), by_priority[3] = {0};
  size_t text_len = 0;
  const char *end = NULL;
  CHECK(count);
  for (uint32_t i = 0; i < count; i++) {
    tw_batch_item item;
    tw_chunk_item(chunk, i, &item);
    CHECK(!end || item.text == end);
    CHECK(item.text[item.len] == '\n' && !memchr(item.text, '\n', item.len));
    CHECK(item.id_len < TW_ID_MAX && item.priority >= -1 && item.priority <= 1);
    touch(item.text, item.len);
    touch(item.id, item.id_len);
    end = item.text + item.len + 1;
    text_len += item.len + 1;
    by_priority[item.priority + 1]++;
    uint64_t number = tw_chunk_item_number(chunk, i);
    CHECK(number < tw_chunk_item_number(chunk, i + 1));
    CHECK(tw_chunk_find(chunk, number) == i && tw_chunk_find(chunk, number + 1) == i + 1);
  }
  CHECK(tw_chunk_item_number(chunk, 0) == tw_chunk_first(chunk));
  CHECK(text_len == tw_chunk_text_len(chunk));
  for (int priority = -1; priority <= 1; priority++)
    CHECK(tw_chunk_at_priority(chunk, priority) == by_priority[priority + 1]);
}

static bool same(const tw_batch_item *a, const tw_batch_item *b) {
  return a->len == b->len && !memcmp(a->text, b->text, a->len) && a->id_len == b->id_len &&
         !memcmp(a->id, b->id, a->id_len) && a->priority == b->priority;
}

/* A copy without a priority has the others, with their numbers, and can be stored. */
static void check_without(const tw_chunk *chunk, int priority) {
  tw_chunk *rest, *again;
  const char *data;
  size_t size;
  uint32_t next = 0;
  CHECK(tw_chunk_without(chunk, priority, &rest, NULL) == TW_OK);
  for (uint32_t i = 0; i < tw_chunk_count(chunk); i++) {
    tw_batch_item item, left;
    tw_chunk_item(chunk, i, &item);
    if (item.priority <= priority) continue;
    CHECK(rest && next < tw_chunk_count(rest));
    tw_chunk_item(rest, next, &left);
    CHECK(same(&item, &left));
    CHECK(tw_chunk_item_number(rest, next++) == tw_chunk_item_number(chunk, i));
  }
  CHECK(rest ? next == tw_chunk_count(rest) : !next);
  if (!rest) return;
  tw_chunk_bytes(rest, &data, &size);
  CHECK(tw_chunk_read(data, size, &again, NULL) == TW_OK);
  check_sound(again);
  tw_chunk_unref(again);
  tw_chunk_unref(rest);
}

/* What reads them must live with texts that are no JSON. */
static void read_events(const tw_chunk *chunk) {
  tw_batch batch;
  tw_batch_init(&batch);
  for (uint32_t i = 0; i < tw_chunk_count(chunk) && i < 20; i++) {
    tw_batch_item item;
    tw_event *event;
    tw_chunk_item(chunk, i, &item);
    CHECK(tw_batch_add(&batch, &item));
    tw_status status = tw_batch_event(&batch, i, &event, NULL);
    CHECK((status == TW_OK) == (event != NULL));
    CHECK(!event || tw_event_priority(event) == (tw_priority)item.priority);
  }
  tw_batch_fini(&batch);
}

static void read_bytes(const char *data, size_t size) {
  tw_chunk *chunk;
  if (tw_chunk_read(data, size, &chunk, NULL) != TW_OK) return;
  check_sound(chunk);
  for (int priority = -2; priority <= 1; priority++) check_without(chunk, priority);
  read_events(chunk);
  tw_chunk_unref(chunk);
}

static void count_line(void *self, const char *json, size_t len) {
  CHECK(len >= 2 && json[0] == '{' && !memchr(json, '\n', len));
  ++*(size_t *)self;
}

/* --------------------------------------------------------------- what is made */

static void make_chunk(const uint8_t *data, size_t size) {
  tw_chunk_builder builder = {0};
  tw_chunk *chunk, *copy;
  const char *bytes;
  size_t len;
  uint64_t first = size ? UINT64_MAX - 255 - data[0] * (uint64_t)3 : 0;
  for (size_t at = 1; at + 3 <= size;) {
    size_t id_len = data[at + 1], text_len = data[at + 2];
    int priority = (int)(data[at] % 3) - 1;
    at += 3;
    if (id_len + text_len > size - at) break;
    char *text = malloc(text_len + 1);
    for (size_t i = 0; i < text_len; i++)
      text[i] = (char)(data[at + id_len + i] == '\n' ? ' ' : data[at + id_len + i]);
    /* An id that is a part of its text where there is room, or else stands alone. */
    bool inside = text_len >= id_len && data[at - 3] & 0x80;
    const char *id = inside ? text + (text_len - id_len) : (const char *)data + at;
    CHECK(tw_chunk_builder_add_text(&builder, text, text_len, id, id_len, priority, NULL) ==
          TW_OK);
    free(text);
    at += id_len + text_len;
  }
  uint32_t count = builder.count;
  tw_status status = tw_chunk_finish(&builder, 1, 2, &chunk, NULL);
  tw_chunk_builder_fini(&builder);
  CHECK(status == (count ? TW_OK : TW_EINVAL));
  if (!count) return;
  tw_chunk_number(chunk, first - count);
  check_sound(chunk);
  tw_chunk_bytes(chunk, &bytes, &len);
  read_bytes(bytes, len);
  CHECK(tw_chunk_read(bytes, len, &copy, NULL) == TW_OK);
  tw_chunk_unref(copy);
  size_t bit = (data[0] * (size_t)2654435761u) % (len * 8);
  chunk->data[bit / 8] = (char)(chunk->data[bit / 8] ^ 1 << bit % 8);
  CHECK(tw_chunk_read(bytes, len, &copy, NULL) == TW_EIO);
  tw_chunk_unref(chunk);
}

/* Somebody's bytes, with the checksum that belongs to them. */
static void read_forged(const uint8_t *data, size_t size) {
  if (size < TW_CHUNK_HEADER) return;
  tw_chunk *forged = malloc(sizeof *forged + size);
  memcpy(forged->data, data, size);
  forged->size = size;
  atomic_init(&forged->sum, TW_CHUNK_UNSUMMED);
  tw_chunk_number(forged, tw_chunk_get64(forged->data + TW_CHUNK_AT_FIRST));
  const char *bytes;
  tw_chunk_bytes(forged, &bytes, &size);
  char *exact = malloc(size); /* so that a read behind it is found out */
  memcpy(exact, forged->data, size);
  free(forged);
  read_bytes(exact, size);
  free(exact);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  size_t salvaged = 0;
  if (!size) return 0;
  uint8_t way = data[0] % 3;
  data++, size--;
  tw_chunk_salvage((const char *)data, size, count_line, &salvaged);
  CHECK(salvaged <= size / 3);
  if (way == 0) read_bytes((const char *)data, size);
  else if (way == 1) read_forged(data, size);
  else make_chunk(data, size);
  return 0;
}
