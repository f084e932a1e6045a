/// upkeep.h: what a host does with a loaded script: events, and between them time, timers,
/// state.
///
/// All of it belongs to the thread that uses the script.
#ifndef TW_SCRIPT_UPKEEP_H
#define TW_SCRIPT_UPKEEP_H

#include "base/buffer.h"
#include "base/clock.h"
#include "script/script.h"

/// tw_router_deliver to its router. All that the script does for the event shares the limits.
tw_status tw_script_deliver(tw_script *script, const tw_event *event, unsigned flags,
                            uint64_t *reached, tw_error *error);

/// The backend at a path of the script's tree, such as "video/db". When it is one in Lua
/// (tw_backend_is_scripted), a script may be loaded for it alone: nobody opens the router, and
/// the backend is used, delivered to and unused through core/backend.h, by any thread, but by
/// one at a time. Each call of the script's functions has the limits of an event.
/// @param[out] out  a reference; lives no longer than the script
/// @return TW_OK; TW_ENOENT when there is none, or a router
tw_status tw_script_backend(tw_script *script, const char *path, tw_backend **out,
                            tw_error *error);
/// Has what the script emits go somewhere else than into its own router, from whichever thread
/// it runs on: for one whose router is not open. @param emit  borrows the event for the call
typedef tw_status (*tw_script_emit_fn)(void *self, const tw_event *event, tw_error *error);
void tw_script_redirect(tw_script *script, tw_script_emit_fn emit, void *self);

/// What the Lua state of a script holds, and may hold.
typedef struct tw_script_memory {
  size_t used, most;
} tw_script_memory;
/// Collects all garbage first.
tw_script_memory tw_script_collect(tw_script *script);
/// Lets a sick script, which will soon be freed, have four times as much: to write its state
/// wants memory.
void tw_script_lend_memory(tw_script *script);

/// Has the script live by another clock than the system's: `tidewire.now`, timers, the time
/// of what it emits. @param clock  copied; NULL is the system's
tw_status tw_script_set_clock(tw_script *script, const tw_clock *clock, tw_error *error);

/// Runs the timers that are due. What fails is told to the router's observer. Without one
/// that is due this costs a comparison or a look at the clock: call it between batches.
void tw_script_tick(tw_script *script);
/// @return microseconds until a timer is due: 0 when one is, -1 when there is none
int64_t tw_script_next_timer(const tw_script *script);

/// Has the script emit what it holds back, before its router is closed: windows, batches,
/// and what `tidewire.on_close` was given.
/// @param replaced  another generation takes over: what lives in a `tidewire.state` is kept
tw_status tw_script_finish(tw_script *script, bool replaced, tw_error *error);

/// Appends what the script keeps in `tidewire.state`, as JSON: {name: {version, value}}.
/// @return TW_ESCRIPT when a value cannot be written; the message names its path
tw_status tw_script_export_state(tw_script *script, tw_buffer *out, tw_error *error);
/// Gives a loaded script what another one has exported, through its `migrate` functions. What
/// it does not declare is left out. Call it before the first event of the script; it may be
/// called again with something newer.
/// @return TW_ESCRIPT when `migrate` fails: some of it may have been taken over
tw_status tw_script_import_state(tw_script *script, const char *json, size_t len,
                                 tw_error *error);

#endif
