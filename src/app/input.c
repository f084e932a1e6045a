/// input.c: blocks in, lines out, without copying but for a line that spans two blocks.
///
/// The buffer holds [start, end): the line at hand and what follows it. A fill first moves
/// an unfinished line to the front. The buffer doubles until it holds more than `max_line`
/// bytes of one line; then the line is beyond the limit, all but its first TW_INPUT_KEPT
/// bytes are let go (`gone` counts them), and so on with each block until its newline. So
/// memory stays below 2 * max_line whatever the input.
#include "app/input.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "event/reader.h"

static const char bom[] = "\xef\xbb\xbf";

static bool resize(tw_input *input, size_t cap) {
  char *data = tw_realloc(input->data, cap + TW_PADDING);
  if (!data) return false;
  input->data = data;
  input->cap = cap;
  memset(data + input->end, 0, TW_PADDING);
  return true;
}

const char *tw_input_title(const char *name) {
  return strcmp(name, "-") == 0 ? "standard input" : name;
}

/// O_NONBLOCK is for a named pipe: waiting for its first writer is left to tw_signals_wait,
/// which a signal ends.
tw_status tw_input_open(tw_input *input, const char *name, tw_error *error) {
  bool standard = strcmp(name, "-") == 0;
  input->name = name;
  input->ended = false;
  input->start = input->scan = input->end = 0;
  input->gone = input->number = input->offset = 0;
  input->fd = -1;
  if (!input->data && !resize(input, TW_INPUT_BLOCK)) return tw_no_memory(error);
  const int flags = O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK;
  input->fd = standard ? STDIN_FILENO : open(name, flags);
  struct stat info;
  if (input->fd < 0 || fstat(input->fd, &info) != 0)
    return tw_fail(error, TW_EIO, "%s: %s", tw_input_title(name), strerror(errno));
  input->waits = !S_ISREG(info.st_mode);
  return TW_OK;
}

void tw_input_close(tw_input *input) {
  if (input->fd > STDIN_FILENO) close(input->fd);
  input->fd = -1;
}

void tw_input_fini(tw_input *input) {
  tw_free(input->data);
  input->data = NULL;
  input->cap = 0;
}

/// Bytes that stay of a line beyond the limit.
static size_t kept(const tw_input *input) {
  size_t whole = input->max_line + strlen(bom);
  return TW_INPUT_KEPT < whole ? TW_INPUT_KEPT : whole;
}

/// The first line without the byte order mark that some tools put in front of it.
static void skip_bom(tw_line *line) {
  if (line->len < 3 || memcmp(line->text, bom, 3) != 0) return;
  line->text += 3;
  line->len -= 3;
  line->full -= 3;
  line->offset += 3;
}

/// Hands out the line at hand, which ends at `stop`; the next one begins at `next`.
static tw_input_got take(tw_input *input, size_t stop, size_t next, tw_line *line) {
  size_t len = stop - input->start;
  *line = (tw_line){.text = input->data + input->start,
                    .len = len,
                    .number = ++input->number,
                    .offset = input->offset,
                    .full = len + input->gone};
  input->offset += line->full + (next - stop);
  if (input->gone) line->len = kept(input); // behind it stands the line's end
  input->start = input->scan = next;
  input->gone = 0;
  if (line->number == 1) skip_bom(line);
  bool fits = line->full <= input->max_line;
  if (!fits && line->len > TW_INPUT_KEPT) line->len = TW_INPUT_KEPT;
  line->text[line->len] = 0;
  return fits ? TW_INPUT_LINE : TW_INPUT_LONG;
}

tw_input_got tw_input_next(tw_input *input, tw_line *line) {
  char *newline = NULL;
  if (input->scan < input->end)
    newline = memchr(input->data + input->scan, '\n', input->end - input->scan);
  if (newline) {
    size_t stop = (size_t)(newline - input->data);
    return take(input, stop, stop + 1, line);
  }
  input->scan = input->end;
  if (!input->ended) return TW_INPUT_MORE;
  if (input->start < input->end) return take(input, input->end, input->end, line);
  return TW_INPUT_END;
}

bool tw_input_ready(const tw_input *input) {
  if (!input->waits) return true;
  struct pollfd readable = {.fd = input->fd, .events = POLLIN};
  return poll(&readable, 1, 0) != 0; // a failure shows when it is read
}

/// Moves the line at hand to the front; lets go of the rest of one beyond the limit.
static void settle(tw_input *input) {
  size_t held = input->end - input->start;
  if (input->start) memmove(input->data, input->data + input->start, held);
  if (held > kept(input) && (input->gone || held > input->max_line + strlen(bom))) {
    input->gone += held - kept(input);
    held = kept(input);
  }
  input->start = 0;
  input->scan = input->end = held;
}

tw_status tw_input_fill(tw_input *input, tw_error *error) {
  settle(input);
  if (input->end == input->cap && !resize(input, input->cap * 2)) return tw_no_memory(error);
  size_t room = input->cap - input->end;
  if (room > TW_INPUT_BLOCK) room = TW_INPUT_BLOCK;
  ssize_t got = read(input->fd, input->data + input->end, room);
  if (got < 0 && errno != EINTR && errno != EAGAIN)
    return tw_fail(error, TW_EIO, "%s: cannot be read: %s", tw_input_title(input->name),
                   strerror(errno));
  if (got == 0) input->ended = true;
  if (got > 0) input->end += (size_t)got;
  memset(input->data + input->end, 0, TW_PADDING);
  return TW_OK;
}
