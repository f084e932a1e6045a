/// dead_filter.h: which dead letters a command is about.
#ifndef TW_APP_DEAD_FILTER_H
#define TW_APP_DEAD_FILTER_H

#include "base/status.h"
#include "tidewire.h"

typedef struct tw_dead_range {
  uint64_t first, last;
} tw_dead_range;

/// All that is set must hold.
typedef struct tw_dead_filter {
  const char *backend; ///< path, of letters of backends
  const char *where;   ///< "backend", "processor", "route", "source"
  const char *error;   ///< a part of the message
  const char *name;    ///< of the event
  const char *id;      ///< of the event
  int64_t since_us, until_us;
  uint64_t limit;        ///< letters at most; 0: any number
  tw_dead_range *ranges; ///< numbers, of which one must match; owned
  size_t range_count;    ///< 0: any number matches
} tw_dead_filter;

/// A dead letter as it lies in a spool.
typedef struct tw_letter {
  uint64_t number;
  const char *text; ///< JSON, on one line; borrowed
  size_t len;
  tw_event *event; ///< the same to look at; NULL: it cannot be read. Borrowed
  const char *id;  ///< what the chunk says of it
  size_t id_len;
  int priority;
} tw_letter;

void tw_dead_filter_init(tw_dead_filter *filter);
void tw_dead_filter_fini(tw_dead_filter *filter);
/// @param text  a number, or two such as `7-9`. @return TW_OK, TW_EINVAL, TW_ENOMEM
tw_status tw_dead_filter_add_range(tw_dead_filter *filter, const char *text, tw_error *error);
/// A time: RFC 3339, a day such as `2026-11-27` (its beginning in UTC), or how long ago, such
/// as `2h`. @return false when it is none
bool tw_dead_read_time(const char *text, int64_t *out_us);
/// Whether the letter is one of them; the limit is left to the caller.
bool tw_dead_filter_matches(const tw_dead_filter *filter, const tw_letter *letter);
/// @return a text of the letter, such as of "path" or "event.name"; borrowed; "" when there is
///         none
const char *tw_letter_text(const tw_letter *letter, const char *path);

#endif
