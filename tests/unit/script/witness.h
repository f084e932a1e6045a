/// witness.h: an observer that remembers the last failure and counts them.
#ifndef TW_TEST_SCRIPT_WITNESS_H
#define TW_TEST_SCRIPT_WITNESS_H

#include <stdio.h>

#include "tidewire.h"

typedef struct witness {
  tw_status code;
  char message[512];
  size_t count;
} witness;

static inline void see(void *self, const tw_failure *failure) {
  witness *to = self;
  to->count++;
  to->code = failure->error->code;
  snprintf(to->message, sizeof to->message, "%s", failure->error->message);
}

static inline void watch(tw_router *router, witness *to) {
  tw_observer observer = {see, NULL, NULL};
  assert_int_equal(tw_router_set_observer(router, &observer, to, NULL), TW_OK);
}

#endif
