/// host.h: what a host offers to the scripts of an engine by name.
#ifndef TW_SCRIPT_HOST_H
#define TW_SCRIPT_HOST_H

#include "tidewire.h"

/// Immutable, so that any thread may use it. It holds a reference to each thing offered, which
/// is one object for all workers and generations.
typedef struct tw_host tw_host;

/// @param offers  see tw_engine_ops; copied; NULL: none
/// @param[out] out  owned
/// @return TW_OK; TW_EINVAL for a name that is taken or empty, or an offer that is not exactly
///         one thing; TW_ENOMEM
tw_status tw_host_new(const tw_offer *offers, tw_host **out, tw_error *error);
/// NULL is allowed.
void tw_host_free(tw_host *host);

/// @param host  NULL: there is none that could offer anything
/// @param[out] out  a reference, owned
/// @return TW_OK, or TW_ENOENT with a message that lists what is offered
tw_status tw_host_backend(const tw_host *host, const char *name, tw_backend **out,
                          tw_error *error);
tw_status tw_host_processor(const tw_host *host, const char *name, tw_processor **out,
                            tw_error *error);

#endif
