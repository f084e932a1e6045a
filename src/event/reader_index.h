/// reader_index.h: the first half of the reader: where the strings of a text end.
///
/// The index is a list of *marks*: the offsets of all quotes that open or close a string,
/// and of every byte inside of a string that needs a closer look: a backslash that begins an
/// escape, a control character, the first byte that is not UTF-8. A string without marks
/// between its quotes is good as it is, so the second half never looks into it.
///
/// It is made for a window of the text at a time, 64 bytes in a step, by one of several
/// implementations: the same body (reader_index_body.h) over different vector types.
#ifndef TW_EVENT_READER_INDEX_H
#define TW_EVENT_READER_INDEX_H

#include "event/node.h"
#include "tidewire.h"

/// Bytes that are indexed at a time, a multiple of 64.
#define TW_INDEX_WINDOW 1024
/// Marks that are written in one go, needed or not: most steps have no more.
#define TW_INDEX_BATCH 10

/// Room for marks that are written behind the last.
#define TW_INDEX_ROOM 16

typedef struct tw_index {
  const char *text;
  uint32_t len;
  uint32_t next;      ///< offset of the first byte that is not indexed yet
  uint32_t quotes;    ///< quotes seen; odd: `next` is inside of a string
  uint32_t escaping;  ///< 1: the byte before `next` is a backslash that escapes it
  uint32_t utf8_from; ///< bytes before it are known to be UTF-8 or ASCII, or not to matter
  /// Ascending. Two marks at `len`, where the NUL is, stand behind the last.
  uint32_t marks[TW_INDEX_WINDOW + TW_INDEX_ROOM + 2];
} tw_index;

/// Indexes the next window and replaces the marks.
typedef void (*tw_index_fn)(tw_index *index);

void tw_index_portable(tw_index *index);
#if defined(__x86_64__)
void tw_index_sse2(tw_index *index);
void tw_index_avx2(tw_index *index);
void tw_index_avx512(tw_index *index);
#endif

/// What a step found besides plain quotes, one bit for each of its 64 bytes.
typedef struct tw_index_found {
  uint64_t quotes, backslashes, controls, non_ascii;
} tw_index_found;

/// The marks of a step that has backslashes, control characters or bytes over 127.
/// @param at  the offset of its first byte; bits of bytes past the text are zero
uint64_t tw_index_careful(tw_index *index, uint32_t at, const tw_index_found *found);

/// @return the fastest implementation that runs on this processor
tw_index_fn tw_index_best(void);

/// tw_read_json with a chosen implementation.
tw_status tw_read_with(tw_index_fn index_next, const char *text, size_t len, uint32_t max_depth,
                       tw_node *nodes, size_t *count, tw_error *error);

#endif
