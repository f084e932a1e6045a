/// spool_tools.h: what commands for people want to know of a spool beyond its records.
#ifndef TW_DELIVERY_SPOOL_TOOLS_H
#define TW_DELIVERY_SPOOL_TOOLS_H

#include "delivery/check.h"
#include "delivery/chunk.h"
#include "delivery/spool.h"
#include "delivery/spool_owner.h"

typedef struct tw_spool_facts {
  uint64_t file_bytes, used_bytes;
  uint64_t map_bytes; ///< the file grows no further: max_bytes and what deleting takes
  uint64_t txnid;     ///< that the transaction sees
  tw_spool_owner owner;
} tw_spool_facts;

tw_status tw_spool_get_facts(tw_spool_txn *txn, tw_spool_facts *out, tw_error *error);

/// Checks the pages that a reading transaction sees (check.h), also while the owner goes on.
/// @param[out] out  may be NULL
tw_status tw_spool_check(tw_spool_txn *txn, tw_check_result *out, tw_error *error);

/// @param damage  NULL, or why the value is not what was stored; it is borrowed for the call,
///                as the record is
/// @return TW_OK to go on
typedef tw_status (*tw_spool_visit_fn)(void *self, const tw_spool_record *record,
                                       const tw_error *damage);
/// Visits a table in order. The visitor may write, and delete what it was given.
/// @return TW_OK; what the visitor said; TW_EIO, TW_ENOMEM
tw_status tw_spool_each(tw_spool_txn *txn, tw_spool_table table, tw_spool_visit_fn visit,
                        void *self, tw_error *error);

/// The chunk that a record holds. @param[out] out  a reference; NULL on failure
tw_status tw_spool_read_chunk(const tw_spool_record *record, const tw_error *damage,
                              tw_chunk **out, tw_error *error);

#endif
