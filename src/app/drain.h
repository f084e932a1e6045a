/// drain.h: after a signal, an engine has so long to process what was read.
#ifndef TW_APP_DRAIN_H
#define TW_APP_DRAIN_H

#include "base/status.h"

typedef struct tw_drain tw_drain;

/// Waits, on a thread of its own, for a signal to finish and then for the time to be over;
/// closes the engine then, also while others wait for it.
/// @param[out] out  owned. @return TW_OK; TW_ELIMIT without a thread; TW_ENOMEM
tw_status tw_drain_guard(tw_engine *engine, int ms, tw_drain **out, tw_error *error);
/// The engine is done. NULL is nothing.
/// @return whether the time was over before
bool tw_drain_end(tw_drain *drain);

#endif
