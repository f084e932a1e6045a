/* A spool has one owner. The file `owner` in its folder is locked with flock as long as that
   process lives, however it ends, and holds its number for messages alone: a number proves
   nothing (it may be another's by now, or one of another container).

   A child that a fork has made has a copy of the descriptor, and so keeps the lock until it
   ends or runs another program. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "delivery/spool_inside.h"

#define OWNER "owner"

bool tw_spool_path(char *out, size_t room, const char *folder, const char *name) {
  int len = snprintf(out, room, "%s/%s", folder, name);
  return len >= 0 && (size_t)len < room;
}

static tw_status fail_errno(const char *path, const char *action, tw_error *error) {
  char reason[96];
  int code = errno;
  if (strerror_r(code, reason, sizeof reason))
    snprintf(reason, sizeof reason, "errno %d", code);
  tw_status status = code == ENOSPC || code == EDQUOT ? TW_ELIMIT : TW_EIO;
  return tw_fail(error, status, "%.256s: %s: %s", path, action, reason);
}

/* Events may hold what is nobody else's business: so the folder is the owner's alone. */
static tw_status make_folder(const char *folder, tw_error *error) {
  char *path = tw_strdup(folder);
  if (!path) return tw_no_memory(error);
  tw_status status = TW_OK;
  for (char *at = strchr(path + (*path != '\0'), '/'); at && !status;
       at = strchr(at + 1, '/')) {
    *at = '\0';
    if (mkdir(path, 0777) && errno != EEXIST)
      status = fail_errno(path, "cannot make the folder", error);
    *at = '/';
  }
  if (!status && mkdir(path, 0700) && errno != EEXIST)
    status = fail_errno(path, "cannot make the folder", error);
  tw_free(path);
  return status;
}

static tw_status refuse(const char *folder, int fd, tw_error *error) {
  char text[24] = "";
  ssize_t len = pread(fd, text, sizeof text - 1, 0);
  long process = len > 0 ? strtol(text, NULL, 10) : 0;
  if (process > 0)
    tw_fail(error, TW_EEXIST, "%.256s is in use by process %ld; end it first", folder, process);
  else tw_fail(error, TW_EEXIST, "%.256s is in use by another process; end it first", folder);
  return TW_EEXIST;
}

/* The number may not be there on a full disk: that is no reason to refuse. */
static void sign(int fd) {
  char text[24];
  int len = snprintf(text, sizeof text, "%ld\n", (long)getpid());
  if (ftruncate(fd, 0) || pwrite(fd, text, (size_t)len, 0) < 0) return;
}

tw_status tw_spool_take(const char *folder, int *fd, tw_error *error) {
  char path[4096];
  tw_status status = make_folder(folder, error);
  *fd = -1;
  if (status) return status;
  if (!tw_spool_path(path, sizeof path, folder, OWNER))
    return tw_fail(error, TW_EINVAL, "%.256s: the path is too long", folder);
  int file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (file < 0) return fail_errno(path, "cannot open", error);
  if (flock(file, LOCK_EX | LOCK_NB)) {
    status = errno == EWOULDBLOCK ? refuse(folder, file, error)
                                  : fail_errno(path, "cannot lock", error);
    close(file);
    return status;
  }
  sign(file);
  *fd = file;
  return TW_OK;
}

/* The last descriptor that is closed unlocks it: a child that closes its copy does not. */
void tw_spool_disown(int fd) {
  if (fd >= 0) close(fd);
}
