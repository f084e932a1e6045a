/* The ledger by itself: trees enter wholly or not at all. */
#include "engine/ledger.h"

#include "engine_case.h"

static tw_backend *new_backend(void) {
  tw_backend *backend;
  assert_int_equal(tw_backend_new_kind("memory", NULL, 0, &backend, NULL), TW_OK);
  return backend;
}

/* A tree with `shared` at "a", and a router with a backend of its own at "z". */
static tw_router *new_tree(tw_backend *shared) {
  tw_router *root, *child;
  assert_int_equal(tw_router_new(&root, NULL), TW_OK);
  assert_int_equal(tw_router_new(&child, NULL), TW_OK);
  assert_int_equal(tw_router_add_backend(root, "a", tw_backend_ref(shared), NULL), TW_OK);
  assert_int_equal(tw_router_add_backend(child, "own", new_backend(), NULL), TW_OK);
  assert_int_equal(tw_router_add_router(root, "z", child, NULL), TW_OK);
  assert_int_equal(tw_router_open(root, NULL), TW_OK);
  return root;
}

static void send_to(tw_router *root) {
  tw_event *event;
  assert_int_equal(tw_event_parse("{}", 2, NULL, &event, NULL), TW_OK);
  assert_int_equal(tw_router_send(root, event, 0, NULL), TW_OK);
  tw_event_free(event);
}

static void add_text(void *self, const tw_branch *branch) {
  char *to = self;
  size_t len = strlen(to);
  snprintf(to + len, 256 - len, "%s:%d ", branch->path,
           (int)(branch->kind ? branch->backend.sent : branch->router.received));
}

static void assert_counts(tw_ledger *ledger, const char *expected) {
  char text[256] = "";
  tw_ledger_visit(ledger, add_text, text);
  assert_string_equal(text, expected);
}

static void free_tree(tw_router *root) {
  assert_int_equal(tw_router_close(root, NULL), TW_OK);
  tw_router_unref(root);
}

/* The shared backend would leave with the tree that never came, and count no more. */
static void a_tree_that_cannot_enter_changes_nothing(void **state) {
  (void)state;
  tw_ledger ledger;
  tw_backend *shared = new_backend();
  tw_router *first = new_tree(shared), *second = new_tree(shared);
  tw_ledger_init(&ledger);
  for (size_t n = 0, failed = 1; failed; n++) {
    tw_oom_fail_at(n);
    tw_status status = tw_ledger_enter(&ledger, first, NULL);
    failed = tw_oom_off();
    assert_int_equal(status, failed ? TW_ENOMEM : TW_OK);
    assert_counts(&ledger, failed ? "" : ":0 a:0 z:0 z/own:0 ");
  }
  for (size_t n = 0, failed = 1; failed; n++) {
    tw_oom_fail_at(n);
    tw_status status = tw_ledger_enter(&ledger, second, NULL);
    failed = tw_oom_off();
    assert_int_equal(status, failed ? TW_ENOMEM : TW_OK);
  }
  tw_oom_fail_at(0); /* leaving needs none */
  tw_ledger_leave(&ledger, second);
  assert_false(tw_oom_off());
  send_to(first);
  assert_counts(&ledger, ":1 a:1 z:1 z/own:1 ");
  tw_ledger_leave(&ledger, first);
  free_tree(first);
  free_tree(second);
  assert_counts(&ledger, ":1 a:1 z:1 z/own:1 ");
  tw_backend_unref(shared);
  tw_ledger_fini(&ledger);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(a_tree_that_cannot_enter_changes_nothing, before, after),
  };
  return cmocka_run_group_tests(tests, set_up, tear_down);
}
