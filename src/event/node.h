/// node.h: the index of JSON text, one node for each value and each key.
///
/// Nodes stand in the order of the text. An object is followed by key, value, key,
/// value …; an array by its elements; each value by its own subtree. A node is known
/// by its number in the store's vector (`tw_ref`), because the vector moves when it
/// grows; the text that a node points to never moves.
#ifndef TW_EVENT_NODE_H
#define TW_EVENT_NODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/// What a node is. The order matters: see tw_kind_is_container, tw_kind_is_key.
typedef enum tw_kind {
  TW_KIND_NULL,
  TW_KIND_FALSE,
  TW_KIND_TRUE,
  TW_KIND_INTEGER, ///< no fraction, no exponent; may be longer than 64 bits
  TW_KIND_NUMBER,  ///< has a fraction or an exponent
  TW_KIND_STRING,  ///< without escapes: what is between the quotes is its value
  TW_KIND_ESCAPED, ///< a string with escapes
  TW_KIND_ARRAY,
  TW_KIND_OBJECT,
  TW_KIND_KEY,        ///< a member's key without escapes
  TW_KIND_ESCAPED_KEY ///< a member's key with escapes
} tw_kind;

/// Number of a node in its store; 24 bits, so that a view fits into a pointer.
typedef uint32_t tw_ref;
#define TW_MAX_NODES (1u << 24)

typedef struct tw_node {
  const char *text; ///< a value: its whole text; a key: what is between its quotes
  uint32_t len;
  uint32_t
      meta; ///< the kind in 4 bits; above it 28: a key's hash, or else the size of the subtree
} tw_node;

static inline uint32_t tw_node_meta(tw_kind kind, uint32_t high) {
  return (uint32_t)kind | high << 4;
}
static inline tw_kind tw_node_kind(const tw_node *node) { return (tw_kind)(node->meta & 15); }
/// Nodes of the value's subtree with itself; not for keys.
static inline uint32_t tw_node_size(const tw_node *node) { return node->meta >> 4; }

static inline bool tw_kind_is_container(tw_kind kind) {
  return kind == TW_KIND_ARRAY || kind == TW_KIND_OBJECT;
}
static inline bool tw_kind_is_string(tw_kind kind) {
  return kind == TW_KIND_STRING || kind == TW_KIND_ESCAPED;
}

/// A hash that costs three loads: first, middle and last byte. With the length it tells
/// nearly all keys of an event apart.
static inline uint32_t tw_key_hash(const char *key, size_t len) {
  if (!len) return 0;
  return (uint32_t)(unsigned char)key[0] | (uint32_t)(unsigned char)key[len / 2] << 8 |
         (uint32_t)(unsigned char)key[len - 1] << 16;
}

/// One of 64 bits for a key, from its hash and length: Knuth's multiplicative hash.
static inline uint64_t tw_key_bit(uint32_t hash, size_t len) {
  return (uint64_t)1 << ((hash ^ (uint32_t)len << 5) * 0x9e3779b1u >> 26);
}

#endif
