/* What a processor in Lua returns decides. Nothing and false, by far the most frequent, are
   told by their type alone; all else is taken over in a protected call. */
#include "script/object/processor.h"

#include "script/state/message.h"
#include "script/state/room.h"
#include "script/value/value.h"
#include "script/value/view.h"

typedef struct result {
  tw_lua *lua;
  tw_event *event;
  tw_split *split;
  tw_error *error;
  tw_verdict verdict;
} result;

static tw_verdict refuse(lua_State *L, result *to, int index, const char *what) {
  tw_fail(to->error, TW_ETYPE,
          "%s is %s; return nothing to go on, an event or a list of events, or false to drop",
          what, tw_lua_describe(L, index));
  return TW_FAIL;
}

/* -------------------------------------------------------------- one event */

static bool is_value(lua_State *L, tw_lua *lua, int index) {
  return lua_istable(L, index) || tw_view_is(L, lua, index);
}

static tw_verdict replace(lua_State *L, result *to, int index) {
  tw_ref ref;
  if (tw_view_get(L, to->lua, index, &ref) == to->event && ref == to->event->root)
    return TW_PASS;
  tw_room_check(L, to->lua, to->event);
  tw_buffer *text = tw_lua_scratch(L, to->lua);
  if (tw_value_write(L, to->lua, index, "", text, to->error)) return TW_FAIL;
  if (tw_event_replace(to->event, text->data, text->len, to->error)) return TW_FAIL;
  return TW_PASS;
}

/* ---------------------------------------------------------------- a list */

static bool is_array_view(lua_State *L, tw_lua *lua, int index) {
  tw_ref ref;
  tw_event *event = tw_view_get(L, lua, index, &ref);
  return event && tw_event_is_array(event, ref);
}

/* A list is marked as one, or is a table whose first element is an event. */
static bool is_list(lua_State *L, tw_lua *lua, int index) {
  if (!lua_istable(L, index)) return is_array_view(L, lua, index);
  if (tw_lua_is_split(L, lua, index) || tw_lua_has_mark(L, lua, index, TW_MARK_ARRAY))
    return true;
  lua_rawgeti(L, index, 1);
  bool list = is_value(L, lua, -1);
  lua_pop(L, 1);
  return list;
}

static tw_status add(lua_State *L, result *to, int index) {
  tw_ref ref;
  tw_event *event = tw_view_get(L, to->lua, index, &ref);
  if (event && ref == event->root) return tw_split_add(to->split, event);
  tw_buffer *text = tw_lua_scratch(L, to->lua);
  tw_status status = tw_value_write(L, to->lua, index, "", text, to->error);
  if (status) return status;
  return tw_split_add_json(to->split, text->data, text->len, to->error);
}

static tw_verdict split(lua_State *L, result *to, int index) {
  lua_Integer count = luaL_len(L, index);
  for (lua_Integer i = 1; i <= count; i++) {
    tw_room_check(L, to->lua, to->event);
    lua_geti(L, index, i);
    int element = lua_gettop(L);
    if (!is_value(L, to->lua, element)) return refuse(L, to, element, "an element of its list");
    to->error->code = TW_OK;
    tw_status status = add(L, to, element);
    if (status && !to->error->code) tw_fail(to->error, status, "out of memory");
    if (status) return TW_FAIL;
    lua_pop(L, 1);
    tw_guard_step(to->lua->guard, L, 100);
  }
  return TW_SPLIT;
}

static int take_result(lua_State *L) {
  result *to = lua_touserdata(L, 2);
  if (!is_value(L, to->lua, 1)) to->verdict = refuse(L, to, 1, "its result");
  else if (is_list(L, to->lua, 1)) to->verdict = split(L, to, 1);
  else to->verdict = replace(L, to, 1);
  return 0;
}

/* ---------------------------------------------------------------- process */

static tw_verdict take(tw_event_call *call, tw_event *event, tw_split *split_to,
                       tw_error *error) {
  lua_State *L = call->L;
  int type = lua_type(L, -1);
  if (type == LUA_TNIL) return TW_PASS;
  if (type == LUA_TBOOLEAN && !lua_toboolean(L, -1)) return TW_DROP;
  result taken = {call->lua, event, split_to, error, TW_FAIL};
  tw_gate *gate = call->callback->gate;
  tw_gate_push_handler(L, gate);
  lua_pushcfunction(L, take_result);
  lua_pushvalue(L, -3);
  lua_pushlightuserdata(L, &taken);
  tw_outcome outcome = tw_gate_pcall(gate, L, 2, 0, error);
  call->stopped |= gate->stopped;
  return outcome == TW_RETURNED ? taken.verdict : TW_FAIL;
}

static tw_verdict process(void *self, tw_event *event, tw_split *split_to, tw_error *error) {
  tw_event_call call;
  tw_outcome outcome;
  tw_error mine;
  if (!error) error = &mine;
  if (!tw_event_call_begin(&call, self, event, 1, &outcome, error)) return TW_FAIL;
  tw_verdict verdict = TW_FAIL;
  switch (outcome) {
    case TW_RETURNED: verdict = take(&call, event, split_to, error); break;
    case TW_DROPPED: verdict = TW_DROP; break;
    case TW_RAISED: break;
  }
  tw_event_call_end(&call);
  return verdict;
}

tw_status tw_lua_processor_new(lua_State *L, tw_lua *lua, int index, int holds,
                               const char *name, tw_on_error on_error, tw_processor **out,
                               tw_error *error) {
  static const tw_processor_ops ops = {process, tw_callback_free};
  static const tw_role role = {"a processor", "its on_error decides about each event"};
  tw_callback *self = tw_callback_new(L, lua, index, holds, &role, sizeof *self);
  return tw_processor_new(name, &ops, self, on_error, out, error);
}
