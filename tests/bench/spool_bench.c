/* How fast a spool stores, and how long it takes to check a large one:
 *
 *     spool_bench DIR [GIBIBYTES]
 *
 * Each commit has one value of 256 KiB, of 16 KiB, or of 1 KiB, and three small ones, as one of
 * a journal has. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "delivery/check.h"
#include "delivery/spool_keys.h"

static void check(tw_status status, const tw_error *error) {
  if (!status) return;
  fprintf(stderr, "%s\n", error->message);
  exit(1);
}

static double seconds_since(uint64_t start) {
  return (double)(tw_clock_monotonic_ns() - start) / 1e9;
}

static void commit_one(tw_spool *spool, uint64_t number, const char *value, size_t len) {
  unsigned char key[TW_CHUNK_KEY_LEN];
  tw_spool_txn *txn;
  tw_error error;
  check(tw_spool_begin(spool, true, &txn, &error), &error);
  tw_chunk_key_write(key, 1, number);
  check(tw_spool_put(txn, TW_SPOOL_CHUNK, key, sizeof key, value, len, &error), &error);
  check(tw_spool_put(txn, TW_SPOOL_OUTBOX, "out", 3, value, 40, &error), &error);
  check(tw_spool_put(txn, TW_SPOOL_SOURCE, "in", 2, value, 120, &error), &error);
  check(tw_spool_put(txn, TW_SPOOL_STATE, "0/1", 3, value, 100, &error), &error);
  check(tw_spool_commit(txn, &error), &error);
}

static void rate(tw_spool *spool, bool lazy, size_t len, const char *value) {
  uint64_t start = tw_clock_monotonic_ns(), count = 0;
  while (seconds_since(start) < 2) commit_one(spool, ++count, value, len);
  double rate = (double)count / seconds_since(start);
  printf("%-8s %7zu bytes a commit: %8.0f commits/s, %7.1f MB/s\n", lazy ? "os" : "commit", len,
         rate, rate * (double)len / 1e6);
}

static void plain(const char *folder, size_t len, const char *value) {
  char path[4096];
  snprintf(path, sizeof path, "%s/plain", folder);
  int fd = open(path, O_WRONLY | O_CREAT | O_APPEND, 0600);
  uint64_t start = tw_clock_monotonic_ns(), count = 0;
  for (; seconds_since(start) < 2; count++)
    if (write(fd, value, len) < 0 || fdatasync(fd)) exit(1);
  double rate = (double)count / seconds_since(start);
  printf("%-8s %7zu bytes a commit: %8.0f commits/s, %7.1f MB/s\n", "append", len, rate,
         rate * (double)len / 1e6);
  close(fd);
  unlink(path);
}

static void rates(const char *folder, const char *value) {
  static const size_t sizes[] = {256 << 10, 16 << 10, 1 << 10};
  for (size_t i = 0; i < 3; i++) plain(folder, sizes[i], value);
  for (int lazy = 0; lazy < 2; lazy++)
    for (size_t i = 0; i < 3; i++) {
      tw_spool_options options = {.mode = TW_SPOOL_OWN, .lazy = lazy};
      tw_spool *spool;
      tw_error error;
      check(tw_spool_open(folder, &options, &spool, &error), &error);
      rate(spool, lazy, sizes[i], value);
      tw_spool_close(spool);
    }
}

static void check_large(const char *folder, uint64_t bytes, const char *value) {
  tw_spool_options options = {.mode = TW_SPOOL_OWN, .lazy = true, .max_bytes = bytes * 2};
  tw_spool *spool;
  tw_check_result result;
  tw_error error;
  char path[4096];
  check(tw_spool_open(folder, &options, &spool, &error), &error);
  for (uint64_t i = 1 << 20; tw_spool_used(spool) < bytes; i++)
    commit_one(spool, i, value, 256 << 10);
  tw_spool_close(spool);
  snprintf(path, sizeof path, "%s/data.mdb", folder);
  int fd = open(path, O_RDONLY);
  for (int cold = 1; cold >= 0; cold--) {
    if (cold && (fsync(fd) || posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED))) exit(1);
    uint64_t start = tw_clock_monotonic_ns();
    check(tw_check_file(fd, folder, 0, 0, &result, &error), &error);
    printf("check of %.1f GB, %s: %.3f s, %llu records\n",
           (double)(result.pages * result.page_size) / 1e9, cold ? "not cached" : "cached",
           seconds_since(start), (unsigned long long)result.records);
  }
  close(fd);
}

int main(int argc, char **argv) {
  static char value[256 << 10];
  if (argc < 2) {
    fprintf(stderr, "usage: spool_bench DIR [GIBIBYTES]\n");
    return 64;
  }
  for (size_t i = 0; i < sizeof value; i++) value[i] = (char)(i * 2654435761u >> 11);
  rates(argv[1], value);
  if (argc > 2) check_large(argv[1], strtoull(argv[2], NULL, 10) << 30, value);
  return 0;
}
