/* timestamp.c: reading what clock.c writes, and every other date and time of RFC 3339.

   The fields are taken one by one from a cursor that never passes the end; what is left
   over at the end makes the text wrong. */
#include "base/clock.h"

typedef struct cursor {
  const char *at, *end;
} cursor;

static bool is_digit(char c) { return c >= '0' && c <= '9'; }

static bool take_digits(cursor *c, unsigned count, int64_t *out) {
  *out = 0;
  for (; count; count--, c->at++) {
    if (c->at == c->end || !is_digit(*c->at)) return false;
    *out = *out * 10 + (*c->at - '0');
  }
  return true;
}

/* Letters in either case. */
static bool take(cursor *c, char wanted) {
  if (c->at == c->end || (*c->at != wanted && *c->at != (wanted | 0x20))) return false;
  c->at++;
  return true;
}

/* The digits behind the point, as microseconds. */
static bool take_fraction(cursor *c, int64_t *us) {
  int64_t unit = 100000;
  *us = 0;
  if (!take(c, '.')) return true;
  if (c->at == c->end || !is_digit(*c->at)) return false;
  for (; c->at < c->end && is_digit(*c->at); c->at++, unit /= 10) *us += (*c->at - '0') * unit;
  return true;
}

/* `Z`, or hours and minutes ahead of UTC. */
static bool take_offset(cursor *c, int64_t *minutes) {
  int64_t hour, minute;
  *minutes = 0;
  if (take(c, 'Z')) return true;
  int sign = take(c, '-') ? -1 : 1;
  if (sign > 0 && !take(c, '+')) return false;
  if (!take_digits(c, 2, &hour) || !take(c, ':') || !take_digits(c, 2, &minute)) return false;
  *minutes = sign * (hour * 60 + minute);
  return hour < 24 && minute < 60;
}

static bool is_leap(int64_t year) {
  return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

static bool take_date(cursor *c, int64_t *year, int64_t *month, int64_t *day) {
  static const char days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  if (!take_digits(c, 4, year) || !take(c, '-') || !take_digits(c, 2, month) || !take(c, '-') ||
      !take_digits(c, 2, day) || *month < 1 || *month > 12)
    return false;
  return *day >= 1 && *day <= days[*month - 1] + (*month == 2 && is_leap(*year));
}

/* Seconds of the day; a leap second, :60, is told as :59. */
static bool take_time(cursor *c, int64_t *seconds) {
  int64_t hour, minute, second;
  if (!take_digits(c, 2, &hour) || !take(c, ':') || !take_digits(c, 2, &minute) ||
      !take(c, ':') || !take_digits(c, 2, &second) || hour > 23 || minute > 59 || second > 60)
    return false;
  *seconds = hour * 3600 + minute * 60 + (second == 60 ? 59 : second);
  return true;
}

/* Days since 1970-01-01. Years begin in March here, as in clock.c. */
static int64_t days_until(int64_t year, int64_t month, int64_t day) {
  year += 400 - (month <= 2); /* an era more keeps it positive */
  int64_t of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
  return year * 365 + year / 4 - year / 100 + year / 400 + of_year - 719468 - 146097;
}

bool tw_rfc3339_read(const char *text, size_t len, int64_t *utc_us) {
  cursor c = {text, text + len};
  int64_t year, month, day, seconds, us, offset;
  if (!take_date(&c, &year, &month, &day)) return false;
  if (!take(&c, 'T') && !take(&c, ' ')) return false;
  if (!take_time(&c, &seconds) || !take_fraction(&c, &us) || !take_offset(&c, &offset))
    return false;
  if (c.at != c.end) return false;
  *utc_us = (days_until(year, month, day) * 86400 + seconds - offset * 60) * 1000000 + us;
  return true;
}
