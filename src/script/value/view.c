/// view.c: the life of views: binding events, owning them, and the ways from a Lua value to
/// an event and back.
///
/// Serials only grow, through bound and owned events alike. A bound event stands in the
/// table at its serial modulo TW_MAX_BOUND; a serial whose place is taken is skipped, so
/// that events which end in any order find room while there is some.
#include "script/state/room.h"

uint64_t tw_view_bind(tw_lua *lua, tw_event *event) {
  for (unsigned tries = 0; tries < TW_MAX_BOUND; tries++) {
    uint64_t serial = ++lua->serial;
    tw_binding *binding = &lua->bound[serial % TW_MAX_BOUND];
    if (binding->event) continue;
    *binding = (tw_binding){serial, event};
    return serial;
  }
  return 0;
}

void tw_view_unbind(tw_lua *lua, uint64_t serial) {
  tw_binding *binding = &lua->bound[serial % TW_MAX_BOUND];
  if (binding->serial == serial) binding->event = NULL;
}

static tw_view *push_full(lua_State *L, const tw_lua *lua, uint64_t serial, tw_ref node,
                          tw_owned *owned) {
  tw_view *view = lua_newuserdatauv(L, sizeof *view, owned ? 1 : 0);
  *view = (tw_view){serial, owned, node};
  tw_lua_push_mark(L, lua, TW_MARK_VIEW);
  lua_setmetatable(L, -2);
  return view;
}

static bool push_light(lua_State *L, const tw_lua *lua, uint64_t serial, tw_ref node) {
  if (!lua->light || node >= TW_LIGHT_NODES || serial >= TW_LIGHT_SERIALS) return false;
  uintptr_t bits = (uintptr_t)(serial << 16 | node);
  lua_pushlightuserdata(L, (void *)bits); /* NOLINT(performance-no-int-to-ptr): no address */
  return true;
}

/* A host's state keeps the last root view of each binding: binding and pushing costs one
   small userdata, however often the view is pushed. A view of an older serial stays dead. */
void tw_view_push(lua_State *L, tw_lua *lua, uint64_t serial) {
  tw_event *event = tw_view_bound(lua, serial);
  tw_ref root = event ? event->root : 0;
  if (push_light(L, lua, serial, root)) return;
  lua_rawgeti(L, LUA_REGISTRYINDEX, lua->roots);
  lua_Integer place = (lua_Integer)(serial % TW_MAX_BOUND) + 1;
  lua_rawgeti(L, -1, place); /* roots, view */
  const tw_view *view = lua_touserdata(L, -1);
  if (!view || view->serial != serial || view->node != root) {
    lua_pop(L, 1);
    push_full(L, lua, serial, root, NULL);
    lua_pushvalue(L, -1);
    lua_rawseti(L, -3, place);
  }
  lua_remove(L, -2);
}

void tw_view_push_node(lua_State *L, const tw_lua *lua, int index, uint64_t serial,
                       tw_ref node) {
  const tw_view *view = lua_islightuserdata(L, index) ? NULL : lua_touserdata(L, index);
  tw_owned *owned = view ? view->owned : NULL;
  if (!owned && push_light(L, lua, serial, node)) return;
  index = lua_absindex(L, index);
  push_full(L, lua, serial, node, owned);
  if (!owned) return;
  lua_getiuservalue(L, index, 1);
  lua_setiuservalue(L, -2, 1);
}

void tw_view_push_value(lua_State *L, tw_lua *lua, int index, tw_event *event, tw_ref ref) {
  if (!tw_kind_is_container(tw_node_kind(tw_store_node(event->store, ref))))
    tw_value_push_scalar(L, event, ref);
  else tw_view_push_node(L, lua, index, tw_view_subject(L, lua, index).serial, ref);
}

/* ------------------------------------------------------------------ owned events */

static void close_owned(tw_owner *owner) {
  tw_owned *owned = (tw_owned *)owner;
  if (owned->open) tw_event_end(&owned->event);
  owned->open = false;
  tw_room_refund(owned);
  tw_store_fini(&owned->store);
}

static int owned_gc(lua_State *L) {
  tw_lua_disown(lua_touserdata(L, 1));
  return 0;
}

/* A box whose __gc is safe from the start: it owns nothing until it is zeroed and linked. */
static tw_owned *push_box(lua_State *L, tw_lua *lua) {
  tw_owned *owned = lua_newuserdatauv(L, sizeof *owned, 0);
  memset(owned, 0, sizeof *owned);
  tw_lua_push_mark(L, lua, TW_MARK_OWNED);
  lua_setmetatable(L, -2);
  owned->guard = lua->guard;
  tw_store_init(&owned->store, &lua->limits);
  tw_lua_own(L, lua, &owned->owner, close_owned);
  return owned;
}

/* Lua sees a kilobyte of userdata; the store behind it may be a thousand times that. So the
   collector is moved on as if Lua had allocated it, unless the program has stopped it. */
static void tell_collector(lua_State *L, const tw_store *store) {
  size_t bytes = store->cap * sizeof *store->nodes + store->spent;
  if (bytes >= 1024 && lua_gc(L, LUA_GCISRUNNING)) lua_gc(L, LUA_GCSTEP, (int)(bytes / 1024));
}

/* Replaces the box on top by a view of its event's root. */
static void view_box(lua_State *L, tw_lua *lua, tw_owned *owned) {
  owned->open = true;
  tw_room_charge(L, owned);
  push_full(L, lua, ++lua->serial, owned->event.root, owned); /* box, view */
  lua_insert(L, -2);
  lua_setiuservalue(L, -2, 1);
  tell_collector(L, &owned->store);
}

static bool is_scalar(const tw_owned *owned, tw_ref ref) {
  return !tw_kind_is_container(tw_node_kind(tw_store_node(&owned->store, ref)));
}

/* Fills the box on top with text and replaces it by what Lua sees of it. */
static tw_status fill_box(lua_State *L, tw_lua *lua, tw_owned *owned, const char *json,
                          size_t len, bool object_only, tw_error *error) {
  tw_event *event = &owned->event;
  *event = (tw_event){.store = &owned->store, .id = &owned->store.id};
  owned->store.events = !object_only;
  owned->is_event = object_only;
  tw_status status = object_only ? tw_store_parse_copy(&owned->store, json, len, event, error)
                                 : tw_store_json(&owned->store, json, len, &event->root, error);
  if (status) return status;
  if (is_scalar(owned, event->root)) {
    tw_value_push_scalar(L, event, event->root);
    lua_remove(L, -2);
  } else {
    view_box(L, lua, owned);
  }
  return TW_OK;
}

tw_status tw_view_push_json(lua_State *L, tw_lua *lua, const char *json, size_t len,
                            bool object_only, tw_error *error) {
  tw_owned *owned = push_box(L, lua);
  tw_status status = fill_box(L, lua, owned, json, len, object_only, error);
  if (status) lua_pop(L, 1);
  return status;
}

/* The store takes its own bounds for limits that are larger. */
tw_status tw_view_push_large(lua_State *L, tw_lua *lua, const char *json, size_t len,
                             tw_error *error) {
  static const tw_limits largest = {UINT32_MAX, SIZE_MAX};
  tw_owned *owned = push_box(L, lua);
  tw_store_init(&owned->store, &largest);
  tw_status status = fill_box(L, lua, owned, json, len, true, error);
  if (status) lua_pop(L, 1);
  return status;
}

tw_status tw_view_push_made(lua_State *L, tw_lua *lua, int index, const char *root,
                            tw_error *error) {
  index = lua_absindex(L, index);
  tw_owned *owned = push_box(L, lua);
  tw_buffer *text = tw_lua_scratch(L, lua);
  tw_status status = tw_value_write(L, lua, index, root, text, error);
  if (!status && text->data[0] != '{')
    status = tw_fail(error, TW_ETYPE, "%s: an event is an object, not a list or a scalar",
                     *root ? root : "event");
  if (!status) status = fill_box(L, lua, owned, text->data, text->len, true, error);
  if (status) lua_pop(L, 1);
  return status;
}

tw_status tw_view_push_copy(lua_State *L, tw_lua *lua, const tw_event *event, tw_error *error) {
  tw_owned *owned = push_box(L, lua);
  tw_status status = tw_event_import(&owned->store, event, &owned->event, error);
  owned->is_event = true;
  if (status) lua_pop(L, 1);
  else view_box(L, lua, owned);
  return status;
}

/* ---------------------------------------------------------------- from Lua values */

bool tw_view_is(lua_State *L, const tw_lua *lua, int index) {
  if (!lua_islightuserdata(L, index))
    return lua_isuserdata(L, index) && tw_lua_has_mark(L, lua, index, TW_MARK_VIEW);
  return lua->light && ((uintptr_t)lua_touserdata(L, index) & TW_LIGHT_TAG);
}

tw_event *tw_view_peek(lua_State *L, tw_lua *lua, int index, tw_ref *ref) {
  if (!tw_view_is(L, lua, index)) return NULL;
  tw_subject subject = tw_view_subject(L, lua, index);
  *ref = subject.node;
  return subject.event;
}

tw_event *tw_view_get(lua_State *L, tw_lua *lua, int index, tw_ref *ref) {
  luaL_checkstack(L, 2, NULL);
  if (!tw_view_is(L, lua, index)) return NULL;
  tw_event *event = tw_view_peek(L, lua, index, ref);
  if (!event) tw_view_raise_ended(L, index, "use");
  return event;
}

int tw_view_raise_ended(lua_State *L, int index, const char *verb) {
  const void *block = lua_touserdata(L, index);
  if (!lua_islightuserdata(L, index) || ((uintptr_t)block & TW_LIGHT_TAG))
    return tw_lua_raise(
        L, "event view used after its event ended; keep tidewire.totable(view) instead");
  if (block) return tw_lua_raise(L, "attempt to %s a light userdata value", verb);
  if (lua_type(L, 2) == LUA_TSTRING && index == 1)
    return tw_lua_raise(L, "attempt to %s null (field '%s'); compare with tidewire.null first",
                        verb, lua_tostring(L, 2));
  return tw_lua_raise(L, "attempt to %s null; compare with tidewire.null first", verb);
}

void tw_view_setup(lua_State *L, tw_lua *lua) {
  tw_lua_new_mark(L, lua, TW_MARK_OWNED, "owned event");
  lua_pushcfunction(L, owned_gc);
  lua_setfield(L, -2, "__gc");
  lua_pop(L, 1);
  tw_view_access_setup(L, lua);
}
