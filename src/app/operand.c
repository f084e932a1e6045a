/// operand.c: passes over the files of a name.
///
/// Invariants. A file's cursor is asked for only when all that was read of it is committed: so
/// nothing is read twice. `file` is what the blocks on their way point to: it changes only when
/// none is. The newest file that is known is never forgotten, though it be gone from the name:
/// by it those are found that come after it (trail.h).
#include "app/operand.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"

/// A file that was not written to for so long is taken to be finished.
#define QUIET_NS ((int64_t)60 * 1000000000)

/* ------------------------------------------------------------------ cursors */

static tw_status engine_position(void *self, const char *source, const tw_file_id *file,
                                 tw_position *out, tw_error *error) {
  return tw_engine_position(self, source, file, out, error);
}

static tw_status engine_visit(void *self, const char *source, tw_position_visit_fn visit,
                              void *with, tw_error *error) {
  return tw_engine_visit_positions(self, source, visit, with, error);
}

static tw_status engine_forget(void *self, const char *source, const tw_file_id *file,
                               tw_error *error) {
  return tw_engine_forget_position(self, source, file, error);
}

tw_cursors tw_engine_cursors(tw_engine *engine) {
  return (tw_cursors){engine_position, engine_visit, engine_forget, engine};
}

/* --------------------------------------------------------------------- life */

/// The folder's real path and the name in it. The name itself may be a link: it is followed
/// each time, as it may lead to another file by then.
static char *absolute(const char *word) {
  const char *slash = strrchr(word, '/');
  const char *base = slash ? slash + 1 : word;
  tw_buffer path = {0};
  bool ok =
      slash ? tw_buffer_append(&path, word, (size_t)(base - word)) : tw_buffer_byte(&path, '.');
  char *folder = ok && tw_buffer_pad(&path, 1) ? realpath(path.data, NULL) : NULL;
  path.len = 0;
  ok = folder ? tw_buffer_printf(&path, "%s%s%s", folder, folder[1] ? "/" : "", base)
              : tw_buffer_printf(&path, "%s", word);
  free(folder);
  if (ok && tw_buffer_pad(&path, 1)) return path.data;
  tw_buffer_fini(&path);
  return NULL;
}

static bool is_regular(const char *word) {
  struct stat info;
  return strcmp(word, "-") != 0 && stat(word, &info) == 0 && S_ISREG(info.st_mode);
}

tw_status tw_operand_init(tw_operand *operand, const char *word, const tw_cursors *cursors,
                          bool follows, tw_term *term, tw_intake *intake, size_t max_line,
                          tw_error *error) {
  *operand = (tw_operand){.word = word,
                          .cursors = is_regular(word) ? cursors : NULL,
                          .term = term,
                          .input = {.max_line = max_line, .intake = intake, .fd = -1}};
  operand->follows = follows && is_regular(word);
  operand->is_plain = !operand->cursors && !operand->follows;
  operand->path = operand->cursors ? absolute(word) : tw_malloc(strlen(word) + 1);
  if (!operand->path) return tw_no_memory(error);
  if (!operand->cursors) memcpy(operand->path, word, strlen(word) + 1);
  operand->input.file = operand->cursors ? &operand->file : NULL;
  operand->input.leaves = !operand->is_plain;
  return TW_OK;
}

/* -------------------------------------------------------------------- begin */

typedef struct tw_collection {
  tw_trail *trail;
  bool has_failed;
} tw_collection;

static void collect(void *self, const tw_position *position) {
  tw_collection *collection = self;
  if (!tw_trail_add(collection->trail, position)) collection->has_failed = true;
}

/// What is gone, or was written anew, is told and forgotten.
static tw_status settle_lost(tw_operand *operand, tw_error *error) {
  for (size_t i = 0; i < operand->trail.count; i++) {
    const tw_trail_file *file = &operand->trail.files[i];
    if (file->where == TW_FILE_BETWEEN)
      tw_term_complain(operand->term, "%s: was rotated while nobody read it: it is read now",
                       file->path);
    if (file->where != TW_FILE_GONE && file->where != TW_FILE_REWRITTEN) continue;
    tw_status status =
        operand->cursors->forget(operand->cursors->self, operand->path, &file->id, error);
    if (status) return status;
    tw_term_complain(operand->term,
                     file->where == TW_FILE_GONE
                         ? "%s: a former file is gone; it was read up to byte %" PRIu64
                           ", line %" PRIu64 ": what it had behind that is not read"
                         : "%s: was written anew after byte %" PRIu64 ", line %" PRIu64
                           ": it is read from its start",
                     operand->path, file->offset, file->line ? file->line - 1 : 0);
  }
  return TW_OK;
}

static tw_status find_files(tw_operand *operand, tw_error *error) {
  tw_collection collection = {.trail = &operand->trail};
  tw_status status = TW_OK;
  if (operand->cursors)
    status = operand->cursors->visit(operand->cursors->self, operand->path, collect,
                                     &collection, error);
  if (!status && collection.has_failed) status = tw_no_memory(error);
  if (!status) status = tw_trail_find(&operand->trail, operand->path, error);
  return status ? status : settle_lost(operand, error);
}

tw_status tw_operand_begin(tw_operand *operand, tw_error *error) {
  tw_input_close(&operand->input);
  tw_trail_fini(&operand->trail);
  operand->next = 0;
  operand->unfinished = 0;
  operand->file = (tw_file_id){0};
  return operand->is_plain ? TW_OK : find_files(operand, error);
}

/* --------------------------------------------------------------------- open */

/// The last line of the file at hand may lack its newline. A new file's id may have come with
/// its first line.
static void close_file(tw_operand *operand) {
  bool is_open = operand->input.fd >= 0;
  if (is_open && operand->input.leaves && tw_input_unfinished(&operand->input))
    operand->unfinished++;
  if (is_open && !operand->is_plain) operand->trail.files[operand->next - 1].id = operand->file;
  tw_input_close(&operand->input);
}

/// @return whether it is still the file that was found
static bool recognize(tw_operand *operand, const tw_trail_file *file, int fd, tw_status *status,
                      tw_error *error) {
  *status = TW_OK;
  operand->file = file->id;
  if (file->is_known) return tw_file_compare(fd, &file->id, file->end) == TW_FILE_SAME;
  *status = tw_file_identify(fd, operand->path, &operand->file, error);
  return true;
}

/// Opens a file of the trail behind what is committed of it.
static tw_status continue_file(tw_operand *operand, tw_trail_file *file, int fd,
                               tw_error *error) {
  tw_status status = TW_OK;
  tw_position_fini(&operand->position);
  operand->position = (tw_position){0};
  if (file->is_known)
    status = operand->cursors->position(operand->cursors->self, operand->path, &file->id,
                                        &operand->position, error);
  if (status) {
    close(fd);
    return status;
  }
  operand->input.position = operand->position.line ? &operand->position : NULL;
  return tw_input_continue(&operand->input, operand->path, fd, error);
}

/// One that has moved on since it was found is left to the next pass.
static tw_status open_file(tw_operand *operand, tw_trail_file *file, bool *opened,
                           tw_error *error) {
  tw_status status;
  int fd = open(file->path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
  if (fd < 0 && errno == ENOENT) return TW_OK;
  if (fd < 0) return tw_fail(error, TW_EIO, "%s: %s", file->path, strerror(errno));
  *opened = recognize(operand, file, fd, &status, error) && !status;
  if (*opened) return continue_file(operand, file, fd, error);
  operand->file = (tw_file_id){0};
  close(fd);
  return status;
}

static tw_status open_plain(tw_operand *operand, bool *opened, tw_error *error) {
  if (operand->next++) return TW_OK;
  *opened = true;
  return tw_input_open(&operand->input, operand->word, error);
}

tw_status tw_operand_open(tw_operand *operand, bool *opened, tw_error *error) {
  tw_status status = TW_OK;
  *opened = false;
  if (operand->next < operand->trail.count || operand->is_plain) close_file(operand);
  if (operand->is_plain) return open_plain(operand, opened, error);
  while (!status && !*opened && operand->next < operand->trail.count) {
    tw_trail_file *file = &operand->trail.files[operand->next++];
    if (file->path) status = open_file(operand, file, opened, error);
  }
  return status;
}

/* ---------------------------------------------------------------------- end */

/// @return whether all of a file is committed, as far as can be told, or it is empty
static bool is_finished(const tw_trail_file *file, const tw_position *position) {
  struct stat info;
  int64_t now = tw_clock_utc_us() * 1000;
  if (stat(file->path, &info) || info.st_ino != file->id.inode) return false;
  int64_t modified = (int64_t)info.st_mtim.tv_sec * 1000000000 + info.st_mtim.tv_nsec;
  return modified <= now - QUIET_NS && position->count == 0 &&
         position->offset == (uint64_t)info.st_size;
}

/// @return false: it may still be written to
static bool forget_file(const tw_operand *operand, const tw_trail_file *file) {
  tw_position position = {0};
  const tw_cursors *cursors = operand->cursors;
  if (cursors->position(cursors->self, operand->path, &file->id, &position, NULL)) return false;
  bool ok = is_finished(file, &position);
  if (ok && position.line)
    ok = cursors->forget(cursors->self, operand->path, &file->id, NULL) == TW_OK;
  tw_position_fini(&position);
  return ok;
}

static bool is_known(const tw_operand *operand, const tw_trail_file *file) {
  tw_position position = {0};
  if (!file->path || !file->id.head_len ||
      operand->cursors->position(operand->cursors->self, operand->path, &file->id, &position,
                                 NULL))
    return false;
  bool is_known = position.line != 0;
  tw_position_fini(&position);
  return is_known;
}

/// From the oldest on, up to the first that is to be kept: so whatever is known is newer than
/// what was forgotten.
static void forget_finished(tw_operand *operand) {
  tw_trail *trail = &operand->trail;
  size_t newest = trail->count, i = 0;
  while (newest && !is_known(operand, &trail->files[newest - 1])) newest--;
  while (i + 1 < newest && (!trail->files[i].path || forget_file(operand, &trail->files[i])))
    i++;
  operand->formers = i + 1 < newest ? newest - 1 - i : 0;
}

void tw_operand_end(tw_operand *operand) {
  bool is_last = operand->next == operand->trail.count;
  if (!operand->follows || !is_last) close_file(operand);
  else if (operand->next) operand->trail.files[operand->next - 1].id = operand->file;
  if (operand->cursors) forget_finished(operand);
}

/// What has become of the open file.
static tw_operand_news look_at_ours(const tw_operand *operand) {
  struct stat info;
  const tw_input *input = &operand->input;
  if (fstat(input->fd, &info) || (uint64_t)info.st_size == input->at) return TW_OPERAND_SAME;
  bool is_ours = tw_file_compare(input->fd, &operand->file, input->at) == TW_FILE_SAME;
  return is_ours ? TW_OPERAND_GROWN : TW_OPERAND_REWRITTEN;
}

tw_operand_news tw_operand_look(const tw_operand *operand) {
  struct stat there;
  bool is_open = operand->input.fd >= 0;
  if (operand->is_plain) return TW_OPERAND_SAME;
  tw_operand_news ours = is_open ? look_at_ours(operand) : TW_OPERAND_SAME;
  if (ours == TW_OPERAND_REWRITTEN || stat(operand->path, &there)) return ours;
  bool is_other = there.st_dev != operand->file.device || there.st_ino != operand->file.inode;
  return is_other || (!is_open && operand->follows) ? TW_OPERAND_REPLACED : ours;
}

uint64_t tw_operand_fini(tw_operand *operand) {
  close_file(operand);
  tw_trail_fini(&operand->trail);
  tw_position_fini(&operand->position);
  tw_free(operand->path);
  operand->path = NULL;
  return operand->unfinished;
}
