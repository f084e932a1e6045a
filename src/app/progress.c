/// progress.c: a line redrawn in place, on a terminal only.
///
/// The clock is looked at once for a block of input, not for each line, and the line drawn
/// four times a second at most: it costs nothing that could be measured.
#include "app/progress.h"

#include <stdio.h>

#include "base/clock.h"

#define SECOND   1000000000u
#define INTERVAL (SECOND / 4)

void tw_progress_begin(tw_progress *progress, tw_term *term) {
  progress->term = term && term->is_terminal ? term : NULL;
  progress->began = progress->shown = tw_clock_monotonic_ns();
}

void tw_progress_tick(tw_progress *progress, const tw_tally *tally, uint64_t waiting) {
  if (!progress->term) return;
  uint64_t now = tw_clock_monotonic_ns();
  if (now - progress->shown < INTERVAL) return;
  progress->shown = now;
  double seconds = (double)(now - progress->began) / SECOND;
  char read[TW_GROUPED_ROOM], rejected[TW_GROUPED_ROOM], rate[TW_GROUPED_ROOM];
  char left[TW_GROUPED_ROOM], line[160];
  snprintf(line, sizeof line, "%s read, %s rejected, %s%s%s events/s",
           tw_grouped(tally->read, read), tw_grouped(tally->rejected, rejected),
           waiting ? tw_grouped(waiting, left) : "", waiting ? " waiting, " : "",
           tw_grouped((uint64_t)((double)tally->read / seconds), rate));
  tw_term_progress(progress->term, line);
}

int tw_progress_interval(const tw_progress *progress) {
  return progress->term ? (int)(INTERVAL / (SECOND / 1000)) : -1;
}
