/// pool.h: backends that scripts declare alike are one.
///
/// A *share* is what one script has taken from a pool. The first backend of a kind with the
/// same options that a script declares is the same object in all scripts of the pool, so is
/// the second, and so on; those of one script are all different. So the workers of a
/// generation write through one open backend, and the next generation goes on with it: its
/// use is added before the old one's is taken away.
///
/// Of kinds of which several may write to the same place, each worker has its own, so that
/// none waits for another; see tw_backend_kind.is_per_worker.
#ifndef TW_SCRIPT_POOL_H
#define TW_SCRIPT_POOL_H

#include <pthread.h>

#include "tidewire.h"

typedef struct tw_pooled tw_pooled;

/// Outlives its shares. May be used by several threads.
typedef struct tw_pool {
  pthread_mutex_t mutex;
  tw_pooled *entries;
} tw_pool;

/// Belongs to one script; starts with its pool, otherwise zeroed.
typedef struct tw_share {
  tw_pool *pool;
  unsigned worker; ///< whose script it is
  tw_pooled **taken;
  size_t count, cap;
} tw_share;

void tw_pool_init(tw_pool *pool);
void tw_pool_fini(tw_pool *pool);

/// tw_backend_new_kind, or a new reference to the backend that was declared alike.
tw_status tw_pool_take(tw_share *share, const char *kind, const char *options, size_t len,
                       tw_backend **out, tw_error *error);
/// Gives back all that was taken. The last share of a backend lets go of it.
void tw_share_end(tw_share *share);

#endif
