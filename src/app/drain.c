/// drain.c: whoever feeds an engine may be blocked by it, so that another has to close it.
#include "app/drain.h"

#include <errno.h>

#include "app/signals.h"
#include "base/alloc.h"
#include "base/thread.h"
#include "base/wait.h"

struct tw_drain {
  tw_engine *engine;
  int ms;
  pthread_t thread;
  pthread_mutex_t mutex; ///< guards all below
  pthread_cond_t changed;
  bool is_done; ///< the engine, in time
  bool is_over; ///< the time
};

/// @return whether the time is over and the engine not done
static bool await_end(tw_drain *drain) {
  struct timespec end = tw_deadline((uint64_t)drain->ms * 1000000);
  pthread_mutex_lock(&drain->mutex);
  while (!drain->is_done && !drain->is_over)
    drain->is_over = pthread_cond_timedwait(&drain->changed, &drain->mutex, &end) == ETIMEDOUT;
  bool is_over = drain->is_over = drain->is_over && !drain->is_done;
  pthread_mutex_unlock(&drain->mutex);
  return is_over;
}

static void *guard(void *self) {
  tw_drain *drain = self;
  tw_signals_await();
  if (await_end(drain)) tw_engine_close(drain->engine, 0, NULL, NULL);
  return NULL;
}

tw_status tw_drain_guard(tw_engine *engine, int ms, tw_drain **out, tw_error *error) {
  *out = NULL;
  tw_drain *drain = tw_calloc(1, sizeof *drain);
  if (!drain) return tw_no_memory(error);
  drain->engine = engine;
  drain->ms = ms;
  pthread_mutex_init(&drain->mutex, NULL);
  tw_condition_init(&drain->changed);
  tw_status status = tw_start_thread(&drain->thread, guard, drain, error);
  if (status == TW_OK) *out = drain;
  else tw_free(drain);
  return status;
}

bool tw_drain_end(tw_drain *drain) {
  if (!drain) return false;
  pthread_mutex_lock(&drain->mutex);
  drain->is_done = true;
  pthread_cond_signal(&drain->changed);
  pthread_mutex_unlock(&drain->mutex);
  tw_signals_release();
  pthread_join(drain->thread, NULL);
  bool is_over = drain->is_over;
  pthread_mutex_destroy(&drain->mutex);
  pthread_cond_destroy(&drain->changed);
  tw_free(drain);
  return is_over;
}
