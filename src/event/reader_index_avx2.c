/* reader_index_avx2.c: the index with 32 bytes in a vector; called only where the processor
 * has AVX2 and BMI. */
#include "event/reader_index.h"

#if defined(__x86_64__)
#include <immintrin.h>

#define TARGET __attribute__((target("avx2,bmi,popcnt")))

typedef struct block {
  __m256i low, high;
} block;

TARGET static inline block block_load(const char *p) {
  const __m256i *from = (const __m256i *)(const void *)p;
  return (block){_mm256_loadu_si256(from), _mm256_loadu_si256(from + 1)};
}

TARGET static inline uint64_t high_bits(__m256i low, __m256i high) {
  return (uint32_t)_mm256_movemask_epi8(low) | (uint64_t)(uint32_t)_mm256_movemask_epi8(high)
                                                   << 32;
}

TARGET static inline uint64_t block_equal(block b, char byte) {
  __m256i want = _mm256_set1_epi8(byte);
  return high_bits(_mm256_cmpeq_epi8(b.low, want), _mm256_cmpeq_epi8(b.high, want));
}

TARGET static inline uint64_t block_quotes(block b) { return block_equal(b, '"'); }

/* Signed bytes under 32 are control characters and all that is not ASCII. */
TARGET static inline __m256i half_low(__m256i half) {
  return _mm256_cmpgt_epi8(_mm256_set1_epi8(0x20), half);
}

TARGET static inline int block_plain(block b) {
  __m256i backslash = _mm256_set1_epi8('\\');
  __m256i low = _mm256_or_si256(half_low(b.low), _mm256_cmpeq_epi8(b.low, backslash));
  __m256i high = _mm256_or_si256(half_low(b.high), _mm256_cmpeq_epi8(b.high, backslash));
  __m256i other = _mm256_or_si256(low, high);
  return _mm256_testz_si256(other, other);
}

TARGET static inline tw_index_found block_found(block b) {
  uint64_t non_ascii = high_bits(b.low, b.high);
  return (tw_index_found){.backslashes = block_equal(b, '\\'),
                          .controls = high_bits(half_low(b.low), half_low(b.high)) & ~non_ascii,
                          .non_ascii = non_ascii};
}

/* ------------------------------------------------------------------- UTF-8 */

/* Faults of a byte and the one before it, a bit for each (J. Keiser, D. Lemire, "Validating
   UTF-8 in less than one instruction per byte", 2021). A fault is real when all three halves
   of bytes that tell it agree: the high and low half of the first, the high of the second.
   TAILS is none yet: two tails in a row must belong to a lead of three or four bytes. */
enum {
  TOO_SHORT = 1,      /* a lead without its tail */
  TOO_LONG = 2,       /* a tail without a lead */
  OVERLONG_3 = 4,     /* e0 80..9f */
  TOO_LARGE = 8,      /* f4 90.., f5.. */
  SURROGATE = 16,     /* ed a0..bf */
  OVERLONG_2 = 32,    /* c0, c1 */
  OVERLONG_4 = 64,    /* f0 80..8f */
  TOO_LARGE_TOO = 64, /* f5.. 80..8f */
  TAILS = 128,
  ANY_LOW = TOO_SHORT | TOO_LONG | TAILS,
  LARGE_LOW = ANY_LOW | TOO_LARGE | TOO_LARGE_TOO,
  TAIL = TOO_LONG | OVERLONG_2 | TAILS
};

#define TWICE(...) _mm256_setr_epi8(__VA_ARGS__, __VA_ARGS__)

TARGET static inline __m256i faults_of_first_high(__m256i half) {
  return _mm256_shuffle_epi8(
      TWICE(TOO_LONG, TOO_LONG, TOO_LONG, TOO_LONG, TOO_LONG, TOO_LONG, TOO_LONG, TOO_LONG,
            (char)TAILS, (char)TAILS, (char)TAILS, (char)TAILS, TOO_SHORT | OVERLONG_2,
            TOO_SHORT, TOO_SHORT | OVERLONG_3 | SURROGATE,
            TOO_SHORT | TOO_LARGE | TOO_LARGE_TOO | OVERLONG_4),
      half);
}

TARGET static inline __m256i faults_of_first_low(__m256i half) {
  const char any = (char)ANY_LOW, large = (char)LARGE_LOW;
  return _mm256_shuffle_epi8(
      TWICE((char)(ANY_LOW | OVERLONG_3 | OVERLONG_2 | OVERLONG_4),
            (char)(ANY_LOW | OVERLONG_2), any, any, (char)(ANY_LOW | TOO_LARGE), large, large,
            large, large, large, large, large, large, (char)(LARGE_LOW | SURROGATE), large,
            large),
      half);
}

TARGET static inline __m256i faults_of_second_high(__m256i half) {
  const char tail_a = (char)(TAIL | SURROGATE | TOO_LARGE);
  return _mm256_shuffle_epi8(
      TWICE(TOO_SHORT, TOO_SHORT, TOO_SHORT, TOO_SHORT, TOO_SHORT, TOO_SHORT, TOO_SHORT,
            TOO_SHORT, (char)(TAIL | OVERLONG_3 | TOO_LARGE_TOO | OVERLONG_4),
            (char)(TAIL | OVERLONG_3 | TOO_LARGE), tail_a, tail_a, TOO_SHORT, TOO_SHORT,
            TOO_SHORT, TOO_SHORT),
      half);
}

TARGET static inline __m256i high_half(__m256i bytes) {
  return _mm256_and_si256(_mm256_srli_epi16(bytes, 4), _mm256_set1_epi8(15));
}

TARGET static inline __m256i load(const char *p) {
  return _mm256_loadu_si256((const __m256i *)(const void *)p);
}

/* Not zero where the 32 bytes at `p`, with the three before them, are not UTF-8. */
TARGET static inline __m256i utf8_faults(const char *p) {
  __m256i second = load(p), first = load(p - 1);
  __m256i pair = _mm256_and_si256(
      _mm256_and_si256(faults_of_first_high(high_half(first)),
                       faults_of_first_low(_mm256_and_si256(first, _mm256_set1_epi8(15)))),
      faults_of_second_high(high_half(second)));
  /* The high bit stays where two bytes before stands a lead of three, or three one of four. */
  __m256i third = _mm256_subs_epu8(load(p - 2), _mm256_set1_epi8(0xe0 - 0x80));
  __m256i fourth = _mm256_subs_epu8(load(p - 3), _mm256_set1_epi8(0xf0 - 0x80));
  __m256i must = _mm256_and_si256(_mm256_or_si256(third, fourth), _mm256_set1_epi8((char)0x80));
  return _mm256_xor_si256(must, pair);
}

#define HAS_UTF8_CHECK
/* What is left to check byte by byte: nothing but leads whose tails may be in the next
   block, when the block is good. */
TARGET static inline uint64_t block_utf8_left(block b, const char *p, uint64_t non_ascii) {
  __m256i faults = _mm256_or_si256(utf8_faults(p), utf8_faults(p + 32));
  if (!_mm256_testz_si256(faults, faults)) return non_ascii;
  __m256i tail = _mm256_set1_epi8((char)0xbf);
  uint64_t leads = high_bits(_mm256_cmpgt_epi8(b.low, tail), _mm256_cmpgt_epi8(b.high, tail));
  return non_ascii & leads & (uint64_t)7 << 61;
}

#define INDEX_NAME   tw_index_avx2
#define LOWEST(bits) ((uint32_t)_tzcnt_u64(bits))
#include "event/reader_index_body.h"
#endif
