/* A change is asked for twice: first what the script keeps is wanted, so that the next one can
   try whether it takes that over, and then the change itself, which hands over what it keeps
   by then. Only the second can no longer be refused. */
#include "engine/change.h"

#include "base/status.h"
#include "core/inspect.h"
#include "script/upkeep.h"

void tw_worker_tell(tw_worker *worker, tw_status status, const tw_error *error) {
  if (status && worker->ops.failed)
    worker->ops.failed(worker->ops.self, "state", NULL, 0, error);
}

/* ------------------------------------------------------------------- state */

tw_status tw_worker_export_state(tw_worker *worker, tw_buffer *out, tw_error *error) {
  pthread_mutex_lock(&worker->mutex);
  worker->wanted = out;
  tw_worker_wake(worker);
  pthread_cond_broadcast(&worker->progressed);
  while (worker->wanted && !worker->is_done)
    pthread_cond_wait(&worker->progressed, &worker->mutex);
  tw_status status = worker->wanted_status;
  if (worker->wanted) status = tw_fail(error, TW_ECLOSED, "the worker has ended");
  else if (status && error) *error = worker->wanted_error;
  worker->wanted = NULL;
  pthread_mutex_unlock(&worker->mutex);
  return status;
}

void tw_worker_write_state(tw_worker *worker) {
  tw_buffer *out = worker->wanted;
  tw_error error = {0};
  pthread_mutex_unlock(&worker->mutex);
  tw_status status = tw_script_export_state(worker->script, out, &error);
  pthread_mutex_lock(&worker->mutex);
  worker->wanted = NULL;
  worker->wanted_status = status;
  worker->wanted_error = error;
  pthread_cond_broadcast(&worker->progressed);
}

/* ------------------------------------------------------------------ change */

void tw_worker_change(tw_worker *worker, tw_script **home, pthread_barrier_t *meet) {
  worker->next = home;
  worker->meet = meet;
  worker->change_at = worker->tail;
  tw_worker_wake(worker);
}

void tw_worker_await_change(tw_worker *worker) {
  pthread_mutex_lock(&worker->mutex);
  while (worker->next) pthread_cond_wait(&worker->progressed, &worker->mutex);
  pthread_mutex_unlock(&worker->mutex);
}

/* What the old script keeps in tidewire.state, the new one gets. What its backends hold is
   flushed: a flush that comes later asks the new ones alone. */
static tw_status hand_over(tw_worker *worker, tw_script *next, tw_error *flush_error) {
  tw_buffer state = {0};
  tw_error error = {0};
  tw_worker_tell(worker, tw_script_finish(worker->script, true, &error), &error);
  tw_status flushed = tw_router_flush(tw_script_router(worker->script), flush_error);
  tw_worker_end_generation(worker);
  tw_status status = tw_script_export_state(worker->script, &state, &error);
  if (status == TW_OK) status = tw_script_import_state(next, state.data, state.len, &error);
  tw_worker_tell(worker, status, &error);
  tw_buffer_fini(&state);
  tw_script_release(worker->script);
  return flushed;
}

void tw_worker_change_now(tw_worker *worker) {
  tw_script **home = worker->next;
  tw_error error = {0};
  pthread_mutex_unlock(&worker->mutex);
  tw_status status = hand_over(worker, *home, &error);
  if (worker->meet) pthread_barrier_wait(worker->meet);
  pthread_mutex_lock(&worker->mutex);
  if (status && !worker->left_status) {
    worker->left_status = status;
    worker->left_error = error;
  }
  worker->home = home;
  worker->script = *home;
  worker->next = NULL;
  pthread_cond_broadcast(&worker->progressed);
}
