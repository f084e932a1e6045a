/// file_write.c: each piece of lines goes into the right file, and into it alone.
///
/// For each piece: follow the path (its fields may read otherwise now), lock the file, see
/// that the path still leads to it, look at its end, rotate when it is due, write, unlock.
/// The piece is what fits before the next rotation, always in whole lines.
///
/// Invariant: while the lock is held, the file ends in a newline, or `out.torn` is set and
/// the next write begins with one. So a line that a crash has torn, in whatever process,
/// stays a line of its own.
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "backends/file.h"
#include "backends/os.h"

/* How often a file may be moved away or filled under our hands before that is an error. */
enum { TRIES = 1000 };

/* ------------------------------------------------------------ opening, syncing */

static void note(tw_file *file, const tw_error *trouble) {
  if (file->writer.cause.code == TW_OK) file->writer.cause = *trouble;
}

static tw_status sync_folder(const char *path, tw_error *error) {
  const char *slash = strrchr(path, '/');
  char *folder = slash ? tw_memdup(path, (size_t)(slash - path) + 1) : tw_strdup(".");
  if (!folder) return tw_no_memory(error);
  tw_status status = TW_OK;
  int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  /* Some file systems cannot sync a folder, and say so with EINVAL. */
  if (fd < 0 || (fsync(fd) && errno != EINVAL))
    status = tw_fail_errno(error, errno, folder, "cannot sync the folder");
  if (fd >= 0) close(fd);
  tw_free(folder);
  return status;
}

static tw_status sync_file(tw_file *file, tw_error *error) {
  file->unsynced = false;
  if (fdatasync(file->out.fd))
    return tw_fail_errno(error, errno, file->path.data,
                         "cannot sync, so the disk may lack what was written");
  if (!file->unlisted) return TW_OK;
  file->unlisted = false;
  return sync_folder(file->path.data, error);
}

tw_status tw_file_sync_now(tw_file *file, tw_error *error) {
  if (file->out.fd < 0 || !file->out.is_file || !file->unsynced) return TW_OK;
  tw_status status = sync_file(file, error);
  file->doubtful = file->doubtful || status != TW_OK;
  return status;
}

void tw_file_leave(tw_file *file) {
  tw_error trouble;
  if (file->out.fd < 0) return;
  if (file->sync != TW_FILE_SYNC_NEVER && tw_file_sync_now(file, &trouble) != TW_OK)
    note(file, &trouble);
  close(file->out.fd);
  file->out = (tw_line_fd){.fd = -1};
}

/* O_NONBLOCK is for a named pipe: without a reader it fails instead of waiting for one. */
static int open_path(const tw_file *file) {
  const int flags = O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOCTTY | O_NONBLOCK;
  int fd = open(file->path.data, flags, file->mode);
  if (fd >= 0) fcntl(fd, F_SETFL, O_APPEND);
  return fd;
}

static tw_status enter(tw_file *file, tw_error *error) {
  struct stat st;
  int fd = open_path(file);
  if (fd < 0 && errno == ENOENT) {
    tw_status status = tw_make_folders(file->path.data, error);
    if (status != TW_OK) return status;
    fd = open_path(file);
  }
  if (fd < 0 && errno == ENXIO)
    return tw_fail(error, TW_EIO, "%.256s: cannot open: a named pipe that nobody reads",
                   file->path.data);
  if (fd < 0 || fstat(fd, &st)) {
    tw_status status = tw_fail_errno(error, errno, file->path.data, "cannot open");
    if (fd >= 0) close(fd);
    return status;
  }
  file->out = (tw_line_fd){.fd = fd, .is_file = S_ISREG(st.st_mode)};
  file->device = st.st_dev;
  file->inode = st.st_ino;
  file->size = TW_FILE_UNSEEN;
  file->unlisted = !st.st_size;
  return TW_OK;
}

static tw_status follow_path(tw_file *file, int64_t now_us, tw_error *error) {
  bool changed;
  tw_status status = tw_file_expand(file, now_us, &changed, error);
  if (status != TW_OK) return status;
  if (changed) tw_file_leave(file);
  return file->out.fd < 0 ? enter(file, error) : TW_OK;
}

/* -------------------------------------------------------------------- locking */

/* A file system without locks is used without: only sharing the file is unsafe there. */
static void lock(const tw_file *file) {
  while (flock(file->out.fd, LOCK_EX) && errno == EINTR) {}
}

static void unlock(const tw_file *file) {
  if (file->out.is_file) flock(file->out.fd, LOCK_UN);
}

tw_status tw_file_begin(tw_file *file, tw_error *error) {
  tw_status status = follow_path(file, file->clock(), error);
  if (status != TW_OK || !file->out.is_file || file->append) return status;
  lock(file);
  if (ftruncate(file->out.fd, 0))
    status = tw_fail_errno(error, errno, file->path.data, "cannot empty the file");
  unlock(file);
  return status;
}

/* A file that may not be read gets a newline too many rather than one too few. */
static bool ends_torn(const tw_file *file, off_t size) {
  char last = '\0';
  if (!size) return false;
  int fd = open(file->path.data, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) return true;
  ssize_t n = pread(fd, &last, 1, size - 1);
  close(fd);
  return n != 1 || last != '\n';
}

/* One call tells whose file is at the path and how long it is. @return whether it is ours;
   a folder that may not be searched any more does not stop the writing, while the file has a
   name somewhere. */
static bool look(const tw_file *file, struct stat *st) {
  if (stat(file->path.data, st))
    return errno != ENOENT && errno != ENOTDIR && !fstat(file->out.fd, st) && st->st_nlink;
  return st->st_ino == file->inode && st->st_dev == file->device;
}

/* Sees how the locked file is. @return false when the path leads to it no more */
static bool inspect(tw_file *file, int64_t now_us) {
  struct stat st;
  if (!look(file, &st)) return false;
  if ((uint64_t)st.st_size == file->size) return true;
  file->out.torn = ends_torn(file, st.st_size);
  if (file->rotate_us && (file->size == TW_FILE_UNSEEN || !st.st_size))
    file->period = (st.st_size ? (int64_t)st.st_mtime * 1000000 : now_us) / file->rotate_us;
  file->size = (uint64_t)st.st_size;
  return true;
}

/* Opens and locks the file that the next line, of `next` bytes, belongs into. Others may have
   filled the new file before it is locked: then it is rotated as well. The time is taken under
   the lock, so that the names of rotated files sort by age whoever rotates. A rotation that
   fails is told later, and the lines go on into the file that is there. */
static tw_status acquire(tw_file *file, size_t next, tw_error *error) {
  bool stuck = false;
  for (int i = 0; i < TRIES; i++) {
    tw_status status = follow_path(file, file->clock(), error);
    if (status != TW_OK || !file->out.is_file) return status;
    lock(file);
    int64_t now_us = file->clock();
    if (!inspect(file, now_us)) {
      tw_file_leave(file);
      continue;
    }
    if (stuck || !tw_file_is_due(file, now_us, next)) return TW_OK;
    tw_error trouble;
    stuck = tw_file_rotate(file, now_us, &trouble) != TW_OK;
    if (stuck) note(file, &trouble);
    unlock(file);
  }
  return tw_fail(error, TW_EIO, "%.256s: is moved away again and again", file->path.data);
}

/* -------------------------------------------------------------------- writing */

static size_t first_line(const char *lines, size_t len) {
  const char *end = memchr(lines, '\n', len);
  return end ? (size_t)(end - lines) + 1 : len;
}

/* How much of the lines belongs into this file: at least one line, and all when there can
   be no rotation. */
static size_t fitting(const tw_file *file, const char *lines, size_t len) {
  if (!file->out.is_file || !file->rotate_size) return len;
  size_t room = file->rotate_size > file->size ? (size_t)(file->rotate_size - file->size) : 0;
  if (len <= room) return len;
  while (room && lines[room - 1] != '\n') room--;
  if (room) return room;
  return file->size ? len : first_line(lines, len);
}

static tw_status write_piece(tw_file *file, const char *lines, size_t len, size_t *done,
                             tw_error *error) {
  tw_status status = tw_line_fd_write(&file->out, file->path.data, lines, len, done, error);
  file->size = status == TW_OK ? file->size + *done : TW_FILE_CHANGED;
  file->unsynced = true;
  if (status == TW_OK && file->sync == TW_FILE_SYNC_ALWAYS)
    status = tw_file_sync_now(file, error);
  unlock(file);
  return status;
}

tw_status tw_file_put_lines(void *self, const char *lines, size_t len, size_t *done,
                            tw_error *error) {
  tw_file *file = self;
  tw_status status = TW_OK;
  *done = 0;
  while (status == TW_OK && *done < len) {
    const char *next = lines + *done;
    size_t left = len - *done, written = 0;
    status = acquire(file, file->rotate_size ? first_line(next, left) : 0, error);
    if (status == TW_OK)
      status = write_piece(file, next, fitting(file, next, left), &written, error);
    *done += written;
  }
  return status;
}
