/// journal.h: where what belongs together is made to last together.
///
/// A *commit* is what one worker (or all of them, up to one point of the input) has done:
/// chunks for outboxes, dead letters, how far sources were read, and what the scripts keep. A
/// journal takes commits one after the other: the one in memory appends to outboxes at once;
/// the one with a spool writes as many as have come, and what deliveries have advanced, in one
/// transaction (group commit), on a thread of its own.
///
/// A transaction that fails is tried again until it succeeds, with the same contents: whoever
/// commits is told meanwhile, and waits where its bound of commits under way is reached. So a
/// full disk pauses the intake, loses nothing, and heals.
#ifndef TW_DELIVERY_JOURNAL_H
#define TW_DELIVERY_JOURNAL_H

#include "core/block.h"
#include "delivery/outbox.h"
#include "delivery/spool.h"

typedef enum tw_durability {
  TW_DURABILITY_MEMORY, ///< nothing outlives the process
  TW_DURABILITY_OS,     ///< what is committed outlives the process; synced now and then
  TW_DURABILITY_COMMIT  ///< what is committed outlives the machine's end
} tw_durability;

/// Chunks for one outbox.
typedef struct tw_parcel {
  tw_outbox *outbox;
  tw_chunk *chunk; ///< a reference
} tw_parcel;

/// What a worker's script keeps.
typedef struct tw_kept_state {
  struct tw_kept_state *next;
  unsigned worker, workers; ///< which one, from 0, of how many
  char *json;               ///< owned
  size_t len;
} tw_kept_state;

typedef struct tw_commit tw_commit;
struct tw_commit {
  tw_commit *next;
  tw_parcel *parcels; ///< owned, with the references
  size_t count, cap;
  tw_chunk **dead; ///< owned, with the references
  size_t dead_count, dead_cap;
  tw_block **blocks; ///< owned, with a reference each: all their lines are in this commit
  size_t block_count, block_cap;
  tw_kept_state *states;
  uint64_t
      replayed[2]; ///< records of the replay table that were routed: [first, behind the last)
  /// Called once, by the journal's thread (in memory: by who submits): it is durable, or was
  /// given up because the journal is closed. Frees the commit.
  /// @param shed  events of it that a bound has cost
  void (*done)(tw_commit *commit, tw_status status, uint64_t shed, const tw_error *error);
  void *self;
};

typedef struct tw_journal_options {
  const char *folder; ///< of the spool; NULL: memory
  tw_durability durability;
  uint64_t max_bytes, min_free;
  uint64_t group_bytes;    ///< a transaction begins when so much has come; 1 MiB
  uint64_t group_ns;       ///< or the oldest has waited so long; 2 ms
  uint64_t sync_ns;        ///< of TW_DURABILITY_OS; 100 ms
  uint64_t dead_max_bytes; ///< of dead letters: the oldest go; 256 MiB
  tw_dead_fn dead;         ///< in memory: who gets dead letters
  /// A transaction has failed (`error`), or after that one has succeeded (NULL).
  void (*trouble)(void *self, const tw_error *error);
  void *self;
} tw_journal_options;

typedef struct tw_journal tw_journal;

/// @param options  copied, the texts too
tw_status tw_journal_open(const tw_journal_options *options, tw_journal **out, tw_error *error);
/// Writes what has come; then gives up what cannot be written.
void tw_journal_close(tw_journal *journal);

/// The outbox of a path, with what waits in the spool for it. One at a time for each path.
/// @param[out] out  owned; no longer than the journal
tw_status tw_journal_outbox(tw_journal *journal, const char *path,
                            const tw_outbox_bounds *bounds, tw_outbox **out, tw_error *error);
/// Visits outboxes in the spool that wait for a backend which nobody has asked for.
void tw_journal_orphans(tw_journal *journal,
                        void (*visit)(void *self, const char *path, uint64_t events),
                        void *self);
/// What the spool has kept for a worker. @param[out] json  NULL: nothing; free with tw_free
/// @return TW_OK; TW_EINVAL when it was kept for another number of workers
tw_status tw_journal_state(tw_journal *journal, unsigned worker, unsigned workers, char **json,
                           size_t *len, tw_error *error);

/// @param commit  kept: `done` is called in any case
void tw_journal_submit(tw_journal *journal, tw_commit *commit);
/// Has what was submitted written at once, without waiting for more; returns at once.
void tw_journal_hurry(tw_journal *journal);

/// Frees what a commit holds, and it.
void tw_commit_free(tw_commit *commit);

#endif
