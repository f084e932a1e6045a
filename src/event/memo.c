/* Indexes of big containers, and texts that are wanted with a NUL behind them.

   An object's index is a hash table with open addressing, at most half full. It holds the
   values' nodes, as a key is the node before; 0 is free, as node 0 is no member. An array's
   index is the list of its elements. Either is made after some walks, and is only a help:
   without memory the walk goes on. All of it lies in the arena of the store, and goes with
   that. */
#include "event/memo.h"

#include "event/text.h"

tw_memo *tw_memo_peek(const tw_store *store, tw_ref ref) {
  tw_memo *memo = store->memos[ref % TW_MEMO_BUCKETS];
  while (memo && memo->ref != ref) memo = memo->next;
  return memo;
}

tw_memo *tw_memo_get(tw_store *store, tw_ref ref) {
  tw_memo **bucket = &store->memos[ref % TW_MEMO_BUCKETS];
  tw_memo *memo = tw_memo_peek(store, ref);
  if (memo) return memo;
  memo = tw_store_alloc(store, sizeof *memo);
  if (!memo) return NULL;
  *memo = (tw_memo){.next = *bucket, .ref = ref};
  *bucket = memo;
  store->has_memos = true;
  return memo;
}

/* FNV-1a with a final mix, as indexes are masked. */
uint32_t tw_memo_hash(const char *key, size_t len) {
  uint64_t hash = 0xcbf29ce484222325u;
  for (size_t i = 0; i < len; i++) hash = (hash ^ (unsigned char)key[i]) * 0x100000001b3u;
  return (uint32_t)(hash ^ hash >> 32);
}

/* Smallest power of two that leaves a table of `count` entries half empty. */
static uint32_t table_size(uint32_t count) {
  uint32_t size = 16;
  while (size < count * 2) size *= 2;
  return size;
}

static const char *key_bytes(tw_store *store, tw_ref key, size_t *len) {
  return tw_node_string(store, key, len);
}

/* Puts a value where its key belongs; of equal keys the later replaces the earlier. */
static bool insert(tw_store *store, tw_memo *memo, tw_ref value) {
  size_t len, other_len;
  const char *key = key_bytes(store, value - 1, &len);
  if (!key) return false;
  uint32_t at = tw_memo_hash(key, len) & memo->mask;
  for (; memo->table[at]; at = (at + 1) & memo->mask) {
    const char *other = key_bytes(store, memo->table[at] - 1, &other_len);
    if (!other) return false;
    if (other_len == len && memcmp(other, key, len) == 0) break;
  }
  memo->table[at] = value;
  return true;
}

static uint32_t count_members(const tw_store *store, tw_ref object) {
  uint32_t count = 0;
  tw_ref end = object + tw_node_size(store->nodes + object);
  for (tw_ref at = object + 1; at < end; at += 1 + tw_node_size(store->nodes + at + 1)) count++;
  return count;
}

static bool build_table(tw_store *store, tw_memo *memo, tw_ref object) {
  uint32_t size = table_size(count_members(store, object));
  tw_ref end = object + tw_node_size(store->nodes + object);
  memo->mask = size - 1;
  memo->table = tw_store_alloc(store, size * sizeof *memo->table);
  if (!memo->table) return false;
  memset(memo->table, 0, size * sizeof *memo->table);
  for (tw_ref at = object + 1; at < end; at += 1 + tw_node_size(store->nodes + at + 1)) {
    if (insert(store, memo, at + 1)) continue;
    memo->table = NULL;
    return false;
  }
  return true;
}

bool tw_memo_find(tw_store *store, tw_ref object, const char *key, size_t len, tw_ref *value) {
  tw_memo *memo = tw_memo_peek(store, object);
  if (!memo || memo->walks < TW_MEMO_WALKS) return false;
  if (!memo->table && !build_table(store, memo, object)) return false;
  uint32_t meta = tw_node_meta(TW_KIND_KEY, tw_key_hash(key, len));
  uint32_t at = tw_memo_hash(key, len) & memo->mask;
  for (; memo->table[at]; at = (at + 1) & memo->mask)
    if (tw_key_equals(store->nodes + memo->table[at] - 1, meta, key, len)) break;
  *value = memo->table[at];
  return true;
}

static bool build_elements(tw_store *store, tw_memo *memo, tw_ref array) {
  tw_ref end = array + tw_node_size(store->nodes + array), *table;
  uint32_t count = 0;
  for (tw_ref at = array + 1; at < end; at += tw_node_size(store->nodes + at)) count++;
  table = tw_store_alloc(store, (count + 1) * sizeof *table);
  if (!table) return false;
  memo->count = count;
  memo->table = table;
  for (tw_ref at = array + 1; at < end; at += tw_node_size(store->nodes + at)) *table++ = at;
  return true;
}

/* An array that is read in order is walked along with the reader. Going back means a walk
   from the start, and many of these mean a table. */
bool tw_memo_at(tw_store *store, tw_ref array, uint32_t index, tw_ref *value) {
  tw_memo *memo = tw_memo_get(store, array);
  if (!memo) return false;
  bool ahead = memo->at && memo->at_no <= index;
  if (!memo->table && !ahead && memo->walks++ >= TW_MEMO_WALKS &&
      !build_elements(store, memo, array))
    return false;
  if (memo->table) {
    *value = index < memo->count ? memo->table[index] : 0;
    return true;
  }
  tw_ref end = array + tw_node_size(store->nodes + array), at = ahead ? memo->at : array + 1;
  uint32_t no = ahead ? memo->at_no : 0;
  for (; no < index && at < end; no++) at += tw_node_size(store->nodes + at);
  *value = at < end ? at : 0;
  if (*value) memo->at = at, memo->at_no = no;
  return true;
}

/* ----------------------------------------------------------------- strings */

const char *tw_memo_string(tw_store *store, tw_ref ref, size_t *len) {
  tw_memo *memo = tw_memo_get(store, ref);
  if (!memo) return NULL;
  if (!memo->text) {
    const tw_node *node = store->nodes + ref;
    tw_kind kind = tw_node_kind(node);
    bool quoted = tw_kind_is_string(kind),
         plain = kind == TW_KIND_STRING || kind == TW_KIND_KEY;
    const char *text = node->text + quoted;
    size_t room = node->len - (quoted ? 2u : 0u);
    char *copy = tw_store_alloc(store, room + 1);
    if (!copy) return NULL;
    if (plain) memcpy(copy, text, room);
    memo->len = plain ? room : tw_unescape(text, room, copy);
    copy[memo->len] = '\0';
    memo->text = copy;
  }
  *len = memo->len;
  return memo->text;
}

const char *tw_memo_text(tw_store *store, tw_ref ref, size_t *len) {
  tw_memo *memo = tw_memo_get(store, ref);
  if (!memo) return NULL;
  const tw_node *node = store->nodes + ref;
  if (!memo->text) {
    char *copy = tw_store_alloc(store, node->len + 1u);
    if (!copy) return NULL;
    memcpy(copy, node->text, node->len);
    copy[node->len] = '\0';
    memo->text = copy;
  }
  *len = node->len;
  return memo->text;
}

const char *tw_node_string(tw_store *store, tw_ref ref, size_t *len) {
  const tw_node *node = store->nodes + ref;
  tw_kind kind = tw_node_kind(node);
  if (kind == TW_KIND_ESCAPED || kind == TW_KIND_ESCAPED_KEY)
    return tw_memo_string(store, ref, len);
  bool quoted = kind == TW_KIND_STRING;
  *len = node->len - (quoted ? 2u : 0u);
  return node->text + quoted;
}

static bool is_surrogate(const char *text, const char *end, char from, char to) {
  return end - text >= 6 && text[0] == '\\' && text[1] == 'u' && (text[2] | 32) == 'd' &&
         (text[3] | 32) >= from && (text[3] | 32) <= to;
}

/* Bytes of the escape at `text`; a pair of surrogates is one. */
static size_t escape_len(const char *text, const char *end) {
  if (text[1] != 'u') return 2;
  bool high = is_surrogate(text, end, '8', 'b') && is_surrogate(text + 6, end, 'c', 'f');
  return high ? 12 : 6;
}

/* Escape by escape, so that no memory is needed. */
bool tw_key_equals_escaped(const tw_node *node, const char *key, size_t len) {
  const char *text = node->text, *end = text + node->len, *key_end = key + len;
  if (len > node->len) return false;
  while (text < end) {
    char piece[12] = {*text};
    size_t step = *text == '\\' ? escape_len(text, end) : 1;
    size_t bytes = step == 1 ? 1 : tw_unescape(text, step, piece);
    if ((size_t)(key_end - key) < bytes || memcmp(piece, key, bytes) != 0) return false;
    text += step;
    key += bytes;
  }
  return key == key_end;
}
