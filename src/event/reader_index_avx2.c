/* reader_index_avx2.c: the index with 32 bytes in a vector; called only where the processor
 * has AVX2 and BMI. */
#include "event/reader_index.h"

#if defined(__x86_64__)
#define TARGET __attribute__((target("avx2,bmi,popcnt")))
#include "event/utf8_avx2.h"

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

#define HAS_UTF8_CHECK
/* What is left to check byte by byte: nothing but leads whose tails may be in the next
   block, when the block is good. */
TARGET static inline uint64_t block_utf8_left(block b, const char *p, uint64_t non_ascii) {
  if (!tw_utf8_is_good(p)) return non_ascii;
  __m256i tail = _mm256_set1_epi8((char)0xbf);
  uint64_t leads = high_bits(_mm256_cmpgt_epi8(b.low, tail), _mm256_cmpgt_epi8(b.high, tail));
  return non_ascii & leads & TW_UTF8_OPEN_ENDS;
}

#define INDEX_NAME   tw_index_avx2
#define LOWEST(bits) ((uint32_t)_tzcnt_u64(bits))
#include "event/reader_index_body.h"
#endif
