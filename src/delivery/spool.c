/* Transactions and records, over LMDB.

   Every transaction that changes something writes its number (mdb_txn_id) under TW_SPOOL_ABOUT:
   so a meta page whose number was changed does not fit its own tree, which check.c finds out.

   What is read is borrowed from the map, whose pages count as the process's memory. They are
   let go (they stay in the system's cache) when a transaction ends after much was read. */
#include "delivery/spool.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "delivery/spool_inside.h"
#include "delivery/spool_keys.h"
#include "delivery/spool_record.h"

#define DEFAULT_BYTES ((uint64_t)8 << 30)
/* Beyond this the arithmetic of sizes might overflow: 2^46 bytes, half the address space. */
#define MAX_BYTES ((uint64_t)1 << 45)

/* Readers of processes that have died are forgotten with every so manieth transaction. */
#define READER_CHECK 256

/* Bytes that may be read before the map's pages are let go. */
#define TOUCHED_MAX ((size_t)32 << 20)

static tw_status fail_here(const tw_spool *spool, int code, const char *action,
                           tw_error *error) {
  return tw_spool_fail(spool->folder, &spool->options, code, action, error);
}

/* -------------------------------------------------------------------- open */

static tw_spool *new_spool(const char *folder, const tw_spool_options *options) {
  tw_spool *spool = tw_calloc(1, sizeof *spool);
  if (!spool) return NULL;
  spool->folder = tw_strdup(folder);
  if (!spool->folder) {
    tw_free(spool);
    return NULL;
  }
  spool->options = *options;
  if (!options->max_bytes) spool->options.max_bytes = DEFAULT_BYTES;
  if (options->max_bytes > MAX_BYTES) spool->options.max_bytes = MAX_BYTES;
  spool->owner = -1;
  spool->process = getpid();
  pthread_mutex_init(&spool->mutex, NULL);
  return spool;
}

static void free_spool(tw_spool *spool) {
  tw_spool_disown(spool->owner);
  pthread_mutex_destroy(&spool->mutex);
  tw_free(spool->folder);
  tw_free(spool);
}

static tw_status check_version(tw_spool *spool, tw_error *error) {
  tw_spool_txn *txn;
  const void *value;
  size_t len;
  tw_status status = tw_spool_begin(spool, false, &txn, error);
  if (status) return status;
  status = tw_spool_get(txn, TW_SPOOL_ABOUT, TW_ABOUT_VERSION, strlen(TW_ABOUT_VERSION), &value,
                        &len, error);
  uint64_t version = !status && len == 4 ? tw_little_endian_read(value, 4) : 0;
  tw_spool_abort(txn);
  if (status == TW_ENOENT || (!status && !version))
    return tw_fail(error, TW_EINVAL, "%.256s: this is no spool of Tidewire", spool->folder);
  if (status || version <= TW_SPOOL_VERSION) return status;
  return tw_fail(error, TW_EINVAL,
                 "%.256s: a newer Tidewire wrote this spool (format %llu, this one knows %d): "
                 "use that version",
                 spool->folder, (unsigned long long)version, TW_SPOOL_VERSION);
}

tw_status tw_spool_open(const char *folder, const tw_spool_options *options, tw_spool **out,
                        tw_error *error) {
  *out = NULL;
  tw_spool *spool = new_spool(folder, options);
  if (!spool) return tw_no_memory(error);
  tw_status status = TW_OK;
  if (options->mode == TW_SPOOL_OWN)
    status = tw_spool_take(folder, &spool->owner, &spool->failed, error);
  if (!status) status = tw_spool_env_open(spool, error);
  if (!status) status = check_version(spool, error);
  if (!status) {
    *out = spool;
    return TW_OK;
  }
  tw_spool_env_close(spool);
  free_spool(spool);
  return status;
}

/* In a child of a fork LMDB's environment is left as it is: it would take the parent's readers
   away. */
void tw_spool_close(tw_spool *spool) {
  if (!spool) return;
  if (spool->process == getpid()) {
    if (spool->options.mode != TW_SPOOL_READ) tw_spool_sync(spool, NULL);
    tw_spool_env_close(spool);
  }
  free_spool(spool);
}

tw_status tw_spool_sync(tw_spool *spool, tw_error *error) {
  tw_status status = tw_spool_enter(spool, error);
  if (status) return status;
  int code = mdb_env_sync(spool->env, 1);
  tw_spool_leave(spool);
  return code ? tw_fail(error, TW_EIO, "%.256s: cannot sync: %s", spool->folder,
                        mdb_strerror(code))
              : TW_OK;
}

/* ------------------------------------------------------------------- begin */

static void forget_dead_readers(tw_spool *spool) {
  int dead;
  mdb_reader_check(spool->env, &dead);
}

static int begin(tw_spool *spool, bool writes, MDB_txn **out) {
  int code = mdb_txn_begin(spool->env, NULL, writes ? 0 : MDB_RDONLY, out);
  if (code != MDB_READERS_FULL) return code;
  forget_dead_readers(spool);
  return mdb_txn_begin(spool->env, NULL, MDB_RDONLY, out);
}

/* MDB_PANIC: a write has failed before. MDB_MAP_RESIZED: another process has made the file
   larger than this one has mapped. Both pass when it is opened anew. */
static tw_status begin_healed(tw_spool *spool, bool writes, MDB_txn **out, tw_error *error) {
  int code = 0;
  for (int turn = 0; turn < 2; turn++) {
    tw_status status = tw_spool_enter(spool, error);
    if (status) return status;
    code = begin(spool, writes, out);
    if (!code) return TW_OK;
    if (code == MDB_PANIC || code == MDB_MAP_RESIZED) tw_spool_mark_broken(spool);
    tw_spool_leave(spool);
    if (code != MDB_PANIC && code != MDB_MAP_RESIZED) break;
  }
  return fail_here(spool, code, "cannot begin", error);
}

tw_status tw_spool_begin(tw_spool *spool, bool writes, tw_spool_txn **out, tw_error *error) {
  *out = NULL;
  if (writes && spool->options.mode == TW_SPOOL_READ)
    return tw_fail(error, TW_EINVAL, "%.256s is open for reading alone", spool->folder);
  tw_spool_txn *txn = tw_calloc(1, sizeof *txn);
  if (!txn) return tw_no_memory(error);
  *txn = (tw_spool_txn){.spool = spool, .writes = writes};
  tw_status status = begin_healed(spool, writes, &txn->txn, error);
  if (status) {
    tw_free(txn);
    return status;
  }
  if (writes && atomic_fetch_add(&spool->begun, 1) % READER_CHECK == READER_CHECK - 1)
    forget_dead_readers(spool);
  *out = txn;
  return TW_OK;
}

/* --------------------------------------------------------------------- end */

/* Safe while others read: what they touch comes back from the cache. */
static void let_go(tw_spool *spool) {
  MDB_envinfo info;
  if (atomic_load(&spool->touched) < TOUCHED_MAX) return;
  if (mdb_env_info(spool->env, &info) || !info.me_mapaddr) return;
  MDB_stat stat;
  mdb_env_stat(spool->env, &stat);
  madvise(info.me_mapaddr, ((size_t)info.me_last_pgno + 1) * stat.ms_psize, MADV_DONTNEED);
  atomic_store(&spool->touched, 0);
}

/* A cursor of a transaction that reads outlives it unless it is closed; one of a transaction
   that writes must be closed before that ends. */
static void free_txn(tw_spool_txn *txn) {
  let_go(txn->spool);
  tw_spool_leave(txn->spool);
  tw_free(txn);
}

void tw_spool_abort(tw_spool_txn *txn) {
  if (!txn) return;
  if (txn->cursor) mdb_cursor_close(txn->cursor);
  mdb_txn_abort(txn->txn);
  free_txn(txn);
}

static tw_status write_number(tw_spool_txn *txn, tw_error *error) {
  unsigned char value[8];
  tw_little_endian_write(value, mdb_txn_id(txn->txn), 8);
  return tw_spool_put(txn, TW_SPOOL_ABOUT, TW_ABOUT_TRANSACTION, strlen(TW_ABOUT_TRANSACTION),
                      value, sizeof value, error);
}

tw_status tw_spool_commit(tw_spool_txn *txn, tw_error *error) {
  tw_spool *spool = txn->spool;
  tw_status status = txn->failed;
  if (status)
    tw_fail(error, status, "%.256s: a write of this transaction has failed", spool->folder);
  if (!status && txn->is_dirty) status = write_number(txn, error);
  if (status || !txn->is_dirty) {
    tw_spool_abort(txn);
    return status;
  }
  if (txn->cursor) mdb_cursor_close(txn->cursor);
  int code = mdb_txn_commit(txn->txn);
  if (code) status = fail_here(spool, code, "cannot commit", error);
  free_txn(txn);
  return status;
}

/* ------------------------------------------------------------------- write */

tw_status tw_spool_check_key(const tw_spool_txn *txn, size_t len, tw_error *error) {
  if (len <= TW_RECORD_KEY_MAX) return TW_OK;
  return tw_fail(error, TW_ELIMIT, "%.256s: a key of %zu bytes is too long", txn->spool->folder,
                 len);
}

static tw_status check_write(const tw_spool_txn *txn, size_t key_len, tw_error *error) {
  if (!txn->writes)
    return tw_fail(error, TW_EINVAL, "%.256s: this transaction only reads", txn->spool->folder);
  return tw_spool_check_key(txn, key_len, error);
}

static tw_status write_failed(tw_spool_txn *txn, int code, tw_error *error) {
  txn->failed = fail_here(txn->spool, code, "cannot write", error);
  return txn->failed;
}

tw_status tw_spool_put(tw_spool_txn *txn, tw_spool_table table, const void *key, size_t key_len,
                       const void *value, size_t len, tw_error *error) {
  tw_record_key made;
  tw_status status = check_write(txn, key_len, error);
  if (status) return status;
  if (len > UINT32_MAX / 2)
    return tw_fail(error, TW_ELIMIT, "%.256s: a value of %zu bytes is too long",
                   txn->spool->folder, len);
  tw_record_key_make(&made, table, key, key_len);
  MDB_val at = {made.len, made.bytes};
  MDB_val data = {TW_RECORD_HEADER + made.kept_len + len, NULL};
  int code = mdb_put(txn->txn, txn->spool->tree, &at, &data, MDB_RESERVE);
  if (code) return write_failed(txn, code, error);
  tw_record_header_write(data.mv_data, &made, key, value, len);
  if (len) memcpy((char *)data.mv_data + TW_RECORD_HEADER + made.kept_len, value, len);
  txn->is_dirty = true;
  return TW_OK;
}

tw_status tw_spool_delete(tw_spool_txn *txn, tw_spool_table table, const void *key,
                          size_t key_len, tw_error *error) {
  tw_record_key made;
  tw_status status = check_write(txn, key_len, error);
  if (status) return status;
  tw_record_key_make(&made, table, key, key_len);
  MDB_val at = {made.len, made.bytes};
  int code = mdb_del(txn->txn, txn->spool->tree, &at, NULL);
  if (code == MDB_NOTFOUND) return TW_OK;
  if (code) return write_failed(txn, code, error);
  txn->is_dirty = true;
  return TW_OK;
}

/* -------------------------------------------------------------------- read */

static tw_status damaged(const tw_spool_txn *txn, tw_spool_table table, tw_error *error) {
  static const char *const names[] = {"about", "outbox", "chunk", "source",
                                      "state", "dead",   "replay"};
  return tw_fail(error, TW_EIO,
                 "%.200s: a record of the table \"%s\" is damaged: run tidewire spool verify, "
                 "then repair",
                 txn->spool->folder, names[table]);
}

tw_status tw_spool_take_apart(const tw_spool_txn *txn, const MDB_val *at, const MDB_val *data,
                              tw_spool_record *out, tw_error *error) {
  tw_spool_table table = (tw_spool_table) * (const unsigned char *)at->mv_data;
  atomic_fetch_add_explicit(&txn->spool->touched, data->mv_size, memory_order_relaxed);
  if (tw_record_read(at->mv_data, at->mv_size, data->mv_data, data->mv_size, &table, out))
    return TW_OK;
  return damaged(txn, table, error);
}

tw_status tw_spool_none(tw_error *error) {
  return tw_fail(error, TW_ENOENT, "there is no such record");
}

tw_status tw_spool_get(tw_spool_txn *txn, tw_spool_table table, const void *key, size_t key_len,
                       const void **value, size_t *len, tw_error *error) {
  tw_record_key made;
  tw_spool_record record;
  *value = NULL, *len = 0;
  tw_status status = tw_spool_check_key(txn, key_len, error);
  if (status) return status;
  tw_record_key_make(&made, table, key, key_len);
  MDB_val at = {made.len, made.bytes}, data;
  int code = mdb_get(txn->txn, txn->spool->tree, &at, &data);
  if (code == MDB_NOTFOUND) return tw_spool_none(error);
  if (code) return fail_here(txn->spool, code, "cannot read", error);
  status = tw_spool_take_apart(txn, &at, &data, &record, error);
  *value = record.value, *len = record.len;
  return status;
}
