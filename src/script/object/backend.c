/* Backends that are Lua objects, and the shipped kinds as Lua sees them.

   An object with `send_batch` gathers copies of its events while more follow, up to
   BATCH, or a quarter of the script's memory; they are handed over as views that Lua owns, so
   it may keep them. What a batch loses that was accepted before is told by the next flush.

   Out of an outbox the same functions are called in the same portions, but what they answer
   decides what is delivered again; see backend_deliver.c.

   What is called again and again has a breaker: one for events, one for flushes. */
#include "script/object/lua_backend.h"

#include <stdio.h>

#include "script/object/object.h"
#include "script/state/message.h"
#include "script/state/room.h"
#include "script/value/value.h"
#include "script/value/view.h"

/* ------------------------------------------------------- call a method */

/* nil and true are success; an answer, false, or a message behind nil or false, is failure. */
static tw_status result_of(lua_State *L, int first, tw_method_call *call) {
  const tw_lua *lua = call->self->callback.gate->lua;
  bool no_value = lua_isnil(L, first), is_true = lua_toboolean(L, first);
  int reason = is_true ? first : first + 1;
  if (tw_lua_is_answer(L, lua, reason)) {
    tw_answer_read(L, reason, &call->answer, call->error);
    tw_error_prefix(call->error, "%s: ", call->method);
    return call->answer.status;
  }
  if (is_true || (no_value && lua_isnil(L, first + 1))) return TW_OK;
  const char *message = luaL_tolstring(L, first + 1, NULL);
  if (lua_isnil(L, first + 1)) message = "it returned false";
  return tw_fail(call->error, TW_EIO, "%s: %s", call->method, message);
}

/* Moves the gathered events into a list of views. */
static void push_gathered(lua_State *L, const lua_backend *self, tw_error *error) {
  lua_createtable(L, (int)self->count, 0);
  for (size_t i = 0; i < self->count; i++) {
    if (tw_view_push_copy(L, self->callback.gate->lua, self->gathered[i], error))
      luaL_error(L, "%s", error->message);
    lua_rawseti(L, -2, (lua_Integer)i + 1);
  }
}

/* Pushes a view of the next event. @return false when it is none any more */
static bool push_next(lua_State *L, tw_method_call *call) {
  tw_event *event;
  tw_lua *lua = call->self->callback.gate->lua;
  tw_status status =
      tw_batch_event(call->batch, call->first + call->taken, &event, call->error);
  if (status == TW_OK) status = tw_view_push_copy(L, lua, event, call->error);
  if (status == TW_ENOMEM) luaL_error(L, "out of memory for a list of events");
  if (status == TW_OK) call->weight += tw_room_owned(event->store);
  return status == TW_OK;
}

/* The events of a batch from `first` on, as many as make a portion. */
static void push_portion(lua_State *L, tw_method_call *call) {
  const lua_backend *self = call->self;
  size_t left = tw_batch_count(call->batch) - call->first;
  size_t most = left < self->portion ? left : self->portion;
  lua_createtable(L, (int)most, 0);
  while (call->taken < most && call->weight < self->most && push_next(L, call))
    lua_rawseti(L, -2, (lua_Integer)++call->taken);
  call->is_full = true;
  if (!call->taken) luaL_error(L, "%s", call->error->message);
}

static void push_events(lua_State *L, tw_method_call *call) {
  tw_lua *lua = call->self->callback.gate->lua;
  if (call->serial) tw_view_push(L, lua, call->serial);
  else if (call->batch) push_portion(L, call);
  else push_gathered(L, call->self, call->error);
}

static int call_method(lua_State *L) {
  tw_method_call *call = lua_touserdata(L, 1);
  tw_callback_push(L, &call->self->callback); /* call, object */
  if (lua_isnil(L, 2)) return luaL_error(L, "the backend was collected");
  bool has_events = call->serial || call->batch || call->self->count;
  if (lua_getfield(L, 2, call->method) == LUA_TNIL)
    return has_events ? luaL_error(L, "the backend has no %s any more", call->method) : 0;
  lua_pushvalue(L, 2);
  if (has_events) push_events(L, call);
  lua_call(L, has_events ? 2 : 1, 2);
  call->status = result_of(L, 3, call);
  return 0;
}

static tw_status run(tw_method_call *call) {
  tw_gate *gate = call->self->callback.gate;
  gate->answer.status = TW_OK;
  tw_status status = tw_gate_call(gate, call_method, call, call->error);
  if (!status) return call->status;
  if (!gate->answer.status) return status;
  call->answer = gate->answer;
  call->error->code = call->answer.status;
  tw_error_prefix(call->error, "%s: ", call->method);
  return call->answer.status;
}

tw_status tw_method_run(tw_method_call *call, tw_breaker *breaker) {
  tw_callback *callback = &call->self->callback;
  tw_gate *gate = callback->gate;
  if (breaker->until && !tw_breaker_allows(breaker, gate, call->error))
    return call->error->code;
  gate->stopped = false;
  tw_status status = run(call);
  if (gate->stopped || breaker->until)
    tw_callback_settle(callback, breaker, call->method, gate->stopped);
  return status;
}

/* Without an event, or with those that are gathered. */
static tw_status run_method(lua_backend *self, tw_breaker *breaker, const char *method,
                            tw_error *error) {
  tw_error mine = {0};
  tw_method_call call = {.self = self, .method = method, .error = error ? error : &mine};
  return breaker ? tw_method_run(&call, breaker) : run(&call);
}

tw_status tw_method_send(lua_backend *self, tw_event *event, tw_answer *answer,
                         tw_error *error) {
  tw_gate *gate = self->callback.gate;
  if (!tw_gate_enter(gate, error)) return error->code;
  tw_lua *lua = gate->lua;
  uint64_t serial = tw_view_bind(lua, event);
  if (!serial)
    return tw_fail(error, TW_ELIMIT, "%d events are under way at once: is this a loop?",
                   TW_MAX_BOUND);
  tw_method_call call = {.self = self, .method = "send", .serial = serial, .error = error};
  tw_status status = tw_method_run(&call, &self->callback.breaker);
  tw_view_unbind(lua, serial);
  *answer = call.answer;
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
static tw_status pass_on(lua_backend *self, tw_error *error) {
  if (!self->count) return TW_OK;
  lua_backend batch = *self;
  self->gathered = NULL;
  self->count = self->cap = self->weight = 0;
  tw_status status = run_method(&batch, &self->callback.breaker, "send_batch", error);
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
  if (status || ((flags & TW_MORE) && self->count < TW_PORTION && self->weight < self->most))
    return status;
  size_t before = self->count - 1;
  status = pass_on(self, error);
  if (status) self->lost += before;
  return status;
}

/* ------------------------------------------------------------------ ops */

/* Where a script is loaded for its backends alone, its state has no thread of its own. */
static tw_status open_object(void *self, tw_error *error) {
  tw_gate *gate = ((lua_backend *)self)->callback.gate;
  bool is_borrowed = tw_gate_borrow(gate);
  tw_status status = run_method(self, NULL, "open", error);
  if (is_borrowed) tw_gate_release(gate);
  return status;
}

static tw_status send(void *self, tw_event *event, unsigned flags, tw_error *error) {
  tw_error mine = {0};
  tw_answer answer;
  if (!error) error = &mine;
  lua_backend *backend = self;
  if (backend->batches) return send_in_batch(backend, event, flags, error);
  return tw_method_send(backend, event, &answer, error);
}

static tw_status flush(void *self, uint64_t *lost, tw_error *error) {
  lua_backend *backend = self;
  size_t count = backend->count;
  tw_status status = pass_on(backend, error);
  if (lost) *lost = backend->lost + (status ? count : 0);
  bool lost_before = backend->lost > 0;
  backend->lost = 0;
  if (status) return status;
  if (lost_before) return tw_fail(error, TW_EIO, "an earlier batch failed");
  return run_method(backend, &backend->flushing, "flush", error);
}

/* Nobody is there to be told; but it may have lost what it held back. */
static void close_object(void *self) {
  tw_error error = {0};
  tw_gate *gate = ((lua_backend *)self)->callback.gate;
  bool is_borrowed = tw_gate_borrow(gate);
  tw_status status = run_method(self, NULL, "close", &error);
  if (is_borrowed) tw_gate_release(gate);
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
                                     .free = free_object,
                                     .deliver = tw_lua_backend_deliver};
  lua_getfield(L, index, "send_batch");
  bool batches = !lua_isnil(L, -1);
  lua_pop(L, 1);
  static const tw_role role = {"a backend's method",
                               "what it is called for fails, as events do when it is send"};
  lua_backend *self = tw_callback_new(L, lua, index, holds, &role, sizeof *self);
  self->batches = batches;
  self->portion = TW_PORTION;
  self->most = lua->guard ? lua->guard->memory / 4 : SIZE_MAX;
  return tw_backend_new(&ops, self, TW_SCRIPTED, out, error);
}
