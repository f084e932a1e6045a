/// dead_print.h: dead letters as people and programs read them.
#ifndef TW_APP_DEAD_PRINT_H
#define TW_APP_DEAD_PRINT_H

#include "app/dead_filter.h"
#include "base/buffer.h"

/* Each appends to `out`, and gives up silently without memory: the caller sees it by what is
 * missing. */

/// One line: number, time, where, path, name of the event, error.
void tw_dead_print_line(const tw_letter *letter, tw_buffer *out);
/// All there is, a member a line.
void tw_dead_print_all(const tw_letter *letter, tw_buffer *out);
/// The letter as it is stored. @param event  its event alone
/// @return false when it holds none
bool tw_dead_print_json(const tw_letter *letter, bool event, tw_buffer *out);

#endif
