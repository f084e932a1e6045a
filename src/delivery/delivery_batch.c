/* Batches out of chunks. One thread gathers at a time, so that batches follow each other in the
   order of routing; it takes from one chunk after the other, and leaves the rest of a chunk to
   the next batch. So what a batch holds is bounded by its own limits, whatever came together.

   The number that is read next only grows. What is missing before a chunk was shed; what the
   outbox cannot read is told, and skipped. */
#include "delivery/delivery_core.h"

static const tw_part *last_part(const tw_flight *flight) {
  return flight->parts + flight->part_count - 1;
}

const tw_part *tw_flight_part(const tw_flight *flight, size_t at) {
  const tw_part *part = last_part(flight);
  while (part->start > at) part--;
  return part;
}

uint64_t tw_flight_number(const tw_flight *flight, size_t at) {
  if (at >= flight->batch.count) return flight->end;
  const tw_part *part = tw_flight_part(flight, at);
  return tw_chunk_item_number(part->chunk, part->from + (uint32_t)(at - part->start));
}

/* ------------------------------------------------------------------- chunk */

static void drop_chunk(tw_delivery *delivery) {
  tw_chunk_unref(delivery->chunk);
  delivery->chunk = NULL;
}

static void pause_reading(tw_delivery *delivery) {
  uint64_t delay = tw_delivery_delay(delivery, ++delivery->read_failures);
  delivery->read_not_before_ns = tw_delivery_now(delivery) + delay;
}

/* What is wrong with the store is no failure of the backend: it is told, and tried again. */
static void fail_reading(tw_delivery *delivery, uint64_t skip, const tw_error *error) {
  uint64_t gone = 0;
  if (error->code == TW_EIO && skip > delivery->next) {
    gone = skip - delivery->next;
    delivery->next = skip;
  } else {
    pause_reading(delivery);
  }
  tw_delivery_tell(delivery, gone, error);
}

bool tw_delivery_has_more(const tw_delivery *delivery) {
  const tw_outbox *outbox = delivery->outbox;
  return delivery->chunk || (delivery->next < outbox->tail && delivery->blank != outbox->tail);
}

/* Lets go of the mutex meanwhile. @return false: try again, if there is more */
static bool load(tw_delivery *delivery) {
  tw_outbox *outbox = delivery->outbox;
  uint64_t tail = outbox->tail, number = delivery->next, skip = number;
  tw_error error;
  tw_error_clear(&error);
  tw_delivery_unlock(delivery);
  tw_chunk *chunk = NULL;
  tw_status status = outbox->ops->read(outbox, number, &chunk, &skip, &error);
  tw_delivery_lock(delivery);
  if (status) {
    tw_error_complete(&error, status, "reading the outbox");
    fail_reading(delivery, skip, &error);
    return false;
  }
  delivery->read_failures = 0;
  delivery->chunk = chunk;
  delivery->index = chunk ? tw_chunk_find(chunk, number) : 0;
  if (chunk && delivery->index < tw_chunk_count(chunk)) return true;
  delivery->blank = tail;
  drop_chunk(delivery);
  return false;
}

/* -------------------------------------------------------------------- take */

static bool add_part(tw_delivery *delivery, tw_flight *flight) {
  if (flight->part_count == flight->part_cap) {
    size_t cap = flight->part_cap ? flight->part_cap * 2 : 8;
    tw_part *grown = tw_realloc(flight->parts, cap * sizeof *grown);
    if (!grown) return false;
    flight->parts = grown;
    flight->part_cap = cap;
  }
  flight->parts[flight->part_count++] =
      (tw_part){tw_chunk_ref(delivery->chunk), delivery->index, flight->batch.count};
  return true;
}

typedef struct limits {
  uint64_t events, bytes;
} limits;

/* The first event is taken in any case. */
static bool fits(const tw_batch *batch, const limits *most, size_t len) {
  return !batch->count || (batch->count < most->events && batch->bytes + len <= most->bytes);
}

typedef enum taken { TAKEN_ALL, TAKEN_FULL, TAKEN_NO_MEMORY } taken;

/* Takes from the chunk at hand, without the mutex. */
static taken take(tw_delivery *delivery, tw_flight *flight, const limits *most) {
  tw_batch_item item;
  size_t before = flight->batch.count;
  taken result = TAKEN_ALL;
  if (!add_part(delivery, flight)) return TAKEN_NO_MEMORY;
  while (result == TAKEN_ALL && delivery->index < tw_chunk_count(delivery->chunk)) {
    tw_chunk_item(delivery->chunk, delivery->index, &item);
    if (!fits(&flight->batch, most, item.len)) result = TAKEN_FULL;
    else if (!tw_batch_add(&flight->batch, &item)) result = TAKEN_NO_MEMORY;
    else delivery->index++;
  }
  if (flight->batch.count == before) tw_chunk_unref(flight->parts[--flight->part_count].chunk);
  return result;
}

/* @return whether there may be room for more */
static bool take_chunk(tw_delivery *delivery, tw_flight *flight) {
  limits most = {delivery->options.batch_events, delivery->options.batch_bytes};
  tw_delivery_unlock(delivery);
  taken result = take(delivery, flight, &most);
  tw_delivery_lock(delivery);
  delivery->next = tw_chunk_item_number(delivery->chunk, delivery->index);
  if (result == TAKEN_ALL) drop_chunk(delivery);
  if (flight->batch.count) delivery->read_failures = 0;
  else pause_reading(delivery); /* no memory for the first */
  return result == TAKEN_ALL;
}

/* ------------------------------------------------------------------ gather */

static void link_last(tw_delivery *delivery, tw_flight *flight) {
  flight->number = delivery->next;
  flight->end = TW_NEVER;
  flight->before = delivery->last;
  flight->behind = NULL;
  if (delivery->last) delivery->last->behind = flight;
  else delivery->first = flight;
  delivery->last = flight;
  delivery->flights++;
}

/* @param[in,out] until  0: it has not begun to wait */
static bool wait_for_more(tw_delivery *delivery, uint64_t *until) {
  uint64_t now = tw_delivery_now(delivery);
  if (delivery->hurry || delivery->is_stopping || !delivery->options.batch_ns) return false;
  if (!*until) *until = now + delivery->options.batch_ns;
  if (now >= *until) return false;
  tw_delivery_wait(delivery, &delivery->outbox->changed, *until);
  return true;
}

static bool may_read(const tw_delivery *delivery) {
  return tw_delivery_has_more(delivery) &&
         (!delivery->read_failures ||
          tw_delivery_now(delivery) >= delivery->read_not_before_ns);
}

void tw_flight_gather(tw_carrier *carrier) {
  tw_delivery *delivery = carrier->delivery;
  tw_flight *flight = &carrier->flight;
  uint64_t until = 0;
  bool has_room = true;
  delivery->is_gathering = true;
  link_last(delivery, flight);
  while (has_room) {
    if (!may_read(delivery)) has_room = flight->batch.count && wait_for_more(delivery, &until);
    else if (delivery->chunk || load(delivery)) has_room = take_chunk(delivery, flight);
  }
  flight->end = delivery->next;
  delivery->is_gathering = false;
  if (delivery->count > 1) tw_delivery_stir(delivery);
}

/* --------------------------------------------------------------------- end */

static void empty(tw_flight *flight) {
  for (size_t i = 0; i < flight->part_count; i++) tw_chunk_unref(flight->parts[i].chunk);
  tw_chunk_unref(flight->letters);
  tw_batch_clear(&flight->batch);
  flight->letters = NULL;
  flight->part_count = flight->at = flight->suspects = flight->singles = 0;
  flight->calls = flight->failures = flight->attempts = flight->tries = 0;
  flight->not_before_ns = 0;
}

void tw_flight_end(tw_carrier *carrier) {
  tw_delivery *delivery = carrier->delivery;
  tw_flight *flight = &carrier->flight;
  if (flight->before) flight->before->behind = flight->behind;
  else delivery->first = flight->behind;
  if (flight->behind) flight->behind->before = flight->before;
  else delivery->last = flight->before;
  delivery->flights--;
  empty(flight);
}

void tw_flight_fini(tw_flight *flight) {
  empty(flight);
  tw_batch_fini(&flight->batch);
  tw_chunk_builder_fini(&flight->dead);
  tw_free(flight->parts);
  flight->parts = NULL;
}
