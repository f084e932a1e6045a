/// breaker.h: keeps a function of a script from running that is stopped again and again.
///
/// A function that passes its limits five times within ten seconds *rests*: until the
/// cool-down is over, its calls fail at once. Then one call tries it: when that is stopped,
/// too, it rests again; otherwise it runs as before. The router's observer is told once when
/// a rest begins and once when the function runs again, with `where` "breaker".
///
/// What runs once for a script (loading, on_close, migrate, open, close) needs none.
#ifndef TW_SCRIPT_BREAKER_H
#define TW_SCRIPT_BREAKER_H

#include "base/status.h"

struct tw_gate;

/// Zeroed: closed. Belongs to the thread of its state.
typedef struct tw_breaker {
  int64_t since;    ///< when the first of `kills` was, in microseconds of the state's clock
  int64_t until;    ///< not to be run before; 0: closed
  unsigned kills;   ///< within the window, and of the tries after it opened
  uint64_t refused; ///< calls since it opened
} tw_breaker;

/// What kind of function it is.
typedef struct tw_role {
  const char *what;      ///< such as "a processor"
  const char *meanwhile; ///< what becomes of events while it rests
} tw_role;

/// Only for a breaker that is open.
/// @return whether the function may run; otherwise TW_ELIMIT in `error`
bool tw_breaker_allows(tw_breaker *breaker, const struct tw_gate *gate, tw_error *error);
/// @return microseconds until it may run; 0: now
int64_t tw_breaker_rest(const tw_breaker *breaker, const struct tw_gate *gate);
/// Notes a call that was stopped. @param name  of the function, or where it stands; ""
void tw_breaker_note(tw_breaker *breaker, const struct tw_gate *gate, const tw_role *role,
                     const char *name);
/// Notes that a call of an open breaker's function was not stopped.
void tw_breaker_close(tw_breaker *breaker, const struct tw_gate *gate, const tw_role *role,
                      const char *name);

#endif
