/* What a route says about how much an event matters holds for what it chooses, and for all
   that is below. */
#include "core/tracker.h"
#include "support/oom.h"
#include "unit/core/probe.h"

typedef struct choice {
  const char *names[3];
  bool says;
  tw_priority priority;
  tw_status status;
} choice;

static tw_status choose(void *self, tw_event *event, tw_targets *targets, tw_error *error) {
  const choice *c = self;
  tw_event_set_priority(event, TW_PRIORITY_LOW); /* of its own copy: goes nowhere */
  if (c->says) tw_targets_priority(targets, c->priority);
  for (size_t i = 0; c->names[i]; i++)
    if (tw_targets_add(targets, c->names[i], strlen(c->names[i]), NULL) != TW_OK)
      return TW_ENOENT;
  return c->status ? tw_fail(error, c->status, "it broke") : TW_OK;
}

static void set_choice(tw_router *router, choice *c) {
  static const tw_route_ops ops = {choose, NULL};
  assert_int_equal(tw_router_set_route(router, &ops, c, NULL), TW_OK);
}

static probe_log notes;

static void note_priority(probe *p, tw_event *event) {
  log_clear(&notes); /* of what the probe wrote down */
  int *seen = p->context;
  *seen = tw_event_priority(event);
}

/* root: a, b/c. What each has seen; 9: nothing. */
typedef struct fixture {
  int seen[2];
  probe a, c;
  tw_tracker *tracker;
  tw_router *root, *below;
} fixture;

static void make(fixture *f) {
  *f = (fixture){.seen = {9, 9}};
  f->a = (probe){.name = "a", .log = &notes, .inside = note_priority, .context = &f->seen[0]};
  f->c = (probe){.name = "c", .log = &notes, .inside = note_priority, .context = &f->seen[1]};
  assert_int_equal(tw_tracker_new(NULL, &f->tracker, NULL), TW_OK);
  f->root = tw_tracker_router(f->tracker);
  f->below = new_router();
  add_probe(f->root, &f->a);
  add_probe(f->below, &f->c);
  assert_int_equal(tw_router_add_router(f->root, "b", f->below, NULL), TW_OK);
  assert_int_equal(tw_router_set_observer(f->root, &note_observer, &notes, NULL), TW_OK);
}

static void assert_seen(fixture *f, tw_priority emitted, int a, int c) {
  const tw_emission how = {.priority = emitted};
  f->seen[0] = f->seen[1] = 9;
  assert_int_equal(tw_emit_as(f->tracker, "x", NULL, 0, &how, NULL), TW_OK);
  assert_int_equal(f->seen[0], a);
  assert_int_equal(f->seen[1], c);
}

static void end(fixture *f) {
  tw_tracker_unref(f->tracker);
  log_clear(&notes);
}

static void an_event_has_the_priority_that_it_was_emitted_with(void **state) {
  (void)state;
  fixture f;
  make(&f);
  assert_seen(&f, TW_PRIORITY_NORMAL, 0, 0);
  assert_seen(&f, TW_PRIORITY_HIGH, 1, 1);
  assert_seen(&f, TW_PRIORITY_LOW, -1, -1);
  end(&f);
}

static void a_route_gives_what_it_chooses_another_one(void **state) {
  (void)state;
  fixture f;
  make(&f);
  choice all = {.names = {"a", "b"}, .says = true, .priority = TW_PRIORITY_HIGH};
  set_choice(f.root, &all);
  assert_seen(&f, TW_PRIORITY_NORMAL, 1, 1);
  assert_seen(&f, TW_PRIORITY_LOW, 1, 1);
  all.priority = TW_PRIORITY_NORMAL;
  assert_seen(&f, TW_PRIORITY_LOW, 0, 0);
  all.says = false;
  assert_seen(&f, TW_PRIORITY_HIGH, 1, 1);
  choice low = {.names = {"c"}, .says = true, .priority = TW_PRIORITY_LOW};
  set_choice(f.below, &low);
  assert_seen(&f, TW_PRIORITY_HIGH, 1, -1);
  end(&f);
}

static void a_route_that_fails_has_said_it_all_the_same(void **state) {
  (void)state;
  fixture f;
  make(&f);
  choice broken = {.says = true, .priority = TW_PRIORITY_HIGH, .status = TW_EIO};
  set_choice(f.root, &broken);
  assert_seen(&f, TW_PRIORITY_NORMAL, 1, 1);
  end(&f);
}

int main(void) {
  tw_oom_install();
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_teardown(an_event_has_the_priority_that_it_was_emitted_with,
                                tw_oom_leaves_nothing),
      cmocka_unit_test_teardown(a_route_gives_what_it_chooses_another_one,
                                tw_oom_leaves_nothing),
      cmocka_unit_test_teardown(a_route_that_fails_has_said_it_all_the_same,
                                tw_oom_leaves_nothing),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
