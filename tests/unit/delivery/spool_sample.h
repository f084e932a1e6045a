/// spool_sample.h: a spool as a journal would leave it, whose contents are known, and random
/// damage to its file.
#ifndef TW_TEST_DELIVERY_SPOOL_SAMPLE_H
#define TW_TEST_DELIVERY_SPOOL_SAMPLE_H

#include <fcntl.h>
#include <sys/stat.h>

#include "delivery/chunk.h"
#include "spool_case.h"

static const char *const data = "spool/data.mdb";

enum { OUTBOXES = 3, CHUNKS = 40, EVENTS = 25, DEAD = 6, SOURCES = 4, STATES = 2 };

/* What everything in the sample says: made from numbers, so that it can be compared. */
static inline const char *text_of(unsigned outbox, uint64_t number) {
  static char text[1000];
  int len = snprintf(text, sizeof text, "{\"outbox\":%u,\"number\":%llu,\"pad\":\"", outbox,
                     (unsigned long long)number);
  size_t pad = (size_t)(number * 37 % 400);
  memset(text + len, 'p', pad);
  memcpy(text + len + pad, "\"}", 3);
  return text;
}

static inline tw_chunk *make_chunk(unsigned outbox, uint64_t first) {
  tw_chunk_builder builder = {0};
  tw_chunk *chunk;
  for (uint64_t i = first; i < first + EVENTS; i++) {
    const char *text = text_of(outbox, i);
    assert_int_equal(tw_chunk_builder_add_text(&builder, text, strlen(text), "id", 2, 0, NULL),
                     TW_OK);
  }
  assert_int_equal(tw_chunk_finish(&builder, 1, 1000, &chunk, NULL), TW_OK);
  tw_chunk_builder_fini(&builder);
  tw_chunk_number(chunk, first);
  return chunk;
}

static inline void put_chunk(tw_spool_txn *txn, tw_spool_table table, const void *key,
                             size_t key_len, unsigned outbox, uint64_t first) {
  const char *bytes;
  size_t size;
  tw_chunk *chunk = make_chunk(outbox, first);
  tw_chunk_bytes(chunk, &bytes, &size);
  assert_int_equal(tw_spool_put(txn, table, key, key_len, bytes, size, NULL), TW_OK);
  tw_chunk_unref(chunk);
}

static inline void put_outbox(tw_spool_txn *txn, unsigned outbox, uint64_t head,
                              uint64_t tail) {
  unsigned char value[TW_OUTBOX_RECORD_LEN];
  char path[8];
  tw_outbox_record record = {outbox, head, tail, tail - head, 100 * (tail - head)};
  snprintf(path, sizeof path, "box/%u", outbox);
  tw_outbox_record_write(value, &record);
  assert_int_equal(
      tw_spool_put(txn, TW_SPOOL_OUTBOX, path, strlen(path), value, sizeof value, NULL), TW_OK);
}

static inline const char *small_of(const char *kind, unsigned number) {
  static char texts[2][64];
  static unsigned turn;
  char *text = texts[turn++ % 2];
  snprintf(text, sizeof texts[0], "{\"%s\":%u,\"kept\":true}", kind, number);
  return text;
}

/* Grows as a journal would have it: a chunk for each outbox in one transaction, and what was
   delivered goes. */
static inline void make_sample(void) {
  unsigned char key[TW_CHUNK_KEY_LEN];
  char name[TW_STATE_KEY_ROOM];
  tw_spool_options options = {.mode = TW_SPOOL_OWN, .lazy = true};
  tw_spool *spool = open_with(&options);
  for (uint64_t i = 0; i < CHUNKS; i++) {
    tw_spool_txn *txn = begin(spool, true);
    for (unsigned outbox = 0; outbox < OUTBOXES; outbox++) {
      tw_chunk_key_write(key, outbox, i * EVENTS);
      put_chunk(txn, TW_SPOOL_CHUNK, key, sizeof key, outbox, i * EVENTS);
      tw_chunk_key_write(key, outbox, (i - 9) * EVENTS);
      if (i > 8) tw_spool_delete(txn, TW_SPOOL_CHUNK, key, sizeof key, NULL);
      put_outbox(txn, outbox, i > 8 ? (i - 8) * EVENTS : 0, (i + 1) * EVENTS);
    }
    for (unsigned n = 0; n < STATES; n++) {
      tw_state_key_write(name, n, STATES);
      put(txn, TW_SPOOL_STATE, name, small_of("state", n));
    }
    for (unsigned n = 0; n < SOURCES; n++)
      put(txn, TW_SPOOL_SOURCE, small_of("name", n), small_of("source", n));
    tw_spool_write_number(key, i * EVENTS);
    if (i < DEAD) put_chunk(txn, TW_SPOOL_DEAD, key, 8, 99, i * EVENTS);
    commit(txn);
  }
  tw_spool_close(spool);
}

static inline void write_back(const char *bytes, size_t len) {
  int fd = open(in_folder(data), O_WRONLY | O_CREAT | O_TRUNC, 0600);
  assert_int_equal(write(fd, bytes, len), (ssize_t)len);
  close(fd);
}

static inline char *read_file(size_t *len) {
  struct stat file;
  int fd = open(in_folder(data), O_RDONLY);
  assert_int_equal(fstat(fd, &file), 0);
  char *bytes = malloc((size_t)file.st_size);
  *len = (size_t)file.st_size;
  assert_int_equal(read(fd, bytes, *len), file.st_size);
  close(fd);
  return bytes;
}

/* The pages that lead to all others are few: they are hit as often as all the rest. */
static inline size_t somewhere(unsigned *seed, const char *bytes, size_t len) {
  size_t at = ((size_t)rand_r(seed) << 16 ^ (size_t)rand_r(seed)) % len;
  if (rand_r(seed) % 2) return at;
  for (size_t page = at / 4096, i = 0; i < len / 4096; i++) {
    size_t here = (page + i) % (len / 4096) * 4096;
    if (bytes[here + 10] != 4 && here + 4096 <= len &&
        *(const uint64_t *)(bytes + here) == here / 4096)
      return here + at % (rand_r(seed) % 2 ? 256 : 4096);
  }
  return at;
}

static inline void damage(unsigned *seed, char *bytes, size_t *len) {
  if (rand_r(seed) % 20 == 0) {
    *len = somewhere(seed, bytes, *len);
    return;
  }
  for (int i = rand_r(seed) % 3 ? 1 : rand_r(seed) % 9; i > 0; i--)
    bytes[somewhere(seed, bytes, *len)] ^= (char)(1 << rand_r(seed) % 8);
  if (rand_r(seed) % 20 == 0) {
    size_t at = somewhere(seed, bytes, *len), size = (size_t)(rand_r(seed) % 5000);
    memset(bytes + at, 0, size < *len - at ? size : *len - at);
  }
}

#endif
