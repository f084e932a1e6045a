/// backend.h: what routers do with a backend.
///
/// A *use* is one router's wish that the backend be open. The first use opens it, the end of
/// the last one closes it; so a backend that several routers share is opened once.
#ifndef TW_CORE_BACKEND_H
#define TW_CORE_BACKEND_H

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

#endif
