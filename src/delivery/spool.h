/// spool.h: the store on disk: a folder with an LMDB environment, opened by one process.
///
/// It holds *records*: a table, a key, a value. Every value is stored with a checksum of table,
/// key and value (XXH3 of 64 bits), so that one which was changed, or stands at another key's
/// place, is found out when it is read. Everything that belongs together is written in one
/// *transaction*, which is there wholly or not at all, whenever the process ends.
///
/// | table | key | value |
/// |---|---|---|
/// | TW_SPOOL_ABOUT | name | version of the format, number of the transaction |
/// | TW_SPOOL_OUTBOX | path | id, head, tail, counts (outbox_spool.c) |
/// | TW_SPOOL_CHUNK | outbox id, number | a chunk (chunk.h) |
/// | TW_SPOOL_SOURCE | name of the source, file | how far it was read (position.h) |
/// | TW_SPOOL_STATE | worker, of how many | the script's state as JSON |
/// | TW_SPOOL_DEAD | number | a chunk of dead letters |
/// | TW_SPOOL_REPLAY | path or "", number | a chunk of events to be routed (path "") or
/// delivered again |
///
/// What opening finds out: a newer version of the format, a process that has the spool open, a
/// damaged file (check.h): each is refused with a message that says what to do.
///
/// LMDB 0.9.24, without MDB_WRITEMAP, which would die of SIGBUS on a full disk.
#ifndef TW_DELIVERY_SPOOL_H
#define TW_DELIVERY_SPOOL_H

#include "base/buffer.h"
#include "base/status.h"

typedef enum tw_spool_table {
  TW_SPOOL_ABOUT,
  TW_SPOOL_OUTBOX,
  TW_SPOOL_CHUNK,
  TW_SPOOL_SOURCE,
  TW_SPOOL_STATE,
  TW_SPOOL_DEAD,
  TW_SPOOL_REPLAY,
  TW_SPOOL_TABLES
} tw_spool_table;

/// The format's version, in TW_SPOOL_ABOUT "version". One that is newer is refused.
#define TW_SPOOL_VERSION 1

typedef enum tw_spool_mode {
  TW_SPOOL_OWN,   ///< read and write, as the one owner
  TW_SPOOL_SHARE, ///< read, and write dead letters and replays, also while it has an owner
  TW_SPOOL_READ   ///< read alone, also while it has an owner
} tw_spool_mode;

typedef struct tw_spool_options {
  tw_spool_mode mode;
  uint64_t max_bytes; ///< of the file; 0: 8 GiB
  uint64_t min_free;  ///< of the disk, below which nothing is written; 0: none
  bool lazy;          ///< commits are not synced: see tw_spool_sync
} tw_spool_options;

typedef struct tw_spool tw_spool;

/// Opens a spool; the owner makes the folder and the file when they are missing. Locks and
/// checks it.
/// @param[out] out  owned
/// @return TW_OK; TW_EEXIST: a living process has it, the message says which; TW_EINVAL: a
///         newer version, or no spool; TW_EIO: damaged, or the world failed; TW_ENOENT: there
///         is none, and the mode is not to own it; TW_ENOMEM
tw_status tw_spool_open(const char *folder, const tw_spool_options *options, tw_spool **out,
                        tw_error *error);
/// Syncs and closes. No transaction is open. NULL is allowed.
void tw_spool_close(tw_spool *spool);
/// Has all that was committed outlive the machine, too. @return TW_OK or TW_EIO
tw_status tw_spool_sync(tw_spool *spool, tw_error *error);

/// @return bytes of the file that are in use now, without the free pages in it
uint64_t tw_spool_used(tw_spool *spool);
/// @return bytes of new data that may still be written: by max_bytes, and by what the disk has
///         free, if that can be asked
uint64_t tw_spool_room(tw_spool *spool);

/* ------------------------------------------------------------ transactions */

/// One at a time can write, in one thread; any number can read, in any threads. What is read is
/// borrowed until the transaction ends, or writes again. A reading one is to be short: what is
/// deleted meanwhile cannot be used again.
typedef struct tw_spool_txn tw_spool_txn;

/// @param writes  false: it sees the store as it is now
/// @param[out] out  to be ended by tw_spool_commit or tw_spool_abort
tw_status tw_spool_begin(tw_spool *spool, bool writes, tw_spool_txn **out, tw_error *error);
/// Ends it in any case. @return TW_OK: it is stored, and unless the spool is lazy, synced;
/// TW_ELIMIT: the spool or the disk is full; TW_EIO; TW_ENOMEM: nothing of it is stored
tw_status tw_spool_commit(tw_spool_txn *txn, tw_error *error);
void tw_spool_abort(tw_spool_txn *txn); ///< NULL is allowed

/// @return TW_OK, TW_ELIMIT, TW_EIO, TW_ENOMEM: then the transaction can only be aborted
tw_status tw_spool_put(tw_spool_txn *txn, tw_spool_table table, const void *key, size_t key_len,
                       const void *value, size_t len, tw_error *error);
/// @return TW_OK; TW_ENOENT; TW_EIO also for a value that is damaged: then it is in `value` all
///         the same
tw_status tw_spool_get(tw_spool_txn *txn, tw_spool_table table, const void *key, size_t key_len,
                       const void **value, size_t *len, tw_error *error);
/// @return TW_OK, also when it was not there; otherwise as tw_spool_put
tw_status tw_spool_delete(tw_spool_txn *txn, tw_spool_table table, const void *key,
                          size_t key_len, tw_error *error);

/// A place in a table, in ascending order of key bytes; borrowed as what is read.
typedef struct tw_spool_record {
  const void *key;
  size_t key_len;
  const void *value;
  size_t len;
} tw_spool_record;
/// The first record whose key is `from` or behind it.
/// @return TW_OK; TW_ENOENT behind the last; TW_EIO: `out` is set when only its value is
/// damaged
tw_status tw_spool_seek(tw_spool_txn *txn, tw_spool_table table, const void *from,
                        size_t from_len, tw_spool_record *out, tw_error *error);
/// The last record whose key is `from` or before it; for keys below 471 bytes.
/// @return as tw_spool_seek
tw_status tw_spool_seek_back(tw_spool_txn *txn, tw_spool_table table, const void *from,
                             size_t from_len, tw_spool_record *out, tw_error *error);
/// The last record whose key begins with `prefix`. @return as tw_spool_seek
tw_status tw_spool_last(tw_spool_txn *txn, tw_spool_table table, const void *prefix,
                        size_t prefix_len, tw_spool_record *out, tw_error *error);

/// Big-endian, so that keys sort by number.
static inline void tw_spool_write_number(unsigned char *out, uint64_t number) {
  for (int i = 7; i >= 0; i--, number >>= 8) out[i] = (unsigned char)number;
}
static inline uint64_t tw_spool_read_number(const unsigned char *from) {
  uint64_t number = 0;
  for (int i = 0; i < 8; i++) number = number << 8 | from[i];
  return number;
}

#endif
