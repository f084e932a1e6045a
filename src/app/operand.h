/// operand.h: one file operand: which files its name stands for, and how far they were read.
///
/// One whose cursor is kept goes through *passes*. A pass reads what is left of the files that
/// its name led to before, the oldest first, and then the one that it leads to now; see
/// trail.h. Other inputs, such as standard input, are read once.
#ifndef TW_APP_OPERAND_H
#define TW_APP_OPERAND_H

#include "app/input.h"
#include "app/term.h"
#include "app/trail.h"
#include "engine/engine.h"

/// Who keeps cursors: as tw_engine_position and the like.
typedef struct tw_cursors {
  tw_status (*position)(void *self, const char *source, const tw_file_id *file,
                        tw_position *out, tw_error *error);
  tw_status (*visit)(void *self, const char *source, tw_position_visit_fn visit, void *with,
                     tw_error *error);
  tw_status (*forget)(void *self, const char *source, const tw_file_id *file, tw_error *error);
  void *self;
} tw_cursors;

/// Those of an engine with a spool.
tw_cursors tw_engine_cursors(tw_engine *engine);

typedef enum tw_operand_news {
  TW_OPERAND_SAME,
  TW_OPERAND_GROWN,    ///< the open file is longer than what was read
  TW_OPERAND_REPLACED, ///< the name leads to another file: read the rest of this one
  TW_OPERAND_REWRITTEN ///< the open file holds something else: leave it
} tw_operand_news;

typedef struct tw_operand {
  const char *word;          ///< borrowed
  const tw_cursors *cursors; ///< borrowed; NULL: none is kept
  tw_term *term;
  bool follows;
  bool is_plain; ///< it is read once, from where it is to its end
  char *path;    ///< absolute: where it is looked for, and its name in the spool; owned
  tw_input input;
  tw_trail trail;
  size_t next;          ///< file of the trail to be opened next
  tw_file_id file;      ///< of the open one
  tw_position position; ///< where it was begun; owned
  uint64_t unfinished;  ///< last lines without a newline that were left, in this pass
  size_t formers;       ///< files of this pass that may still be written to under another name
} tw_operand;

/// @param word  a path or "-", borrowed, as are the others
/// @param cursors  NULL: how far files are read is not kept
/// @param follows  wait for more at the end
tw_status tw_operand_init(tw_operand *operand, const char *word, const tw_cursors *cursors,
                          bool follows, tw_term *term, tw_intake *intake, size_t max_line,
                          tw_error *error);
/// No block of it is under way.
/// @return how many last lines it has left
uint64_t tw_operand_fini(tw_operand *operand);

/// Begins a pass: finds the files, tells which are gone. Before it, as before tw_operand_end,
/// all blocks that were read are back.
tw_status tw_operand_begin(tw_operand *operand, tw_error *error);
/// Opens the next file of the pass; the one before is closed.
/// @param[out] opened  false: there is none
tw_status tw_operand_open(tw_operand *operand, bool *opened, tw_error *error);
/// Ends a pass: lets go of the file at hand, unless it is to be followed, and forgets files
/// that need not be looked at any more: read to their end, not written to for a minute, and
/// older than another one that is known.
void tw_operand_end(tw_operand *operand);

/// Looks whether there is more to be read.
tw_operand_news tw_operand_look(const tw_operand *operand);

#endif
