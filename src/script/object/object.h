/// object.h: C objects as Lua sees them: routers, trackers, backends, processors, contexts
/// and locators. Each is a userdata with one handle, closed before it is opened, so that its
/// finalizer is always safe.
#ifndef TW_SCRIPT_OBJECT_H
#define TW_SCRIPT_OBJECT_H

#include "script/state/gate.h"

typedef enum tw_class {
  TW_CLASS_ROUTER,
  TW_CLASS_TRACKER,
  TW_CLASS_BACKEND,
  TW_CLASS_PROCESSOR,
  TW_CLASS_CONTEXT,
  TW_CLASS_LOCATOR
} tw_class;

/// What a handle refers to: a reference of its own, NULL before it is opened.
typedef struct tw_handle {
  tw_router *router; ///< of a router or, borrowed from it, of a tracker
  tw_tracker *tracker;
  tw_backend *backend;
  tw_engine *engine; ///< that the backend sends into; of a backend made with new_engine
  tw_processor *processor;
  tw_context *context;
  tw_locator *locator;
  bool opened; ///< every backend is open, as far as is known
  bool closed; ///< by the user
  bool made;   ///< here: flush it before it goes
} tw_handle;

/// Seconds that a call may wait, at most: as milliseconds they fit an int.
#define TW_LONGEST_WAIT 2e6

/// Pushes a new handle of a class. A router's and a tracker's has, as its first user value,
/// the table of what it holds.
tw_handle *tw_handle_new(lua_State *L, tw_lua *lua, tw_class class_);
/// @return the handle at `index`; NULL when it is something else
tw_handle *tw_handle_test(lua_State *L, tw_lua *lua, int index, tw_class class_);
/// The same; raises with the argument's name.
tw_handle *tw_handle_check(lua_State *L, tw_lua *lua, int index, tw_class class_,
                           const char *name);
/// A router or a tracker.
tw_handle *tw_handle_check_tree(lua_State *L, tw_lua *lua, int index);

/// Makes the metatable of a class and adds its parts to the table on top, the module
/// `tidewire.core`: `core.CLASS = { methods =, getters =, meta = }`.
void tw_class_setup(lua_State *L, tw_lua *lua, tw_class class_, const luaL_Reg *methods,
                    lua_CFunction finalize);
/// Takes the metatables out of the table at `core`.
void tw_class_seal(lua_State *L, int core);

/// Pushes the metatable of a class.
void tw_class_push(lua_State *L, tw_lua *lua, tw_class class_);

/// Writes a table as JSON into the scratch buffer; raises with the argument's name.
const char *tw_lua_check_json(lua_State *L, tw_lua *lua, int index, const char *name,
                              size_t *len);
/// @return the name at `index`, a string; raises otherwise
const char *tw_lua_check_name(lua_State *L, int index);
/// Takes the scratch buffer out of the way of callbacks, which need one too.
tw_buffer tw_lua_take_scratch(tw_lua *lua);
void tw_lua_give_scratch(tw_lua *lua, tw_buffer *scratch);
/// Pushes a JSON object as a plain table. Raises; does not free the text.
void tw_lua_push_json(lua_State *L, tw_lua *lua, const char *text, size_t len);

/// Makes a backend of the object at `index`, which has `send` or `send_batch`.
tw_status tw_lua_backend_new(lua_State *L, tw_lua *lua, int index, int holds, tw_backend **out,
                             tw_error *error);

/// Makes a locator of the object at `index`, which has `get`; or takes a shipped one.
tw_status tw_lua_locator_new(lua_State *L, tw_lua *lua, int index, int holds, tw_locator **out,
                             tw_error *error);

/// What routers and trackers share: open, send, flush, close, stats; and their finalizer.
extern const luaL_Reg tw_lua_tree_methods[];
int tw_lua_finalize_tree(lua_State *L);

/* Each adds its class and functions to the table on top. */
void tw_open_router(lua_State *L, tw_lua *lua);
void tw_open_tracker(lua_State *L, tw_lua *lua);
void tw_open_kind(lua_State *L, tw_lua *lua);
void tw_open_context(lua_State *L, tw_lua *lua);

#endif
