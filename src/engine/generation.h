/// generation.h: a script as it was at one time, loaded once for each worker.
#ifndef TW_ENGINE_GENERATION_H
#define TW_ENGINE_GENERATION_H

#include <stdatomic.h>

#include "engine/ledger.h"
#include "engine/options.h"
#include "script/dealer.h"
#include "script/script.h"

typedef struct tw_outlets tw_outlets;
typedef struct tw_front tw_front;

/// Immutable but for the states of its scripts, each of which is one worker's.
typedef struct tw_generation {
  uint64_t number;
  tw_snapshot *snapshot; ///< a reference: of all its files
  tw_ledger *ledger;     ///< borrowed
  unsigned entered;      ///< of the scripts, from the first: those in the ledger
  tw_dealer *dealer;     ///< owned; NULL: the key is no function
  tw_front *fronts;      ///< owned: of its backends with outboxes (outlet.h)
  unsigned count;
  tw_script *scripts[TW_MAX_WORKERS];
} tw_generation;

/// What to make one of. All borrowed.
typedef struct tw_generation_plan {
  const char *path;
  uint64_t number;
  unsigned count; ///< of scripts; 0: `decide` says it
  /// Called with the first script, when it is loaded.
  tw_status (*decide)(void *self, tw_script *first, unsigned *count, tw_error *error);
  tw_pool *pool;
  tw_ledger *ledger; ///< where the branches of the open generation are entered
  const atomic_bool
      *gives_up; ///< when this becomes true, no more scripts are loaded; may be NULL
  const tw_host *host;
  const tw_script_options *options; ///< of its states
  tw_snapshot *snapshot;            ///< empty: the files are read; or of an earlier generation
  const tw_observer *observer;      ///< NULL: nobody. Outlives the generation, as does `self`
  void *self;
  tw_outlets *outlets; ///< NULL in it: no journal, and so no outboxes
  tw_front **fronts;   ///< of a generation that runs: no other ones come; NULL: it is new
} tw_generation_plan;

/// Loads one of its scripts, which nobody watches and whose backends have no outboxes.
/// @param worker  whose it is, from 0
tw_status tw_generation_load_bare(const tw_generation_plan *plan, unsigned worker,
                                  tw_script **out, tw_error *error);
/// Loads one of its scripts, to take the place of another; opens nothing.
/// @param worker  whose it is, from 0
tw_status tw_generation_load_one(const tw_generation_plan *plan, unsigned worker,
                                 tw_script **out, tw_error *error);
/// Loads and rehearses; opens nothing.
/// @param[out] out  owned; nothing is left behind on failure
tw_status tw_generation_load(const tw_generation_plan *plan, tw_generation **out,
                             tw_error *error);
/// Loads the dealer, with the same plan.
tw_status tw_generation_deal(tw_generation *generation, const tw_generation_plan *plan,
                             tw_error *error);
/// Opens the backends, and enters them in the ledger; no file is read any more. On failure the
/// generation is only to be freed.
tw_status tw_generation_open(tw_generation *generation, tw_error *error);
/// Flushes and closes what no other generation uses, and frees it. NULL is allowed.
/// @return what closing said first
tw_status tw_generation_free(tw_generation *generation, tw_error *error);

#endif
