/* Backends and processors in C, of the shipped kinds and of the host, as objects of Lua. */
#include "core/processor.h"
#include "core/split.h"
#include "script/object/host.h"
#include "script/object/object.h"
#include "script/object/pool.h"
#include "script/state/message.h"
#include "script/value/view.h"

/* A rehearsal checks the options and delivers to memory. */
static tw_status make_backend(const tw_gate *gate, const char *kind, const char *options,
                              size_t len, tw_backend **out, tw_error *error) {
  if (gate->share) return tw_pool_take(gate->share, kind, options, len, out, error);
  tw_status status = tw_backend_new_kind(kind, options, len, out, error);
  if (status != TW_OK || !gate->is_rehearsal || strcmp(kind, "memory") == 0) return status;
  tw_backend_unref(*out);
  return tw_backend_new_kind("memory", NULL, 0, out, error);
}

/* What a constructor is called with: a name, and options as a table. */
typedef struct declared {
  tw_lua *lua;
  const char *name;
  tw_handle *handle; /* new, on top of the stack */
  const char *options;
  size_t len;
} declared;

/* @param what  whose options they are; NULL: the name's */
static declared declare(lua_State *L, tw_class class, const char *what) {
  declared it = {.lua = tw_lua_self(L), .name = luaL_checkstring(L, 1)};
  it.handle = tw_handle_new(L, it.lua, class);
  it.options = tw_lua_check_json(L, it.lua, 2, what ? what : it.name, &it.len);
  return it;
}

/* backend(kind, options) */
static int new_backend(lua_State *L) {
  declared it = declare(L, TW_CLASS_BACKEND, NULL);
  tw_error error = {0};
  if (make_backend(it.lua->gate, it.name, it.options, it.len, &it.handle->backend, &error))
    return tw_lua_misuse(L, "%s", error.message);
  return 1;
}

/* ------------------------------------------------------------- of the host */

/* host_backend(name) -> backend; a rehearsal only checks the name */
static int host_backend(lua_State *L) {
  tw_lua *lua = tw_lua_self(L);
  const char *name = luaL_checkstring(L, 1);
  tw_handle *handle = tw_handle_new(L, lua, TW_CLASS_BACKEND);
  tw_error error = {0};
  tw_status status = tw_host_backend(lua->gate->host, name, &handle->backend, &error);
  if (status == TW_OK && lua->gate->is_rehearsal) {
    tw_backend_unref(handle->backend);
    status = tw_backend_new_kind("memory", NULL, 0, &handle->backend, &error);
  }
  return status ? tw_lua_misuse(L, "%s", error.message) : 1;
}

/* host_processor(name) -> processor */
static int host_processor(lua_State *L) {
  tw_lua *lua = tw_lua_self(L);
  const char *name = luaL_checkstring(L, 1);
  tw_handle *handle = tw_handle_new(L, lua, TW_CLASS_PROCESSOR);
  tw_error error = {0};
  if (tw_host_processor(lua->gate->host, name, &handle->processor, &error))
    return tw_lua_misuse(L, "%s", error.message);
  return 1;
}

/* ---------------------------------------------------------------- engines */

/* Pushes the list of what the table at `index` offers: name -> backend. The names are the
   table's, which stays on the stack. */
static const tw_offer *push_offers(lua_State *L, tw_lua *lua, int index) {
  size_t count = 0;
  for (lua_pushnil(L); lua_next(L, index); lua_pop(L, 1)) count++;
  tw_offer *offers = lua_newuserdatauv(L, (count + 1) * sizeof *offers, 0);
  memset(offers, 0, (count + 1) * sizeof *offers);
  tw_offer *next = offers;
  for (lua_pushnil(L); lua_next(L, index); lua_pop(L, 1)) {
    const char *name = tw_lua_check_name(L, lua_gettop(L) - 1);
    tw_handle *handle = tw_handle_check(L, lua, -1, TW_CLASS_BACKEND, name);
    *next++ = (tw_offer){.name = name, .backend = handle->backend};
  }
  return offers;
}

/* engine(script, options, backends it may name) -> a backend that sends into it, or nil,
   message, code. Its options grant and limit, which is for the host alone. */
static int new_engine(lua_State *L) {
  if (tw_lua_self(L)->gate->is_script)
    return tw_lua_misuse(L,
                         "tracker: a router script cannot run another one; nest routers, or "
                         "have the host run both");
  luaL_checktype(L, 3, LUA_TTABLE);
  const tw_engine_ops ops = {.offers = push_offers(L, tw_lua_self(L), 3)};
  declared it = declare(L, TW_CLASS_BACKEND, "tracker");
  tw_handle *handle = it.handle;
  tw_error error = {0};
  tw_status status =
      tw_engine_new(it.name, it.options, it.len, &ops, NULL, &handle->engine, &error);
  if (status == TW_OK) status = tw_engine_backend(handle->engine, &handle->backend, &error);
  if (status == TW_OK) return 1;
  tw_engine_unref(handle->engine);
  handle->engine = NULL;
  return tw_lua_fail(L, &error);
}

/* reload(backend) -> true, or nil, message, code */
static int reload_engine(lua_State *L) {
  tw_lua *lua = tw_lua_self(L);
  tw_handle *self = tw_handle_test(L, lua, 1, TW_CLASS_BACKEND);
  if (!self || !self->engine) return tw_lua_misuse(L, "reload: this tracker has no script");
  tw_error error = {0};
  lua_State *outer = tw_gate_into(lua->gate, L);
  tw_status status = tw_engine_reload(self->engine, &error);
  tw_gate_leave(lua->gate, outer);
  return status ? tw_lua_fail(L, &error) : tw_lua_result(L, TW_OK, NULL);
}

/* rehearsal() -> whether every backend of this script is to be one in memory */
static int rehearsal(lua_State *L) {
  lua_pushboolean(L, tw_lua_self(L)->gate->is_rehearsal);
  return 1;
}

/* processor(kind, options) -> processor, or nil, message, code */
static int new_processor(lua_State *L) {
  declared it = declare(L, TW_CLASS_PROCESSOR, NULL);
  tw_error error = {0};
  if (tw_processor_new_kind(it.name, it.options, it.len, &it.handle->processor, &error))
    return tw_lua_fail(L, &error);
  return 1;
}

static int free_backend(lua_State *L) {
  tw_lua *lua = tw_lua_self(L);
  tw_handle *self = lua_touserdata(L, 1);
  if (!self || !self->backend) return 0;
  lua_State *outer = tw_gate_into(lua->gate, L);
  tw_backend_unref(self->backend);
  tw_engine_unref(self->engine);
  tw_gate_leave(lua->gate, outer);
  self->backend = NULL;
  self->engine = NULL;
  return 0;
}

static int free_processor(lua_State *L) {
  tw_handle *self = tw_handle_test(L, tw_lua_self(L), 1, TW_CLASS_PROCESSOR);
  if (!self || !self->processor) return 0;
  tw_processor_unref(self->processor);
  self->processor = NULL;
  return 0;
}

/* -------------------------------------------------------------- processor */

/* Leaves the pieces as tidewire.split gives them, each an event that Lua owns. */
static int push_pieces(lua_State *L) {
  tw_lua *lua = tw_lua_self(L);
  const tw_split *split = lua_touserdata(L, 1);
  tw_error error = {0};
  lua_createtable(L, (int)split->count, 0);
  tw_lua_push_mark(L, lua, TW_MARK_SPLIT);
  lua_setmetatable(L, -2);
  for (uint32_t i = 0; i < split->count; i++) {
    if (tw_view_push_copy(L, lua, &split->pieces[i], &error))
      return luaL_error(L, "%s", error.message);
    lua_rawseti(L, -2, (lua_Integer)i + 1);
  }
  return 1;
}

/* @return what it decided, and nothing but that */
static tw_verdict decide(const tw_processor *processor, tw_event *event, tw_split *split,
                         tw_error *error) {
  tw_verdict verdict = processor->ops.process(processor->self, event, split, error);
  if (verdict == TW_SPLIT && split->is_short) {
    tw_no_memory(error);
    return TW_FAIL;
  }
  return verdict > TW_FAIL ? TW_FAIL : verdict;
}

/* processor(event), as a function in Lua is called: nothing, false to drop, or a list. No call
   raises while there are pieces. */
static int call_processor(lua_State *L) {
  tw_lua *lua = tw_lua_self(L);
  tw_handle *self = tw_handle_check(L, lua, 1, TW_CLASS_PROCESSOR, "self");
  tw_ref ref;
  tw_event *event = tw_view_get(L, lua, 2, &ref);
  if (!event || ref != event->root)
    return tw_lua_misuse(L, "event must be an event, not %s", tw_lua_describe(L, 2));
  tw_error error;
  tw_error_clear(&error);
  tw_split split = {.whole = event};
  tw_lua_pushfunction(L, lua, push_pieces);
  tw_verdict verdict = decide(self->processor, event, &split, &error);
  lua_pushlightuserdata(L, &split);
  bool is_wrong = verdict == TW_SPLIT && lua_pcall(L, 1, 1, 0) != LUA_OK;
  tw_split_fini(&split);
  if (is_wrong) return lua_error(L);
  switch (verdict) {
    case TW_PASS: return 0;
    case TW_SPLIT: return 1;
    case TW_DROP: lua_pushboolean(L, 0); return 1;
    case TW_FAIL: break;
  }
  tw_error_complete(&error, TW_EINVAL, "the processor");
  return luaL_error(L, "%s", error.message);
}

/* on_error(processor) -> "pass", "drop" or "dead_letter" */
static int processor_on_error(lua_State *L) {
  static const char *const words[] = {"pass", "drop", "dead_letter"};
  tw_handle *self = tw_handle_check(L, tw_lua_self(L), 1, TW_CLASS_PROCESSOR, "processor");
  lua_pushstring(L, words[self->processor->on_error]);
  return 1;
}

/* ---------------------------------------------------------------- backend */

static tw_handle *check_backend(lua_State *L) {
  return tw_handle_check(L, tw_lua_self(L), 1, TW_CLASS_BACKEND, "self");
}

static int backend_stats(lua_State *L) {
  tw_backend_stats now;
  tw_backend_get_stats(check_backend(L)->backend, &now);
  lua_createtable(L, 0, 3);
  lua_pushinteger(L, (lua_Integer)now.sent);
  lua_setfield(L, -2, "sent");
  lua_pushinteger(L, (lua_Integer)now.failed);
  lua_setfield(L, -2, "failed");
  lua_pushinteger(L, (lua_Integer)now.duplicate);
  lua_setfield(L, -2, "duplicate");
  return 1;
}

static size_t check_count(lua_State *L, tw_handle *self) {
  size_t count;
  if (tw_memory_count(self->backend, &count))
    tw_lua_misuse(L, "only a memory backend can be read back");
  return count;
}

/* memory:count() */
static int memory_count(lua_State *L) {
  lua_pushinteger(L, (lua_Integer)check_count(L, check_backend(L)));
  return 1;
}

static int push_copy(lua_State *L) {
  tw_error error = {0};
  if (tw_view_push_copy(L, tw_lua_self(L), lua_touserdata(L, 1), &error))
    return luaL_error(L, "%s", error.message);
  return 1;
}

/* The event is ours to free, so the copy for Lua is made in a protected call. */
static void push_event(lua_State *L, tw_lua *lua, tw_handle *self, size_t index) {
  tw_lua_pushfunction(L, lua, push_copy);
  tw_event *event;
  if (tw_memory_get(self->backend, index, &event)) luaL_error(L, "out of memory");
  lua_pushlightuserdata(L, event);
  int status = lua_pcall(L, 1, 1, 0);
  tw_event_free(event);
  if (status) lua_error(L);
}

/* memory:get(index), from 1; nil past the end */
static int memory_get(lua_State *L) {
  tw_handle *self = check_backend(L);
  lua_Integer index = luaL_checkinteger(L, 2);
  if (index < 1 || (size_t)index > check_count(L, self)) lua_pushnil(L);
  else push_event(L, tw_lua_self(L), self, (size_t)index - 1);
  return 1;
}

/* memory:events() -> all of them */
static int memory_events(lua_State *L) {
  tw_handle *self = check_backend(L);
  size_t count = check_count(L, self);
  lua_createtable(L, (int)count, 0);
  for (size_t i = 0; i < count; i++) {
    push_event(L, tw_lua_self(L), self, i);
    lua_rawseti(L, -2, (lua_Integer)i + 1);
  }
  return 1;
}

void tw_open_kind(lua_State *L, tw_lua *lua) {
  static const luaL_Reg functions[] = {{"new_backend", new_backend},
                                       {"new_processor", new_processor},
                                       {"host_backend", host_backend},
                                       {"host_processor", host_processor},
                                       {"rehearsal", rehearsal},
                                       {"on_error", processor_on_error},
                                       {"new_engine", new_engine},
                                       {"reload", reload_engine},
                                       {NULL, NULL}};
  static const luaL_Reg backend[] = {{"stats", backend_stats},
                                     {"count", memory_count},
                                     {"get", memory_get},
                                     {"events", memory_events},
                                     {NULL, NULL}};
  static const luaL_Reg none[] = {{NULL, NULL}};
  tw_lua_setfuncs(L, lua, functions);
  tw_class_setup(L, lua, TW_CLASS_BACKEND, backend, free_backend);
  tw_class_setup(L, lua, TW_CLASS_PROCESSOR, none, free_processor);
  tw_class_push(L, lua, TW_CLASS_PROCESSOR);
  tw_lua_pushfunction(L, lua, call_processor);
  lua_setfield(L, -2, "__call");
  lua_pop(L, 1);
}
