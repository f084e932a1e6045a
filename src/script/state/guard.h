/// guard.h: the limits of a script's state: memory, and how many instructions and how much
/// processor time for each event, or for a call from outside that no event has caused.
///
/// A call that passes a limit is *killed*. The kill is sticky: until the call that came from
/// outside returns, whatever the script still runs ends at its first instruction, and the
/// functions that could swallow it (protect.h) raise it again.
///
/// All calls for one event share its limits. When one of them was killed, those that follow
/// have a quarter of the limits between them, after the next kill a ninth, and so on: what is
/// quick still runs, so that a slow processor does not send its event the wrong way, and an
/// event never takes twice the limits.
#ifndef TW_SCRIPT_GUARD_H
#define TW_SCRIPT_GUARD_H

#include <lua.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>

#include "base/status.h"

typedef enum tw_kill {
  TW_KILL_NONE,
  TW_KILL_INSTRUCTIONS,
  TW_KILL_TIME,
  TW_KILL_SPENT ///< before it began: nothing was left of the event's limits
} tw_kill;

typedef struct tw_guard {
  size_t memory;         ///< bytes that the state may hold
  uint64_t instructions; ///< of one event
  uint64_t time;         ///< of one event, in nanoseconds of its thread's processor time
  uint64_t cool_down;    ///< of a function that is killed again and again, in nanoseconds
  bool always;           ///< count from the first instruction on

  size_t used;  ///< bytes that Lua holds
  bool refused; ///< memory was refused since the call began
  bool starved; ///< and the call has failed
  bool sick; ///< it stays near the limit with all garbage collected, or fails again and again
  unsigned starvations, starving_since; ///< calls that failed so, and the turn of the first

  atomic_uint depth;           ///< calls from outside that are under way, nested
  atomic_uint turn;            ///< of the outermost one, or of the event
  atomic_uint overdue;         ///< the turn that the watchdog wants to be counted
  lua_State *volatile running; ///< the coroutine that runs
  volatile sig_atomic_t armed; ///< the call is being counted
  volatile sig_atomic_t late;  ///< its time is over: a loop in C looks here
  uint64_t start;              ///< of counting, less what was spent before
  uint64_t counted;            ///< instructions so far
  uint64_t spent;              ///< time of earlier calls for this event that were counted
  bool in_event;               ///< between tw_guard_begin_event and _end_event
  bool eager;                  ///< the next call is counted from its beginning
  unsigned kills;              ///< of this event, or call
  unsigned scale;              ///< of the limits: more while the script loads
  tw_kill killed;
  char where[96]; ///< "file:line: " of the kill

  pthread_t thread;       ///< that entered last
  atomic_int thread_id;   ///< the kernel's name of it
  struct tw_guard *outer; ///< of another script whose call this thread is in
  struct tw_guard *next;  ///< of those that the watchdog looks at
  unsigned seen;          ///< the watchdog's: the turn of its last look
} tw_guard;

/// What no limit is.
#define TW_UNLIMITED UINT64_MAX

/// Makes a guard known to the watchdog. Limits and `cool_down` are set before. It must not
/// move.
void tw_guard_init(tw_guard *guard);
void tw_guard_fini(tw_guard *guard);

/// Lua's allocator; `guard` is its first argument.
void *tw_guard_allocate(void *guard, void *block, size_t old, size_t size);

/* For tw_guard_enter and tw_guard_leave. */
extern atomic_bool tw_watchdog_awake;
void tw_guard_begin(tw_guard *guard);
void tw_guard_settle(tw_guard *guard, lua_State *L);
tw_guard **tw_guard_current(void);

static inline void tw_guard_turn(tw_guard *guard) {
  unsigned turn = atomic_load_explicit(&guard->turn, memory_order_relaxed);
  atomic_store_explicit(&guard->turn, turn + 1, memory_order_relaxed);
}

/// Calls from outside are for one event, until its end. Not inside of a call or an event.
static inline void tw_guard_begin_event(tw_guard *guard) {
  tw_guard_turn(guard);
  guard->in_event = true;
}
void tw_guard_settle_event(tw_guard *guard);
static inline void tw_guard_end_event(tw_guard *guard) {
  guard->in_event = false;
  if (guard->eager) tw_guard_settle_event(guard);
}

/// A call from outside on `L` begins. NULL guards nothing.
static inline void tw_guard_enter(tw_guard *guard, lua_State *L) {
  if (!guard) return;
  unsigned depth = atomic_load_explicit(&guard->depth, memory_order_relaxed);
  if (depth) {
    atomic_store_explicit(&guard->depth, depth + 1, memory_order_relaxed);
    return;
  }
  guard->running = L;
  if (!guard->in_event) tw_guard_turn(guard);
  tw_guard **current = tw_guard_current();
  guard->outer = *current;
  *current = guard;
  atomic_signal_fence(memory_order_seq_cst);
  atomic_store_explicit(&guard->depth, 1, memory_order_relaxed);
  if (guard->eager || !pthread_equal(guard->thread, pthread_self()) ||
      !atomic_load_explicit(&tw_watchdog_awake, memory_order_relaxed))
    tw_guard_begin(guard);
}

/// It has returned, and its error was taken.
static inline void tw_guard_leave(tw_guard *guard, lua_State *L) {
  if (!guard) return;
  unsigned depth = atomic_load_explicit(&guard->depth, memory_order_relaxed);
  atomic_store_explicit(&guard->depth, depth - 1, memory_order_relaxed);
  if (depth > 1) return;
  atomic_signal_fence(memory_order_seq_cst);
  *tw_guard_current() = guard->outer;
  if (guard->armed || guard->refused) tw_guard_settle(guard, L);
}

static inline bool tw_guard_is_killed(const tw_guard *guard) {
  return guard && guard->killed != TW_KILL_NONE;
}
/// The same, by its own doing: it was not left too little.
static inline bool tw_guard_is_stopped(const tw_guard *guard) {
  return tw_guard_is_killed(guard) && guard->killed != TW_KILL_SPENT && !guard->kills;
}
/// Fills in why the call was killed.
tw_status tw_guard_tell(const tw_guard *guard, tw_error *error);

/// The call has failed, be it for want of memory or not. Before it leaves.
static inline void tw_guard_note_failure(tw_guard *guard) {
  if (guard && guard->refused) guard->starved = true;
}

/// Counts `steps` of a loop in C; raises when a limit is passed or was before.
void tw_guard_step(tw_guard *guard, lua_State *L, uint64_t steps);
/// Whether tw_guard_step would raise. It may be asked where nothing may be raised.
bool tw_guard_would_stop(const tw_guard *guard, uint64_t steps);
/// For each round of a loop in C that calls what may be slow: raises when the time is over.
static inline void tw_guard_look(tw_guard *guard, lua_State *L) {
  if (guard && guard->late) tw_guard_step(guard, L, 0);
}
/// Before a function of C reads `bytes`, where nothing can stop it: counts them, and raises
/// when a limit does not allow for them.
void tw_guard_charge(tw_guard *guard, lua_State *L, uint64_t bytes);
/// Raises when the call was killed.
void tw_guard_check(tw_guard *guard, lua_State *L);
/// Another coroutine runs from now on. @return the one before
lua_State *tw_guard_switch(tw_guard *guard, lua_State *to);
/// Back from it.
void tw_guard_switch_back(tw_guard *guard, lua_State *to);

#endif
