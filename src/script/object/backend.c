/* Backends that are Lua objects, and the shipped kinds as Lua sees them.

   An object with `send_batch` gathers copies of its events while more follow, up to
   BATCH, or a quarter of the script's memory; they are handed over as views that Lua owns, so
   it may keep them. What a batch loses that was accepted before is told by the next flush.

   What is called again and again has a breaker: one for events, one for flushes. */
#include <stdio.h>

#include "script/object/object.h"
#include "script/state/message.h"
#include "script/state/room.h"
#include "script/value/value.h"
#include "script/value/view.h"

enum { BATCH = 1000 };

typedef struct lua_backend {
  tw_callback callback; /* the object; its breaker is that of send and send_batch */
  tw_breaker flushing;
  bool batches;
  tw_event **gathered; /* owned copies */
  size_t count, cap;
  size_t weight; /* about the bytes that they will take as events of Lua's */
  size_t most;   /* of these, so that they do not fill the script's memory */
  uint64_t lost; /* accepted before, and given up since the last flush */
} lua_backend;

/* ------------------------------------------------------- call a method */

typedef struct method_call {
  lua_backend *self;
  const char *method;
  uint64_t serial; /* of the event's binding; 0: no event */
  tw_error *error;
  tw_status status;
} method_call;

/* nil and true are success; false, or a message behind nil, is failure. */
static tw_status result_of(lua_State *L, int first, const char *method, tw_error *error) {
  bool no_value = lua_isnil(L, first);
  if (lua_toboolean(L, first) || (no_value && lua_isnil(L, first + 1))) return TW_OK;
  const char *message = luaL_tolstring(L, first + 1, NULL);
  if (lua_isnil(L, first + 1)) message = "it returned false";
  return tw_fail(error, TW_EIO, "%s: %s", method, message);
}

/* Moves the gathered events into a list of views. */
static void push_batch(lua_State *L, lua_backend *self, tw_error *error) {
  lua_createtable(L, (int)self->count, 0);
  for (size_t i = 0; i < self->count; i++) {
    if (tw_view_push_copy(L, self->callback.gate->lua, self->gathered[i], error))
      luaL_error(L, "%s", error->message);
    lua_rawseti(L, -2, (lua_Integer)i + 1);
  }
}

static int call_method(lua_State *L) {
  method_call *call = lua_touserdata(L, 1);
  tw_callback_push(L, &call->self->callback); /* call, object */
  if (lua_isnil(L, 2)) return luaL_error(L, "the backend was collected");
  bool has_events = call->serial || call->self->count;
  if (lua_getfield(L, 2, call->method) == LUA_TNIL)
    return has_events ? luaL_error(L, "the backend has no %s any more", call->method) : 0;
  lua_pushvalue(L, 2);
  int args = 1;
  if (has_events) {
    if (call->serial) tw_view_push(L, call->self->callback.gate->lua, call->serial);
    else push_batch(L, call->self, call->error);
    args = 2;
  }
  lua_call(L, args, 2);
  call->status = result_of(L, 3, call->method, call->error);
  return 0;
}

static tw_status run(lua_backend *self, const char *method, uint64_t serial, tw_error *error) {
  tw_error mine = {0};
  method_call call = {self, method, serial, error ? error : &mine, TW_OK};
  tw_status status = tw_gate_call(self->callback.gate, call_method, &call, call.error);
  return status ? status : call.status;
}

/* The same with a breaker, which is not in `self` when that is a batch's. */
static tw_status run_guarded(lua_backend *self, tw_breaker *breaker, const char *method,
                             uint64_t serial, tw_error *error) {
  tw_error mine = {0};
  tw_gate *gate = self->callback.gate;
  if (!error) error = &mine;
  if (breaker->until && !tw_breaker_allows(breaker, gate, error)) return error->code;
  gate->stopped = false;
  tw_status status = run(self, method, serial, error);
  if (gate->stopped || breaker->until)
    tw_callback_settle(&self->callback, breaker, method, gate->stopped);
  return status;
}

/* ------------------------------------------------------------ gathering */

static void forget(lua_backend *self) {
  for (size_t i = 0; i < self->count; i++) tw_event_free(self->gathered[i]);
  self->count = self->weight = 0;
}

static tw_status gather(lua_backend *self, const tw_event *event, tw_error *error) {
  if (self->count == self->cap) {
    size_t cap = self->cap ? self->cap * 2 : 16;
    tw_event **grown = tw_realloc(self->gathered, cap * sizeof(tw_event *));
    if (!grown) return tw_no_memory(error);
    self->gathered = grown;
    self->cap = cap;
  }
  tw_event **copy = self->gathered + self->count;
  tw_status status = tw_event_copy(event, copy, error);
  if (status) return status;
  self->count++;
  self->weight += tw_room_owned((*copy)->store);
  return TW_OK;
}

/* The batch is taken out of `self` first: send_batch may emit into this very backend. */
static tw_status deliver(lua_backend *self, tw_error *error) {
  if (!self->count) return TW_OK;
  lua_backend batch = *self;
  self->gathered = NULL;
  self->count = self->cap = self->weight = 0;
  tw_status status = run_guarded(&batch, &self->callback.breaker, "send_batch", 0, error);
  forget(&batch);
  if (self->gathered) tw_free(batch.gathered);
  else {
    self->gathered = batch.gathered;
    self->cap = batch.cap;
  }
  return status;
}

static tw_status send_in_batch(lua_backend *self, const tw_event *event, unsigned flags,
                               tw_error *error) {
  tw_status status = gather(self, event, error);
  if (status || ((flags & TW_MORE) && self->count < BATCH && self->weight < self->most))
    return status;
  size_t before = self->count - 1;
  status = deliver(self, error);
  if (status) self->lost += before;
  return status;
}

/* ------------------------------------------------------------------ ops */

static tw_status open_object(void *self, tw_error *error) {
  return run(self, "open", 0, error);
}

static tw_status send_one(lua_backend *self, tw_event *event, tw_error *error) {
  if (!tw_gate_enter(self->callback.gate, error)) return error->code;
  tw_lua *lua = self->callback.gate->lua;
  uint64_t serial = tw_view_bind(lua, event);
  if (!serial)
    return tw_fail(error, TW_ELIMIT, "%d events are under way at once: is this a loop?",
                   TW_MAX_BOUND);
  tw_status status = run_guarded(self, &self->callback.breaker, "send", serial, error);
  tw_view_unbind(lua, serial);
  return status;
}

static tw_status send(void *self, tw_event *event, unsigned flags, tw_error *error) {
  tw_error mine = {0};
  if (!error) error = &mine;
  lua_backend *backend = self;
  if (backend->batches) return send_in_batch(backend, event, flags, error);
  return send_one(backend, event, error);
}

static tw_status flush(void *self, uint64_t *lost, tw_error *error) {
  lua_backend *backend = self;
  size_t count = backend->count;
  tw_status status = deliver(backend, error);
  if (lost) *lost = backend->lost + (status ? count : 0);
  bool lost_before = backend->lost > 0;
  backend->lost = 0;
  if (status) return status;
  if (lost_before) return tw_fail(error, TW_EIO, "an earlier batch failed");
  return run_guarded(backend, &backend->flushing, "flush", 0, error);
}

/* Nobody is there to be told; but it may have lost what it held back. */
static void close_object(void *self) {
  tw_error error = {0};
  tw_status status = run(self, "close", 0, &error);
  if (status && status != TW_ECLOSED) fprintf(stderr, "tidewire: backend: %s\n", error.message);
}

static void free_object(void *self) {
  lua_backend *backend = self;
  forget(backend);
  tw_free(backend->gathered);
  tw_callback_free(backend);
}

tw_status tw_lua_backend_new(lua_State *L, tw_lua *lua, int index, int holds, tw_backend **out,
                             tw_error *error) {
  static const tw_backend_ops ops = {.open = open_object,
                                     .send = send,
                                     .flush = flush,
                                     .close = close_object,
                                     .free = free_object};
  lua_getfield(L, index, "send_batch");
  bool batches = !lua_isnil(L, -1);
  lua_pop(L, 1);
  static const tw_role role = {"a backend's method",
                               "what it is called for fails, as events do when it is send"};
  lua_backend *self = tw_callback_new(L, lua, index, holds, &role, sizeof *self);
  self->batches = batches;
  self->most = lua->guard ? lua->guard->memory / 4 : SIZE_MAX;
  return tw_backend_new(&ops, self, 0, out, error);
}
