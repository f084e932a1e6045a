/// clock.h: the time, and RFC 3339 text of it.
#ifndef TW_BASE_CLOCK_H
#define TW_BASE_CLOCK_H

#include <stdint.h>

/// Microseconds since 1970-01-01T00:00:00Z.
int64_t tw_clock_utc_us(void);
/// Nanoseconds on a clock that is never set; its zero is arbitrary.
uint64_t tw_clock_monotonic_ns(void);

/// Bytes of `2026-11-24T05:00:00.123456Z`, without a NUL.
#define TW_RFC3339_LEN 27
/// Writes UTC time of the years 0000 to 9999 as RFC 3339 with microseconds, no NUL.
void tw_rfc3339(int64_t utc_us, char out[TW_RFC3339_LEN]);

#endif
