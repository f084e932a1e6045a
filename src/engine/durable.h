/// durable.h: what an engine has beside its workers when backends have outboxes: journal,
/// outlets, what a spool kept, replays.
#ifndef TW_ENGINE_DURABLE_H
#define TW_ENGINE_DURABLE_H

#include "engine/engine.h"

/// Opens the journal when the options ask for outboxes. Otherwise there is none.
tw_status tw_engine_open_journal(tw_engine *engine, tw_error *error);
/// Gives the scripts of the first generation what the spool has kept for them.
tw_status tw_engine_take_states(tw_engine *engine, tw_error *error);
/// A generation is about to be swapped in: outlets deliver to its backends.
void tw_engine_aim(tw_engine *engine, tw_generation *generation);
/// Tells of outboxes in the spool that no backend empties.
void tw_engine_tell_orphans(tw_engine *engine);
/// Routes what `tidewire dead replay` has put into the spool. Called now and then; calls at the
/// same time wait for each other.
/// @return whether there is more
bool tw_engine_replay(tw_engine *engine);
/// @return whether nothing waits in outboxes
bool tw_engine_is_drained(tw_engine *engine);
/// The workers have ended: stops deliveries and the journal.
/// @param was_empty  nothing waited before they ended
/// @param end  NULL: without limit
/// @return events that are in outboxes in memory, and so are lost
uint64_t tw_engine_close_durable(tw_engine *engine, bool was_empty, const struct timespec *end);
void tw_engine_free_durable(tw_engine *engine);
/// Keeps a dead letter of a router in the spool, if there is one.
void tw_engine_bury(tw_engine *engine, const tw_failure *failure);
/// Tells a failure: the host, or else standard error, there the 1st, 2nd, 4th, 8th …
void tw_engine_tell(tw_engine *engine, const tw_failure *failure);

#endif
