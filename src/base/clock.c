/* clock.c: the time, and RFC 3339 text of it. */
#include "base/clock.h"

#include <time.h>

int64_t tw_clock_utc_us(void) {
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

uint64_t tw_clock_monotonic_ns(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static int64_t real_utc(void *self) {
  (void)self;
  return tw_clock_utc_us();
}

static int64_t real_steady(void *self) {
  (void)self;
  return (int64_t)(tw_clock_monotonic_ns() / 1000);
}

const tw_clock tw_clock_real = {real_utc, real_steady, NULL};

typedef struct date {
  uint32_t year, month, day;
} date;

/* The Gregorian date of a day since 0000-03-01. Years begin in March here, so that the leap
   day is the last of its year, and months follow a pattern of 153 days in five. */
static date date_of(uint32_t days) {
  uint32_t era = days / 146097, of_era = days % 146097; /* 400 years */
  uint32_t year = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
  uint32_t of_year = of_era - (365 * year + year / 4 - year / 100);
  uint32_t month = (5 * of_year + 2) / 153; /* from March */
  date d = {.year = year + era * 400, .day = of_year - (153 * month + 2) / 5 + 1};
  d.month = month < 10 ? month + 3 : month - 9;
  if (d.month <= 2) d.year++;
  return d;
}

static char *put_digits(char *out, uint32_t value, unsigned count) {
  for (unsigned i = count; i--; value /= 10) out[i] = (char)('0' + value % 10);
  return out + count;
}

static char *put_field(char *out, uint32_t value, unsigned count, char after) {
  out = put_digits(out, value, count);
  *out++ = after;
  return out;
}

#define US_PER_DAY       86400000000
#define DAYS_BEFORE_1970 719468 /* since 0000-03-01 */

/* 0000-01-01 and 9999-12-31T23:59:59.999999, in microseconds since 1970 */
#define FIRST (-719528 * US_PER_DAY)
#define LAST  (2932897 * US_PER_DAY - 1)

void tw_rfc3339(int64_t utc_us, char out[TW_RFC3339_LEN]) {
  if (utc_us < FIRST) utc_us = FIRST;
  if (utc_us > LAST) utc_us = LAST;
  /* A whole era more keeps the dividends positive. */
  uint64_t us = (uint64_t)(utc_us + (DAYS_BEFORE_1970 + 146097) * US_PER_DAY);
  date d = date_of((uint32_t)(us / US_PER_DAY));
  uint32_t second = (uint32_t)(us % US_PER_DAY / 1000000);
  out = put_field(out, d.year - 400, 4, '-');
  out = put_field(out, d.month, 2, '-');
  out = put_field(out, d.day, 2, 'T');
  out = put_field(out, second / 3600, 2, ':');
  out = put_field(out, second / 60 % 60, 2, ':');
  out = put_field(out, second % 60, 2, '.');
  put_field(out, (uint32_t)(us % 1000000), 6, 'Z');
}
