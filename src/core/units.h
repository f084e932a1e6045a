/// units.h: sizes such as "64MiB" and durations such as "500ms".
#ifndef TW_CORE_UNITS_H
#define TW_CORE_UNITS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/// A number with an optional fraction and a unit: B, kB, MB, GB, TB (powers of 1000), KiB,
/// MiB, GiB, TiB (of 1024); the case of the letters does not matter.
/// @return false when it is something else or does not fit
bool tw_parse_size(const char *text, size_t len, uint64_t *out);
/// The same with ns, us, ms, s, m, h, d, to nanoseconds.
bool tw_parse_duration(const char *text, size_t len, uint64_t *out);

#endif
