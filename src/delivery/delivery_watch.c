/* Tells which calls are late, without a cost to those that are not: a call leaves the time when
   it began, and that is all. The watch is a thread that looks after the time-out of the oldest
   call, and then at the one that is the oldest now: a backend in good health is looked at once
   in each time-out (30 s), and one that has nothing to do is not at all, for the watch parks
   when it has seen no call for that long, and the next call wakes it.

   A thread for each delivery costs a stack that is never touched. One for the whole process
   would be state of the process; the threads that deliver cannot do it, as they hang. */
#include "base/thread.h"
#include "delivery/delivery_core.h"

/* What a late call costs the breaker, and is told. */
static void tell_late(tw_delivery *delivery, tw_carrier *carrier) {
  tw_error error;
  const tw_breaker_limits limits = {.failures = delivery->options.breaker_failures,
                                    .probes = delivery->options.breaker_probes,
                                    .rest_ns = delivery->options.breaker_rest_ns};
  carrier->is_late = true;
  delivery->late++;
  if (carrier->called == delivery->aim)
    tw_breaker_fail(&delivery->breaker, &limits, tw_delivery_now(delivery));
  delivery->told = delivery->breaker.state;
  const char *breaker = tw_breaker_name(delivery->told);
  tw_fail(&error, TW_ELIMIT,
          "the backend has not answered for %gs: the call goes on, and what it says in the end "
          "counts",
          (double)delivery->options.timeout_ns / 1e9);
  tw_delivery_stir(delivery);
  tw_delivery_unlock(delivery);
  const tw_delivery_ops *ops = &delivery->ops;
  if (ops->changed) ops->changed(ops->self, delivery->outbox->path, breaker, &error);
  else if (ops->failed) ops->failed(ops->self, delivery->outbox->path, 0, &error);
  tw_delivery_lock(delivery);
}

/* @return when the next call would be late. Lets go of the mutex when it tells of one */
static uint64_t look(tw_delivery *delivery) {
  uint64_t timeout = delivery->options.timeout_ns, next = TW_NEVER;
  if (!timeout) return TW_NEVER;
  for (unsigned i = 0; i < delivery->count; i++) {
    tw_carrier *carrier = &delivery->carriers[i];
    uint64_t end = carrier->called_ns + timeout;
    if (!carrier->is_calling || carrier->is_late) continue;
    if (end <= tw_delivery_now(delivery)) tell_late(delivery, carrier);
    else if (end < next) next = end;
  }
  return next;
}

/* @param[in,out] seen  calls at the look before. @return until when nothing can be late */
static uint64_t next_look(tw_delivery *delivery, uint64_t *seen) {
  uint64_t next = look(delivery), timeout = delivery->options.timeout_ns;
  bool is_idle = delivery->calls == *seen;
  *seen = delivery->calls;
  if (next != TW_NEVER || is_idle || !timeout) return next;
  return tw_delivery_now(delivery) + timeout;
}

static void *run(void *self) {
  tw_delivery *delivery = self;
  uint64_t seen = 0;
  tw_delivery_be_here(delivery);
  tw_delivery_lock(delivery);
  while (!delivery->is_watch_over) {
    uint64_t next = next_look(delivery, &seen);
    if (delivery->is_watch_over) break; /* it may have told something meanwhile */
    delivery->is_parked = next == TW_NEVER;
    tw_delivery_wait(delivery, &delivery->watch, next);
    delivery->is_parked = false;
  }
  tw_delivery_unlock(delivery);
  return NULL;
}

tw_status tw_delivery_start_watch(tw_delivery *delivery, tw_error *error) {
  tw_status status = tw_start_thread(&delivery->watch_thread, run, delivery, error);
  delivery->is_watching = status == TW_OK;
  return status;
}

void tw_delivery_stop_watch(tw_delivery *delivery) {
  if (!delivery->is_watching) return;
  tw_delivery_lock(delivery);
  delivery->is_watch_over = true;
  pthread_cond_broadcast(&delivery->watch);
  tw_delivery_unlock(delivery);
  pthread_join(delivery->watch_thread, NULL);
  delivery->is_watching = false;
}
