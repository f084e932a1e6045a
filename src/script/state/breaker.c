/* The clock is the state's own, as a host has set it: what a script turns by hand for its
   tests does not end a rest. */
#include "script/state/breaker.h"

#include "core/inspect.h"
#include "script/state/gate.h"

enum { KILLS = 5, WINDOW_US = 10000000 };

static int64_t now_of(const tw_gate *gate) {
  const tw_clock *clock = &gate->lua->clock;
  return clock->steady_us(clock->self);
}

static int64_t rest_of(const tw_gate *gate) {
  uint64_t us = gate->lua->guard->cool_down / 1000;
  return us > INT64_MAX / 2 ? INT64_MAX / 2 : (int64_t)us;
}

/* Nobody is there to be told while a script loads. */
static void tell(const tw_gate *gate, const char *name, const tw_error *error) {
  if (gate->root) tw_router_notice(gate->root, "breaker", *name ? name : NULL, error);
}

int64_t tw_breaker_rest(const tw_breaker *breaker, const tw_gate *gate) {
  int64_t now = breaker->until ? now_of(gate) : 0;
  return breaker->until > now ? breaker->until - now : 0;
}

bool tw_breaker_allows(tw_breaker *breaker, const tw_gate *gate, tw_error *error) {
  if (!tw_breaker_rest(breaker, gate)) return true;
  breaker->refused++;
  tw_fail(error, TW_ELIMIT, "not run: it was stopped %u times and rests for %.3g s",
          breaker->kills, (double)rest_of(gate) / 1e6);
  return false;
}

void tw_breaker_note(tw_breaker *breaker, const tw_gate *gate, const tw_role *role,
                     const char *name) {
  int64_t now = now_of(gate);
  bool rested = breaker->until != 0;
  if (!rested && now - breaker->since > WINDOW_US) breaker->kills = 0;
  if (!breaker->kills) breaker->since = now;
  if (++breaker->kills < KILLS && !rested) return;
  breaker->until = now + rest_of(gate);
  if (rested) return; /* told already; that the try was stopped, its caller tells */
  tw_error error;
  tw_fail(&error, TW_ELIMIT,
          "%s was stopped %u times within %d s and is not run for %.3g s; until then %s. Make "
          "it do less for each event, or raise the limits",
          role->what, breaker->kills, WINDOW_US / 1000000, (double)rest_of(gate) / 1e6,
          role->meanwhile);
  tell(gate, name, &error);
}

void tw_breaker_close(tw_breaker *breaker, const tw_gate *gate, const tw_role *role,
                      const char *name) {
  tw_breaker before = *breaker;
  *breaker = (tw_breaker){0};
  tw_error error;
  tw_fail(&error, TW_OK, "%s runs again; %llu calls of it were left out", role->what,
          (unsigned long long)before.refused);
  tell(gate, name, &error);
}
