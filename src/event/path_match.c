/* path_match.c: all places that a pattern matches.
 *
 * The event is walked once with a set of steps that may come next (a bit for each, as a
 * nondeterministic automaton), so that a place is found once even if the pattern matches it
 * in several ways. Bit `count` means: matched. Where the set is empty the walk turns back. */
#include "event/box.h"
#include "event/path_scan.h"

typedef struct {
  const tw_event *event;
  const tw_path *path;
  tw_place *places;
  size_t count, cap;
} matcher;

static uint64_t bit(uint32_t step) { return (uint64_t)1 << step; }

/* `**` may stand for nothing: what follows it may come next too. */
static uint64_t skip_deep(const tw_path *path, uint64_t set) {
  for (uint32_t i = 0; i < path->count; i++)
    if (path->steps[i].kind == TW_STEP_DEEP && set & bit(i)) set |= bit(i + 1);
  return set;
}

static bool step_matches(const tw_event *event, const tw_step *step, const tw_place *place) {
  switch (step->kind) {
    case TW_STEP_KEY: {
      uint32_t meta = tw_node_meta(TW_KIND_KEY, tw_key_hash(step->key, step->len));
      return !place->in_array &&
             tw_key_equals(tw_store_node(event->store, place->key), meta, step->key, step->len);
    }
    case TW_STEP_INDEX: return place->in_array && place->index == step->index;
    case TW_STEP_ANY:
    case TW_STEP_DEEP: return true;
  }
  return false;
}

/* The steps that may come next below a place. */
static uint64_t advance(const matcher *m, uint64_t set, const tw_place *place) {
  uint64_t next = 0;
  for (uint32_t i = 0; i < m->path->count; i++) {
    const tw_step *step = m->path->steps + i;
    if (!(set & bit(i)) || !step_matches(m->event, step, place)) continue;
    next |= step->kind == TW_STEP_DEEP ? bit(i) : bit(i + 1);
  }
  return skip_deep(m->path, next);
}

static bool collect(matcher *m, const tw_place *place) {
  if (m->count == m->cap) {
    size_t cap = m->cap ? m->cap * 2 : 8;
    tw_place *places = tw_store_alloc(m->event->store, cap * sizeof *places);
    if (!places) return false;
    if (m->count) memcpy(places, m->places, m->count * sizeof *places);
    m->places = places;
    m->cap = cap;
  }
  m->places[m->count++] = *place;
  return true;
}

static bool walk(matcher *m, tw_ref container, uint64_t set);

static bool visit(matcher *m, const tw_place *place, uint64_t set) {
  set = advance(m, set, place);
  if (set & bit(m->path->count) && !collect(m, place)) return false;
  set &= bit(m->path->count) - 1;
  return !set || walk(m, place->value, set);
}

static bool walk_array(matcher *m, tw_ref array, uint64_t set) {
  tw_place place = {.parent = array, .in_array = true};
  for (uint32_t i = tw_event_count(m->event, array); i; i--) {
    place.index = i - 1;
    if (!tw_event_at(m->event, array, i - 1, &place.value)) continue;
    if (!visit(m, &place, set)) return false;
  }
  return true;
}

static bool walk(matcher *m, tw_ref container, uint64_t set) {
  if (!tw_kind_is_container(tw_node_kind(tw_store_node(m->event->store, container))))
    return true;
  if (tw_event_is_array(m->event, container)) return walk_array(m, container, set);
  tw_cursor cursor = tw_cursor_begin(m->event, container);
  while (tw_cursor_next(&cursor)) {
    tw_place place = {.parent = container, .key = cursor.key, .value = cursor.value};
    if (!visit(m, &place, set)) return false;
  }
  return true;
}

tw_status tw_path_match(const tw_event *event, const tw_path *path, tw_place **places,
                        size_t *count, tw_error *error) {
  matcher m = {.event = event, .path = path};
  *places = NULL;
  *count = 0;
  if (path->count > TW_PATH_PATTERN_MAX)
    return tw_fail(error, TW_ELIMIT, "a pattern has at most %d steps", TW_PATH_PATTERN_MAX);
  if (!walk(&m, event->root, skip_deep(path, 1))) return tw_no_memory(error);
  *places = m.places;
  *count = m.count;
  return TW_OK;
}
