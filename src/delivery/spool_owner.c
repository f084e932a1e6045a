/* A spool has one owner. The file `owner` in its folder is locked with flock as long as that
   process lives, however it ends, and holds its number for messages alone: a number proves
   nothing (it may be another's by now, or one of another container). Behind it stands what
   check.c must know of a write that has failed.

   A child that a fork has made has a copy of the descriptor, and so keeps the lock until it
   ends or runs another program. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
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

static void read_note(int fd, tw_spool_owner *out) {
  char text[64] = "";
  unsigned long long failed = 0;
  ssize_t len = pread(fd, text, sizeof text - 1, 0);
  if (len <= 0 || sscanf(text, "%ld failed %llu", &out->process, &failed) < 1) out->process = 0;
  out->failed = failed;
}

/* The note may not be there on a full disk: that is no reason to refuse. */
static void write_note(int fd, uint64_t failed) {
  char text[64];
  int len = snprintf(text, sizeof text, "%ld failed %llu\n", (long)getpid(),
                     (unsigned long long)failed);
  if (pwrite(fd, text, (size_t)len, 0) == len && ftruncate(fd, len)) return;
}

void tw_spool_note_failed(int fd, uint64_t txnid) {
  if (fd >= 0) write_note(fd, txnid);
}

static int open_owner(const char *folder, int flags, char path[4096]) {
  if (tw_spool_path(path, 4096, folder, OWNER)) return open(path, flags | O_CLOEXEC, 0600);
  errno = ENAMETOOLONG;
  return -1;
}

void tw_spool_owner_read(const char *folder, tw_spool_owner *out) {
  char path[4096];
  *out = (tw_spool_owner){0};
  int fd = open_owner(folder, O_RDONLY, path);
  if (fd < 0) return;
  out->lives = flock(fd, LOCK_SH | LOCK_NB) && errno == EWOULDBLOCK;
  read_note(fd, out);
  close(fd);
}

static tw_status refuse(const char *folder, int fd, tw_error *error) {
  tw_spool_owner owner;
  read_note(fd, &owner);
  if (owner.process > 0)
    tw_fail(error, TW_EEXIST, "%.256s is in use by process %ld; end it first", folder,
            owner.process);
  else tw_fail(error, TW_EEXIST, "%.256s is in use by another process; end it first", folder);
  return TW_EEXIST;
}

/* Who asks whether there is an owner has the lock for a moment. */
static bool lock(int fd) {
  const struct timespec moment = {.tv_nsec = 5000000};
  for (int i = 0; i < 10; i++) {
    if (flock(fd, LOCK_EX | LOCK_NB) == 0) return true;
    if (errno != EWOULDBLOCK && errno != EINTR) break;
    nanosleep(&moment, NULL);
  }
  return false;
}

tw_status tw_spool_take(const char *folder, int *fd, uint64_t *failed, tw_error *error) {
  char path[4096];
  tw_spool_owner before;
  tw_status status = make_folder(folder, error);
  *fd = -1;
  if (status) return status;
  int file = open_owner(folder, O_RDWR | O_CREAT, path);
  if (file < 0) return fail_errno(folder, "cannot open the file " OWNER, error);
  if (!lock(file)) {
    status = errno == EWOULDBLOCK ? refuse(folder, file, error)
                                  : fail_errno(path, "cannot lock", error);
    close(file);
    return status;
  }
  read_note(file, &before);
  write_note(file, before.failed);
  *failed = before.failed;
  *fd = file;
  return TW_OK;
}

/* The last descriptor that is closed unlocks it: a child that closes its copy does not. */
void tw_spool_disown(int fd) {
  if (fd >= 0) close(fd);
}
