/// null.c: takes every event and does nothing with it; its stats count them.
///
/// Without TW_SERIAL and without state, threads never meet here.
#include "backends/kinds.h"

static tw_status null_send(void *self, tw_event *event, unsigned flags, tw_error *error) {
  (void)self, (void)event, (void)flags, (void)error;
  return TW_OK;
}

static tw_status null_deliver(void *self, tw_batch *batch, tw_delivered *done,
                              tw_error *error) {
  (void)self, (void)batch, (void)done, (void)error;
  return TW_OK;
}

static tw_status null_create(tw_event *options, void **self, tw_error *error) {
  (void)options, (void)error;
  *self = NULL;
  return TW_OK;
}

static const tw_backend_ops null_ops = {.send = null_send, .deliver = null_deliver};

const tw_backend_kind tw_null_kind = {.name = "null", .ops = &null_ops, .create = null_create};
