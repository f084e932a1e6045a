/* Every allocation fails once, of Lua and of ours, one after the other: errors, no crash, no
   leak, and the state goes on to work. */
#include <stdlib.h>

#include "lua_case.h"
#include "support/oom.h"

/* Lua's allocator; the n-th allocation from now and all later ones fail. */
typedef struct lua_oom {
  size_t left;
  bool armed, failed;
} lua_oom;

static void *lua_alloc(void *self, void *block, size_t old, size_t size) {
  lua_oom *oom = self;
  (void)old;
  if (!size) {
    free(block);
    return NULL;
  }
  bool grows = !block || size > old;
  if (oom->armed && grows && oom->left-- == 0) {
    oom->left = 0;
    oom->failed = true;
    return NULL;
  }
  return realloc(block, size);
}

static const char *const scripts[] = {
    "return event.name .. event.data.user.id .. event['\\u{e9}\\n']",
    "event.data.user.n = 1 event.data.list[1] = 'x' event.data.user = nil event.s = 'long' .. "
    "('x'):rep(100)",
    "event.x = {a = {1, 2, {b = 'c'}}, d = event.data} event.x.a[3].b = nil",
    "for k, v in pairs(event) do event[k] = k .. 'x' end for i, v in pairs(event) do local _ = "
    "v end",
    "local many = {} for i = 1, 40 do many['k' .. i] = i end event.many = many for k in "
    "pairs(event.many) do local _ = k end",
    "return tostring(event), tw.encode {event, {x = 'y'}}, tw.totable(event).data.list[2]",
    "local e = assert(tw.event '{\"a\":{\"b\":[1]}}') e.a.b[2] = {c = 1} local f = "
    "assert(tw.event(e)) f.z = e.a return f",
    "return tw.event {a = {b = 1}}, assert(tw.decode '[1,{\"a\":2}]')[2].a, assert(tw.decode "
    "('\"x\\\\u00e9\"'))",
    "local p = tw.path 'data.*.id' p:map(event, function(v) return v .. 'x' end) p:set(event, "
    "'y') "
    "p:remove(event) tw.path 'n.m':set(event, 1) return tw.path 'n.m':get(event), tostring(p)",
    "return #event.id, tw.uuid7(), tw.split(event, {}), tw.array {}, pcall(tw.drop)",
    "table.insert(event.data.list, {1}) table.sort(event.data.list, function() return false "
    "end) "
    "table.remove(event.data.list, 1)",
    "pcall(function() event.x = print end) pcall(function() return ended().x end)",
};

static const char event_json[] =
    "{\"name\":\"n\",\"data\":{\"user\":{\"id\":\"u\"},\"list\":[1,{\"a\":null},\"\\u00e9\"]},"
    "\"\\u00e9\\n\":\"k\\ty\"}";

static int run_script(lua_State *L) {
  const char *script = lua_touserdata(L, 1);
  luaL_checkstack(L, 20, NULL);
  if (luaL_loadbuffer(L, script, strlen(script), "=case")) return lua_error(L);
  lua_call(L, 0, 0);
  return 0;
}

static int protected_run(lua_bed *bed, const char *script) {
  lua_settop(bed->L, 0);
  lua_pushcfunction(bed->L, run_script);
  lua_pushlightuserdata(bed->L, (void *)(uintptr_t)script);
  return lua_pcall(bed->L, 1, 0, 0);
}

static void init(lua_bed *bed, lua_oom *oom, bool light) {
  memset(bed, 0, sizeof *bed);
  *oom = (lua_oom){0};
  bed->L = lua_newstate(lua_alloc, oom);
  luaL_openlibs(bed->L);
  bed_open_module(bed, light);
  bed_bind(bed, event_json);
}

static void expect_memory_error(lua_bed *bed, int status, const char *script) {
  assert_int_not_equal(status, LUA_OK);
  const char *message = lua_tostring(bed->L, -1);
  if (!message || (!strstr(message, "memory") && status != LUA_ERRMEM))
    fail_msg("%s: %s", script, message ? message : "no message");
}

/* Runs a script with allocation `n` failing, in a state of its own.
   @return whether any did */
static bool run_with_lua_failing(const char *script, size_t n, bool light) {
  lua_bed bed;
  lua_oom oom;
  init(&bed, &oom, light);
  lua_gc(bed.L, LUA_GCCOLLECT);
  oom = (lua_oom){.left = n, .armed = true};
  int status = protected_run(&bed, script);
  oom.armed = false;
  if (status) expect_memory_error(&bed, status, script);

  assert_int_equal(protected_run(&bed, "return tostring(event), event.again == nil"), LUA_OK);
  bed_fini(&bed);
  return oom.failed;
}

static void lua_running_out_of_memory_is_an_error(void **state) {
  (void)state;
  for (size_t i = 0; i < sizeof scripts / sizeof *scripts; i++)
    for (int light = 0; light < 2; light++)
      for (size_t n = 0; run_with_lua_failing(scripts[i], n, light); n++) assert_true(n < 2000);
  assert_int_equal(tw_oom_live(), 0);
}

/* The same with our allocator failing. */
static bool run_with_ours_failing(const char *script, size_t n, bool light) {
  lua_bed bed;
  lua_oom oom;
  init(&bed, &oom, light);
  tw_buffer_fini(&bed.lua->scratch);
  tw_oom_fail_at(n);
  int status = protected_run(&bed, script);
  bool failed = tw_oom_off();
  if (status) expect_memory_error(&bed, status, script);
  assert_int_equal(protected_run(&bed, "return tostring(event), tw.encode(event)"), LUA_OK);
  bed_fini(&bed);
  return failed;
}

static void running_out_of_memory_is_an_error(void **state) {
  (void)state;
  for (size_t i = 0; i < sizeof scripts / sizeof *scripts; i++)
    for (int light = 0; light < 2; light++)
      for (size_t n = 0; run_with_ours_failing(scripts[i], n, light); n++)
        assert_true(n < 2000);
  assert_int_equal(tw_oom_live(), 0);
}

static int open_module(lua_State *L) {
  lua_bed bed = {.L = L};
  bed_open_module(&bed, lua_touserdata(L, 1) != NULL);
  return 0;
}

static bool open_with_lua_failing(size_t n, bool light) {
  lua_oom oom = {0};
  lua_State *L = lua_newstate(lua_alloc, &oom);
  oom = (lua_oom){.left = n, .armed = true};
  lua_pushcfunction(L, open_module);
  lua_pushlightuserdata(L, light ? (void *)&oom : NULL);
  int status = lua_pcall(L, 1, 0, 0);
  assert_int_equal(status != LUA_OK, oom.failed);
  oom.armed = false;
  lua_close(L);
  return oom.failed;
}

static void a_state_that_cannot_be_made_is_closed_cleanly(void **state) {
  (void)state;
  for (int light = 0; light < 2; light++)
    for (size_t n = 0; open_with_lua_failing(n, light); n++) assert_true(n < 2000);
  assert_int_equal(tw_oom_live(), 0);
}

static void discarded_events_are_freed_as_if_lua_had_made_them(void **state) {
  (void)state;
  lua_bed bed;
  lua_oom oom;
  init(&bed, &oom, true);
  assert_int_equal(
      protected_run(
          &bed,
          "local t = '[' .. ('1,'):rep(20000) .. '1]' for i = 1, 500 do tw.decode(t) end"),
      LUA_OK);
  assert_true(tw_oom_live() < 100); /* of some 1000 blocks */
  bed_fini(&bed);
  assert_int_equal(tw_oom_live(), 0);
}

int main(void) {
  tw_oom_install();
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(lua_running_out_of_memory_is_an_error),
      cmocka_unit_test(running_out_of_memory_is_an_error),
      cmocka_unit_test(discarded_events_are_freed_as_if_lua_had_made_them),
      cmocka_unit_test(a_state_that_cannot_be_made_is_closed_cleanly),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
