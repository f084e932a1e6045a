/// position.h: how far a source was read, as a spool keeps it.
///
/// Blocks of a file are processed by several workers and are committed in any order: so it is
/// an offset, below which all is committed, and the ranges beyond it that are, too. A file is
/// known by device, inode and the hash of its first bytes, and so is found again under another
/// name.
#ifndef TW_DELIVERY_POSITION_H
#define TW_DELIVERY_POSITION_H

#include "base/buffer.h"
#include "base/status.h"

typedef struct tw_range {
  uint64_t start, end; ///< bytes
  uint64_t lines;
} tw_range;

typedef struct tw_position {
  uint64_t device, inode;
  uint64_t head_hash; ///< XXH3 of the first `head_len` bytes
  uint32_t head_len;  ///< at most 1024
  uint64_t offset;    ///< all before it is committed
  uint64_t line;      ///< of the next line, from 1
  tw_range *ranges;   ///< committed ones beyond it, ascending, disjoint; owned
  size_t count, cap;
} tw_position;

void tw_position_fini(tw_position *position);
/// Adds a committed range, and moves the offset as far as there is no gap.
/// @return false without memory: unchanged
bool tw_position_add(tw_position *position, const tw_range *range);
/// The first gap at `offset` or behind it.
/// @param[out] end  where it ends: at the next committed range; UINT64_MAX: nowhere
/// @param[out] line  number of its first line
/// @return where it begins
uint64_t tw_position_gap(const tw_position *position, uint64_t offset, uint64_t *end,
                         uint64_t *line);
/// As JSON, for people as well: `{"device":…,"inode":…,"offset":…,"line":…,"ranges":[…]}`.
bool tw_position_write(const tw_position *position, tw_buffer *out);
tw_status tw_position_read(const char *json, size_t len, tw_position *out, tw_error *error);

#endif
