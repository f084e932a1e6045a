/// thread.h: threads of our own.
#ifndef TW_BASE_THREAD_H
#define TW_BASE_THREAD_H

#include <pthread.h>

#include "base/status.h"

/// pthread_create of a thread that takes no signals: those are the host's.
/// @param self  borrowed, the argument of `body`
/// @return TW_OK; TW_ELIMIT when the system gives none
tw_status tw_start_thread(pthread_t *thread, void *(*body)(void *), void *self,
                          tw_error *error);

#endif
