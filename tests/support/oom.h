/// oom.h: an allocator for tests that counts live blocks and can run out of memory.
///
/// A call that works or says TW_ENOMEM goes to tw_oom_fail_each. One that needs more around it,
/// or may go on with less, is written out:
///
///     for (size_t n = 0, failed = 1; failed; n++) {
///       tw_oom_fail_at(n);
///       tw_status status = call();
///       failed = tw_oom_off();
///       assert_int_equal(status, failed ? TW_ENOMEM : TW_OK);
///     }
#ifndef TW_SUPPORT_OOM_H
#define TW_SUPPORT_OOM_H

#include <stdbool.h>
#include <stddef.h>

#include "tidewire.h"

/// Makes it the allocator of the process. Call it before anything is allocated.
void tw_oom_install(void);
/// The `n`-th allocation from now, counted from 0, and all later ones fail. Growing a
/// block counts as an allocation.
void tw_oom_fail_at(size_t n);
/// Ends that. @return whether any allocation failed
bool tw_oom_off(void);
/// @return how many blocks are allocated and not yet freed
size_t tw_oom_live(void);
/// @return how many allocations were made since tw_oom_install: none in a steady state
size_t tw_oom_calls(void);

/// Fails the 0th, 1st, 2nd … allocation of the call, until it has all it needs. Each time it
/// must return TW_ENOMEM and leave no block behind, at the end TW_OK.
/// @return how many allocations it makes
size_t tw_oom_fail_each(tw_status (*call)(void *self), void *self);
/// A teardown of cmocka. @return 0 when all blocks are freed
int tw_oom_leaves_nothing(void **state);

#endif
