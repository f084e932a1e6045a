/// rebuild.h: a worker's script whose memory is full is made anew.
///
/// The new one is of the same generation, from the same texts, with the same pooled backends.
/// It gets the old one's `tidewire.state`, unless that cannot be written or is what fills the
/// memory. One that fills it again and again is left as it is for a while.
#ifndef TW_ENGINE_REBUILD_H
#define TW_ENGINE_REBUILD_H

#include <stdint.h>

struct tw_worker;

/// How often it was made anew. Zeroed: never.
typedef struct tw_rebuilds {
  uint64_t since; ///< when the first of `count` was, in nanoseconds of a steady clock
  uint64_t until; ///< not before; 0: at any time
  unsigned count; ///< within the window
} tw_rebuilds;

typedef enum tw_rebuild_answer {
  TW_REBUILD_NOW,
  TW_REBUILD_STOPS, ///< the rest begins, which is to be told
  TW_REBUILD_RESTS
} tw_rebuild_answer;

/// At most 5 times in 60 seconds, then not for 60 seconds.
tw_rebuild_answer tw_rebuilds_ask(tw_rebuilds *self, uint64_t now);

/// Makes the script of the worker anew, on its thread, between two events; and tells its
/// observers so, with `where` "state". When that fails, or may not be, the old one goes on.
/// @param engine  its tw_engine
void tw_engine_rebuild(void *engine, struct tw_worker *worker);

#endif
