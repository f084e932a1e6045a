/* Contexts and locators in Lua. A locator in Lua is any object with `get`; C asks it through
   the coroutine that emits.

   Fields go in and come out as JSON text: the core keeps them so, and what Lua gets is a table
   of its own, not a view. `pairs` walks over a copy of all entries in one string of Lua's: so
   contexts may be entered and left meanwhile, and a loop that is broken off leaves nothing
   to be freed. */
#include "script/object/object.h"
#include "script/state/message.h"

/* --------------------------------------------------------------- contexts */

static tw_handle *check_context(lua_State *L, int index, const char *name) {
  return tw_handle_check(L, tw_lua_self(L), index, TW_CLASS_CONTEXT, name);
}

static int new_context(lua_State *L) {
  tw_handle *handle = tw_handle_new(L, tw_lua_self(L), TW_CLASS_CONTEXT);
  handle->context = tw_context_new();
  return handle->context ? 1 : luaL_error(L, "out of memory");
}

/* context:enter(name, fields) */
static int enter(lua_State *L) {
  tw_lua *lua = tw_lua_self(L);
  tw_handle *self = check_context(L, 1, "self");
  const char *name = tw_lua_check_name(L, 2);
  size_t len;
  const char *json = tw_lua_check_json(L, lua, 3, "context", &len);
  tw_error error = {0};
  return tw_lua_result(L, tw_context_enter(self->context, name, json, len, &error), &error);
}

/* context:exit(name); a name that was not entered is an error */
static int leave(lua_State *L) {
  tw_handle *self = check_context(L, 1, "self");
  tw_error error = {0};
  tw_status status = tw_context_exit(self->context, tw_lua_check_name(L, 2), &error);
  if (status == TW_ENOENT) return tw_lua_misuse(L, "%s", error.message);
  return tw_lua_result(L, status, &error);
}

static int resolve(lua_State *L) {
  tw_lua *lua = tw_lua_self(L);
  tw_handle *self = check_context(L, 1, "self");
  tw_buffer *scratch = tw_lua_scratch(L, lua);
  tw_error error = {0};
  char *text;
  size_t len;
  if (tw_context_resolve(self->context, &text, &len, &error)) return tw_lua_fail(L, &error);
  bool copied = tw_buffer_append(scratch, text, len);
  tw_free(text);
  if (!copied) return luaL_error(L, "out of memory");
  lua_pushlstring(L, scratch->data, len); /* out of the way of finalizers */
  tw_lua_push_json(L, lua, lua_tostring(L, -1), len);
  return 1;
}

static int copy(lua_State *L) {
  tw_handle *self = check_context(L, 1, "self");
  tw_handle *handle = tw_handle_new(L, tw_lua_self(L), TW_CLASS_CONTEXT);
  handle->context = tw_context_copy(self->context);
  return handle->context ? 1 : luaL_error(L, "out of memory");
}

/* -------------------------------------------------------------- pairs */

typedef struct listing {
  tw_buffer *text; /* name, NUL, JSON, NUL, ... */
  bool failed;
} listing;

static void add_entry(void *self, const char *name, const char *json, size_t len) {
  listing *list = self;
  if (!tw_buffer_append(list->text, name, strlen(name) + 1) ||
      !tw_buffer_append(list->text, json, len) || !tw_buffer_byte(list->text, '\0'))
    list->failed = true;
}

/* next(text, name) with the offset of the next entry as an upvalue */
static int next_entry(lua_State *L) {
  size_t len;
  const char *text = lua_tolstring(L, lua_upvalueindex(2), &len);
  size_t at = (size_t)lua_tointeger(L, lua_upvalueindex(3));
  if (at >= len) return 0;
  const char *name = text + at;
  const char *json = name + strlen(name) + 1;
  size_t json_len = strlen(json);
  lua_pushinteger(L, json + json_len + 1 - text);
  lua_replace(L, lua_upvalueindex(3));
  lua_pushstring(L, name);
  tw_lua_push_json(L, tw_lua_self(L), json, json_len);
  return 2;
}

/* pairs(context): name, fields, in the order they were entered */
static int context_pairs(lua_State *L) {
  tw_lua *lua = tw_lua_self(L);
  tw_handle *self = check_context(L, 1, "self");
  listing list = {tw_lua_scratch(L, lua), false};
  tw_context_visit(self->context, add_entry, &list);
  if (list.failed) return luaL_error(L, "out of memory");
  lua_pushlightuserdata(L, lua);
  lua_pushlstring(L, list.text->data, list.text->len);
  lua_pushinteger(L, 0);
  lua_pushcclosure(L, next_entry, 3);
  return 1;
}

/* `tracker.located_context` and `tracker:located_context()` are the same. */
static int call_context(lua_State *L) {
  lua_settop(L, 1);
  return 1;
}

static int free_context(lua_State *L) {
  tw_handle *self = lua_touserdata(L, 1);
  if (self && self->context) tw_context_unref(self->context);
  if (self) self->context = NULL;
  return 0;
}

/* --------------------------------------------------------------- locators */

static int new_locator(lua_State *L, tw_status (*make)(tw_locator **, tw_error *)) {
  tw_handle *handle = tw_handle_new(L, tw_lua_self(L), TW_CLASS_LOCATOR);
  tw_error error = {0};
  if (make(&handle->locator, &error)) return tw_lua_fail(L, &error);
  return 1;
}

static int new_default(lua_State *L) { return new_locator(L, tw_locator_new_default); }
static int new_thread_local(lua_State *L) {
  return new_locator(L, tw_locator_new_thread_local);
}

/* locator:get() */
static int locator_get(lua_State *L) {
  tw_lua *lua = tw_lua_self(L);
  tw_handle *self = tw_handle_check(L, lua, 1, TW_CLASS_LOCATOR, "self");
  tw_handle *handle = tw_handle_new(L, lua, TW_CLASS_CONTEXT);
  handle->context = tw_locator_get(self->locator);
  return handle->context ? 1 : luaL_error(L, "out of memory");
}

static int free_locator(lua_State *L) {
  tw_handle *self = lua_touserdata(L, 1);
  if (self && self->locator) tw_locator_unref(self->locator);
  if (self) self->locator = NULL;
  return 0;
}

typedef struct locating {
  const tw_callback *callback;
  tw_context *context;
} locating;

static int call_get(lua_State *L) {
  locating *to = lua_touserdata(L, 1);
  tw_lua *lua = to->callback->gate->lua;
  tw_callback_push(L, to->callback);
  if (lua_getfield(L, 2, "get") == LUA_TNIL) return luaL_error(L, "context_locator has no get");
  lua_pushvalue(L, 2);
  lua_call(L, 1, 1);
  tw_handle *found = tw_handle_test(L, lua, 3, TW_CLASS_CONTEXT);
  if (!found)
    return luaL_error(L,
                      "context_locator: get must return a context made with "
                      "tidewire.context(), not %s",
                      tw_lua_describe(L, 3));
  to->context = tw_context_ref(found->context);
  return 0;
}

/* Why it failed is kept for the emit that asked. */
static tw_context *locate(void *self) {
  tw_callback *callback = self;
  locating to = {callback, NULL};
  tw_error error = {0};
  if (!tw_gate_enter(callback->gate, &error)) return NULL;
  if (tw_gate_call(callback->gate, call_get, &to, &error)) callback->gate->locate_error = error;
  return to.context;
}

tw_status tw_lua_locator_new(lua_State *L, tw_lua *lua, int index, int holds, tw_locator **out,
                             tw_error *error) {
  static const tw_locator_ops ops = {locate, tw_callback_free};
  tw_handle *given = tw_handle_test(L, lua, index, TW_CLASS_LOCATOR);
  if (given) {
    *out = tw_locator_ref(given->locator);
    return TW_OK;
  }
  tw_callback *self = tw_callback_new(L, lua, index, holds, NULL, sizeof *self);
  return tw_locator_new(&ops, self, out, error);
}

void tw_open_context(lua_State *L, tw_lua *lua) {
  static const luaL_Reg functions[] = {{"new_context", new_context},
                                       {"new_default_locator", new_default},
                                       {"new_thread_local_locator", new_thread_local},
                                       {NULL, NULL}};
  static const luaL_Reg context[] = {
      {"enter", enter}, {"exit", leave}, {"resolve", resolve}, {"copy", copy}, {NULL, NULL}};
  static const luaL_Reg metamethods[] = {
      {"__pairs", context_pairs}, {"__call", call_context}, {NULL, NULL}};
  static const luaL_Reg locator[] = {{"get", locator_get}, {NULL, NULL}};
  tw_lua_setfuncs(L, lua, functions);
  tw_class_setup(L, lua, TW_CLASS_CONTEXT, context, free_context);
  tw_class_setup(L, lua, TW_CLASS_LOCATOR, locator, free_locator);
  tw_class_push(L, lua, TW_CLASS_CONTEXT);
  tw_lua_setfuncs(L, lua, metamethods);
  lua_pop(L, 1);
}
