/// sink.c: gathers lines and appends them in large writes; what cannot be written whole is
/// taken back and counted.
#include "app/sink.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/kind.h"

/// Gathered bytes at which they are written without waiting for a flush.
#define GATHER ((size_t)64 << 10)

/// @return whether the file ends inside a line, as one does whose writer died
static bool is_torn(int fd) {
  char last = '\n';
  off_t size = lseek(fd, 0, SEEK_END);
  return size > 0 && pread(fd, &last, 1, size - 1) == 1 && last != '\n';
}

/// @return whether the path leads to the open file no more: it was moved away or removed
static bool is_moved(const tw_sink *sink) {
  struct stat ours, there;
  if (!sink->out.is_file || fstat(sink->out.fd, &ours)) return false;
  if (stat(sink->path, &there)) return errno == ENOENT;
  return !tw_is_same_file(&ours, &there);
}

static void close_file(tw_sink *sink) {
  if (sink->is_open) close(sink->out.fd);
  sink->is_open = false;
}

/// Opened for reading too, to see how it ends; some devices allow writing alone.
static tw_status open_file(tw_sink *sink, tw_error *error) {
  if (sink->is_open && is_moved(sink)) close_file(sink);
  if (sink->is_open) return TW_OK;
  int flags = O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY;
  int fd = open(sink->path, O_RDWR | flags, 0666);
  if (fd < 0) fd = open(sink->path, O_WRONLY | flags, 0666);
  if (fd < 0)
    return tw_fail(error, TW_EIO, "%s: cannot be opened: %s", sink->path, strerror(errno));
  sink->out = tw_line_fd_of(fd);
  sink->is_open = true;
  return TW_OK;
}

/// Several runs may share the file, as those in one folder do by default: each piece is
/// written under a lock, behind the newline that a writer who died has left out.
static tw_status append(tw_sink *sink, size_t *done, tw_error *error) {
  tw_line_fd *out = &sink->out;
  *done = 0;
  tw_status status = open_file(sink, error);
  if (status) return status;
  if (out->is_file) {
    while (flock(out->fd, LOCK_EX) && errno == EINTR) {}
    out->torn = is_torn(out->fd);
  }
  status =
      tw_line_fd_write(out, sink->path, sink->gathered.data, sink->gathered.len, done, error);
  if (out->is_file) flock(out->fd, LOCK_UN);
  return status;
}

/// Later flushes try again: a disk may have room by then. Only the telling is done once.
static void lose(tw_sink *sink, uint64_t lines, const char *message) {
  sink->lost += lines;
  if (!sink->told) tw_term_complain(sink->term, "%s are lost: %s", sink->what, message);
  sink->told = true;
}

static uint64_t count_lines(const char *text, const char *end) {
  uint64_t count = 0;
  for (; (text = memchr(text, '\n', (size_t)(end - text))); text++) count++;
  return count;
}

void tw_sink_flush(tw_sink *sink) {
  tw_error error;
  const char *text = sink->gathered.data;
  size_t done;
  if (!sink->gathered.len) return;
  if (append(sink, &done, &error))
    lose(sink, count_lines(text + done, text + sink->gathered.len), error.message);
  sink->gathered.len = 0;
}

tw_builder *tw_sink_begin(tw_sink *sink) {
  sink->lines++;
  if (!sink->record) sink->record = tw_builder_new();
  if (!sink->record) return NULL;
  tw_builder_reset(sink->record);
  tw_builder_begin_object(sink->record);
  return sink->record;
}

static tw_status gather(tw_sink *sink, tw_error *error) {
  const char *text;
  size_t len;
  if (!sink->record) return tw_no_memory(error);
  tw_builder_end_object(sink->record);
  tw_status status = tw_builder_text(sink->record, &text, &len, error);
  if (status) return status;
  if (!tw_buffer_reserve(&sink->gathered, len + 1)) return tw_no_memory(error);
  tw_buffer_append(&sink->gathered, text, len);
  tw_buffer_byte(&sink->gathered, '\n');
  return TW_OK;
}

void tw_sink_end(tw_sink *sink) {
  tw_error error;
  if (gather(sink, &error)) lose(sink, 1, error.message);
  if (sink->gathered.len >= GATHER) tw_sink_flush(sink);
}

void tw_sink_fini(tw_sink *sink) {
  close_file(sink);
  tw_builder_free(sink->record);
  sink->record = NULL;
  tw_buffer_fini(&sink->gathered);
}
