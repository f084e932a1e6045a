/// dead_store.h: the dead letters in a spool, also while a run has it open.
///
/// A letter's number is that of its record and its place in it. What is taken out of the middle
/// of a record leaves the rest as records of their own, so that numbers never change.
#ifndef TW_APP_DEAD_STORE_H
#define TW_APP_DEAD_STORE_H

#include "app/dead_filter.h"
#include "delivery/spool.h"

/// @param letter  borrowed for the call
/// @return false: no more is wanted
typedef bool (*tw_letter_fn)(void *self, const tw_letter *letter);

typedef struct tw_dead_visit {
  const tw_dead_filter *filter;
  uint64_t end;       ///< letters from this number on are not looked at
  tw_letter_fn visit; ///< for each that matches, in order, up to the filter's limit
  void *self;
  /// A record that is damaged, and passed over.
  void (*damaged)(void *self, uint64_t number, const tw_error *why);
} tw_dead_visit;

/// @param[out] end  one more than the number of the last letter; 0: there is none
tw_status tw_dead_end(tw_spool *spool, uint64_t *end, tw_error *error);
/// Visits without holding up whoever writes, in bounded memory.
tw_status tw_dead_each(tw_spool *spool, const tw_dead_visit *visit, tw_error *error);

/// What becomes of letters that are taken out.
typedef enum tw_dead_fate {
  TW_DEAD_DROP,
  TW_DEAD_ROUTE,   ///< the events go through the script again
  TW_DEAD_DELIVER, ///< straight to a backend
} tw_dead_fate;

typedef struct tw_dead_taking {
  tw_dead_fate fate;
  const char *backend; ///< of TW_DEAD_DELIVER: path; NULL: to the one that it is a letter of
  uint64_t taken;      ///< letters
  uint64_t kept;       ///< that match, but hold no event, or are of no backend
} tw_dead_taking;

/// Takes out all that match: those of a few records in one transaction. So each letter is in
/// one place at any moment, and when this fails, what was not taken is still there.
/// @param which  its `visit` is not called
/// @param taking  `taken` and `kept` are counted on
tw_status tw_dead_take(tw_spool *spool, tw_dead_visit *which, tw_dead_taking *taking,
                       tw_error *error);

#endif
