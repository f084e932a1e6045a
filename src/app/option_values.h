/// option_values.h: the values of options, as people write them.
///
/// Each returns TW_OK, or TW_EINVAL with a message that names the option and what it takes.
#ifndef TW_APP_OPTION_VALUES_H
#define TW_APP_OPTION_VALUES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

/// Digits alone. @return false when it is anything else
bool tw_read_count(const char *text, uint64_t *out);
tw_status tw_read_event_size(const char *text, size_t *out, tw_error *error);
tw_status tw_read_depth(const char *text, uint32_t *out, tw_error *error);
tw_status tw_read_memory(const char *text, size_t *out, tw_error *error);
tw_status tw_read_instructions(const char *text, uint64_t *out, tw_error *error);
tw_status tw_read_time(const char *text, double *out, tw_error *error);
tw_status tw_read_workers(const char *text, unsigned *out, tw_error *error);
tw_status tw_read_timeout(const char *text, int *out_ms, tw_error *error);
/// @param[out] out_ms  negative: without limit
tw_status tw_read_drain(const char *text, int *out_ms, tw_error *error);
tw_status tw_read_spool_size(const char *text, uint64_t *out, tw_error *error);
tw_status tw_read_spool_free(const char *text, uint64_t *out, tw_error *error);
/// @param[out] out  starts NULL; one of the names, not freed
tw_status tw_read_durability(const char *text, const char **out, tw_error *error);

#endif
