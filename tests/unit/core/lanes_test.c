/* Events that are moved to another processor on their way: what they counted in one lane is
   taken back there. On a machine with one processor the lane stays the same. */
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>

#include "base/lane.h"
#include "unit/core/probe.h"

typedef struct place {
  size_t processors[2]; ///< that the test may use
  int sent, closed, freed;
  tw_tracker *gone; ///< let go of by the first send; NULL: none
} place;

static void move_to(size_t processor) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(processor, &set);
  assert_int_equal(pthread_setaffinity_np(pthread_self(), sizeof set, &set), 0);
}

/* The first processor that may be used, and the last. */
static void find_processors(place *p, const cpu_set_t *allowed) {
  p->processors[0] = CPU_SETSIZE;
  for (size_t i = 0; i < CPU_SETSIZE; i++) {
    if (!CPU_ISSET(i, allowed)) continue;
    if (p->processors[0] == CPU_SETSIZE) p->processors[0] = i;
    p->processors[1] = i;
  }
}

static tw_status moving_send(void *self, tw_event *event, unsigned flags, tw_error *error) {
  place *p = self;
  (void)event, (void)flags, (void)error;
  move_to(p->processors[++p->sent % 2]);
  tw_tracker *gone = p->gone;
  p->gone = NULL;
  tw_tracker_unref(gone);
  return TW_OK;
}

static void count_close(void *self) { ((place *)self)->closed++; }
static void count_free(void *self) { ((place *)self)->freed++; }

static const tw_backend_ops moving_ops = {
    .send = moving_send, .close = count_close, .free = count_free};

static tw_tracker *new_tracker(place *p) {
  tw_tracker *tracker;
  tw_backend *backend;
  assert_int_equal(tw_tracker_new(NULL, &tracker, NULL), TW_OK);
  assert_int_equal(tw_backend_new(&moving_ops, p, 0, &backend, NULL), TW_OK);
  assert_int_equal(tw_router_add_backend(tw_tracker_router(tracker), "moving", backend, NULL),
                   TW_OK);
  return tracker;
}

static int set_up(void **state) {
  static cpu_set_t allowed;
  *state = &allowed;
  return sched_getaffinity(0, sizeof allowed, &allowed);
}

static int tear_down(void **state) { return sched_setaffinity(0, sizeof(cpu_set_t), *state); }

static void a_thread_that_is_moved_uses_another_lane(void **state) {
  place p = {0};
  find_processors(&p, *state);
  for (int i = 0; i < 2; i++) {
    move_to(p.processors[i]);
    assert_int_equal(tw_lane_here(), p.processors[i] % TW_LANES);
  }
}

static void a_router_closes_behind_events_that_were_moved(void **state) {
  place p = {0};
  tw_router_stats stats;
  find_processors(&p, *state);
  move_to(p.processors[0]);
  tw_tracker *tracker = new_tracker(&p);
  tw_router *router = tw_router_ref(tw_tracker_router(tracker));
  for (int i = 0; i < 5; i++) assert_int_equal(tw_emit(tracker, "n", NULL, 0, NULL), TW_OK);
  tw_router_get_stats(router, &stats);
  assert_int_equal(stats.received, 5);
  assert_int_equal(tw_router_close(router, NULL), TW_OK);
  assert_int_equal(p.closed, 1);
  tw_tracker_unref(tracker);
  tw_router_unref(router);
  assert_int_equal(p.freed, 1);
}

static void a_tracker_that_goes_while_its_emit_is_moved_is_freed_behind_it(void **state) {
  place p = {0};
  find_processors(&p, *state);
  move_to(p.processors[0]);
  p.gone = new_tracker(&p);
  assert_int_equal(tw_emit(p.gone, "n", NULL, 0, NULL), TW_OK);
  assert_int_equal(p.sent, 1);
  assert_int_equal(p.closed, 1);
  assert_int_equal(p.freed, 1);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_thread_that_is_moved_uses_another_lane),
      cmocka_unit_test(a_router_closes_behind_events_that_were_moved),
      cmocka_unit_test(a_tracker_that_goes_while_its_emit_is_moved_is_freed_behind_it),
  };
  return cmocka_run_group_tests(tests, set_up, tear_down);
}
