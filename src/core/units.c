/* Numbers with units. Read by hand: strtod would depend on the host's locale, and take
   signs, exponents and hexadecimals that no option means. */
#include "core/units.h"

#include <string.h>
#include <strings.h>

typedef struct unit {
  const char *name;
  uint64_t factor;
} unit;

static const unit sizes[] = {{"B", 1},
                             {"kB", 1000},
                             {"MB", 1000000},
                             {"GB", 1000000000},
                             {"TB", 1000000000000},
                             {"KiB", UINT64_C(1) << 10},
                             {"MiB", UINT64_C(1) << 20},
                             {"GiB", UINT64_C(1) << 30},
                             {"TiB", UINT64_C(1) << 40}};

static const unit durations[] = {{"ns", 1},
                                 {"us", 1000},
                                 {"ms", 1000000},
                                 {"s", UINT64_C(1000000000)},
                                 {"m", UINT64_C(60) * 1000000000},
                                 {"h", UINT64_C(3600) * 1000000000},
                                 {"d", UINT64_C(86400) * 1000000000}};

static bool find_unit(const unit *units, size_t count, const char *name, size_t len,
                      uint64_t *factor) {
  for (size_t i = 0; i < count; i++) {
    if (strlen(units[i].name) != len || strncasecmp(units[i].name, name, len) != 0) continue;
    *factor = units[i].factor;
    return true;
  }
  return false;
}

/* The bound is that of a signed number: durations end up in clocks that are. */
static bool add_scaled(uint64_t *sum, uint64_t value, uint64_t factor) {
  if (value > (INT64_MAX - *sum) / factor) return false;
  *sum += value * factor;
  return true;
}

/* Digits behind the point, rounded to a whole base unit: "1.5KiB" is 1536. */
static bool add_fraction(uint64_t *sum, const char *digits, size_t count, uint64_t factor) {
  double part = 0, weight = 0.1;
  for (size_t i = 0; i < count; i++, weight /= 10) part += (digits[i] - '0') * weight;
  return add_scaled(sum, (uint64_t)(part * (double)factor + 0.5), 1);
}

static size_t digits_at(const char *text, size_t from, size_t len) {
  size_t end = from;
  while (end < len && text[end] >= '0' && text[end] <= '9') end++;
  return end - from;
}

static bool parse(const unit *units, size_t count, const char *text, size_t len,
                  uint64_t *out) {
  size_t whole = digits_at(text, 0, len), at = whole, fraction = 0, point = 0;
  if (!whole || whole > 18) return false; /* 18 digits always fit into 64 bits */
  if (at < len && text[at] == '.') {
    point = at + 1;
    fraction = digits_at(text, point, len);
    if (!fraction) return false;
    at = point + fraction;
  }
  while (at < len && text[at] == ' ') at++;
  uint64_t factor, value = 0, sum = 0;
  if (!find_unit(units, count, text + at, len - at, &factor)) return false;
  for (size_t i = 0; i < whole; i++) value = value * 10 + (uint64_t)(text[i] - '0');
  if (!add_scaled(&sum, value, factor)) return false;
  if (fraction && !add_fraction(&sum, text + point, fraction, factor)) return false;
  *out = sum;
  return true;
}

bool tw_parse_size(const char *text, size_t len, uint64_t *out) {
  return parse(sizes, sizeof sizes / sizeof *sizes, text, len, out);
}

bool tw_parse_duration(const char *text, size_t len, uint64_t *out) {
  return parse(durations, sizeof durations / sizeof *durations, text, len, out);
}
