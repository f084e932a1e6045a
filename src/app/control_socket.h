/// control_socket.h: the Unix socket of a daemon, made and removed without harm to others'.
#ifndef TW_APP_CONTROL_SOCKET_H
#define TW_APP_CONTROL_SOCKET_H

#include <sys/types.h>

#include "base/status.h"

/// A socket that listens.
typedef struct tw_control_socket {
  const char *path; ///< borrowed
  int fd;           ///< does not block, closed on exec; -1 when it is not open
  dev_t device;     ///< of the file that was made at the path
  ino_t inode;
} tw_control_socket;

/// Listens at a path that only the user of this process may connect to. The socket of a dead
/// process is replaced.
/// @return TW_OK; TW_EINVAL for a path that no socket can have; TW_EEXIST when a process
///         listens there (the message has its number), or the path is something else's; TW_EIO
tw_status tw_control_socket_open(tw_control_socket *out, const char *path, tw_error *error);
/// Ends it, and removes the file if it is still the one that was made.
void tw_control_socket_close(tw_control_socket *socket);

/// Connects to the socket at a path; does not block.
/// @param[out] fd  owned, -1 on failure
/// @return TW_OK; TW_ENOENT when nothing listens there; TW_ELIMIT when too many connect at this
///         moment; TW_EINVAL, TW_EIO
tw_status tw_control_connect(const char *path, int *fd, tw_error *error);

#endif
