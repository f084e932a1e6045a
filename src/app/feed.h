/// feed.h: the lines of one input after the other, into the engine.
#ifndef TW_APP_FEED_H
#define TW_APP_FEED_H

#include "app/account.h"
#include "app/operand.h"
#include "app/progress.h"

typedef struct tw_feed {
  tw_engine *engine; ///< borrowed
  tw_term *term;
  tw_progress *progress;
  tw_account *account;
  tw_intake *intake;
  size_t max_line;
  tw_cursors cursors;  ///< of the engine's spool
  bool keeps;          ///< there is one
  bool input_failed;   ///< an input could not be read
  tw_error told;       ///< the last of these failures
  uint64_t unfinished; ///< last lines without a newline that were left

  pthread_mutex_t mutex; ///< guards all below while workers fetch
  pthread_cond_t over;   ///< a request is
  tw_input *input;       ///< of the source at hand
  tw_status status;      ///< of reading the input
  tw_error error;
  unsigned requests; ///< of workers, that are not over
} tw_feed;

/// @param intake  of the blocks; borrowed, as are the others
void tw_feed_init(tw_feed *feed, tw_term *term, tw_progress *progress, tw_account *account,
                  tw_intake *intake, size_t max_line);
/// The engine is closed.
void tw_feed_fini(tw_feed *feed);

/// Has every line of the inputs processed, one after the other; what was handed over may still
/// be under way. Ends early, at the end of a block, when a signal asks to finish.
/// @param names  paths, or "-" for standard input; NULL behind the last; borrowed
/// @param follow  only a signal ends it
void tw_feed_read(tw_feed *feed, char **names, bool follow);

#endif
