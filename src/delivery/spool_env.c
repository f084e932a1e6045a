/* LMDB's environment: made, checked, opened, and opened anew.

   A new file is made beside, in the folder `new`, and gets its name when it holds a first
   transaction: so a file of that name is never half made, and one that is too short has lost
   something.

   After a write of a meta page has failed, LMDB refuses to go on. The environment is closed and
   opened again then, as soon as nobody uses it: `active` counts who does. Nobody waits for
   that, as somebody might wait for himself: until then uses fail.

   LMDB is only let at a file that was checked, or that a living owner has checked: on damaged
   pages it would abort. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "delivery/check.h"
#include "delivery/spool_inside.h"
#include "delivery/spool_keys.h"
#include "delivery/spool_record.h"

#define MAX_READERS 256
#define LOCK_FILE   "lock.mdb"
/* Room for so many readers of 64 bytes, and a header. */
#define LOCK_SIZE (MAX_READERS * 64 + 4096)

/* What the file may grow beyond `max_bytes`, so that what has been delivered can be deleted
   when it is full: that takes new pages before it gives any. Address space alone. */
#define SLACK ((uint64_t)64 << 20)

static tw_status fail_here(const tw_spool *spool, int code, const char *action,
                           tw_error *error) {
  return tw_spool_fail(spool->folder, &spool->options, code, action, error);
}

/* -------------------------------------------------------------------- make */

/* LMDB maps the file with its readers and writes to it through the map: where the disk has no
   block for it, that would be SIGBUS. */
static int allocate_lock_file(const char *folder, bool only_reads) {
  char path[4096];
  if (!tw_spool_path(path, sizeof path, folder, LOCK_FILE)) return ENAMETOOLONG;
  int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0) return only_reads ? 0 : errno;
  int code = posix_fallocate(fd, 0, LOCK_SIZE);
  close(fd);
  return code;
}

static int put_about(MDB_txn *txn, MDB_dbi tree, const char *name, uint64_t number, int size) {
  unsigned char value[8], stored[TW_RECORD_HEADER + sizeof value];
  tw_record_key made;
  tw_little_endian_write(value, number, size);
  tw_record_key_make(&made, TW_SPOOL_ABOUT, name, strlen(name));
  tw_record_header_write(stored, &made, name, value, (size_t)size);
  memcpy(stored + TW_RECORD_HEADER, value, (size_t)size);
  MDB_val at = {made.len, made.bytes}, data = {TW_RECORD_HEADER + (size_t)size, stored};
  return mdb_put(txn, tree, &at, &data, 0);
}

static int write_first(MDB_env *env) {
  MDB_txn *txn;
  MDB_dbi tree;
  int code = mdb_txn_begin(env, NULL, 0, &txn);
  if (code) return code;
  code = mdb_dbi_open(txn, NULL, 0, &tree);
  if (!code) code = put_about(txn, tree, TW_ABOUT_VERSION, TW_SPOOL_VERSION, 4);
  if (!code) code = put_about(txn, tree, TW_ABOUT_TRANSACTION, mdb_txn_id(txn), 8);
  if (!code) return mdb_txn_commit(txn);
  mdb_txn_abort(txn);
  return code;
}

static int make_file(const char *folder) {
  MDB_env *env;
  int code = allocate_lock_file(folder, false);
  if (!code) code = mdb_env_create(&env);
  if (code) return code;
  code = mdb_env_open(env, folder, 0, 0600);
  if (!code) code = write_first(env);
  mdb_env_close(env);
  return code;
}

static void remove_from(const char *folder, const char *name) {
  char path[4096];
  if (tw_spool_path(path, sizeof path, folder, name)) unlink(path);
}

static int sync_folder(const char *folder) {
  int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return errno;
  int code = fsync(fd) ? errno : 0;
  close(fd);
  return code;
}

/* What an earlier try has left is removed first. */
static tw_status make_beside(const tw_spool *spool, const char *path, tw_error *error) {
  char beside[4096], made[4096];
  if (!tw_spool_path(beside, sizeof beside, spool->folder, TW_SPOOL_NEW) ||
      !tw_spool_path(made, sizeof made, beside, TW_SPOOL_FILE))
    return tw_fail(error, TW_EINVAL, "%.256s: the path is too long", spool->folder);
  remove_from(beside, TW_SPOOL_FILE);
  remove_from(beside, LOCK_FILE);
  int code = mkdir(beside, 0700) && errno != EEXIST ? errno : make_file(beside);
  if (!code && rename(made, path)) code = errno;
  remove_from(beside, LOCK_FILE);
  rmdir(beside);
  if (!code) code = sync_folder(spool->folder);
  return code ? fail_here(spool, code, "cannot make the spool", error) : TW_OK;
}

/* -------------------------------------------------------------------- open */

static size_t map_size(uint64_t max_bytes) {
  uint64_t size = max_bytes + max_bytes / 8 + SLACK;
  return (size_t)(size - size % 65536);
}

static unsigned flags_of(const tw_spool_options *options) {
  unsigned flags = MDB_NOTLS;
  if (options->mode == TW_SPOOL_READ) flags |= MDB_RDONLY;
  if (options->lazy) flags |= MDB_NOSYNC;
  return flags;
}

static int open_tree(tw_spool *spool) {
  MDB_txn *txn;
  int code = mdb_txn_begin(spool->env, NULL, MDB_RDONLY, &txn);
  if (code) return code;
  code = mdb_dbi_open(txn, NULL, 0, &spool->tree);
  if (code) mdb_txn_abort(txn);
  else code = mdb_txn_commit(txn); // which keeps the handle
  return code;
}

static void close_on_exec(MDB_env *env) {
  mdb_filehandle_t fd;
  if (mdb_env_get_fd(env, &fd) == 0) fcntl(fd, F_SETFD, FD_CLOEXEC);
}

/* Only the owner says how large the file may grow: others take what it says. */
static int open_env(tw_spool *spool) {
  int dead;
  int code = allocate_lock_file(spool->folder, spool->options.mode == TW_SPOOL_READ);
  if (!code) code = mdb_env_create(&spool->env);
  if (code) return code;
  code = mdb_env_set_maxreaders(spool->env, MAX_READERS);
  if (!code && spool->options.mode == TW_SPOOL_OWN)
    code = mdb_env_set_mapsize(spool->env, map_size(spool->options.max_bytes));
  if (!code) code = mdb_env_open(spool->env, spool->folder, flags_of(&spool->options), 0600);
  if (!code) code = mdb_reader_check(spool->env, &dead);
  if (!code) close_on_exec(spool->env);
  return code ? code : open_tree(spool);
}

/* Who opens it to own it waits for those who check it, and they for him: a file that changes
   meanwhile would look damaged. @param[out] fd  of the data, locked */
static tw_status lock_file(const tw_spool *spool, const char *path, int *fd, tw_error *error) {
  bool is_owner = spool->options.mode == TW_SPOOL_OWN;
  *fd = open(path, O_RDONLY | O_CLOEXEC);
  if (*fd < 0 && errno == ENOENT && !is_owner)
    return tw_fail(error, TW_ENOENT, "%.256s: there is no spool", spool->folder);
  if (*fd < 0) return fail_here(spool, errno, "cannot open " TW_SPOOL_FILE, error);
  while (flock(*fd, is_owner ? LOCK_EX : LOCK_SH))
    if (errno != EINTR) return fail_here(spool, errno, "cannot lock " TW_SPOOL_FILE, error);
  return TW_OK;
}

/* What a living owner has open it has checked, and changes meanwhile. */
static tw_status check(const tw_spool *spool, int fd, tw_error *error) {
  tw_spool_owner owner = {.failed = spool->failed};
  if (spool->options.mode != TW_SPOOL_OWN) tw_spool_owner_read(spool->folder, &owner);
  if (owner.lives) return TW_OK;
  return tw_check_file(fd, spool->folder, 0, owner.failed, NULL, error);
}

static tw_status make_if_missing(const tw_spool *spool, const char *path, tw_error *error) {
  if (spool->options.mode != TW_SPOOL_OWN || access(path, F_OK) == 0) return TW_OK;
  if (errno == ENOENT) return make_beside(spool, path, error);
  return fail_here(spool, errno, "cannot open " TW_SPOOL_FILE, error);
}

tw_status tw_spool_env_open(tw_spool *spool, tw_error *error) {
  char path[4096];
  int fd = -1;
  if (!tw_spool_path(path, sizeof path, spool->folder, TW_SPOOL_FILE))
    return tw_fail(error, TW_EINVAL, "%.256s: the path is too long", spool->folder);
  tw_status status = make_if_missing(spool, path, error);
  if (!status) status = lock_file(spool, path, &fd, error);
  if (!status) status = check(spool, fd, error);
  if (!status) {
    int code = open_env(spool);
    if (code) status = fail_here(spool, code, "cannot open", error);
  }
  if (status) tw_spool_env_close(spool);
  if (fd >= 0) close(fd);
  return status;
}

void tw_spool_env_close(tw_spool *spool) {
  if (spool->env) mdb_env_close(spool->env);
  spool->env = NULL;
}

/* --------------------------------------------------------------------- use */

/* The transaction that has failed is the one behind the last that is stored. */
static void note_failed(tw_spool *spool) {
  MDB_envinfo info;
  if (!spool->env || spool->options.mode != TW_SPOOL_OWN || mdb_env_info(spool->env, &info))
    return;
  spool->failed = (uint64_t)info.me_last_txnid + 1;
  tw_spool_note_failed(spool->owner, spool->failed);
}

static tw_status renew(tw_spool *spool, tw_error *error) {
  if (spool->active)
    return tw_fail(error, TW_EIO, "%.256s: an earlier write has failed; try again",
                   spool->folder);
  note_failed(spool);
  tw_spool_env_close(spool);
  tw_status status = tw_spool_env_open(spool, error);
  if (!status) spool->is_broken = false;
  return status;
}

tw_status tw_spool_enter(tw_spool *spool, tw_error *error) {
  if (spool->process != getpid())
    return tw_fail(error, TW_ECLOSED, "%.256s belongs to the process that opened it",
                   spool->folder);
  pthread_mutex_lock(&spool->mutex);
  tw_status status = spool->is_broken ? renew(spool, error) : TW_OK;
  if (!status) spool->active++;
  pthread_mutex_unlock(&spool->mutex);
  return status;
}

void tw_spool_leave(tw_spool *spool) {
  pthread_mutex_lock(&spool->mutex);
  spool->active--;
  pthread_mutex_unlock(&spool->mutex);
}

void tw_spool_mark_broken(tw_spool *spool) {
  pthread_mutex_lock(&spool->mutex);
  spool->is_broken = true;
  pthread_mutex_unlock(&spool->mutex);
}
