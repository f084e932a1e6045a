/// keeper.h: the thread that keeps an engine's script up to date: watches its files, and the
/// failures of a new generation. It also looks for replays in the spool.
#ifndef TW_ENGINE_KEEPER_H
#define TW_ENGINE_KEEPER_H

#include "engine/engine.h"

/// @param[out] out  owned; its thread runs
tw_status tw_keeper_new(tw_engine *engine, tw_keeper **out, tw_error *error);
/// Something was reloaded: look at the new files. May be called after the stop. NULL is
/// allowed.
void tw_keeper_refresh(tw_keeper *keeper);
/// Lets the thread end when it has done what it is about. NULL is allowed.
void tw_keeper_ask_to_stop(tw_keeper *keeper);
/// Waits until it has ended; not called from it, but after it was asked. NULL is allowed.
void tw_keeper_stop(tw_keeper *keeper);
void tw_keeper_free(tw_keeper *keeper);

#endif
