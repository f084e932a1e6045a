/// journal_inside.h: the inside of a journal, between the files that make it.
///
/// Locks, in the order in which they may be taken: the journal's, positions', an outbox's.
#ifndef TW_DELIVERY_JOURNAL_INSIDE_H
#define TW_DELIVERY_JOURNAL_INSIDE_H

#include "delivery/journal.h"
#include "delivery/spool_keys.h"

/// Chunks that were just written are kept for the delivery, up to so many and so many bytes:
/// one that keeps up reads nothing from the spool.
#define TW_RECENT_CHUNKS 16
#define TW_RECENT_BYTES  ((size_t)4 << 20)

typedef struct tw_spool_outbox {
  tw_outbox base;
  struct tw_spool_outbox *next; ///< in the journal's list
  tw_journal *journal;
  uint32_t id; ///< of its chunks' keys
  /* Guarded by the mutex of `base`. */
  bool has_moved;    ///< `head` is ahead of what is stored
  tw_chunk **buried; ///< dead letters to be stored with it: owned, with the references
  size_t buried_count, buried_cap;
  tw_chunk *last;                     ///< that was read last from the spool; a reference
  tw_chunk *recent[TW_RECENT_CHUNKS]; ///< a ring of references
  unsigned recent_first, recent_count;
  size_t recent_bytes;
  uint64_t given;          ///< behind the last event that a delivery was given
  pthread_mutex_t reading; ///< held while a delivery reads, and while events are shed
  /* Of the writing thread alone. */
  tw_outbox_record stored; ///< in the spool
  tw_outbox_record draft;  ///< in the transaction under way
  size_t taken;            ///< of `buried`: those in the transaction under way
  bool is_drafted;         ///< the transaction changes it
  uint64_t draft_shed;     ///< events that it sheds
} tw_spool_outbox;

/// A file that is read, with its record's key.
typedef struct tw_journal_place {
  struct tw_journal_place *next;
  tw_position position;
  bool is_changed;   ///< since it was stored
  bool is_forgotten; ///< its record is to be deleted
  size_t key_len;
  unsigned char key[]; ///< the source's name, a NUL, device and inode
} tw_journal_place;

struct tw_journal {
  atomic_uint refs; ///< the owner's, and one of each outbox: a delivery may outlive the owner
  tw_journal_options options;
  char *folder;          ///< owned
  tw_spool *spool;       ///< NULL: in memory, or closed
  pthread_rwlock_t open; ///< held to read from the spool outside of the writer
  pthread_mutex_t mutex; ///< guards what follows
  pthread_cond_t woken;  ///< the writer has something to do
  pthread_cond_t idle;   ///< `is_writing` has ended
  tw_commit *first, **last;
  size_t bytes;      ///< of those
  uint64_t since_ns; ///< when the first of them came
  uint64_t moved_ns; ///< when the first head moved that is not stored; 0: none has
  bool is_hurried, is_closing, is_writing;
  /// New ones come in front, with the mutex; the writer goes through them without it.
  _Atomic(tw_spool_outbox *) outboxes;
  pthread_t writer;
  bool has_writer;

  pthread_mutex_t place_mutex;
  tw_journal_place *places;

  /* Of the writing thread alone. */
  uint64_t dead_next, dead_bytes;
  uint64_t sync_due_ns; ///< 0: all is synced
  bool is_in_trouble;
  bool has_given_up; ///< a group: nothing that was committed later is written
};

/// A list of commits that are written in one transaction.
typedef struct tw_group {
  tw_commit *first;
  size_t bytes;
} tw_group;

/* journal.c */
/// The last reference frees it.
void tw_journal_unref(tw_journal *journal);

/* journal_write.c */
/// One try to write a group and all heads that have moved.
tw_status tw_journal_write(tw_journal *journal, const tw_group *group, tw_error *error);

/// Looks how many dead letters there are. @return TW_OK or what reading said
tw_status tw_journal_begin_dead(tw_journal *journal, tw_error *error);

/* journal_room.c */
/// Sheds as the policies say until the group fits, from the spool and from the group.
/// @return TW_OK; TW_ELIMIT when somebody has to wait; what a transaction said
tw_status tw_journal_make_room(tw_journal *journal, tw_group *group, tw_error *error);

/* outbox_spool.c */
tw_status tw_spool_outbox_open(tw_journal *journal, const char *path,
                               const tw_outbox_bounds *bounds, tw_spool_outbox **out,
                               tw_error *error);
/// Moves the draft's head: deletes the chunks below it, and counts.
tw_status tw_spool_outbox_move(tw_spool_outbox *outbox, tw_spool_txn *txn, uint64_t head,
                               tw_error *error);
/// Puts a chunk behind the draft's tail, and numbers it.
tw_status tw_spool_outbox_put(tw_spool_outbox *outbox, tw_spool_txn *txn, tw_chunk *chunk,
                              tw_error *error);
tw_status tw_spool_outbox_store(tw_spool_outbox *outbox, tw_spool_txn *txn, tw_error *error);
/// The transaction has succeeded: what is stored is as the draft. `changed` is told.
void tw_spool_outbox_settle(tw_spool_outbox *outbox);
/// The same after events were shed that stood at `from` or behind it.
void tw_spool_outbox_settle_shed(tw_spool_outbox *outbox, uint64_t from);
/// A chunk of it that was stored just now.
void tw_spool_outbox_remember(tw_spool_outbox *outbox, tw_chunk *chunk);
/// What its record says. @return as tw_spool_get
tw_status tw_spool_outbox_load(tw_spool_txn *txn, const char *path, tw_outbox_record *out,
                               tw_error *error);

/* journal_place.c */
/// Adds what the blocks of a commit were read from.
tw_status tw_journal_note_blocks(tw_journal *journal, const tw_commit *commit, tw_error *error);
tw_status tw_journal_store_places(tw_journal *journal, tw_spool_txn *txn, tw_error *error);
void tw_journal_settle_places(tw_journal *journal);
void tw_journal_free_places(tw_journal *journal);

#endif
