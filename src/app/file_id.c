/// file_id.c: device, inode, and a hash of what the file begins with.
///
/// A file that grows is hashed over the bytes that it had when it was first known, as many as
/// the id says. One that was empty then has no hash to tell it by: whoever asks waits for its
/// first line.
#include "app/file_id.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

/// Reads the first `want` bytes, or what there is of them. @return how many; -1: it failed
static ssize_t read_head(int fd, char *out, size_t want) {
  size_t got = 0;
  while (got < want) {
    ssize_t more = pread(fd, out + got, want - got, (off_t)got);
    if (more < 0 && errno == EINTR) continue;
    if (more < 0) return -1;
    if (more == 0) break;
    got += (size_t)more;
  }
  return (ssize_t)got;
}

tw_status tw_file_identify(int fd, const char *title, tw_file_id *out, tw_error *error) {
  char head[TW_HEAD_BYTES];
  struct stat info;
  ssize_t len = fstat(fd, &info) ? -1 : read_head(fd, head, sizeof head);
  if (len < 0) return tw_fail(error, TW_EIO, "%s: cannot be read: %s", title, strerror(errno));
  *out = (tw_file_id){.device = info.st_dev,
                      .inode = info.st_ino,
                      .head_hash = XXH3_64bits(head, (size_t)len),
                      .head_len = (uint32_t)len};
  return TW_OK;
}

tw_likeness tw_file_compare(int fd, const tw_file_id *known, uint64_t least) {
  char head[TW_HEAD_BYTES];
  struct stat info;
  if (fstat(fd, &info) || info.st_dev != known->device || info.st_ino != known->inode)
    return TW_FILE_OTHER;
  if ((uint64_t)info.st_size < least || known->head_len > sizeof head) return TW_FILE_CHANGED;
  ssize_t len = read_head(fd, head, known->head_len);
  bool is_same =
      len == (ssize_t)known->head_len && XXH3_64bits(head, known->head_len) == known->head_hash;
  return is_same ? TW_FILE_SAME : TW_FILE_CHANGED;
}
