/// line_writer.c: from events to lines, and the account of those that are lost.
#include "backends/line_writer.h"

#include <string.h>

#include "base/status.h"

/* Lines are put out from LINES bytes on; SLACK more are there from the start, so that
   events of common size never make the buffer grow. */
enum { LINES = 256 * 1024, SLACK = 64 * 1024, KEEP = 1024 * 1024 };
/* Lines of a batch that lie together are written from where they are; fewer bytes than this
   are gathered first, as each write has a price of its own (a lock, a look at the path). */
enum { LONG = 32 * 1024 };

tw_status tw_line_writer_open(tw_line_writer *writer, tw_put_lines put, void *self,
                              tw_error *error) {
  writer->put = put;
  writer->self = self;
  writer->lost = 0;
  writer->cause.code = TW_OK;
  return tw_buffer_reserve(&writer->lines, LINES + SLACK) ? TW_OK : tw_no_memory(error);
}

void tw_line_writer_close(tw_line_writer *writer) { tw_buffer_fini(&writer->lines); }

/* ------------------------------------------------------------- putting out */

static uint64_t count_lines(const char *text, size_t len) {
  uint64_t count = 0;
  const char *end = text + len;
  for (const char *at = text; (at = memchr(at, '\n', (size_t)(end - at))); at++) count++;
  return count;
}

/* One giant event must not hold its memory for ever. */
static void empty(tw_buffer *lines) {
  lines->len = 0;
  if (lines->cap <= KEEP) return;
  char *smaller = tw_realloc(lines->data, LINES + SLACK);
  if (!smaller) return;
  lines->data = smaller;
  lines->cap = LINES + SLACK;
}

/* @param[out] lost  lines that were given up */
static tw_status put_out(tw_line_writer *writer, uint64_t *lost, tw_error *error) {
  tw_buffer *lines = &writer->lines;
  size_t done = 0;
  *lost = 0;
  if (!lines->len) return TW_OK;
  tw_status status = writer->put(writer->self, lines->data, lines->len, &done, error);
  if (status != TW_OK) *lost = count_lines(lines->data + done, lines->len - done);
  empty(lines);
  return status;
}

tw_status tw_line_writer_send(tw_line_writer *writer, tw_event *event, unsigned flags,
                              tw_error *error) {
  if (!tw_event_render_line(event, &writer->lines)) return tw_no_memory(error);
  if ((flags & TW_MORE) && writer->lines.len < LINES) return TW_OK;
  tw_error cause = {.code = TW_OK};
  uint64_t lost = 0;
  tw_status status = put_out(writer, &lost, &cause);
  if (status == TW_OK) return TW_OK;
  if (error) *error = cause;
  if (lost <= 1) return status;
  /* The last is this event, which the return value tells of; flush counts the others. */
  writer->lost += lost - 1;
  writer->cause = cause;
  return tw_fail(error, status, "%.400s; this event and %llu before it were not written",
                 cause.message, (unsigned long long)lost - 1);
}

tw_status tw_line_writer_flush(tw_line_writer *writer, uint64_t *lost, tw_error *error) {
  tw_error cause = {.code = TW_OK};
  uint64_t now_lost = 0;
  tw_status status = put_out(writer, &now_lost, &cause);
  if (status != TW_OK) writer->cause = cause;
  *lost = writer->lost + now_lost;
  writer->lost = 0;
  status = writer->cause.code;
  if (status == TW_OK) return TW_OK;
  if (*lost)
    tw_fail(error, status, "%.400s; %llu events were not written", writer->cause.message,
            (unsigned long long)*lost);
  else if (error) *error = writer->cause;
  writer->cause.code = TW_OK;
  return status;
}

/* ---------------------------------------------------------------- batches */

/* A put that fails says how many bytes of whole lines it has written: each is an event. */
static tw_status put_run(tw_line_writer *writer, const char *text, size_t len, size_t events,
                         tw_delivered *done, tw_error *error) {
  size_t written = 0;
  tw_status status = writer->put(writer->self, text, len, &written, error);
  done->count += status == TW_OK ? events : (size_t)count_lines(text, written);
  return status;
}

static void put_out_before(tw_line_writer *writer) {
  tw_error cause = {.code = TW_OK};
  uint64_t lost = 0;
  if (put_out(writer, &lost, &cause) == TW_OK) return;
  writer->lost += lost;
  writer->cause = cause;
}

tw_status tw_line_writer_deliver(tw_line_writer *writer, const tw_batch *batch,
                                 tw_delivered *done, tw_error *error) {
  tw_buffer *lines = &writer->lines;
  size_t gathered = 0, events, len;
  const char *text;
  tw_status status = TW_OK;
  put_out_before(writer);
  for (size_t at = 0; at < batch->count && status == TW_OK; at += events) {
    events = tw_batch_lines(batch, at, &text, &len);
    bool is_long = len >= LONG;
    if (gathered && (is_long || lines->len + len > LINES)) {
      status = put_run(writer, lines->data, lines->len, gathered, done, error);
      lines->len = gathered = 0;
    }
    if (status != TW_OK) break;
    if (is_long) status = put_run(writer, text, len, events, done, error);
    else if (!tw_buffer_append(lines, text, len)) status = tw_no_memory(error);
    else gathered += events;
  }
  if (gathered && status == TW_OK)
    status = put_run(writer, lines->data, lines->len, gathered, done, error);
  lines->len = 0;
  return status;
}
