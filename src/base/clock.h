/// clock.h: the time, and RFC 3339 text of it.
#ifndef TW_BASE_CLOCK_H
#define TW_BASE_CLOCK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/// Microseconds since 1970-01-01T00:00:00Z.
int64_t tw_clock_utc_us(void);
/// Nanoseconds on a clock that is never set; its zero is arbitrary.
uint64_t tw_clock_monotonic_ns(void);

/// A source of time that a host or a test may put in place of the real one.
typedef struct tw_clock {
  int64_t (*utc_us)(void *self);    ///< microseconds since 1970-01-01T00:00:00Z
  int64_t (*steady_us)(void *self); ///< never set back; its zero is arbitrary
  void *self;
} tw_clock;
/// The clocks of the system.
extern const tw_clock tw_clock_real;

/// Bytes of `2026-11-24T05:00:00.123456Z`, without a NUL.
#define TW_RFC3339_LEN 27
/// Writes UTC time of the years 0000 to 9999 as RFC 3339 with microseconds, no NUL.
void tw_rfc3339(int64_t utc_us, char out[TW_RFC3339_LEN]);
/// Reads a date and time of RFC 3339, whatever its offset; digits beyond microseconds are cut.
/// A leap second counts as the last second before it.
/// @return false when the text is none, or names a day that does not exist
bool tw_rfc3339_read(const char *text, size_t len, int64_t *utc_us);

#endif
