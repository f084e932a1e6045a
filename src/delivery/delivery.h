/// delivery.h: takes one outbox's events to its backend: in batches, again and again until
/// they are there.
///
/// A delivery has `max_in_flight` threads. Each takes the next batch, calls the backend, and
/// does what the answer asks for:
///
/// | the backend says | then |
/// |---|---|
/// | TW_OK | the events are through |
/// | TW_EREFUSED of one event | that one becomes a dead letter, the rest goes on |
/// | TW_EREFUSED of one of several | the batch is halved until it is known which |
/// | TW_EDISABLED | the breaker opens at once |
/// | anything else | the rest is tried again: after a random time up to a bound that doubles
/// (exponential backoff, full jitter), or as long as `retry_after_ms` asks for; after
/// `attempts` tries each event of the batch alone, and what still fails is a dead letter |
///
/// The breaker opens after `failures` in a row; then nothing is sent for `rest`, then it is
/// half-open: one small batch is tried; `probes` successes close it, a failure opens it again.
/// Only calls that begin while it is closed count as an event's attempts: a backend that is
/// away for an hour makes no dead letters, but for those of the `failures` that open it.
///
/// A call that takes longer than the time-out cannot be stopped from outside: it is told, and
/// counts as a failure of the breaker; but what it says in the end counts, so that nothing is
/// delivered twice for being late.
#ifndef TW_DELIVERY_DELIVERY_H
#define TW_DELIVERY_DELIVERY_H

#include "base/clock.h"
#include "core/backend.h"
#include "delivery/outbox.h"

typedef struct tw_delivery_options {
  uint64_t batch_events, batch_bytes;  ///< a batch is full with either; 1,000 and 1 MiB
  uint64_t batch_ns;                   ///< how long one that is not full waits for more; 0
  uint64_t retry_min_ns, retry_max_ns; ///< bounds of the backoff; 100 ms, 30 s
  uint64_t attempts;                   ///< 0: without end, the default
  uint64_t breaker_failures;           ///< 5
  uint64_t breaker_rest_ns;            ///< 5 s
  uint64_t breaker_probes;             ///< 1
  uint64_t timeout_ns;                 ///< 30 s; 0: none
  unsigned max_in_flight;              ///< 1
  tw_outbox_bounds bounds;             ///< 100,000 events, 64 MiB, block
  bool has_max_events, has_max_bytes;  ///< these were given, be it as "none"
} tw_delivery_options;

/// The names of these options, with dots: "batch.events", "retry.max", … for tw_options_check.
extern const tw_option tw_delivery_declared[];
extern const size_t tw_delivery_declared_count;

/// Reads options, from the most particular to the most general: where `own` gives none,
/// `common` does.
/// @param own, common  JSON objects; NULL: {}
/// @param what  for messages, such as "backends.db"
/// @return TW_OK; TW_EINVAL, TW_EJSON with a message that names the option; TW_ENOMEM
tw_status tw_delivery_options_read(const char *own, size_t own_len, const char *common,
                                   size_t common_len, const char *what,
                                   tw_delivery_options *out, tw_error *error);

typedef struct tw_delivery tw_delivery;

/// What a delivery tells, from its threads.
typedef struct tw_delivery_ops {
  /// A failure: of the backend (`events` were to be delivered), or a damaged chunk (`events`
  /// are gone). `path` is the outbox's.
  void (*failed)(void *self, const char *path, uint64_t events, const tw_error *error);
  /// A call has begun to be late, or the breaker has changed. May be NULL.
  /// @param why  its code is TW_OK for a change to the better
  void (*changed)(void *self, const char *path, const char *breaker, const tw_error *why);
  void *self;
  const tw_clock *clock; ///< for waits and times, borrowed; NULL: the system's. See
                         ///< tw_delivery_nudge
} tw_delivery_ops;

/// @param outbox  kept: freed when the last thread has left it
/// @param options, ops  copied
/// @param[out] out  owned, not started
tw_status tw_delivery_new(tw_outbox *outbox, const tw_delivery_options *options,
                          const tw_delivery_ops *ops, tw_delivery **out, tw_error *error);
/// @return whether the calling thread is one of a delivery whose ops have this `self`
bool tw_delivery_is_here(const void *self);
tw_outbox *tw_delivery_outbox(tw_delivery *delivery);

/// Sets where to, from the next batch on. The backend is used (tw_backend_use) by the first
/// call that needs it: one that does not open is a failure like any other.
/// Whatever waits for another try is tried at once, and the breaker is closed.
/// @param target  a reference is taken; NULL: nobody, the outbox waits
/// @param is_open  the caller's use of it is handed over
/// @return false without memory: nothing has changed, and the use is the caller's
bool tw_delivery_aim(tw_delivery *delivery, tw_backend *target, bool is_open);
/// Other options from now on, bounds too, but for max_in_flight.
void tw_delivery_tune(tw_delivery *delivery, const tw_delivery_options *options);
/// @return TW_OK; TW_ELIMIT when the system gives no thread: it may be aimed and started again
tw_status tw_delivery_start(tw_delivery *delivery, tw_error *error);

/// Waits until all that has come so far is through.
/// @param end  NULL: without limit
/// @param patient  false: also ends when the breaker is open or there is no target, as waiting
///        may be for long
/// @return whether it is
bool tw_delivery_await(tw_delivery *delivery, const struct timespec *end, bool patient);

/// Ends it: a batch under way is finished, no other begins, the target is closed. What waits
/// stays in the outbox. A call that does not return in time is left behind: its thread frees
/// everything when it does, and tells nobody what the call said.
/// @param end  NULL: without limit
/// @return how many events were not delivered
uint64_t tw_delivery_stop(tw_delivery *delivery, const struct timespec *end);
/// After tw_delivery_stop. NULL is allowed.
void tw_delivery_free(tw_delivery *delivery);

/// Has its threads look at a clock that was turned.
void tw_delivery_nudge(tw_delivery *delivery);

/// May be called at any time.
void tw_delivery_get_stats(tw_delivery *delivery, tw_outbox_stats *out);

#endif
