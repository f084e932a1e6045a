/* reader_index_sse2.c: the index with 16 bytes in a vector; every x86-64 has it. */
#include "event/reader_index.h"

#if defined(__x86_64__)
#include <emmintrin.h>

typedef struct block {
  __m128i part[4];
} block;

static inline block block_load(const char *p) {
  const __m128i *from = (const __m128i *)(const void *)p;
  return (block){{_mm_loadu_si128(from), _mm_loadu_si128(from + 1), _mm_loadu_si128(from + 2),
                  _mm_loadu_si128(from + 3)}};
}

/* The high bits of the bytes of the four parts. */
static inline uint64_t high_bits(__m128i a, __m128i b, __m128i c, __m128i d) {
  return (uint64_t)(uint32_t)_mm_movemask_epi8(a) |
         (uint64_t)(uint32_t)_mm_movemask_epi8(b) << 16 |
         (uint64_t)(uint32_t)_mm_movemask_epi8(c) << 32 |
         (uint64_t)(uint32_t)_mm_movemask_epi8(d) << 48;
}

static inline uint64_t block_equal(block b, char byte) {
  __m128i want = _mm_set1_epi8(byte);
  return high_bits(_mm_cmpeq_epi8(b.part[0], want), _mm_cmpeq_epi8(b.part[1], want),
                   _mm_cmpeq_epi8(b.part[2], want), _mm_cmpeq_epi8(b.part[3], want));
}

static inline uint64_t block_quotes(block b) { return block_equal(b, '"'); }

/* Signed bytes under 32 are control characters and all that is not ASCII. */
static inline __m128i part_other(__m128i part) {
  return _mm_or_si128(_mm_cmplt_epi8(part, _mm_set1_epi8(0x20)),
                      _mm_cmpeq_epi8(part, _mm_set1_epi8('\\')));
}

static inline int block_plain(block b) {
  __m128i other = _mm_or_si128(_mm_or_si128(part_other(b.part[0]), part_other(b.part[1])),
                               _mm_or_si128(part_other(b.part[2]), part_other(b.part[3])));
  return !_mm_movemask_epi8(other);
}

static inline __m128i part_low(__m128i part) {
  return _mm_cmplt_epi8(part, _mm_set1_epi8(0x20));
}

static inline tw_index_found block_found(block b) {
  uint64_t non_ascii = high_bits(b.part[0], b.part[1], b.part[2], b.part[3]);
  uint64_t low = high_bits(part_low(b.part[0]), part_low(b.part[1]), part_low(b.part[2]),
                           part_low(b.part[3]));
  return (tw_index_found){.backslashes = block_equal(b, '\\'),
                          .controls = low & ~non_ascii,
                          .non_ascii = non_ascii};
}

#define TARGET
#define INDEX_NAME   tw_index_sse2
#define LOWEST(bits) ((uint32_t)__builtin_ctzll((bits) | (uint64_t)1 << 63))
#include "event/reader_index_body.h"
#endif
