/* Calls that began while it was closed may end while it is open: with several under way, or
   when one was late and has been counted already. Then they tell nothing new: a success does
   not close it before it has rested, and a failure does not make it rest longer. */
#include "delivery/breaker.h"

const char *tw_breaker_name(tw_breaker_state state) {
  switch (state) {
    case TW_BREAKER_CLOSED: return "closed";
    case TW_BREAKER_OPEN: return "open";
    case TW_BREAKER_HALF_OPEN: return "half-open";
  }
  return "";
}

bool tw_breaker_admit(tw_breaker *breaker, uint64_t now_ns) {
  if (breaker->state == TW_BREAKER_CLOSED) return true;
  if (breaker->state == TW_BREAKER_OPEN) {
    if (now_ns < breaker->until_ns) return false;
    *breaker = (tw_breaker){.state = TW_BREAKER_HALF_OPEN};
  }
  if (breaker->is_probing) return false;
  return breaker->is_probing = true;
}

void tw_breaker_succeed(tw_breaker *breaker, const tw_breaker_limits *limits) {
  breaker->is_probing = false;
  breaker->failures = 0;
  if (breaker->state == TW_BREAKER_HALF_OPEN && ++breaker->successes >= limits->probes)
    *breaker = (tw_breaker){.state = TW_BREAKER_CLOSED};
}

void tw_breaker_trip(tw_breaker *breaker, const tw_breaker_limits *limits, uint64_t now_ns) {
  if (breaker->state == TW_BREAKER_OPEN) return;
  *breaker = (tw_breaker){.state = TW_BREAKER_OPEN, .until_ns = now_ns + limits->rest_ns};
}

void tw_breaker_fail(tw_breaker *breaker, const tw_breaker_limits *limits, uint64_t now_ns) {
  bool is_last = ++breaker->failures >= limits->failures;
  if (is_last || breaker->state == TW_BREAKER_HALF_OPEN)
    tw_breaker_trip(breaker, limits, now_ns);
}

void tw_breaker_forget(tw_breaker *breaker) { breaker->is_probing = false; }
