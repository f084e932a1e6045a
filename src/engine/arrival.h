/// arrival.h: commits that are acknowledged when they are delivered, not when they are durable.
#ifndef TW_ENGINE_ARRIVAL_H
#define TW_ENGINE_ARRIVAL_H

#include <pthread.h>

#include "delivery/outbox.h"

/// What an outbox has to reach.
typedef struct tw_goal {
  tw_outbox *outbox;
  uint64_t number;
} tw_goal;

typedef struct tw_arrival {
  struct tw_arrival *next;
  tw_goal *goals; ///< owned
  size_t count;
  /// Called once, from a thread of the arrivals; also when they are stopped (TW_ECLOSED).
  void (*arrived)(struct tw_arrival *arrival, tw_status status);
} tw_arrival;

/// Starts zeroed.
typedef struct tw_arrivals {
  pthread_mutex_t mutex;
  pthread_cond_t changed;
  tw_arrival *first, **last;
  bool is_stopping, is_running;
  pthread_t thread;
} tw_arrivals;

tw_status tw_arrivals_start(tw_arrivals *arrivals, tw_error *error);
/// What has not arrived is told so.
void tw_arrivals_stop(tw_arrivals *arrivals);
/// @return whether the calling thread is the one that calls `arrived`
bool tw_arrivals_are_here(const tw_arrivals *arrivals);
/// Calls `arrived` when all goals are reached, in the order of adding where that is possible.
void tw_arrivals_add(tw_arrivals *arrivals, tw_arrival *arrival);

#endif
