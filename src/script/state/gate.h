/// gate.h: the one way from C into Lua.
///
/// A *gate* is a Lua state as the C objects see that outlive it: when the state is closed,
/// or when another thread comes, a call through the gate fails with a message instead of
/// touching memory that is gone. It also knows the coroutine that callbacks run on.
///
/// A *callback* is a Lua value that C calls: a processor, a route, a backend. C holds only
/// its key. The value itself is held by the Lua object that it was given to (its *holds*
/// table), so that the garbage collector sees every cycle; the gate finds it through a table
/// with weak values.
#ifndef TW_SCRIPT_GATE_H
#define TW_SCRIPT_GATE_H

#include <stdatomic.h>

#include "script/state/answer.h"
#include "script/state/breaker.h"
#include "script/state/guard.h"
#include "script/state/state.h"

typedef tw_status (*tw_gate_emit_fn)(void *self, const tw_event *event, tw_error *error);

typedef struct tw_gate {
  atomic_uint refs;
  atomic_uintptr_t owner; ///< the thread that may enter; see gate.c
  tw_lua *lua;            ///< of the state; not to be used when it is closed
  lua_State *L;           ///< the coroutine that callbacks run on
  int live;               ///< registry references: key -> value, weak;
  int handler;            ///< the message handler,
  int trackers;           ///< name -> tracker that is registered from here,
  int classes;            ///< metatables of object.h, by class
  lua_Integer last_key;
  tw_router *root;      ///< of a router script, borrowed; NULL while it loads
  bool is_script;       ///< emit goes to `root`
  bool is_rehearsal;    ///< every backend is made one in memory
  tw_gate_emit_fn emit; ///< where a script's emit goes instead of to `root`; may be NULL
  void *emit_self;
  uint64_t generation;        ///< of a script, for events; 0: none
  const struct tw_host *host; ///< what a script's host offers, borrowed; NULL
  struct tw_share *share;     ///< where a script's shipped backends come from, borrowed; NULL
  bool has_floor;             ///< see tw_gate_lay_floor
  bool stopped;               ///< the last call from C passed a limit itself
  tw_buffer traceback;        ///< of the last error
  tw_answer answer;           ///< that was raised as the last error
  tw_error locate_error;      ///< why a locator in Lua gave no context
} tw_gate;

/// Makes the gate of a state, before any other object with a finalizer. May raise.
tw_gate *tw_gate_new(lua_State *L, tw_lua *lua);
/// For a script's state whose main thread has an empty stack and is used from C alone: keeps
/// what every call needs at the bottom of it.
void tw_gate_lay_floor(tw_gate *gate);
/// Lets the next thread that comes be the owner.
void tw_gate_release(tw_gate *gate);
/// Makes this thread the owner of a gate that has none, for one call.
/// @return whether tw_gate_release has to follow; false also when it is the owner already or
///         somebody else is
bool tw_gate_borrow(tw_gate *gate);

/// Enters C from Lua: callbacks run on `L`. Between into and leave nothing may raise.
/// @return the coroutine of before, for tw_gate_leave
lua_State *tw_gate_into(tw_gate *gate, lua_State *L);
void tw_gate_leave(tw_gate *gate, lua_State *outer);
/// The same where events may loop back. @return NULL when it is nested too deeply
lua_State *tw_gate_into_nested(tw_gate *gate, lua_State *L, tw_error *error);
void tw_gate_leave_nested(tw_gate *gate, lua_State *outer);

/// Enters Lua from C. @return the state to work on with LUA_MINSTACK slots; NULL and
///         TW_ECLOSED or TW_ESCRIPT in `error` when that is not possible
lua_State *tw_gate_enter(tw_gate *gate, tw_error *error);

typedef enum tw_outcome {
  TW_RETURNED,
  TW_DROPPED, ///< ended by tidewire.drop()
  TW_RAISED   ///< the error is filled in
} tw_outcome;

/// Calls the function below `args` arguments on the stack. The handler stands below it.
/// Nothing but the results is left of them; after an error nothing.
tw_outcome tw_gate_pcall(tw_gate *gate, lua_State *L, int args, int results, tw_error *error);
void tw_gate_push_handler(lua_State *L, const tw_gate *gate);
/// Runs a C function that may raise, with a pointer as its only argument.
tw_outcome tw_gate_run(tw_gate *gate, lua_State *L, lua_CFunction body, void *argument,
                       int results, tw_error *error);
/// The same for a call from outside, where nothing is returned and a drop is an error.
tw_status tw_gate_call(tw_gate *gate, lua_CFunction body, void *argument, tw_error *error);

/* ------------------------------------------------------------- callbacks */

typedef struct tw_callback {
  tw_gate *gate;   ///< a reference
  lua_Integer key; ///< of the value
  const tw_role *role;
  tw_breaker breaker;
} tw_callback;

/// Holds the value at `index` in the table at `holds` and makes it known. @return its key
lua_Integer tw_callback_hold(lua_State *L, tw_gate *gate, int index, int holds);
/// Makes a callback of the value at `index`, held by the table at `holds`. Raises out of
/// memory. @param size  of a struct that begins with a tw_callback; the rest is zeroed
void *tw_callback_new(lua_State *L, tw_lua *lua, int index, int holds, const tw_role *role,
                      size_t size);
void tw_callback_free(void *self);
/// Pushes the value; nil when it was collected.
static inline void tw_callback_push(lua_State *L, const tw_callback *callback) {
  lua_rawgeti(L, LUA_REGISTRYINDEX, callback->gate->live);
  lua_rawgeti(L, -1, callback->key);
  lua_replace(L, -2);
}
/// Has `breaker` learn how a call of the callback, or of its method, ended.
/// @param method  NULL: the callback is a function
void tw_callback_settle(const tw_callback *callback, tw_breaker *breaker, const char *method,
                        bool stopped);
/// Makes values that an object holds known again while it is being finalized.
void tw_callback_revive(lua_State *L, tw_gate *gate, int holds);

/// A call of a callback with the view of an event.
typedef struct tw_event_call {
  tw_callback *callback;
  tw_lua *lua;
  lua_State *L;
  int top;         ///< of the stack before it
  int first;       ///< where the results begin
  uint64_t serial; ///< of the binding
  bool stopped;    ///< it passed a limit, or what took its results did
} tw_event_call;

/// Calls the function; the event stays bound until tw_event_call_end.
/// @param[out] outcome  of the call; when the result is false, it was not begun and needs no
/// end
bool tw_event_call_begin(tw_event_call *call, tw_callback *callback, tw_event *event,
                         int results, tw_outcome *outcome, tw_error *error);
void tw_event_call_end(tw_event_call *call);

#endif
