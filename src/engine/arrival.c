/* Outboxes tell their own deliveries of what moves, and nobody else. So while somebody waits,
   all that wait are looked at every few milliseconds: a delivery takes longer than that anyway.
   A backend that is away keeps back only those that went to it. */
#include "engine/arrival.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/thread.h"
#include "base/wait.h"
#include "engine/worker.h"

enum { LOOK_NS = 3000000 };
/* Where very many wait, looking takes at most one part in so many of the time. */
enum { LOOK_SHARE = 10 };

static __thread const tw_arrivals *here;

bool tw_arrivals_are_here(const tw_arrivals *arrivals) { return here == arrivals; }

/* What was shed behind the last event that was delivered moves no head. */
static bool is_reached(const tw_goal *goal) {
  pthread_mutex_lock(&goal->outbox->mutex);
  bool is_it = goal->outbox->head >= goal->number || !goal->outbox->events;
  pthread_mutex_unlock(&goal->outbox->mutex);
  return is_it;
}

/* From the last goal: one that is reached is not looked at again. */
static bool has_arrived(tw_arrival *arrival) {
  while (arrival->count && is_reached(&arrival->goals[arrival->count - 1])) arrival->count--;
  return !arrival->count;
}

/* Takes out all that have arrived, or all. */
static tw_arrival *take(tw_arrivals *arrivals, bool all) {
  tw_arrival *taken = NULL, **end = &taken;
  for (tw_arrival **at = &arrivals->first; *at;) {
    tw_arrival *it = *at;
    if (!all && !has_arrived(it)) {
      at = &it->next;
      continue;
    }
    *at = it->next;
    it->next = NULL;
    *end = it;
    end = &it->next;
  }
  arrivals->last = &arrivals->first;
  while (*arrivals->last) arrivals->last = &(*arrivals->last)->next;
  return taken;
}

static void tell(tw_arrival *taken, tw_status status) {
  while (taken) {
    tw_arrival *it = taken;
    taken = it->next;
    tw_free(it->goals);
    it->goals = NULL;
    it->arrived(it, status);
  }
}

static void wait_a_moment(tw_arrivals *arrivals, uint64_t look_ns) {
  struct timespec end = tw_deadline(LOOK_NS + look_ns * LOOK_SHARE);
  if (arrivals->first) pthread_cond_timedwait(&arrivals->changed, &arrivals->mutex, &end);
  else pthread_cond_wait(&arrivals->changed, &arrivals->mutex);
}

static void *look(void *self) {
  tw_arrivals *arrivals = self;
  bool goes_on = true;
  here = arrivals;
  pthread_mutex_lock(&arrivals->mutex);
  while (goes_on) {
    goes_on = !arrivals->is_stopping;
    uint64_t began = tw_clock_monotonic_ns();
    tw_arrival *taken = take(arrivals, false);
    uint64_t took = tw_clock_monotonic_ns() - began;
    tw_arrival *left = goes_on ? NULL : take(arrivals, true);
    pthread_mutex_unlock(&arrivals->mutex);
    tell(taken, TW_OK);
    tell(left, TW_ECLOSED);
    pthread_mutex_lock(&arrivals->mutex);
    if (goes_on && !arrivals->is_stopping) wait_a_moment(arrivals, took);
  }
  pthread_mutex_unlock(&arrivals->mutex);
  return NULL;
}

tw_status tw_arrivals_start(tw_arrivals *arrivals, tw_error *error) {
  pthread_mutex_init(&arrivals->mutex, NULL);
  tw_condition_init(&arrivals->changed);
  arrivals->last = &arrivals->first;
  tw_status status = tw_start_thread(&arrivals->thread, look, arrivals, error);
  arrivals->is_running = status == TW_OK;
  return status;
}

void tw_arrivals_stop(tw_arrivals *arrivals) {
  if (!arrivals->is_running) return;
  pthread_mutex_lock(&arrivals->mutex);
  arrivals->is_stopping = true;
  pthread_cond_signal(&arrivals->changed);
  pthread_mutex_unlock(&arrivals->mutex);
  pthread_join(arrivals->thread, NULL);
  arrivals->is_running = false;
  pthread_cond_destroy(&arrivals->changed);
  pthread_mutex_destroy(&arrivals->mutex);
}

void tw_arrivals_add(tw_arrivals *arrivals, tw_arrival *arrival) {
  pthread_mutex_lock(&arrivals->mutex);
  bool was_empty = !arrivals->first;
  arrival->next = NULL;
  *arrivals->last = arrival;
  arrivals->last = &arrival->next;
  if (was_empty) pthread_cond_signal(&arrivals->changed);
  pthread_mutex_unlock(&arrivals->mutex);
}
