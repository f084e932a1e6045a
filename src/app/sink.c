/// sink.c: gathers lines, appends them in large writes, and takes back what was half written.
#include "app/sink.h"

#include <errno.h>
#include <fcntl.h>
#include <nettle/base64.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "event/text.h"

/// Gathered bytes at which they are written without waiting for a flush.
#define GATHER ((size_t)64 << 10)

/// @return whether the file ends inside a line, as one does whose writer died
static bool is_torn(int fd) {
  char last = '\n';
  off_t size = lseek(fd, 0, SEEK_END);
  return size > 0 && pread(fd, &last, 1, size - 1) == 1 && last != '\n';
}

/// Opened for reading too, to see how it ends; some devices allow writing alone.
static tw_status open_file(tw_sink *sink, tw_error *error) {
  if (sink->is_open) return TW_OK;
  int flags = O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY;
  sink->fd = open(sink->path, O_RDWR | flags, 0666);
  if (sink->fd < 0) sink->fd = open(sink->path, O_WRONLY | flags, 0666);
  if (sink->fd < 0)
    return tw_fail(error, TW_EIO, "%s: cannot be opened: %s", sink->path, strerror(errno));
  sink->is_open = true;
  if (is_torn(sink->fd) && write(sink->fd, "\n", 1) != 1)
    return tw_fail(error, TW_EIO, "%s: cannot be written: %s", sink->path, strerror(errno));
  return TW_OK;
}

/// A write that fails half-way (a full disk) is cut off again, so that no half line stays
/// for the next one to be glued to. Devices and pipes cannot be cut.
static tw_status write_all(tw_sink *sink, tw_error *error) {
  const char *from = sink->gathered.data, *end = from + sink->gathered.len;
  off_t before = lseek(sink->fd, 0, SEEK_END);
  while (from < end) {
    ssize_t wrote = write(sink->fd, from, (size_t)(end - from));
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote < 0) {
      tw_fail(error, TW_EIO, "%s: cannot be written: %s", sink->path, strerror(errno));
      if (before >= 0 && ftruncate(sink->fd, before) != 0) break; // a pipe or device
      return TW_EIO;
    }
    from += wrote;
  }
  return from == end ? TW_OK : TW_EIO;
}

/// Later flushes try again: a disk may have room by then. Only the telling is done once.
static void lose(tw_sink *sink, uint64_t lines, const char *message) {
  sink->lost += lines;
  if (!sink->told) tw_term_complain(sink->term, "%s are lost: %s", sink->what, message);
  sink->told = true;
}

void tw_sink_flush(tw_sink *sink) {
  tw_error error;
  if (!sink->gathered.len) return;
  if (open_file(sink, &error) || write_all(sink, &error))
    lose(sink, sink->pending, error.message);
  sink->gathered.len = 0;
  sink->pending = 0;
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
  sink->pending++;
  return TW_OK;
}

void tw_sink_end(tw_sink *sink) {
  tw_error error;
  if (gather(sink, &error)) lose(sink, 1, error.message);
  if (sink->gathered.len >= GATHER) tw_sink_flush(sink);
}

void tw_sink_fini(tw_sink *sink) {
  if (sink->is_open) close(sink->fd);
  sink->is_open = false;
  tw_builder_free(sink->record);
  sink->record = NULL;
  tw_buffer_fini(&sink->gathered);
}

/// Without memory the member is empty, and the builder most likely fails as well.
static void bytes_as_base64(tw_builder *record, const char *key, const char *bytes,
                            size_t len) {
  char name[64];
  snprintf(name, sizeof name, "%s_base64", key);
  tw_builder_key(record, name);
  size_t room = BASE64_ENCODE_RAW_LENGTH(len);
  char *text = tw_malloc(room);
  if (text) base64_encode_raw(text, len, (const uint8_t *)bytes);
  tw_builder_string(record, text ? text : "", text ? room : 0);
  tw_free(text);
}

void tw_sink_bytes(tw_builder *record, const char *key, const char *bytes, size_t len) {
  if (tw_utf8_check(bytes, len) != len) {
    bytes_as_base64(record, key, bytes, len);
    return;
  }
  tw_builder_key(record, key);
  tw_builder_string(record, bytes, len);
}
