/* Trackers in Lua, and the registry of the process as a Lua state sees it.

   A tracker that is registered from Lua stays in the process's registry, so its Lua object
   must live as long: the gate's table `trackers` holds it by name. */
#include "core/tracker.h"
#include "core/ack.h"
#include "event/text.h"
#include "script/object/object.h"
#include "script/object/time.h"
#include "script/state/acks.h"
#include "script/state/message.h"
#include "script/state/priority.h"
#include "script/value/value.h"

/* new_tracker(locator or nil) */
static int new_tracker(lua_State *L) {
  tw_lua *lua = tw_lua_self(L);
  lua_settop(L, 1);
  tw_handle *handle = tw_handle_new(L, lua, TW_CLASS_TRACKER);
  lua_getiuservalue(L, 2, 1);
  tw_error error = {0};
  tw_locator *locator = NULL;
  tw_status status = TW_OK;
  if (!lua_isnil(L, 1)) status = tw_lua_locator_new(L, lua, 1, 3, &locator, &error);
  if (!status) status = tw_tracker_new(locator, &handle->tracker, &error);
  if (status) return tw_lua_fail(L, &error);
  handle->router = tw_tracker_router(handle->tracker);
  handle->made = true;
  lua_settop(L, 2);
  return 1;
}

static tw_handle *check_tracker(lua_State *L, int index, const char *name) {
  return tw_handle_check(L, tw_lua_self(L), index, TW_CLASS_TRACKER, name);
}

/* ------------------------------------------------------------------- emit */

static const char *check_name(lua_State *L, int index) {
  return lua_isnoneornil(L, index) ? NULL : tw_lua_check_name(L, index);
}

/* Why a locator in Lua failed says more than that it gave nothing. */
static void explain(tw_gate *gate, tw_error *error) {
  if (error->code == TW_ENOMEM && gate->locate_error.code) *error = gate->locate_error;
  gate->locate_error.code = TW_OK;
}

/* What an emit asks for besides. */
typedef struct wishes {
  tw_emission how;
  int ack;     /* where the function stands on the stack; 0: nobody asks */
  void *acked; /* of tw_acks_expect */
} wishes;

static void check_ack(lua_State *L, const tw_lua *lua, int index) {
  if (!lua_isfunction(L, index) && luaL_getmetafield(L, index, "__call") == LUA_TNIL)
    tw_lua_misuse(L, "emit: ack must be a function, not %s", tw_lua_describe(L, index));
  if (lua->gate->is_script)
    tw_lua_misuse(L,
                  "emit: ack is for programs; in a router script what is emitted is part of "
                  "the event under way");
}

/* The option whose name and value are on top. */
static void check_wish(lua_State *L, const tw_lua *lua, wishes *out) {
  int value = lua_gettop(L);
  const char *name = lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : "";
  if (strcmp(name, "priority") == 0) {
    out->how.priority = tw_lua_check_priority(L, value);
  } else if (strcmp(name, "ack") == 0) {
    check_ack(L, lua, value);
    lua_pushvalue(L, value);
    lua_replace(L, out->ack);
  } else {
    tw_lua_misuse(L, "emit: unknown option '%s'; the options are ack and priority", name);
  }
}

/* Reads the options at `index`. */
static wishes check_wishes(lua_State *L, const tw_lua *lua, int index) {
  wishes out = {{0}, 0, NULL};
  if (lua_isnoneornil(L, index)) return out;
  if (!lua_istable(L, index))
    tw_lua_misuse(L, "emit: options must be a table, not %s", tw_lua_describe(L, index));
  lua_pushnil(L);
  out.ack = lua_gettop(L);
  for (lua_pushnil(L); lua_next(L, index); lua_settop(L, out.ack + 1)) check_wish(L, lua, &out);
  if (lua_isnil(L, out.ack)) out.ack = 0;
  return out;
}

/* Writes the data at `index`, and makes the promise when nothing else can raise any more: so
   none is left that nobody keeps. Making it may run a finalizer that uses the scratch buffer,
   so that the text is a string of Lua's meanwhile. */
static const char *check_data(lua_State *L, tw_lua *lua, int index, wishes *wanted,
                              size_t *len) {
  const char *data = tw_lua_check_json(L, lua, index, "data", len);
  if (!wanted->ack) return data;
  data = lua_pushlstring(L, data, *len);
  wanted->acked = tw_acks_expect(L, lua, wanted->ack);
  return data;
}

/* Emits, or tells why not, and tells whoever asked. */
static tw_status emit_now(tw_tracker *tracker, const char *name, const char *data, size_t len,
                          const wishes *wanted, tw_error *error) {
  if (!wanted->acked) return tw_emit_as(tracker, name, data, len, &wanted->how, error);
  return tw_emit_acked_as(tracker, name, data, len, &wanted->how, tw_acks_arrived,
                          wanted->acked, error);
}

/* No tracker: it is closed. The scratch buffer with the data is out of reach of the callbacks
 * meanwhile. */
static tw_status emit_nested(lua_State *L, tw_lua *lua, tw_tracker *tracker, const char *name,
                             const char *data, size_t len, const wishes *wanted,
                             tw_error *error) {
  lua_State *outer = NULL;
  if (!tracker) tw_fail(error, TW_ECLOSED, "the tracker is closed");
  else outer = tw_gate_into_nested(lua->gate, L, error);
  if (!outer) {
    if (wanted->acked) tw_acks_arrived(wanted->acked, error->code, error);
    return error->code;
  }
  tw_buffer scratch = tw_lua_take_scratch(lua);
  tw_status status = emit_now(tracker, name, data, len, wanted, error);
  tw_lua_give_scratch(lua, &scratch);
  tw_gate_leave_nested(lua->gate, outer);
  if (status) explain(lua->gate, error);
  return status;
}

/* tracker:emit(name, data, options) */
static int emit(lua_State *L) {
  tw_lua *lua = tw_lua_self(L);
  tw_handle *self = check_tracker(L, 1, "self");
  const char *name = check_name(L, 2);
  tw_acks_call(L, lua, self->router); /* of events before this one */
  wishes wanted = check_wishes(L, lua, 4);
  size_t len;
  const char *data = check_data(L, lua, 3, &wanted, &len);
  tw_error error = {0};
  tw_tracker *tracker = self->closed ? NULL : self->tracker;
  tw_status status = emit_nested(L, lua, tracker, name, data, len, &wanted, &error);
  tw_timers_between(L, lua, self->router);
  return tw_lua_result(L, status, &error);
}

/* poll(seconds) -> how many acknowledgements were told, and how many are still to come */
static int poll(lua_State *L) {
  tw_lua *lua = tw_lua_self(L);
  tw_handle *self = check_tracker(L, 1, "self");
  lua_Number seconds = luaL_optnumber(L, 2, 0);
  luaL_argcheck(L, seconds >= 0 && seconds <= TW_LONGEST_WAIT, 2,
                "expected seconds, such as 5");
  if (lua->gate->is_script && seconds > 0)
    return tw_lua_misuse(L, "poll: a router script does not wait");
  size_t called = tw_acks_call(L, lua, self->router);
  if (!called && seconds > 0 && !lua->depth) {
    tw_acks_wait(lua, seconds);
    called = tw_acks_call(L, lua, self->router);
  }
  tw_timers_between(L, lua, self->router);
  lua_pushinteger(L, (lua_Integer)called);
  lua_pushinteger(L, (lua_Integer)tw_acks_pending(lua));
  return 2;
}

/* ------------------------------------------------- emit, in a router script */

/* A router script has no tracker: what it emits enters its own tree at the root, at the time of
   the state's clock, which a test may have set. Contexts are the emitting program's; here the
   context is empty. The order of the fields is that of a tracker. */
static bool write_event(tw_buffer *out, const char *name, const char *data, size_t len,
                        int64_t now, tw_error *error) {
  static const char start[] = "{\"name\":", time[] = ",\"timestamp\":\"",
                    then[] = "\",\"context\":{},\"data\":";
  char stamp[TW_RFC3339_LEN];
  tw_rfc3339(now, stamp);
  return tw_buffer_append(out, start, sizeof start - 1) &&
         tw_write_string(out, name, strlen(name), error) == TW_OK &&
         tw_buffer_append(out, time, sizeof time - 1) &&
         tw_buffer_append(out, stamp, sizeof stamp) &&
         tw_buffer_append(out, then, sizeof then - 1) && tw_buffer_append(out, data, len) &&
         tw_buffer_byte(out, '}');
}

/* It is another event than the one that this thread may be sending. */
static tw_status enter_root(tw_gate *gate, const tw_event *event, tw_error *error) {
  if (gate->emit) return gate->emit(gate->emit_self, event, error);
  tw_ack *outer = tw_ack_swap(NULL);
  tw_status status = tw_router_send(gate->root, event, 0, error);
  tw_ack_swap(outer);
  return status;
}

static tw_status send_root(lua_State *L, tw_lua *lua, const char *name, const char *data,
                           size_t len, tw_priority priority, tw_error *error) {
  tw_buffer text = {0};
  tw_event *event = NULL;
  tw_status status = TW_ENOMEM;
  if (!write_event(&text, name ? name : "unknown", data, len, tw_lua_utc(lua), error))
    status = error->code ? error->code : tw_no_memory(error);
  else status = tw_event_parse(text.data, text.len, &lua->limits, &event, error);
  tw_buffer_fini(&text);
  if (status) return status;
  if (priority) tw_event_set_priority(event, priority);
  lua_State *outer = tw_gate_into_nested(lua->gate, L, error);
  status = outer ? enter_root(lua->gate, event, error) : error->code;
  if (outer) tw_gate_leave_nested(lua->gate, outer);
  tw_event_free(event);
  return status;
}

/* emit(name, data, options): into the default tracker; in a router script into its own router
 */
static int emit_default(lua_State *L) {
  tw_lua *lua = tw_lua_self(L);
  tw_gate *gate = lua->gate;
  const char *name = check_name(L, 1);
  if (gate->is_script && !gate->root)
    return tw_lua_misuse(L,
                         "emit: the script is still loading; emit from a processor or backend");
  if (!gate->is_script) tw_acks_call(L, lua, NULL);
  wishes wanted = check_wishes(L, lua, 3);
  size_t len;
  tw_error error = {0};
  if (gate->is_script) {
    const char *text = tw_lua_check_json(L, lua, 2, "data", &len);
    tw_status sent = send_root(L, lua, name, text, len, wanted.how.priority, &error);
    return tw_lua_result(L, sent, &error);
  }
  tw_tracker *tracker;
  const char *data = check_data(L, lua, 2, &wanted, &len);
  if (tw_get_tracker(NULL, &tracker, &error)) {
    if (wanted.acked) tw_acks_arrived(wanted.acked, error.code, &error);
    return tw_lua_misuse(L, "%s", error.message);
  }
  tw_status status = emit_nested(L, lua, tracker, name, data, len, &wanted, &error);
  tw_timers_between(L, lua, tw_tracker_router(tracker));
  tw_tracker_unref(tracker);
  return tw_lua_result(L, status, &error);
}

/* --------------------------------------------------------------- contexts */

/* tracker:enter_context(name, fields) */
static int enter_context(lua_State *L) {
  tw_lua *lua = tw_lua_self(L);
  tw_handle *self = check_tracker(L, 1, "self");
  const char *name = tw_lua_check_name(L, 2);
  size_t len;
  const char *json = tw_lua_check_json(L, lua, 3, "context", &len);
  tw_error error = {0};
  lua_State *outer = tw_gate_into(lua->gate, L);
  tw_buffer scratch = tw_lua_take_scratch(lua);
  tw_status status = tw_enter_context(self->tracker, name, json, len, &error);
  tw_lua_give_scratch(lua, &scratch);
  tw_gate_leave(lua->gate, outer);
  if (status) explain(lua->gate, &error);
  return tw_lua_result(L, status, &error);
}

/* tracker:exit_context(name) */
static int exit_context(lua_State *L) {
  tw_lua *lua = tw_lua_self(L);
  tw_handle *self = check_tracker(L, 1, "self");
  const char *name = tw_lua_check_name(L, 2);
  tw_error error = {0};
  lua_State *outer = tw_gate_into(lua->gate, L);
  tw_status status = tw_exit_context(self->tracker, name, &error);
  tw_gate_leave(lua->gate, outer);
  if (status) explain(lua->gate, &error);
  if (status == TW_ENOENT) return tw_lua_misuse(L, "%s", error.message);
  return tw_lua_result(L, status, &error);
}

/* locate(tracker) -> context, or nil, message, code */
static int locate(lua_State *L) {
  tw_lua *lua = tw_lua_self(L);
  tw_handle *self = check_tracker(L, 1, "self");
  tw_handle *handle = tw_handle_new(L, lua, TW_CLASS_CONTEXT);
  lua_State *outer = tw_gate_into(lua->gate, L);
  handle->context = tw_located_context(self->tracker);
  tw_gate_leave(lua->gate, outer);
  if (handle->context) return 1;
  tw_error error;
  tw_no_memory(&error);
  explain(lua->gate, &error);
  return tw_lua_fail(L, &error);
}

/* --------------------------------------------------------------- registry */

/* The name of a registered tracker; most programs have one tracker and never name it. */
static const char *check_registered(lua_State *L, int index) {
  const char *name = check_name(L, index);
  return name ? name : "default";
}

/* The registry is of the process, and a router script is a guest in it. */
static tw_lua *check_host(lua_State *L) {
  tw_lua *lua = tw_lua_self(L);
  if (lua->gate->is_script)
    tw_lua_misuse(L,
                  "registered trackers are the host's; a router script sends with "
                  "tidewire.emit, or makes a tracker of its own");
  return lua;
}

/* register_tracker(tracker, name) */
static int register_tracker(lua_State *L) {
  tw_lua *lua = check_host(L);
  lua_settop(L, 2);
  tw_handle *self = check_tracker(L, 1, "tracker");
  const char *name = check_registered(L, 2);
  lua_rawgeti(L, LUA_REGISTRYINDEX, lua->gate->trackers);
  lua_pushvalue(L, 1);
  lua_setfield(L, -2, name);
  tw_error error = {0};
  lua_State *outer = tw_gate_into(lua->gate, L);
  tw_status status = tw_register_tracker(self->tracker, name, &error);
  tw_gate_leave(lua->gate, outer);
  return tw_lua_result(L, status, &error);
}

/* unregister_tracker(name) */
static int unregister_tracker(lua_State *L) {
  tw_lua *lua = check_host(L);
  lua_settop(L, 1);
  const char *name = check_registered(L, 1);
  lua_rawgeti(L, LUA_REGISTRYINDEX, lua->gate->trackers);
  lua_getfield(L, 2, name); /* keeps it alive until here */
  lua_pushnil(L);
  lua_setfield(L, 2, name);
  tw_error error = {0};
  lua_State *outer = tw_gate_into(lua->gate, L);
  tw_status status = tw_unregister_tracker(name, &error);
  tw_gate_leave(lua->gate, outer);
  if (status == TW_ENOENT) return tw_lua_misuse(L, "%s", error.message);
  return tw_lua_result(L, status, &error);
}

/* get_tracker(name): the object that was registered here, or a new one for C's tracker */
static int get_tracker(lua_State *L) {
  tw_lua *lua = check_host(L);
  lua_settop(L, 1);
  const char *name = check_registered(L, 1);
  tw_handle *handle = tw_handle_new(L, lua, TW_CLASS_TRACKER);
  tw_error error = {0};
  tw_status status = tw_get_tracker(name, &handle->tracker, &error);
  if (status == TW_ENOENT) return tw_lua_misuse(L, "%s", error.message);
  if (status) return tw_lua_fail(L, &error);
  handle->router = tw_tracker_router(handle->tracker);
  lua_rawgeti(L, LUA_REGISTRYINDEX, lua->gate->trackers);
  lua_getfield(L, -1, name);
  tw_handle *mine = tw_handle_test(L, lua, -1, TW_CLASS_TRACKER);
  if (!mine || mine->tracker != handle->tracker) {
    lua_settop(L, 2);
    return 1;
  }
  tw_tracker_unref(handle->tracker);
  *handle = (tw_handle){0};
  return 1;
}

void tw_open_tracker(lua_State *L, tw_lua *lua) {
  static const luaL_Reg functions[] = {{"new_tracker", new_tracker},
                                       {"locate", locate},
                                       {"emit", emit_default},
                                       {"register_tracker", register_tracker},
                                       {"unregister_tracker", unregister_tracker},
                                       {"get_tracker", get_tracker},
                                       {NULL, NULL}};
  static const luaL_Reg own[] = {{"emit", emit},
                                 {"poll", poll},
                                 {"enter_context", enter_context},
                                 {"exit_context", exit_context},
                                 {NULL, NULL}};
  tw_lua_setfuncs(L, lua, functions);
  tw_class_setup(L, lua, TW_CLASS_TRACKER, tw_lua_tree_methods, tw_lua_finalize_tree);
  lua_getfield(L, -1, "tracker");
  lua_getfield(L, -1, "methods");
  tw_lua_setfuncs(L, lua, own);
  lua_pop(L, 2);
}
