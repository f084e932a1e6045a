/// trail.c: one look at the path, and one through its folder.
///
/// What is known is looked for under any name. What is not known is taken for a file of this
/// source only when all of this holds: the file that is there now is new; a known one was found
/// under another name; this one's name is that of a rotated file, and it was written to after
/// the newest known one. A known one's place on the disk, taken by other contents under such a
/// name, counts as well. So a source that was rotated twice while nobody looked is read whole.
#include "app/trail.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

void tw_trail_fini(tw_trail *trail) {
  for (size_t i = 0; i < trail->count; i++) tw_free(trail->files[i].path);
  tw_free(trail->files);
  *trail = (tw_trail){0};
}

static tw_trail_file *append(tw_trail *trail) {
  if (trail->count == trail->cap) {
    size_t cap = trail->cap ? trail->cap * 2 : 4;
    tw_trail_file *files = tw_realloc(trail->files, cap * sizeof *files);
    if (!files) return NULL;
    trail->files = files;
    trail->cap = cap;
  }
  tw_trail_file *file = &trail->files[trail->count++];
  *file = (tw_trail_file){0};
  return file;
}

bool tw_trail_add(tw_trail *trail, const tw_position *position) {
  tw_trail_file *file = append(trail);
  if (!file) return false;
  size_t count = position->count;
  file->is_known = true;
  file->id = (tw_file_id){.device = position->device,
                          .inode = position->inode,
                          .head_hash = position->head_hash,
                          .head_len = position->head_len};
  file->offset = position->offset;
  file->line = position->line;
  file->end = count ? position->ranges[count - 1].end : position->offset;
  return true;
}

/* -------------------------------------------------------------------- names */

/// @param digits  that it has at least
/// @return the length of a number or a date with a separator before it; 0: there is none
static size_t rotation_mark(const char *text, size_t digits) {
  size_t len = strspn(text, "0123456789-_.:T"), count = 0;
  for (size_t i = 0; i < len; i++) count += isdigit((unsigned char)text[i]) != 0;
  return strchr("-_.", *text) && count >= digits ? len : 0;
}

/// `app.log` becomes `app.log.1`, `app.log-20260102` or `app-2026-01-02.log`; but `app-2.log`
/// is the log of something else.
bool tw_is_rotated_name(const char *base, const char *name) {
  size_t whole = strlen(base), len = strlen(name);
  if (len <= whole) return false;
  if (strncmp(name, base, whole) == 0) {
    size_t mark = rotation_mark(name + whole, 1);
    return mark && !name[whole + mark];
  }
  const char *extension = strrchr(base, '.');
  if (!extension || extension == base) return false;
  size_t stem = (size_t)(extension - base), tail = strlen(extension);
  if (strncmp(name, base, stem) != 0 || strcmp(name + len - tail, extension) != 0) return false;
  return rotation_mark(name + stem, 6) >= len - tail - stem; // it may run into the dot
}

/* --------------------------------------------------------------------- scan */

/// A look through a folder.
typedef struct tw_scan {
  tw_trail *trail;
  size_t known;        ///< files at the trail's beginning that were known before
  const char *folder;  ///< with its slash; "" is the working one
  const char *base;    ///< the source's name in it
  struct stat current; ///< what is under that name, if anything
  bool has_current;
  bool has_new; ///< and it was not known
} tw_scan;

static int64_t modified(const struct stat *info) {
  return (int64_t)info->st_mtim.tv_sec * 1000000000 + info->st_mtim.tv_nsec;
}

static char *join(const char *folder, const char *name) {
  size_t front = strlen(folder), back = strlen(name);
  char *path = tw_malloc(front + back + 1);
  if (!path) return NULL;
  memcpy(path, folder, front);
  memcpy(path + front, name, back);
  path[front + back] = 0;
  return path;
}

static tw_likeness compare(const char *path, const tw_trail_file *file) {
  int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
  if (fd < 0) return TW_FILE_OTHER;
  tw_likeness likeness = tw_file_compare(fd, &file->id, file->end);
  close(fd);
  return likeness;
}

static tw_status add_between(tw_trail *trail, const char *path, const struct stat *info,
                             tw_error *error) {
  tw_trail_file *file = append(trail);
  if (!file || !(file->path = join("", path))) return tw_no_memory(error);
  file->where = TW_FILE_BETWEEN;
  file->id = (tw_file_id){.device = info->st_dev, .inode = info->st_ino};
  file->modified = modified(info);
  return TW_OK;
}

/// A known file that is here, or was: what has its place and a rotated name is to be read.
static tw_status meet_at(const tw_scan *scan, size_t index, const char *name, const char *path,
                         const struct stat *info, tw_error *error) {
  tw_trail_file *file = &scan->trail->files[index];
  switch (compare(path, file)) {
    case TW_FILE_OTHER: break;
    case TW_FILE_SAME:
      file->path = join("", path);
      file->where = TW_FILE_FORMER;
      file->modified = modified(info);
      return file->path ? TW_OK : tw_no_memory(error);
    case TW_FILE_CHANGED:
      if (!tw_is_rotated_name(scan->base, name)) break;
      file->where = TW_FILE_REWRITTEN;
      return add_between(scan->trail, path, info, error);
  }
  return TW_OK;
}

/// Whether it is one of the known files that are not found yet.
static tw_status meet(const tw_scan *scan, const char *name, const struct stat *info,
                      tw_error *error) {
  tw_status status = TW_OK;
  for (size_t i = 0; i < scan->known && !status; i++) {
    const tw_trail_file *file = &scan->trail->files[i];
    if (file->where != TW_FILE_GONE || file->id.device != info->st_dev ||
        file->id.inode != info->st_ino)
      continue;
    char *path = join(scan->folder, name);
    status = path ? meet_at(scan, i, name, path, info, error) : tw_no_memory(error);
    tw_free(path);
  }
  return status;
}

static bool is_met(const tw_scan *scan, const struct stat *info) {
  for (size_t i = 0; i < scan->trail->count; i++) {
    const tw_trail_file *file = &scan->trail->files[i];
    if (file->path && file->id.device == info->st_dev && file->id.inode == info->st_ino)
      return true;
  }
  return false;
}

static tw_status suspect(const tw_scan *scan, const char *name, const struct stat *info,
                         tw_error *error) {
  if (is_met(scan, info) || !tw_is_rotated_name(scan->base, name)) return TW_OK;
  char *path = join(scan->folder, name);
  tw_status status = path ? add_between(scan->trail, path, info, error) : tw_no_memory(error);
  tw_free(path);
  return status;
}

typedef tw_status (*tw_entry_fn)(const tw_scan *scan, const char *name, const struct stat *info,
                                 tw_error *error);

/// Visits the regular files of the folder but for the current one.
static tw_status visit(const tw_scan *scan, tw_entry_fn entry, tw_error *error) {
  const char *path = *scan->folder ? scan->folder : ".";
  DIR *folder = opendir(path);
  if (!folder)
    return tw_fail(error, TW_EIO, "%s: the folder cannot be read: %s", path, strerror(errno));
  tw_status status = TW_OK;
  for (struct dirent *item; !status && (item = readdir(folder));) {
    struct stat info;
    if (fstatat(dirfd(folder), item->d_name, &info, AT_SYMLINK_NOFOLLOW) ||
        !S_ISREG(info.st_mode))
      continue;
    bool is_current = scan->has_current && info.st_dev == scan->current.st_dev &&
                      info.st_ino == scan->current.st_ino;
    if (!is_current) status = entry(scan, item->d_name, &info, error);
  }
  closedir(folder);
  return status;
}

/* --------------------------------------------------------------------- find */

/// What is under the name now: one of the known files, or a new one. Goes to the end.
static tw_status find_current(tw_scan *scan, const char *path, tw_error *error) {
  tw_trail *trail = scan->trail;
  tw_trail_file current = {.where = TW_FILE_CURRENT};
  if (stat(path, &scan->current)) return TW_OK;
  scan->has_current = scan->has_new = true;
  current.modified = modified(&scan->current);
  for (size_t i = 0; i < scan->known; i++) {
    tw_likeness likeness = compare(path, &trail->files[i]);
    if (likeness == TW_FILE_CHANGED) trail->files[i].where = TW_FILE_REWRITTEN;
    if (likeness != TW_FILE_SAME) continue;
    current = trail->files[i];
    current.where = TW_FILE_CURRENT;
    current.modified = modified(&scan->current);
    memmove(trail->files + i, trail->files + i + 1,
            (--trail->count - i) * sizeof *trail->files);
    scan->known--;
    scan->has_new = false;
    break;
  }
  current.path = join("", path);
  tw_trail_file *last = current.path ? append(trail) : NULL;
  if (last) *last = current;
  else tw_free(current.path);
  return last ? TW_OK : tw_no_memory(error);
}

static bool is_missing_one(const tw_scan *scan) {
  for (size_t i = 0; i < scan->known; i++)
    if (scan->trail->files[i].where == TW_FILE_GONE) return true;
  return false;
}

/// @return when the newest file that has another name was written to; INT64_MAX: there is none
static int64_t newest_former(const tw_scan *scan) {
  int64_t newest = INT64_MIN;
  for (size_t i = 0; i < scan->trail->count; i++) {
    const tw_trail_file *file = &scan->trail->files[i];
    bool is_former = file->where == TW_FILE_FORMER || file->where == TW_FILE_BETWEEN;
    if (is_former && file->modified > newest) newest = file->modified;
  }
  return newest == INT64_MIN ? INT64_MAX : newest;
}

/// @param from  those before it stay
static void drop_older(tw_trail *trail, size_t from, int64_t than) {
  size_t kept = from;
  for (size_t i = from; i < trail->count; i++) {
    tw_trail_file *file = &trail->files[i];
    if (file->where == TW_FILE_BETWEEN && file->modified < than) tw_free(file->path);
    else trail->files[kept++] = *file;
  }
  trail->count = kept;
}

/// The files that came and went while nobody looked.
static tw_status find_between(const tw_scan *scan, tw_error *error) {
  int64_t since = newest_former(scan);
  if (!scan->has_new || since == INT64_MAX) return TW_OK;
  size_t count = scan->trail->count;
  tw_status status = visit(scan, suspect, error);
  if (!status) drop_older(scan->trail, count, since);
  return status;
}

/// What is not read first, the current one last, the others by time.
static int by_time(const void *one, const void *other) {
  static const int rank[] = {[TW_FILE_GONE] = 0,
                             [TW_FILE_REWRITTEN] = 0,
                             [TW_FILE_FORMER] = 1,
                             [TW_FILE_BETWEEN] = 1,
                             [TW_FILE_CURRENT] = 2};
  const tw_trail_file *a = one, *b = other;
  if (rank[a->where] != rank[b->where]) return rank[a->where] - rank[b->where];
  if (a->modified != b->modified) return a->modified < b->modified ? -1 : 1;
  return a->path && b->path ? strcmp(b->path, a->path) : 0; // log.2 is older than log.1
}

tw_status tw_trail_find(tw_trail *trail, const char *path, tw_error *error) {
  const char *slash = strrchr(path, '/');
  const char *base = slash ? slash + 1 : path;
  char *folder = tw_malloc((size_t)(base - path) + 1);
  if (!folder) return tw_no_memory(error);
  memcpy(folder, path, (size_t)(base - path));
  folder[base - path] = 0;
  tw_scan scan = {.trail = trail, .known = trail->count, .folder = folder, .base = base};
  tw_status status = find_current(&scan, path, error);
  if (!status && is_missing_one(&scan)) status = visit(&scan, meet, error);
  if (!status) status = find_between(&scan, error);
  if (trail->count) qsort(trail->files, trail->count, sizeof *trail->files, by_time);
  tw_free(folder);
  return status;
}
