/// file.c: events as lines in a file: the options and the ops.
#include "backends/file.h"

#include <stdlib.h>
#include <string.h>

#include "backends/kinds.h"
#include "base/alloc.h"
#include "base/clock.h"
#include "base/status.h"

static const tw_option file_options[] = {
    {"path", TW_OPTION_STRING, true},       {"append", TW_OPTION_BOOL, false},
    {"fsync", TW_OPTION_STRING, false},     {"keep", TW_OPTION_INTEGER, false},
    {"mode", TW_OPTION_STRING, false},      {"rotate_interval", TW_OPTION_DURATION, false},
    {"rotate_size", TW_OPTION_SIZE, false},
};

/* --------------------------------------------------------------------- options */

static tw_status read_sync(const char *word, tw_file_sync *out, tw_error *error) {
  if (!strcmp(word, "never")) *out = TW_FILE_SYNC_NEVER;
  else if (!strcmp(word, "flush")) *out = TW_FILE_SYNC_FLUSH;
  else if (!strcmp(word, "always")) *out = TW_FILE_SYNC_ALWAYS;
  else
    return tw_fail(error, TW_EINVAL,
                   "file: fsync: \"%.32s\" is none of \"never\", \"flush\", \"always\"", word);
  return TW_OK;
}

/* Octal text, as for chmod, since a number in a Lua script would be read as decimal. */
static tw_status read_mode(const char *text, mode_t *out, tw_error *error) {
  char *end;
  unsigned long mode = strtoul(text, &end, 8);
  if (*end || text[0] < '0' || text[0] > '7' || mode > 0777)
    return tw_fail(error, TW_EINVAL,
                   "file: mode: \"%.32s\" is no octal number up to 0777, such as \"0640\"",
                   text);
  *out = (mode_t)mode;
  return TW_OK;
}

static bool is_given(tw_event *options, const char *name) {
  tw_value value;
  return tw_event_get(options, name, &value) == TW_OK;
}

/* `keep` removes files: so it must be meant, and never guessed from a dated path. */
static tw_status read_rotation(tw_file *file, tw_event *options, tw_error *error) {
  uint64_t interval_us = tw_option_duration(options, "rotate_interval", 0) / 1000;
  file->rotate_us = (int64_t)interval_us;
  file->rotate_size = tw_option_size(options, "rotate_size", 0);
  file->keep = tw_option_integer(options, "keep", 0);
  if (is_given(options, "rotate_size") && !file->rotate_size)
    return tw_fail(error, TW_EINVAL, "file: rotate_size: must be at least 1 byte");
  if (is_given(options, "rotate_interval") && interval_us < 1000000)
    return tw_fail(error, TW_EINVAL, "file: rotate_interval: must be at least 1 second");
  if (!is_given(options, "keep")) return TW_OK;
  if (!file->keep)
    return tw_fail(error, TW_EINVAL,
                   "file: keep: must be at least 1; leave it out to keep all");
  if (!file->rotate_size && !file->rotate_us)
    return tw_fail(error, TW_EINVAL,
                   "file: keep: counts rotated files; give rotate_size or rotate_interval too");
  return TW_OK;
}

static tw_status read_options(tw_file *file, tw_event *options, tw_error *error) {
  const char *mode = tw_option_string(options, "mode", "0666");
  tw_status status = read_mode(mode, &file->mode, error);
  if (status == TW_OK) status = read_rotation(file, options, error);
  if (status == TW_OK)
    status = read_sync(tw_option_string(options, "fsync", "never"), &file->sync, error);
  file->append = tw_option_bool(options, "append", true);
  const char *path = tw_option_string(options, "path", "");
  if (status == TW_OK) status = tw_file_check_pattern(path, &file->dated, error);
  if (status == TW_OK && !(file->pattern = tw_strdup(path))) status = tw_no_memory(error);
  return status;
}

/* ------------------------------------------------------------------------- ops */

static void file_close(void *self) {
  tw_file *file = self;
  tw_file_leave(file);
  tw_line_writer_close(&file->writer);
}

static void file_free(void *self) {
  tw_file *file = self;
  file_close(file);
  tw_buffer_fini(&file->path);
  tw_free(file->pattern);
  tw_free(file);
}

static tw_status file_create(tw_event *options, void **self, tw_error *error) {
  tw_file *file = tw_calloc(1, sizeof *file);
  if (!file) return tw_no_memory(error);
  file->out.fd = -1;
  file->path_second = INT64_MIN;
  file->clock = tw_clock_utc_us;
  tw_status status = read_options(file, options, error);
  if (status == TW_OK) *self = file;
  else file_free(file);
  return status;
}

static tw_status file_open(void *self, tw_error *error) {
  tw_file *file = self;
  tw_status status = tw_line_writer_open(&file->writer, tw_file_put_lines, file, error);
  if (status == TW_OK) status = tw_file_begin(file, error);
  if (status != TW_OK) file_close(file);
  return status;
}

static tw_status file_send(void *self, tw_event *event, unsigned flags, tw_error *error) {
  return tw_line_writer_send(&((tw_file *)self)->writer, event, flags, error);
}

/* What could not be written was lost, which says more than that it could not be synced: of two
   failures the first is told. The sync is done all the same, for what had been written. */
static tw_status file_flush(void *self, uint64_t *lost, tw_error *error) {
  tw_file *file = self;
  tw_error unsynced;
  tw_status status = tw_line_writer_flush(&file->writer, lost, error);
  if (file->sync == TW_FILE_SYNC_NEVER || tw_file_sync_now(file, &unsynced) == TW_OK)
    return status;
  if (status == TW_OK && error) *error = unsynced;
  return status == TW_OK ? unsynced.code : status;
}

/* Where syncs are asked for, delivered means synced. After a sync that has failed nobody knows
   what the disk has, and the kernel forgets what it could not write: so all of the batch is to
   be written again, also what went into a file that was left meanwhile. */
static tw_status file_deliver(void *self, tw_batch *batch, tw_delivered *done,
                              tw_error *error) {
  tw_file *file = self;
  tw_error unsynced;
  file->doubtful = false;
  tw_status status = tw_line_writer_deliver(&file->writer, batch, done, error);
  if (file->sync == TW_FILE_SYNC_NEVER) return status;
  tw_status synced = tw_file_sync_now(file, &unsynced);
  if (file->doubtful) done->count = 0;
  if (file->doubtful && synced == TW_OK)
    synced = tw_fail(&unsynced, TW_EIO, "%.256s: a file before it could not be synced",
                     file->path.data);
  if (status != TW_OK || synced == TW_OK) return status;
  if (error) *error = unsynced;
  return synced;
}

/* The file that would be opened now; the one that is open may have been moved away. */
static bool file_writes_into(void *self, const struct stat *other) {
  tw_file *file = self;
  struct stat st;
  bool changed;
  return tw_file_expand(file, file->clock(), &changed, NULL) == TW_OK &&
         stat(file->path.data, &st) == 0 && tw_is_same_file(&st, other);
}

static const tw_backend_ops file_ops = {.open = file_open,
                                        .send = file_send,
                                        .flush = file_flush,
                                        .deliver = file_deliver,
                                        .close = file_close,
                                        .free = file_free};

const tw_backend_kind tw_file_kind = {
    .name = "file",
    .ops = &file_ops,
    .options = file_options,
    .option_count = sizeof file_options / sizeof *file_options,
    .flags = TW_SERIAL,
    .is_per_worker = true,
    .create = file_create,
    .writes_into = file_writes_into};

void tw_file_set_clock(tw_backend *backend, tw_file_clock clock) {
  tw_file *file = tw_backend_self(backend, &tw_file_kind);
  if (file) file->clock = clock;
}
