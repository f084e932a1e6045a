/// targets.h: the backends that a route chooses for one event.
#ifndef TW_CORE_TARGETS_H
#define TW_CORE_TARGETS_H

#include "core/plan.h"

/// One bit for each port of a plan.
typedef struct tw_port_set {
  uint64_t *words; ///< `few`, or in the arena of the event's store
  uint64_t few[4];
} tw_port_set;

/// @return an empty set for `count` ports; false without memory
bool tw_port_set_init(tw_port_set *set, size_t count, tw_arena *arena);

static inline bool tw_port_set_has(const tw_port_set *set, size_t index) {
  return (set->words[index / 64] >> index % 64) & 1;
}

struct tw_targets {
  const tw_plan *plan;
  tw_port_set *set;
  size_t chosen;       ///< calls that added one
  tw_status unknown;   ///< TW_OK, or what the first unknown name gave
  tw_error *complaint; ///< about the first unknown name
  bool has_priority;
  tw_priority priority; ///< that the event gets for what is below
};

#endif
