/* Keys that are too long for LMDB keep their begin and their end, and a hash of what is
   between: so those with the same begin lie together, and the numbers at the end of keys of one
   path sort. Two forms of 510 and of 511 bytes can never be the same key. */
#include "delivery/spool_record.h"

#include <xxhash.h>

#include "delivery/spool_keys.h"

#define TAIL 32
/* The longest key that stands in LMDB as it is. */
#define SHORT_KEY ((size_t)TW_RECORD_KEY_ROOM - 2)

static uint64_t hash_key(tw_spool_table table, const void *key, size_t len) {
  return XXH3_64bits_withSeed(key, len, (uint64_t)table);
}

static void make_long(tw_record_key *out, const unsigned char *key, size_t len) {
  const size_t head = TW_RECORD_KEY_HEAD - 1;
  memcpy(out->bytes + 1, key, head);
  tw_spool_write_number(out->bytes + 1 + head, XXH3_64bits(key + head, len - head - TAIL));
  memcpy(out->bytes + 1 + head + 8, key + len - TAIL, TAIL);
  out->len = TW_RECORD_KEY_ROOM;
  out->kept_len = len;
}

void tw_record_key_make(tw_record_key *out, tw_spool_table table, const void *key, size_t len) {
  out->bytes[0] = (unsigned char)table;
  out->hash = hash_key(table, key, len);
  if (len > SHORT_KEY) {
    make_long(out, key, len);
    return;
  }
  if (len) memcpy(out->bytes + 1, key, len);
  out->len = len + 1;
  out->kept_len = 0;
}

void tw_record_header_write(unsigned char *out, const tw_record_key *made, const void *key,
                            const void *value, size_t len) {
  tw_little_endian_write(out, XXH3_64bits_withSeed(value, len, made->hash), 8);
  tw_little_endian_write(out + 8, made->hash & UINT32_MAX, 4);
  tw_little_endian_write(out + 12, made->kept_len, 4);
  if (made->kept_len) memcpy(out + TW_RECORD_HEADER, key, made->kept_len);
}

size_t tw_record_header_len(const unsigned char *stored) {
  return TW_RECORD_HEADER + (size_t)tw_little_endian_read(stored + 12, 4);
}

/* The key that was kept must lead to the place where it was found. */
static bool long_key_is_here(const void *at, size_t at_len, tw_spool_table table,
                             const tw_spool_record *record) {
  tw_record_key made;
  if (record->key_len <= SHORT_KEY || record->key_len > TW_RECORD_KEY_MAX) return false;
  tw_record_key_make(&made, table, record->key, record->key_len);
  return made.len == at_len && memcmp(made.bytes, at, at_len) == 0;
}

bool tw_record_key_read(const void *at, size_t at_len, const unsigned char *stored, size_t len,
                        tw_spool_table *table, tw_spool_record *out) {
  const unsigned char *bytes = at;
  if (!at_len || bytes[0] >= TW_SPOOL_TABLES) return false;
  *table = (tw_spool_table)bytes[0];
  out->key = bytes + 1;
  out->key_len = at_len - 1;
  if (len < TW_RECORD_HEADER) return false;
  size_t kept = tw_record_header_len(stored) - TW_RECORD_HEADER;
  if (kept > len - TW_RECORD_HEADER || (kept == 0) != (at_len < TW_RECORD_KEY_ROOM))
    return false;
  if (kept) {
    tw_spool_record whole = {.key = stored + TW_RECORD_HEADER, .key_len = kept};
    if (!long_key_is_here(at, at_len, *table, &whole)) return false;
    *out = whole;
  }
  uint64_t hash = hash_key(*table, out->key, out->key_len);
  return (hash & UINT32_MAX) == tw_little_endian_read(stored + 8, 4);
}

bool tw_record_read(const void *at, size_t at_len, const void *stored, size_t len,
                    tw_spool_table *table, tw_spool_record *out) {
  const unsigned char *bytes = stored;
  *out = (tw_spool_record){.value = stored, .len = len};
  bool is_key = tw_record_key_read(at, at_len, bytes, len, table, out);
  if (len < TW_RECORD_HEADER) return false;
  size_t before = tw_record_header_len(bytes);
  if (before > len) return false;
  out->value = bytes + before;
  out->len = len - before;
  if (!is_key) return false;
  uint64_t hash = hash_key(*table, out->key, out->key_len);
  return XXH3_64bits_withSeed(out->value, out->len, hash) == tw_little_endian_read(bytes, 8);
}
