/* Events out of an outbox, for a backend that is a Lua object: to `send` one after the other,
   to `send_batch` in portions; then `flush`, once. What is delivered is a prefix of the batch,
   and nothing when the flush fails.

   | the function | status |
   |---|---|
   | returns nothing or true | TW_OK |
   | returns false and a message, raises an error, passes a limit | as it is: it passes |
   | returns or raises tidewire.retry | TW_EIO, after the time that it says |
   | ...tidewire.permanent | TW_EREFUSED: of this event; in a portion, of the one it names |
   | ...tidewire.disabled | TW_EDISABLED |

   A portion that does not fit into the script's memory fails, and the next one is half as long;
   with each batch that succeeds they get a little longer again.

   Each call has the limits of one event for itself. Between two of them the time-out of the
   delivery ends the batch, so that only a single call can be late. */
#include "script/object/lua_backend.h"

#include "base/status.h"

typedef struct delivery {
  lua_backend *self;
  tw_batch *batch;
  size_t at; /* events that the functions have taken */
  bool is_exact;
  int retry_after_ms;
  tw_error *error;
} delivery;

/* What is no event any more never will be one again. */
static tw_status refuse(delivery *it) {
  it->is_exact = true;
  it->error->code = TW_EREFUSED;
  return TW_EREFUSED;
}

static tw_status send_next(delivery *it) {
  tw_event *event;
  tw_answer answer = {0};
  tw_status status = tw_batch_event(it->batch, it->at, &event, it->error);
  if (status != TW_OK && status != TW_ENOMEM) return refuse(it);
  if (status == TW_OK) status = tw_method_send(it->self, event, &answer, it->error);
  if (status == TW_OK) it->at++;
  it->is_exact = status == TW_EREFUSED;
  it->retry_after_ms = answer.retry_after_ms;
  return status;
}

/* ---------------------------------------------------------------- portions */

/* What the function makes of its list may be what is too much. */
static void shorten(lua_backend *self, const tw_method_call *call, tw_status status) {
  bool is_short = status == TW_ENOMEM || (call->taken && !call->is_full);
  if (is_short && call->taken > 1) self->portion = call->taken / 2;
}

static void lengthen(lua_backend *self) {
  self->portion += self->portion / 8 + 1;
  if (self->portion > TW_PORTION) self->portion = TW_PORTION;
}

/* The events before the one that it names are delivered. */
static void take_refusal(delivery *it, const tw_method_call *call) {
  lua_Integer index = call->answer.index, count = (lua_Integer)call->taken;
  if (index < 1) return;
  if (index > count) {
    tw_error_prefix(it->error, "event %lld of %zu: ", (long long)index, call->taken);
    return;
  }
  it->at += (size_t)index - 1;
  it->is_exact = true;
}

static tw_status send_portion(delivery *it) {
  tw_method_call call = {.self = it->self,
                         .method = "send_batch",
                         .batch = it->batch,
                         .first = it->at,
                         .error = it->error};
  tw_status status = tw_method_run(&call, &it->self->callback.breaker);
  if (call.is_full && !call.taken) return refuse(it);
  if (status == TW_OK) it->at += call.taken;
  else if (status == TW_EREFUSED) take_refusal(it, &call);
  it->retry_after_ms = call.answer.retry_after_ms;
  if (status != TW_OK) shorten(it->self, &call, status);
  return status;
}

/* ------------------------------------------------------------------ batch */

static tw_status check_time(const delivery *it, size_t count) {
  if (!it->at || tw_batch_time_left(it->batch) != 0) return TW_OK;
  return tw_fail(it->error, TW_ELIMIT, "the time-out was over after %zu of %zu events", it->at,
                 count);
}

static tw_status send_all(delivery *it) {
  tw_status status = TW_OK;
  size_t count = tw_batch_count(it->batch);
  while (status == TW_OK && it->at < count) {
    status = check_time(it, count);
    if (status == TW_OK) status = it->self->batches ? send_portion(it) : send_next(it);
  }
  return status;
}

/* What a failed flush says matters more than a refusal, which will come again. */
static tw_status flush_sent(delivery *it, tw_status status) {
  tw_error error = {0};
  if (!it->at) return status;
  tw_method_call call = {.self = it->self, .method = "flush", .error = &error};
  tw_status flushed = tw_method_run(&call, &it->self->flushing);
  if (flushed == TW_OK) return status;
  it->at = 0;
  it->is_exact = false;
  if (status != TW_OK && status != TW_EREFUSED) return status;
  *it->error = error;
  it->retry_after_ms = call.answer.retry_after_ms;
  return flushed;
}

tw_status tw_lua_backend_deliver(void *self, tw_batch *batch, tw_delivered *done,
                                 tw_error *error) {
  tw_error mine = {0};
  delivery it = {.self = self, .batch = batch, .error = error ? error : &mine};
  tw_gate *gate = it.self->callback.gate;
  tw_error_clear(it.error);
  bool is_borrowed = tw_gate_borrow(gate);
  tw_status status = flush_sent(&it, send_all(&it));
  if (is_borrowed) tw_gate_release(gate);
  if (status == TW_OK) lengthen(it.self);
  *done = (tw_delivered){it.at, it.is_exact, it.retry_after_ms};
  return status;
}
