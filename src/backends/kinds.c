/// kinds.c: from a kind's name to a backend.
#include "backends/kinds.h"

#include <string.h>

#include "base/status.h"
#include "core/names.h"

/* In ascending order, as messages list them. */
enum { KIND_COUNT = 5 };
static const tw_backend_kind *const kinds[KIND_COUNT] = {
    &tw_file_kind, &tw_memory_kind, &tw_null_kind, &tw_sqlite_kind, &tw_stdout_kind};

static tw_status unknown_kind(const char *name, tw_error *error) {
  const char *names[KIND_COUNT];
  for (size_t i = 0; i < KIND_COUNT; i++) names[i] = kinds[i]->name;
  return tw_fail_unknown(error, TW_ENOENT, "no kind of backend", name, names, KIND_COUNT, "");
}

static const tw_backend_kind *find(const char *name) {
  for (size_t i = 0; i < KIND_COUNT; i++)
    if (strcmp(kinds[i]->name, name) == 0) return kinds[i];
  return NULL;
}

tw_status tw_backend_new_kind(const char *kind, const char *options, size_t len,
                              tw_backend **out, tw_error *error) {
  *out = NULL;
  if (!kind) return tw_fail(error, TW_EINVAL, "kind: NULL is no kind of backend");
  const tw_backend_kind *found = find(kind);
  return found ? tw_backend_from_kind(found, options, len, out, error)
               : unknown_kind(kind, error);
}

bool tw_backend_kind_is_per_worker(const char *kind) {
  const tw_backend_kind *found = find(kind);
  return found && found->is_per_worker;
}
