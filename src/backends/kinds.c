/// kinds.c: from a kind's name to a backend.
#include "backends/kinds.h"

#include <string.h>

#include "base/status.h"
#include "base/suggest.h"

/* In ascending order, as messages list them. */
static const tw_backend_kind *const kinds[] = {&tw_file_kind, &tw_memory_kind, &tw_null_kind,
                                               &tw_sqlite_kind, &tw_stdout_kind};
enum { KIND_COUNT = sizeof kinds / sizeof *kinds };
#define KNOWN_KINDS "file, memory, null, sqlite, stdout"

static tw_status unknown_kind(const char *name, tw_error *error) {
  const char *names[KIND_COUNT];
  for (size_t i = 0; i < KIND_COUNT; i++) names[i] = kinds[i]->name;
  const char *near = tw_suggest(name, names, KIND_COUNT);
  if (near)
    return tw_fail(error, TW_ENOENT,
                   "unknown kind of backend \"%.64s\"; did you mean \"%s\"? "
                   "Known kinds: " KNOWN_KINDS,
                   name, near);
  return tw_fail(error, TW_ENOENT,
                 "unknown kind of backend \"%.64s\"; known kinds: " KNOWN_KINDS, name);
}

tw_status tw_backend_new_kind(const char *kind, const char *options, size_t len,
                              tw_backend **out, tw_error *error) {
  *out = NULL;
  if (!kind) return tw_fail(error, TW_EINVAL, "kind: NULL; known kinds: " KNOWN_KINDS);
  for (size_t i = 0; i < KIND_COUNT; i++)
    if (!strcmp(kinds[i]->name, kind))
      return options ? tw_backend_from_kind(kinds[i], options, len, out, error)
                     : tw_backend_from_kind(kinds[i], "{}", 2, out, error);
  return unknown_kind(kind, error);
}
