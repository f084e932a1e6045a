/// feed.h: the lines of one input after the other, into the engine.
#ifndef TW_APP_FEED_H
#define TW_APP_FEED_H

#include "app/account.h"
#include "app/input.h"
#include "app/progress.h"
#include "engine/engine.h"

typedef struct tw_feed {
  tw_engine *engine; ///< borrowed
  tw_term *term;
  tw_progress *progress;
  tw_account *account;
  bool input_failed; ///< an input could not be read

  pthread_mutex_t mutex; ///< guards all below while workers fetch
  pthread_cond_t over;   ///< a request is
  tw_input input;
  tw_status status; ///< of reading the input
  tw_error error;
  unsigned requests; ///< of workers, that are not over
} tw_feed;

/// @param intake  of the blocks; borrowed, as are the others
void tw_feed_init(tw_feed *feed, tw_term *term, tw_progress *progress, tw_account *account,
                  tw_intake *intake, size_t max_line);
/// The engine is closed.
void tw_feed_fini(tw_feed *feed);

/// Has every line of a file, or of standard input for "-", processed.
/// Ends early, at the end of a block, when a signal asks to finish. What was handed over may
/// still be under way.
void tw_feed_file(tw_feed *feed, const char *name);

#endif
