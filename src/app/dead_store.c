/// dead_store.c: records are read a few at a time, as copies, in short transactions.
///
/// A long one would keep the pages of what is deleted meanwhile from being used again; and who
/// prints may be kept waiting by a pipe. So a batch of records is copied, the transaction ends,
/// and then they are looked at.
#include "app/dead_batch.h"

#include "event/reader.h"

#define BATCH_BYTES ((size_t)1 << 20)

/// More letters than any record has: the one that holds a number begins at most so far before.
#define RECORD_LETTERS ((uint64_t)1 << 20)

static void clear(tw_dead_batch *batch) {
  for (size_t i = 0; i < batch->count; i++) tw_chunk_unref(batch->records[i].chunk);
  batch->count = batch->bytes = 0;
}

/* --------------------------------------------------------------------- read */

tw_status tw_dead_copy(const tw_spool_record *from, tw_status status, tw_dead_record *record,
                       tw_error *error) {
  *record = (tw_dead_record){0};
  if (error) record->why = *error;
  if (from->key_len != 8)
    return tw_fail(error, TW_EIO, "the spool: a dead letter has no number");
  record->number = tw_spool_read_number(from->key);
  if (!status) status = tw_chunk_read(from->value, from->len, &record->chunk, &record->why);
  return status == TW_ENOMEM ? tw_no_memory(error) : TW_OK;
}

static tw_status read_some(tw_spool_txn *txn, tw_dead_batch *batch, uint64_t end,
                           tw_error *error) {
  tw_spool_record record;
  while (batch->count < TW_DEAD_BATCH && batch->bytes < BATCH_BYTES) {
    unsigned char from[8];
    tw_spool_write_number(from, batch->next);
    record = (tw_spool_record){0};
    tw_status status = tw_spool_seek(txn, TW_SPOOL_DEAD, from, sizeof from, &record, error);
    batch->is_last = status == TW_ENOENT;
    if (batch->is_last) return TW_OK;
    if (status && !record.key) return status;
    tw_dead_record *copy = &batch->records[batch->count];
    status = tw_dead_copy(&record, status, copy, error);
    if (status) return status;
    batch->is_last = copy->number >= end || copy->number == UINT64_MAX;
    if (copy->number >= end) tw_chunk_unref(copy->chunk);
    else batch->count++;
    if (batch->is_last) return TW_OK;
    batch->bytes += record.len;
    batch->next = copy->number + (copy->chunk ? tw_chunk_count(copy->chunk) : 1);
  }
  return TW_OK;
}

static tw_status read_batch(tw_spool *spool, tw_dead_batch *batch, uint64_t end,
                            tw_error *error) {
  tw_spool_txn *txn;
  clear(batch);
  tw_status status = tw_spool_begin(spool, false, &txn, error);
  if (status) return status;
  status = read_some(txn, batch, end, error);
  tw_spool_abort(txn);
  return status;
}

tw_status tw_dead_end(tw_spool *spool, uint64_t *end, tw_error *error) {
  tw_spool_txn *txn;
  tw_spool_record last = {0};
  tw_dead_record record = {0};
  *end = 0;
  tw_status status = tw_spool_begin(spool, false, &txn, error);
  if (status) return status;
  status = tw_spool_last(txn, TW_SPOOL_DEAD, "", 0, &last, error);
  if (last.key) status = tw_dead_copy(&last, status, &record, error);
  if (last.key && !status)
    *end = record.number + (record.chunk ? tw_chunk_count(record.chunk) : 1);
  tw_chunk_unref(record.chunk);
  tw_spool_abort(txn);
  return status == TW_ENOENT ? TW_OK : status;
}

/* --------------------------------------------------------------------- walk */

/// Where to begin, and where to end, by the numbers that are asked for.
static void narrow(const tw_dead_visit *which, uint64_t *from, uint64_t *end) {
  const tw_dead_filter *filter = which->filter;
  uint64_t first = filter->range_count ? UINT64_MAX : 0, last = 0;
  for (size_t i = 0; i < filter->range_count; i++) {
    if (filter->ranges[i].first < first) first = filter->ranges[i].first;
    if (filter->ranges[i].last > last) last = filter->ranges[i].last;
  }
  *from = first > RECORD_LETTERS ? first - RECORD_LETTERS : 0;
  *end = filter->range_count && last < which->end ? last + 1 : which->end;
}

tw_status tw_dead_walk(tw_spool *spool, const tw_dead_visit *which, tw_dead_batch_fn look,
                       void *self, tw_error *error) {
  uint64_t end;
  tw_dead_batch *batch = tw_calloc(1, sizeof *batch);
  if (!batch) return tw_no_memory(error);
  tw_status status = TW_OK;
  narrow(which, &batch->next, &end);
  for (bool go_on = true; go_on && !status && !batch->is_last;) {
    status = read_batch(spool, batch, end, error);
    if (!status) go_on = look(self, batch, &status, error);
  }
  clear(batch);
  tw_free(batch);
  return status;
}

/* --------------------------------------------------------------------- each */

bool tw_dead_each_letter(const tw_dead_record *record, tw_letter_fn visit, void *self) {
  // A letter is larger than the event in it, and deeper.
  static const tw_limits limits = {.max_depth = TW_DEPTH_BOUND, .max_size = (size_t)32 << 20};
  uint32_t count = tw_chunk_count(record->chunk);
  bool go_on = true;
  for (uint32_t i = 0; i < count && go_on; i++) {
    tw_batch_item item;
    tw_chunk_item(record->chunk, i, &item);
    tw_letter letter = {.number = record->number + i,
                        .text = item.text,
                        .len = item.len,
                        .id = item.id,
                        .id_len = item.id_len,
                        .priority = item.priority};
    tw_event_parse(item.text, item.len, &limits, &letter.event, NULL);
    go_on = visit(self, &letter);
    tw_event_free(letter.event);
  }
  return go_on;
}

/// Counts down to the limit.
typedef struct tw_limited {
  const tw_dead_visit *which;
  uint64_t left;
} tw_limited;

static bool visit_limited(void *self, const tw_letter *letter) {
  tw_limited *limited = self;
  const tw_dead_visit *which = limited->which;
  if (letter->number >= which->end) return false;
  if (!tw_dead_filter_matches(which->filter, letter)) return true;
  bool go_on = which->visit(which->self, letter);
  return go_on && --limited->left > 0;
}

static bool look_at(void *self, const tw_dead_batch *batch,
                    tw_status *status, // NOLINT(readability-non-const-parameter)
                    tw_error *error) {
  tw_limited *limited = self;
  const tw_dead_visit *which = limited->which;
  bool go_on = true;
  (void)status, (void)error;
  for (size_t i = 0; i < batch->count && go_on; i++) {
    const tw_dead_record *record = &batch->records[i];
    if (record->chunk) go_on = tw_dead_each_letter(record, visit_limited, limited);
    else which->damaged(which->self, record->number, &record->why);
  }
  return go_on;
}

tw_status tw_dead_each(tw_spool *spool, const tw_dead_visit *visit, tw_error *error) {
  uint64_t limit = visit->filter->limit;
  tw_limited limited = {.which = visit, .left = limit ? limit : UINT64_MAX};
  return tw_dead_walk(spool, visit, look_at, &limited, error);
}
