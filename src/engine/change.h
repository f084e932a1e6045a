/// change.h: how a worker goes from one script to the next.
#ifndef TW_ENGINE_CHANGE_H
#define TW_ENGINE_CHANGE_H

#include "engine/worker.h"

/* For the engine, from the thread that reloads. */
/// Has the worker write what its script keeps in `tidewire.state`, between two events, and
/// waits for it. Nobody else asks at the same time.
/// @param out  appended to
/// @return TW_ESCRIPT when a value cannot be written; TW_ECLOSED when the worker has ended
tw_status tw_worker_export_state(tw_worker *worker, tw_buffer *out, tw_error *error);
/// Asks for a change of script behind all events that have come. The mutex is held.
/// @param home  where the next generation has it
/// @param meet  where the workers wait for each other before any goes on; NULL: they do not
void tw_worker_change(tw_worker *worker, tw_script **home, pthread_barrier_t *meet);
/// Waits until it has changed.
void tw_worker_await_change(tw_worker *worker);

/* Steps of the worker, called with its mutex, which is given up meanwhile. */
void tw_worker_write_state(tw_worker *worker);
void tw_worker_change_now(tw_worker *worker);

/// Tells `failed` of what has no event, unless it is TW_OK. Called without the mutex.
void tw_worker_tell(tw_worker *worker, tw_status status, const tw_error *error);

#endif
