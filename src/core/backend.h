/// backend.h: what routers do with a backend.
///
/// A *use* is one router's wish that the backend be open. The first use opens it, the end of
/// the last one closes it; so a backend that several routers share is opened once.
#ifndef TW_CORE_BACKEND_H
#define TW_CORE_BACKEND_H

#include "core/batch.h"
#include "core/kind.h"

/// Waits while another thread opens it. A failure leaves no use behind.
tw_status tw_backend_use(tw_backend *backend, tw_error *error);
/// Ends a use after a flush, which may fail: `*lost` is then how many events it gave up.
/// The caller has seen to it that no event is on its way to the backend for this use.
tw_status tw_backend_unuse(tw_backend *backend, uint64_t *lost, tw_error *error);

/// @param event  a copy for this branch alone
tw_status tw_backend_send(tw_backend *backend, tw_event *event, unsigned flags,
                          tw_error *error);
/// `*lost` is set in any case. A backend that is not open has nothing to flush.
tw_status tw_backend_flush(tw_backend *backend, uint64_t *lost, tw_error *error);
/// The same with a limit of time, where the backend knows of one; others flush meanwhile.
/// @param timeout_ms  negative: without limit
/// @param[out] remaining  events that are not delivered, in time
tw_status tw_backend_flush_within(tw_backend *backend, int timeout_ms, uint64_t *lost,
                                  uint64_t *remaining, tw_error *error);

/// Has a batch delivered: by the backend's `deliver`, or else by sending each event and a
/// flush.
///
/// When a `send` fails, those before it are flushed: if that succeeds they are delivered. A
/// flush that fails delivers none for certain. So one event may come twice, but none is lost.
/// What is delivered counts as sent, what is refused as failed; what is tried again, as
/// neither. A flush tells of trouble that has cost no event, such as a rotation that failed.
/// An answer that cannot be is read so that no event is lost: a count beyond the batch is 0,
/// and with a count of the whole batch it is TW_OK.
/// @param[out] done  `count` is right in any case
/// @return as `deliver` of tw_backend_ops; TW_ECLOSED when it is not open
tw_status tw_backend_deliver(tw_backend *backend, tw_batch *batch, tw_delivered *done,
                             tw_error *error);

/// A backend that stands before another one, such as an outbox: kind, counts and `writes_into`
/// are those of the other.
/// @param behind  a reference is taken
/// @param[out] out  owned
tw_status tw_backend_new_front(const tw_backend_ops *ops, void *self, tw_backend *behind,
                               tw_backend **out, tw_error *error);

/// Flag of tw_backend_new: its functions are those of a script, and belong to its Lua state.
#define TW_SCRIPTED 0x100u
bool tw_backend_is_scripted(const tw_backend *backend);
bool tw_backend_is_serial(const tw_backend *backend); ///< made with TW_SERIAL
/// @return whether its flush may tell of more than its `deliver` does. Without `deliver`, and
/// in
///         a script, each batch is flushed anyway.
bool tw_backend_flushes_apart(const tw_backend *backend);

/// @return the backend that a front stands before, through all fronts; of another one itself
tw_backend *tw_backend_hindmost(tw_backend *backend);

#endif
