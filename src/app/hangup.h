/// hangup.h: SIGHUP asks for a reload.
#ifndef TW_APP_HANGUP_H
#define TW_APP_HANGUP_H

#include "base/status.h"

typedef struct tw_hangup tw_hangup;

/// From now on the signal is noted and disturbs nothing, also when nobody serves it.
void tw_hangup_install(void);
/// Calls `reload` on a thread of its own for every signal since tw_hangup_install; for several
/// that came meanwhile once.
/// @param[out] out  owned. @return TW_OK; TW_ELIMIT without a thread; TW_ENOMEM
tw_status tw_hangup_serve(void (*reload)(void *self), void *self, tw_hangup **out,
                          tw_error *error);
/// Waits for a reload that is in progress. NULL is nothing.
void tw_hangup_stop(tw_hangup *hangup);

#endif
