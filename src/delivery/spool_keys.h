/// spool_keys.h: how keys and the small values of a spool's tables are written (spool.h).
///
/// | table | key | value |
/// |---|---|---|
/// | TW_SPOOL_OUTBOX | path | tw_outbox_record: 40 bytes, little-endian |
/// | TW_SPOOL_CHUNK | outbox id: 4 bytes, first event's number: 8, big-endian | a chunk |
/// | TW_SPOOL_SOURCE | name, NUL, device: 8, inode: 8, big-endian | JSON (position.h) |
/// | TW_SPOOL_STATE | text: `worker/workers`, such as `0/2` | JSON |
/// | TW_SPOOL_DEAD | number: 8, big-endian | a chunk |
/// | TW_SPOOL_REPLAY | path, NUL, number: 8, big-endian | a chunk |
///
/// Big-endian numbers sort as their bytes do, so that a table's order is that of numbers.
#ifndef TW_DELIVERY_SPOOL_KEYS_H
#define TW_DELIVERY_SPOOL_KEYS_H

#include <stdio.h>

#include "delivery/spool.h"

/* ---------------------------------------------------------------- outboxes */

typedef struct tw_outbox_record {
  uint32_t id;            ///< of its chunks' keys
  uint64_t head, tail;    ///< outbox.h
  uint64_t events, bytes; ///< that wait
} tw_outbox_record;

/// id, four zeroes, head, tail, events, bytes.
#define TW_OUTBOX_RECORD_LEN 40

static inline void tw_little_endian_write(unsigned char *out, uint64_t number, int len) {
  for (int i = 0; i < len; i++, number >>= 8) out[i] = (unsigned char)number;
}
static inline uint64_t tw_little_endian_read(const unsigned char *from, int len) {
  uint64_t number = 0;
  for (int i = len - 1; i >= 0; i--) number = number << 8 | from[i];
  return number;
}

static inline void tw_outbox_record_write(unsigned char out[TW_OUTBOX_RECORD_LEN],
                                          const tw_outbox_record *record) {
  tw_little_endian_write(out, record->id, 8);
  tw_little_endian_write(out + 8, record->head, 8);
  tw_little_endian_write(out + 16, record->tail, 8);
  tw_little_endian_write(out + 24, record->events, 8);
  tw_little_endian_write(out + 32, record->bytes, 8);
}
/// @return false when it is none: of another length, or tail before head
static inline bool tw_outbox_record_read(const void *value, size_t len, tw_outbox_record *out) {
  const unsigned char *from = value;
  if (len != TW_OUTBOX_RECORD_LEN) return false;
  uint64_t id = tw_little_endian_read(from, 8);
  *out = (tw_outbox_record){.id = (uint32_t)id,
                            .head = tw_little_endian_read(from + 8, 8),
                            .tail = tw_little_endian_read(from + 16, 8),
                            .events = tw_little_endian_read(from + 24, 8),
                            .bytes = tw_little_endian_read(from + 32, 8)};
  return id <= UINT32_MAX && out->tail >= out->head;
}

/* -------------------------------------------------------------------- keys */

#define TW_CHUNK_KEY_LEN 12

static inline void tw_chunk_key_write(unsigned char out[TW_CHUNK_KEY_LEN], uint32_t outbox,
                                      uint64_t first) {
  for (int i = 0; i < 4; i++) out[i] = (unsigned char)(outbox >> (24 - 8 * i));
  tw_spool_write_number(out + 4, first);
}
/// @return false when it is none
static inline bool tw_chunk_key_read(const void *key, size_t len, uint32_t *outbox,
                                     uint64_t *first) {
  const unsigned char *from = key;
  if (len != TW_CHUNK_KEY_LEN) return false;
  *outbox =
      (uint32_t)from[0] << 24 | (uint32_t)from[1] << 16 | (uint32_t)from[2] << 8 | from[3];
  *first = tw_spool_read_number(from + 4);
  return true;
}

/// What follows the name in the key of a source, or the path in that of a replay.
#define TW_SOURCE_KEY_TAIL 17
#define TW_REPLAY_KEY_TAIL 9

/// @param[out] out  room for the name and TW_SOURCE_KEY_TAIL bytes. @return the key's length
static inline size_t tw_source_key_write(unsigned char *out, const char *name, size_t len,
                                         uint64_t device, uint64_t inode) {
  memcpy(out, name, len);
  out[len] = 0;
  tw_spool_write_number(out + len + 1, device);
  tw_spool_write_number(out + len + 9, inode);
  return len + TW_SOURCE_KEY_TAIL;
}
/// The name stands at the key's begin. @return false when it is none
static inline bool tw_source_key_read(const void *key, size_t len, size_t *name_len,
                                      uint64_t *device, uint64_t *inode) {
  const unsigned char *from = key;
  if (len < TW_SOURCE_KEY_TAIL || from[len - TW_SOURCE_KEY_TAIL]) return false;
  *name_len = len - TW_SOURCE_KEY_TAIL;
  *device = tw_spool_read_number(from + len - 16);
  *inode = tw_spool_read_number(from + len - 8);
  return true;
}

/// @param[out] out  room for the path and TW_REPLAY_KEY_TAIL bytes. @return the key's length
static inline size_t tw_replay_key_write(unsigned char *out, const char *path, size_t len,
                                         uint64_t number) {
  memcpy(out, path, len);
  out[len] = 0;
  tw_spool_write_number(out + len + 1, number);
  return len + TW_REPLAY_KEY_TAIL;
}
/// The path stands at the key's begin. @return false when it is none
static inline bool tw_replay_key_read(const void *key, size_t len, size_t *path_len,
                                      uint64_t *number) {
  const unsigned char *from = key;
  if (len < TW_REPLAY_KEY_TAIL || from[len - TW_REPLAY_KEY_TAIL]) return false;
  *path_len = len - TW_REPLAY_KEY_TAIL;
  *number = tw_spool_read_number(from + len - 8);
  return true;
}

#define TW_STATE_KEY_ROOM 24

/// @return the key's length
static inline size_t tw_state_key_write(char out[TW_STATE_KEY_ROOM], unsigned worker,
                                        unsigned workers) {
  return (size_t)snprintf(out, TW_STATE_KEY_ROOM, "%u/%u", worker, workers);
}
/// @return false when it is none
static inline bool tw_state_key_read(const void *key, size_t len, unsigned *worker,
                                     unsigned *workers) {
  char text[TW_STATE_KEY_ROOM];
  int end = -1;
  if (len >= sizeof text) return false;
  memcpy(text, key, len);
  text[len] = '\0';
  return sscanf(text, "%u/%u%n", worker, workers, &end) == 2 && end == (int)len;
}

#endif
