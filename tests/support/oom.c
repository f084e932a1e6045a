#include "support/oom.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

/* `left` allocations succeed before all fail; negative means that none fails. Atomic, as
   code under test may have threads. */
static atomic_long left = -1;
static atomic_bool failed;
static atomic_size_t live, calls;

static bool fails(void) {
  long now = atomic_load(&left);
  while (now > 0 && !atomic_compare_exchange_weak(&left, &now, now - 1)) {}
  if (now == 0) atomic_store(&failed, true);
  return now == 0;
}

static void *counted_realloc(void *self, void *block, size_t size) {
  (void)self;
  if (!size) {
    if (block) atomic_fetch_sub(&live, 1);
    free(block);
    return NULL;
  }
  if (fails()) return NULL;
  atomic_fetch_add(&calls, 1);
  void *moved = realloc(block, size);
  if (moved && !block) atomic_fetch_add(&live, 1);
  return moved;
}

void tw_oom_install(void) {
  static const tw_allocator allocator = {counted_realloc, NULL};
  tw_set_allocator(&allocator);
}

void tw_oom_fail_at(size_t n) {
  atomic_store(&failed, false);
  atomic_store(&left, (long)n);
}

bool tw_oom_off(void) {
  atomic_store(&left, -1);
  return atomic_exchange(&failed, false);
}

size_t tw_oom_live(void) { return atomic_load(&live); }
size_t tw_oom_calls(void) { return atomic_load(&calls); }

size_t tw_oom_fail_each(tw_status (*call)(void *self), void *self) {
  for (size_t n = 0;; n++) {
    size_t before = tw_oom_live();
    tw_oom_fail_at(n);
    tw_status status = call(self);
    if (!tw_oom_off()) {
      assert_int_equal(status, TW_OK);
      return n;
    }
    assert_int_equal(status, TW_ENOMEM);
    assert_int_equal(tw_oom_live(), before);
  }
}

int tw_oom_leaves_nothing(void **state) {
  (void)state;
  if (tw_oom_live()) print_error("%zu blocks were not freed\n", tw_oom_live());
  return tw_oom_live() ? -1 : 0;
}
