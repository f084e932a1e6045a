/// tally.h: what became of each line of the input.
#ifndef TW_APP_TALLY_H
#define TW_APP_TALLY_H

#include <stdint.h>

/// Each counts what it sees by itself, so that these are checks and not definitions:
/// lines = blank + read, read = routed + dropped + rejected.
typedef struct tw_tally {
  uint64_t lines;    ///< of the input, all of them
  uint64_t blank;    ///< of nothing but white space: skipped
  uint64_t read;     ///< the others
  uint64_t rejected; ///< no JSON object, or beyond a limit
  uint64_t routed;   ///< handed to one backend or more, whether that took it or failed
  uint64_t dropped;  ///< handed to none: ended by processors and routes
  uint64_t bytes;    ///< of the input, with newlines
} tw_tally;

#endif
