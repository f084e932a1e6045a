/* What all kinds of outbox begin with. Its mutex is held for moments: never over a call of
   `ops`, nor over one out of the library. */
#include "delivery/outbox.h"

#include "base/wait.h"

bool tw_outbox_init(tw_outbox *outbox, const tw_outbox_ops *ops, const char *path,
                    const tw_outbox_bounds *bounds) {
  *outbox = (tw_outbox){.ops = ops, .bounds = *bounds};
  outbox->path = tw_strdup(path);
  if (!outbox->path) return false;
  pthread_mutex_init(&outbox->mutex, NULL);
  tw_condition_init(&outbox->changed);
  return true;
}

void tw_outbox_fini(tw_outbox *outbox) {
  pthread_cond_destroy(&outbox->changed);
  pthread_mutex_destroy(&outbox->mutex);
  tw_free(outbox->path);
  outbox->path = NULL;
}

void tw_outbox_free(tw_outbox *outbox) {
  if (outbox) outbox->ops->free(outbox);
}

void tw_outbox_close(tw_outbox *outbox) {
  pthread_mutex_lock(&outbox->mutex);
  outbox->is_closed = true;
  pthread_cond_broadcast(&outbox->changed);
  pthread_mutex_unlock(&outbox->mutex);
}
