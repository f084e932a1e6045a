/// check.h: finds out whether LMDB can be let at a spool's file, which on damaged pages would
/// abort or die of SIGSEGV.
///
/// It looks at all that leads to values, and at the keys' marks (spool_record.h), but not at
/// values, which have checksums of their own: branch and leaf pages, and the first page of each
/// overflow run. It changes nothing, maps nothing, and takes memory for one bit a page.
#ifndef TW_DELIVERY_CHECK_H
#define TW_DELIVERY_CHECK_H

#include "base/status.h"
#include "delivery/spool_pages.h"

typedef struct tw_check_result {
  uint64_t txnid;
  uint64_t page_size, pages; ///< of the file, as far as it was ever used
  uint64_t used, free;       ///< of them
  uint64_t lost;             ///< neither: they do no harm but take room
  uint64_t records;
} tw_check_result;

/// @param fd  of the file; nobody writes to it meanwhile, unless `txnid` is that of a
///            transaction that a reader holds
/// @param folder  for messages
/// @param txnid  the snapshot to be checked; 0: the newest
/// @param failed  the number of a transaction whose last write is known to have failed, and so
///                may have left its trees in a meta page; 0: none
/// @param[out] out  may be NULL
/// @return TW_OK; TW_EIO: it is damaged, the message says where, or it cannot be read;
///         TW_EINVAL: a newer version of the format; TW_ENOENT: no such snapshot; TW_ENOMEM
tw_status tw_check_file(int fd, const char *folder, uint64_t txnid, uint64_t failed,
                        tw_check_result *out, tw_error *error);

/// The transaction that a tree says it is of, in its first record.
/// @return false when that cannot be read
bool tw_check_transaction(const tw_pages *pages, const tw_tree *tree, uint64_t *out);

#endif
