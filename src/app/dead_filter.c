/// dead_filter.c: a letter is looked at as an event, so that only what is asked for is decoded.
#include "app/dead_filter.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/option_values.h"
#include "base/alloc.h"
#include "base/clock.h"
#include "core/units.h"

void tw_dead_filter_init(tw_dead_filter *filter) {
  *filter = (tw_dead_filter){.since_us = INT64_MIN, .until_us = INT64_MAX};
}

void tw_dead_filter_fini(tw_dead_filter *filter) {
  tw_free(filter->ranges);
  filter->ranges = NULL;
  filter->range_count = 0;
}

/* ------------------------------------------------------------------- values */

static bool read_range(const char *text, tw_dead_range *out) {
  char first[32];
  const char *dash = strchr(text, '-');
  size_t len = dash ? (size_t)(dash - text) : strlen(text);
  if (len >= sizeof first) return false;
  memcpy(first, text, len);
  first[len] = 0;
  return tw_read_count(first, &out->first) &&
         tw_read_count(dash ? dash + 1 : first, &out->last) && out->first <= out->last;
}

tw_status tw_dead_filter_add_range(tw_dead_filter *filter, const char *text, tw_error *error) {
  tw_dead_range range;
  if (!read_range(text, &range))
    return tw_fail(error, TW_EINVAL,
                   "a dead letter is named by its number, such as 7, or several, such as 7-9, "
                   "not \"%s\"",
                   text);
  tw_dead_range *ranges =
      tw_realloc(filter->ranges, (filter->range_count + 1) * sizeof *filter->ranges);
  if (!ranges) return tw_no_memory(error);
  filter->ranges = ranges;
  ranges[filter->range_count++] = range;
  return TW_OK;
}

bool tw_dead_read_time(const char *text, int64_t *out_us) {
  char day[32];
  uint64_t ago_ns;
  size_t len = strlen(text);
  if (tw_parse_duration(text, len, &ago_ns)) {
    *out_us = tw_clock_utc_us() - (int64_t)(ago_ns / 1000);
    return true;
  }
  if (len != strlen("2026-11-27")) return tw_rfc3339_read(text, len, out_us);
  snprintf(day, sizeof day, "%sT00:00:00Z", text);
  return tw_rfc3339_read(day, strlen(day), out_us);
}

/* ------------------------------------------------------------------- letters */

const char *tw_letter_text(const tw_letter *letter, const char *path) {
  tw_value value;
  if (!letter->event || tw_event_get(letter->event, path, &value)) return "";
  return value.type == TW_STRING ? value.string : "";
}

static bool is(const tw_letter *letter, const char *path, const char *wanted) {
  return !wanted || strcmp(tw_letter_text(letter, path), wanted) == 0;
}

static bool is_in_range(const tw_dead_filter *filter, uint64_t number) {
  for (size_t i = 0; i < filter->range_count; i++)
    if (number >= filter->ranges[i].first && number <= filter->ranges[i].last) return true;
  return filter->range_count == 0;
}

static bool is_in_time(const tw_dead_filter *filter, const tw_letter *letter) {
  int64_t time;
  if (filter->since_us == INT64_MIN && filter->until_us == INT64_MAX) return true;
  const char *text = tw_letter_text(letter, "time");
  return tw_rfc3339_read(text, strlen(text), &time) && time >= filter->since_us &&
         time < filter->until_us;
}

bool tw_dead_filter_matches(const tw_dead_filter *filter, const tw_letter *letter) {
  if (!is_in_range(filter, letter->number) || !is_in_time(filter, letter)) return false;
  if (filter->backend &&
      (!is(letter, "where", "backend") || !is(letter, "path", filter->backend)))
    return false;
  if (filter->error && !strstr(tw_letter_text(letter, "error"), filter->error)) return false;
  return is(letter, "where", filter->where) && is(letter, "event.name", filter->name) &&
         is(letter, "id", filter->id);
}
