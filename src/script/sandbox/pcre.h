/// pcre.h: PCRE2 patterns whose matches the guard can stop; for one Lua state, hence for one
/// thread at a time. No function calls Lua.
#ifndef TW_SCRIPT_PCRE_H
#define TW_SCRIPT_PCRE_H

#include "core/pcre_meter.h"
#include "script/state/guard.h"

/// The most bytes of a pattern, and groups in it.
enum { TW_PCRE_PATTERN = 32768, TW_PCRE_GROUPS = 127 };

/// What the patterns of a state share. Zeroed it is closed. It must not move.
typedef struct tw_pcre_space {
  tw_pcre_meter meter; ///< of the match under way
  tw_guard *guard;     ///< whose memory patterns take; NULL: of no limit
  pcre2_general_context *memory;
  pcre2_match_context *quick, *limits; ///< for the two kinds of matches
  pcre2_match_data *data;
  pcre2_jit_stack *stack;
  uint64_t done; ///< steps that the guard was not told yet
  uint64_t risk; ///< steps that may have been taken at worst
} tw_pcre_space;

typedef struct tw_pcre {
  tw_pcre_space *space;
  tw_guard *guard;     ///< of the space
  const char *pattern; ///< borrowed
  size_t len;
  pcre2_code *quick;   ///< for short texts; NULL: closed
  pcre2_code *watched; ///< tells where it is at each item; NULL: not needed so far
  uint32_t options;    ///< of PCRE2
  bool is_fast;        ///< there is machine code of `quick`
  bool is_clustered;   ///< it may hold \X, which can look far back
  uint32_t groups;
  size_t machine_code; ///< bytes of it
} tw_pcre;

/// Offsets of a match: group g from `at[2 * g]` to `at[2 * g + 1]`; PCRE2_UNSET for a group
/// that took no part.
typedef struct tw_found {
  uint32_t groups; ///< of the pattern
  size_t at[2 * (TW_PCRE_GROUPS + 1)];
} tw_found;

tw_status tw_pcre_space_open(tw_pcre_space *space, tw_guard *guard, tw_error *error);
void tw_pcre_space_close(tw_pcre_space *space);

/// @param pattern   with a zero behind it; borrowed: it lives as long as `out`
/// @param options   PCRE2_CASELESS and the like; UTF is added
/// @param[out] out  closed on failure
/// @return TW_EINVAL (`error` says where and why), TW_ELIMIT for too long a pattern or too many
///         groups, TW_ENOMEM
tw_status tw_pcre_open(tw_pcre_space *space, const char *pattern, size_t len, uint32_t options,
                       tw_pcre *out, tw_error *error);
/// Works after the space was closed, too.
void tw_pcre_close(tw_pcre *pcre);
/// @return the bytes that it holds
size_t tw_pcre_size(const tw_pcre *pcre);

/// Searches from an offset, at most `len`.
/// @param again  a match ended at `from`: an empty one there is none
/// @return TW_OK, TW_ENOENT, TW_ELIMIT (tell the guard first), TW_ENOMEM, TW_EINVAL
tw_status tw_pcre_match(tw_pcre *pcre, const char *text, size_t len, size_t from, bool again,
                        tw_found *found, tw_error *error);

/// Tells the guard what was done, when that is much; raises as tw_guard_step does.
void tw_pcre_tell(tw_pcre_space *space, lua_State *L);
/// The same however little it is.
void tw_pcre_tell_all(tw_pcre_space *space, lua_State *L);

#endif
