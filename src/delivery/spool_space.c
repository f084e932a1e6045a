/* How much room there is, and what an error means.

   LMDB's file never shrinks: pages that are free again are used again. So what is in use is
   what its trees say, not the file's size; and what can still be written is bounded by
   `max_bytes` (all pages) and by the disk (pages that the file does not have yet). */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include "delivery/spool_inside.h"

/* Every transaction copies the pages that it changes before their old copies are free. */
#define RESERVE ((uint64_t)256 << 10)

/* A disk that has less than this may be full for who writes: file systems keep a little back.
 */
#define NEARLY_FULL ((uint64_t)1 << 20)

#define UNKNOWN ((uint64_t)1 << 62) ///< more than any floor

#define FREE_TREE 0

/* ------------------------------------------------------------------- space */

static uint64_t pages_of(MDB_txn *txn, MDB_dbi tree) {
  MDB_stat stat;
  if (mdb_stat(txn, tree, &stat)) return 0;
  return stat.ms_branch_pages + stat.ms_leaf_pages + stat.ms_overflow_pages;
}

/* @param[out] page  bytes of one. @param[out] held  pages of the file. @return pages in use */
static uint64_t count_pages(tw_spool *spool, uint64_t *page, uint64_t *held) {
  tw_spool_txn *txn;
  MDB_stat stat;
  MDB_envinfo info;
  *page = *held = 0;
  if (tw_spool_begin(spool, false, &txn, NULL)) return 0;
  mdb_env_stat(spool->env, &stat);
  mdb_env_info(spool->env, &info);
  uint64_t used = 2 + pages_of(txn->txn, FREE_TREE) + pages_of(txn->txn, spool->tree);
  tw_spool_abort(txn);
  *page = stat.ms_psize;
  *held = (uint64_t)info.me_last_pgno + 1;
  return used;
}

uint64_t tw_spool_used(tw_spool *spool) {
  uint64_t page, held;
  uint64_t used = count_pages(spool, &page, &held);
  return used * page;
}

/* Of a disk that cannot be asked, as when the folder is gone, nobody knows that it is full: the
   write itself tells. */
static uint64_t disk_free(const char *folder) {
  struct statvfs disk;
  if (statvfs(folder, &disk)) return UNKNOWN;
  return (uint64_t)disk.f_bavail * disk.f_frsize;
}

static uint64_t less(uint64_t from, uint64_t taken) { return from > taken ? from - taken : 0; }

uint64_t tw_spool_room(tw_spool *spool) {
  uint64_t page, held;
  uint64_t used = count_pages(spool, &page, &held);
  if (!page) return 0;
  uint64_t bound = less(spool->options.max_bytes, used * page);
  uint64_t disk = less(disk_free(spool->folder), spool->options.min_free);
  /* Below the floor nothing is written, also not where the file has free pages. */
  if (spool->options.min_free && !disk) return 0;
  uint64_t file = less(held, used) * page + disk;
  return less(bound < file ? bound : file, RESERVE);
}

/* ------------------------------------------------------------------ errors */

static bool at_size_limit(const char *folder) {
  char path[4096];
  struct stat file;
  struct rlimit limit;
  return tw_spool_path(path, sizeof path, folder, TW_SPOOL_FILE) && stat(path, &file) == 0 &&
         getrlimit(RLIMIT_FSIZE, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY &&
         (uint64_t)file.st_size + NEARLY_FULL > limit.rlim_cur;
}

static const char *full(const char *folder, int code) {
  if (code == MDB_MAP_FULL)
    return "the spool is full: let backends catch up, or raise max_bytes";
  if (code == MDB_TXN_FULL) return "too much for one transaction";
  if (code == ENOSPC) return "the disk is full; it goes on when there is room again";
  if (code == EDQUOT) return "the quota is used up; it goes on when there is room again";
  /* LMDB tells a write that was cut short as EIO, whatever the reason. */
  bool is_file = code == EFBIG || (code == EIO && at_size_limit(folder));
  if (is_file) return "the file is as long as this process may make it (ulimit -f)";
  if (code == EIO && disk_free(folder) < NEARLY_FULL)
    return "the disk is full; it goes on when there is room again";
  return NULL;
}

static const char *reason_of(int code, char room[96]) {
  if (code == MDB_CORRUPTED || code == MDB_PAGE_NOTFOUND || code == MDB_INVALID)
    return "the file is damaged: run tidewire spool repair";
  if (code == MDB_PANIC) return "an earlier write has failed; it is opened anew";
  if (code == MDB_READERS_FULL) return "too many readers at the same time";
  if (code < 0) return mdb_strerror(code);
  if (strerror_r(code, room, 96)) snprintf(room, 96, "errno %d", code);
  return room;
}

tw_status tw_spool_fail(const char *folder, const tw_spool_options *options, int code,
                        const char *action, tw_error *error) {
  char room[96];
  const char *why = full(folder, code);
  if (code == ENOMEM) return tw_no_memory(error);
  if (code == MDB_MAP_FULL && options)
    return tw_fail(error, TW_ELIMIT, "%.200s: %s: %s (%llu)", folder, action, why,
                   (unsigned long long)options->max_bytes);
  if (why) return tw_fail(error, TW_ELIMIT, "%.200s: %s: %s", folder, action, why);
  return tw_fail(error, TW_EIO, "%.200s: %s: %s", folder, action, reason_of(code, room));
}
