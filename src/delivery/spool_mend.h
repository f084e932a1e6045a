/// spool_mend.h: what spool_repair.c and spool_mend.c share.
#ifndef TW_DELIVERY_SPOOL_MEND_H
#define TW_DELIVERY_SPOOL_MEND_H

#include "delivery/chunk.h"
#include "delivery/spool_repair.h"
#include "delivery/spool_walk.h"

/// Which part of the old file is read.
typedef enum tw_repair_pass {
  TW_REPAIR_NEWEST, ///< the newest tree: what it has is right
  TW_REPAIR_BEFORE, ///< the tree before: what is missing is taken from it
  TW_REPAIR_REST,   ///< other pages: chunks that are missing, and outboxes
  TW_REPAIR_SALVAGE ///< the newest tree again: for lines of damaged chunks
} tw_repair_pass;

typedef struct tw_repair {
  tw_walk walk;
  tw_spool *out; ///< the new file
  tw_spool_txn *txn;
  size_t pending; ///< bytes that `txn` has written
  tw_repair_pass pass;
  uint64_t broken; ///< records of the newest tree that could not be read
  uint64_t read;   ///< and those that could
  tw_buffer older; ///< paths of outboxes that are not from the newest tree, a line each
  tw_buffer letter;
  tw_chunk_builder dead; ///< letters that are not stored yet
  const char *path;      ///< of the outbox whose events become letters
  tw_repair_say_fn say;
  void *self;
  tw_repair_result *result;
  tw_error *error;
} tw_repair;

void tw_repair_tell(tw_repair *repair, const char *format, ...) TW_PRINTF(2, 3);
/// Writes to the new file, in transactions of some megabytes.
tw_status tw_repair_put(tw_repair *repair, tw_spool_table table, const void *key,
                        size_t key_len, const void *value, size_t len);
tw_status tw_repair_delete(tw_repair *repair, tw_spool_table table, const void *key,
                           size_t key_len);
/// An event becomes a dead letter of `repair->path`.
tw_status tw_repair_bury(tw_repair *repair, const char *json, size_t len, const char *why);
/// Stores the letters that were gathered.
tw_status tw_repair_store_letters(tw_repair *repair);
/// The path of an outbox, or "outbox 7" when nothing tells it.
/// @param[out] out  room for `room` bytes
void tw_repair_path_of(tw_repair *repair, uint32_t id, char *out, size_t room);

/// Whether an outbox is one of `repair->older`.
bool tw_repair_is_older(const tw_repair *repair, const char *path, size_t len);

/// Has outboxes and chunks of the new file fit each other, and tells what is lost.
tw_status tw_repair_mend(tw_repair *repair);

#endif
