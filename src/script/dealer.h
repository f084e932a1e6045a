/// dealer.h: `partition_by` as a function of the script: which worker gets an event.
///
/// Whoever sends has no Lua state. So a generation with such a function has one more state,
/// the *dealer*, which answers one sender at a time.
#ifndef TW_SCRIPT_DEALER_H
#define TW_SCRIPT_DEALER_H

#include "script/script.h"

typedef struct tw_dealer tw_dealer;

/// @param script  loaded as a rehearsal, with a function as its `partition_by`; owned, also
///                on failure
tw_status tw_dealer_new(tw_script *script, tw_dealer **out, tw_error *error);
/// NULL is allowed.
void tw_dealer_free(tw_dealer *dealer);
/// Calls the function, from any thread. What it does to the event is not seen.
/// @param[out] hash  of what it returned, when `has_key`
/// @return TW_OK; TW_ESCRIPT or TW_ELIMIT when it fails, TW_ETYPE for what cannot be a key
tw_status tw_dealer_ask(tw_dealer *dealer, const tw_event *event, bool *has_key, uint64_t *hash,
                        tw_error *error);

#endif
