/// ledger.h: what has happened at each path of an engine's trees, over all workers and
/// generations.
///
/// A backend that several scripts share counts once. What a tree has counted stays when it is
/// gone.
#ifndef TW_ENGINE_LEDGER_H
#define TW_ENGINE_LEDGER_H

#include <pthread.h>

#include "base/buffer.h"
#include "tidewire.h"

typedef struct tw_ledger_row tw_ledger_row;

/// May be used by several threads.
typedef struct tw_ledger {
  pthread_mutex_t mutex;
  tw_ledger_row *rows; ///< in the order in which their paths were first seen
  tw_buffer path;      ///< kept, so that leaving needs no memory
} tw_ledger;

void tw_ledger_init(tw_ledger *ledger);
void tw_ledger_fini(tw_ledger *ledger);

/// From now on a tree is counted; on failure nothing of it is, and it must not leave.
/// @param root  borrowed: until it leaves
/// @return TW_OK, TW_ENOMEM
tw_status tw_ledger_enter(tw_ledger *ledger, tw_router *root, tw_error *error);
/// Keeps what a tree has counted, which is closed and will be freed. It has entered.
void tw_ledger_leave(tw_ledger *ledger, tw_router *root);
/// Visits the paths. @param visit  must not use the engine
void tw_ledger_visit(tw_ledger *ledger, tw_branch_visit_fn visit, void *self);

#endif
