/// block.h: runs of lines from a source, on their way through an engine.
///
/// A source takes an empty block from its *intake*, fills it with whole lines and hands it on.
/// Who processes the lines adds to the block's tally what became of each. When the last one
/// is through, the intake's `done` is called with the block, which then goes back to it with
/// its memory. So what a source has read, and how far that is processed, is known exactly,
/// and the memory that it takes is bounded by the blocks that are under way.
#ifndef TW_CORE_BLOCK_H
#define TW_CORE_BLOCK_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/lane.h"
#include "base/status.h"

/// Bytes that are kept of a line beyond the limit.
#define TW_LINE_KEPT ((size_t)4096)

/// One line, in place.
typedef struct tw_line {
  char *text; ///< without its newline; a NUL and TW_PADDING readable bytes follow
  size_t len;
  uint64_t number; ///< from 1
  uint64_t offset; ///< of its first byte in the source
  uint64_t full;   ///< its real length: more than `len` when it is beyond the limit
} tw_line;

/// What became of lines. Each member counts what it sees by itself, so that these are checks
/// and not definitions: lines = blank + read, read = routed + dropped + rejected + left.
typedef struct tw_tally {
  uint64_t lines;    ///< all of them
  uint64_t blank;    ///< of nothing but white space: skipped
  uint64_t read;     ///< the others
  uint64_t rejected; ///< no JSON object, beyond a limit, or without memory for it
  uint64_t routed;   ///< handed to one backend or more, whether that took it or failed
  uint64_t dropped;  ///< handed to none: ended by processors and routes
  uint64_t left;     ///< not processed: the engine was closed before
  uint64_t bytes;    ///< of the lines, with newlines
} tw_tally;

void tw_tally_add(tw_tally *to, const tw_tally *from);

/// Which file a source is, whatever its name is by now. The hash tells a new file of the same
/// number from the one that was there.
typedef struct tw_file_id {
  uint64_t device, inode;
  uint64_t head_hash; ///< XXH3 of 64 bits of the first `head_len` bytes
  uint32_t head_len;
} tw_file_id;

typedef struct tw_intake tw_intake;

typedef struct tw_block {
  struct tw_block *next; ///< in the intake's list
  tw_intake *intake;
  atomic_uint refs;
  /* What the source fills in. */
  const char *source;     ///< its name; outlives the block
  const tw_file_id *file; ///< outlives the block; NULL: how far it was read is not kept
  char *data; ///< `cap` bytes and TW_PADDING more; the lines are taken apart in place
  size_t len, cap;
  uint64_t line;   ///< number of the first line, from 1
  uint64_t offset; ///< of the first byte in the source
  uint64_t full;   ///< 0; or `data` is the beginning of one line of so many bytes
  size_t max_line; ///< limit of a line's length, without its newline
  tw_tally tally;  ///< guarded by the intake's mutex; complete when it is done
} tw_block;

/// Called from the threads that process, at the same time.
typedef struct tw_intake_ops {
  /// A line that is no event. All is borrowed for the call.
  void (*rejected)(void *self, const tw_block *block, const tw_line *line, const tw_error *why);
  /// All lines of a block are through, and its tally is complete.
  void (*done)(void *self, const tw_block *block);
} tw_intake_ops;

struct tw_intake {
  tw_intake_ops ops;
  void *self;
  pthread_mutex_t mutex; ///< guards all below
  pthread_cond_t back;
  tw_block *free[TW_LANES]; ///< by where they were given back: their memory is cached there
  unsigned out;             ///< blocks that were taken and are not back
};

/// @param ops  copied
void tw_intake_init(tw_intake *intake, const tw_intake_ops *ops, void *self);
/// All blocks are back.
void tw_intake_fini(tw_intake *intake);
/// @return an empty block with one reference; NULL without memory
tw_block *tw_intake_take(tw_intake *intake);
/// Waits until all blocks but `most` are back.
/// @param milliseconds  negative: without limit
/// @return false when the time is over
bool tw_intake_wait(tw_intake *intake, unsigned most, int milliseconds);

/// Makes room for `cap` bytes and the padding, which is zeroed behind `len`.
/// @return false without memory; the block is as it was
bool tw_block_reserve(tw_block *block, size_t cap);
void tw_block_ref(tw_block *block, unsigned count);
/// The last reference calls `done` and gives the block back. NULL is allowed.
void tw_block_unref(tw_block *block, unsigned count);

/// Lets whoever processes blocks fetch them on their own threads, where what was read stays in
/// the processor's cache. Each thread has a *request*. The calls come from several threads at
/// the same time.
typedef struct tw_block_source {
  /// @return the next block, a reference of the caller's; NULL: there is none
  tw_block *(*next)(void *self);
  void (*begin)(void *self); ///< a request begins
  void (*over)(void *self);  ///< a request is over: there was no block, or it was given up
  void *self;
} tw_block_source;

/// A place in a block's lines; starts zeroed.
typedef struct tw_block_at {
  size_t start;    ///< of the next line
  uint64_t passed; ///< lines before it
} tw_block_at;

/// Hands out the next line, with a NUL behind it; the first of a source without its byte
/// order mark. One with `full > len` is beyond the limit: only its beginning is there.
/// @return false behind the last one
bool tw_block_next(tw_block *block, tw_block_at *at, tw_line *line);
/// @return whether it is of JSON's white space alone; a NUL is none
bool tw_line_is_blank(const tw_line *line);
/// @return TW_OK, or TW_ELIMIT for a line beyond the block's limit
tw_status tw_line_fit(const tw_block *block, const tw_line *line, tw_error *error);
/// Tells the intake of a line that is no event.
void tw_block_reject(tw_block *block, const tw_line *line, const tw_error *why);
/// Counts a line as blank or read. @return whether it was read
bool tw_tally_line(tw_tally *tally, const tw_line *line);
/// Adds what became of some of the lines. Several threads may.
void tw_block_count(tw_block *block, const tw_tally *tally);
/// Counts all lines as left.
void tw_block_leave(tw_block *block);

#endif
