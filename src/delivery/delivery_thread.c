/* A thread gathers a batch when one more may be under way, and stays with it until all its
   events are through. Between the calls it waits: for its turn, for the backoff, for the
   breaker to have rested, for as long as the backend wants to be left alone.

   With several threads, each has a batch. The first `width` batches of the list may be at the
   backend; with one, that is the oldest, and the order is kept also when the target was changed
   for one that takes a single batch at a time. Only the oldest batch opens a target.

   While it rests, an idle thread waits for the outbox to change; one with a batch does not, so
   that a backend which is away costs those who route nothing. */
#include <string.h>

#include "delivery/delivery_core.h"

/* While the breaker is half-open no more is sent than this. */
enum { PROBE_EVENTS = 10 };

/* -------------------------------------------------------------------- turn */

static bool is_among_first(const tw_delivery *delivery, const tw_flight *flight,
                           unsigned width) {
  const tw_flight *at = delivery->first;
  for (; width > 0 && at; width--, at = at->behind)
    if (at == flight) return true;
  return false;
}

static bool has_turn(const tw_delivery *delivery, const tw_flight *flight) {
  const tw_aim *aim = delivery->aim;
  return aim && is_among_first(delivery, flight, aim->is_open ? aim->width : 1);
}

/* When the next call may begin, as far as that is known. The breaker knows better than the
   backoff of one batch when a backend is worth a try. */
static uint64_t call_time(const tw_delivery *delivery, const tw_flight *flight) {
  uint64_t at = flight->not_before_ns;
  if (!has_turn(delivery, flight)) return TW_NEVER;
  switch (delivery->breaker.state) {
    case TW_BREAKER_CLOSED: break;
    case TW_BREAKER_OPEN: at = delivery->breaker.until_ns; break;
    case TW_BREAKER_HALF_OPEN: at = delivery->breaker.is_probing ? TW_NEVER : 0; break;
  }
  return at > delivery->not_before_ns ? at : delivery->not_before_ns;
}

/* Tells that the breaker is half-open now, if it is. @return whether the call may still begin
 */
static bool is_still_so(tw_delivery *delivery, const tw_flight *flight) {
  const tw_aim *aim = delivery->aim;
  tw_delivery_tell_breaker(delivery, NULL);
  if (delivery->aim == aim && (!delivery->is_stopping || !flight->calls)) return true;
  tw_breaker_forget(&delivery->breaker);
  return false;
}

/* A batch that waited for more events, or has only just been gathered, still goes out when the
   delivery is being stopped: once, and if nothing is in its way.
   @return false: it is not to be sent any more */
static bool await_turn(tw_delivery *delivery, const tw_flight *flight) {
  while (!delivery->is_stopping || !flight->calls) {
    uint64_t now = tw_delivery_now(delivery), at = call_time(delivery, flight);
    if (at <= now && tw_breaker_admit(&delivery->breaker, now)) {
      if (is_still_so(delivery, flight)) return true;
    } else {
      if (delivery->is_stopping) return false;
      tw_delivery_wait(delivery, &delivery->wake, at);
    }
  }
  return false;
}

/* -------------------------------------------------------------------- call */

/* How many events the next call is to deliver: half of those among which one is refused, one
   that is tried alone, few for a try. */
static size_t next_span(const tw_delivery *delivery, const tw_flight *flight) {
  size_t span = flight->batch.count - flight->at;
  if (flight->suspects > flight->at) span = (flight->suspects - flight->at + 1) / 2;
  if (flight->singles > flight->at) span = 1;
  if (delivery->breaker.state == TW_BREAKER_HALF_OPEN && span > PROBE_EVENTS)
    span = PROBE_EVENTS;
  return span;
}

static tw_batch *batch_of(tw_carrier *carrier, size_t span) {
  tw_flight *flight = &carrier->flight;
  if (span == flight->batch.count) return &flight->batch;
  tw_batch_clear(&carrier->slice);
  return tw_batch_slice(&flight->batch, flight->at, span, &carrier->slice) ? &carrier->slice
                                                                           : NULL;
}

static uint64_t deadline_of(uint64_t timeout_ns) {
  return timeout_ns ? tw_clock_monotonic_ns() + timeout_ns : 0;
}

/* As soon as it is open other batches may go out, too, and need not wait for the first. */
static tw_status open_target(tw_delivery *delivery, tw_aim *aim, tw_error *error) {
  tw_status status = tw_backend_use(aim->backend, error);
  if (status) return status;
  tw_delivery_lock(delivery);
  aim->is_open = true;
  bool is_too_late = delivery->is_abandoned;
  tw_delivery_stir(delivery);
  tw_delivery_unlock(delivery);
  return is_too_late ? tw_fail(error, TW_ECLOSED, "the delivery was stopped meanwhile") : TW_OK;
}

/* Out of here, without the mutex. */
static void go_out(tw_carrier *carrier, tw_aim *aim, bool is_open, uint64_t timeout_ns,
                   tw_answer *answer) {
  tw_batch *batch = batch_of(carrier, answer->span);
  tw_error_clear(&answer->error);
  answer->is_ours = !batch;
  answer->status = batch ? TW_OK : tw_no_memory(&answer->error);
  if (!answer->status && !is_open)
    answer->status = open_target(carrier->delivery, aim, &answer->error);
  answer->has_opened = !answer->status;
  if (answer->status || !batch) return;
  batch->deadline_ns = deadline_of(timeout_ns);
  answer->status = tw_backend_deliver(aim->backend, batch, &answer->done, &answer->error);
  if (answer->status) tw_error_complete(&answer->error, answer->status, "delivering");
}

static void call(tw_carrier *carrier, tw_answer *answer) {
  tw_delivery *delivery = carrier->delivery;
  tw_aim *aim = delivery->aim;
  uint64_t timeout_ns = delivery->options.timeout_ns;
  bool is_open = aim->is_open;
  memset(answer, 0, sizeof *answer);
  answer->was_closed = delivery->breaker.state == TW_BREAKER_CLOSED;
  answer->span = next_span(delivery, &carrier->flight);
  aim->calls++;
  carrier->flight.calls++;
  carrier->called_ns = tw_delivery_now(delivery);
  carrier->called = aim;
  carrier->is_late = false;
  carrier->is_calling = true;
  if (timeout_ns) tw_delivery_watch_call(delivery);
  if (delivery->is_stopping) tw_delivery_stir(delivery);
  tw_delivery_unlock(delivery);
  go_out(carrier, aim, is_open, timeout_ns, answer);
  tw_delivery_lock(delivery);
  carrier->is_calling = false;
  aim->calls--;
  aim->is_unflushed = aim->is_open && tw_backend_flushes_apart(aim->backend);
  answer->is_current = aim == delivery->aim;
  answer->was_counted = carrier->is_late;
}

/* ------------------------------------------------------------------- batch */

/* Without memory for dead letters nothing goes on: they are all that is left of their events.
   @return false: it is being stopped; then the events stay in the outbox */
static bool settle(tw_carrier *carrier) {
  tw_delivery *delivery = carrier->delivery;
  uint64_t failures = 0;
  while (!tw_carrier_settle(carrier)) {
    if (delivery->is_stopping) return false;
    uint64_t until =
        tw_delivery_now(delivery) + tw_delivery_delay(delivery, ++failures) + 1000000;
    while (!delivery->is_stopping && tw_delivery_now(delivery) < until)
      tw_delivery_wait(delivery, &delivery->wake, until);
  }
  return true;
}

static void carry(tw_carrier *carrier) {
  tw_delivery *delivery = carrier->delivery;
  tw_flight *flight = &carrier->flight;
  tw_answer answer;
  while (flight->at < flight->batch.count && await_turn(delivery, flight)) {
    call(carrier, &answer);
    if (delivery->is_abandoned) return;
    tw_carrier_judge(carrier, &answer);
    if (!settle(carrier)) return;
  }
}

/* ------------------------------------------------------------------ thread */

static bool may_gather(const tw_delivery *delivery) {
  return delivery->aim && !delivery->is_gathering && delivery->flights < delivery->aim->width &&
         tw_delivery_has_more(delivery) &&
         (!delivery->read_failures ||
          tw_delivery_now(delivery) >= delivery->read_not_before_ns);
}

static void wait_for_work(tw_delivery *delivery) {
  uint64_t until = TW_NEVER;
  if (delivery->read_failures && tw_delivery_has_more(delivery) && !delivery->is_gathering)
    until = delivery->read_not_before_ns;
  tw_delivery_wait(delivery, &delivery->outbox->changed, until);
}

static void take_a_batch(tw_carrier *carrier) {
  tw_delivery *delivery = carrier->delivery;
  tw_flight *flight = &carrier->flight;
  tw_flight_gather(carrier);
  if (flight->batch.count) carry(carrier);
  else if (flight->end > flight->number) settle(carrier);
  tw_flight_end(carrier);
  if (delivery->count > 1) tw_delivery_stir(delivery);
}

/* The last one closes the target: closing takes time, in which others may begin to leave. */
static void leave(tw_carrier *carrier) {
  tw_delivery *delivery = carrier->delivery;
  if (--delivery->staying == 0) tw_delivery_retire(delivery);
  while (tw_delivery_sweep(delivery, carrier)) {}
  delivery->running--;
  carrier->is_gone = true;
  tw_delivery_stir(delivery);
}

static __thread const void *owner_here;

bool tw_delivery_is_here(const void *self) { return owner_here == self; }

void tw_delivery_be_here(const tw_delivery *delivery) { owner_here = delivery->ops.self; }

void *tw_carrier_run(void *self) {
  tw_carrier *carrier = self;
  tw_delivery *delivery = carrier->delivery;
  tw_delivery_be_here(delivery);
  tw_delivery_lock(delivery);
  while (!delivery->is_stopping) {
    if (tw_delivery_sweep(delivery, carrier)) continue;
    if (may_gather(delivery)) take_a_batch(carrier);
    else if (!tw_delivery_flush(delivery, carrier)) wait_for_work(delivery);
  }
  leave(carrier);
  tw_delivery_unlock(delivery);
  tw_delivery_unref(delivery);
  return NULL;
}
