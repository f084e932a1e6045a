/* A thread begins with the mask of the one that makes it: so all signals are blocked here for
   that moment, and not in the new thread, which might take one before it gets that far. */
#include "base/thread.h"

#include <signal.h>
#include <string.h>

tw_status tw_start_thread(pthread_t *thread, void *(*body)(void *), void *self,
                          tw_error *error) {
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  int problem = pthread_create(thread, NULL, body, self);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  if (!problem) return TW_OK;
  return tw_fail(error, TW_ELIMIT, "the system gives no thread: %s", strerror(problem));
}
