/// term.h: what the command says on standard error.
///
/// All of it goes through here, so that messages and the progress line keep out of each
/// other's way, and what comes from events cannot steer a terminal. Several threads may use
/// one.
#ifndef TW_APP_TERM_H
#define TW_APP_TERM_H

#include <pthread.h>
#include <stdbool.h>

#include "base/buffer.h"

typedef struct tw_term {
  bool is_terminal; ///< standard error is a terminal that can redraw a line
  bool colour;      ///< and wants colour
  bool progress;    ///< a progress line is on the screen; under the mutex
  pthread_mutex_t mutex;
} tw_term;

typedef enum tw_style { TW_PLAIN, TW_BOLD, TW_RED, TW_YELLOW } tw_style;

/// It lives as long as the process.
void tw_term_init(tw_term *term);
/// Writes one line, `tidewire: …`, in red. Control characters become '?'.
void tw_term_complain(tw_term *term, const char *format, ...) TW_PRINTF(2, 3);
/// The same for a text that is no complaint: without the colour.
void tw_term_say(tw_term *term, const char *text);
/// Writes finished text as it is.
void tw_term_write(tw_term *term, const tw_buffer *text);
/// Draws the progress line again, or with NULL removes it. Does nothing off a terminal.
void tw_term_progress(tw_term *term, const char *text);
/// @return the sequence that begins a style, "" without colour
const char *tw_term_style(const tw_term *term, tw_style style);

/// Appends text with its control characters as '?'.
void tw_term_clean(tw_buffer *out, const char *text);

/// Room for a grouped number with its NUL.
#define TW_GROUPED_ROOM 27
/// Writes a number as people read it: `1,234,567`. @return `out`
const char *tw_grouped(uint64_t value, char out[TW_GROUPED_ROOM]);

#endif
