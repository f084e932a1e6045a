/// names.h: messages about a name that is not known.
#ifndef TW_CORE_NAMES_H
#define TW_CORE_NAMES_H

#include "base/status.h"

/// `no backend "vido"; did you mean "video"? known: archive, video`. A list that is too long
/// for a message ends with "…".
/// @param what  such as "no backend"
/// @param none  what to say when nothing is known, such as "none is registered"
tw_status tw_fail_unknown(tw_error *error, tw_status code, const char *what, const char *name,
                          const char *const *known, size_t count, const char *none);

#endif
