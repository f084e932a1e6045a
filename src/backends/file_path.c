/// file_path.c: the path's strftime fields, in UTC.
///
/// Only fields that make digits are known, so that a path never depends on the locale.
#include <string.h>
#include <time.h>

#include "backends/file.h"
#include "base/status.h"

#define FIELDS "YCymdjHMSFTRGgVUWuw"

/* A path's longest: PATH_MAX of Linux with its NUL. */
enum { PATH_ROOM = 4096 };

tw_status tw_file_check_pattern(const char *pattern, bool *dated, tw_error *error) {
  *dated = false;
  for (const char *at = strchr(pattern, '%'); at; at = strchr(at + 2, '%')) {
    *dated = true;
    if (!at[1] || !strchr(FIELDS "%", at[1]))
      return tw_fail(
          error, TW_EINVAL,
          "file: path: \"%%%.1s\" is no field of time that is known here; use %%Y %%m "
          "%%d %%H %%M %%S %%F %%T %%j and their like, and %%%% for a percent sign",
          at + 1);
  }
  return TW_OK;
}

static tw_status expand(const tw_file *file, time_t second, char out[PATH_ROOM],
                        tw_error *error) {
  if (!file->dated) {
    size_t len = strlen(file->pattern);
    if (len < PATH_ROOM) {
      memcpy(out, file->pattern, len + 1);
      return TW_OK;
    }
  } else {
    struct tm utc;
    gmtime_r(&second, &utc);
    if (strftime(out, PATH_ROOM, file->pattern, &utc)) return TW_OK;
  }
  return tw_fail(error, TW_EINVAL, "file: path: longer than %d bytes", PATH_ROOM - 1);
}

/* The path can change only when the second does. */
tw_status tw_file_expand(tw_file *file, int64_t now_us, bool *changed, tw_error *error) {
  int64_t second = now_us / 1000000;
  *changed = false;
  if (file->path_second != INT64_MIN && (!file->dated || file->path_second == second))
    return TW_OK;
  char path[PATH_ROOM];
  tw_status status = expand(file, (time_t)second, path, error);
  if (status != TW_OK) return status;
  file->path_second = second;
  if (file->path.len && !strcmp(file->path.data, path)) return TW_OK;
  size_t len = strlen(path) + 1;
  if (!tw_buffer_reserve(&file->path, len)) {
    file->path_second = INT64_MIN;
    return tw_no_memory(error);
  }
  memcpy(file->path.data, path, len);
  file->path.len = len;
  *changed = true;
  return TW_OK;
}
