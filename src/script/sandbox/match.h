/// match.h: Lua's patterns, matched by a matcher that the guard can stop.
#ifndef TW_SCRIPT_MATCH_H
#define TW_SCRIPT_MATCH_H

#include "script/state/guard.h"
#include "script/state/state.h"

#define TW_MAX_CAPTURES 32

/// The length of a capture that is a position, and of one that has not ended.
enum { TW_CAPTURE_POSITION = -2, TW_CAPTURE_OPEN = -1 };

typedef struct tw_match {
  lua_State *L;
  tw_guard *guard;
  const char *subject, *subject_end, *pattern_end;
  uint64_t steps; ///< since the guard was told
  int depth;      ///< that may still be recursed
  int level;      ///< captures so far
  struct {
    const char *start;
    ptrdiff_t len;
  } captures[TW_MAX_CAPTURES];
} tw_match;

void tw_match_init(tw_match *match, lua_State *L, tw_guard *guard, const char *subject,
                   size_t subject_len, const char *pattern, size_t pattern_len);
/// Matches the pattern at a place. @return the end of the match; NULL. Raises for a malformed
/// pattern
__attribute__((nonnull)) const char *tw_match_at(tw_match *match, const char *at,
                                                 const char *pattern);
/// Counts what else is done for a match.
void tw_match_count(tw_match *match, size_t steps);
/// Pushes all captures; the whole match, from `start` (may be NULL) to `end`, when there are
/// none. @return how many
int tw_match_push(tw_match *match, const char *start, const char *end);
/// Pushes one.
void tw_match_push_one(tw_match *match, int index, const char *start, const char *end);

#endif
