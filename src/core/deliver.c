/* deliver.c: a batch for a backend that knows of batches, and for one that does not.
 *
 * Nothing is believed that cannot be: a backend of a host's may say that it has more events
 * than there were, or refuse the next one where there is none. Where an answer contradicts
 * itself, the reading is taken by which no event is lost: then one may come twice.
 *
 * Without `deliver`, the account is that of send and flush. What `send` has taken may still be
 * given up by the flush, which does not say which: so a flush that fails has delivered none. */
#include "core/deliver.h"

/* ---------------------------------------------------------------- flushing */

/* A backend that delivers later is waited for, as long as the call may take. */
static tw_status wait_for(const tw_backend_ops *ops, void *self, int timeout_ms,
                          tw_error *error) {
  uint64_t remaining = 0;
  tw_status status = ops->flush_within(self, timeout_ms, &remaining, error);
  if (status == TW_OK && remaining)
    status = tw_fail(error, TW_ELIMIT, "%llu events are not delivered yet",
                     (unsigned long long)remaining);
  return status;
}

/* @param sent  events of this batch: what is lost beyond them was somebody else's */
static tw_status flush(const tw_backend_ops *ops, void *self, const tw_batch *batch,
                       size_t sent, uint64_t *lost, tw_error *error) {
  int timeout_ms = tw_batch_time_left(batch);
  uint64_t gone = 0;
  tw_status status = TW_OK;
  tw_error_clear(error);
  if (ops->flush_within && (timeout_ms >= 0 || !ops->flush))
    status = wait_for(ops, self, timeout_ms, error);
  else if (ops->flush) status = ops->flush(self, &gone, error);
  if (status == TW_OK) return TW_OK;
  if (gone > sent) *lost = gone - sent;
  tw_error_complete(error, status, "flushing");
  return status;
}

/* ----------------------------------------------------------------- sending */

static tw_status send_one(const tw_backend_ops *ops, void *self, tw_batch *batch, size_t index,
                          tw_error *error) {
  tw_event *event;
  tw_status status = tw_batch_event(batch, index, &event, error);
  /* What is no event any more never will be one again. */
  if (status) return status == TW_ENOMEM ? status : TW_EREFUSED;
  tw_error_clear(error);
  status = ops->send(self, event, index + 1 < batch->count ? TW_MORE : 0, error);
  if (status) tw_error_complete(error, status, "sending");
  return status;
}

static tw_status send_each(const tw_backend_ops *ops, void *self, tw_batch *batch,
                           tw_delivered *done, uint64_t *lost, tw_error *error) {
  size_t sent = 0;
  tw_error cause;
  tw_status status = TW_OK;
  while (sent < batch->count && !(status = send_one(ops, self, batch, sent, error))) sent++;
  tw_status flushed = flush(ops, self, batch, sent, lost, &cause);
  if (flushed == TW_OK) {
    done->count = sent;
    done->is_exact = status != TW_OK && status != TW_ENOMEM;
    return status;
  }
  *error = cause;
  return flushed;
}

/* ----------------------------------------------------------------- the call */

/* All there, and yet a failure: it can be none of an event. More than all: then the number
   means nothing. */
static tw_status settle(const tw_batch *batch, tw_status status, tw_delivered *done) {
  if (done->retry_after_ms < 0) done->retry_after_ms = 0;
  if (done->count == batch->count) status = TW_OK;
  if (status == TW_OK) {
    done->count = batch->count;
    done->is_exact = false;
    return TW_OK;
  }
  if (done->count > batch->count) done->count = 0, done->is_exact = false;
  if (batch->count - done->count == 1) done->is_exact = true;
  return status;
}

tw_status tw_deliver(const tw_backend_ops *ops, void *self, tw_batch *batch, tw_delivered *done,
                     uint64_t *lost, tw_error *error) {
  tw_status status = TW_OK;
  tw_error unwanted;
  if (!error) error = &unwanted;
  *done = (tw_delivered){0};
  *lost = 0;
  if (!batch->count) return TW_OK;
  tw_error_clear(error);
  if (ops->deliver) status = ops->deliver(self, batch, done, error);
  else status = send_each(ops, self, batch, done, lost, error);
  status = settle(batch, status, done);
  if (status) tw_error_complete(error, status, "delivering");
  return status;
}
