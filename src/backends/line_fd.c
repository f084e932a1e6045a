/// line_fd.c: whole lines through write(2).
///
/// A write may stop anywhere: at a signal, a full disk, a full pipe. What was begun is gone
/// on with as long as possible. At an error the file is cut back to the last whole line.
/// Where that cannot be (a pipe, a file that somebody else has appended to), the piece stays,
/// the error says so, and the next write begins with a newline, so that no line is glued to
/// the piece.
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "backends/line_writer.h"
#include "backends/os.h"

/* ------------------------------------------------------------------ SIGPIPE */

/* A library must not change what its host does with SIGPIPE. So the signal is blocked for
   this thread, and one that our write raised is taken back before it is unblocked. */
typedef struct pipe_guard {
  sigset_t pipe, before;
  bool pending; /* one of the host's waits already */
} pipe_guard;

static void guard_begin(pipe_guard *guard) {
  sigset_t waiting;
  sigemptyset(&guard->pipe);
  sigaddset(&guard->pipe, SIGPIPE);
  sigpending(&waiting);
  guard->pending = sigismember(&waiting, SIGPIPE) == 1;
  pthread_sigmask(SIG_BLOCK, &guard->pipe, &guard->before);
}

static void guard_end(const pipe_guard *guard, bool broken) {
  const struct timespec now = {0, 0};
  if (broken && !guard->pending)
    while (sigtimedwait(&guard->pipe, NULL, &now) < 0 && errno == EINTR) {}
  pthread_sigmask(SIG_SETMASK, &guard->before, NULL);
}

/* ------------------------------------------------------------------ writing */

static int wait_writable(int fd) {
  struct pollfd wanted = {.fd = fd, .events = POLLOUT};
  return poll(&wanted, 1, -1) < 0 && errno != EINTR ? errno : 0;
}

/* @return 0 or an errno value; `written` also then */
static int write_bytes(int fd, const char *bytes, size_t len, size_t *written) {
  for (*written = 0; *written < len;) {
    ssize_t n = write(fd, bytes + *written, len - *written);
    int code = 0;
    if (n > 0) *written += (size_t)n;
    else if (n == 0) code = EIO;
    else if (errno == EAGAIN || errno == EWOULDBLOCK) code = wait_writable(fd);
    else if (errno != EINTR) code = errno;
    if (code) return code;
  }
  return 0;
}

static int write_out(const tw_line_fd *out, const char *bytes, size_t len, size_t *written) {
  pipe_guard guard;
  if (out->is_file) return write_bytes(out->fd, bytes, len, written);
  guard_begin(&guard);
  int code = write_bytes(out->fd, bytes, len, written);
  guard_end(&guard, code == EPIPE);
  return code;
}

tw_line_fd tw_line_fd_of(int fd) {
  struct stat st;
  return (tw_line_fd){.fd = fd, .is_file = !fstat(fd, &st) && S_ISREG(st.st_mode)};
}

/* Takes back the last `count` bytes that were written, unless they are not the last of the
   file any more. The position is behind our bytes, also with O_APPEND. */
static bool cut_back(int fd, size_t count) {
  struct stat st;
  off_t end = lseek(fd, 0, SEEK_CUR);
  if (end < 0 || fstat(fd, &st) || st.st_size != end) return false;
  end -= (off_t)count;
  return !ftruncate(fd, end) && lseek(fd, end, SEEK_SET) == end;
}

static size_t whole_lines(const char *bytes, size_t len) {
  while (len && bytes[len - 1] != '\n') len--;
  return len;
}

tw_status tw_line_fd_write(tw_line_fd *out, const char *name, const char *lines, size_t len,
                           size_t *done, tw_error *error) {
  size_t written = 0;
  int code = 0;
  *done = 0;
  if (out->torn) {
    code = write_out(out, "\n", 1, &written);
    out->torn = code != 0;
    written = 0;
  }
  if (!code) code = write_out(out, lines, len, &written);
  if (!code) {
    *done = len;
    return TW_OK;
  }
  *done = whole_lines(lines, written);
  if (written > *done) out->torn = !out->is_file || !cut_back(out->fd, written - *done);
  return tw_fail_errno(
      error, code, name,
      out->torn ? "cannot write, and a piece of a line stays behind" : "cannot write");
}
