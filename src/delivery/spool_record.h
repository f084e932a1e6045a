/// spool_record.h: the form that a record of a spool has in LMDB.
///
/// All tables share one tree. LMDB's key is
///
///     table: 1 byte | key                                        up to 510 bytes in all
///     table: 1 byte | 470 bytes | hash: 8 | the last 32 bytes    511 bytes: of a longer key
///
/// as LMDB takes no more than 511. The whole key of the second kind stands with its value:
///
///     sum: 8 | mark: 4 | key length: 4, 0 for the first kind | key of the second kind | value
///
/// Numbers are little-endian. `sum` is XXH3 of the value, seeded with XXH3 of the key, which is
/// seeded with the table; `mark` is the lower half of the key's hash, so that a key which was
/// changed is found out without reading a long value. The form of TW_SPOOL_ABOUT never changes:
/// the format's version is told there.
#ifndef TW_DELIVERY_SPOOL_RECORD_H
#define TW_DELIVERY_SPOOL_RECORD_H

#include "delivery/spool.h"

#define TW_RECORD_HEADER   16
#define TW_RECORD_KEY_ROOM 511
/// Of a long key in LMDB: the table and its first bytes. Records that have these in common may
/// stand in any order there.
#define TW_RECORD_KEY_HEAD 471
/// The longest key that a record may have.
#define TW_RECORD_KEY_MAX ((size_t)65535)

/// A key as LMDB gets it.
typedef struct tw_record_key {
  unsigned char bytes[TW_RECORD_KEY_ROOM];
  size_t len;
  uint64_t hash;   ///< of table and key
  size_t kept_len; ///< bytes of the key that stand with the value; 0: none
} tw_record_key;

/// @param len  at most TW_RECORD_KEY_MAX
void tw_record_key_make(tw_record_key *out, tw_spool_table table, const void *key, size_t len);

/// Writes what stands before the value.
/// @param[out] out  room for TW_RECORD_HEADER + made->kept_len bytes
void tw_record_header_write(unsigned char *out, const tw_record_key *made, const void *key,
                            const void *value, size_t len);

/// Bytes that stand before the value. @param stored  TW_RECORD_HEADER bytes of it
size_t tw_record_header_len(const unsigned char *stored);

/// Whether the key is the one that was stored: by `mark` alone.
/// @param at, at_len  LMDB's key
/// @param stored, len  at least tw_record_header_len bytes
/// @param[out] out  table and key are set; `value` and `len` are left alone
bool tw_record_key_read(const void *at, size_t at_len, const unsigned char *stored, size_t len,
                        tw_spool_table *table, tw_spool_record *out);

/// Takes a record apart.
/// @param[out] out  borrowed from both; set as far as that is possible
/// @return whether it is whole
bool tw_record_read(const void *at, size_t at_len, const void *stored, size_t len,
                    tw_spool_table *table, tw_spool_record *out);

#endif
