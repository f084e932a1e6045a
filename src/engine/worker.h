/// worker.h: a thread that runs one script over a bounded queue of events.
///
/// Events have numbers, counted from 0 for each worker: those below `head` have left the
/// queue, those below `tail` have come. A change of script and a flush are asked for at a
/// number and happen between two events, never inside of one. A block of lines has one number.
#ifndef TW_ENGINE_WORKER_H
#define TW_ENGINE_WORKER_H

#include <stdatomic.h>

#include "base/buffer.h"
#include "engine/cell.h"
#include "engine/commit.h"
#include "engine/options.h"
#include "engine/rebuild.h"
#include "script/script.h"

/// Events that a worker takes at once.
#define TW_WORKER_BATCH 256
/// Blocks that wait at a worker, at most.
#define TW_WORKER_BLOCKS 2

/// Why an event was dropped.
typedef enum tw_drop_cause {
  TW_DROP_NEWEST,  ///< the queue was full
  TW_DROP_OLDEST,  ///< the queue was full
  TW_DROP_TIMEOUT, ///< the queue stayed full
  TW_DROP_CLOSED,  ///< the engine was closed before its turn came
  TW_DROP_MEMORY,  ///< there was no memory to route it; told as a failure
  TW_DROP_CAUSES
} tw_drop_cause;

/// What a worker has done, in events.
typedef struct tw_worker_counts {
  uint64_t received;  ///< that came: into the queue, or as lines
  uint64_t processed; ///< of them
  uint64_t waiting;   ///< of them, without the lines of blocks
  uint64_t dropped[TW_DROP_CAUSES];
} tw_worker_counts;

/// Who is told of an event that was not processed; called without a lock.
typedef struct tw_worker_ops {
  /// NULL: nobody is told. @param event  NULL when there was no memory to show it
  void (*dropped)(void *self, tw_drop_cause cause, const tw_event *event);
  /// "engine": there was no memory for an event. "state": the script's state was not handed
  /// over, or its end failed. @param event  may be NULL
  void (*failed)(void *self, const char *where, tw_event *event, uint64_t events,
                 const tw_error *error);
  /// The worker's script is sick: between two events, on its thread.
  void (*sick)(void *self, struct tw_worker *worker);
  void *self;
} tw_worker_ops;

struct tw_worker {
  pthread_t thread;
  bool is_running; ///< the thread was started and not joined yet
  const tw_engine_options *options;
  tw_worker_ops ops;
  tw_cells *cells;
  tw_script *script; ///< borrowed; the worker's own while it runs
  tw_script **home;  ///< where its generation has it; what is there, the mutex guards
  tw_rebuilds rebuilds;

  pthread_mutex_t mutex; ///< guards all below
  pthread_cond_t filled, emptied, progressed;
  tw_cell **ring;
  size_t room; ///< of the ring: a power of two, at least the options' queue
  uint64_t head, tail;
  size_t in_hand;   ///< events that left the queue and are not through yet
  bool is_idle;     ///< the worker sleeps until it is woken
  unsigned blocked; ///< threads that wait for room
  unsigned blocks;  ///< that wait in the queue
  bool is_closed;   ///< nothing comes any more
  bool is_done;     ///< the thread is about to end
  tw_script **next; ///< the home of what to change to at `change_at`; NULL: none
  uint64_t change_at;
  pthread_barrier_t *meet; ///< where all workers meet before they go on; NULL: nowhere
  tw_buffer *wanted;       ///< where the script's state is to be written; NULL: not asked for
  tw_status wanted_status; ///< of the last time it was
  tw_error wanted_error;
  uint64_t flush_at, flushed; ///< asked for; flushed, and sealed unless an epoch has begun
  uint64_t durable;           ///< all before it is committed
  unsigned under_way;         ///< commits of this worker that are not written
  unsigned arriving;          ///< those that are, and wait for deliveries
  unsigned epochs;            ///< of them: those that wait for other workers to come to the end
  tw_status flush_status;     ///< of the flush that reached `flushed`
  tw_error flush_error;
  tw_status left_status; ///< of flushing scripts that were left since: the next flush says it
  tw_error left_error;
  tw_worker_counts counts;

  /* Of the thread alone, but for the first. */
  atomic_bool is_abandoned; ///< what waits is dropped
  const tw_origin *origin;  ///< of the event at hand; NULL: from no source
  tw_store store;           ///< of the event at hand
  tw_collector collector;
};

/// Between two events, on its thread, without the mutex.
static inline void tw_worker_keep_healthy(tw_worker *worker) {
  if (tw_script_is_sick(worker->script)) worker->ops.sick(worker->ops.self, worker);
}

/// @param number  which one it is, from 0
/// @param home  a script of the first generation, open
tw_status tw_worker_init(tw_worker *worker, const tw_engine_options *options,
                         const tw_worker_ops *ops, tw_cells *cells, tw_committer *committer,
                         unsigned number, tw_script **home, tw_error *error);
tw_status tw_worker_start(tw_worker *worker, tw_error *error);
/// The thread has ended, or was never started.
void tw_worker_fini(tw_worker *worker);

/// Queues an event. @param cell  kept
/// @return TW_OK; TW_ELIMIT when it was dropped; TW_ECLOSED
tw_status tw_worker_push(tw_worker *worker, tw_cell *cell, tw_error *error);
/// Queues a block's lines, or an event of one. That is never dropped: a source can wait, and
/// does, without limit of time. @param cell  kept
/// @return TW_OK; TW_ECLOSED
tw_status tw_worker_feed(tw_worker *worker, tw_cell *cell, tw_error *error);
/// @return whether the calling thread is a worker
bool tw_worker_is_here(void);
/// @return the worker that is calling, NULL when it is none
tw_worker *tw_worker_current(void);
/// Sets whether the calling thread must not wait for room in a queue, as a worker must not.
void tw_worker_set_hasty(bool is_hasty);
/// @return where the event comes from that the calling worker has at hand; NULL: no source's
const tw_origin *tw_worker_origin(void);

/// Has a worker that sleeps look again. The mutex is held.
void tw_worker_wake(tw_worker *worker);

/* For the engine; see also change.h. */
/// Asks for a flush behind all events that have come. @return its number, to wait for
uint64_t tw_worker_ask_flush(tw_worker *worker);
/// @param end  NULL: without limit
/// @return what the flush said; TW_ELIMIT when the time is over, with what was left
tw_status tw_worker_await_flush(tw_worker *worker, uint64_t number, const struct timespec *end,
                                uint64_t *remaining, tw_error *error);
/// Lets nothing more come.
void tw_worker_close(tw_worker *worker);
/// Waits until the thread is about to end; what waits at the end of the time is dropped.
/// @return false when the time was over
bool tw_worker_await_end(tw_worker *worker, const struct timespec *end);
/// Behind the last one.
/// @return how many events were dropped
uint64_t tw_worker_join(tw_worker *worker);
/// Waits until all commits of a worker that has ended are through.
/// @return false when the time is over
bool tw_worker_settle(tw_worker *worker, const struct timespec *end);

#endif
