/// outlet.h: the outboxes of an engine and their deliveries, by the backends' paths.
///
/// An *outlet* belongs to a path, such as `video/db`, and outlives generations. A *front*
/// stands in a generation's routers where the path's backend was declared, and hands what is
/// sent to it to the outlet; the backend itself, the *target*, is called by the delivery alone.
/// When a generation starts to run, its outlets are aimed at its targets.
///
/// A backend written in Lua is a target in a state of its own: another instance of the same
/// script.
///
/// An outlet that no generation names any more goes on with the target it had, until the engine
/// is closed; with a spool, what is left then waits for the path to come back.
#ifndef TW_ENGINE_OUTLET_H
#define TW_ENGINE_OUTLET_H

#include "delivery/delivery.h"
#include "engine/generation.h"

typedef struct tw_outlet tw_outlet;
struct tw_outlet {
  struct tw_outlet *next;
  unsigned index; ///< from 0, in the order in which they were made
  tw_outbox *outbox;
  tw_delivery *delivery; ///< owned, and with it the outbox
  bool is_started;
};

/// Where what scripts of targets emit goes: the engine, for as long as it is there. A call that
/// was left behind may outlive it.
typedef struct tw_portal tw_portal;

/// Who is told.
typedef struct tw_outlets_ops {
  void (*failed)(void *self, const char *where, const char *path, uint64_t events,
                 const tw_error *error);
  tw_status (*emit)(void *self, const tw_event *event, tw_error *error);
  void *self;
} tw_outlets_ops;

typedef struct tw_outlets tw_outlets;
struct tw_outlets {
  pthread_mutex_t mutex; ///< guards the list
  tw_outlet *first;
  unsigned count;
  tw_journal *journal;
  char *common; ///< options for all deliveries, JSON; owned; NULL: {}
  size_t common_len;
  bool is_durable; ///< outboxes are in a spool
  tw_outlets_ops ops;
  tw_portal *portal; ///< a reference; NULL while there is no journal
};

/// Without a journal: nothing has an outbox.
void tw_outlets_init(tw_outlets *outlets);
/// @param ops  copied
tw_status tw_outlets_begin(tw_outlets *outlets, tw_journal *journal, bool is_durable,
                           const tw_outlets_ops *ops, tw_error *error);
/// @param json  copied
tw_status tw_outlets_set_common(tw_outlets *outlets, const char *json, size_t len,
                                tw_error *error);
/// After all deliveries were stopped.
void tw_outlets_fini(tw_outlets *outlets);

/// A front of a generation.
struct tw_front {
  tw_front *next;
  tw_outlet *outlet;
  tw_backend *target;         ///< a reference
  tw_backend *front;          ///< likewise
  struct tw_front_self *self; ///< of `front`
  tw_delivery_options options;
  char path[];
};

/// Puts fronts into a script of a generation that is not open yet. All scripts of a generation
/// have the same ones.
/// @param plan  what the generation is made of, for instances of Lua backends
/// @param[in,out] fronts  where there is none for a path, one is added; but not when `plan` is
/// of
///                generation that runs
tw_status tw_outlets_wrap(tw_outlets *outlets, tw_front **fronts, tw_script *script,
                          const tw_generation_plan *plan, tw_error *error);
/// The generation is about to run: has its outlets deliver to its targets. The others have no
/// bounds from now on: what is on its way to them comes to an end.
tw_status tw_outlets_aim(tw_outlets *outlets, tw_front *fronts, tw_error *error);
void tw_fronts_free(tw_front *fronts); ///< NULL is allowed

/// Waits until all that has come to outboxes is delivered.
/// @param end  NULL: without limit. @param patient  see tw_delivery_await
/// @return how many events are not
uint64_t tw_outlets_await(tw_outlets *outlets, const struct timespec *end, bool patient);
/// Lifts all bounds: who waits for room goes on.
void tw_outlets_unbind(tw_outlets *outlets);
/// @return events that wait in all outboxes
uint64_t tw_outlets_waiting(tw_outlets *outlets);
/// Stops all deliveries. @return events that are left
uint64_t tw_outlets_stop(tw_outlets *outlets, const struct timespec *end);
/// @return false when the path has no outbox
bool tw_outlets_stats(tw_outlets *outlets, const char *path, tw_outbox_stats *out);
/// The outbox of a path. @return NULL when there is none
tw_outbox *tw_outlets_find(tw_outlets *outlets, const char *path);

#endif
