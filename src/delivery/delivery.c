/* A delivery lives as long as its owner or one of its threads holds a reference: a thread that
   hangs in a backend when the delivery is stopped keeps all that it will need when the call
   returns, and frees it then.

   Stopping waits for threads that are not out on a call whatever the limit, for they soon will
   be or are gone; so nobody is told anything, and no outbox is used, when it has returned. */
#include "delivery/delivery_core.h"

#include <errno.h>

#include "base/thread.h"
#include "base/wait.h"

/* ------------------------------------------------------------- for the parts */

uint64_t tw_delivery_now(const tw_delivery *delivery) {
  return (uint64_t)delivery->clock.steady_us(delivery->clock.self) * 1000;
}

/* On a clock that is turned by hand only who turns it knows when a time has come. */
void tw_delivery_wait(tw_delivery *delivery, pthread_cond_t *condition, uint64_t until_ns) {
  pthread_mutex_t *mutex = &delivery->outbox->mutex;
  uint64_t now = tw_delivery_now(delivery);
  if (until_ns <= now) return;
  if (until_ns == TW_NEVER || delivery->is_by_hand) {
    pthread_cond_wait(condition, mutex);
    return;
  }
  struct timespec end = tw_deadline(until_ns - now);
  pthread_cond_timedwait(condition, mutex, &end);
}

void tw_delivery_stir(tw_delivery *delivery) {
  pthread_cond_broadcast(&delivery->wake);
  pthread_cond_broadcast(&delivery->outbox->changed);
}

uint64_t tw_delivery_delay(tw_delivery *delivery, uint64_t failures) {
  return tw_retry_delay(delivery->options.retry_min_ns, delivery->options.retry_max_ns,
                        failures, tw_random_next(&delivery->random));
}

void tw_delivery_tell(tw_delivery *delivery, uint64_t events, const tw_error *error) {
  const tw_delivery_ops *ops = &delivery->ops;
  if (!ops->failed) return;
  tw_delivery_unlock(delivery);
  ops->failed(ops->self, delivery->outbox->path, events, error);
  tw_delivery_lock(delivery);
}

static void tell_change(const tw_delivery *delivery, tw_breaker_state state, uint64_t rest_ns,
                        const tw_error *why) {
  const tw_delivery_ops *ops = &delivery->ops;
  tw_error news;
  if (state == TW_BREAKER_OPEN && why) {
    news = *why;
    tw_error_prefix(&news, "nothing is sent for %gs: ", (double)rest_ns / 1e9);
  } else {
    tw_fail(&news, TW_OK,
            state == TW_BREAKER_CLOSED ? "the backend delivers again"
                                       : "the backend is tried again");
  }
  ops->changed(ops->self, delivery->outbox->path, tw_breaker_name(state), &news);
}

void tw_delivery_tell_breaker(tw_delivery *delivery, const tw_error *why) {
  tw_breaker_state state = delivery->breaker.state;
  if (state == delivery->told) return;
  delivery->told = state;
  tw_delivery_stir(delivery);
  if (!delivery->ops.changed) return;
  uint64_t rest_ns = delivery->options.breaker_rest_ns;
  tw_delivery_unlock(delivery);
  tell_change(delivery, state, rest_ns, why);
  tw_delivery_lock(delivery);
}

/* -------------------------------------------------------------------- life */

static void free_all(tw_delivery *delivery) {
  tw_outbox *outbox = delivery->outbox;
  for (unsigned i = 0; delivery->carriers && i < delivery->count; i++) {
    tw_carrier *carrier = &delivery->carriers[i];
    tw_flight_fini(&carrier->flight);
    tw_batch_fini(&carrier->slice);
    tw_buffer_fini(&carrier->letter);
  }
  tw_chunk_unref(delivery->chunk);
  pthread_cond_destroy(&delivery->wake);
  pthread_cond_destroy(&delivery->watch);
  pthread_mutex_destroy(&delivery->settle);
  tw_free(delivery->carriers);
  tw_free(delivery);
  tw_outbox_free(outbox);
}

void tw_delivery_unref(tw_delivery *delivery) {
  if (atomic_fetch_sub(&delivery->refs, 1) == 1) free_all(delivery);
}

static void init_carriers(tw_delivery *delivery) {
  for (unsigned i = 0; i < delivery->count; i++) {
    tw_carrier *carrier = &delivery->carriers[i];
    carrier->delivery = delivery;
    tw_batch_init(&carrier->flight.batch);
    tw_batch_init(&carrier->slice);
  }
}

/* Two processes, and two deliveries of one, do not wait for the same times. */
static uint64_t seed_of(const tw_delivery *delivery) {
  return tw_clock_monotonic_ns() ^ (uint64_t)tw_clock_utc_us() << 20 ^
         (uint64_t)(uintptr_t)delivery;
}

static void init(tw_delivery *delivery, tw_outbox *outbox, const tw_delivery_options *options,
                 const tw_delivery_ops *ops) {
  atomic_init(&delivery->refs, 1);
  delivery->outbox = outbox;
  delivery->options = *options;
  delivery->ops = *ops;
  delivery->is_by_hand = ops->clock != NULL;
  delivery->clock = ops->clock ? *ops->clock : tw_clock_real;
  delivery->random.state = seed_of(delivery);
  delivery->blank = TW_NEVER;
  pthread_mutex_lock(&outbox->mutex);
  delivery->next = delivery->settled = outbox->head;
  pthread_mutex_unlock(&outbox->mutex);
  tw_condition_init(&delivery->wake);
  tw_condition_init(&delivery->watch);
  pthread_mutex_init(&delivery->settle, NULL);
  init_carriers(delivery);
}

tw_status tw_delivery_new(tw_outbox *outbox, const tw_delivery_options *options,
                          const tw_delivery_ops *ops, tw_delivery **out, tw_error *error) {
  unsigned count = options->max_in_flight ? options->max_in_flight : 1;
  tw_delivery *delivery = tw_calloc(1, sizeof *delivery);
  tw_carrier *carriers = delivery ? tw_calloc(count, sizeof *carriers) : NULL;
  *out = NULL;
  if (!carriers) {
    tw_free(delivery);
    tw_outbox_free(outbox);
    return tw_no_memory(error);
  }
  delivery->carriers = carriers;
  delivery->count = count;
  init(delivery, outbox, options, ops);
  *out = delivery;
  return TW_OK;
}

tw_outbox *tw_delivery_outbox(tw_delivery *delivery) { return delivery->outbox; }

/* The mutex is held, so that nobody leaves before all are there. */
static tw_status start_carriers(tw_delivery *delivery, tw_error *error) {
  tw_status status = TW_OK;
  for (unsigned i = 0; i < delivery->count && !status; i++) {
    tw_carrier *carrier = &delivery->carriers[i];
    atomic_fetch_add(&delivery->refs, 1);
    carrier->is_gone = false;
    status = tw_start_thread(&carrier->thread, tw_carrier_run, carrier, error);
    carrier->is_started = status == TW_OK;
    delivery->running += carrier->is_started;
    delivery->staying = delivery->running;
    if (status) atomic_fetch_sub(&delivery->refs, 1);
  }
  return status;
}

/* Makes it as if it had never been started, but for the target, which is closed. */
static void undo_start(tw_delivery *delivery) {
  tw_delivery_stop(delivery, NULL);
  tw_delivery_lock(delivery);
  delivery->is_stopping = delivery->is_stopped = delivery->is_watch_over = false;
  tw_delivery_unlock(delivery);
}

/* Threads that are there before another one fails see that it is over before they do anything.
 */
tw_status tw_delivery_start(tw_delivery *delivery, tw_error *error) {
  tw_status status = tw_delivery_start_watch(delivery, error);
  tw_delivery_lock(delivery);
  if (!status) status = start_carriers(delivery, error);
  delivery->is_stopping = status != TW_OK;
  tw_delivery_unlock(delivery);
  if (status) undo_start(delivery);
  return status;
}

void tw_delivery_free(tw_delivery *delivery) {
  if (!delivery) return;
  tw_delivery_stop(delivery, NULL);
  tw_delivery_unref(delivery);
}

/* ------------------------------------------------------------------ change */

static tw_aim *new_aim(const tw_delivery *delivery, tw_backend *target, bool is_open) {
  tw_aim *aim = tw_calloc(1, sizeof *aim);
  if (!aim) return NULL;
  bool is_single = tw_backend_is_serial(target) || tw_backend_is_scripted(target);
  aim->backend = tw_backend_ref(target);
  aim->is_open = is_open;
  aim->width = is_single ? 1 : delivery->count;
  return aim;
}

bool tw_delivery_aim(tw_delivery *delivery, tw_backend *target, bool is_open) {
  tw_aim *aim = target ? new_aim(delivery, target, is_open) : NULL;
  if (target && !aim) return false;
  tw_delivery_lock(delivery);
  tw_delivery_retire(delivery);
  delivery->aim = aim;
  delivery->breaker = (tw_breaker){0};
  delivery->not_before_ns = 0;
  for (unsigned i = 0; i < delivery->count; i++) {
    delivery->carriers[i].flight.not_before_ns = 0;
    delivery->carriers[i].flight.failures = 0;
  }
  tw_delivery_stir(delivery);
  tw_delivery_unlock(delivery);
  return true;
}

void tw_delivery_tune(tw_delivery *delivery, const tw_delivery_options *options) {
  tw_delivery_lock(delivery);
  delivery->options = *options;
  delivery->outbox->bounds = options->bounds;
  tw_delivery_stir(delivery);
  pthread_cond_broadcast(&delivery->watch);
  tw_delivery_unlock(delivery);
}

void tw_delivery_nudge(tw_delivery *delivery) {
  tw_delivery_lock(delivery);
  tw_delivery_stir(delivery);
  pthread_cond_broadcast(&delivery->watch);
  tw_delivery_unlock(delivery);
}

/* -------------------------------------------------------------------- wait */

/* @param end  NULL: without limit. @return false when the time is over */
static bool wait_within(tw_delivery *delivery, pthread_cond_t *condition,
                        const struct timespec *end) {
  pthread_mutex_t *mutex = &delivery->outbox->mutex;
  if (end) return pthread_cond_timedwait(condition, mutex, end) != ETIMEDOUT;
  pthread_cond_wait(condition, mutex);
  return true;
}

static bool is_through(const tw_delivery *delivery, uint64_t number) {
  const tw_outbox *outbox = delivery->outbox;
  return outbox->head >= number || !outbox->events;
}

static bool is_hopeless(const tw_delivery *delivery) {
  return !delivery->aim || delivery->breaker.state == TW_BREAKER_OPEN;
}

bool tw_delivery_await(tw_delivery *delivery, const struct timespec *end, bool patient) {
  tw_outbox *outbox = delivery->outbox;
  bool has_time = true;
  tw_delivery_lock(delivery);
  uint64_t number = outbox->tail;
  delivery->hurry++;
  tw_delivery_stir(delivery);
  while (has_time && !delivery->is_stopping && !is_through(delivery, number) &&
         (patient || !is_hopeless(delivery)))
    has_time = wait_within(delivery, &outbox->changed, end);
  delivery->hurry--;
  bool is_done = is_through(delivery, number);
  tw_delivery_unlock(delivery);
  return is_done;
}

/* -------------------------------------------------------------------- stop */

/* @return whether some threads are there, and all of those are out on a call */
static bool all_are_out(const tw_delivery *delivery) {
  for (unsigned i = 0; i < delivery->count; i++) {
    const tw_carrier *carrier = &delivery->carriers[i];
    if (carrier->is_started && !carrier->is_gone && !carrier->is_calling) return false;
  }
  return delivery->running > 0;
}

static void wait_for_threads(tw_delivery *delivery, const struct timespec *end) {
  bool has_time = true;
  while (delivery->running && (has_time || !all_are_out(delivery)))
    has_time = wait_within(delivery, &delivery->wake, has_time ? end : NULL) && has_time;
  delivery->is_abandoned = delivery->running > 0;
}

/* One that is gone by now is joined all the same. */
static void let_go(tw_delivery *delivery, tw_carrier *carrier) {
  tw_delivery_lock(delivery);
  bool is_gone = carrier->is_gone;
  tw_delivery_unlock(delivery);
  if (!carrier->is_started) return;
  carrier->is_started = false;
  if (is_gone) pthread_join(carrier->thread, NULL);
  else pthread_detach(carrier->thread);
}

/* Without threads, whoever stops it closes the target. */
uint64_t tw_delivery_stop(tw_delivery *delivery, const struct timespec *end) {
  tw_delivery_lock(delivery);
  bool is_first = !delivery->is_stopped;
  delivery->is_stopping = delivery->is_stopped = true;
  tw_delivery_stir(delivery);
  if (is_first) wait_for_threads(delivery, end);
  if (!delivery->running) {
    tw_delivery_retire(delivery);
    while (tw_delivery_sweep(delivery, NULL)) {}
  }
  tw_delivery_unlock(delivery);
  if (is_first) tw_delivery_stop_watch(delivery);
  for (unsigned i = 0; is_first && i < delivery->count; i++)
    let_go(delivery, &delivery->carriers[i]);
  tw_delivery_lock(delivery);
  uint64_t waiting = delivery->outbox->events;
  tw_delivery_unlock(delivery);
  return waiting;
}

/* ------------------------------------------------------------------- stats */

void tw_delivery_get_stats(tw_delivery *delivery, tw_outbox_stats *out) {
  const tw_outbox *outbox = delivery->outbox;
  tw_delivery_lock(delivery);
  *out = (tw_outbox_stats){.waiting = outbox->events,
                           .waiting_bytes = outbox->bytes,
                           .retries = delivery->retries,
                           .dead = outbox->dead,
                           .shed = outbox->shed,
                           .late = delivery->late,
                           .breaker = tw_breaker_name(delivery->breaker.state)};
  tw_delivery_unlock(delivery);
}
