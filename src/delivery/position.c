/* The ranges are ascending and never touch: so the end of each begins a gap, and what closes a
   gap makes one of two, or moves the offset. A list is short in practice: workers run at most a
   few blocks ahead of each other. */
#include "delivery/position.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "event/event.h"

void tw_position_fini(tw_position *position) {
  tw_free(position->ranges);
  *position = (tw_position){0};
}

/* --------------------------------------------------------------------- add */

static bool reserve(tw_position *position, size_t count) {
  if (count <= position->cap) return true;
  size_t cap = count < 8 ? 8 : count * 2;
  tw_range *ranges = tw_realloc(position->ranges, cap * sizeof *ranges);
  if (!ranges) return false;
  position->ranges = ranges;
  position->cap = cap;
  return true;
}

static uint64_t least(uint64_t a, uint64_t b) { return a < b ? a : b; }
static uint64_t most(uint64_t a, uint64_t b) { return a > b ? a : b; }

/* What is committed twice counts once; its lines do, too, when it is the same range or a part
   of one, and otherwise nobody can tell. */
static void join(tw_range *into, const tw_range *other) {
  bool is_inside = other->start >= into->start && other->end <= into->end;
  bool is_around = other->start <= into->start && other->end >= into->end;
  into->lines = is_inside ? into->lines : is_around ? other->lines : into->lines + other->lines;
  into->start = least(into->start, other->start);
  into->end = most(into->end, other->end);
}

static void remove_ranges(tw_position *position, size_t first, size_t count) {
  memmove(position->ranges + first, position->ranges + first + count,
          (position->count - first - count) * sizeof *position->ranges);
  position->count -= count;
}

/* Puts a range in its place, and makes one of all that it touches. */
static void insert(tw_position *position, const tw_range *range) {
  size_t first = 0, behind;
  tw_range joined = *range;
  while (first < position->count && position->ranges[first].end < range->start) first++;
  for (behind = first; behind < position->count && position->ranges[behind].start <= joined.end;
       behind++)
    join(&joined, position->ranges + behind);
  if (behind > first) {
    remove_ranges(position, first, behind - first - 1);
  } else {
    memmove(position->ranges + first + 1, position->ranges + first,
            (position->count - first) * sizeof *position->ranges);
    position->count++;
  }
  position->ranges[first] = joined;
}

static void move_on(tw_position *position) {
  if (!position->count || position->ranges[0].start > position->offset) return;
  position->offset = position->ranges[0].end;
  position->line += position->ranges[0].lines;
  remove_ranges(position, 0, 1);
}

bool tw_position_add(tw_position *position, const tw_range *range) {
  if (range->end <= range->start || range->end <= position->offset) return true;
  if (!reserve(position, position->count + 1)) return false;
  insert(position, range);
  move_on(position);
  return true;
}

/* The lines of gaps that lie before are unknown: they are not counted. */
uint64_t tw_position_gap(const tw_position *position, uint64_t offset, uint64_t *end,
                         uint64_t *line) {
  uint64_t at = most(offset, position->offset);
  *line = position->line;
  *end = UINT64_MAX;
  for (size_t i = 0; i < position->count; i++) {
    const tw_range *range = position->ranges + i;
    if (range->start > at) {
      *end = range->start;
      break;
    }
    at = most(at, range->end);
    *line += range->lines;
  }
  return at;
}

/* -------------------------------------------------------------------- JSON */

bool tw_position_write(const tw_position *position, tw_buffer *out) {
  size_t len = out->len;
  bool done = tw_buffer_printf(
      out,
      "{\"device\":%llu,\"inode\":%llu,\"head_hash\":\"%016llx\","
      "\"head_len\":%lu,\"offset\":%llu,\"line\":%llu,\"ranges\":[",
      (unsigned long long)position->device, (unsigned long long)position->inode,
      (unsigned long long)position->head_hash, (unsigned long)position->head_len,
      (unsigned long long)position->offset, (unsigned long long)position->line);
  for (size_t i = 0; done && i < position->count; i++) {
    const tw_range *range = position->ranges + i;
    done = tw_buffer_printf(out, "%s[%llu,%llu,%llu]", i ? "," : "",
                            (unsigned long long)range->start, (unsigned long long)range->end,
                            (unsigned long long)range->lines);
  }
  done = done && tw_buffer_append(out, "]}", 2);
  if (!done) out->len = len;
  return done;
}

/* All 64 bits, which tw_value has only as a double. @return false when it is no such number */
static bool read_number(tw_event *event, const char *path, uint64_t *out) {
  tw_value value;
  char text[24];
  if (tw_event_get(event, path, &value) || !value.json_len || value.json_len >= sizeof text ||
      strspn(value.json, "0123456789") < value.json_len)
    return false;
  memcpy(text, value.json, value.json_len);
  text[value.json_len] = '\0';
  char *end;
  *out = strtoull(text, &end, 10);
  return !*end && (value.json_len < 20 || strcmp(text, "18446744073709551615") <= 0);
}

static bool read_hash(tw_event *event, uint64_t *out) {
  tw_value value;
  if (tw_event_get(event, "head_hash", &value) || value.type != TW_STRING ||
      value.string_len != 16 || strspn(value.string, "0123456789abcdef") != 16)
    return false;
  *out = strtoull(value.string, NULL, 16);
  return true;
}

static bool read_head(tw_event *event, tw_position *out) {
  uint64_t head_len;
  if (!read_number(event, "device", &out->device) ||
      !read_number(event, "inode", &out->inode) || !read_hash(event, &out->head_hash) ||
      !read_number(event, "head_len", &head_len) || head_len > 1024 ||
      !read_number(event, "offset", &out->offset) || !read_number(event, "line", &out->line))
    return false;
  out->head_len = (uint32_t)head_len;
  return true;
}

/* @return false when it is none, or would touch what is before it */
static bool read_range(tw_event *event, size_t index, uint64_t before, tw_range *out) {
  uint64_t *const parts[] = {&out->start, &out->end, &out->lines};
  char path[48];
  for (int i = 0; i < 3; i++) {
    snprintf(path, sizeof path, "ranges[%zu][%d]", index, i);
    if (!read_number(event, path, parts[i])) return false;
  }
  return out->start > before && out->end > out->start;
}

static tw_status no_position(tw_error *error) {
  return tw_fail(error, TW_EINVAL, "this is no position of a source");
}

static tw_status read_ranges(tw_event *event, tw_position *out, tw_error *error) {
  tw_value value;
  char path[48];
  uint64_t before = out->offset;
  if (tw_event_get(event, "ranges", &value) || value.type != TW_ARRAY)
    return no_position(error);
  for (;;) {
    snprintf(path, sizeof path, "ranges[%zu]", out->count);
    tw_status status = tw_event_get(event, path, &value);
    if (status == TW_ENOENT) return TW_OK;
    if (status || !reserve(out, out->count + 1)) return tw_no_memory(error);
    if (!read_range(event, out->count, before, out->ranges + out->count))
      return no_position(error);
    before = out->ranges[out->count++].end;
  }
}

tw_status tw_position_read(const char *json, size_t len, tw_position *out, tw_error *error) {
  static const tw_limits limits = {.max_size = (size_t)32 << 20};
  tw_event *event;
  *out = (tw_position){0};
  tw_status status = tw_event_parse(json, len, &limits, &event, error);
  if (status) return status;
  status = read_head(event, out) ? read_ranges(event, out, error) : no_position(error);
  tw_event_free(event);
  if (status) tw_position_fini(out);
  return status;
}
