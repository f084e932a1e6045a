/// file_rotate.c: moving a file away under a name of its own.
///
/// The name is the path and the time in UTC with microseconds, `events.ndjson.
/// 20261124T180405.123456Z`: of a fixed width, so that names sort by age. It is reserved
/// by making an empty file that was not there (O_EXCL) and then renaming over it: so no
/// file is ever overwritten, whoever else rotates. Only names of that shape are removed.
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "backends/file.h"
#include "backends/os.h"

/* Of "20261124T180405.123456Z"; in the pattern a digit stands for any digit. */
static const char stamp_pattern[] = "00000000T000000.000000Z";
enum { STAMP_LEN = sizeof stamp_pattern - 1 };

bool tw_file_is_due(const tw_file *file, int64_t now_us, size_t next) {
  if (!file->size) return false;
  if (file->rotate_size && file->size + next > file->rotate_size) return true;
  return file->rotate_us && now_us / file->rotate_us > file->period;
}

static bool append_stamp(tw_buffer *name, int64_t now_us) {
  struct tm utc;
  time_t second = (time_t)(now_us / 1000000);
  char text[20];
  gmtime_r(&second, &utc);
  if (strftime(text, sizeof text, "%Y%m%dT%H%M%S", &utc) != 15) return false;
  return tw_buffer_printf(name, ".%s.%06dZ", text, (int)(now_us % 1000000));
}

/* Makes an empty file that no one else has. @param[out] name  its path */
static tw_status reserve(const tw_file *file, int64_t now_us, tw_buffer *name,
                         tw_error *error) {
  for (;; now_us++) {
    name->len = 0;
    if (!tw_buffer_append(name, file->path.data, file->path.len - 1) ||
        !append_stamp(name, now_us))
      return tw_no_memory(error);
    int fd = open(name->data, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, file->mode);
    if (fd >= 0) {
      close(fd);
      return TW_OK;
    }
    if (errno != EEXIST) return tw_fail_errno(error, errno, file->path.data, "cannot rotate");
  }
}

/* ------------------------------------------------------------ removing old ones */

static bool is_stamp(const char *text) {
  if (strlen(text) != STAMP_LEN) return false;
  for (size_t i = 0; i < STAMP_LEN; i++) {
    bool digit = text[i] >= '0' && text[i] <= '9';
    if (stamp_pattern[i] == '0' ? !digit : text[i] != stamp_pattern[i]) return false;
  }
  return true;
}

/* @param[out] oldest  the stamp of the oldest rotated file. @return how many there are */
static uint64_t survey(DIR *folder, const char *base, char oldest[STAMP_LEN + 1]) {
  uint64_t count = 0;
  size_t len = strlen(base);
  rewinddir(folder);
  for (struct dirent *entry; (entry = readdir(folder));) {
    if (strncmp(entry->d_name, base, len) != 0 || entry->d_name[len] != '.') continue;
    const char *stamp = entry->d_name + len + 1;
    if (!is_stamp(stamp)) continue;
    if (!count++ || strcmp(stamp, oldest) < 0) memcpy(oldest, stamp, STAMP_LEN + 1);
  }
  return count;
}

static DIR *open_folder(const char *path, const char *slash) {
  if (!slash) return opendir(".");
  char *folder = tw_memdup(path, slash == path ? 1 : (size_t)(slash - path));
  errno = ENOMEM;
  DIR *opened = folder ? opendir(folder) : NULL;
  tw_free(folder);
  return opened;
}

/* As a rule there is one to remove; a lowered `keep` removes one after the other. */
static tw_status remove_old(const tw_file *file, tw_error *error) {
  const char *slash = strrchr(file->path.data, '/');
  const char *base = slash ? slash + 1 : file->path.data;
  char oldest[STAMP_LEN + 1] = "";
  tw_buffer name = {0};
  tw_status status = TW_OK;
  DIR *folder = open_folder(file->path.data, slash);
  if (!folder) return tw_fail_errno(error, errno, file->path.data, "cannot list rotated files");
  while (status == TW_OK && survey(folder, base, oldest) > file->keep) {
    name.len = 0;
    if (!tw_buffer_printf(&name, "%s.%s", file->path.data, oldest))
      status = tw_no_memory(error);
    else if (unlink(name.data) && errno != ENOENT)
      status = tw_fail_errno(error, errno, name.data, "cannot remove the old file");
  }
  tw_buffer_fini(&name);
  closedir(folder);
  return status;
}

tw_status tw_file_rotate(const tw_file *file, int64_t now_us, tw_error *error) {
  tw_buffer name = {0};
  tw_status status = reserve(file, now_us, &name, error);
  if (status == TW_OK && rename(file->path.data, name.data)) {
    status = tw_fail_errno(error, errno, file->path.data, "cannot rotate");
    if (name.data) unlink(name.data);
  }
  tw_buffer_fini(&name);
  if (status == TW_OK && file->keep) status = remove_old(file, error);
  return status;
}
