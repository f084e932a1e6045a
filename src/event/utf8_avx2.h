/* utf8_avx2.h: is a block of text UTF-8? For the index implementations of x86-64.
 *
 * The including file defines TARGET, the function attribute that allows AVX2. */
#ifndef TW_EVENT_UTF8_AVX2_H
#define TW_EVENT_UTF8_AVX2_H

#include <immintrin.h>
#include <stdint.h>

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
TARGET static inline __m256i tw_utf8_faults(const char *p) {
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

/* Whether the 64 bytes at `p`, with the three before them, are UTF-8 as far as they go: the
   tails of the last leads may be in the next block. */
TARGET static inline int tw_utf8_is_good(const char *p) {
  __m256i faults = _mm256_or_si256(tw_utf8_faults(p), tw_utf8_faults(p + 32));
  return _mm256_testz_si256(faults, faults);
}

/* The bytes of a good block that are left to check one by one. */
#define TW_UTF8_OPEN_ENDS ((uint64_t)7 << 61)

#endif
