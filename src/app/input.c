/// input.c: bytes in, whole lines out. What follows the last newline waits in `rest`, and is
/// copied to the next block when that is read: by then another thread may be the one that does,
/// and takes a block that its processor has in its cache.
///
/// A block grows until it holds more than `max_line` bytes of one line; then the line is
/// beyond the limit, all but its first TW_LINE_KEPT bytes are let go (`gone` counts them), and
/// so on with each read until its newline. So a block stays below 2 * max_line whatever the
/// input.
///
/// With a position, `stop` is where the next committed range begins. There a line ends, as
/// ranges are those of whole blocks; and reading goes on behind the range.
#ifndef _GNU_SOURCE
#define _GNU_SOURCE // memrchr; NOLINT(bugprone-reserved-identifier)
#endif
#include "app/input.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "app/file_id.h"

/// A byte order mark is no part of a line, but is seen only with it.
enum { BOM_BYTES = 3 };

const char *tw_input_title(const char *name) {
  return strcmp(name, "-") == 0 ? "standard input" : name;
}

static void reset(tw_input *input, const char *name, int fd) {
  input->name = name;
  input->fd = fd;
  input->ended = input->drained = false;
  input->scan = 0;
  input->gone = input->offset = input->at = 0;
  input->line = 1;
  input->stop = UINT64_MAX;
}

static tw_status unreadable(const tw_input *input, tw_error *error) {
  return tw_fail(error, TW_EIO, "%s: cannot be read: %s", tw_input_title(input->name),
                 strerror(errno));
}

/// O_NONBLOCK is for a named pipe: waiting for its first writer is left to tw_signals_wait,
/// which a signal ends.
tw_status tw_input_open(tw_input *input, const char *name, tw_error *error) {
  bool standard = strcmp(name, "-") == 0;
  const int flags = O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK;
  reset(input, name, standard ? STDIN_FILENO : open(name, flags));
  struct stat info;
  if (input->fd < 0 || fstat(input->fd, &info) != 0)
    return tw_fail(error, TW_EIO, "%s: %s", tw_input_title(name), strerror(errno));
  input->waits = !S_ISREG(info.st_mode);
  return TW_OK;
}

static tw_status go_to(tw_input *input, uint64_t offset, tw_error *error) {
  if (lseek(input->fd, (off_t)offset, SEEK_SET) < 0) return unreadable(input, error);
  input->offset = input->at = offset;
  input->ended = false;
  input->scan = 0;
  input->gone = 0;
  return TW_OK;
}

/// The number of the line that a gap begins with is known when the gap before it was read, as
/// how many lines there are between them, is.
static tw_status next_stretch(tw_input *input, tw_error *error) {
  const tw_position *position = input->position;
  uint64_t from = input->stop, unused;
  uint64_t to = tw_position_gap(position, from, &input->stop, &unused);
  for (size_t i = 0; i < position->count; i++) {
    const tw_range *range = &position->ranges[i];
    if (range->start >= from && range->start < to) input->line += range->lines;
  }
  return go_to(input, to, error);
}

tw_status tw_input_continue(tw_input *input, const char *name, int fd, tw_error *error) {
  uint64_t from = 0;
  reset(input, name, fd);
  input->waits = false;
  if (input->position) from = tw_position_gap(input->position, 0, &input->stop, &input->line);
  return go_to(input, from, error);
}

void tw_input_resume(tw_input *input) { input->ended = input->drained = false; }

uint64_t tw_input_unfinished(const tw_input *input) {
  return input->gone + (input->block ? input->block->len : input->rest.len);
}

void tw_input_close(tw_input *input) {
  if (input->fd > STDIN_FILENO) close(input->fd);
  input->fd = -1;
  tw_block_unref(input->block, 1);
  input->block = NULL;
  tw_buffer_fini(&input->rest);
}

bool tw_input_has_more(const tw_input *input) { return !input->drained; }

/// Bytes that stay of a line beyond the limit.
static size_t kept(const tw_input *input) {
  size_t whole = input->max_line + BOM_BYTES;
  return TW_LINE_KEPT < whole ? TW_LINE_KEPT : whole;
}

/* --------------------------------------------------------------------- next */

static tw_status begin_block(tw_input *input, tw_error *error) {
  tw_block *block = tw_intake_take(input->intake);
  size_t rest = input->rest.len;
  if (!block || !tw_block_reserve(block, rest + TW_INPUT_BLOCK)) {
    tw_block_unref(block, 1);
    return tw_no_memory(error);
  }
  if (rest) memcpy(block->data, input->rest.data, rest);
  block->len = rest;
  block->source = input->name;
  block->file = input->file;
  block->max_line = input->max_line;
  input->rest.len = 0;
  input->block = block;
  return TW_OK;
}

static uint64_t count_newlines(const char *text, size_t len) {
  uint64_t count = 0;
  for (const char *end = text + len; (text = memchr(text, '\n', (size_t)(end - text))); text++)
    count++;
  return count;
}

/// A file that was empty is known by its first lines.
static tw_status know_file(tw_input *input, tw_error *error) {
  if (!input->file || input->file->head_len) return TW_OK;
  return tw_file_identify(input->fd, tw_input_title(input->name), input->file, error);
}

/// Hands out the first `len` bytes; the next line begins at `next`.
static tw_status hand_out(tw_input *input, size_t len, size_t next, tw_block **out,
                          tw_error *error) {
  tw_block *block = input->block;
  tw_status status = know_file(input, error);
  if (status) return status;
  input->rest.len = 0;
  if (!tw_buffer_append(&input->rest, block->data + next, block->len - next))
    return tw_no_memory(error);
  block->len = len;
  block->line = input->line;
  block->offset = input->offset;
  block->tally.bytes = input->gone + next;
  input->line += block->full ? 1 : count_newlines(block->data, len);
  input->offset += input->gone + next;
  input->gone = 0;
  input->scan = 0;
  input->block = NULL;
  *out = block;
  return TW_OK;
}

/// The rest of a line beyond the limit: of it only the beginning is handed out.
static tw_status end_long(tw_input *input, const char *newline, tw_block **out,
                          tw_error *error) {
  tw_block *block = input->block; // what stays, and what was read behind it
  size_t stop = newline ? (size_t)(newline - block->data) : block->len;
  block->full = input->gone + stop;
  tw_status status = hand_out(input, kept(input), stop + (newline != NULL), out, error);
  if (status) block->full = 0;
  return status;
}

/// What is in memory of whole lines; at the end of the input also what follows the last one.
static tw_status take(tw_input *input, tw_block **out, tw_error *error) {
  bool is_last = !input->block && input->ended && input->rest.len;
  tw_status status = is_last ? begin_block(input, error) : TW_OK;
  tw_block *block = input->block;
  if (!block) return status;
  bool ends_line = input->ended && !(input->leaves && input->stop == UINT64_MAX);
  const char *from = block->data + input->scan, *newline;
  size_t fresh = block->len - input->scan;
  if (input->gone) {
    newline = memchr(from, '\n', fresh);
    return newline || ends_line ? end_long(input, newline, out, error) : TW_OK;
  }
  newline = memrchr(from, '\n', fresh);
  size_t whole = newline ? (size_t)(newline - block->data) + 1 : 0;
  if (ends_line && !newline) whole = block->len;
  if (whole) return hand_out(input, whole, whole, out, error);
  input->scan = block->len;
  return TW_OK;
}

/// At the end nothing is held but bytes: whoever waits for all blocks need not know of ours.
static tw_status end_file(tw_input *input, tw_error *error) {
  tw_block *block = input->block;
  if (block && !tw_buffer_append(&input->rest, block->data, block->len))
    return tw_no_memory(error);
  tw_block_unref(block, 1);
  input->block = NULL;
  input->scan = 0;
  input->drained = true;
  return TW_OK;
}

tw_status tw_input_next(tw_input *input, tw_block **out, tw_error *error) {
  *out = NULL;
  tw_status status = take(input, out, error);
  if (status || *out || !input->ended) return status;
  if (input->stop == UINT64_MAX) return end_file(input, error);
  return next_stretch(input, error);
}

/* --------------------------------------------------------------------- fill */

bool tw_input_ready(const tw_input *input) {
  if (!input->waits) return true;
  struct pollfd readable = {.fd = input->fd, .events = POLLIN};
  return poll(&readable, 1, 0) != 0; // a failure shows when it is read
}

/// Lets go of the rest of a line beyond the limit.
static void settle(tw_input *input) {
  size_t held = input->block->len;
  if (held > kept(input) && (input->gone || held > input->max_line + BOM_BYTES)) {
    input->gone += held - kept(input);
    input->block->len = kept(input);
  }
  input->scan = input->block->len;
}

static tw_status make_room(tw_input *input, tw_error *error) {
  if (!input->block) return begin_block(input, error);
  settle(input);
  tw_block *block = input->block;
  if (block->len < block->cap || tw_block_reserve(block, block->cap * 2)) return TW_OK;
  return tw_no_memory(error);
}

tw_status tw_input_fill(tw_input *input, tw_error *error) {
  tw_status status = make_room(input, error);
  if (status) return status;
  tw_block *block = input->block;
  size_t room = block->cap - block->len;
  if (room > TW_INPUT_BLOCK) room = TW_INPUT_BLOCK;
  if (room > input->stop - input->at) room = (size_t)(input->stop - input->at);
  ssize_t got = read(input->fd, block->data + block->len, room);
  if (got < 0 && errno != EINTR && errno != EAGAIN) return unreadable(input, error);
  if (got == 0) input->ended = true;
  if (got > 0) block->len += (size_t)got, input->at += (uint64_t)got;
  tw_block_reserve(block, block->cap);
  return TW_OK;
}
