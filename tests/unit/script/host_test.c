/* The module in a host's own Lua state, beside trackers and threads of the host. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka.h needs those above. */
#include <cmocka.h>
#include <lauxlib.h>
#include <lualib.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "support/oom.h"
#include "tidewire.h"
#include "witness.h"

static void *allocate(void *self, void *block, size_t old, size_t size) {
  (void)self;
  (void)old;
  if (size) return tw_realloc(block, size);
  tw_free(block);
  return NULL;
}

static lua_State *open_state(void) {
  lua_State *L = luaL_newstate();
  luaL_openlibs(L);
  luaL_requiref(L, "tidewire", luaopen_tidewire, 0);
  lua_setglobal(L, "tw");
  return L;
}

static void run(lua_State *L, const char *code) {
  if (luaL_dostring(L, code) != LUA_OK) fail_msg("%s", lua_tostring(L, -1));
}

static tw_tracker *registered(const char *name) {
  tw_tracker *tracker;
  assert_int_equal(tw_get_tracker(name, &tracker, NULL), TW_OK);
  return tracker;
}

/* ------------------------------------------------------------------ tests */

static void a_tracker_of_the_host_is_used_from_lua(void **state) {
  (void)state;
  tw_tracker *tracker;
  tw_backend *memory;
  assert_int_equal(tw_tracker_new(NULL, &tracker, NULL), TW_OK);
  assert_int_equal(tw_backend_new_kind("memory", NULL, 0, &memory, NULL), TW_OK);
  assert_int_equal(
      tw_router_add_backend(tw_tracker_router(tracker), "out", tw_backend_ref(memory), NULL),
      TW_OK);
  assert_int_equal(tw_register_tracker(tracker, NULL, NULL), TW_OK);
  lua_State *L = open_state();
  run(L,
      "local t = tw.get_tracker()\n"
      "local _ <close> = t:context('request', { user = 7 })\n"
      "t:register_processor(function(event) event.lua = true end)\n"
      "assert(tw.emit('from.lua', { n = 1 }))\n"
      "assert(t.backends.out:count() == 1)\n"
      "assert(t.backends.out:get(1).context.user == 7)\n"
      "assert(t:get_backend('out'):get(1).lua)\n"
      "assert(not pcall(t.get_backend, t, 'nobody'))\n");
  size_t count;
  assert_int_equal(tw_memory_count(memory, &count), TW_OK);
  assert_int_equal(count, 1);
  lua_close(L);
  assert_int_equal(tw_unregister_tracker(NULL, NULL), TW_OK);
  tw_backend_unref(memory);
  tw_tracker_unref(tracker);
}

static void a_tracker_of_lua_is_used_from_the_host(void **state) {
  (void)state;
  lua_State *L = open_state();
  run(L,
      "memory = tw.backends.memory()\n"
      "tw.register_tracker(tw.tracker { backends = { out = memory },\n"
      "  processors = { function(event) event.data.lua = 1 end } }, 'shop')\n"
      "collectgarbage() collectgarbage()");
  tw_tracker *tracker = registered("shop");
  tw_error error = {0};
  assert_int_equal(tw_emit(tracker, "order.paid", "{\"total\":1.0}", 13, &error), TW_OK);
  run(L,
      "assert(tostring(memory:get(1).data) == '{\"total\":1.0,\"lua\":1}')\n"
      "tw.unregister_tracker 'shop'");
  tw_tracker_unref(tracker);
  lua_close(L);
}

static void a_tracker_that_outlives_its_lua_state_fails_with_a_message(void **state) {
  (void)state;
  lua_State *L = open_state();
  run(L,
      "tw.register_tracker(tw.tracker { backends = {\n"
      "    null = tw.backends.null(), lua = { send = function() end } },\n"
      "  context_locator = tw.locators.default(),\n"
      "  route = function() return 'lua' end,\n"
      "  processors = { function(event) end } }, 'shop')\n"
      "assert(tw.get_tracker('shop'):emit('a'))");
  tw_tracker *tracker = registered("shop");
  lua_close(L);
  witness seen = {0};
  watch(tw_tracker_router(tracker), &seen);
  assert_int_equal(tw_emit(tracker, "b", NULL, 0, NULL), TW_OK);
  assert_int_equal(seen.code, TW_ECLOSED);
  assert_non_null(strstr(seen.message, "its Lua state is closed"));
  assert_true(seen.count >= 3);
  assert_int_equal(tw_unregister_tracker("shop", NULL), TW_OK);
  tw_tracker_unref(tracker);
}

static int add_up(lua_State *L) {
  int *delivered = lua_touserdata(L, lua_upvalueindex(1));
  *delivered += (int)lua_tointeger(L, 1);
  return 0;
}

static void closing_the_state_delivers_what_a_registered_tracker_gathered(void **state) {
  (void)state;
  int delivered = 0;
  lua_State *L = open_state();
  lua_pushlightuserdata(L, &delivered);
  lua_pushcclosure(L, add_up, 1);
  lua_setglobal(L, "add_up");
  run(L,
      "local t = tw.tracker { backends = { out = {\n"
      "  send_batch = function(_, events) add_up(#events) end } } }\n"
      "tw.register_tracker(t, 'shop')\n"
      "t:send({ name = 'a' }, true) t:send({ name = 'b' }, true)\n");
  assert_int_equal(delivered, 0);
  lua_close(L);
  assert_int_equal(delivered, 2);
  assert_int_equal(tw_unregister_tracker("shop", NULL), TW_OK);
}

static void *emit_there(void *tracker) {
  for (int i = 0; i < 100; i++) tw_emit(tracker, "there", NULL, 0, NULL);
  return NULL;
}

static void an_emit_on_another_thread_is_refused_by_lua_functions(void **state) {
  (void)state;
  lua_State *L = open_state();
  run(L,
      "tw.register_tracker(tw.tracker { backends = { null = tw.backends.null() },\n"
      "  context_locator = tw.locators.default(),\n"
      "  processors = { function(event) event.here = true end } }, 'shop')");
  tw_tracker *tracker = registered("shop");
  witness seen = {0};
  watch(tw_tracker_router(tracker), &seen);
  pthread_t thread;
  assert_int_equal(pthread_create(&thread, NULL, emit_there, tracker), 0);
  run(L, "for i = 1, 1000 do local t = { i } end");
  pthread_join(thread, NULL);
  assert_int_equal(seen.count, 100);
  assert_int_equal(seen.code, TW_ESCRIPT);
  assert_non_null(strstr(seen.message, "another thread"));
  run(L, "assert(tw.get_tracker('shop'):emit 'here') tw.unregister_tracker 'shop'");
  assert_int_equal(seen.count, 100);
  tw_tracker_unref(tracker);
  lua_close(L);
}

static void an_observer_in_lua_hears_of_its_own_thread_only(void **state) {
  (void)state;
  lua_State *L = open_state();
  run(L,
      "heard = 0\n"
      "tw.register_tracker(tw.tracker { backends = { null = tw.backends.null() },\n"
      "  context_locator = tw.locators.default(),\n"
      "  on_failure = function(failure) heard = heard + 1 end,\n"
      "  processors = { function(event) error 'x' end } }, 'shop')\n"
      "tw.get_tracker('shop'):emit 'a'\n"
      "assert(heard == 1)\n"
      "tw.unregister_tracker 'shop'");
  lua_close(L);
}

static void opening_the_module_twice_is_harmless(void **state) {
  (void)state;
  lua_State *L = open_state();
  run(L, "first = tw");
  luaL_requiref(L, "again", luaopen_tidewire, 0);
  lua_setglobal(L, "again");
  run(L,
      "local m = again.backends.memory()\n"
      "again.router { processors = { first.processors.allowlist { 'a' } },\n"
      "  backends = { out = m } }:send { name = 'a' }\n"
      "assert(m:count() == 1)");
  lua_close(L);
}

static const char JOB[] =
    "local m = tw.backends.memory()\n"
    "local t = tw.tracker { context_locator = tw.locators.coroutine(),\n"
    "  processors = { function(e) e.data.x = 1 end, function(e) return { e, { n = 1 } } end "
    "},\n"
    "  route = function() return { 'out', 'lua', 'below' } end, on_failure = function() end,\n"
    "  backends = { out = m, lua = { send = function() return nil, 'no' end },\n"
    "    below = tw.router { backends = { b = { send_batch = function(_, es) end } } } } }\n"
    "t:context('job', { id = 1 }, function() t:emit('a', { list = { 1, 2 } }) end)\n"
    "t:resolve_context() for _ in pairs(t.located_context) do end\n"
    "t:flush() t:stats() local _ = t.backends, m:get(1), m:events()\n";

static int job(lua_State *L) {
  luaL_openlibs(L);
  luaL_requiref(L, "tidewire", luaopen_tidewire, 0);
  lua_setglobal(L, "tw");
  if (luaL_loadstring(L, JOB) != LUA_OK) return lua_error(L);
  lua_call(L, 0, 0);
  return 0;
}

static void the_module_survives_any_failing_allocation(void **state) {
  (void)state;
  size_t live = tw_oom_live();
  bool failed = true;
  for (size_t n = 0; failed; n++) {
    tw_oom_fail_at(n);
    lua_State *L = lua_newstate(allocate, NULL);
    if (L) {
      lua_pushcfunction(L, job);
      lua_pcall(L, 0, 0, 0);
      lua_close(L);
    }
    failed = tw_oom_off();
    if (tw_oom_live() != live)
      fail_msg("allocation %zu: %zu blocks are left", n, tw_oom_live() - live);
  }
}

static int set_up(void **state) {
  (void)state;
  tw_oom_install();
  return 0;
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_tracker_of_the_host_is_used_from_lua),
      cmocka_unit_test(a_tracker_of_lua_is_used_from_the_host),
      cmocka_unit_test(a_tracker_that_outlives_its_lua_state_fails_with_a_message),
      cmocka_unit_test(closing_the_state_delivers_what_a_registered_tracker_gathered),
      cmocka_unit_test(an_emit_on_another_thread_is_refused_by_lua_functions),
      cmocka_unit_test(an_observer_in_lua_hears_of_its_own_thread_only),
      cmocka_unit_test(opening_the_module_twice_is_harmless),
      cmocka_unit_test(the_module_survives_any_failing_allocation),
  };
  return cmocka_run_group_tests(tests, set_up, NULL);
}
