/// kinds.h: the kinds of backends that ship with Tidewire, one for each file of this layer.
#ifndef TW_BACKENDS_KINDS_H
#define TW_BACKENDS_KINDS_H

#include "core/kind.h"

extern const tw_backend_kind tw_file_kind;
extern const tw_backend_kind tw_memory_kind;
extern const tw_backend_kind tw_null_kind;
extern const tw_backend_kind tw_sqlite_kind;
extern const tw_backend_kind tw_stdout_kind;

#endif
