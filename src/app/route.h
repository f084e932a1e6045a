/// route.h: the lines of one input after the other, through the router.
#ifndef TW_APP_ROUTE_H
#define TW_APP_ROUTE_H

#include "app/input.h"
#include "app/progress.h"
#include "app/sink.h"
#include "app/tally.h"
#include "event/event.h"
#include "script/script.h"

/// Starts zeroed but for its references and the limits of input and store.
typedef struct tw_feed {
  tw_router *router; ///< borrowed, open
  tw_script *script; ///< borrowed: its timers run between two blocks
  tw_term *term;
  tw_progress *progress;
  tw_sink *rejects, *dead;
  tw_input input;
  tw_store store; ///< of the event at hand
  tw_tally tally;
  bool input_failed;  ///< an input could not be read
  bool output_failed; ///< a flush failed
} tw_feed;

/// Routes every line of a file, or of standard input for "-", and flushes.
/// Ends early, at the end of a block, when a signal asks to finish.
void tw_feed_file(tw_feed *feed, const char *name);
/// Frees what the feed owns.
void tw_feed_fini(tw_feed *feed);

#endif
