/// dead_batch.h: the inside of dead_store.h: records of dead letters, a few at a time.
#ifndef TW_APP_DEAD_BATCH_H
#define TW_APP_DEAD_BATCH_H

#include "app/dead_store.h"
#include "delivery/chunk.h"

/// A record's key and its chunk, NULL when it is damaged.
typedef struct tw_dead_record {
  uint64_t number;
  tw_chunk *chunk; ///< a reference
  tw_error why;
} tw_dead_record;

enum { TW_DEAD_BATCH = 16 };

typedef struct tw_dead_batch {
  tw_dead_record records[TW_DEAD_BATCH];
  size_t count, bytes;
  uint64_t next; ///< number to go on with
  bool is_last;
} tw_dead_batch;

/// Copies a record. One that is damaged is a place without a chunk.
/// @param status  of reading it
tw_status tw_dead_copy(const tw_spool_record *from, tw_status status, tw_dead_record *out,
                       tw_error *error);

/// Calls `letter` for those of a record, in order. @return false when a call said so
bool tw_dead_each_letter(const tw_dead_record *record, tw_letter_fn letter, void *self);

/// @return false: no more is wanted
typedef bool (*tw_dead_batch_fn)(void *self, const tw_dead_batch *batch, tw_status *status,
                                 tw_error *error);
/// Has the records looked at that may hold letters of the visit's filter, in batches; no
/// transaction is open meanwhile.
tw_status tw_dead_walk(tw_spool *spool, const tw_dead_visit *which, tw_dead_batch_fn look,
                       void *self, tw_error *error);

#endif
