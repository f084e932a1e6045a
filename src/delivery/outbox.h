/// outbox.h: what waits for one backend, in the order of routing.
///
/// Events have numbers (chunk.h). Those below `head` are through: delivered, dead letters or
/// shed; those below `tail` have come. Whoever commits appends; a delivery (delivery.h) reads,
/// and moves `head`. Two kinds: in memory, and in a spool.
///
/// Any thread may call any function here.
#ifndef TW_DELIVERY_OUTBOX_H
#define TW_DELIVERY_OUTBOX_H

#include <pthread.h>
#include <stdatomic.h>

#include "delivery/chunk.h"

typedef enum tw_overload {
  TW_OVERLOAD_BLOCK,  ///< who routes waits
  TW_OVERLOAD_NEWEST, ///< what comes is shed, unless something that matters less is there
  TW_OVERLOAD_OLDEST  ///< what is there is shed, that which matters least first
} tw_overload;

/// How much may wait, and what happens at the bound.
typedef struct tw_outbox_bounds {
  uint64_t max_events; ///< 0: any number
  uint64_t max_bytes;  ///< of texts; 0: any number
  tw_overload overload;
} tw_outbox_bounds;

typedef struct tw_outbox tw_outbox;

/// How a kind of outbox does its work. `self` is the outbox; nothing is locked.
typedef struct tw_outbox_ops {
  /// The chunk with event `number`, or the first one behind it.
  /// @param[out] out  a reference; NULL when there is none yet, and on failure
  /// @return TW_OK; TW_EIO: the store failed, or the chunk is damaged and `*skip` is the number
  ///         behind it: those events are gone, which the caller tells
  tw_status (*read)(tw_outbox *self, uint64_t number, tw_chunk **out, uint64_t *skip,
                    tw_error *error);
  /// All events below `head` are through. Those of them that were given up are in `dead`, as
  /// dead letters (dead.h), to be stored no later than the new head is.
  /// Calls are made one at a time. A head that lies behind changes nothing but for `dead`.
  /// @param dead  a reference is kept; NULL: none
  /// @return false without memory: nothing has changed, and `dead` is the caller's
  bool (*advance)(tw_outbox *self, uint64_t head, tw_chunk *dead);
  void (*free)(tw_outbox *self);
} tw_outbox_ops;

/// The part that all kinds begin with.
struct tw_outbox {
  const tw_outbox_ops *ops;
  char *path;             ///< of the backend, such as "video/db"; owned
  pthread_mutex_t mutex;  ///< guards what follows
  pthread_cond_t changed; ///< `tail` or `head` has moved, or it was closed
  tw_outbox_bounds bounds;
  uint64_t head, tail;
  uint64_t events, bytes; ///< that wait: fewer than tail - head when some were shed
  uint64_t shed, dead;    ///< since it was opened
  bool is_closed;         ///< waits end
};

/// Sets up the common part. @return false without memory
bool tw_outbox_init(tw_outbox *outbox, const tw_outbox_ops *ops, const char *path,
                    const tw_outbox_bounds *bounds);
void tw_outbox_fini(tw_outbox *outbox);
void tw_outbox_free(tw_outbox *outbox); ///< NULL is allowed

/* ------------------------------------------------------------------ memory */

/// Who gets the dead letters of an outbox in memory: one JSON object each, borrowed for the
/// call.
typedef void (*tw_dead_fn)(void *self, const char *path, const char *json, size_t len);

/// @param dead  may be NULL: then they are only counted
/// @param[out] out  owned
tw_status tw_outbox_new_memory(const char *path, const tw_outbox_bounds *bounds,
                               tw_dead_fn dead, void *self, tw_outbox **out, tw_error *error);
/// Appends a chunk, and numbers it. At the bound the policy acts; "block" waits without holding
/// anything. An outbox that is empty takes any chunk, however large. What was read already is
/// shed no more, as a backend may have it by now.
/// @param chunk  a reference is kept, also on failure
/// @param[out] shed  events that it cost, of this chunk and of others
/// @return TW_OK, also when all was shed; TW_ECLOSED; TW_ENOMEM
tw_status tw_outbox_append(tw_outbox *outbox, tw_chunk *chunk, uint64_t *shed, tw_error *error);
/// The same, but "block" waits no longer than this.
/// @return TW_ELIMIT when the time is over: nothing has changed, and `chunk` is the caller's
tw_status tw_outbox_append_within(tw_outbox *outbox, tw_chunk *chunk, uint64_t limit_ns,
                                  uint64_t *shed, tw_error *error);
/// Ends all waiting; nothing can be appended any more.
void tw_outbox_close(tw_outbox *outbox);

#endif
