/* Routes that are Lua functions. What one returns is read in place, without making a table:
   a route runs for every event. */
#include "script/object/processor.h"

#include "script/state/message.h"

static tw_status add_name(lua_State *L, int index, tw_targets *targets, tw_error *error) {
  if (lua_type(L, index) != LUA_TSTRING)
    return tw_fail(error, TW_ETYPE, "route returned %s; return the names of backends",
                   tw_lua_describe(L, index));
  size_t len;
  const char *name = lua_tolstring(L, index, &len);
  return tw_targets_add(targets, name, len, error);
}

static tw_status add_list(lua_State *L, int index, tw_targets *targets, tw_error *error) {
  lua_Integer count = (lua_Integer)lua_rawlen(L, index);
  for (lua_Integer i = 1; i <= count; i++) {
    lua_rawgeti(L, index, i);
    tw_status status = add_name(L, -1, targets, error);
    lua_pop(L, 1);
    if (status) return status;
  }
  return TW_OK;
}

/* Names, or one list of names; nil and false send it nowhere. */
static tw_status add_results(lua_State *L, int first, tw_targets *targets, tw_error *error) {
  int count = lua_gettop(L) - first + 1;
  if (!count || (count == 1 && !lua_toboolean(L, first))) return TW_OK;
  if (count == 1 && lua_istable(L, first)) return add_list(L, first, targets, error);
  for (int index = first; index < first + count; index++) {
    tw_status status = add_name(L, index, targets, error);
    if (status) return status;
  }
  return TW_OK;
}

static tw_status route(void *self, tw_event *event, tw_targets *targets, tw_error *error) {
  tw_event_call call;
  tw_outcome outcome;
  tw_error mine;
  if (!error) error = &mine;
  if (!tw_event_call_begin(&call, self, event, LUA_MULTRET, &outcome, error))
    return error->code;
  tw_status status = TW_OK;
  switch (outcome) {
    case TW_RETURNED: status = add_results(call.L, call.first, targets, error); break;
    case TW_DROPPED: break;
    case TW_RAISED: status = error->code; break;
  }
  tw_event_call_end(&call);
  return status;
}

tw_status tw_lua_route_set(lua_State *L, tw_lua *lua, int index, int holds, tw_router *router,
                           tw_error *error) {
  static const tw_route_ops ops = {route, tw_callback_free};
  static const tw_role role = {"a route", "each event goes to every backend of its router"};
  tw_callback *self = tw_callback_new(L, lua, index, holds, &role, sizeof *self);
  return tw_router_set_route(router, &ops, self, error);
}
