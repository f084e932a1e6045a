/// feed.h: the lines of one input after the other, into the engine.
#ifndef TW_APP_FEED_H
#define TW_APP_FEED_H

#include "app/account.h"
#include "app/input.h"
#include "app/progress.h"
#include "engine/engine.h"

/// Starts zeroed but for its references and the limits of the input.
typedef struct tw_feed {
  tw_engine *engine; ///< borrowed
  tw_term *term;
  tw_progress *progress;
  tw_account *account;
  tw_input input;
  bool input_failed; ///< an input could not be read
} tw_feed;

/// Has every line of a file, or of standard input for "-", processed.
/// Ends early, at the end of a block, when a signal asks to finish. What was handed over may
/// still be under way.
void tw_feed_file(tw_feed *feed, const char *name);

#endif
