/* What a route chooses, as a set of bits: naming a backend twice sends to it once, and the
   order of names in the route does not change the order of delivery. */
#include "core/targets.h"

#include <string.h>

#include "core/names.h"

bool tw_port_set_init(tw_port_set *set, size_t count, tw_arena *arena) {
  size_t words = (count + 63) / 64;
  bool is_small = words <= sizeof set->few / sizeof *set->few;
  set->words = is_small ? set->few : tw_arena_alloc(arena, words * sizeof *set->words);
  if (set->words) memset(set->words, 0, words * sizeof *set->words);
  return set->words != NULL;
}

/* The ports of a plan are in ascending order of name. */
static bool find(const tw_plan *plan, const char *name, size_t len, size_t *at) {
  size_t low = 0, high = plan->port_count;
  while (low < high) {
    size_t middle = low + (high - low) / 2;
    int order = tw_port_compare(plan->ports[middle], name, len);
    if (order == 0) {
      *at = middle;
      return true;
    }
    if (order < 0) low = middle + 1;
    else high = middle;
  }
  return false;
}

static tw_status fail_unknown(const tw_plan *plan, const char *name, size_t len,
                              tw_error *error) {
  const char *known[32];
  char word[81];
  size_t count = plan->port_count < 32 ? plan->port_count : 32;
  for (size_t i = 0; i < count; i++) known[i] = plan->ports[i]->name;
  if (len >= sizeof word) len = sizeof word - 1;
  memcpy(word, name, len);
  word[len] = '\0';
  return tw_fail_unknown(error, TW_ENOENT, "no backend", word, known, count,
                         "the router has none");
}

void tw_targets_priority(tw_targets *targets, tw_priority priority) {
  targets->has_priority = true;
  targets->priority = priority;
}

/* An unknown name does not spoil those that are known: they are sent to, and the first
   unknown one is told afterwards, once for the event. */
tw_status tw_targets_add(tw_targets *targets, const char *name, size_t len, tw_error *error) {
  size_t at;
  if (find(targets->plan, name, len, &at)) {
    targets->set->words[at / 64] |= UINT64_C(1) << at % 64;
    targets->chosen++;
    return TW_OK;
  }
  if (targets->unknown == TW_OK) {
    targets->unknown = fail_unknown(targets->plan, name, len, targets->complaint);
  }
  return error ? fail_unknown(targets->plan, name, len, error) : TW_ENOENT;
}
