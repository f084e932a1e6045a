/* batch.c: a list of events that lie somewhere else.
 *
 * An item is five words about one line; the texts stay where they are. An event is made of a
 * line only when somebody asks for it, in the batch's own store: from a copy of the text, as
 * the reader wants a NUL and padding behind it, and a line has its neighbour there. The store
 * allows what any store may allow, since other limits were kept when the event was made. */
#include "core/batch.h"

#include <limits.h>

#include "base/clock.h"
#include "event/memo.h"

void tw_batch_init(tw_batch *batch) {
  const tw_limits widest = {.max_depth = UINT32_MAX, .max_size = SIZE_MAX};
  *batch = (tw_batch){0};
  tw_store_init(&batch->store, &widest);
}

static void end_event(tw_batch *batch) {
  if (batch->has_event) tw_event_end(&batch->event);
  batch->has_event = false;
  tw_store_reset(&batch->store);
}

void tw_batch_fini(tw_batch *batch) {
  end_event(batch);
  tw_store_fini(&batch->store);
  tw_free(batch->items);
  tw_batch_init(batch);
}

void tw_batch_clear(tw_batch *batch) {
  end_event(batch);
  batch->count = batch->bytes = 0;
  batch->deadline_ns = 0;
}

static bool reserve(tw_batch *batch, size_t extra) {
  size_t need = batch->count + extra;
  if (need <= batch->cap) return true;
  if (need < batch->cap * 2) need = batch->cap * 2;
  if (need < 64) need = 64;
  tw_batch_item *items = tw_realloc(batch->items, need * sizeof *items);
  if (!items) return false;
  batch->items = items;
  batch->cap = need;
  return true;
}

bool tw_batch_add(tw_batch *batch, const tw_batch_item *item) {
  if (!reserve(batch, 1)) return false;
  batch->items[batch->count++] = *item;
  batch->bytes += item->len;
  return true;
}

bool tw_batch_slice(const tw_batch *batch, size_t first, size_t count, tw_batch *out) {
  tw_batch_clear(out);
  if (!reserve(out, count)) return false;
  for (size_t i = 0; i < count; i++) tw_batch_add(out, &batch->items[first + i]);
  out->deadline_ns = batch->deadline_ns;
  return true;
}

/* ----------------------------------------------------------------- reading */

size_t tw_batch_count(const tw_batch *batch) { return batch->count; }

void tw_batch_json(const tw_batch *batch, size_t index, const char **json, size_t *len) {
  const tw_batch_item *item = &batch->items[index];
  *json = item->text;
  *len = item->len;
}

void tw_batch_id(const tw_batch *batch, size_t index, const char **id, size_t *len) {
  const tw_batch_item *item = &batch->items[index];
  *id = item->id;
  *len = item->id_len;
}

static char *padded_copy(tw_store *store, const tw_batch_item *item) {
  char *copy = tw_store_alloc(store, item->len + TW_PADDING);
  if (!copy) return NULL;
  memcpy(copy, item->text, item->len);
  memset(copy + item->len, 0, TW_PADDING);
  return copy;
}

static tw_status read_event(tw_batch *batch, const tw_batch_item *item, tw_error *error) {
  const char *text = padded_copy(&batch->store, item);
  if (!text) return tw_no_memory(error);
  tw_status status = tw_store_parse_again(&batch->store, text, item->len, &batch->event, error);
  if (status) return status;
  batch->has_event = true;
  batch->event.priority = item->priority;
  return item->id_len ? tw_event_give_id(&batch->event, item->id, item->id_len, error) : TW_OK;
}

tw_status tw_batch_event(tw_batch *batch, size_t index, tw_event **out, tw_error *error) {
  end_event(batch);
  tw_status status = read_event(batch, &batch->items[index], error);
  *out = status ? NULL : &batch->event;
  return status;
}

size_t tw_batch_lines(const tw_batch *batch, size_t index, const char **text, size_t *len) {
  const tw_batch_item *first = batch->items + index, *end = batch->items + batch->count;
  const tw_batch_item *last = first;
  while (last + 1 < end && last[1].text == last->text + last->len + 1) last++;
  *text = first->text;
  *len = (size_t)(last->text + last->len + 1 - first->text);
  return (size_t)(last + 1 - first);
}

/* What is left of a millisecond counts as a whole one: who waits so long does not wake up
   before the end. */
int tw_batch_time_left(const tw_batch *batch) {
  if (!batch->deadline_ns) return -1;
  uint64_t now = tw_clock_monotonic_ns();
  if (now >= batch->deadline_ns) return 0;
  uint64_t left = (batch->deadline_ns - now - 1) / 1000000 + 1;
  return left < INT_MAX ? (int)left : INT_MAX;
}
