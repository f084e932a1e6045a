/// delivery_core.h: the inside of a delivery, shared by its parts:
///
/// | file | |
/// |---|---|
/// | delivery.c | its life, and what others ask of it |
/// | delivery_thread.c | the threads: when they gather, call and wait |
/// | delivery_batch.c | batches out of chunks |
/// | delivery_answer.c | what follows from a backend's answer |
/// | delivery_target.c | targets, and when they are flushed and closed |
/// | delivery_watch.c | calls that are late |
///
/// The outbox's mutex guards everything, but for what its comment gives to one thread. It is
/// held for moments, and never over a call out of here: neither to the outbox, nor to the
/// backend, nor to the ops.
#ifndef TW_DELIVERY_DELIVERY_CORE_H
#define TW_DELIVERY_DELIVERY_CORE_H

#include "delivery/breaker.h"
#include "delivery/delivery.h"
#include "delivery/retry.h"

#define TW_NEVER UINT64_MAX

/// Where to. One that another has replaced is closed when its last call is over.
typedef struct tw_aim {
  struct tw_aim *next; ///< of those that are replaced
  tw_backend *backend; ///< a reference
  bool is_open;        ///< we have a use of it
  bool is_unflushed;   ///< it was called since it was flushed
  unsigned calls;      ///< under way
  unsigned width;      ///< how many batches may be under way
} tw_aim;

/// Where events of a batch lie: the first one is event `from` of the chunk.
typedef struct tw_part {
  tw_chunk *chunk; ///< a reference
  uint32_t from;
  size_t start; ///< index in the batch
} tw_part;

/// A batch on its way. It stands in the delivery's list from when its thread begins to gather
/// it; the list is in the order of routing, and so is `number`. Its thread uses all but
/// `number` and `end` without the mutex.
typedef struct tw_flight {
  struct tw_flight *before, *behind;
  uint64_t number; ///< of the first event that is not through
  uint64_t end;    ///< of the number behind the last; TW_NEVER: it is being gathered
  tw_batch batch;
  tw_part *parts; ///< owned
  size_t part_count, part_cap;
  size_t at;       ///< events of the batch, from the first, that are through
  size_t suspects; ///< one before this index was refused, it is not known which; 0: none
  size_t singles;  ///< those before this index are tried alone
  uint64_t calls;
  uint64_t failures; ///< in a row, at event `at`
  uint64_t attempts; ///< of event `at`, that count
  uint64_t tries;    ///< attempts before events were tried alone
  uint64_t not_before_ns;
  tw_chunk_builder dead; ///< letters that the outbox does not have yet
  tw_chunk *letters;     ///< the same, finished; a reference, NULL
} tw_flight;

/// A thread, and the batch that it carries.
typedef struct tw_carrier {
  tw_delivery *delivery;
  pthread_t thread;
  bool is_started, is_gone;
  bool is_calling; ///< it is out of here, for as long as others like
  bool is_late;    ///< the call has been told as late
  uint64_t called_ns;
  const tw_aim *called; ///< to compare, no more
  tw_flight flight;
  tw_batch slice;   ///< a part of the flight's batch
  tw_buffer letter; ///< of a dead letter; empty between calls
} tw_carrier;

struct tw_delivery {
  atomic_size_t refs;     ///< the owner's, and one of each thread
  tw_outbox *outbox;      ///< owned
  pthread_cond_t wake;    ///< for who waits, but not for events
  pthread_mutex_t settle; ///< taken before the outbox's: heads are moved one after the other
  tw_delivery_options options;
  tw_delivery_ops ops;
  tw_clock clock;
  tw_random random;
  tw_aim *aim;             ///< NULL: nobody
  tw_aim *retired;         ///< are to be closed
  tw_carrier *carriers;    ///< owned
  unsigned count, running; ///< of them
  unsigned staying;        ///< of those that run: have not begun to leave
  tw_flight *first, *last; ///< under way
  unsigned flights;
  unsigned hurry;  ///< who waits for all to be through
  bool is_by_hand; ///< the clock is a test's
  bool is_stopping, is_stopped;
  bool is_abandoned; ///< nobody waits for the calls under way any more

  bool is_gathering; ///< a thread is; then the next five are its own
  uint32_t index;    ///< of the next event of `chunk`
  tw_chunk *chunk;   ///< that is being taken from; a reference, NULL
  uint64_t next;     ///< number of the next event to be read
  uint64_t blank;    ///< the tail when there was nothing to read before it
  uint64_t read_failures;
  uint64_t read_not_before_ns;

  tw_breaker breaker;
  uint64_t not_before_ns; ///< the backend wants to be left alone until then
  uint64_t retries, late;
  uint64_t settled; ///< head that the outbox was told last

  pthread_t watch_thread;
  pthread_cond_t watch;
  uint64_t calls;        ///< since it began
  tw_breaker_state told; ///< of the breaker
  bool is_watching, is_watch_over;
  bool is_parked; ///< the watch waits to be told of a call
};

/* ---------------------------------------------------------- delivery.c */

static inline void tw_delivery_lock(tw_delivery *delivery) {
  pthread_mutex_lock(&delivery->outbox->mutex);
}
static inline void tw_delivery_unlock(tw_delivery *delivery) {
  pthread_mutex_unlock(&delivery->outbox->mutex);
}
uint64_t tw_delivery_now(const tw_delivery *delivery);
/// Waits for a condition, at most until then.
void tw_delivery_wait(tw_delivery *delivery, pthread_cond_t *condition, uint64_t until_ns);
/// Has everybody look again.
void tw_delivery_stir(tw_delivery *delivery);
/// @return nanoseconds to wait after so many failures
uint64_t tw_delivery_delay(tw_delivery *delivery, uint64_t failures);
/// Tells a failure. Lets go of the mutex meanwhile, as the next one.
void tw_delivery_tell(tw_delivery *delivery, uint64_t events, const tw_error *error);
/// Tells that the breaker has changed, if it has.
void tw_delivery_tell_breaker(tw_delivery *delivery, const tw_error *why);
void tw_delivery_unref(tw_delivery *delivery);

/* --------------------------------------------------- delivery_thread.c */

void *tw_carrier_run(void *self);
/// The calling thread is one of the delivery's, from now on.
void tw_delivery_be_here(const tw_delivery *delivery);

/* ---------------------------------------------------- delivery_batch.c */

/// @return whether an event may be there that nobody has read yet
bool tw_delivery_has_more(const tw_delivery *delivery);
/// Gathers the next batch, and takes its place in the list. It may be empty.
void tw_flight_gather(tw_carrier *carrier);
/// @return the number of event `at` of its batch, or its end
uint64_t tw_flight_number(const tw_flight *flight, size_t at);
/// @return where event `at` of its batch lies
const tw_part *tw_flight_part(const tw_flight *flight, size_t at);
/// Takes it out of the list and empties it; keeps its memory.
void tw_flight_end(tw_carrier *carrier);
void tw_flight_fini(tw_flight *flight);

/* --------------------------------------------------- delivery_answer.c */

/// What came of a call.
typedef struct tw_answer {
  tw_status status;
  tw_delivered done;
  tw_error error;
  size_t span;      ///< events of the call
  bool is_ours;     ///< there was no memory to make it
  bool has_opened;  ///< false: it came no further
  bool is_current;  ///< the target is still the same
  bool was_closed;  ///< the breaker, when it began
  bool was_counted; ///< by the breaker, for being late
} tw_answer;

/// Does what an answer asks for, but for moving the head.
void tw_carrier_judge(tw_carrier *carrier, const tw_answer *answer);
/// Moves the head as far as it goes now, and hands dead letters over.
/// @return false without memory: nothing has changed
bool tw_carrier_settle(tw_carrier *carrier);

/* --------------------------------------------------- delivery_target.c */

/// Closes a target that was replaced, if there is one that can be.
/// @param carrier  that does it; NULL: none, the delivery has no threads
bool tw_delivery_sweep(tw_delivery *delivery, tw_carrier *carrier);
/// Flushes the present one, if nothing waits or is under way, and it was called since it was
/// flushed. @return whether it has; then things may have changed
bool tw_delivery_flush(tw_delivery *delivery, tw_carrier *carrier);
/// Retires the present one.
void tw_delivery_retire(tw_delivery *delivery);

/* ---------------------------------------------------- delivery_watch.c */

tw_status tw_delivery_start_watch(tw_delivery *delivery, tw_error *error);
void tw_delivery_stop_watch(tw_delivery *delivery);
/// A call begins: see to it that somebody watches.
static inline void tw_delivery_watch_call(tw_delivery *delivery) {
  delivery->calls++;
  if (delivery->is_parked) pthread_cond_signal(&delivery->watch);
  delivery->is_parked = false;
}

#endif
