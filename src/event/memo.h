/// memo.h: what was worked out about nodes of a store, kept so that reading every member of
/// a big container, or one string again and again, costs neither quadratic time nor memory.
///
/// A memo belongs to a node of the text, never to an edited container, and nodes do not
/// change: so all copies of an event share it.
#ifndef TW_EVENT_MEMO_H
#define TW_EVENT_MEMO_H

#include "event/event.h"

struct tw_memo {
  tw_memo *next;
  tw_ref ref;
  uint32_t walks;     ///< container: linear searches so far
  uint32_t count;     ///< container: its members
  tw_ref *table;      ///< array: its elements; object: hash table of last values, 0: free
  uint32_t mask;      ///< object: size of the table - 1
  uint32_t at, at_no; ///< array: the element looked up last and its index; 0: none
  const char *text;   ///< string: unescaped; container: JSON; both NUL-terminated
  size_t len;
};

/// Containers with fewer members are always walked. A fuzzer's events are small.
#ifdef FUZZING_BUILD_MODE_UNSAFE_FOR_PRODUCTION
#define TW_MEMO_MEMBERS 3
#else
#define TW_MEMO_MEMBERS 64
#endif
/// Linear searches before an index is made.
#define TW_MEMO_WALKS 4

/// @return the node's memo, NULL when it has none
tw_memo *tw_memo_peek(const tw_store *store, tw_ref ref);
/// @return the node's memo, a new zero one if need be; NULL without memory
tw_memo *tw_memo_get(tw_store *store, tw_ref ref);

/// Takes arena memory and counts it.
static inline void *tw_store_alloc(tw_store *store, size_t size) {
  store->spent += size;
  return tw_arena_alloc(&store->arena, size);
}

/// A hash of all bytes, for indexes.
uint32_t tw_memo_hash(const char *key, size_t len);

/// Finds a member of a big unedited object by its index, which is made after some walks
/// (counted in the memo by the caller). @return false when there is none: walk then.
/// *value is 0 when the key is not there
bool tw_memo_find(tw_store *store, tw_ref object, const char *key, size_t len, tw_ref *value);
/// Element `index` of a big unedited array; 0 past the end. False without memory: walk then.
bool tw_memo_at(tw_store *store, tw_ref array, uint32_t index, tw_ref *value);

/// A string or key with a NUL behind it; kept. NULL without memory
const char *tw_memo_string(tw_store *store, tw_ref ref, size_t *len);

/// A container's JSON text as it was read, with a NUL behind it; kept. NULL without memory
const char *tw_memo_text(tw_store *store, tw_ref ref, size_t *len);

/// @return whether the key is these bytes, its escapes resolved
bool tw_key_equals_escaped(const tw_node *node, const char *key, size_t len);
static inline bool tw_key_equals(const tw_node *node, uint32_t meta, const char *key,
                                 size_t len) {
  if (node->meta == meta) return node->len == len && tw_bytes_equal(node->text, key, len);
  return tw_node_kind(node) == TW_KIND_ESCAPED_KEY && tw_key_equals_escaped(node, key, len);
}

#endif
