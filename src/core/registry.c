/* The trackers that the process knows by name, in ascending order of name: the one mutable
   state of the process. A list is enough, as programs have a few trackers and look one up
   once. It holds a reference of each; its memory goes with the last entry. */
#include <pthread.h>
#include <string.h>

#include "base/alloc.h"
#include "core/names.h"

typedef struct entry {
  char *name;
  tw_tracker *tracker;
} entry;

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static entry *entries;
static size_t count, cap;

static const char *or_default(const char *name) { return name ? name : "default"; }

/* Where the name is, or would be. */
static bool find(const char *name, size_t *at) {
  for (*at = 0; *at < count; ++*at) {
    int order = strcmp(entries[*at].name, name);
    if (order >= 0) return order == 0;
  }
  return false;
}

static bool reserve(void) {
  if (count < cap) return true;
  size_t wanted = cap ? cap * 2 : 4;
  entry *grown = tw_realloc(entries, wanted * sizeof *grown);
  if (!grown) return false;
  entries = grown;
  cap = wanted;
  return true;
}

static bool insert(size_t at, const char *name, tw_tracker *tracker) {
  char *copy = reserve() ? tw_strdup(name) : NULL;
  if (!copy) return false;
  memmove(entries + at + 1, entries + at, (count - at) * sizeof *entries);
  entries[at] = (entry){copy, tracker};
  count++;
  return true;
}

/* What was found under the lock is let go without it: that may call back. */
tw_status tw_register_tracker(tw_tracker *tracker, const char *name, tw_error *error) {
  size_t at;
  tw_tracker *before = NULL;
  name = or_default(name);
  if (!*name) return tw_fail(error, TW_EINVAL, "the tracker's name is empty");
  tw_tracker_ref(tracker);
  pthread_mutex_lock(&mutex);
  bool fits = true;
  if (find(name, &at)) {
    before = entries[at].tracker;
    entries[at].tracker = tracker;
  } else {
    fits = insert(at, name, tracker);
  }
  pthread_mutex_unlock(&mutex);
  tw_tracker_unref(fits ? before : tracker);
  return fits ? TW_OK : tw_no_memory(error);
}

/* Under the lock. */
static tw_status fail_unknown(const char *name, tw_error *error) {
  const char *known[32];
  size_t shown = count < 32 ? count : 32;
  for (size_t i = 0; i < shown; i++) known[i] = entries[i].name;
  return tw_fail_unknown(error, TW_ENOENT, "no tracker", name, known, shown,
                         "none is registered");
}

tw_status tw_unregister_tracker(const char *name, tw_error *error) {
  size_t at;
  entry gone = {NULL, NULL};
  tw_status status = TW_OK;
  name = or_default(name);
  pthread_mutex_lock(&mutex);
  if (find(name, &at)) {
    gone = entries[at];
    memmove(entries + at, entries + at + 1, (--count - at) * sizeof *entries);
  } else {
    status = fail_unknown(name, error);
  }
  if (!count) {
    tw_free(entries);
    entries = NULL;
    cap = 0;
  }
  pthread_mutex_unlock(&mutex);
  tw_free(gone.name);
  tw_tracker_unref(gone.tracker);
  return status;
}

tw_status tw_get_tracker(const char *name, tw_tracker **out, tw_error *error) {
  size_t at;
  tw_status status = TW_OK;
  *out = NULL;
  name = or_default(name);
  pthread_mutex_lock(&mutex);
  if (find(name, &at)) *out = tw_tracker_ref(entries[at].tracker);
  else status = fail_unknown(name, error);
  pthread_mutex_unlock(&mutex);
  return status;
}
