/* reader_index.c: the parts of the index that all implementations share, and the portable
 * implementation, which looks at eight bytes of a 64-bit word at a time. */
#include "event/reader_index.h"

#include <string.h>

#include "event/utf8.h"

/* Each bit becomes the parity of itself and all lower ones: from the bits of quotes, the
   bytes from an opening quote up to the byte before the closing one. */
static uint64_t prefix_parity(uint64_t bits) {
  for (int shift = 1; shift < 64; shift *= 2) bits ^= bits << shift;
  return bits;
}

/* Of a run of backslashes the first escapes the second, and so on. `*escapes` gets those
   that escape, the result has the bytes that are escaped. Arithmetic carries from the start
   of a run to its end, which tells odd runs from even ones. */
static uint64_t escaped_bytes(tw_index *index, uint64_t backslashes, uint64_t *escapes) {
  const uint64_t odd = 0xaaaaaaaaaaaaaaaa;
  uint64_t carry = index->escaping;
  uint64_t starts = backslashes & ~carry;
  uint64_t ends = (((starts << 1) | odd) - starts) ^ odd;
  *escapes = ends & backslashes;
  index->escaping = (uint32_t)(*escapes >> 63);
  return ends ^ (backslashes | carry);
}

/* Checks the sequences that begin in the step; the last may end behind it. The first bad
   one is marked and ends all checking, for the reader stops there. ASCII between them is
   jumped over with the mask, sequences in a row are taken one after the other. */
static uint64_t bad_utf8(tw_index *index, uint32_t at, uint64_t non_ascii) {
  const char *p = index->text + at, *end = index->text + index->len;
  uint32_t from = index->utf8_from > at ? index->utf8_from - at : 0;
  while (from < 64 && (non_ascii >> from)) {
    from += (uint32_t)__builtin_ctzll(non_ascii >> from);
    do {
      size_t size = tw_utf8_size(p + from, end);
      if (!size) {
        index->utf8_from = UINT32_MAX;
        return (uint64_t)1 << from;
      }
      from += (uint32_t)size;
    } while (from < 64 && (non_ascii >> from & 1));
  }
  if (index->utf8_from < at + from) index->utf8_from = at + from;
  return 0;
}

uint64_t tw_index_careful(tw_index *index, uint32_t at, const tw_index_found *found) {
  uint64_t escapes;
  uint64_t quotes = found->quotes & ~escaped_bytes(index, found->backslashes, &escapes);
  uint64_t inside = prefix_parity(quotes) ^ (0 - (uint64_t)(index->quotes & 1));
  index->quotes += (uint32_t)__builtin_popcountll(quotes);
  uint64_t bad = found->non_ascii ? bad_utf8(index, at, found->non_ascii) : 0;
  return quotes | ((escapes | found->controls | bad) & inside);
}

/* ---------------------------------------------------------------- portable */

typedef struct block {
  uint64_t word[8];
} block;

#define ONES      0x0101010101010101u
#define HIGHS     0x8080808080808080u
#define ALL(byte) (ONES * (byte))

static inline block block_load(const char *p) {
  block b;
  memcpy(&b, p, sizeof b);
#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
  for (int i = 0; i < 8; i++) b.word[i] = __builtin_bswap64(b.word[i]);
#endif
  return b;
}

/* The high bit of each byte that is zero; exact, because no carry leaves a byte. */
static inline uint64_t zero_bytes(uint64_t x) { return ~(((x & ~HIGHS) + ~HIGHS) | x) & HIGHS; }
/* The high bit of each byte under 32. */
static inline uint64_t control_bytes(uint64_t x) { return zero_bytes(x & ALL(0xe0)); }
/* Gathers the high bits into eight bits: the product moves each to its place on top. */
static inline uint64_t gather(uint64_t highs) {
  return ((highs >> 7) * 0x0102040810204080u) >> 56;
}

static inline uint64_t block_quotes(block b) {
  uint64_t bits = 0;
  for (int i = 0; i < 8; i++) bits |= gather(zero_bytes(b.word[i] ^ ALL('"'))) << (8 * i);
  return bits;
}

static inline int block_plain(block b) {
  uint64_t other = 0;
  for (int i = 0; i < 8; i++)
    other |= control_bytes(b.word[i]) | zero_bytes(b.word[i] ^ ALL('\\')) | (b.word[i] & HIGHS);
  return !other;
}

static inline tw_index_found block_found(block b) {
  tw_index_found found = {0};
  for (int i = 0; i < 8; i++) {
    found.backslashes |= gather(zero_bytes(b.word[i] ^ ALL('\\'))) << (8 * i);
    found.controls |= gather(control_bytes(b.word[i])) << (8 * i);
    found.non_ascii |= gather(b.word[i] & HIGHS) << (8 * i);
  }
  return found;
}

#define TARGET
#define INDEX_NAME   tw_index_portable
#define LOWEST(bits) ((uint32_t)__builtin_ctzll((bits) | (uint64_t)1 << 63))
#include "event/reader_index_body.h"
