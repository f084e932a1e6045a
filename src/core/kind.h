/// kind.h: a kind of backend or processor that is made from options.
#ifndef TW_CORE_KIND_H
#define TW_CORE_KIND_H

#include <sys/stat.h>

#include "core/options.h"

typedef struct tw_backend_kind {
  const char *name;
  const tw_backend_ops *ops;
  const tw_option *options;
  size_t option_count;
  unsigned flags; ///< TW_SERIAL or 0
  /// Workers have one each: several may write to the same place at the same time.
  bool is_per_worker;
  /// Makes the `self` of the ops. The options are checked already; borrowed for the call.
  tw_status (*create)(tw_event *options, void **self, tw_error *error);
  /// For tw_backend_stats.duplicate: how many events it was sent that it had already.
  /// Called from any thread, at the same time as the ops. May be NULL.
  uint64_t (*duplicates)(const void *self);
  /// Whether it would write into this file if it were opened now. Called while it is not
  /// open; opens nothing. May be NULL: it writes into none.
  bool (*writes_into)(void *self, const struct stat *file);
} tw_backend_kind;

/// @return whether the kind of this name has that set; false for an unknown one. It is defined
///         where the kinds are, as tw_backend_new_kind
bool tw_backend_kind_is_per_worker(const char *kind);
/// Makes a backend of a kind: parses and checks the options, calls `create`, and remembers
/// kind and options (see tw_backend_kind_name).
tw_status tw_backend_from_kind(const tw_backend_kind *kind, const char *options, size_t len,
                               tw_backend **out, tw_error *error);
/// @return the kind's name, "custom" for tw_backend_new
const char *tw_backend_kind_name(const tw_backend *backend);
/// @return whether a backend that is not open yet would write into this file
bool tw_backend_writes_into(const tw_backend *backend, const struct stat *file);
/// @return whether both are the same file
static inline bool tw_is_same_file(const struct stat *a, const struct stat *b) {
  return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}
/// @return the ops' self, for functions of one kind; NULL when the backend is of another kind
void *tw_backend_self(tw_backend *backend, const tw_backend_kind *kind);

typedef struct tw_processor_kind {
  const char *name;
  const tw_processor_ops *ops;
  const tw_option *options;
  size_t option_count;
  tw_status (*create)(tw_event *options, void **self, tw_error *error);
} tw_processor_kind;

#endif
