/* Routers in Lua. What a router is given is held in its table `holds`:
   [key] = a callback's value; backends[name] = as it was given; processors[i] = likewise.
   C knows a callback by its key alone (gate.h): a value that is not held is gone with the next
   collection. So it is held before C hears of it, and stays as long as the router.

   A call that may come back into Lua stands between tw_gate_into and tw_gate_leave: callbacks
   run on the coroutine that called. Nothing raises between the two; what fails is carried out
   in a tw_error, and told behind them. */
#include "core/inspect.h"
#include "delivery/delivery.h"
#include "script/object/object.h"
#include "script/object/processor.h"
#include "script/object/time.h"
#include "script/state/acks.h"
#include "script/state/message.h"
#include "script/value/view.h"

static int new_router(lua_State *L) {
  tw_lua *lua = tw_lua_self(L);
  tw_handle *handle = tw_handle_new(L, lua, TW_CLASS_ROUTER);
  tw_error error = {0};
  if (tw_router_new(&handle->router, &error)) return tw_lua_fail(L, &error);
  return 1;
}

/* ------------------------------------------------------------------ build */

/* Leaves `holds` and one of its lists on the stack. @return the index of holds */
static int push_holds(lua_State *L, int self, const char *list) {
  lua_getiuservalue(L, self, 1);
  int holds = lua_gettop(L);
  lua_getfield(L, holds, list);
  return holds;
}

static tw_status make_processor(lua_State *L, tw_lua *lua, int holds, tw_processor **out,
                                tw_error *error) {
  static const char *const words[] = {"pass", "drop", "dead_letter", NULL};
  tw_handle *given = tw_handle_test(L, lua, 2, TW_CLASS_PROCESSOR);
  if (given) {
    *out = tw_processor_ref(given->processor);
    return TW_OK;
  }
  const char *name = luaL_optstring(L, 3, NULL);
  tw_on_error on_error = (tw_on_error)luaL_checkoption(L, 4, "pass", words);
  return tw_lua_processor_new(L, lua, 2, holds, name, on_error, out, error);
}

/* add_processor(tree, function or processor, name, on_error, entry) */
static int add_processor(lua_State *L) {
  tw_lua *lua = tw_lua_self(L);
  lua_settop(L, 5);
  tw_handle *self = tw_handle_check_tree(L, lua, 1);
  int holds = push_holds(L, 1, "processors");
  tw_error error = {0};
  tw_processor *processor;
  lua_pushvalue(L, 5);
  lua_rawseti(L, -2, (lua_Integer)lua_rawlen(L, -2) + 1);
  tw_status status = make_processor(L, lua, holds, &processor, &error);
  if (!status) status = tw_router_add_processor(self->router, processor, &error);
  return tw_lua_result(L, status, &error);
}

static tw_status add_to(lua_State *L, tw_lua *lua, tw_router *router, const char *name,
                        int holds, tw_error *error) {
  tw_handle *child = tw_handle_test(L, lua, 3, TW_CLASS_ROUTER);
  tw_handle *given = tw_handle_test(L, lua, 3, TW_CLASS_BACKEND);
  tw_backend *backend = given ? tw_backend_ref(given->backend) : NULL;
  tw_status status = TW_OK;
  if (!child && !given) status = tw_lua_backend_new(L, lua, 3, holds, &backend, error);
  if (status) return status;
  lua_State *outer = tw_gate_into(lua->gate, L); /* one that is open opens what it gets */
  if (child) status = tw_router_add_router(router, name, tw_router_ref(child->router), error);
  else status = tw_router_add_backend(router, name, backend, error);
  tw_gate_leave(lua->gate, outer);
  return status;
}

/* add_backend(tree, name, router, backend or object) */
static int add_backend(lua_State *L) {
  tw_lua *lua = tw_lua_self(L);
  lua_settop(L, 3);
  tw_handle *self = tw_handle_check_tree(L, lua, 1);
  const char *name = tw_lua_check_name(L, 2);
  int holds = push_holds(L, 1, "backends");
  tw_error error = {0};
  tw_status status = add_to(L, lua, self->router, name, holds, &error);
  if (status == TW_EEXIST) return tw_lua_misuse(L, "%s", error.message);
  if (status) return tw_lua_result(L, status, &error);
  self->opened = false;
  lua_pushvalue(L, 3);
  lua_setfield(L, -2, name);
  return tw_lua_result(L, TW_OK, NULL);
}

static int set_route(lua_State *L) {
  tw_lua *lua = tw_lua_self(L);
  tw_handle *self = tw_handle_check_tree(L, lua, 1);
  int holds = push_holds(L, 1, "backends");
  tw_error error = {0};
  tw_status status = tw_lua_route_set(L, lua, 2, holds, self->router, &error);
  return tw_lua_result(L, status, &error);
}

/* set_observer(tree, on_failure, on_dead) */
static int set_observer(lua_State *L) {
  tw_lua *lua = tw_lua_self(L);
  lua_settop(L, 3);
  tw_handle *self = tw_handle_check_tree(L, lua, 1);
  int holds = push_holds(L, 1, "backends");
  tw_error error = {0};
  if (lua_isnil(L, 2) && lua_isnil(L, 3))
    return tw_lua_result(L, tw_router_set_observer(self->router, NULL, NULL, &error), &error);
  tw_status status = tw_lua_observer_set(L, lua, 2, 3, holds, self->router, &error);
  return tw_lua_result(L, status, &error);
}

/* check_delivery(options, where): raises what is wrong with them */
static int check_delivery(lua_State *L) {
  const char *where = luaL_checkstring(L, 2);
  size_t len;
  const char *json = tw_lua_check_json(L, tw_lua_self(L), 1, where, &len);
  tw_delivery_options checked;
  tw_error error = {0};
  return tw_lua_result(L, tw_delivery_options_read(json, len, NULL, 0, where, &checked, &error),
                       &error);
}

/* set_delivery(tree, name, options): how the backend of this name is delivered to */
static int set_delivery(lua_State *L) {
  tw_lua *lua = tw_lua_self(L);
  const tw_handle *self = tw_handle_check_tree(L, lua, 1);
  const char *name = tw_lua_check_name(L, 2);
  size_t len;
  const char *json = tw_lua_check_json(L, lua, 3, "delivery", &len);
  tw_error error = {0};
  return tw_lua_result(L, tw_router_set_delivery(self->router, name, json, len, &error),
                       &error);
}

/* -------------------------------------------------------------------- run */

static tw_status open_tree(tw_handle *self, tw_error *error) {
  if (self->closed) return tw_fail(error, TW_ECLOSED, "the router is closed");
  if (self->opened) return TW_OK;
  tw_status status = tw_router_open(self->router, error);
  self->opened = status == TW_OK;
  return status;
}

static int open_router(lua_State *L) {
  tw_lua *lua = tw_lua_self(L);
  tw_handle *self = tw_handle_check_tree(L, lua, 1);
  tw_error error = {0};
  lua_State *outer = tw_gate_into(lua->gate, L);
  tw_status status = open_tree(self, &error);
  tw_gate_leave(lua->gate, outer);
  return tw_lua_result(L, status, &error);
}

/* Nothing in here raises: an event of ours may be under way. */
static tw_status send_nested(lua_State *L, tw_lua *lua, tw_handle *self, const tw_event *event,
                             unsigned flags, tw_error *error) {
  lua_State *outer = tw_gate_into_nested(lua->gate, L, error);
  if (!outer) return error->code;
  tw_status status = open_tree(self, error);
  if (status == TW_OK) status = tw_router_send(self->router, event, flags, error);
  tw_gate_leave_nested(lua->gate, outer);
  return status;
}

/* The event that the view at `index` stands for; NULL when its JSON has to be sent. */
static const tw_event *whole_event(lua_State *L, tw_lua *lua, int index) {
  tw_ref ref;
  const tw_event *event = tw_view_get(L, lua, index, &ref);
  if (!event || ref != event->root) return NULL;
  if (tw_event_is_array(event, ref)) tw_lua_misuse(L, "event must be an object, not a list");
  return event;
}

/* router:send(event or table, more). The text of a table is an event before anything of Lua
   runs: backends that are opened by the first event may use the scratch buffer. */
static int send_event(lua_State *L) {
  tw_lua *lua = tw_lua_self(L);
  tw_handle *self = tw_handle_check_tree(L, lua, 1);
  if (lua_isnoneornil(L, 2)) tw_lua_misuse(L, "event must be an event or a table, not nil");
  const tw_event *event = whole_event(L, lua, 2);
  unsigned flags = lua_toboolean(L, 3) ? TW_MORE : 0;
  tw_event *made = NULL;
  tw_error error = {0};
  tw_status status = TW_OK;
  if (!event) {
    size_t len;
    const char *json = tw_lua_check_json(L, lua, 2, "event", &len);
    status = tw_event_parse(json, len, &lua->limits, &made, &error);
    event = made;
  }
  if (status == TW_OK) status = send_nested(L, lua, self, event, flags, &error);
  if (made) tw_event_free(made);
  tw_timers_between(L, lua, self->router);
  if (status && !error.code) tw_fail(&error, status, "%s", tw_status_name(status));
  return tw_lua_result(L, status, &error);
}

/* flush([seconds]) -> true | nil, message, code, events that remain */
static int flush(lua_State *L) {
  tw_lua *lua = tw_lua_self(L);
  tw_handle *self = tw_handle_check_tree(L, lua, 1);
  lua_Number seconds = luaL_optnumber(L, 2, -1);
  if (!lua_isnoneornil(L, 2))
    luaL_argcheck(L, seconds >= 0 && seconds <= TW_LONGEST_WAIT, 2,
                  "expected seconds, such as 5");
  tw_error error = {0};
  uint64_t remaining = 0;
  lua_State *outer = tw_gate_into(lua->gate, L);
  tw_status status = tw_router_flush_within(
      self->router, seconds < 0 ? -1 : (int)(seconds * 1000), &remaining, &error);
  tw_gate_leave(lua->gate, outer);
  tw_acks_call(L, lua, self->router);
  int count = tw_lua_result(L, status, &error);
  if (status) lua_pushinteger(L, (lua_Integer)remaining);
  return status ? count + 1 : count;
}

static int close_router(lua_State *L) {
  tw_lua *lua = tw_lua_self(L);
  tw_handle *self = tw_handle_check_tree(L, lua, 1);
  if (self->closed) return tw_lua_result(L, TW_OK, NULL);
  self->closed = true;
  tw_error error = {0};
  lua_State *outer = tw_gate_into(lua->gate, L);
  tw_status status = tw_router_close(self->router, &error);
  tw_gate_leave(lua->gate, outer);
  tw_acks_call(L, lua, self->router);
  return tw_lua_result(L, status, &error);
}

static void set_count(lua_State *L, const char *field, uint64_t count) {
  lua_pushinteger(L, (lua_Integer)count);
  lua_setfield(L, -2, field);
}

static int stats(lua_State *L) {
  tw_handle *self = tw_handle_check_tree(L, tw_lua_self(L), 1);
  tw_router_stats now;
  tw_router_get_stats(self->router, &now);
  lua_createtable(L, 0, 5);
  set_count(L, "received", now.received);
  set_count(L, "dropped", now.dropped);
  set_count(L, "unrouted", now.unrouted);
  set_count(L, "failed", now.failed);
  set_count(L, "dead", now.dead);
  return 1;
}

/* ------------------------------------------------------------------- read */

/* holds(tree) -> what it was given, for the Lua library */
static int get_holds(lua_State *L) {
  tw_handle_check_tree(L, tw_lua_self(L), 1);
  lua_getiuservalue(L, 1, 1);
  return 1;
}

/* child(tree, name) -> a backend or router that C has added; or nil, message, code */
static int get_child(lua_State *L) {
  tw_lua *lua = tw_lua_self(L);
  tw_handle *self = tw_handle_check_tree(L, lua, 1);
  const char *name = luaL_checkstring(L, 2);
  tw_handle *backend = tw_handle_new(L, lua, TW_CLASS_BACKEND);
  tw_handle *router = tw_handle_new(L, lua, TW_CLASS_ROUTER);
  tw_error error = {0};
  if (tw_router_get(self->router, name, &backend->backend, &router->router, &error))
    return tw_lua_fail(L, &error);
  if (backend->backend) lua_pop(L, 1);
  return 1;
}

typedef struct names {
  tw_buffer *text;
  bool failed;
} names;

static void add_child_name(void *self, const char *path, tw_backend *backend,
                           tw_router *child) {
  (void)backend, (void)child;
  names *to = self;
  if (strchr(path, '/')) return;
  if (!tw_buffer_append(to->text, path, strlen(path)) || !tw_buffer_byte(to->text, '\n'))
    to->failed = true;
}

/* children(tree) -> their names, each with a line feed */
static int list_children(lua_State *L) {
  tw_lua *lua = tw_lua_self(L);
  tw_handle *self = tw_handle_check_tree(L, lua, 1);
  names list = {tw_lua_scratch(L, lua), false};
  if (tw_router_visit(self->router, add_child_name, &list) || list.failed)
    return luaL_error(L, "out of memory");
  lua_pushlstring(L, lua->scratch.data, lua->scratch.len);
  return 1;
}

/* --------------------------------------------------------------- finalize */

/* Routers below are finalized in the same sweep, after this one or before. */
static void revive_tree(lua_State *L, tw_lua *lua, int self) {
  luaL_checkstack(L, LUA_MINSTACK, "routers");
  int holds = push_holds(L, self, "backends");
  tw_callback_revive(L, lua->gate, holds);
  for (lua_pushnil(L); lua_next(L, holds + 1); lua_pop(L, 1))
    if (tw_handle_test(L, lua, -1, TW_CLASS_ROUTER)) revive_tree(L, lua, lua_gettop(L));
  lua_settop(L, holds - 1);
}

static int revive(lua_State *L) {
  revive_tree(L, lua_touserdata(L, 2), 1);
  return 0;
}

/* Without memory to revive, the router goes all the same; its last flush fails then. */
int tw_lua_finalize_tree(lua_State *L) {
  tw_lua *lua = tw_lua_self(L);
  tw_handle *self = lua_touserdata(L, 1);
  if (!self || !self->router) return 0;
  lua_pushcfunction(L, revive);
  lua_pushvalue(L, 1);
  lua_pushlightuserdata(L, lua);
  lua_pcall(L, 2, 0, 0);
  lua_settop(L, 1);
  lua_State *outer = tw_gate_into(lua->gate, L);
  tw_handle gone = *self;
  *self = (tw_handle){0}; /* a finalizer after this one may still call it */
  if (!gone.tracker) tw_router_unref(gone.router);
  else {
    if (gone.made) tw_flush(gone.tracker, -1, NULL, NULL);
    tw_tracker_unref(gone.tracker);
  }
  tw_gate_leave(lua->gate, outer);
  if (gone.tracker) tw_acks_call(L, lua, NULL);
  return 0;
}

void tw_open_router(lua_State *L, tw_lua *lua) {
  static const luaL_Reg functions[] = {{"new_router", new_router},
                                       {"add_processor", add_processor},
                                       {"add_backend", add_backend},
                                       {"set_route", set_route},
                                       {"check_delivery", check_delivery},
                                       {"set_delivery", set_delivery},
                                       {"set_observer", set_observer},
                                       {"holds", get_holds},
                                       {"child", get_child},
                                       {"children", list_children},
                                       {NULL, NULL}};
  tw_lua_setfuncs(L, lua, functions);
  tw_class_setup(L, lua, TW_CLASS_ROUTER, tw_lua_tree_methods, tw_lua_finalize_tree);
}

const luaL_Reg tw_lua_tree_methods[] = {{"open", open_router}, {"send", send_event},
                                        {"flush", flush},      {"close", close_router},
                                        {"stats", stats},      {NULL, NULL}};
