/* What commands for people want to know of a spool. */
#include "delivery/spool_tools.h"

#include <string.h>
#include <sys/stat.h>

#include "delivery/spool_inside.h"
#include "delivery/spool_record.h"

tw_status tw_spool_get_facts(tw_spool_txn *txn, tw_spool_facts *out, tw_error *error) {
  MDB_envinfo info;
  struct stat file;
  mdb_filehandle_t fd;
  tw_spool *spool = txn->spool;
  *out = (tw_spool_facts){.txnid = mdb_txn_id(txn->txn)};
  if (mdb_env_info(spool->env, &info) || mdb_env_get_fd(spool->env, &fd) || fstat(fd, &file))
    return tw_fail(error, TW_EIO, "%.256s: cannot look at the file", spool->folder);
  out->file_bytes = (uint64_t)file.st_size;
  out->map_bytes = info.me_mapsize;
  out->used_bytes = tw_spool_used(spool);
  tw_spool_owner_read(spool->folder, &out->owner);
  return TW_OK;
}

/* The pages of a snapshot that is read stay as they are; its meta page is written over by the
   second transaction behind it. */
tw_status tw_spool_check(tw_spool_txn *txn, tw_check_result *out, tw_error *error) {
  mdb_filehandle_t fd;
  if (mdb_env_get_fd(txn->spool->env, &fd))
    return tw_fail(error, TW_EIO, "%.256s: cannot look at the file", txn->spool->folder);
  return tw_check_file(fd, txn->spool->folder, mdb_txn_id(txn->txn), 0, out, error);
}

/* The next record is looked for by its key alone: so this one may be deleted meanwhile. */
tw_status tw_spool_each(tw_spool_txn *txn, tw_spool_table table, tw_spool_visit_fn visit,
                        void *self, tw_error *error) {
  tw_spool_record record;
  tw_buffer from = {0};
  tw_error damage;
  tw_status status = TW_OK;
  while (!status) {
    status = tw_spool_seek(txn, table, from.data ? from.data : "", from.len, &record, &damage);
    bool is_damaged = status == TW_EIO && record.key;
    if (status && !is_damaged) {
      if (error) *error = damage;
      break;
    }
    from.len = 0;
    if (!tw_buffer_reserve(&from, TW_RECORD_KEY_MAX + 1) ||
        !tw_buffer_append(&from, record.key, record.key_len) || !tw_buffer_byte(&from, '\0'))
      status = tw_no_memory(error);
    else status = visit(self, &record, is_damaged ? &damage : NULL);
  }
  tw_buffer_fini(&from);
  return status == TW_ENOENT ? TW_OK : status;
}

tw_status tw_spool_read_chunk(const tw_spool_record *record, const tw_error *damage,
                              tw_chunk **out, tw_error *error) {
  *out = NULL;
  if (damage) return tw_fail(error, TW_EIO, "%s", damage->message);
  return tw_chunk_read(record->value, record->len, out, error);
}
