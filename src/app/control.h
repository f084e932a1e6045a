/// control.h: the control socket of a running daemon: told to reload, asked for its status.
///
/// What may be asked is in control_protocol.h.
#ifndef TW_APP_CONTROL_H
#define TW_APP_CONTROL_H

#include "app/control_protocol.h"

/// Clients at one time. One more takes the place of the one that has been silent longest.
#define TW_CONTROL_CLIENTS 16
/// How long a client may take to send its request, and to take the answer.
#define TW_CONTROL_PATIENCE_MS 5000

typedef struct tw_control tw_control;

/// Listens at a path, so that no other process can. Clients that connect wait to be served.
///
/// @param path  kept by reference until it is closed
/// @param[out] out  owned
/// @return TW_OK; what tw_control_socket_open says; TW_ENOMEM
tw_status tw_control_open(const char *path, tw_control **out, tw_error *error);
/// Serves clients, on threads of its own, until it is closed.
///
/// @param ops  copied. @param patience_ms  TW_CONTROL_PATIENCE_MS, but for tests
/// @return TW_OK; TW_ELIMIT without a thread; TW_EIO
tw_status tw_control_serve(tw_control *control, const tw_control_ops *ops, void *self,
                           int patience_ms, tw_error *error);
/// Takes no more clients, waits for what is being done for those that are there, and removes
/// the socket. NULL is nothing.
void tw_control_close(tw_control *control);

#endif
