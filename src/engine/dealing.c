/* dealing.c: the doors to the dealer. */
#include "engine/dealing.h"

#include "engine/worker.h"

static __thread tw_visit *innermost;

void tw_dealing_init(tw_dealing *dealing) {
  *dealing = (tw_dealing){0};
  pthread_mutex_init(&dealing->mutex, NULL);
  pthread_cond_init(&dealing->changed, NULL);
}

void tw_dealing_fini(tw_dealing *dealing) {
  pthread_cond_destroy(&dealing->changed);
  pthread_mutex_destroy(&dealing->mutex);
}

tw_dealer *tw_dealing_enter(tw_dealing *dealing, tw_visit *visit) {
  bool waits = !innermost && !tw_worker_is_here();
  *visit = (tw_visit){dealing, innermost};
  innermost = visit;
  pthread_mutex_lock(&dealing->mutex);
  while (waits && dealing->is_stopped) pthread_cond_wait(&dealing->changed, &dealing->mutex);
  dealing->inside++;
  tw_dealer *dealer = dealing->dealer;
  pthread_mutex_unlock(&dealing->mutex);
  return dealer;
}

void tw_dealing_leave(tw_dealing *dealing, const tw_visit *visit) {
  innermost = visit->outer;
  pthread_mutex_lock(&dealing->mutex);
  if (!--dealing->inside && dealing->is_stopped) pthread_cond_broadcast(&dealing->changed);
  pthread_mutex_unlock(&dealing->mutex);
}

bool tw_dealing_is_here(const tw_dealing *dealing) {
  const tw_visit *at = innermost;
  while (at && at->dealing != dealing) at = at->outer;
  return at != NULL;
}

/* The mutex stays locked, so that a worker does not come in either. */
void tw_dealing_stop(tw_dealing *dealing) {
  pthread_mutex_lock(&dealing->mutex);
  dealing->is_stopped = true;
  while (dealing->inside) pthread_cond_wait(&dealing->changed, &dealing->mutex);
}

void tw_dealing_go_on(tw_dealing *dealing, tw_dealer *next) {
  dealing->dealer = next;
  dealing->is_stopped = false;
  pthread_cond_broadcast(&dealing->changed);
  pthread_mutex_unlock(&dealing->mutex);
}

uint64_t tw_dealing_count_failure(tw_dealing *dealing) {
  pthread_mutex_lock(&dealing->mutex);
  uint64_t count = ++dealing->failed, untold = 0;
  if ((count & (count - 1)) == 0) {
    untold = count - dealing->told;
    dealing->told = count;
  }
  pthread_mutex_unlock(&dealing->mutex);
  return untold;
}
