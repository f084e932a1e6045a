/* A list of files that only grows, the newest first: a script has few. What was read stays
   where it is until the snapshot goes, so that readers hold no lock.

   A file is known again by its place, size and times, taken from the open file before it is
   read: a change while it is being read shows too. The system's clock for these times stands
   still for some milliseconds, and another one may keep those of a network's files. So one that
   had changed shortly before it was read may change again without a trace, and is compared by
   its text.

   What was looked for in vain is kept too, as a file without text: it is changed when it comes.
   So that a script which looks for ever more names takes no memory, only of so many. */
#include "script/sandbox/snapshot.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/status.h"

/* As long as a file counts as changed just now. */
enum { FRESH_SECONDS = 2 };
enum { MAX_MISSING = 256 };

typedef struct file {
  struct file *next;
  tw_source source;
  tw_buffer text;
  struct stat info;
  bool is_fresh;   /* it had changed shortly before */
  bool is_missing; /* there was nothing to read */
  tw_error why;    /* of a missing one */
} file;

struct tw_snapshot {
  atomic_uint refs;
  pthread_mutex_t mutex;
  file *files; /* guarded, as is all below */
  unsigned missing;
  bool is_complete; /* nothing is read any more */
  bool is_partial;  /* of something that was asked for it knows nothing */
};

tw_snapshot *tw_snapshot_new(void) {
  tw_snapshot *snapshot = tw_calloc(1, sizeof *snapshot);
  if (!snapshot) return NULL;
  atomic_init(&snapshot->refs, 1);
  pthread_mutex_init(&snapshot->mutex, NULL);
  return snapshot;
}

tw_snapshot *tw_snapshot_ref(tw_snapshot *snapshot) {
  atomic_fetch_add_explicit(&snapshot->refs, 1, memory_order_relaxed);
  return snapshot;
}

static void free_file(file *gone) {
  tw_buffer_fini(&gone->text);
  tw_free((char *)gone->source.path);
  tw_free(gone);
}

void tw_snapshot_unref(tw_snapshot *snapshot) {
  if (!snapshot || atomic_fetch_sub_explicit(&snapshot->refs, 1, memory_order_acq_rel) != 1)
    return;
  while (snapshot->files) {
    file *gone = snapshot->files;
    snapshot->files = gone->next;
    free_file(gone);
  }
  pthread_mutex_destroy(&snapshot->mutex);
  tw_free(snapshot);
}

/* -------------------------------------------------------------------- read */

static tw_status fail(tw_error *error) {
  if (errno == ENOMEM) return tw_no_memory(error);
  return tw_fail(error, TW_EIO, "%s", strerror(errno));
}

static tw_status read_all(int fd, tw_buffer *out, tw_error *error) {
  ssize_t got;
  do {
    if (!tw_buffer_reserve(out, 16384)) return tw_no_memory(error);
    got = read(fd, out->data + out->len, out->cap - out->len);
    if (got > 0) out->len += (size_t)got;
  } while (got > 0 || (got < 0 && errno == EINTR));
  return got < 0 ? fail(error) : TW_OK;
}

/* A pipe or a device might never end. */
static tw_status read_open(int fd, file *out, tw_error *error) {
  struct timespec now;
  if (fstat(fd, &out->info)) return fail(error);
  errno = EISDIR;
  if (S_ISDIR(out->info.st_mode)) return fail(error);
  if (!S_ISREG(out->info.st_mode)) return tw_fail(error, TW_EIO, "Not a regular file");
  clock_gettime(CLOCK_REALTIME, &now);
  out->is_fresh = out->info.st_ctim.tv_sec + FRESH_SECONDS >= now.tv_sec;
  return read_all(fd, &out->text, error);
}

static tw_status read_file(const char *path, file *out, tw_error *error) {
  out->source.path = tw_strdup(path);
  if (!out->source.path) return tw_no_memory(error);
  int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) return fail(error);
  tw_status status = read_open(fd, out, error);
  close(fd);
  out->source.text = out->text.data;
  out->source.len = out->text.len;
  return status;
}

static const file *find(const tw_snapshot *snapshot, const char *path) {
  const file *at = snapshot->files;
  while (at && strcmp(at->source.path, path) != 0) at = at->next;
  return at;
}

static bool is_there(const char *path) {
  struct stat info;
  return stat(path, &info) == 0 && S_ISREG(info.st_mode) && access(path, R_OK) == 0;
}

/* What is there and could not be read, as for want of descriptors, may be read the next time.
 */
static bool is_kept(tw_snapshot *snapshot, file *fresh, tw_status status, const tw_error *why) {
  if (status == TW_OK) return true;
  fresh->is_missing =
      status == TW_EIO && snapshot->missing < MAX_MISSING && !is_there(fresh->source.path);
  snapshot->missing += fresh->is_missing;
  snapshot->is_partial |= !fresh->is_missing;
  fresh->why = *why;
  return fresh->is_missing;
}

static tw_status add(tw_snapshot *snapshot, const char *path, const tw_source **out,
                     tw_error *error) {
  tw_error why = {0};
  file *fresh = tw_calloc(1, sizeof *fresh);
  if (!fresh) {
    snapshot->is_partial = true;
    return tw_no_memory(error);
  }
  tw_status status = read_file(path, fresh, &why);
  if (is_kept(snapshot, fresh, status, &why)) {
    fresh->next = snapshot->files;
    snapshot->files = fresh;
  } else {
    free_file(fresh);
  }
  if (status && error) *error = why;
  if (status == TW_OK) *out = &fresh->source;
  return status;
}

/* @return what reading it came to */
static tw_status give(const file *known, const tw_source **out, tw_error *error) {
  if (!known->is_missing) *out = &known->source;
  else if (error) *error = known->why;
  return known->is_missing ? TW_EIO : TW_OK;
}

tw_status tw_snapshot_read(tw_snapshot *snapshot, const char *path, const tw_source **out,
                           tw_error *error) {
  *out = NULL;
  pthread_mutex_lock(&snapshot->mutex);
  const file *known = find(snapshot, path);
  tw_status status = TW_OK;
  if (known) status = give(known, out, error);
  else if (snapshot->is_complete) status = tw_fail(error, TW_ECLOSED, "was not read in time");
  else status = add(snapshot, path, out, error);
  pthread_mutex_unlock(&snapshot->mutex);
  return status;
}

void tw_snapshot_complete(tw_snapshot *snapshot) {
  pthread_mutex_lock(&snapshot->mutex);
  snapshot->is_complete = true;
  pthread_mutex_unlock(&snapshot->mutex);
}

/* ----------------------------------------------------------------- compare */

static bool is_same_time(const struct timespec *a, const struct timespec *b) {
  return a->tv_sec == b->tv_sec && a->tv_nsec == b->tv_nsec;
}

static bool has_same_text(const file *known) {
  file now = {0};
  tw_error ignored;
  bool is_same = read_file(known->source.path, &now, &ignored) == TW_OK &&
                 now.text.len == known->text.len &&
                 (!now.text.len || memcmp(now.text.data, known->text.data, now.text.len) == 0);
  tw_buffer_fini(&now.text);
  tw_free((char *)now.source.path);
  return is_same;
}

static bool is_unchanged(const file *known) {
  struct stat now;
  const struct stat *then = &known->info;
  if (known->is_missing) return !is_there(known->source.path);
  return stat(known->source.path, &now) == 0 && now.st_dev == then->st_dev &&
         now.st_ino == then->st_ino && now.st_size == then->st_size &&
         is_same_time(&now.st_mtim, &then->st_mtim) &&
         is_same_time(&now.st_ctim, &then->st_ctim) &&
         (!known->is_fresh || has_same_text(known));
}

bool tw_snapshot_is_current(tw_snapshot *snapshot) {
  pthread_mutex_lock(&snapshot->mutex);
  const file *at = snapshot->files;
  while (at && is_unchanged(at)) at = at->next;
  pthread_mutex_unlock(&snapshot->mutex);
  return !at;
}

bool tw_snapshot_is_whole(tw_snapshot *snapshot) {
  pthread_mutex_lock(&snapshot->mutex);
  bool is_whole = !snapshot->is_partial;
  pthread_mutex_unlock(&snapshot->mutex);
  return is_whole;
}

void tw_snapshot_visit(tw_snapshot *snapshot, void (*visit)(void *self, const char *path),
                       void *self) {
  pthread_mutex_lock(&snapshot->mutex);
  for (const file *at = snapshot->files; at; at = at->next)
    if (!at->is_missing) visit(self, at->source.path);
  pthread_mutex_unlock(&snapshot->mutex);
}
