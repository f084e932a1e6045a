/// spool_inside.h: what the files of the spool share. Nobody else includes it.
///
/// spool_owner.c    the folder, and who owns it
/// spool_env.c      opening, checking, making and renewing LMDB's environment
/// spool_space.c    how much room there is, and what errors mean
/// spool.c          transactions and records
/// spool_seek.c     looking for records in the order of keys
/// spool_record.c   the form of a record
/// check.c          whether LMDB can be let at the file
/// spool_pages.c    LMDB's file format, for the checker and for repairs
#ifndef TW_DELIVERY_SPOOL_INSIDE_H
#define TW_DELIVERY_SPOOL_INSIDE_H

#include <lmdb.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/types.h>

#include "delivery/spool.h"
#include "delivery/spool_owner.h"

/// How LMDB names its data in a folder.
#define TW_SPOOL_FILE "data.mdb"
/// Where a new file is made before it gets that name.
#define TW_SPOOL_NEW "new"

/// Keys of TW_SPOOL_ABOUT: 8 and 4 bytes, little-endian. They are the first records of the
/// file.
#define TW_ABOUT_TRANSACTION "transaction"
#define TW_ABOUT_VERSION     "version"

struct tw_spool {
  char *folder; ///< owned
  tw_spool_options options;
  int owner;             ///< the file that says who owns it, locked; -1: not ours
  pid_t process;         ///< that opened it: a child of it must not touch it
  pthread_mutex_t mutex; ///< guards the next five
  MDB_env *env;          ///< NULL while it is to be opened anew
  MDB_dbi tree;
  uint64_t failed;   ///< a transaction whose last write failed; 0: none
  unsigned active;   ///< transactions, and other uses of `env`
  bool is_broken;    ///< the environment refuses to work: it is opened anew when nobody uses it
  atomic_uint begun; ///< transactions that write
  atomic_size_t touched; ///< bytes that were read from the map since it was let go
};

struct tw_spool_txn {
  tw_spool *spool;
  MDB_txn *txn;
  MDB_cursor *cursor; ///< NULL until the first seek
  bool writes, is_dirty;
  tw_status failed; ///< what a write said: then it can only be aborted
};

/* ------------------------------------------------------------------- owner */

/// Takes the folder; makes it when it is missing.
/// @param[out] fd  to be given back with tw_spool_disown
/// @param[out] failed  tw_spool_owner
tw_status tw_spool_take(const char *folder, int *fd, uint64_t *failed, tw_error *error);
void tw_spool_disown(int fd);
/// Notes that the last write of a transaction has failed.
void tw_spool_note_failed(int fd, uint64_t txnid);
/// Writes a path in a folder. @return false when it is too long
bool tw_spool_path(char *out, size_t room, const char *folder, const char *name);

/* ------------------------------------------------------------- environment */

/// Opens (and as the owner makes, when there is none) the environment.
tw_status tw_spool_env_open(tw_spool *spool, tw_error *error);
void tw_spool_env_close(tw_spool *spool);
/// Before and after each use of `env`. It is opened anew when it has broken.
/// @return TW_OK; TW_EIO: it cannot be used now
tw_status tw_spool_enter(tw_spool *spool, tw_error *error);
void tw_spool_leave(tw_spool *spool);
/// What was found out by a use: the next one opens it anew.
void tw_spool_mark_broken(tw_spool *spool);

/* ----------------------------------------------------------------- reading */

/// @return TW_OK or TW_ELIMIT
tw_status tw_spool_check_key(const tw_spool_txn *txn, size_t len, tw_error *error);
/// @return TW_OK, or TW_EIO with what could be read
tw_status tw_spool_take_apart(const tw_spool_txn *txn, const MDB_val *at, const MDB_val *data,
                              tw_spool_record *out, tw_error *error);
/// TW_ENOENT.
tw_status tw_spool_none(tw_error *error);

/* ------------------------------------------------------------------ errors */

/// What an error of LMDB or the system means here.
/// @param action  "cannot write"
tw_status tw_spool_fail(const char *folder, const tw_spool_options *options, int code,
                        const char *action, tw_error *error);

#endif
