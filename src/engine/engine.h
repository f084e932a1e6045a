/// engine.h: the inside of an engine, between the files that make it.
///
/// Locks, in the order in which they may be taken: `closing`, `reloading`, then a worker's.
/// `reloading` guards the generation and all that reloads leave behind.
#ifndef TW_ENGINE_ENGINE_H
#define TW_ENGINE_ENGINE_H

#include <stdatomic.h>

#include "delivery/position.h"
#include "engine/commit.h"
#include "engine/dealing.h"
#include "engine/generation.h"
#include "engine/outlet.h"
#include "engine/worker.h"

typedef struct tw_keeper tw_keeper;

struct tw_engine {
  atomic_size_t refs;
  unsigned forks; ///< of the process when it was made; see tw_engine_is_ours
  char *path;
  char *host_options; ///< JSON
  size_t host_options_len;
  tw_engine_ops ops;
  void *self;
  tw_observer observer; ///< of the scripts, from the ops
  tw_engine_options options;
  tw_pool pool;
  tw_ledger ledger;
  tw_host *host; ///< what it offers to the scripts
  tw_cells cells;
  tw_dealing dealing; ///< of events with a function as key
  tw_committer committer;
  tw_outlets outlets;
  atomic_uint_fast64_t told;         ///< failures that went to standard error
  pthread_mutex_t replaying;         ///< of the one who looks for replays
  pthread_mutex_t epoch_turn, epoch; ///< of the one who deals an epoch out, and who is next
  bool is_replay_told; ///< that there is a replay which cannot be made now; by the same
  tw_keeper *keeper;   ///< NULL: nothing is watched
  atomic_uint turn;    ///< of events without a key

  atomic_bool is_ending; ///< it is being closed: a reload gives up
  pthread_mutex_t closing;
  bool is_closed; ///< guarded by `closing`

  pthread_mutex_t reloading;
  tw_generation *generation; ///< that runs; NULL when it is closed
  tw_snapshot *seen;         ///< what the last reload found on disk
  tw_snapshot *previous;     ///< of the generation before, to go back to; NULL: none
  tw_status outcome;         ///< of the last reload
  tw_error outcome_error;
  uint64_t served; ///< the last request that it served

  uint64_t trial_ends; ///< of the new generation, monotonic ns; 0: it is over

  atomic_uint_fast64_t asked; ///< requests for a reload
  atomic_uint_fast64_t number, reloads, refused, rebuilt;

  unsigned worker_count;
  tw_worker *workers; ///< owned
};

/// Has the lines of a block processed; the block's intake is told what became of them. They
/// are never dropped for want of room: this waits. Order is that of the events sent.
/// @param block  its reference is kept, also on failure
/// @return TW_OK; TW_ECLOSED, TW_ENOMEM when not all of it was taken: what was not is counted
///         as left
tw_status tw_engine_feed(tw_engine *engine, tw_block *block, tw_error *error);
/// Has all blocks of a source fetched and processed, by all workers at the same time; returns
/// at once, unless a key has to be looked up here.
/// @param source  copied; what it points to lives until all requests are over
/// @return TW_OK; TW_ECLOSED, TW_ENOMEM: then some workers may be at it
tw_status tw_engine_fetch(tw_engine *engine, const tw_block_source *source, tw_error *error);
/// How far a source was read, as the spool has it, with what is committed and not yet written.
/// @param file  which one
/// @param[out] out  to be ended with tw_position_fini; zeroed when nothing is known
/// @return TW_OK, also without a spool; TW_EIO, TW_ENOMEM
tw_status tw_engine_position(tw_engine *engine, const char *source, const tw_file_id *file,
                             tw_position *out, tw_error *error);
/// The files that were read under this name, the newest last.
typedef void (*tw_position_visit_fn)(void *self, const tw_position *position);
tw_status tw_engine_visit_positions(tw_engine *engine, const char *source,
                                    tw_position_visit_fn visit, void *self, tw_error *error);
/// Forgets a file that is gone, or was read to its end and is not the one of the name any more.
tw_status tw_engine_forget_position(tw_engine *engine, const char *source,
                                    const tw_file_id *file, tw_error *error);
/// @return whether it has a spool: rejected lines and dead letters are kept there
bool tw_engine_has_spool(const tw_engine *engine);
/// @return the end of a limit of time; NULL for none
const struct timespec *tw_limit_in(int timeout_ms, struct timespec *out);
/// @return false in a child of the process that made it
bool tw_engine_is_ours(const tw_engine *engine);
/// TW_ECLOSED, with the message for such a child.
tw_status tw_engine_fail_forked(tw_error *error);
/// Epochs are dealt out one after the other, from the first event to the last marker: else a
/// worker would commit events of one with another, and markers could come in another order to
/// another worker, so that they wait for each other.
void tw_engine_begin_epoch(tw_engine *engine);
/// The same, until then. @return false when the time was over
bool tw_engine_try_epoch(tw_engine *engine, uint64_t until_ns);
void tw_engine_end_epoch(tw_engine *engine);
/// Puts the marker of an epoch into all queues. The shares are kept, also on failure.
tw_status tw_engine_mark(tw_engine *engine, tw_epoch *epoch, tw_error *error);
/// Sends an event that belongs to an epoch: it is never dropped. @param event  ends
/// @param cell  kept
tw_status tw_engine_put_bound(tw_engine *engine, tw_cell *cell, tw_event *event,
                              tw_error *error);
/// Loads and opens the first generation, with the options that it and the host give.
tw_status tw_engine_first(tw_engine *engine, tw_error *error);

/// That a thread is in an engine where others wait for it. On its stack.
typedef struct tw_engine_stay {
  const tw_engine *engine;
  struct tw_engine_stay *outer;
} tw_engine_stay;
void tw_engine_enter(const tw_engine *engine, tw_engine_stay *stay);
void tw_engine_leave(const tw_engine_stay *stay);
/// @return whether the calling thread is in a callback of this engine where to reload or to
///         close it would be to wait for itself. Workers are not asked about.
bool tw_engine_is_staying_here(const tw_engine *engine);
/// @return whether the calling thread is one that commits or delivers for this engine
bool tw_engine_is_delivering_here(const tw_engine *engine);
/// Reloads when the files are no longer as the last reload found them. One that was refused is
/// not tried again as it is, since the ops would be told the same again.
/// @param is_told  of some change: worth a try where the last reload could not read all files
void tw_engine_reload_changed(tw_engine *engine, bool is_told);
/// Goes back to the generation before when the new one fails too often in its trial.
void tw_engine_check_failures(tw_engine *engine);

#endif
