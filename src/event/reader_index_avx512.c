/* reader_index_avx512.c: the index with 64 bytes in a vector, whose comparisons are masks, and
 * marks that one instruction gathers; called only where the processor has AVX-512 BW and
 * VBMI2. */
#include "event/reader_index.h"

#if defined(__x86_64__)
#define TARGET __attribute__((target("avx2,avx512f,avx512bw,avx512vbmi2,bmi,popcnt")))
#include "event/utf8_avx2.h"

typedef __m512i block;

TARGET static inline block block_load(const char *p) { return _mm512_loadu_si512(p); }

TARGET static inline uint64_t block_equal(block b, char byte) {
  return _mm512_cmpeq_epi8_mask(b, _mm512_set1_epi8(byte));
}

TARGET static inline uint64_t block_quotes(block b) { return block_equal(b, '"'); }

/* Signed bytes under 32 are control characters and all that is not ASCII. */
TARGET static inline uint64_t block_low(block b) {
  return _mm512_cmplt_epi8_mask(b, _mm512_set1_epi8(0x20));
}

TARGET static inline int block_plain(block b) { return !(block_low(b) | block_equal(b, '\\')); }

TARGET static inline tw_index_found block_found(block b) {
  uint64_t non_ascii = _mm512_movepi8_mask(b);
  return (tw_index_found){.backslashes = block_equal(b, '\\'),
                          .controls = block_low(b) & ~non_ascii,
                          .non_ascii = non_ascii};
}

#define HAS_UTF8_CHECK
TARGET static inline uint64_t block_utf8_left(block b, const char *p, uint64_t non_ascii) {
  if (!tw_utf8_is_good(p)) return non_ascii;
  uint64_t leads = _mm512_cmpgt_epi8_mask(b, _mm512_set1_epi8((char)0xbf));
  return non_ascii & leads & TW_UTF8_OPEN_ENDS;
}

/* Sixteen offsets at a time, whether there are as many or not. */
TARGET static inline void store_marks(uint32_t *out, uint32_t at, __m128i places) {
  __m512i marks = _mm512_cvtepu8_epi32(places);
  _mm512_storeu_si512(out, _mm512_add_epi32(marks, _mm512_set1_epi32((int)at)));
}

#define HAS_APPEND_MARKS
TARGET static inline uint32_t *append_marks(uint32_t *out, uint32_t at, uint64_t bits) {
  static const uint8_t numbers[64] = {
      0,  1,  2,  3,  4,  5,  6,  7,  8,  9,  10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21,
      22, 23, 24, 25, 26, 27, 28, 29, 30, 31, 32, 33, 34, 35, 36, 37, 38, 39, 40, 41, 42, 43,
      44, 45, 46, 47, 48, 49, 50, 51, 52, 53, 54, 55, 56, 57, 58, 59, 60, 61, 62, 63};
  __m512i places = _mm512_maskz_compress_epi8(bits, _mm512_loadu_si512(numbers));
  uint32_t *end = out + __builtin_popcountll(bits);
  store_marks(out, at, _mm512_castsi512_si128(places));
  if (__builtin_expect(end > out + 16, 0)) {
    store_marks(out + 16, at, _mm512_extracti32x4_epi32(places, 1));
    if (end > out + 32) store_marks(out + 32, at, _mm512_extracti32x4_epi32(places, 2));
    if (end > out + 48) store_marks(out + 48, at, _mm512_extracti32x4_epi32(places, 3));
  }
  return end;
}

#define INDEX_NAME tw_index_avx512
#include "event/reader_index_body.h"
#endif
