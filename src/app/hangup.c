/// hangup.c: the handler posts to a semaphore, a thread waits for it.
///
/// A semaphore, because posting to one is allowed in a handler, and nothing is lost between
/// looking and waiting. The thread works while the run blocks in reading or in a full queue.
#include "app/hangup.h"

#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>

#include "base/alloc.h"
#include "base/thread.h"

struct tw_hangup {
  pthread_t thread;
  atomic_bool stops;
  void (*reload)(void *self);
  void *self;
};

/// A handler reaches no other state than the process's.
static sem_t asked;

static void on_hangup(int number) {
  (void)number;
  sem_post(&asked); // it fails only after two billion signals that nobody served
}

void tw_hangup_install(void) {
  struct sigaction action = {.sa_handler = on_hangup, .sa_flags = SA_RESTART};
  sigemptyset(&action.sa_mask);
  sem_init(&asked, 0, 0);
  sigaction(SIGHUP, &action, NULL);
}

static void *serve(void *self) {
  tw_hangup *hangup = self;
  for (;;) {
    while (sem_wait(&asked)) {}
    while (!sem_trywait(&asked)) {}
    if (atomic_load(&hangup->stops)) return NULL;
    hangup->reload(hangup->self);
  }
}

tw_status tw_hangup_serve(void (*reload)(void *self), void *self, tw_hangup **out,
                          tw_error *error) {
  *out = NULL;
  tw_hangup *hangup = tw_calloc(1, sizeof *hangup);
  if (!hangup) return tw_no_memory(error);
  hangup->reload = reload;
  hangup->self = self;
  tw_status status = tw_start_thread(&hangup->thread, serve, hangup, error);
  if (status) tw_free(hangup);
  else *out = hangup;
  return status;
}

void tw_hangup_stop(tw_hangup *hangup) {
  if (!hangup) return;
  atomic_store(&hangup->stops, true);
  sem_post(&asked);
  pthread_join(hangup->thread, NULL);
  tw_free(hangup);
}
