/// reply.h: what the commands that ask a daemon have in common.
#ifndef TW_APP_REPLY_H
#define TW_APP_REPLY_H

#include "app/options.h"

/// What a command got from a daemon.
typedef struct tw_reply {
  tw_options options;
  tw_event *event; ///< the answer, owned; NULL when there is none
} tw_reply;

/// Reads the command line of `reload` or `status`, asks, prints the answer for --json.
/// What went wrong on the way is told.
/// @param[out] out  to be freed with tw_reply_fini, whatever is returned
/// @return the exit status; only with an answer it is not final
int tw_reply_get(int argc, char **argv, tw_term *term, tw_reply *out);
void tw_reply_fini(tw_reply *reply);

/// A member of an answer: 0, "" or false when it is not there or of another type.
uint64_t tw_reply_count(tw_event *answer, const char *path);
bool tw_reply_is(tw_event *answer, const char *path);
/// @return borrowed until the answer is freed
const char *tw_reply_text(tw_event *answer, const char *path);

#endif
