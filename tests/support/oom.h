/// oom.h: an allocator for tests that counts live blocks and can run out of memory.
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

#endif
