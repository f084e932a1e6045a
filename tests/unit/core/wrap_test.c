/* What is said about the delivery to a backend, and other backends in the places of those in a
   tree. */
#include <stdlib.h>

#include "support/oom.h"
#include "unit/core/probe.h"

/* A backend before another one: it sends on, and logs `>` first. */
typedef struct front {
  probe_log *log;
  tw_backend *behind;
} front;

static tw_status front_open(void *self, tw_error *error) {
  return tw_backend_use(((front *)self)->behind, error);
}

static tw_status front_send(void *self, tw_event *event, unsigned flags, tw_error *error) {
  front *f = self;
  log_add(f->log, ">");
  return tw_backend_send(f->behind, event, flags, error);
}

static void front_close(void *self) {
  uint64_t lost;
  tw_backend_unuse(((front *)self)->behind, &lost, NULL);
}

static void front_free(void *self) {
  tw_backend_unref(((front *)self)->behind);
  free(self);
}

typedef struct wrapper {
  probe_log *log;
  const char *refused; /* a path */
  bool keeps;          /* what it gets */
} wrapper;

static tw_status put_front(void *self, const char *path, tw_backend *backend,
                           const char *delivery, size_t len, tw_backend **out,
                           tw_error *error) {
  static const tw_backend_ops ops = {
      .open = front_open, .send = front_send, .close = front_close, .free = front_free};
  const wrapper *w = self;
  log_add(w->log, "%s=%.*s", path, (int)len, delivery ? delivery : "");
  assert_true(delivery || !len);
  if (w->refused && strcmp(path, w->refused) == 0)
    return tw_fail(error, TW_EINVAL, "%s is refused", path);
  if (w->keeps) {
    *out = tw_backend_ref(backend);
    return TW_OK;
  }
  front *f = malloc(sizeof *f);
  *f = (front){w->log, tw_backend_ref(backend)};
  return tw_backend_new(&ops, f, 0, out, error);
}

typedef struct fixture {
  probe_log log;
  wrapper wrapper;
  tw_router *root, *below;
  probe probes[3];
} fixture;

/* root: a, b/{c, d}; the backend d is also root's e */
static int set_up(void **state) {
  fixture *f = calloc(1, sizeof *f);
  f->wrapper.log = &f->log;
  f->root = new_router();
  f->below = new_router();
  static const char *const names[] = {"a", "c", "d"};
  for (int i = 0; i < 3; i++) f->probes[i] = (probe){.name = names[i], .log = &f->log};
  add_probe(f->root, &f->probes[0]);
  add_probe(f->below, &f->probes[1]);
  tw_backend *shared = probe_backend(&f->probes[2]);
  assert_int_equal(tw_router_add_backend(f->below, "d", tw_backend_ref(shared), NULL), TW_OK);
  assert_int_equal(tw_router_add_backend(f->root, "e", shared, NULL), TW_OK);
  assert_int_equal(tw_router_add_router(f->root, "b", tw_router_ref(f->below), NULL), TW_OK);
  *state = f;
  return 0;
}

static int tear_down(void **state) {
  fixture *f = *state;
  tw_router_unref(f->root);
  tw_router_unref(f->below);
  free(f);
  return tw_oom_leaves_nothing(state);
}

static tw_status say(tw_router *router, const char *name, const char *json, tw_error *error) {
  return tw_router_set_delivery(router, name, json, strlen(json), error);
}

static void each_backend_is_replaced_once_for_each_of_its_places(void **state) {
  fixture *f = *state;
  assert_int_equal(tw_router_wrap(f->root, put_front, &f->wrapper, NULL), TW_OK);
  assert_log(&f->log, "a= b/c= b/d= e= ");
  assert_int_equal(tw_router_open(f->root, NULL), TW_OK);
  assert_log(&f->log, "open-a open-c open-d ");
  assert_int_equal(send_json(f->root, "{}"), TW_OK);
  assert_log(&f->log, "> a:{} > c:{} > d:{} > d:{} ");
  assert_int_equal(tw_router_close(f->root, NULL), TW_OK);
}

static void what_was_said_comes_with_each(void **state) {
  fixture *f = *state;
  assert_int_equal(say(f->root, "a", "{\"x\":1}", NULL), TW_OK);
  assert_int_equal(say(f->below, "d", "{\"y\":2}", NULL), TW_OK);
  assert_int_equal(say(f->below, "d", "{}", NULL), TW_OK); /* the last holds */
  f->wrapper.keeps = true;
  assert_int_equal(tw_router_wrap(f->root, put_front, &f->wrapper, NULL), TW_OK);
  assert_log(&f->log, "a={\"x\":1} b/c= b/d={} e= ");
}

static void delivery_is_of_backends_that_are_there(void **state) {
  fixture *f = *state;
  tw_error error;
  assert_int_equal(say(f->root, "aa", "{}", &error), TW_ENOENT);
  assert_string_equal(error.message, "no backend \"aa\"; known: a, b, e");
  assert_int_equal(say(f->root, "b", "{}", &error), TW_EINVAL);
  assert_string_equal(error.message,
                      "\"b\" is a router; say how its backends are delivered to");
}

static void what_the_wrapper_says_ends_it(void **state) {
  fixture *f = *state;
  tw_error error;
  f->wrapper.refused = "b/c";
  assert_int_equal(tw_router_wrap(f->root, put_front, &f->wrapper, &error), TW_EINVAL);
  assert_string_equal(error.message, "b/c is refused");
  assert_log(&f->log, "a= b/c= ");
  assert_int_equal(tw_router_open(f->root, NULL), TW_OK);
  assert_int_equal(send_json(f->root, "{}"), TW_OK);
  log_clear(&f->log);
}

static void a_router_that_hangs_there_twice_is_wrapped_by_its_first_path(void **state) {
  fixture *f = *state;
  assert_int_equal(tw_router_add_router(f->root, "0", tw_router_ref(f->below), NULL), TW_OK);
  assert_int_equal(tw_router_wrap(f->root, put_front, &f->wrapper, NULL), TW_OK);
  assert_log(&f->log, "0/c= 0/d= a= e= ");
  tw_router_open(f->root, NULL);
  log_clear(&f->log);
  assert_int_equal(send_json(f->root, "{}"), TW_OK);
  assert_log(&f->log, "> c:{} > d:{} > a:{} > c:{} > d:{} > d:{} ");
}

static void a_tree_may_be_wrapped_again(void **state) {
  fixture *f = *state;
  assert_int_equal(tw_router_wrap(f->below, put_front, &f->wrapper, NULL), TW_OK);
  assert_int_equal(tw_router_wrap(f->root, put_front, &f->wrapper, NULL), TW_OK);
  assert_log(&f->log, "c= d= a= b/c= b/d= e= ");
}

static void an_open_tree_is_not_wrapped(void **state) {
  fixture *f = *state;
  tw_error error;
  assert_int_equal(tw_router_open(f->below, NULL), TW_OK);
  f->wrapper.keeps = true;
  assert_int_equal(tw_router_wrap(f->root, put_front, &f->wrapper, &error), TW_EINVAL);
  assert_string_equal(error.message, "the router is open already");
}

static tw_status wrap_and_say(void *self) {
  fixture *f = self;
  tw_status status = say(f->root, "a", "{}", NULL);
  if (status == TW_OK) status = tw_router_wrap(f->root, put_front, &f->wrapper, NULL);
  log_clear(&f->log);
  return status;
}

static void without_memory_some_are_replaced_and_nothing_leaks(void **state) {
  fixture *f = *state;
  f->wrapper.keeps = true;
  for (size_t n = 0, failed = 1; failed; n++) {
    tw_oom_fail_at(n);
    tw_status status = wrap_and_say(f);
    failed = tw_oom_off();
    assert_int_equal(status, failed ? TW_ENOMEM : TW_OK);
    assert_true(!failed || n < 20);
  }
  assert_int_equal(tw_router_open(f->root, NULL), TW_OK);
}

int main(void) {
  tw_oom_install();
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(each_backend_is_replaced_once_for_each_of_its_places,
                                      set_up, tear_down),
      cmocka_unit_test_setup_teardown(what_was_said_comes_with_each, set_up, tear_down),
      cmocka_unit_test_setup_teardown(delivery_is_of_backends_that_are_there, set_up,
                                      tear_down),
      cmocka_unit_test_setup_teardown(what_the_wrapper_says_ends_it, set_up, tear_down),
      cmocka_unit_test_setup_teardown(
          a_router_that_hangs_there_twice_is_wrapped_by_its_first_path, set_up, tear_down),
      cmocka_unit_test_setup_teardown(a_tree_may_be_wrapped_again, set_up, tear_down),
      cmocka_unit_test_setup_teardown(an_open_tree_is_not_wrapped, set_up, tear_down),
      cmocka_unit_test_setup_teardown(without_memory_some_are_replaced_and_nothing_leaks,
                                      set_up, tear_down),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
