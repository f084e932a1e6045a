/* spool_fuzz.c: a spool's file with arbitrary damage.
 *
 * The input says where a sound file, made at the start, is changed: triples of place (3 bytes,
 * or near a page's begin) and value. What must hold: the checker and the repair end without a
 * fault; what the checker passes can be read by LMDB to its end, and every value that is read
 * as whole is one that was stored.
 */
#include <fcntl.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "delivery/chunk.h"
#include "delivery/spool_keys.h"
#include "delivery/spool_repair.h"
#include "delivery/spool_tools.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char folder[64], file[96];
static unsigned char *sound;
static size_t sound_len;

static void check(bool holds) {
  if (!holds) abort();
}

/* --------------------------------------------------------------- the sound one */

/* A value that tells whether it is whole: its first byte says what the others are. */
static void put(tw_spool_txn *txn, tw_spool_table table, uint64_t number, size_t len) {
  unsigned char key[TW_CHUNK_KEY_LEN];
  static char value[20000];
  memset(value, (int)(number % 251), len);
  tw_chunk_key_write(key, (uint32_t)table, number);
  check(!tw_spool_put(txn, table, key, sizeof key, value, len, NULL));
}

/* All files in the folder; there are no folders in it between inputs. */
static void clean(void) {
  char pattern[96];
  glob_t found;
  snprintf(pattern, sizeof pattern, "%s/*", folder);
  if (glob(pattern, 0, NULL, &found)) return;
  for (size_t i = 0; i < found.gl_pathc; i++) unlink(found.gl_pathv[i]);
  globfree(&found);
}

static void make_sound(void) {
  tw_spool_options options = {.mode = TW_SPOOL_OWN, .max_bytes = 1 << 20, .lazy = true};
  tw_spool *spool;
  struct stat made;
  snprintf(folder, sizeof folder, "/dev/shm/tidewire-fuzz-XXXXXX");
  check(mkdtemp(folder) != NULL);
  snprintf(file, sizeof file, "%s/data.mdb", folder);
  check(!tw_spool_open(folder, &options, &spool, NULL));
  for (uint64_t i = 0; i < 60; i++) {
    tw_spool_txn *txn;
    check(!tw_spool_begin(spool, true, &txn, NULL));
    for (int table = TW_SPOOL_CHUNK; table <= TW_SPOOL_DEAD; table++)
      put(txn, (tw_spool_table)table, i % 40, i % 7 ? 50 + i : 9000 + i);
    check(!tw_spool_commit(txn, NULL));
  }
  tw_spool_close(spool);
  int fd = open(file, O_RDONLY);
  check(fd >= 0 && fstat(fd, &made) == 0);
  sound_len = (size_t)made.st_size;
  sound = malloc(sound_len);
  check(sound && read(fd, sound, sound_len) == (ssize_t)sound_len);
  close(fd);
}

/* --------------------------------------------------------------------- damage */

static void damage(const uint8_t *data, size_t size, unsigned char *bytes) {
  memcpy(bytes, sound, sound_len);
  for (; size >= 4; data += 4, size -= 4) {
    size_t place = (size_t)data[0] << 16 | (size_t)data[1] << 8 | data[2];
    size_t page = (place >> 12) % (sound_len / 4096);
    bytes[page * 4096 + (data[0] & 0x80 ? place % 160 : place % 4096)] = data[3];
  }
}

static void write_file(const unsigned char *bytes, size_t len) {
  clean();
  int fd = open(file, O_WRONLY | O_CREAT | O_TRUNC, 0600);
  check(fd >= 0 && write(fd, bytes, len) == (ssize_t)len);
  close(fd);
}

/* ----------------------------------------------------------------------- read */

static tw_status visit(void *self, const tw_spool_record *record, const tw_error *wrong) {
  const unsigned char *value = record->value;
  (void)self;
  for (size_t i = 1; !wrong && record->len > 40 && i < record->len; i++)
    check(value[i] == value[0]);
  return TW_OK;
}

/* @return whether it was passed */
static bool read_all(void) {
  tw_spool_options options = {.mode = TW_SPOOL_OWN, .max_bytes = 1 << 20, .lazy = true};
  tw_spool *spool;
  tw_spool_txn *txn;
  tw_error error = {.message = ""};
  if (tw_spool_open(folder, &options, &spool, &error)) {
    check(*error.message != '\0');
    return false;
  }
  check(!tw_spool_begin(spool, true, &txn, NULL));
  for (int table = TW_SPOOL_ABOUT; table < TW_SPOOL_TABLES; table++)
    tw_spool_each(txn, (tw_spool_table)table, visit, NULL, NULL);
  for (unsigned char i = 0; i < 40; i++)
    check(!tw_spool_put(txn, TW_SPOOL_REPLAY, &i, 1, sound, 5000, NULL));
  check(!tw_spool_commit(txn, NULL));
  tw_spool_close(spool);
  return true;
}

static void say(void *self, const char *line) {
  (void)self;
  check(strchr(line, '\n') == NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  if (!sound) make_sound();
  tw_repair_result result;
  unsigned char *bytes = malloc(sound_len);
  check(bytes != NULL);
  damage(data, size, bytes);
  size_t len = size % 4 == 3 && size > 3 ? sound_len * data[size - 1] / 256 : sound_len;
  write_file(bytes, len);
  if (!read_all() && !tw_spool_repair(folder, say, NULL, &result, NULL)) check(read_all());
  free(bytes);
  return 0;
}
