/// suggest.h: "did you mean …" and lists of known names for messages.
#ifndef TW_BASE_SUGGEST_H
#define TW_BASE_SUGGEST_H

#include <stddef.h>

/// @return the known word nearest to `word` by edits (Damerau-Levenshtein), NULL when none
///         is within a third of its length
const char *tw_suggest(const char *word, const char *const *known, size_t count);

#endif
