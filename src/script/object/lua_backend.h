/// lua_backend.h: the inside of a backend that is a Lua object.
#ifndef TW_SCRIPT_LUA_BACKEND_H
#define TW_SCRIPT_LUA_BACKEND_H

#include "core/backend.h"
#include "script/state/gate.h"

/// Events that send_batch gets at once, at most.
enum { TW_PORTION = 1000 };

typedef struct lua_backend {
  tw_callback callback; ///< the object; its breaker is that of send and send_batch
  tw_breaker flushing;
  bool batches;
  tw_event **gathered; ///< owned copies
  size_t count, cap;
  size_t weight;  ///< about the bytes that they will take as events of Lua's
  size_t most;    ///< of these, so that they do not fill the script's memory
  uint64_t lost;  ///< accepted before, and given up since the last flush
  size_t portion; ///< events that send_batch gets of an outbox at once: fewer after it was
                  ///< short of memory
} lua_backend;

/// A call of one of its methods. Of the events, one of the three is set, or none.
typedef struct tw_method_call {
  lua_backend *self; ///< with `gathered` events
  const char *method;
  uint64_t serial; ///< of the event's binding
  tw_batch *batch; ///< a portion of it, from `first` on
  size_t first;
  size_t taken;     ///< events in the portion; 0 when it is full: the first can be none
  size_t weight;    ///< of them, as in lua_backend
  bool is_full;     ///< all of them were made
  tw_answer answer; ///< of a method that failed so
  tw_error *error;
  tw_status status;
} tw_method_call;

/// Calls it unless its breaker rests.
tw_status tw_method_run(tw_method_call *call, tw_breaker *breaker);
/// Calls `send` with an event.
/// @param[out] answer  that it gave when it failed
tw_status tw_method_send(lua_backend *self, tw_event *event, tw_answer *answer,
                         tw_error *error);

/// `deliver` of tw_backend_ops.
tw_status tw_lua_backend_deliver(void *self, tw_batch *batch, tw_delivered *done,
                                 tw_error *error);

#endif
