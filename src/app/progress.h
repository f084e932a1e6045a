/// progress.h: the line that shows a run going on.
#ifndef TW_APP_PROGRESS_H
#define TW_APP_PROGRESS_H

#include "app/term.h"
#include "core/block.h"

typedef struct tw_progress {
  tw_term *term;         ///< NULL: show nothing
  uint64_t began, shown; ///< on the monotonic clock, in nanoseconds
} tw_progress;

/// @param term  borrowed, or NULL
void tw_progress_begin(tw_progress *progress, tw_term *term);
/// Shows how far it is, at most four times a second. Cheap otherwise.
/// @param waiting  events in outboxes
void tw_progress_tick(tw_progress *progress, const tw_tally *tally, uint64_t waiting);
/// @return after how many milliseconds it wants to be shown again; negative: never
int tw_progress_interval(const tw_progress *progress);

#endif
