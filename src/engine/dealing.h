/// dealing.h: where senders ask the dealer for a worker.
///
/// Between being told a key and putting the event into a queue a sender is *inside*: nobody
/// is, when a reload changes the function.
#ifndef TW_ENGINE_DEALING_H
#define TW_ENGINE_DEALING_H

#include <pthread.h>

#include "script/dealer.h"

/// Where senders go in and out.
typedef struct tw_dealing {
  pthread_mutex_t mutex; ///< guards all below
  pthread_cond_t changed;
  tw_dealer *dealer; ///< borrowed; NULL: closed
  unsigned inside;
  bool is_stopped;
  uint64_t failed, told; ///< calls of the function
} tw_dealing;

/// A thread's being inside: it may be so several times, a callback may send again.
typedef struct tw_visit {
  const tw_dealing *dealing;
  struct tw_visit *outer;
} tw_visit;

void tw_dealing_init(tw_dealing *dealing);
void tw_dealing_fini(tw_dealing *dealing);
/// Goes in. Waits while it is stopped, unless the thread is a worker or inside already, since
/// others may wait for it.
/// @param visit  on the thread's stack until it leaves
/// @return the dealer, which stays until the thread leaves; NULL: none
tw_dealer *tw_dealing_enter(tw_dealing *dealing, tw_visit *visit);
void tw_dealing_leave(tw_dealing *dealing, const tw_visit *visit);
/// @return whether the calling thread is inside
bool tw_dealing_is_here(const tw_dealing *dealing);
/// Waits until all are out; they stay out until tw_dealing_go_on.
void tw_dealing_stop(tw_dealing *dealing);
void tw_dealing_go_on(tw_dealing *dealing, tw_dealer *next);
/// Counts a failure. @return for how many it is to be told now: at the 1st, 2nd, 4th, 8th …;
///         else 0
uint64_t tw_dealing_count_failure(tw_dealing *dealing);

#endif
