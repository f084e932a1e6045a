/* Acknowledgements on their way back to a Lua state: from any thread, late, after its end, and
   without memory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka.h needs those above. */
#include <cmocka.h>
#include <lauxlib.h>
#include <lualib.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/status.h"
#include "core/ack.h"
#include "support/oom.h"

static void *allocate(void *self, void *block, size_t old, size_t size) {
  (void)self, (void)old;
  if (size) return tw_realloc(block, size);
  tw_free(block);
  return NULL;
}

/* ---------------------------------------------------------------- a keeper */

/* A backend that takes events and keeps who asks about them. */
enum { KEPT = 1 << 16 };

static tw_ack *kept[KEPT];
static atomic_size_t kept_count, ended;

static tw_status keep(void *self, tw_event *event, unsigned flags, tw_error *error) {
  (void)self, (void)event, (void)flags, (void)error;
  tw_ack *ack = tw_ack_ref(tw_ack_current());
  if (ack) kept[kept_count] = ack, atomic_fetch_add(&kept_count, 1);
  return TW_OK;
}

static void end_next(tw_status status, const char *message) {
  tw_error error = {0};
  if (status) tw_fail(&error, status, "%s", message);
  size_t at = atomic_fetch_add(&ended, 1);
  assert_true(at < kept_count);
  tw_ack_end(kept[at], status, &error);
}

static tw_status end_all(void *self, uint64_t *lost, tw_error *error) {
  (void)self, (void)lost, (void)error;
  while (ended < kept_count) end_next(TW_OK, "");
  return TW_OK;
}

/* A state with the tracker `t` over the keeper, and `hear`, which counts into `heard`. */
static lua_State *open_state(bool flushes) {
  const tw_backend_ops ops = {.send = keep, .flush = flushes ? end_all : NULL};
  tw_tracker *tracker;
  tw_backend *backend;
  kept_count = ended = 0;
  assert_int_equal(tw_tracker_new(NULL, &tracker, NULL), TW_OK);
  assert_int_equal(tw_backend_new(&ops, NULL, 0, &backend, NULL), TW_OK);
  tw_router *router = tw_tracker_router(tracker);
  assert_int_equal(tw_router_add_backend(router, "keeper", backend, NULL), TW_OK);
  assert_int_equal(tw_register_tracker(tracker, "keeper", NULL), TW_OK);
  tw_tracker_unref(tracker);
  lua_State *L = lua_newstate(allocate, NULL);
  luaL_openlibs(L);
  luaL_requiref(L, "tidewire", luaopen_tidewire, 0);
  lua_setglobal(L, "tw");
  assert_int_equal(luaL_dostring(L,
                                 "t, heard = tw.get_tracker 'keeper', {}\n"
                                 "function hear(...) heard[#heard + 1] = { ... } end"),
                   LUA_OK);
  return L;
}

static void close_state(lua_State *L) {
  lua_close(L);
  assert_int_equal(tw_unregister_tracker("keeper", NULL), TW_OK);
}

static void run(lua_State *L, const char *code) {
  if (luaL_dostring(L, code) != LUA_OK) fail_msg("%s", lua_tostring(L, -1));
}

/* ------------------------------------------------------------------- tests */

static void it_is_told_when_it_has_arrived(void **state) {
  (void)state;
  lua_State *L = open_state(false);
  run(L, "assert(t:emit('a', {}, { ack = hear })) assert(t:emit('b', {}, { ack = hear }))");
  run(L, "local called, pending = t:poll() assert(called == 0 and pending == 2)");
  end_next(TW_OK, "");
  run(L,
      "local called, pending = t:poll() assert(called == 1 and pending == 1)\n"
      "assert(#heard == 1 and heard[1][1] == true and #heard[1] == 1)");
  end_next(TW_EIO, "the disk is full");
  run(L,
      "assert(t:emit('c'))\n"
      "assert(#heard == 2 and heard[2][1] == nil)\n"
      "assert(heard[2][2] == 'the disk is full' and heard[2][3] == 'io')");
  close_state(L);
}

static void a_flush_tells_all_that_it_made_certain(void **state) {
  (void)state;
  lua_State *L = open_state(true);
  run(L,
      "for i = 1, 100 do t:emit('a', {}, { ack = hear }) end assert(#heard == 0)\n"
      "assert(t:flush()) assert(#heard == 100)");
  close_state(L);
}

static void *end_late(void *self) {
  (void)self;
  usleep(20000);
  end_next(TW_OK, "");
  return NULL;
}

static void poll_waits_for_one(void **state) {
  (void)state;
  pthread_t thread;
  lua_State *L = open_state(false);
  run(L, "t:emit('a', {}, { ack = hear }) t:emit('b', {}, { ack = hear })");
  assert_int_equal(pthread_create(&thread, NULL, end_late, NULL), 0);
  run(L, "local called, pending = t:poll(100) assert(called == 1 and pending == 1)");
  run(L, "local called, pending = t:poll(0.01) assert(called == 0 and pending == 1)");
  pthread_join(thread, NULL);
  end_next(TW_OK, "");
  close_state(L);
}

static void those_that_have_arrived_go_with_the_state(void **state) {
  (void)state;
  lua_State *L = open_state(false);
  run(L,
      "for i = 1, 3 do t:emit('a', {}, { ack = function() error 'never' end }) end t = nil\n"
      "collectgarbage()");
  end_next(TW_OK, "");
  end_next(TW_EIO, "too late");
  close_state(L);
  end_next(TW_EIO, "much too late");
}

enum { EVENTS = 20000 };

static void *end_many(void *self) {
  (void)self;
  for (int i = 0; i < EVENTS; i++) {
    while (ended >= kept_count) usleep(50);
    end_next(i % 3 ? TW_OK : TW_EIO, "one in three");
  }
  return NULL;
}

static void each_is_told_once_however_many_arrive_meanwhile(void **state) {
  (void)state;
  pthread_t thread;
  lua_State *L = open_state(false);
  assert_int_equal(pthread_create(&thread, NULL, end_many, NULL), 0);
  run(L,
      "local told, good, seen = 0, 0, {}\n"
      "for i = 1, 20000 do\n"
      "  assert(t:emit('a', {}, { ack = function(ok)\n"
      "    assert(not seen[i]) seen[i] = true told = told + 1 good = good + (ok and 1 or 0)\n"
      "  end }))\n"
      "end\n"
      "local pending repeat _, pending = t:poll(10) until pending == 0\n"
      "assert(told == 20000 and good == 13333, told .. ' ' .. good)");
  pthread_join(thread, NULL);
  close_state(L);
}

/* ------------------------------------------------------------------ memory */

/* Each allocation fails once, of Lua and of ours. Whoever was promised a call gets it. */
static void without_memory_a_promise_is_made_or_not_and_kept(void **state) {
  (void)state;
  lua_State *L = open_state(true);
  run(L,
      "local count\n"
      "local function count_up() count = count + 1 end\n"
      "function try() count = 0 ok = nil ok = t:emit('a', { n = 1 }, { ack = count_up }) end\n"
      "function settle()\n"
      "  local pending repeat t:flush() _, pending = t:poll() until pending == 0\n"
      "  if ok then assert(count == 1, count) else assert(count <= 1, count) end\n"
      "end\n"
      "try() settle()");
  for (size_t n = 0, failed = 1; failed; n++) {
    assert_true(n < 500);
    lua_getglobal(L, "try");
    tw_oom_fail_at(n);
    int status = lua_pcall(L, 0, 0, 0);
    failed = tw_oom_off();
    if (!failed) assert_int_equal(status, LUA_OK);
    lua_settop(L, 0);
    run(L, "settle()");
  }
  close_state(L);
}

static void without_memory_to_tell_it_is_told_the_next_time(void **state) {
  (void)state;
  lua_State *L = open_state(false);
  for (size_t n = 0, failed = 1; failed; n++) {
    assert_true(n < 500);
    run(L,
        "heard = {} assert(t:emit('a', {}, { ack = function(_, m) heard[1], heard.n = m, "
        "(heard.n or 0) + 1 end }))");
    lua_getglobal(L, "t");
    lua_getfield(L, -1, "poll");
    lua_insert(L, -2);
    tw_oom_fail_at(n);
    end_next(TW_EIO, "why");
    int status = lua_pcall(L, 1, 0, 0);
    failed = tw_oom_off();
    if (!failed) assert_int_equal(status, LUA_OK);
    lua_settop(L, 0);
    run(L,
        "t:poll() assert(heard.n == 1 or next(heard) == nil, heard.n)\n"
        "assert(not heard[1] or heard[1] == 'why' or heard[1]:find 'out of memory')");
  }
  run(L, "assert(heard.n == 1)");
  close_state(L);
}

int main(void) {
  tw_oom_install();
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_teardown(it_is_told_when_it_has_arrived, tw_oom_leaves_nothing),
      cmocka_unit_test_teardown(a_flush_tells_all_that_it_made_certain, tw_oom_leaves_nothing),
      cmocka_unit_test_teardown(poll_waits_for_one, tw_oom_leaves_nothing),
      cmocka_unit_test_teardown(those_that_have_arrived_go_with_the_state,
                                tw_oom_leaves_nothing),
      cmocka_unit_test_teardown(each_is_told_once_however_many_arrive_meanwhile,
                                tw_oom_leaves_nothing),
      cmocka_unit_test_teardown(without_memory_a_promise_is_made_or_not_and_kept,
                                tw_oom_leaves_nothing),
      cmocka_unit_test_teardown(without_memory_to_tell_it_is_told_the_next_time,
                                tw_oom_leaves_nothing),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
