/// ask.c: one request, one answer, within a time.
#include "app/ask.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "app/control_socket.h"
#include "base/clock.h"

/// Bytes of an answer, at most; what is longer comes from no daemon of ours.
#define ANSWER_MAX ((size_t)1 << 20)

enum { PIECE = 4096, RETRY_MS = 10 };

static tw_status await(int fd, uint64_t until, tw_error *error) {
  struct pollfd readable = {.fd = fd, .events = POLLIN};
  for (;;) {
    uint64_t now = tw_clock_monotonic_ns();
    int ms = now < until ? (int)((until - now) / 1000000) + 1 : 0;
    int ready = poll(&readable, 1, ms);
    if (ready > 0) return TW_OK;
    if (ready == 0) return tw_fail(error, TW_ELIMIT, "no answer in time");
    if (errno != EINTR) return tw_fail(error, TW_EIO, "%s", strerror(errno));
  }
}

/// @return TW_OK when the whole line is there, without its newline; TW_EEXIST: go on
static tw_status receive(int fd, tw_buffer *answer, tw_error *error) {
  if (answer->len > ANSWER_MAX) return tw_fail(error, TW_EIO, "the answer is too long");
  if (!tw_buffer_reserve(answer, PIECE)) return tw_no_memory(error);
  char *to = answer->data + answer->len;
  ssize_t got = recv(fd, to, PIECE, 0);
  if (got < 0 && (errno == EINTR || errno == EAGAIN)) return TW_EEXIST;
  if (got <= 0) return tw_fail(error, TW_ECLOSED, "the daemon hung up without an answer");
  const char *newline = memchr(to, '\n', (size_t)got);
  answer->len += newline ? (size_t)(newline - to) : (size_t)got;
  return newline ? TW_OK : TW_EEXIST;
}

/// A request is so short that any socket takes it at once. That a daemon who turns us away
/// has closed its end already does not matter: its answer is there.
static tw_status talk(int fd, const char *request, uint64_t until, tw_buffer *answer,
                      tw_error *error) {
  tw_status status;
  (void)!send(fd, request, strlen(request), MSG_NOSIGNAL);
  do {
    status = await(fd, until, error);
    if (status == TW_OK) status = receive(fd, answer, error);
  } while (status == TW_EEXIST);
  return status;
}

/// What many others keep from connecting now is tried again.
static tw_status connect_until(const char *path, uint64_t until, int *fd, tw_error *error) {
  tw_status status;
  while ((status = tw_control_connect(path, fd, error)) == TW_ELIMIT &&
         tw_clock_monotonic_ns() < until)
    poll(NULL, 0, RETRY_MS);
  return status;
}

tw_status tw_ask(const char *path, const char *request, int timeout_ms, tw_buffer *answer,
                 tw_error *error) {
  int fd;
  uint64_t until = tw_clock_monotonic_ns() + (uint64_t)timeout_ms * 1000000;
  tw_status status = connect_until(path, until, &fd, error);
  if (status) return status;
  status = talk(fd, request, until, answer, error);
  if (status) tw_error_prefix(error, "%s: ", path);
  close(fd);
  return status;
}
