/// failures.c: failures as people read them, and as dead letters.
///
/// A script that fails for each event must not fill the screen: of each place (this
/// processor, that backend) the 1st, 2nd, 4th, 8th … failure is told, with its number. News
/// that one is over are counted apart, each by its text: otherwise an end could be told for
/// every second failure only, or for none.
#include "app/failures.h"

#include <inttypes.h>
#include <stdio.h>
#include <xxhash.h>

#include "app/input.h"
#include "event/builder_core.h"

static const char *or_empty(const char *text) { return text ? text : ""; }

static bool is_good_news(const tw_failure *failure) { return failure->error->code == TW_OK; }

static uint64_t place_key(const tw_failure *failure) {
  const char *parts[] = {or_empty(failure->where), or_empty(failure->path),
                         or_empty(failure->name)};
  uint64_t key = 0;
  if (is_good_news(failure)) parts[2] = failure->error->message;
  for (size_t i = 0; i < 3; i++)
    key = XXH3_64bits_withSeed(parts[i], strlen(parts[i]), key + i);
  return key ? key : 1;
}

/// Places are few (processors and backends of one script), so they are searched in turn.
/// @return how often this place failed, with this time
static uint64_t count(tw_failures *self, const tw_failure *failure) {
  uint64_t key = place_key(failure);
  tw_failure_place *place = self->places, *last = place + TW_FAILURE_PLACES - 1;
  while (place < last && place->key && place->key != key) place++;
  place->key = key;
  return ++place->count;
}

static bool is_power_of_two(uint64_t number) { return (number & (number - 1)) == 0; }

/// Where in the script: `video: processor "geo"`, `backend "video/db"`.
static void describe(const tw_failure *failure, char *out, size_t room) {
  const char *path = or_empty(failure->path), *where = or_empty(failure->where);
  if (failure->name)
    snprintf(out, room, "%s%s%s \"%s\"", path, *path ? ": " : "", where, failure->name);
  else if (*path) snprintf(out, room, "%s \"%s\"", where, path);
  else snprintf(out, room, "%s", where);
}

void tw_failures_add(tw_failures *failures, const tw_failure *failure) {
  const tw_origin *origin = failure->event ? failure->origin : NULL;
  bool is_notice = strcmp(failure->where, "breaker") == 0; // told but once anyway
  uint64_t times = is_notice ? 1 : count(failures, failure);
  if (!is_power_of_two(times)) return;
  char place[256], source[256] = "", again[64] = "";
  describe(failure, place, sizeof place);
  if (origin)
    snprintf(source, sizeof source, " (%s, line %" PRIu64 ")", tw_input_title(origin->source),
             origin->line);
  if (times > 1)
    snprintf(again, sizeof again,
             is_good_news(failure) ? " [%" PRIu64 " times now]"
                                   : " [failure %" PRIu64 " of this kind]",
             times);
  tw_term_complain(failures->term, "%s: %s%s%s", place, failure->error->message, source, again);
}

static void add_event(tw_builder *record, tw_event *event) {
  const char *json;
  size_t len;
  if (!event || tw_event_json(event, &json, &len)) return;
  tw_builder_key(record, "event");
  tw_builder_json(record, json, len);
}

static void add_text(tw_builder *record, const char *key, const char *text) {
  if (text) tw_builder_bytes(record, key, text, strlen(text));
}

static void add_origin(tw_builder *record, const tw_origin *origin) {
  add_text(record, "source", origin->source);
  tw_builder_key(record, "line");
  tw_builder_integer(record, (int64_t)origin->line);
}

/// The event is written as the router hands it over: as it was before the processor.
void tw_failures_keep(tw_failures *failures, const tw_failure *failure) {
  tw_builder *record = tw_sink_begin(failures->dead);
  if (record) {
    if (failure->origin) add_origin(record, failure->origin);
    add_text(record, "error", failure->error->message);
    add_text(record, "path", failure->path);
    add_text(record, "processor", failure->name);
    add_event(record, failure->event);
  }
  tw_sink_end(failures->dead);
}
