/* An acknowledgement is a count of references and the first failure that came with one of
   them given back. `is_failed` is the claim to write it: who claims writes before its own
   reference goes, so that the last one to go reads it whole.

   The current acknowledgement belongs to the event that this thread sends. The callback runs
   without one: what it emits is another event. */
#include "core/ack.h"

#include <stdatomic.h>

#include "base/alloc.h"
#include "base/status.h"

struct tw_ack {
  atomic_size_t refs;
  atomic_bool is_failed;
  tw_status status; ///< of the failure that came first
  tw_error error;
  tw_ack_fn acked;
  void *self;
};

static __thread tw_ack *current;

tw_ack *tw_ack_current(void) { return current; }

tw_ack *tw_ack_swap(tw_ack *ack) {
  tw_ack *before = current;
  current = ack;
  return before;
}

tw_status tw_ack_new(tw_ack_fn acked, void *self, tw_ack **out, tw_error *error) {
  tw_ack *ack = tw_calloc(1, sizeof *ack);
  *out = ack;
  if (!ack) return tw_no_memory(error);
  atomic_init(&ack->refs, 1);
  ack->acked = acked;
  ack->self = self;
  return TW_OK;
}

tw_ack *tw_ack_ref(tw_ack *ack) {
  if (ack) atomic_fetch_add_explicit(&ack->refs, 1, memory_order_relaxed);
  return ack;
}

static void note_failure(tw_ack *ack, tw_status status, const tw_error *error) {
  if (atomic_exchange(&ack->is_failed, true)) return;
  ack->status = status;
  if (error) ack->error = *error;
  else tw_error_clear(&ack->error);
  tw_error_complete(&ack->error, status, "the event");
}

void tw_ack_end(tw_ack *ack, tw_status status, const tw_error *error) {
  if (!ack) return;
  if (status != TW_OK) note_failure(ack, status, error);
  if (atomic_fetch_sub_explicit(&ack->refs, 1, memory_order_acq_rel) != 1) return;
  tw_ack *outer = tw_ack_swap(NULL);
  ack->acked(ack->self, ack->status, ack->status == TW_OK ? NULL : &ack->error);
  tw_ack_swap(outer);
  tw_free(ack);
}

void tw_ack_fail(tw_status status, const tw_error *error) {
  if (current) tw_ack_end(tw_ack_ref(current), status, error);
}
