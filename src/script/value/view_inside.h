/// view_inside.h: what the files of the view share among themselves.
#ifndef TW_SCRIPT_VIEW_INSIDE_H
#define TW_SCRIPT_VIEW_INSIDE_H

#include "script/value/value.h"
#include "script/value/view.h"

/// An event that Lua owns, a full userdata; the views of it hold it as their user value.
typedef struct tw_owned {
  tw_owner owner;         ///< first
  bool open;              ///< false before it is filled and after its __gc
  bool is_event;          ///< false: any JSON value, which has no id
  size_t charged;         ///< bytes of the store that count as the script's memory
  struct tw_guard *guard; ///< whose memory that is; NULL: of no script
  tw_store store;
  tw_event event;
} tw_owned;

/// A view as a full userdata.
typedef struct tw_view {
  uint64_t serial;
  tw_owned *owned; ///< NULL: the event is bound
  tw_ref node;
} tw_view;

/// What a view stands for while a function runs.
typedef struct tw_subject {
  tw_event *event; ///< NULL: it has ended
  uint64_t serial;
  tw_ref node;
} tw_subject;

/* A light view: 48 bits of serial, 16 of node. Serials begin at 2^47, so the top bit is
   set, and no address of this process looks like a view. */
#define TW_LIGHT_NODES   ((tw_ref)1 << 16)
#define TW_LIGHT_SERIALS ((uint64_t)1 << 48)
#define TW_LIGHT_TAG     ((uint64_t)1 << 63)

static inline tw_event *tw_view_bound(const tw_lua *lua, uint64_t serial) {
  const tw_binding *binding = &lua->bound[serial % TW_MAX_BOUND];
  return binding->serial == serial ? binding->event : NULL;
}
static inline tw_subject tw_view_of_light(const tw_lua *lua, const void *light) {
  uint64_t bits = (uintptr_t)light;
  return (tw_subject){tw_view_bound(lua, bits >> 16), bits >> 16, bits & (TW_LIGHT_NODES - 1)};
}
static inline tw_subject tw_view_of_full(const tw_lua *lua, const tw_view *view) {
  tw_event *event = tw_view_bound(lua, view->serial);
  if (view->owned) event = view->owned->open ? &view->owned->event : NULL;
  return (tw_subject){event, view->serial, view->node};
}
/// The subject of the view at `index`, which is known to be one.
static inline tw_subject tw_view_subject(lua_State *L, const tw_lua *lua, int index) {
  const void *block = lua_touserdata(L, index);
  return lua_islightuserdata(L, index) ? tw_view_of_light(lua, block)
                                       : tw_view_of_full(lua, block);
}

/// Raises what a dead view, null or a foreign light userdata deserves.
/// @param verb  such as "index"
int tw_view_raise_ended(lua_State *L, int index, const char *verb);

/// Pushes the view of another node of the event of the view at `index`.
void tw_view_push_node(lua_State *L, const tw_lua *lua, int index, uint64_t serial,
                       tw_ref node);

static inline bool tw_view_is_array(const tw_event *event, tw_ref node) {
  if (event->edits) return tw_event_is_array(event, node);
  return tw_node_kind(tw_store_node(event->store, node)) == TW_KIND_ARRAY;
}

/// How many containers stand around a member of `node`.
uint32_t tw_view_depth(const tw_event *event, tw_ref node);
/// The same for storing the Lua value at `index`, for tw_value_store_at; 1 where the depth
/// does not matter, which costs nothing.
uint32_t tw_view_depth_for(lua_State *L, int index, const tw_event *event, tw_ref node);
/// Where a node stands in its event, as Lua would write it.
void tw_view_path(const tw_event *event, tw_ref node, tw_path_text *path);

/// The metamethods of views, by name and in their light and full form.
int tw_view_pairs(lua_State *L);
void tw_view_access_setup(lua_State *L, tw_lua *lua);

#endif
