/* number.c: numbers between memory and JSON text, whatever the locale.
 *
 * A double m * 10^e is exact, or correctly rounded, with one multiplication or division when
 * the integer m and the power of ten are both exact doubles: m <= 2^53, |e| <= 22. Reading
 * (Clinger) and writing both use it for the numbers that events hold in practice, and libc,
 * told to use the C locale, for the others. */
#include <float.h>
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "event/text.h"

#define EXACT_INTEGER ((uint64_t)1 << 53)

static const double powers_of_ten[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                       1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                                       1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};

/* The thread's locale while libc is to write and read points, not commas. glibc hands out a
   constant as the C locale; elsewhere it may be memory to free. */
typedef struct c_locale {
  locale_t c, before;
} c_locale;

static c_locale enter_c_locale(void) {
  locale_t c = newlocale(LC_ALL_MASK, "C", (locale_t)0);
  return (c_locale){c, uselocale(c)};
}

static void leave_c_locale(c_locale locale) {
  uselocale(locale.before);
  if (locale.c) freelocale(locale.c);
}

/* ---------------------------------------------------------------- integers */

/* Writes the digits so that they end at `end`. @return where they begin */
static char *write_digits(char *end, uint64_t value) {
  do *--end = (char)('0' + value % 10);
  while (value /= 10);
  return end;
}

static size_t write_signed(bool negative, uint64_t value, char *out) {
  char room[TW_NUMBER_ROOM], *end = room + sizeof room, *start = write_digits(end, value);
  if (negative) *--start = '-';
  size_t len = (size_t)(end - start);
  memcpy(out, start, len);
  out[len] = '\0';
  return len;
}

size_t tw_write_integer(int64_t value, char out[TW_NUMBER_ROOM]) {
  uint64_t size = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
  return write_signed(value < 0, size, out);
}

bool tw_read_integer(const char *text, size_t len, int64_t *out) {
  bool negative = len && *text == '-';
  uint64_t value = 0, bound = (uint64_t)INT64_MAX + negative;
  for (size_t i = negative; i < len; i++) {
    uint64_t digit = (uint64_t)(text[i] - '0');
    if (value > (bound - digit) / 10) return false;
    value = value * 10 + digit;
  }
  *out = (int64_t)(negative ? 0 - value : value);
  return true;
}

/* ----------------------------------------------------------------- reading */

/* A number taken apart: digits * 10^exponent. */
typedef struct decimal {
  uint64_t digits;
  int64_t exponent;
  bool negative, exact; /* all digits are there */
} decimal;

static const char *take_digits(decimal *d, const char *p, const char *end, int64_t step) {
  for (; p < end && *p >= '0' && *p <= '9'; p++) {
    if (d->digits > EXACT_INTEGER) d->exact = false;
    else d->digits = d->digits * 10 + (uint64_t)(*p - '0');
    d->exponent += step;
  }
  return p;
}

static int64_t take_exponent(const char *p, const char *end) {
  bool negative = *p == '-';
  int64_t value = 0;
  for (p += *p == '-' || *p == '+'; p < end; p++)
    if (value < 100000) value = value * 10 + (*p - '0');
  return negative ? -value : value;
}

static decimal take_apart(const char *p, const char *end) {
  decimal d = {.exact = true, .negative = *p == '-'};
  p = take_digits(&d, p + d.negative, end, 0);
  if (p < end && *p == '.') p = take_digits(&d, p + 1, end, -1);
  if (p < end) d.exponent += take_exponent(p + 1, end);
  return d;
}

/* strtod wants a NUL, or another byte that ends the number, behind it. */
static double read_slowly(const char *text, size_t len) {
  char room[512];
  if (len < sizeof room) {
    memcpy(room, text, len);
    room[len] = '\0';
    text = room;
  }
  c_locale locale = enter_c_locale();
  double value = strtod(text, NULL);
  leave_c_locale(locale);
  return value;
}

double tw_read_number(const char *text, size_t len) {
  decimal d = take_apart(text, text + len);
  if (!d.exact || d.digits > EXACT_INTEGER || d.exponent < -22 || d.exponent > 22)
    return read_slowly(text, len);
  double value = (double)d.digits;
  if (d.exponent < 0) value /= powers_of_ten[-d.exponent];
  else value *= powers_of_ten[d.exponent];
  return d.negative ? -value : value;
}

/* ----------------------------------------------------------------- writing */

/* Writes digits / 10^decimals with a point and at least one decimal. */
static size_t write_point(bool negative, uint64_t digits, unsigned decimals, char *out) {
  char room[TW_NUMBER_ROOM], *end = room + sizeof room, *p = end;
  if (!decimals) *--p = '0';
  for (unsigned i = 0; i < decimals; i++, digits /= 10) *--p = (char)('0' + digits % 10);
  *--p = '.';
  p = write_digits(p, digits);
  if (negative) *--p = '-';
  size_t len = (size_t)(end - p);
  memcpy(out, p, len);
  out[len] = '\0';
  return len;
}

/* Fifteen digits are always told apart by a double, so the first number of decimals that
   gives the value back is the shortest. @return 0 when there is none */
static size_t write_short(double value, char *out) {
  const double least = 1e-4, most = 1e15;
  double size = fabs(value);
  if (size < least && size > 0) return 0; /* an exponent is shorter than zeros */
  for (unsigned decimals = 0; decimals <= 9; decimals++) {
    double scaled = size * powers_of_ten[decimals];
    if (!(scaled < most)) return 0;
    uint64_t digits = (uint64_t)(scaled + 0.5);
    if ((double)digits / powers_of_ten[decimals] == size)
      return write_point(signbit(value) != 0, digits, decimals, out);
  }
  return 0;
}

/* @return the length, 0 when so many digits do not give the value back */
static size_t write_digits_of(double value, int digits, char *out) {
  int len = snprintf(out, TW_NUMBER_ROOM, "%.*g", digits, value);
  return strtod(out, NULL) == value ? (size_t)len : 0;
}

/* Below a power of two doubles stand twice as close as above it, so sixteen digits may be
   enough although the nearest sixteen are not: the next ones away from zero are tried. */
static size_t write_above(double value, char *out) {
  int exponent;
  if (fabs(frexp(value, &exponent)) != 0.5) return 0;
  int len = snprintf(out, TW_NUMBER_ROOM, "%.15e", value);
  char *last = strchr(out, 'e') - 1;
  while (*last == '9') *last-- = '0';
  if (*last == '.') return 0;
  ++*last;
  return strtod(out, NULL) == value ? (size_t)len : 0;
}

/* A decimal of up to fifteen digits is found again among doubles, so with fifteen the
   shortest comes out; subnormals alone may need fewer than they show. */
static size_t write_slowly(double value, char *out) {
  c_locale locale = enter_c_locale();
  size_t len = 0;
  for (int digits = fabs(value) < DBL_MIN ? 1 : 15; !len && digits <= 16; digits++)
    len = write_digits_of(value, digits, out);
  if (!len) len = write_above(value, out);
  if (!len) len = write_digits_of(value, 17, out);
  leave_c_locale(locale);
  if (strpbrk(out, ".e")) return len;
  memcpy(out + len, ".0", 3);
  return len + 2;
}

size_t tw_write_number(double value, char out[TW_NUMBER_ROOM]) {
  size_t len = write_short(value, out);
  return len ? len : write_slowly(value, out);
}
