/* A gate is entered by one thread only. `owner` holds its pthread_t, or NOBODY while a
   script's state waits for the thread that will use it, or CLOSED. Whoever enters from Lua
   becomes the owner, because a thread that runs Lua code has the state; whoever enters from
   C must be the owner already. */
#include "script/state/gate.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "script/state/message.h"
#include "script/value/view.h"

enum { NOBODY = 0, CLOSED = 1 };

static uintptr_t me(void) { return (uintptr_t)pthread_self(); }

static void gate_unref(tw_gate *gate) {
  if (atomic_fetch_sub_explicit(&gate->refs, 1, memory_order_acq_rel) != 1) return;
  tw_buffer_fini(&gate->traceback);
  tw_free(gate);
}

static int close_gate(lua_State *L) {
  tw_gate **box = lua_touserdata(L, 1);
  if (!*box) return 0;
  atomic_store_explicit(&(*box)->owner, CLOSED, memory_order_release);
  gate_unref(*box);
  *box = NULL;
  return 0;
}

/* ---------------------------------------------------------------- handler */

/* The text of the error at index 1. One that has none tells at least where it was raised. */
static void push_text(lua_State *L) {
  if (lua_isstring(L, 1) || luaL_getmetafield(L, 1, "__tostring") != LUA_TNIL) {
    luaL_tolstring(L, 1, NULL);
    return;
  }
  tw_lua_push_where(L);
  lua_pushfstring(L, "the error is %s; raise a text", tw_lua_describe(L, 1));
  lua_concat(L, 2);
}

/* Runs where the error was raised. The mark of tidewire.drop and answers pass untouched; all
   else becomes text, and the traceback is kept beside it. */
static int handle(lua_State *L) {
  tw_lua *lua = tw_lua_self(L);
  lua_settop(L, 1);
  if (tw_guard_is_killed(lua->guard)) {
    lua->gate->traceback.len = 0;
    return 1;
  }
  if (tw_lua_is_drop(L, lua, 1) || tw_lua_is_answer(L, lua, 1)) {
    lua->gate->traceback.len = 0;
    return 1;
  }
  push_text(L);
  lua_replace(L, 1); /* the text alone */
  lua_settop(L, 1);
  tw_gate *gate = lua->gate;
  gate->traceback.len = 0;
  luaL_traceback(L, L, NULL, 1);
  size_t len;
  const char *text = lua_tolstring(L, -1, &len);
  if (!tw_buffer_append(&gate->traceback, text, len)) gate->traceback.len = 0;
  lua_settop(L, 1);
  return 1;
}

static int weak_table(lua_State *L) {
  lua_newtable(L);
  lua_createtable(L, 0, 1);
  lua_pushliteral(L, "v");
  lua_setfield(L, -2, "__mode");
  lua_setmetatable(L, -2);
  return luaL_ref(L, LUA_REGISTRYINDEX);
}

static int plain_table(lua_State *L) {
  lua_newtable(L);
  return luaL_ref(L, LUA_REGISTRYINDEX);
}

static lua_State *main_thread(lua_State *L) {
  lua_rawgeti(L, LUA_REGISTRYINDEX, LUA_RIDX_MAINTHREAD);
  lua_State *main = lua_tothread(L, -1);
  lua_pop(L, 1);
  return main;
}

/* The box that closes the gate is the first object with a finalizer, so the last to go. */
tw_gate *tw_gate_new(lua_State *L, tw_lua *lua) {
  tw_gate **box = lua_newuserdatauv(L, sizeof(tw_gate *), 0);
  *box = NULL;
  lua_createtable(L, 0, 1);
  lua_pushcfunction(L, close_gate);
  lua_setfield(L, -2, "__gc");
  lua_setmetatable(L, -2);
  luaL_ref(L, LUA_REGISTRYINDEX);
  tw_gate *gate = tw_calloc(1, sizeof *gate);
  if (!gate) return luaL_error(L, "out of memory"), NULL;
  *box = gate;
  atomic_init(&gate->refs, 1);
  atomic_init(&gate->owner, me());
  gate->lua = lua;
  gate->L = main_thread(L);
  lua->gate = gate;
  gate->live = weak_table(L);
  gate->trackers = plain_table(L);
  gate->classes = plain_table(L);
  tw_lua_pushfunction(L, lua, handle);
  gate->handler = luaL_ref(L, LUA_REGISTRYINDEX);
  return gate;
}

/* The floor of a script's main thread, below all calls from C. */
enum { HANDLER = 1, LIVE };

/* Whether no function is under way on the main thread. */
static inline bool is_on_floor(lua_State *L, const tw_lua *lua) {
  lua_Debug level;
  return L == lua->L && !lua_getstack(L, 0, &level);
}

void tw_gate_lay_floor(tw_gate *gate) {
  lua_State *L = gate->L;
  if (lua_gettop(L) != 0 || !is_on_floor(L, gate->lua)) return;
  tw_gate_push_handler(L, gate);
  lua_rawgeti(L, LUA_REGISTRYINDEX, gate->live);
  gate->has_floor = true;
}

void tw_gate_release(tw_gate *gate) {
  atomic_store_explicit(&gate->owner, NOBODY, memory_order_release);
}

bool tw_gate_borrow(tw_gate *gate) {
  uintptr_t nobody = NOBODY;
  return atomic_compare_exchange_strong(&gate->owner, &nobody, me());
}

/* ------------------------------------------------------------------ enter */

lua_State *tw_gate_into(tw_gate *gate, lua_State *L) {
  uintptr_t self = me();
  if (atomic_load_explicit(&gate->owner, memory_order_relaxed) != self)
    atomic_store_explicit(&gate->owner, self, memory_order_release);
  lua_State *outer = gate->L;
  gate->L = L;
  return outer;
}

void tw_gate_leave(tw_gate *gate, lua_State *outer) { gate->L = outer; }

lua_State *tw_gate_into_nested(tw_gate *gate, lua_State *L, tw_error *error) {
  if (gate->lua->depth >= TW_MAX_NESTED) {
    tw_fail(error, TW_ELIMIT, "emit inside of emit, %d deep: is this a loop?", TW_MAX_NESTED);
    return NULL;
  }
  gate->lua->depth++;
  return tw_gate_into(gate, L);
}

void tw_gate_leave_nested(tw_gate *gate, lua_State *outer) {
  gate->lua->depth--;
  tw_gate_leave(gate, outer);
}

static bool adopt(tw_gate *gate, uintptr_t owner, tw_error *error) {
  if (owner == NOBODY && atomic_compare_exchange_strong(&gate->owner, &owner, me()))
    return true;
  if (owner == CLOSED) tw_fail(error, TW_ECLOSED, "its Lua state is closed");
  else
    tw_fail(error, TW_ESCRIPT,
            "a Lua function cannot be called from another thread than its Lua state's; "
            "emit on that thread, or use a router script");
  return false;
}

lua_State *tw_gate_enter(tw_gate *gate, tw_error *error) {
  uintptr_t owner = atomic_load_explicit(&gate->owner, memory_order_acquire);
  if (owner != me() && !adopt(gate, owner, error)) return NULL;
  if (lua_checkstack(gate->L, LUA_MINSTACK)) return gate->L;
  tw_fail(error, TW_ELIMIT, "the Lua stack is full: is this a loop?");
  return NULL;
}

/* ------------------------------------------------------------------- call */

void tw_gate_push_handler(lua_State *L, const tw_gate *gate) {
  lua_rawgeti(L, LUA_REGISTRYINDEX, gate->handler);
}

/* Lua says of it neither where nor how much there is. */
static void tell_memory(const tw_guard *guard, tw_error *error) {
  if (!guard || !guard->refused) {
    tw_fail(error, TW_ENOMEM, "out of memory in Lua");
    return;
  }
  tw_fail(error, TW_ENOMEM,
          "out of memory%s: the script's Lua state may hold %.4g MiB; make it keep less, or "
          "raise --memory-limit",
          guard->scale > 1 ? " while loading" : "", (double)guard->memory / (double)(1 << 20));
}

/* The next step where Lua's words do not say it. */
static const char *hint_for(const char *line, const tw_gate *gate) {
  if (strncmp(line, "attempt to yield ", 17) == 0)
    return "; what a router calls cannot yield, but may run coroutines of its own";
  if (!gate->is_script) return "";
  if (strstr(line, " a nil value (global 'io')"))
    return "; scripts have no io unless it is granted: --grant io";
  if (strstr(line, " a nil value (global 'debug')"))
    return "; scripts have no debug unless it is granted: --grant debug";
  return "";
}

/* The value that was raised is on top: the handler made it text, unless there was no memory
   or the handler itself failed. */
static tw_outcome raised(tw_gate *gate, lua_State *L, int status, tw_error *error) {
  gate->answer.status = TW_OK;
  tw_guard_note_failure(gate->lua->guard);
  if (tw_guard_is_killed(gate->lua->guard)) {
    tw_guard_tell(gate->lua->guard, error);
    return TW_RAISED;
  }
  if (status == LUA_ERRMEM) {
    tell_memory(gate->lua->guard, error);
    return TW_RAISED;
  }
  if (tw_lua_is_drop(L, gate->lua, -1)) return TW_DROPPED;
  if (tw_lua_is_answer(L, gate->lua, -1)) {
    tw_answer_read(L, -1, &gate->answer, error);
    if (error) error->code = TW_ESCRIPT; /* unless it is a backend that raised it */
    return TW_RAISED;
  }
  const char *text = lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : NULL;
  char line[sizeof error->message];
  tw_message_line(text ? text : "an error that has no text", line, sizeof line);
  tw_fail(error, TW_ESCRIPT, "%s%s", line, hint_for(line, gate));
  return TW_RAISED;
}

tw_outcome tw_gate_pcall(tw_gate *gate, lua_State *L, int args, int results, tw_error *error) {
  int handler = lua_gettop(L) - args - 1;
  tw_guard *guard = gate->lua->guard;
  tw_outcome outcome = TW_RETURNED;
  tw_guard_enter(guard, L);
  int status = LUA_OK;
  if (!tw_guard_is_killed(guard)) status = lua_pcall(L, args, results, handler);
  gate->stopped = tw_guard_is_stopped(guard);
  if (status == LUA_OK && !tw_guard_is_killed(guard)) {
    lua_remove(L, handler);
  } else {
    outcome = raised(gate, L, status, error);
    lua_settop(L, handler - 1);
  }
  tw_guard_leave(guard, L);
  return outcome;
}

tw_outcome tw_gate_run(tw_gate *gate, lua_State *L, lua_CFunction body, void *argument,
                       int results, tw_error *error) {
  tw_gate_push_handler(L, gate);
  lua_pushcfunction(L, body);
  lua_pushlightuserdata(L, argument);
  return tw_gate_pcall(gate, L, 1, results, error);
}

tw_status tw_gate_call(tw_gate *gate, lua_CFunction body, void *argument, tw_error *error) {
  tw_error mine = {0};
  if (!error) error = &mine;
  lua_State *L = tw_gate_enter(gate, error);
  if (!L) return error->code;
  error->code = TW_OK;
  switch (tw_gate_run(gate, L, body, argument, 0, error)) {
    case TW_RETURNED: return TW_OK;
    case TW_DROPPED:
      return tw_fail(error, TW_ESCRIPT, "tidewire.drop() outside of a processor");
    case TW_RAISED: break;
  }
  return error->code;
}

/* -------------------------------------------------------------- callbacks */

lua_Integer tw_callback_hold(lua_State *L, tw_gate *gate, int index, int holds) {
  lua_Integer key = ++gate->last_key;
  lua_pushvalue(L, index);
  lua_rawseti(L, holds, key);
  lua_rawgeti(L, LUA_REGISTRYINDEX, gate->live);
  lua_pushvalue(L, index);
  lua_rawseti(L, -2, key);
  lua_pop(L, 1);
  return key;
}

void *tw_callback_new(lua_State *L, tw_lua *lua, int index, int holds, const tw_role *role,
                      size_t size) {
  lua_Integer key = tw_callback_hold(L, lua->gate, index, holds);
  tw_callback *callback = tw_calloc(1, size);
  if (!callback) return luaL_error(L, "out of memory"), NULL;
  *callback = (tw_callback){.gate = lua->gate, .key = key, .role = role};
  atomic_fetch_add_explicit(&lua->gate->refs, 1, memory_order_relaxed);
  return callback;
}

void tw_callback_free(void *self) {
  tw_callback *callback = self;
  gate_unref(callback->gate);
  tw_free(callback);
}

/* Where the function stands, such as "main.lua:12"; "" for what is no function in Lua. */
static void name_place(const tw_callback *callback, char *out, size_t room) {
  lua_State *L = callback->gate->L;
  lua_Debug info;
  out[0] = '\0';
  if (!lua_checkstack(L, 4)) return;
  tw_callback_push(L, callback);
  if (!lua_isfunction(L, -1)) {
    lua_pop(L, 1);
    return;
  }
  lua_getinfo(L, ">S", &info);
  if (info.linedefined >= 0) snprintf(out, room, "%s:%d", info.short_src, info.linedefined);
}

void tw_callback_settle(const tw_callback *callback, tw_breaker *breaker, const char *method,
                        bool stopped) {
  char name[LUA_IDSIZE + 16];
  if (method) snprintf(name, sizeof name, "%s", method);
  else name_place(callback, name, sizeof name);
  if (stopped) tw_breaker_note(breaker, callback->gate, callback->role, name);
  else if (breaker->until) tw_breaker_close(breaker, callback->gate, callback->role, name);
}

/* A finalizer runs after weak tables lost their values; what the object holds is still
   there, and its backends want a last flush. */
void tw_callback_revive(lua_State *L, tw_gate *gate, int holds) {
  lua_rawgeti(L, LUA_REGISTRYINDEX, gate->live);
  int live = lua_gettop(L);
  for (lua_pushnil(L); lua_next(L, holds); lua_pop(L, 1)) {
    if (!lua_isinteger(L, -2)) continue;
    lua_pushvalue(L, -1);
    lua_rawseti(L, live, lua_tointeger(L, -3));
  }
  lua_pop(L, 1);
}

static int push_and_call(lua_State *L) {
  tw_event_call *call = lua_touserdata(L, 1);
  int results = (int)lua_tointeger(L, 2);
  tw_callback_push(L, call->callback);
  tw_view_push(L, call->lua, call->serial);
  lua_call(L, 1, results);
  return lua_gettop(L) - 2;
}

/* In a host's state pushing a view may raise. */
static tw_outcome call_protected(tw_event_call *call, int results, tw_error *error) {
  lua_State *L = call->L;
  tw_gate *gate = call->callback->gate;
  call->first = call->top + 1;
  tw_gate_push_handler(L, gate);
  lua_pushcfunction(L, push_and_call);
  lua_pushlightuserdata(L, call);
  lua_pushinteger(L, results);
  return tw_gate_pcall(gate, L, 2, results, error);
}

/* In a state of ours a view is no object, so nothing outside of the function can raise. The
   handler stays below the results: taking it out would move them. On the floor, where no
   function of Lua's is under way, it stands ready. */
static tw_outcome call_light(tw_event_call *call, int results, tw_error *error) {
  lua_State *L = call->L;
  tw_gate *gate = call->callback->gate;
  int handler = HANDLER;
  if (gate->has_floor && is_on_floor(L, call->lua)) {
    lua_rawgeti(L, LIVE, call->callback->key);
  } else {
    handler = call->top + 1;
    tw_gate_push_handler(L, gate);
    tw_callback_push(L, call->callback);
  }
  call->first = lua_gettop(L);
  tw_view_push(L, call->lua, call->serial);
  tw_guard *guard = call->lua->guard;
  tw_guard_enter(guard, L);
  int status = LUA_OK;
  if (!tw_guard_is_killed(guard)) status = lua_pcall(L, 1, results, handler);
  call->stopped = tw_guard_is_stopped(guard);
  bool returned = status == LUA_OK && !tw_guard_is_killed(guard);
  tw_outcome outcome = returned ? TW_RETURNED : raised(gate, L, status, error);
  tw_guard_leave(guard, L);
  return outcome;
}

bool tw_event_call_begin(tw_event_call *call, tw_callback *callback, tw_event *event,
                         int results, tw_outcome *outcome, tw_error *error) {
  *outcome = TW_RAISED;
  if (callback->breaker.until && !tw_breaker_allows(&callback->breaker, callback->gate, error))
    return false;
  lua_State *L = tw_gate_enter(callback->gate, error);
  if (!L) return false;
  tw_lua *lua = callback->gate->lua;
  *call = (tw_event_call){callback, lua, L, lua_gettop(L), 0, tw_view_bind(lua, event), false};
  if (!call->serial) {
    tw_fail(error, TW_ELIMIT, "%d events are under way at once: is this a loop?", TW_MAX_BOUND);
    return false;
  }
  *outcome =
      lua->light ? call_light(call, results, error) : call_protected(call, results, error);
  return true;
}

void tw_event_call_end(tw_event_call *call) {
  tw_view_unbind(call->lua, call->serial);
  lua_settop(call->L, call->top);
  tw_callback *callback = call->callback;
  if (call->stopped || callback->breaker.until)
    tw_callback_settle(callback, &callback->breaker, NULL, call->stopped);
}
