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
#include "delivery/position.h"
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

/// Records of the replay table that a commit has routed, and deletes.
typedef struct tw_replayed {
  struct tw_replayed *next;
  size_t len;
  unsigned char key[]; ///< of the record
} tw_replayed;

/// Starts zeroed but for `done` and `self`.
typedef struct tw_commit {
  struct tw_commit *next;
  tw_parcel *parcels; ///< owned, with the references
  size_t count, cap;
  size_t bytes;    ///< of their chunks
  tw_chunk **dead; ///< owned, with the references
  size_t dead_count, dead_cap;
  tw_block **blocks; ///< owned, with a reference each: all their lines are in this commit
  size_t block_count, block_cap;
  tw_kept_state *states; ///< owned
  tw_replayed *replayed; ///< owned
  uint64_t shed;         ///< events of it that a bound has cost; complete when it is done
  /// Called once, by the journal's thread (in memory: by who submits): it is durable, or was
  /// given up because the journal is closed. Then the commit is the callee's again.
  void (*done)(struct tw_commit *commit, tw_status status, const tw_error *error);
  void *self;
} tw_commit;

/// Makes room for a chunk of each kind, so that one can be added for certain.
bool tw_commit_reserve(tw_commit *commit);
/// @param chunk  a reference is kept, also on failure. @return false without memory
bool tw_commit_parcel(tw_commit *commit, tw_outbox *outbox, tw_chunk *chunk);
bool tw_commit_dead(tw_commit *commit, tw_chunk *chunk); ///< likewise
/// @param block  a reference is taken
bool tw_commit_block(tw_commit *commit, tw_block *block);
/// @param json  copied
bool tw_commit_state(tw_commit *commit, unsigned worker, unsigned workers, const char *json,
                     size_t len);
bool tw_commit_replayed(tw_commit *commit, const void *key, size_t len);
/// Moves all that `from` holds behind what is in `to`. @return false without memory: as before
bool tw_commit_merge(tw_commit *to, tw_commit *from);
/// Frees what it holds, not itself.
void tw_commit_fini(tw_commit *commit);

typedef struct tw_journal_options {
  const char *folder; ///< of the spool; NULL: memory
  tw_durability durability;
  uint64_t max_bytes, min_free;
  uint64_t group_bytes;    ///< a transaction begins when so much has come; 1 MiB
  uint64_t group_ns;       ///< or the oldest has waited so long; 2 ms
  uint64_t sync_ns;        ///< of TW_DURABILITY_OS; 100 ms
  uint64_t dead_max_bytes; ///< of dead letters: the oldest go; 256 MiB
  tw_dead_fn dead;         ///< in memory: who gets dead letters
  /// A bound has cost `count` events of an outbox, or dead letters: then `path` is NULL.
  void (*lost)(void *self, const char *path, uint64_t count);
  /// A transaction has failed (`error`), or after that one has succeeded (NULL).
  void (*trouble)(void *self, const tw_error *error);
  /// In memory: who submits waits for room in an outbox; called again and again. May be NULL.
  void (*waits)(void *self);
  void *self;
} tw_journal_options;

typedef struct tw_journal tw_journal;

/// @param options  copied, the texts too
tw_status tw_journal_open(const tw_journal_options *options, tw_journal **out, tw_error *error);
/// Writes what has come, and gives up what cannot be written now. Nothing can be submitted any
/// more; outboxes can still be read, and freed.
void tw_journal_close(tw_journal *journal);
/// After tw_journal_close, and when its outboxes are freed. NULL is allowed.
void tw_journal_free(tw_journal *journal);

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

/// @param commit  `done` is called in any case
void tw_journal_submit(tw_journal *journal, tw_commit *commit);
/// @return whether the calling thread is the one that writes
bool tw_journal_is_here(const tw_journal *journal);
/// Has what was submitted written at once, without waiting for more; returns at once.
void tw_journal_hurry(tw_journal *journal);

/// How far a file was read: what was submitted and is durable. Zeroed when nothing is known, as
/// in memory.
tw_status tw_journal_position(tw_journal *journal, const char *source, const tw_file_id *file,
                              tw_position *out, tw_error *error);
/// All files of a source.
typedef void (*tw_position_fn)(void *self, const tw_position *position);
tw_status tw_journal_positions(tw_journal *journal, const char *source, tw_position_fn visit,
                               void *self, tw_error *error);
/// Forgets a file; that is durable with the next commit.
tw_status tw_journal_forget(tw_journal *journal, const char *source, const tw_file_id *file,
                            tw_error *error);

/// The first replay that is not under way, as `tidewire dead replay` puts it.
/// @param[in,out] key  of the one before, empty for the first; of this one
/// @param[out] path  in `key`: of the backend, or "": it goes through the script
/// @param[out] chunk  a reference; NULL: there is none
tw_status tw_journal_replay(tw_journal *journal, tw_buffer *key, const char **path,
                            tw_chunk **chunk, tw_error *error);

#endif
