/// control_socket.c: whoever makes or removes the file at a path holds the lock of its folder.
///
/// Without the lock, of two that found the socket of a dead process each could remove what the
/// other had just put in its place. The folder itself is locked, so that no file is left over.
#define _GNU_SOURCE // struct ucred; NOLINT(bugprone-reserved-identifier)
#include "app/control_socket.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum { BACKLOG = 128, LOCK_TRIES = 100, LOCK_PAUSE_MS = 20 };

static tw_status fail(tw_error *error, const char *path, const char *what, int number) {
  return tw_fail(error, TW_EIO, "%s: %s: %s", path, what, strerror(number));
}

static tw_status address_of(const char *path, struct sockaddr_un *out, tw_error *error) {
  size_t len = strlen(path), most = sizeof out->sun_path - 1;
  *out = (struct sockaddr_un){.sun_family = AF_UNIX};
  if (!len) return tw_fail(error, TW_EINVAL, "the path of a socket is empty");
  if (len > most)
    return tw_fail(error, TW_EINVAL,
                   "%s: too long for a socket: %zu bytes, of %zu at most; choose a shorter "
                   "path, or one from the current folder",
                   path, len, most);
  memcpy(out->sun_path, path, len);
  return TW_OK;
}

static int new_socket(void) {
  return socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
}

/* ------------------------------------------------------------------- folder */

static void pause_ms(long ms) {
  struct timespec time = {.tv_nsec = ms * 1000000};
  nanosleep(&time, NULL);
}

/// Where folders cannot be locked, as on some network file systems, goes on without.
static tw_status lock(int fd, const char *folder, tw_error *error) {
  for (int tries = 0; flock(fd, LOCK_EX | LOCK_NB) && errno == EWOULDBLOCK; tries++) {
    if (tries == LOCK_TRIES)
      return tw_fail(error, TW_EIO, "%s: another process has locked this folder", folder);
    pause_ms(LOCK_PAUSE_MS);
  }
  return TW_OK;
}

/// @param[out] fd  owned; closing it unlocks
static tw_status lock_folder_of(const char *path, int *fd, tw_error *error) {
  char folder[sizeof((struct sockaddr_un *)NULL)->sun_path];
  const char *slash = strrchr(path, '/');
  int len = slash ? (int)(slash - path) + 1 : 1;
  snprintf(folder, sizeof folder, "%.*s", len, slash ? path : ".");
  *fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (*fd < 0) return fail(error, path, "its folder cannot be opened", errno);
  tw_status status = lock(*fd, folder, error);
  if (status) close(*fd);
  return status;
}

/* --------------------------------------------------------------------- open */

/// @return the process that listens at the other end, 0 when it cannot be told
static long peer_of(int fd) {
  struct ucred peer = {0};
  socklen_t len = sizeof peer;
  return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) ? 0 : (long)peer.pid;
}

static tw_status refuse(const char *path, long pid, tw_error *error) {
  if (pid <= 0)
    return tw_fail(error, TW_EEXIST, "%s: another process listens here; choose another path",
                   path);
  return tw_fail(error, TW_EEXIST,
                 "%s: process %ld listens here; end it, or choose another path", path, pid);
}

/// Removes the socket of a dead process: one that refuses connections.
static tw_status make_room(const struct sockaddr_un *address, tw_error *error) {
  struct stat info;
  const char *path = address->sun_path;
  if (lstat(path, &info))
    return errno == ENOENT ? TW_OK : fail(error, path, "cannot be looked at", errno);
  if (!S_ISSOCK(info.st_mode))
    return tw_fail(error, TW_EEXIST, "%s: this is no socket; choose another path", path);
  int fd = new_socket();
  if (fd < 0) return fail(error, path, "no socket can be made", errno);
  int problem = connect(fd, (const struct sockaddr *)address, sizeof *address) ? errno : 0;
  long pid = problem ? 0 : peer_of(fd);
  close(fd);
  if (!problem || problem == EAGAIN) return refuse(path, pid, error);
  if (problem != ECONNREFUSED) return fail(error, path, "its owner cannot be asked", problem);
  return unlink(path) ? fail(error, path, "cannot be replaced", errno) : TW_OK;
}

/// Nobody can connect before it listens, and by then the mode is set.
static tw_status bind_and_listen(tw_control_socket *out, const struct sockaddr_un *address,
                                 tw_error *error) {
  struct stat info;
  if (bind(out->fd, (const struct sockaddr *)address, sizeof *address))
    return fail(error, out->path, "no socket can be made here", errno);
  if (chmod(out->path, 0600) || lstat(out->path, &info) || listen(out->fd, BACKLOG)) {
    int problem = errno;
    unlink(out->path);
    return fail(error, out->path, "nobody can listen here", problem);
  }
  out->device = info.st_dev;
  out->inode = info.st_ino;
  return TW_OK;
}

static tw_status make(tw_control_socket *out, const struct sockaddr_un *address,
                      tw_error *error) {
  tw_status status = make_room(address, error);
  if (status) return status;
  out->fd = new_socket();
  if (out->fd < 0) return fail(error, out->path, "no socket can be made", errno);
  status = bind_and_listen(out, address, error);
  if (!status) return TW_OK;
  close(out->fd);
  out->fd = -1;
  return status;
}

tw_status tw_control_socket_open(tw_control_socket *out, const char *path, tw_error *error) {
  struct sockaddr_un address;
  int folder;
  *out = (tw_control_socket){.path = path, .fd = -1};
  tw_status status = address_of(path, &address, error);
  if (!status) status = lock_folder_of(path, &folder, error);
  if (status) return status;
  status = make(out, &address, error);
  close(folder);
  return status;
}

void tw_control_socket_close(tw_control_socket *socket) {
  struct stat info;
  int folder;
  if (socket->fd < 0) return;
  if (!lock_folder_of(socket->path, &folder, NULL)) {
    if (!lstat(socket->path, &info) && info.st_dev == socket->device &&
        info.st_ino == socket->inode)
      unlink(socket->path);
    close(folder);
  }
  close(socket->fd);
  socket->fd = -1;
}

/* ------------------------------------------------------------------ connect */

static tw_status explain(const char *path, int problem, tw_error *error) {
  struct stat info;
  if (problem == ECONNREFUSED && !stat(path, &info) && !S_ISSOCK(info.st_mode))
    return tw_fail(error, TW_ENOENT,
                   "%s: this is no socket; name the one that the run has after --control",
                   path);
  if (problem == ENOENT || problem == ECONNREFUSED)
    return tw_fail(error, TW_ENOENT, "%s: no daemon listens here (%s)", path,
                   problem == ENOENT ? "there is no such socket" : "its process has died");
  if (problem == EAGAIN)
    return tw_fail(error, TW_ELIMIT, "%s: the daemon is too busy to take connections", path);
  return fail(error, path, "cannot be connected to", problem);
}

tw_status tw_control_connect(const char *path, int *fd, tw_error *error) {
  struct sockaddr_un address;
  *fd = -1;
  tw_status status = address_of(path, &address, error);
  if (status) return status;
  *fd = new_socket();
  if (*fd < 0) return fail(error, path, "no socket can be made", errno);
  if (!connect(*fd, (const struct sockaddr *)&address, sizeof address)) return TW_OK;
  int problem = errno;
  close(*fd);
  *fd = -1;
  return explain(path, problem, error);
}
