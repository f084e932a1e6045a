/// pcre_meter.h: what a match of PCRE2 does, counted; and the messages when it may do no more.
///
/// PCRE2 has a limit of its own for what one match may do, but counts it anew at each place
/// that a match could begin at, and an item that takes a whole text, such as `a*+`, counts
/// once. So by itself it bounds little:
///
/// - For a *short* text that is good enough: machine code runs at full speed, with a limit that
///   keeps the product small, and on a small stack, because what counts once may also return
///   from as many calls of a group as the stack holds.
/// - For a longer one, or when that limit was passed, a second compilation of the pattern is
///   *watched*: it calls back before each item (PCRE2_AUTO_CALLOUT). The callback counts items
///   and the bytes between them.
///
/// Between two callbacks lies at most one pass over the text. Two items can do more: a back
/// reference may compare a long group without moving, which is counted by what groups hold;
/// and \X may look back to the beginning, so its texts are kept short.
#ifndef TW_CORE_PCRE_METER_H
#define TW_CORE_PCRE_METER_H

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <stdbool.h>

#include "base/status.h"

enum {
  TW_PCRE_QUICK = 50000000,   ///< what a match may do at worst that is not watched
  TW_PCRE_QUICK_TEXT = 440,   ///< bytes: for longer ones the limit would be passed too often
  TW_PCRE_QUICK_EACH = 512,   ///< what counts once: calls that a small stack holds, or bytes
  TW_PCRE_BYTES_EACH = 16,    ///< that are one step
  TW_PCRE_COMPARED_EACH = 64, ///< the same, when they may be compared
  TW_PCRE_CLUSTERED = 16384   ///< bytes of a text that \X is matched with
};

/// Counts one match that is watched.
typedef struct tw_pcre_meter {
  uint64_t steps, look;                      ///< so far; and where to ask `stops`
  bool (*stops)(struct tw_pcre_meter *self); ///< sets the next `look`
  const char *pattern;
  uint32_t compares; ///< whether it has back references
  size_t place;      ///< of the last item
} tw_pcre_meter;

/// Begins a match at `from`.
/// @param watched  compiled with PCRE2_AUTO_CALLOUT
/// @param look     steps after which `meter->stops` is asked first
void tw_pcre_meter_begin(tw_pcre_meter *meter, const pcre2_code *watched, const char *pattern,
                         size_t from, uint64_t look);
/// The callout, for pcre2_set_callout with a meter. A match that is stopped ends as
/// PCRE2_ERROR_CALLOUT.
int tw_pcre_meter_watch(pcre2_callout_block *item, void *meter);

/// @return whether a pattern may hold \X
bool tw_pcre_is_clustered(const char *pattern, size_t len);

/// A match that gave no result.
typedef struct tw_pcre_refusal {
  const char *pattern;
  size_t pattern_len, text_len;
  int steps, kib; ///< the limits
} tw_pcre_refusal;

/// Says why.
/// @param found  a code of PCRE2, below 0 and not PCRE2_ERROR_NOMATCH
/// @return TW_ELIMIT, TW_ENOMEM, TW_EINVAL
tw_status tw_pcre_refuse(const tw_pcre_refusal *what, int found, tw_error *error);
/// Says that its text is too long for \X. @return TW_ELIMIT
tw_status tw_pcre_refuse_clusters(const tw_pcre_refusal *what, tw_error *error);

#endif
