/// split.h: the events that a processor makes of one.
#ifndef TW_CORE_SPLIT_H
#define TW_CORE_SPLIT_H

#include "event/event.h"

struct tw_split {
  const tw_event *whole; ///< borrowed; the pieces share its store
  const tw_event *now;   ///< what the processor has made of it so far; NULL: nothing
  tw_event *pieces;      ///< in the arena of the store
  uint32_t count, cap;
  bool is_short; ///< memory ran out: a piece is missing
};

/// Ends the pieces.
void tw_split_fini(tw_split *split);

#endif
