/* Failures told to Lua. What cannot be told there, because the function fails itself or
   because another thread found the failure, goes to standard error. */
#include <stdio.h>

#include "script/object/processor.h"
#include "script/value/view.h"

typedef struct watcher {
  tw_callback failed, dead; /* one reference to the gate; key 0: none */
} watcher;

static const tw_role failed_role = {"on_failure", "failures go to standard error"};
static const tw_role dead_role = {"on_dead", "dead letters are told on standard error"};

typedef struct telling {
  const tw_callback *callback;
  const tw_failure *failure;
  tw_lua *lua;
  uint64_t serial; /* of the event's binding; 0: no event */
} telling;

static void set_text(lua_State *L, const char *field, const char *text) {
  if (!text) return;
  lua_pushstring(L, text);
  lua_setfield(L, -2, field);
}

static void push_failure(lua_State *L, const telling *tell) {
  const tw_failure *failure = tell->failure;
  lua_createtable(L, 0, 8);
  set_text(L, "where", failure->where);
  set_text(L, "path", failure->path);
  set_text(L, "name", failure->name);
  set_text(L, "message", failure->error->message);
  set_text(L, "code", tw_status_name(failure->error->code));
  lua_pushinteger(L, (lua_Integer)failure->events);
  lua_setfield(L, -2, "events");
  const tw_buffer *traceback = &tell->lua->gate->traceback;
  if (failure->error->code == TW_ESCRIPT && traceback->len) {
    lua_pushlstring(L, traceback->data, traceback->len);
    lua_setfield(L, -2, "traceback");
  }
  if (!tell->serial) return;
  tw_view_push(L, tell->lua, tell->serial);
  lua_setfield(L, -2, "event");
}

static int call_with_failure(lua_State *L) {
  const telling *tell = lua_touserdata(L, 1);
  tw_callback_push(L, tell->callback);
  push_failure(L, tell);
  lua_call(L, 1, 0);
  return 0;
}

static void tell_stderr(const tw_failure *failure, const tw_error *why) {
  fprintf(stderr, "tidewire: %s %s%s%s: %s", failure->where, failure->path,
          failure->name ? " " : "", failure->name ? failure->name : "",
          failure->error->message);
  fprintf(stderr, " (the observer could not be told: %s)\n", why->message);
}

static lua_State *enter(tw_callback *callback, tw_error *error) {
  tw_breaker *breaker = &callback->breaker;
  if (breaker->until && !tw_breaker_allows(breaker, callback->gate, error)) return NULL;
  return tw_gate_enter(callback->gate, error);
}

static void tell(tw_callback *callback, const tw_failure *failure) {
  tw_gate *gate = callback->gate;
  tw_error error = {0};
  lua_State *L = enter(callback, &error);
  if (!L) {
    tell_stderr(failure, &error);
    return;
  }
  telling told = {callback, failure, gate->lua, 0};
  if (failure->event) told.serial = tw_view_bind(gate->lua, failure->event);
  int top = lua_gettop(L);
  if (tw_gate_run(gate, L, call_with_failure, &told, 0, &error) == TW_RAISED)
    tell_stderr(failure, &error);
  bool stopped = gate->stopped;
  lua_settop(L, top);
  if (told.serial) tw_view_unbind(gate->lua, told.serial);
  tw_callback_settle(callback, &callback->breaker, NULL, stopped);
}

static void failed(void *self, const tw_failure *failure) {
  watcher *watching = self;
  tell(&watching->failed, failure);
}

static void dead(void *self, const tw_failure *failure) {
  watcher *watching = self;
  tell(&watching->dead, failure);
}

static lua_Integer hold(lua_State *L, tw_lua *lua, int index, int holds) {
  if (lua_isnoneornil(L, index)) return 0;
  return tw_callback_hold(L, lua->gate, index, holds);
}

tw_status tw_lua_observer_set(lua_State *L, tw_lua *lua, int on_failure, int on_dead, int holds,
                              tw_router *router, tw_error *error) {
  lua_Integer dead_key = hold(L, lua, on_dead, holds);
  watcher *self = tw_callback_new(L, lua, on_failure, holds, &failed_role, sizeof *self);
  self->dead = (tw_callback){.gate = self->failed.gate, .key = dead_key, .role = &dead_role};
  tw_observer ops = {lua_isnoneornil(L, on_failure) ? NULL : failed, dead_key ? dead : NULL,
                     tw_callback_free};
  return tw_router_set_observer(router, &ops, self, error);
}
