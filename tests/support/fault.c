/* fault.c: has calls to the system fail. A library to be preloaded (tests/libfault.so):
 *
 *     LD_PRELOAD=build/dev/tests/libfault.so FAULT_CALLS=fdatasync FAULT_ERRNO=EIO
 * FAULT_FIRST=3
 *
 * | variable | |
 * |---|---|
 * | FAULT_CALLS | which ones: write, pwrite, writev, pwritev, fsync, fdatasync, msync, open,
 *   rename, link, ftruncate; several with commas |
 * | FAULT_ERRNO | EIO, ENOSPC, EDQUOT, EINTR, EFBIG or a number; `short`: writes write half |
 * | FAULT_FIRST | the first call of them that fails, from 1; 1 |
 * | FAULT_EVERY | and from there every so manieth; 1 |
 * | FAULT_COUNT | so many calls fail at most; without end |
 * | FAULT_PATH | only of files whose path matches (fnmatch) |
 *
 * Calls are counted over the whole process, those of other files left out. What fails does not
 * reach the system. Nothing is printed, and without FAULT_CALLS nothing happens. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

enum { SHORT = -1 };

static atomic_long met, failed;

/* ------------------------------------------------------------------- settings */

static long number(const char *name, long otherwise) {
  const char *text = getenv(name);
  return text && *text ? strtol(text, NULL, 10) : otherwise;
}

static int wanted_errno(void) {
  static const struct {
    const char *name;
    int code;
  } known[] = {{"EIO", EIO},     {"ENOSPC", ENOSPC}, {"EDQUOT", EDQUOT},
               {"EINTR", EINTR}, {"EFBIG", EFBIG},   {"short", SHORT}};
  const char *text = getenv("FAULT_ERRNO");
  for (size_t i = 0; text && i < sizeof known / sizeof *known; i++)
    if (strcmp(text, known[i].name) == 0) return known[i].code;
  return (int)number("FAULT_ERRNO", EIO);
}

static bool is_listed(const char *call) {
  const char *list = getenv("FAULT_CALLS");
  size_t len = strlen(call);
  while (list && *list) {
    size_t word = strcspn(list, ",");
    if (word == len && strncmp(list, call, len) == 0) return true;
    list += word + (list[word] == ',');
  }
  return false;
}

static bool path_matches(const char *path) {
  const char *pattern = getenv("FAULT_PATH");
  return !pattern || !*pattern || fnmatch(pattern, path, 0) == 0;
}

static bool file_matches(int fd) {
  char link[64], path[4096];
  const char *pattern = getenv("FAULT_PATH");
  if (!pattern || !*pattern) return true;
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  ssize_t len = readlink(link, path, sizeof path - 1);
  if (len < 0) return false;
  path[len] = '\0';
  return path_matches(path);
}

/* The call is one of those that count. @return 0, an errno, or SHORT */
static int fault(void) {
  long turn = atomic_fetch_add(&met, 1) + 1, first = number("FAULT_FIRST", 1);
  if (turn < first || (turn - first) % number("FAULT_EVERY", 1)) return 0;
  if (atomic_fetch_add(&failed, 1) >= number("FAULT_COUNT", 1L << 40)) return 0;
  return wanted_errno();
}

static int fault_of_file(const char *call, int fd) {
  return is_listed(call) && file_matches(fd) ? fault() : 0;
}

static int fault_of_path(const char *call, const char *path) {
  return is_listed(call) && path_matches(path) ? fault() : 0;
}

static void *real(const char *name) { return dlsym(RTLD_NEXT, name); }

/* Object pointers become function pointers by way of memory. */
#define REAL(name)                       \
  static __typeof__(name) *call;         \
  if (!call) {                           \
    void *found = real(#name);           \
    memcpy(&call, &found, sizeof found); \
  }

#define FAIL_WITH(code) \
  do {                  \
    if ((code) > 0) {   \
      errno = (code);   \
      return -1;        \
    }                   \
  } while (0)

/* --------------------------------------------------------------------- writes */

ssize_t write(int fd, const void *bytes, size_t len) {
  REAL(write)
  int code = fault_of_file("write", fd);
  FAIL_WITH(code);
  return call(fd, bytes, code == SHORT && len > 1 ? len / 2 : len);
}

ssize_t pwrite(int fd, const void *bytes, size_t len, off_t at) {
  REAL(pwrite)
  int code = fault_of_file("pwrite", fd);
  FAIL_WITH(code);
  return call(fd, bytes, code == SHORT && len > 1 ? len / 2 : len, at);
}

ssize_t pwrite64(int fd, const void *bytes, size_t len, off64_t at) {
  return pwrite(fd, bytes, len, at);
}

/* A short one writes half of its first part. */
ssize_t writev(int fd, const struct iovec *parts, int count) {
  REAL(writev)
  int code = fault_of_file("writev", fd);
  FAIL_WITH(code);
  struct iovec half = {parts->iov_base, parts->iov_len / 2};
  return code == SHORT ? call(fd, &half, 1) : call(fd, parts, count);
}

ssize_t pwritev(int fd, const struct iovec *parts, int count, off_t at) {
  REAL(pwritev)
  int code = fault_of_file("pwritev", fd);
  FAIL_WITH(code);
  struct iovec half = {parts->iov_base, parts->iov_len / 2};
  return code == SHORT ? call(fd, &half, 1, at) : call(fd, parts, count, at);
}

ssize_t pwritev64(int fd, const struct iovec *parts, int count, off64_t at) {
  return pwritev(fd, parts, count, at);
}

/* ---------------------------------------------------------------------- syncs */

int fsync(int fd) {
  REAL(fsync)
  int code = fault_of_file("fsync", fd);
  FAIL_WITH(code);
  return call(fd);
}

int fdatasync(int fd) {
  REAL(fdatasync)
  int code = fault_of_file("fdatasync", fd);
  FAIL_WITH(code);
  return call(fd);
}

int msync(void *at, size_t len, int flags) {
  REAL(msync)
  int code = is_listed("msync") ? fault() : 0;
  FAIL_WITH(code);
  return call(at, len, flags);
}

/* ---------------------------------------------------------------------- files */

int open(const char *path, int flags, ...) {
  REAL(open)
  va_list args;
  va_start(args, flags);
  mode_t mode = flags & (O_CREAT | __O_TMPFILE) ? va_arg(args, mode_t) : 0;
  va_end(args);
  int code = fault_of_path("open", path);
  FAIL_WITH(code);
  return call(path, flags, mode);
}

int open64(const char *path, int flags, ...) {
  va_list args;
  va_start(args, flags);
  mode_t mode = flags & (O_CREAT | __O_TMPFILE) ? va_arg(args, mode_t) : 0;
  va_end(args);
  return open(path, flags | O_LARGEFILE, mode);
}

int rename(const char *from, const char *to) {
  REAL(rename)
  int code = fault_of_path("rename", to);
  FAIL_WITH(code);
  return call(from, to);
}

int link(const char *from, const char *to) {
  REAL(link)
  int code = fault_of_path("link", to);
  FAIL_WITH(code);
  return call(from, to);
}

int ftruncate(int fd, off_t len) {
  REAL(ftruncate)
  int code = fault_of_file("ftruncate", fd);
  FAIL_WITH(code);
  return call(fd, len);
}

int ftruncate64(int fd, off64_t len) { return ftruncate(fd, len); }
