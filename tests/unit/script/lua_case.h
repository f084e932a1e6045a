/// lua_case.h: Lua snippets as test cases: an event, a script, and what it returns.
///
/// A script sees `tw`, `cjson` and `event`, and a function `ended()` that gives a view whose
/// event has ended. Its results are joined by blanks, each as `tostring` shows it; an error
/// is "error: " with the message without `case:1: `.
#ifndef TW_LUA_CASE_H
#define TW_LUA_CASE_H

#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "script/state/bindings.h"
#include "script/value/value.h"
#include "script/value/view.h"

int luaopen_cjson(lua_State *L);

typedef struct lua_case {
  const char *event;  ///< NULL means {}
  const char *script; ///< a chunk; "return …" usually
  const char *want;   ///< NULL: not compared
} lua_case;

/// A Lua state with an event bound in it.
typedef struct lua_bed {
  lua_State *L;
  tw_lua *lua;
  tw_store store;
  tw_event event;
  uint64_t serial;
} lua_bed;

static int bed_ended(lua_State *L) {
  tw_lua *lua = tw_lua_self(L);
  tw_event event = *lua->bound[lua_tointeger(L, lua_upvalueindex(2))].event;
  uint64_t serial = tw_view_bind(lua, &event);
  tw_view_push(L, lua, serial);
  tw_view_unbind(lua, serial);
  return 1;
}

static void bed_open_module(lua_bed *bed, bool light) {
  lua_State *L = bed->L;
  bed->lua = tw_lua_new(L, light);
  lua_newtable(L);
  tw_lua_open_event(L, bed->lua);
  lua_setglobal(L, "tw");
  luaL_requiref(L, "cjson", luaopen_cjson, 1);
  lua_pop(L, 1);
}

static void bed_bind(lua_bed *bed, const char *json) {
  tw_error error = {0};
  tw_store_init(&bed->store, NULL);
  if (tw_store_parse_copy(&bed->store, json, strlen(json), &bed->event, &error))
    fail_msg("%s: %s", json, error.message);
  bed->serial = tw_view_bind(bed->lua, &bed->event);
  tw_view_push(bed->L, bed->lua, bed->serial);
  lua_setglobal(bed->L, "event");
  lua_pushlightuserdata(bed->L, bed->lua);
  lua_pushinteger(bed->L, (lua_Integer)(bed->serial % TW_MAX_BOUND));
  lua_pushcclosure(bed->L, bed_ended, 2);
  lua_setglobal(bed->L, "ended");
}

static inline void bed_init(lua_bed *bed, bool light, const char *json) {
  memset(bed, 0, sizeof *bed);
  bed->L = luaL_newstate();
  luaL_openlibs(bed->L);
  bed_open_module(bed, light);
  bed_bind(bed, json ? json : "{}");
}

static inline void bed_fini(lua_bed *bed) {
  tw_view_unbind(bed->lua, bed->serial);
  tw_event_end(&bed->event);
  lua_close(bed->L);
  tw_store_fini(&bed->store);
}

/* Runs a script and leaves its results as one string. */
static inline const char *bed_run(lua_bed *bed, const char *script) {
  lua_State *L = bed->L;
  lua_settop(L, 0);
  bool failed =
      luaL_loadbuffer(L, script, strlen(script), "=case") || lua_pcall(L, 0, LUA_MULTRET, 0);
  int count = lua_gettop(L);
  luaL_Buffer out;
  luaL_buffinit(L, &out);
  if (failed) luaL_addstring(&out, "error: ");
  for (int i = 1; i <= count; i++) {
    const char *text = luaL_tolstring(L, i, NULL);
    if (failed && !strncmp(text, "case:1: ", 8)) lua_pushstring(L, text + 8), lua_remove(L, -2);
    luaL_addvalue(&out);
    if (i < count) luaL_addchar(&out, ' ');
  }
  luaL_pushresult(&out);
  return lua_tostring(L, -1);
}

/// Runs each case in a state of ours and in a host's.
static inline void run_cases(const lua_case *cases, size_t count) {
  size_t wrong = 0;
  for (size_t i = 0; i < 2 * count; i++) {
    lua_bed bed;
    const lua_case *c = &cases[i / 2];
    bed_init(&bed, i % 2 == 0, c->event);
    const char *got = bed_run(&bed, c->script);
    if (c->want && strcmp(got, c->want)) {
      print_error("%s views: %s\n  event %s\n  want  %s\n  got   %s\n",
                  bed.lua->light ? "light" : "full", c->script, c->event ? c->event : "{}",
                  c->want, got);
      wrong++;
    }
    bed_fini(&bed);
  }
  assert_int_equal(wrong, 0);
}

#define RUN_CASES(cases) run_cases(cases, sizeof(cases) / sizeof *(cases))

#endif
