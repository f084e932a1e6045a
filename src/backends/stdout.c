/// stdout.c: events as lines on standard output.
///
/// Writes to the descriptor itself, beside the host's stdio: a host that also prints
/// should flush its own output first.
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "backends/kinds.h"
#include "backends/line_writer.h"
#include "backends/os.h"
#include "base/alloc.h"

#define NAME "standard output"

typedef struct out {
  tw_line_writer writer;
  tw_line_fd fd;
} out;

static tw_status put_lines(void *self, const char *lines, size_t len, size_t *done,
                           tw_error *error) {
  out *backend = self;
  return tw_line_fd_write(&backend->fd, NAME, lines, len, done, error);
}

static tw_status out_open(void *self, tw_error *error) {
  out *backend = self;
  if (fcntl(STDOUT_FILENO, F_GETFD) < 0) return tw_fail_errno(error, errno, NAME, "is closed");
  backend->fd = tw_line_fd_of(STDOUT_FILENO);
  return tw_line_writer_open(&backend->writer, put_lines, backend, error);
}

static tw_status out_send(void *self, tw_event *event, unsigned flags, tw_error *error) {
  return tw_line_writer_send(&((out *)self)->writer, event, flags, error);
}

static tw_status out_flush(void *self, uint64_t *lost, tw_error *error) {
  return tw_line_writer_flush(&((out *)self)->writer, lost, error);
}

static tw_status out_deliver(void *self, tw_batch *batch, tw_delivered *done, tw_error *error) {
  return tw_line_writer_deliver(&((out *)self)->writer, batch, done, error);
}

static void out_close(void *self) { tw_line_writer_close(&((out *)self)->writer); }

static void out_free(void *self) {
  out_close(self);
  tw_free(self);
}

static tw_status out_create(tw_event *options, void **self, tw_error *error) {
  (void)options;
  *self = tw_calloc(1, sizeof(out));
  return *self ? TW_OK : tw_no_memory(error);
}

static bool out_writes_into(void *self, const struct stat *other) {
  (void)self;
  struct stat st;
  return fstat(STDOUT_FILENO, &st) == 0 && tw_is_same_file(&st, other);
}

static const tw_backend_ops out_ops = {.open = out_open,
                                       .send = out_send,
                                       .flush = out_flush,
                                       .deliver = out_deliver,
                                       .close = out_close,
                                       .free = out_free};

const tw_backend_kind tw_stdout_kind = {.name = "stdout",
                                        .ops = &out_ops,
                                        .flags = TW_SERIAL,
                                        .create = out_create,
                                        .writes_into = out_writes_into};
