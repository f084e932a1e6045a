/// commit.h: what a worker has done since its last commit, on its way to the journal.
///
/// This is the one place where outboxes, sources and what scripts keep come together. A worker
/// *collects*: what its script routes to outboxes, dead letters, the blocks that it has read to
/// their end. Between two events it *seals*: all of that, with what the script keeps at this
/// moment, becomes one commit. So after a crash no event is lost, and none has its effect on
/// state twice.
///
/// Where a key deals the lines of one block to several workers, the block is whole only when
/// all of them are through: an *epoch* ends behind each such block, at a marker in every queue.
/// What the workers have collected up to there is one commit, and none of them seals before.
///
/// Without a journal (no outboxes) a seal only says of each event that its backends were
/// flushed.
#ifndef TW_ENGINE_COMMIT_H
#define TW_ENGINE_COMMIT_H

#include "core/ack.h"
#include "delivery/dead.h"
#include "delivery/journal.h"
#include "engine/arrival.h"

typedef struct tw_worker tw_worker;

/// A worker's part in a commit.
typedef struct tw_part {
  tw_worker *worker;
  uint64_t reached; ///< of its events: all below it are in this commit, or an earlier one
} tw_part;

/// A commit of the engine's.
typedef struct tw_work {
  tw_commit commit;
  tw_arrival arrival;
  tw_ack **acks; ///< owned, with the references
  size_t ack_count, ack_cap;
  bool is_written; ///< it waits for its arrival
  unsigned count;
  tw_part parts[]; ///< room for all workers
} tw_work;

/// What all workers of an engine commit with.
typedef struct tw_committer {
  tw_journal *journal; ///< NULL: there are no outboxes
  bool is_durable;     ///< it has a spool
  bool awaits_arrival; ///< acknowledged is what was delivered
  unsigned workers;
  tw_arrivals arrivals;
  /// A commit was given up at the end. So are all that come later, as what scripts keep knows
  /// of its events, while the input will bring them again.
  atomic_bool is_broken;
  atomic_uint replays; ///< that were begun and are not through
} tw_committer;

/// One for what no worker has done. @return NULL without memory
tw_work *tw_work_new(tw_committer *committer);
/// Once for each work. @return false without memory
bool tw_work_replayed(tw_work *work, const void *key, size_t len);
void tw_work_submit(tw_committer *committer, tw_work *work);
void tw_work_give_up(tw_work *work);

/// Marks the end of a block that was dealt out. It has a share for each worker.
typedef struct tw_epoch tw_epoch;
/// @param block  all its lines; a reference is taken. NULL: there is none
/// @param[out] out  with a share for each worker, each to be ended by tw_worker_end_epoch or
///                  tw_epoch_leave
tw_status tw_epoch_new(tw_committer *committer, tw_block *block, tw_epoch **out,
                       tw_error *error);
/// Dead letters of the block, from whoever deals it out; before any share is ended.
/// @param chunk  a reference is kept. @return false without memory
bool tw_epoch_dead(tw_epoch *epoch, tw_chunk *chunk);
/// A replayed record that the block was.
bool tw_epoch_replayed(tw_epoch *epoch, const void *key, size_t len);
/// It is not to be committed, before any share is ended.
void tw_epoch_break(tw_epoch *epoch);
/// A worker will not come to its marker: then the epoch is not committed.
void tw_epoch_leave(tw_epoch *epoch);

/* ------------------------------------------------------------- of a worker */

/// An outbox as a worker knows it.
typedef struct tw_outlet tw_outlet;

typedef struct tw_gathering {
  tw_outlet *outlet; ///< NULL: never used
  tw_chunk_builder builder;
} tw_gathering;

typedef struct tw_collector {
  tw_committer *committer;
  unsigned worker;       ///< whose it is, from 0
  tw_gathering *outlets; ///< by the outlets' index; owned
  unsigned outlet_cap;   ///<
  tw_chunk_builder dead; ///<
  tw_work *work;         ///< under way; NULL: nothing was collected yet
  size_t bytes;          ///< of texts
  bool is_bound;         ///< an epoch has begun: no seal before its marker
  tw_buffer kept;        ///< the state as it was committed last
  uint64_t state_due_ns; ///< writing the state is slow: not before this time
} tw_collector;

void tw_collector_init(tw_collector *collector, tw_committer *committer, unsigned worker);
void tw_collector_fini(tw_collector *collector);

/* From the worker's thread, without its mutex. Without memory they wait for it, unless the
   worker is abandoned. */

/// Waits a moment. @return false when it is abandoned: then the wait is over
bool tw_worker_await_memory(const tw_worker *worker);
/// @return TW_OK; TW_ENOMEM when it is abandoned
tw_status tw_worker_collect(tw_worker *worker, tw_outlet *outlet, const tw_event *event,
                            tw_error *error);
void tw_worker_collect_dead(tw_worker *worker, const tw_dead_letter *letter);
/// All lines of it are through. @param block  a reference is taken
void tw_worker_collect_block(tw_worker *worker, tw_block *block);
void tw_worker_collect_ack(tw_worker *worker, tw_ack *ack); ///< a reference is kept
/// The script is replaced: what follows is another generation's.
void tw_worker_end_generation(tw_worker *worker);

/// Whether so much was collected that it is to be sealed now.
bool tw_worker_is_full(const tw_worker *worker);
/// Commits what was collected, unless an epoch has begun.
/// @param reached  see tw_part
/// @param status, error  of the flush of the backends that have no outbox
void tw_worker_seal(tw_worker *worker, uint64_t reached, tw_status status,
                    const tw_error *error);
/// The same at the worker's end: what an epoch has begun is given up.
void tw_worker_seal_last(tw_worker *worker);
/// The worker has come to its marker.
void tw_worker_end_epoch(tw_worker *worker, tw_epoch *epoch, uint64_t reached);

#endif
