/* dealing.c: the doors to the dealer. */
#include "engine/dealing.h"

#include "engine/worker.h"

/* How often the thread is inside: a callback may send again. */
static __thread unsigned inside_here;

void tw_dealing_init(tw_dealing *dealing) {
  *dealing = (tw_dealing){0};
  pthread_mutex_init(&dealing->mutex, NULL);
  pthread_cond_init(&dealing->changed, NULL);
}

void tw_dealing_fini(tw_dealing *dealing) {
  pthread_cond_destroy(&dealing->changed);
  pthread_mutex_destroy(&dealing->mutex);
}

tw_dealer *tw_dealing_enter(tw_dealing *dealing) {
  bool waits = !inside_here++ && !tw_worker_is_here();
  pthread_mutex_lock(&dealing->mutex);
  while (waits && dealing->is_stopped) pthread_cond_wait(&dealing->changed, &dealing->mutex);
  dealing->inside++;
  tw_dealer *dealer = dealing->dealer;
  pthread_mutex_unlock(&dealing->mutex);
  return dealer;
}

void tw_dealing_leave(tw_dealing *dealing) {
  inside_here--;
  pthread_mutex_lock(&dealing->mutex);
  if (!--dealing->inside && dealing->is_stopped) pthread_cond_broadcast(&dealing->changed);
  pthread_mutex_unlock(&dealing->mutex);
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
