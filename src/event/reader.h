/// reader.h: JSON text to nodes, strictly by RFC 8259, in one pass.
#ifndef TW_EVENT_READER_H
#define TW_EVENT_READER_H

#include "event/node.h"
#include "tidewire.h"

/// Bytes that must be readable behind the text: the first a NUL, the rest anything.
/// The reader looks at 32 bytes at a time and finds the end by the NUL.
#define TW_PADDING 64

/// Hard bound of tw_limits.max_depth.
#define TW_DEPTH_BOUND 1024

/// @return how many nodes the reader writes at most for `len` bytes: one for two bytes, and
///         as many again as containers can be open when a bad text ends
static inline size_t tw_reader_bound(size_t len) {
  return (len + (len < TW_DEPTH_BOUND ? len : TW_DEPTH_BOUND)) / 2 + 2;
}

/// The hash in the node of a key with escapes, which no other key has: compare it unescaped.
#define TW_UNKNOWN_HASH 0xfffffffu

/// Reads one JSON value with white space around it. An escape of a lone surrogate is kept,
/// as the grammar allows it; raw bytes are UTF-8 without surrogates.
///
/// @param text   `len` bytes and TW_PADDING; the nodes point into it
/// @param nodes  room for tw_reader_bound(len)
/// @param max_depth  at most TW_DEPTH_BOUND
/// @param[out] count  nodes written
/// @return TW_OK, TW_EJSON or TW_ELIMIT (too deep), with the byte position
tw_status tw_read_json(const char *text, size_t len, uint32_t max_depth, tw_node *nodes,
                       size_t *count, tw_error *error);

/// The implementations that tw_read_json chooses from by what the processor has; for tests.
typedef tw_status (*tw_read_fn)(const char *text, size_t len, uint32_t max_depth,
                                tw_node *nodes, size_t *count, tw_error *error);
/// @return implementation `index` that runs on this processor, its name in `name`; NULL past
/// the last
tw_read_fn tw_reader_variant(size_t index, const char **name);

#endif
