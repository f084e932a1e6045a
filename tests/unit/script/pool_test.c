/* Backends that scripts declare alike are one: which of them is which. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka.h needs those above. */
#include <cmocka.h>
#include <string.h>

#include "script/object/pool.h"
#include "support/oom.h"

static tw_pool pool;

static tw_backend *take(tw_share *share, const char *options) {
  tw_backend *backend;
  tw_error error = {0};
  if (tw_pool_take(share, "file", options, strlen(options), &backend, &error))
    fail_msg("%s", error.message);
  tw_backend_unref(backend); /* the pool has it */
  return backend;
}

#define A "{\"path\":\"a\"}"
#define B "{\"path\":\"b\"}"

static void the_nth_declared_alike_is_the_nth_of_every_share(void **state) {
  (void)state;
  tw_pool_init(&pool);
  tw_share first = {.pool = &pool}, second = {.pool = &pool}, third = {.pool = &pool};
  tw_backend *a1 = take(&first, A), *b1 = take(&first, B), *a2 = take(&first, A);
  assert_ptr_not_equal(a1, a2);
  assert_ptr_not_equal(a1, b1);
  /* Another order among the different ones changes nothing. */
  assert_ptr_equal(take(&second, B), b1);
  assert_ptr_equal(take(&second, A), a1);
  assert_ptr_equal(take(&second, A), a2);
  tw_backend *a3 = take(&second, A);
  assert_ptr_not_equal(a3, a1);
  assert_ptr_not_equal(a3, a2);
  assert_ptr_equal(take(&third, A), a1);
  assert_ptr_equal(take(&first, A), a3);
  tw_share_end(&first);
  tw_share_end(&second);
  assert_ptr_not_equal(take(&third, A), a1); /* it has that one already */
  tw_share_end(&third);
  tw_pool_fini(&pool);
}

/* As when a worker makes its script anew: the old one's share ends behind the new one's. */
static void the_next_share_goes_on_with_what_the_last_one_had(void **state) {
  (void)state;
  tw_pool_init(&pool);
  tw_share old = {.pool = &pool};
  tw_backend *a1 = take(&old, A), *a2 = take(&old, A), *b1 = take(&old, B);
  for (int i = 0; i < 3; i++) {
    tw_share next = {.pool = &pool};
    assert_ptr_equal(take(&next, A), a1);
    assert_ptr_equal(take(&next, A), a2);
    assert_ptr_equal(take(&next, B), b1);
    tw_share_end(&old);
    old = next;
  }
  tw_share_end(&old);
  assert_null(pool.entries);
  tw_pool_fini(&pool);
}

static tw_backend *take_kind(tw_share *share, const char *kind, const char *options) {
  tw_backend *backend;
  assert_int_equal(tw_pool_take(share, kind, options, strlen(options), &backend, NULL), TW_OK);
  tw_backend_unref(backend);
  return backend;
}

static void workers_have_files_of_their_own_and_share_the_rest(void **state) {
  (void)state;
  tw_pool_init(&pool);
  tw_share first = {.pool = &pool}, second = {.pool = &pool, .worker = 1};
  tw_backend *file = take(&second, A), *memory = take_kind(&second, "memory", "{}");
  assert_ptr_not_equal(take(&first, A), file);
  assert_ptr_equal(take_kind(&first, "memory", "{}"), memory);
  tw_share next = {.pool = &pool, .worker = 1};
  assert_ptr_equal(take(&next, A), file);
  tw_share_end(&first);
  tw_share_end(&second);
  tw_share_end(&next);
  tw_pool_fini(&pool);
}

static void the_order_of_options_does_not_tell_backends_apart(void **state) {
  (void)state;
  tw_pool_init(&pool);
  tw_share first = {.pool = &pool}, second = {.pool = &pool};
  tw_backend *one = take(&first, "{\"path\":\"a\",\"append\":true}");
  assert_ptr_equal(take(&second, "{\"append\":true,\"path\":\"a\"}"), one);
  assert_ptr_not_equal(take(&second, "{\"append\":false,\"path\":\"a\"}"), one);
  tw_share_end(&first);
  tw_share_end(&second);
  tw_pool_fini(&pool);
}

static tw_status take_three(void *self) {
  (void)self;
  tw_share first = {.pool = &pool}, second = {.pool = &pool};
  tw_backend *made[3] = {0};
  tw_share *shares[] = {&first, &first, &second};
  tw_status status = TW_OK;
  for (int i = 0; i < 3 && !status; i++)
    status = tw_pool_take(shares[i], "file", A, strlen(A), &made[i], NULL);
  for (int i = 0; i < 3; i++) tw_backend_unref(made[i]);
  tw_share_end(&first);
  tw_share_end(&second);
  assert_null(pool.entries);
  return status;
}

static void running_out_of_memory_leaves_nothing_in_the_pool(void **state) {
  (void)state;
  tw_pool_init(&pool);
  assert_true(tw_oom_fail_each(take_three, NULL) > 5);
  tw_pool_fini(&pool);
}

static int set_up(void **state) {
  (void)state;
  tw_oom_install();
  return 0;
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(the_nth_declared_alike_is_the_nth_of_every_share),
      cmocka_unit_test(the_next_share_goes_on_with_what_the_last_one_had),
      cmocka_unit_test(workers_have_files_of_their_own_and_share_the_rest),
      cmocka_unit_test(the_order_of_options_does_not_tell_backends_apart),
      cmocka_unit_test(running_out_of_memory_leaves_nothing_in_the_pool),
  };
  return cmocka_run_group_tests(tests, set_up, tw_oom_leaves_nothing);
}
