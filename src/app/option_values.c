/// option_values.c: text to number, and what is wrong with it.
#include "app/option_values.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/units.h"
#include "engine/options.h"
#include "event/reader.h"

/// The largest --max-event: the hard bound of tw_limits.
#define SIZE_BOUND ((uint64_t)32 << 20)

#define DAY_S     ((uint64_t)86400)
#define SECOND_NS ((uint64_t)1000000000)

/// Digits alone: strtoull would also take white space and a sign.
bool tw_read_count(const char *text, uint64_t *out) {
  char *end;
  if (*text < '0' || *text > '9') return false;
  errno = 0;
  *out = strtoull(text, &end, 10);
  return !*end && !errno;
}

tw_status tw_read_event_size(const char *text, size_t *out, tw_error *error) {
  uint64_t size = 0;
  if (!tw_parse_size(text, strlen(text), &size) && !tw_read_count(text, &size)) size = 0;
  *out = (size_t)size;
  if (size >= 1 && size <= SIZE_BOUND) return TW_OK;
  return tw_fail(error, TW_EINVAL, "--max-event must be 1 to 32MiB, such as 64KiB, not \"%s\"",
                 text);
}

tw_status tw_read_depth(const char *text, uint32_t *out, tw_error *error) {
  uint64_t depth = 0;
  if (!tw_read_count(text, &depth)) depth = 0;
  *out = (uint32_t)depth;
  if (depth >= 1 && depth <= TW_DEPTH_BOUND) return TW_OK;
  return tw_fail(error, TW_EINVAL, "--max-depth must be 1 to %d, not \"%s\"", TW_DEPTH_BOUND,
                 text);
}

/// A bound that no script could load under is a slip, most often a missing unit: the smallest
/// ones that make sense are told here, where the option still has its name. The same holds
/// for the two below.
tw_status tw_read_memory(const char *text, size_t *out, tw_error *error) {
  uint64_t size = 0;
  if (strcmp(text, "none") == 0) size = SIZE_MAX;
  else if (!tw_parse_size(text, strlen(text), &size) && !tw_read_count(text, &size)) size = 0;
  *out = (size_t)size;
  if (size >= (uint64_t)1 << 20) return TW_OK;
  return tw_fail(error, TW_EINVAL,
                 "--memory-limit must be 1MiB or more, such as 64MiB, or none, not \"%s\"",
                 text);
}

tw_status tw_read_instructions(const char *text, uint64_t *out, tw_error *error) {
  if (strcmp(text, "none") == 0) *out = TW_NO_LIMIT;
  else if (!tw_read_count(text, out)) *out = 0;
  if (*out >= 1000) return TW_OK;
  return tw_fail(error, TW_EINVAL,
                 "--instruction-limit must be 1000 or more, such as 10000000, or none, not "
                 "\"%s\"",
                 text);
}

tw_status tw_read_time(const char *text, double *out, tw_error *error) {
  char *end = NULL;
  *out = strcmp(text, "none") == 0 ? INFINITY : strtod(text, &end);
  if (end && (strcmp(end, "ms") == 0)) *out /= 1000, end += 2;
  else if (end && (strcmp(end, "s") == 0)) end++;
  if (*out >= 0.001 && (!end || (!*end && *text >= '0' && *text <= '9'))) return TW_OK;
  return tw_fail(error, TW_EINVAL,
                 "--time-limit must be 1ms or more, such as 1s or 500ms, or none, not \"%s\"",
                 text);
}

tw_status tw_read_workers(const char *text, unsigned *out, tw_error *error) {
  uint64_t count = 0;
  if (!tw_read_count(text, &count) || count > TW_MAX_WORKERS) count = 0;
  *out = (unsigned)count;
  if (count) return TW_OK;
  return tw_fail(error, TW_EINVAL, "--workers must be 1 to %d, not \"%s\"", TW_MAX_WORKERS,
                 text);
}

/// A number alone is one of seconds. @return false when it is none, or more than a day
static bool read_ms(const char *text, int *out_ms) {
  uint64_t ns = 0;
  bool has_unit = tw_parse_duration(text, strlen(text), &ns);
  if (!has_unit && (!tw_read_count(text, &ns) || ns > DAY_S)) return false;
  if (!has_unit) ns *= SECOND_NS;
  if (ns > DAY_S * SECOND_NS) return false;
  *out_ms = (int)(ns / (SECOND_NS / 1000));
  return true;
}

tw_status tw_read_timeout(const char *text, int *out_ms, tw_error *error) {
  if (read_ms(text, out_ms) && *out_ms) return TW_OK;
  return tw_fail(error, TW_EINVAL,
                 "--timeout must be 1ms to 24h, such as 10s or 500ms, not \"%s\"", text);
}

tw_status tw_read_drain(const char *text, int *out_ms, tw_error *error) {
  *out_ms = -1;
  if (strcmp(text, "none") == 0 || read_ms(text, out_ms)) return TW_OK;
  return tw_fail(error, TW_EINVAL,
                 "--drain must be a time up to 24h, such as 10s or 500ms, or none, not \"%s\"",
                 text);
}

/// As the engine wants it.
#define SPOOL_LEAST ((uint64_t)16 << 20)

static tw_status read_bytes(const char *option, const char *text, uint64_t least, uint64_t *out,
                            tw_error *error) {
  bool is_size = tw_parse_size(text, strlen(text), out) || tw_read_count(text, out);
  if (is_size && *out >= least) return TW_OK;
  return tw_fail(error, TW_EINVAL, "--%s must be %s, such as 8GiB, not \"%s\"", option,
                 least ? "16MiB or more" : "a size", text);
}

tw_status tw_read_spool_size(const char *text, uint64_t *out, tw_error *error) {
  return read_bytes("spool-size", text, SPOOL_LEAST, out, error);
}

tw_status tw_read_spool_free(const char *text, uint64_t *out, tw_error *error) {
  return read_bytes("spool-free", text, 0, out, error);
}

tw_status tw_read_durability(const char *text, const char **out, tw_error *error) {
  static const char *const known[] = {"commit", "os", "memory"};
  for (size_t i = 0; i < sizeof known / sizeof *known; i++)
    if (strcmp(text, known[i]) == 0) *out = known[i];
  if (*out) return TW_OK;
  return tw_fail(error, TW_EINVAL, "--durability must be commit, os or memory, not \"%s\"",
                 text);
}
