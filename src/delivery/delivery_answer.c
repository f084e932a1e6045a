/* What follows from a backend's answer. The events before the first that is not delivered are
   through; then it depends on what was wrong with the rest.

   Refused. Some event of those that were sent cannot ever be delivered. If the answer does not
   say which, half of them are sent, and so on: `suspects` is where those end among which it
   is. A half that is delivered leaves the other half, one that is refused is halved in turn:
   after log2(n) calls it is found, and nothing before it was held back.

   Failed. All wait and are sent again. After `attempts` the events are sent one by one
   (`singles`), once each: what fails then is a dead letter. The breaker ends that when it is
   the backend that is ill, and not the event: a call that begins while it is not closed counts
   for nobody. */
#include "delivery/dead.h"
#include "delivery/delivery_core.h"

static tw_breaker_limits limits_of(const tw_delivery *delivery) {
  return (tw_breaker_limits){.failures = delivery->options.breaker_failures,
                             .probes = delivery->options.breaker_probes,
                             .rest_ns = delivery->options.breaker_rest_ns};
}

/* ------------------------------------------------------------ dead letters */

static bool write_letter(tw_carrier *carrier, const tw_error *error, uint64_t attempts) {
  const tw_delivery *delivery = carrier->delivery;
  tw_flight *flight = &carrier->flight;
  const tw_batch_item *item = &flight->batch.items[flight->at];
  const tw_part *part = tw_flight_part(flight, flight->at);
  tw_dead_letter letter = {.time_us = delivery->clock.utc_us(delivery->clock.self),
                           .where = "backend",
                           .path = delivery->outbox->path,
                           .error = error,
                           .attempts = attempts,
                           .generation = tw_chunk_generation(part->chunk),
                           .id = item->id,
                           .id_len = item->id_len,
                           .event = item->text,
                           .event_len = item->len};
  carrier->letter.len = 0;
  return tw_dead_letter_write(&letter, &carrier->letter) &&
         tw_chunk_builder_add_text(&flight->dead, carrier->letter.data, carrier->letter.len,
                                   item->id, item->id_len, item->priority, NULL) == TW_OK;
}

static void move_on(tw_flight *flight, size_t count) {
  flight->at += count;
  flight->failures = flight->attempts = 0;
  flight->not_before_ns = 0;
}

static void try_later(tw_carrier *carrier) {
  tw_delivery *delivery = carrier->delivery;
  uint64_t delay = tw_delivery_delay(delivery, ++carrier->flight.failures);
  carrier->flight.not_before_ns = tw_delivery_now(delivery) + delay;
}

/* Gives event `at` up. Without memory for the letter it is tried again. */
static void bury(tw_carrier *carrier, const tw_error *error, uint64_t attempts) {
  if (write_letter(carrier, error, attempts)) move_on(&carrier->flight, 1);
  else try_later(carrier);
}

/* ----------------------------------------------------------------- answers */

/* A call tells the breaker nothing that it has counted already, nor one that began before it
   opened: the calls for a try alone decide whether it closes. */
static bool is_news(const tw_delivery *delivery, const tw_answer *answer) {
  bool is_closed = delivery->breaker.state == TW_BREAKER_CLOSED;
  return answer->is_current && (is_closed || !(answer->was_counted || answer->was_closed));
}

static void delivered(tw_delivery *delivery, const tw_answer *answer) {
  tw_breaker_limits limits = limits_of(delivery);
  if (is_news(delivery, answer)) tw_breaker_succeed(&delivery->breaker, &limits);
}

/* A backend that refuses an event is in good health. */
static void refused(tw_carrier *carrier, const tw_answer *answer, size_t rest) {
  tw_delivery *delivery = carrier->delivery;
  tw_flight *flight = &carrier->flight;
  delivered(delivery, answer);
  if (answer->done.is_exact || rest == 1) {
    flight->suspects = 0;
    bury(carrier, &answer->error,
         (flight->singles > flight->at ? flight->tries : 0) + flight->attempts + 1);
    return;
  }
  delivery->retries++;
  flight->suspects = flight->at + rest;
}

static void count_failure(tw_delivery *delivery, const tw_answer *answer) {
  tw_breaker_limits limits = limits_of(delivery);
  uint64_t now = tw_delivery_now(delivery);
  if (answer->status == TW_EDISABLED) tw_breaker_trip(&delivery->breaker, &limits, now);
  else if (is_news(delivery, answer) && !answer->was_counted)
    tw_breaker_fail(&delivery->breaker, &limits, now);
  if (answer->done.retry_after_ms > 0) {
    uint64_t until = now + (uint64_t)answer->done.retry_after_ms * 1000000;
    if (until > delivery->not_before_ns) delivery->not_before_ns = until;
  }
}

/* @return whether the event, or with others the batch, has had its last try */
static bool is_last_attempt(const tw_delivery *delivery, tw_flight *flight,
                            const tw_answer *answer) {
  uint64_t most = delivery->options.attempts;
  if (!most || !answer->was_closed || !answer->has_opened || answer->status == TW_EDISABLED)
    return false;
  flight->attempts++;
  return flight->singles > flight->at || flight->attempts >= most;
}

static void failed(tw_carrier *carrier, const tw_answer *answer) {
  tw_delivery *delivery = carrier->delivery;
  tw_flight *flight = &carrier->flight;
  if (answer->is_ours) tw_breaker_forget(&delivery->breaker);
  if (!answer->is_ours && answer->is_current) count_failure(delivery, answer);
  try_later(carrier);
  if (!answer->is_current) flight->not_before_ns = 0; /* the other one may do better */
  bool is_last =
      !answer->is_ours && answer->is_current && is_last_attempt(delivery, flight, answer);
  if (is_last && flight->singles > flight->at) {
    bury(carrier, &answer->error, flight->tries + flight->attempts);
  } else if (is_last && flight->batch.count - flight->at == 1) {
    bury(carrier, &answer->error, flight->attempts);
  } else {
    delivery->retries++;
    if (!is_last) return;
    flight->singles = flight->batch.count;
    flight->tries = flight->attempts;
    flight->attempts = 0;
    flight->not_before_ns = 0;
  }
}

void tw_carrier_judge(tw_carrier *carrier, const tw_answer *answer) {
  tw_delivery *delivery = carrier->delivery;
  tw_flight *flight = &carrier->flight;
  size_t through = answer->done.count < answer->span ? answer->done.count : answer->span;
  if (!answer->status) through = answer->span;
  if (through) move_on(flight, through);
  size_t rest = answer->span - through;
  if (!rest) delivered(delivery, answer);
  else if (answer->status == TW_EREFUSED && answer->has_opened) refused(carrier, answer, rest);
  else failed(carrier, answer);
  if (flight->at >= flight->suspects) flight->suspects = 0;
  if (flight->at >= flight->singles) flight->singles = 0;
  if (delivery->count > 1) tw_delivery_stir(delivery);
  if (rest) {
    bool is_known = answer->status != TW_EREFUSED || !flight->suspects;
    if (is_known)
      tw_delivery_tell(delivery, answer->status == TW_EREFUSED ? 1 : rest, &answer->error);
  }
  tw_delivery_tell_breaker(delivery, &answer->error);
}

/* -------------------------------------------------------------------- head */

static uint64_t head_of(const tw_delivery *delivery) {
  const tw_flight *at = delivery->first;
  while (at && at->number >= at->end) at = at->behind;
  return at ? at->number : delivery->next;
}

static bool finish_letters(tw_flight *flight, int64_t time_us) {
  if (flight->letters || !flight->dead.count) return true;
  return tw_chunk_finish(&flight->dead, 0, time_us, &flight->letters, NULL) == TW_OK;
}

/* Letters of a batch that is not the oldest are stored at once, before the head has passed
   their events: after a crash in between, those events are tried once more. */
static bool hand_over(tw_delivery *delivery, tw_flight *flight, uint64_t head) {
  if (!flight->letters && head == delivery->settled) return true;
  if (!delivery->outbox->ops->advance(delivery->outbox, head, flight->letters)) return false;
  flight->letters = NULL;
  delivery->settled = head;
  return true;
}

/* Under its own mutex, so that nobody moves the head over events whose letters are not handed
   over yet. */
bool tw_carrier_settle(tw_carrier *carrier) {
  tw_delivery *delivery = carrier->delivery;
  tw_flight *flight = &carrier->flight;
  tw_delivery_unlock(delivery);
  pthread_mutex_lock(&delivery->settle);
  bool is_done = finish_letters(flight, delivery->clock.utc_us(delivery->clock.self));
  tw_delivery_lock(delivery);
  uint64_t before = flight->number;
  if (is_done) flight->number = tw_flight_number(flight, flight->at);
  uint64_t head = head_of(delivery);
  tw_delivery_unlock(delivery);
  is_done = is_done && hand_over(delivery, flight, head);
  tw_delivery_lock(delivery);
  if (!is_done) flight->number = before;
  pthread_mutex_unlock(&delivery->settle);
  return is_done;
}
