/// view.h: events as Lua sees them.
///
/// A view is the serial number of an event made visible, and the number of a node. An event
/// is either *bound*: borrowed for a while, as by a processor; or *owned* by Lua, and then
/// its views keep it alive. In a state of ours a view of a bound event is a light userdata
/// of 48 bits of serial and 16 of node, so that reading an event makes no garbage. All
/// other views are full userdata: in a host's state, of owned events, of nodes from 65536
/// on, and of serials past 48 bits. Serials are never used twice. When the binding ends,
/// its serial is known no more, and a view of it raises a clear error.
///
/// A view of a value that was removed or replaced goes on to show that value, apart from
/// the event, as a Lua table would.
///
/// As a table
/// - JSON null is read as tidewire.null, which is true in a condition, as with lua-cjson. A
///   missing field is nil. At the root of an event, `id` is the event's id when the JSON has
///   no such field.
/// - Assigning nil removes. An array closes the gap, so while walking it remove with pairs,
///   which then stays in place, or from the end; ipairs would skip one.
/// - During pairs over an object, fields may be set, added and removed; an added one is not
///   visited.
/// - An array takes the indexes 1 to # + 1. An object without fields becomes an array with
///   its first element.
/// - A table or view that is assigned is copied: later changes of it do not show.
#ifndef TW_SCRIPT_VIEW_H
#define TW_SCRIPT_VIEW_H

#include "script/state/state.h"

/// Makes the metatables of views and owned events; part of tw_lua_new.
void tw_view_setup(lua_State *L, tw_lua *lua);

/// Makes an event visible to Lua until tw_view_unbind. It must not move meanwhile.
/// @return its serial; 0 when TW_MAX_BOUND events are bound already
uint64_t tw_view_bind(tw_lua *lua, tw_event *event);
void tw_view_unbind(tw_lua *lua, uint64_t serial);
/// Pushes the view of a bound event's root. May raise out of memory unless `light`.
void tw_view_push(lua_State *L, tw_lua *lua, uint64_t serial);

/// Pushes a view of a new event that Lua owns, made from JSON text; of any container.
/// Pushes a scalar as its Lua value. May raise out of memory; leaks nothing then.
/// @param object_only  anything but an object is TW_EJSON
/// @return TW_OK, or nothing is pushed
tw_status tw_view_push_json(lua_State *L, tw_lua *lua, const char *json, size_t len,
                            bool object_only, tw_error *error);
/// The same of an object that may be as large and deep as any can be, whatever the limits of
/// events are.
tw_status tw_view_push_large(lua_State *L, tw_lua *lua, const char *json, size_t len,
                             tw_error *error);
/// The same from the table at `index`, which must be an object. TW_ETYPE, TW_EJSON, TW_ELIMIT
/// or TW_ENOMEM with the path: see tw_value_write.
tw_status tw_view_push_made(lua_State *L, tw_lua *lua, int index, const char *root,
                            tw_error *error);
/// Pushes a view of a copy that Lua owns; it keeps the id. Otherwise the same.
tw_status tw_view_push_copy(lua_State *L, tw_lua *lua, const tw_event *event, tw_error *error);

/// @return whether the value at `index` is a view of any kind, also of an ended event
bool tw_view_is(lua_State *L, const tw_lua *lua, int index);
/// The event and node of the view at `index`. @return NULL when it is no view; raises an
/// error when its event has ended
tw_event *tw_view_get(lua_State *L, tw_lua *lua, int index, tw_ref *ref);
/// The same without an error: NULL also when its event has ended. Wants one free slot.
tw_event *tw_view_peek(lua_State *L, tw_lua *lua, int index, tw_ref *ref);
/// Pushes a value of the event that the view at `index` belongs to: a scalar as itself, a
/// container as a view. May raise.
void tw_view_push_value(lua_State *L, tw_lua *lua, int index, tw_event *event, tw_ref ref);

#endif
