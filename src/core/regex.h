/// regex.h: PCRE2 patterns with machine code, whose matches are bounded.
#ifndef TW_CORE_REGEX_H
#define TW_CORE_REGEX_H

#include "base/status.h"

/// A compiled pattern: immutable, may be used by several threads.
typedef struct tw_regex tw_regex;

/// @param[out] out  owned; free with tw_regex_free. TW_EINVAL names the pattern, the offset
///                  (also as the error's position) and PCRE2's reason
tw_status tw_regex_new(const char *pattern, tw_regex **out, tw_error *error);
void tw_regex_free(tw_regex *regex);
/// Matches at the start of the text, as Python's `re.match` does.
/// @return TW_OK, TW_ENOENT when it does not match, TW_ELIMIT after too many steps or with too
///         much memory, TW_ENOMEM, TW_EINVAL when PCRE2 gives up for another reason
tw_status tw_regex_match(const tw_regex *regex, const char *text, size_t len, tw_error *error);

#endif
