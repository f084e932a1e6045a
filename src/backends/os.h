/// os.h: what several backends need of the operating system.
#ifndef TW_BACKENDS_OS_H
#define TW_BACKENDS_OS_H

#include "base/status.h"

/// TW_EIO with `subject: action: the reason of errno value `code``.
tw_status tw_fail_errno(tw_error *error, int code, const char *subject, const char *action);

/// Makes the folders above `path` that are missing.
tw_status tw_make_folders(const char *path, tw_error *error);

#endif
