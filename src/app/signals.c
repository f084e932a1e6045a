/// signals.c: a flag, and a wait that cannot miss it.
///
/// A signal that comes between looking at the flag and blocking in `read` would go
/// unnoticed until the next input. So the waiting is done in `ppoll` alone, which lets the
/// signals in only while it waits.
#define _GNU_SOURCE // ppoll; NOLINT(bugprone-reserved-identifier)
#include "app/signals.h"

#include <poll.h>
#include <semaphore.h>
#include <signal.h>
#include <stddef.h>
#include <time.h>

static volatile sig_atomic_t caught;
static sem_t released; ///< posting to it is allowed in a handler

static void on_signal(int number) {
  if (caught) { // the second: as if it had never been handled
    signal(number, SIG_DFL);
    raise(number);
  }
  caught = number;
  sem_post(&released);
}

void tw_signals_install(void) {
  struct sigaction action = {.sa_handler = on_signal}; // without SA_RESTART
  sem_init(&released, 0, 0);
  sigemptyset(&action.sa_mask);
  sigaction(SIGINT, &action, NULL);
  sigaction(SIGTERM, &action, NULL);
}

int tw_signals_caught(void) { return caught; }

void tw_signals_await(void) {
  while (sem_wait(&released)) {}
}

void tw_signals_release(void) { sem_post(&released); }

/// Blocks the signals from before the last look at the flag until ppoll lets them in.
void tw_signals_wait(int fd, int milliseconds) {
  sigset_t ours, before;
  sigemptyset(&ours);
  sigaddset(&ours, SIGINT);
  sigaddset(&ours, SIGTERM);
  sigprocmask(SIG_BLOCK, &ours, &before);
  struct pollfd readable = {.fd = fd, .events = POLLIN};
  struct timespec time = {.tv_sec = milliseconds / 1000,
                          .tv_nsec = milliseconds % 1000 * 1000000L};
  if (!caught) ppoll(&readable, 1, milliseconds < 0 ? NULL : &time, &before);
  sigprocmask(SIG_SETMASK, &before, NULL);
}
