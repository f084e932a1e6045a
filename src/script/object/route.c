/* Routes that are Lua functions. What one returns is read in place, without making a table:
   a route runs for every event. */
#include "script/object/processor.h"

#include "script/state/message.h"
#include "script/state/priority.h"

static tw_status add_name(lua_State *L, int index, tw_targets *targets, tw_error *error) {
  if (lua_type(L, index) != LUA_TSTRING)
    return tw_fail(error, TW_ETYPE, "route returned %s; return the names of backends",
                   tw_lua_describe(L, index));
  size_t len;
  const char *name = lua_tolstring(L, index, &len);
  return tw_targets_add(targets, name, len, error);
}

/* The field whose key and value stand at `key`. */
static tw_status add_field(lua_State *L, int key, tw_targets *targets, tw_error *error) {
  tw_priority priority = TW_PRIORITY_NORMAL;
  const char *name = lua_type(L, key) == LUA_TSTRING ? lua_tostring(L, key) : "?";
  if (strcmp(name, "priority") != 0)
    return tw_fail(error, TW_EINVAL,
                   "route returned a table with the field '%.80s'; the one that there is is "
                   "priority",
                   name);
  tw_status status = tw_priority_read(L, key + 1, &priority, error);
  if (status) tw_error_prefix(error, "route: ");
  else tw_targets_priority(targets, priority);
  return status;
}

/* The fields of a table that are not the names of a list.
   @param[out] names  its other fields. @return never raises */
static tw_status add_fields(lua_State *L, int index, tw_targets *targets, lua_Integer *names,
                            tw_error *error) {
  tw_status status = TW_OK;
  *names = 0;
  if (!lua_checkstack(L, 4)) return tw_no_memory(error);
  int top = lua_gettop(L);
  for (lua_pushnil(L); !status && lua_next(L, index); lua_settop(L, top + 1))
    if (lua_isinteger(L, top + 1)) ++*names;
    else status = add_field(L, top + 1, targets, error);
  lua_settop(L, top);
  return status;
}

static bool has_fields(lua_State *L, int index) {
  lua_pushnil(L);
  if (!lua_next(L, index)) return false;
  lua_pop(L, 2);
  return true;
}

static tw_status add_list(lua_State *L, int index, tw_targets *targets, tw_error *error) {
  lua_Integer names, count = (lua_Integer)lua_rawlen(L, index);
  tw_status status = add_fields(L, index, targets, &names, error);
  if (!status && !names && has_fields(L, index))
    status = tw_fail(error, TW_EINVAL,
                     "route returned a priority without names; return the names of backends "
                     "before it");
  for (lua_Integer i = 1; !status && i <= count; i++) {
    lua_rawgeti(L, index, i);
    status = add_name(L, -1, targets, error);
    lua_pop(L, 1);
  }
  return status;
}

/* What holds for all of the names before it. */
static tw_status add_options(lua_State *L, int index, tw_targets *targets, tw_error *error) {
  lua_Integer names;
  tw_status status = add_fields(L, index, targets, &names, error);
  if (status || !names) return status;
  return tw_fail(error, TW_ETYPE,
                 "route returned names and a list; return one list, or names and behind them "
                 "{ priority = }");
}

/* Names, or one list of names; behind names what holds for all of them, which a list has as
   its fields. nil and false send it nowhere. */
static tw_status add_results(lua_State *L, int first, tw_targets *targets, tw_error *error) {
  int count = lua_gettop(L) - first + 1;
  if (!count || (count == 1 && !lua_toboolean(L, first))) return TW_OK;
  if (count == 1 && lua_istable(L, first)) return add_list(L, first, targets, error);
  int last = first + count - 1;
  tw_status status = TW_OK;
  if (lua_istable(L, last)) status = add_options(L, last--, targets, error);
  for (int index = first; !status && index <= last; index++)
    status = add_name(L, index, targets, error);
  return status;
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
