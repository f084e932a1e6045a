/// ask.h: the other end of a control socket.
#ifndef TW_APP_ASK_H
#define TW_APP_ASK_H

#include "base/buffer.h"
#include "base/status.h"

/// Sends a request to a daemon and waits for its answer.
///
/// @param request  one line with its newline
/// @param[out] answer  one line without its newline, appended
/// @return TW_OK; TW_ENOENT when no daemon listens there; TW_ELIMIT when the time was over;
///         TW_ECLOSED when it hung up; TW_EIO, TW_ENOMEM
tw_status tw_ask(const char *path, const char *request, int timeout_ms, tw_buffer *answer,
                 tw_error *error);

#endif
