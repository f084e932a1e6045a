/* A locator is the host's callbacks with a count of references; it is asked on the thread that
   emits, without a lock of ours. The default one has one context for everybody, which makes it
   right for programs of one thread and for contexts that hold for all. */
#include <stdatomic.h>

#include "base/alloc.h"
#include "base/status.h"

struct tw_locator {
  atomic_size_t refs;
  tw_locator_ops ops;
  void *self;
};

tw_status tw_locator_new(const tw_locator_ops *ops, void *self, tw_locator **out,
                         tw_error *error) {
  *out = NULL;
  if (!ops->get) {
    if (ops->free) ops->free(self);
    return tw_fail(error, TW_EINVAL, "a locator needs the operation `get`");
  }
  tw_locator *locator = tw_malloc(sizeof *locator);
  if (!locator) {
    if (ops->free) ops->free(self);
    return tw_no_memory(error);
  }
  atomic_init(&locator->refs, 1);
  locator->ops = *ops;
  locator->self = self;
  *out = locator;
  return TW_OK;
}

tw_locator *tw_locator_ref(tw_locator *locator) {
  atomic_fetch_add_explicit(&locator->refs, 1, memory_order_relaxed);
  return locator;
}

void tw_locator_unref(tw_locator *locator) {
  if (!locator || atomic_fetch_sub(&locator->refs, 1) != 1) return;
  if (locator->ops.free) locator->ops.free(locator->self);
  tw_free(locator);
}

tw_context *tw_locator_get(tw_locator *locator) { return locator->ops.get(locator->self); }

/* ----------------------------------------------------------------- default */

static tw_context *default_get(void *self) { return tw_context_ref(self); }
static void default_free(void *self) { tw_context_unref(self); }

tw_status tw_locator_new_default(tw_locator **out, tw_error *error) {
  static const tw_locator_ops ops = {default_get, default_free};
  tw_context *context = tw_context_new();
  *out = NULL;
  if (!context) return tw_no_memory(error);
  return tw_locator_new(&ops, context, out, error);
}
