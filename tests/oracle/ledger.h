/// ledger.h: what the oracle and the program that it kills share: a file in memory, in which
/// stands what became of every event. It outlives the one that is killed.
#ifndef TW_ORACLE_LEDGER_H
#define TW_ORACLE_LEDGER_H

#include <fcntl.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

enum { LEDGER_MOST = 1 << 24 }; ///< events of a round

/// Of an event, as one letter, so that judge.lua can read it.
enum { NEVER = 0, ISSUED = 'i', ACKED = 'a', FAILED = 'f' };

typedef struct ledger {
  _Atomic uint64_t next;  ///< number of the next event, from 1
  _Atomic uint64_t ready; ///< lives of the emitter whose engine has begun
  unsigned char head[4096 - 2 * sizeof(uint64_t)];
  _Atomic unsigned char marks[LEDGER_MOST]; ///< by number
} ledger;

static inline ledger *ledger_open(const char *path) {
  int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  void *map = MAP_FAILED;
  if (fd >= 0 && ftruncate(fd, sizeof(ledger)) == 0)
    map = mmap(NULL, sizeof(ledger), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (map == MAP_FAILED) {
    perror(path);
    exit(1);
  }
  close(fd);
  return map;
}

/// A random number from a state that goes on (splitmix64).
static inline uint64_t chance(uint64_t *state) {
  uint64_t z = (*state += UINT64_C(0x9E3779B97F4A7C15));
  z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
  z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
  return z ^ (z >> 31);
}
static inline uint64_t below(uint64_t *state, uint64_t bound) { return chance(state) % bound; }

#endif
