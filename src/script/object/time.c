/* time.c: the clock of a state as scripts see it, and the calls of timers.

   Within the library time is whole microseconds, so that nothing is lost in adding; scripts
   see seconds. A test may turn the clock by hand: then both clocks tell the same time. */
#include "script/object/time.h"

#include <math.h>
#include <string.h>

#include "base/status.h"
#include "core/inspect.h"
#include "script/object/object.h"
#include "script/state/message.h"
#include "script/value/value.h"
#include "script/value/view.h"

/* The difference of two times fits. */
#define FARTHEST ((lua_Integer)1 << 60)

int64_t tw_lua_utc(const tw_lua *lua) {
  return lua->by_hand ? lua->hand_us : lua->clock.utc_us(lua->clock.self);
}

int64_t tw_lua_steady(const tw_lua *lua) {
  return lua->by_hand ? lua->hand_us : lua->clock.steady_us(lua->clock.self);
}

static void push_hook(lua_State *L, const tw_lua *lua, tw_hook hook) {
  lua_rawgeti(L, LUA_REGISTRYINDEX, lua->hooks);
  lua_rawgeti(L, -1, hook);
  lua_replace(L, -2);
}

/* -------------------------------------------------------------------- clocks */

static void shift(lua_State *L, const tw_lua *lua, int64_t before) {
  if (lua->due == TW_NEVER) return;
  push_hook(L, lua, TW_HOOK_SHIFT);
  lua_pushinteger(L, tw_lua_steady(lua) - before);
  lua_call(L, 1, 0);
}

void tw_lua_set_clock(lua_State *L, tw_lua *lua, const tw_clock *clock) {
  int64_t before = tw_lua_steady(lua);
  lua->clock = clock ? *clock : tw_clock_real;
  shift(L, lua, before);
}

/* turn(microseconds): the clock of tests tells this time; turn(nil): the real one is back.
   turn(microseconds, true) lets time pass: timers come nearer. */
static int turn(lua_State *L) {
  tw_lua *lua = tw_lua_self(L);
  int64_t before = tw_lua_steady(lua);
  bool by_hand = !lua_isnoneornil(L, 1);
  lua_Integer us = luaL_optinteger(L, 1, 0);
  luaL_argcheck(L, us > -FARTHEST && us < FARTHEST, 1, "microseconds since 1970 expected");
  lua->by_hand = by_hand;
  if (by_hand) lua->hand_us = us;
  if (!lua_toboolean(L, 2)) shift(L, lua, before);
  return 0;
}

static int steady(lua_State *L) {
  lua_pushinteger(L, tw_lua_steady(tw_lua_self(L)));
  return 1;
}

/* call_number(): of the call from outside that is under way; another one has another. In a
   host's state, where no call is ever cut off, it is always 0. */
static int call_number(lua_State *L) {
  const tw_guard *guard = tw_lua_self(L)->guard;
  lua_pushinteger(L, guard ? (lua_Integer)atomic_load(&guard->turn) : 0);
  return 1;
}

static int utc(lua_State *L) {
  lua_pushinteger(L, tw_lua_utc(tw_lua_self(L)));
  return 1;
}

/* ----------------------------------------------------------------- for scripts */

static int now(lua_State *L) {
  lua_pushnumber(L, (lua_Number)tw_lua_utc(tw_lua_self(L)) / 1e6);
  return 1;
}

/* format_time([seconds]) -> RFC 3339 */
static int format_time(lua_State *L) {
  char text[TW_RFC3339_LEN];
  int64_t us = tw_lua_utc(tw_lua_self(L));
  if (!lua_isnoneornil(L, 1)) {
    lua_Number seconds = luaL_checknumber(L, 1);
    luaL_argcheck(L, seconds > -1e12 && seconds < 1e12, 1, "seconds since 1970 expected");
    us = llround(seconds * 1e6);
  }
  tw_rfc3339(us, text);
  lua_pushlstring(L, text, sizeof text);
  return 1;
}

/* parse_time(text) -> seconds since 1970; nil for what is no such text */
static int parse_time(lua_State *L) {
  size_t len;
  int64_t us;
  const char *text = lua_type(L, 1) == LUA_TSTRING ? lua_tolstring(L, 1, &len) : NULL;
  if (!text || !tw_rfc3339_read(text, len, &us)) return 0;
  lua_pushnumber(L, (lua_Number)us / 1e6);
  return 1;
}

/* -------------------------------------------------------------------- timers */

static int set_due(lua_State *L) {
  tw_lua_self(L)->due = luaL_optinteger(L, 1, TW_NEVER);
  return 0;
}

/* breaker() -> one that is closed, for C alone */
static int new_breaker(lua_State *L) {
  memset(lua_newuserdatauv(L, sizeof(tw_breaker), 0), 0, sizeof(tw_breaker));
  tw_lua_push_mark(L, tw_lua_self(L), TW_MARK_BREAKER);
  lua_setmetatable(L, -2);
  return 1;
}

/* rest(breaker) -> microseconds until its function may run */
static int rest(lua_State *L) {
  tw_lua *lua = tw_lua_self(L);
  bool is_breaker = lua_isuserdata(L, 1) && tw_lua_has_mark(L, lua, 1, TW_MARK_BREAKER);
  luaL_argexpected(L, is_breaker, 1, "breaker");
  lua_pushinteger(L, tw_breaker_rest(lua_touserdata(L, 1), lua->gate));
  return 1;
}

/* C trusts the library's hooks: a script cannot put others in their place. */
static int set_hooks(lua_State *L) {
  tw_lua *lua = tw_lua_self(L);
  if (lua->guard && lua->hooks != LUA_NOREF)
    return luaL_error(L, "set_hooks: these are the library's own");
  luaL_checktype(L, 1, LUA_TTABLE);
  lua_settop(L, 1);
  lua->hooks = luaL_ref(L, LUA_REGISTRYINDEX);
  return 0;
}

typedef struct ticking {
  tw_gate *gate;
  tw_router *told;
  tw_status status; /* the first failure, when nobody is told */
  tw_error *error;
} ticking;

static void failed(ticking *tick, const char *name, const tw_error *error) {
  if (tick->told) tw_router_report(tick->told, "timer", name, error);
  else if (!tick->status) {
    tick->status = error->code;
    if (tick->error) *tick->error = *error;
  }
}

/* Leaves the next timer, its name and its breaker. @return false when there is none */
static bool pop(ticking *tick, lua_State *L, int64_t at, bool first) {
  tw_error error = {0};
  tw_gate_push_handler(L, tick->gate);
  push_hook(L, tick->gate->lua, TW_HOOK_POP);
  lua_pushinteger(L, at);
  lua_pushboolean(L, first);
  if (tw_gate_pcall(tick->gate, L, 2, 3, &error) == TW_RETURNED) return !lua_isnil(L, -3);
  failed(tick, NULL, &error);
  return false;
}

/* The breaker of a timer is of its name, so of the place where its function stands: a chain
   of timers that make each other has one. */
static void settle(const ticking *tick, tw_breaker *breaker, const char *name) {
  static const tw_role role = {"a timer",
                               "its calls are left out, or put off when it runs once"};
  if (tick->gate->stopped) tw_breaker_note(breaker, tick->gate, &role, name);
  else if (breaker->until) tw_breaker_close(breaker, tick->gate, &role, name);
}

/* The timer, its name and its breaker are on top; all are good until they are taken off. */
static void call(ticking *tick, lua_State *L) {
  tw_error error = {0};
  tw_breaker *breaker = lua_touserdata(L, -1);
  const char *name = lua_tostring(L, -2);
  if (breaker->until && !tw_breaker_allows(breaker, tick->gate, &error)) return;
  tw_gate_push_handler(L, tick->gate);
  lua_pushvalue(L, -4);
  tw_outcome outcome = tw_gate_pcall(tick->gate, L, 0, 0, &error);
  settle(tick, breaker, name);
  switch (outcome) {
    case TW_RETURNED: return;
    case TW_DROPPED:
      tw_fail(&error, TW_ESCRIPT, "tidewire.drop() outside of a processor");
      break;
    case TW_RAISED: break;
  }
  failed(tick, name, &error);
}

/* The time is read once, and what timers add is left for the next tick: it ends. */
tw_status tw_timers_run(tw_gate *gate, tw_router *told, tw_error *error) {
  ticking tick = {gate, told, TW_OK, error};
  tw_error mine = {0};
  tw_lua *lua = gate->lua;
  if (!tw_timers_due(lua)) return TW_OK;
  lua_State *L = tw_gate_enter(gate, &mine);
  if (!L) {
    failed(&tick, NULL, &mine);
    return tick.status;
  }
  int top = lua_gettop(L);
  int64_t at = tw_lua_steady(lua);
  lua->ticking = true;
  for (bool first = true; pop(&tick, L, at, first); first = false) {
    call(&tick, L);
    lua_settop(L, top);
  }
  lua_settop(L, top);
  lua->ticking = false;
  return tick.status;
}

void tw_timers_between(lua_State *L, tw_lua *lua, tw_router *told) {
  if (lua->gate->is_script || lua->depth || !told || !tw_timers_due(lua)) return;
  lua_State *outer = tw_gate_into(lua->gate, L);
  tw_timers_run(lua->gate, told, NULL);
  tw_gate_leave(lua->gate, outer);
}

/* run_timers() -> true, or nil, message, code of the first that failed */
static int run_timers(lua_State *L) {
  tw_lua *lua = tw_lua_self(L);
  tw_error error = {0};
  lua_State *outer = tw_gate_into(lua->gate, L);
  tw_status status = tw_timers_run(lua->gate, NULL, &error);
  tw_gate_leave(lua->gate, outer);
  return tw_lua_result(L, status, &error);
}

/* tick(tree): runs what is due; its observer is told what fails */
static int tick(lua_State *L) {
  tw_lua *lua = tw_lua_self(L);
  const tw_handle *tree = tw_handle_check_tree(L, lua, 1);
  lua_State *outer = tw_gate_into(lua->gate, L);
  tw_timers_run(lua->gate, tree->router, NULL);
  tw_gate_leave(lua->gate, outer);
  return 0;
}

/* report(tree or nil, where, name, message) -> whether there was somebody to tell */
static int report(lua_State *L) {
  tw_lua *lua = tw_lua_self(L);
  tw_router *told = lua->gate->root;
  if (!lua_isnil(L, 1)) told = tw_handle_check_tree(L, lua, 1)->router;
  const char *where = luaL_checkstring(L, 2), *name = luaL_checkstring(L, 3);
  tw_error error;
  tw_fail(&error, TW_ESCRIPT, "%s", luaL_checkstring(L, 4));
  lua_State *outer = tw_gate_into(lua->gate, L);
  if (told) tw_router_report(told, where, name, &error);
  tw_gate_leave(lua->gate, outer);
  lua_pushboolean(L, told != NULL);
  return 1;
}

/* --------------------------------------------------------------------- hooks */

typedef struct hooking {
  const tw_lua *lua;
  tw_hook hook;
  const char *text;
  size_t len;
  tw_buffer *out;
} hooking;

static int call_hook(lua_State *L) {
  hooking *to = lua_touserdata(L, 1);
  size_t len = 0;
  push_hook(L, to->lua, to->hook);
  if (to->text) lua_pushlstring(L, to->text, to->len);
  lua_call(L, to->text ? 1 : 0, 1);
  const char *text = lua_tolstring(L, -1, &len);
  if (to->out && text && !tw_buffer_append(to->out, text, len)) luaL_error(L, "out of memory");
  return 0;
}

tw_status tw_hook_call(tw_gate *gate, tw_hook hook, const char *text, size_t len,
                       tw_buffer *out, tw_error *error) {
  hooking to = {gate->lua, hook, text, len, out};
  return tw_gate_call(gate, call_hook, &to, error);
}

/* write(value, name) -> JSON text; or nil and what is wrong with which part of it */
static int write_json(lua_State *L) {
  tw_lua *lua = tw_lua_self(L);
  const char *root = luaL_checkstring(L, 2);
  tw_buffer *out = tw_lua_scratch(L, lua);
  tw_error error = {0};
  if (tw_value_write(L, lua, 1, root, out, &error)) return tw_lua_fail(L, &error);
  lua_pushlstring(L, out->data, out->len);
  return 1;
}

/* read(JSON text of an object) -> view; or nil and what is wrong. A state may be larger than an
   event. */
static int read_json(lua_State *L) {
  size_t len;
  const char *json = luaL_checklstring(L, 1, &len);
  tw_error error = {0};
  if (tw_view_push_large(L, tw_lua_self(L), json, len, &error)) return tw_lua_fail(L, &error);
  return 1;
}

void tw_open_time(lua_State *L, tw_lua *lua) {
  static const luaL_Reg functions[] = {{"turn", turn},
                                       {"steady", steady},
                                       {"utc", utc},
                                       {"call_number", call_number},
                                       {"set_due", set_due},
                                       {"set_hooks", set_hooks},
                                       {"run_timers", run_timers},
                                       {"breaker", new_breaker},
                                       {"rest", rest},
                                       {"tick", tick},
                                       {"report", report},
                                       {"write_json", write_json},
                                       {"read_json", read_json},
                                       {NULL, NULL}};
  tw_lua_setfuncs(L, lua, functions);
}

void tw_lua_open_time(lua_State *L, tw_lua *lua) {
  static const luaL_Reg functions[] = {
      {"now", now}, {"format_time", format_time}, {"parse_time", parse_time}, {NULL, NULL}};
  tw_lua_setfuncs(L, lua, functions);
}
