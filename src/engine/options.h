/// options.h: how an engine runs its script.
#ifndef TW_ENGINE_OPTIONS_H
#define TW_ENGINE_OPTIONS_H

#include "delivery/journal.h"
#include "event/path.h"
#include "script/script.h"

#define TW_MAX_WORKERS 64

typedef struct tw_engine_options {
  unsigned workers;
  char *partition_by; ///< owned; NULL: events take turns
  tw_path *key;       ///< owned: the same compiled
  bool deals;         ///< a function of the script's is the key; set by who reads the script
  size_t queue;       ///< events
  tw_overload overload;
  uint64_t block_ns; ///< 0: without end
  bool watch;
  double watchdog_errors;
  uint64_t watchdog_ns; ///< 0: there is none
  tw_limits limits;
  char *spool; ///< folder, owned; NULL: there is none
  tw_durability durability;
  bool has_outboxes; ///< a spool, `durability` or `delivery` was given, there or of a backend
  bool awaits_delivery; ///< `ack` is "delivered"
  uint64_t spool_bytes, spool_free, group_bytes, group_ns, sync_ns, dead_bytes;
  char *delivery; ///< options of deliveries, JSON, owned; NULL: {}
  size_t delivery_len;
} tw_engine_options;

/// What the host lets the script do and use.
typedef struct tw_engine_sandbox {
  tw_script_options script;
  char *names, *path;     ///< owned: texts that it points to
  const char *grants[17]; ///< names in `names`
} tw_engine_sandbox;

/// Reads it from the host's options, which alone can say it.
/// @param[out] out  must not move; to be ended with tw_engine_sandbox_fini, also on failure
tw_status tw_engine_sandbox_read(const char *host, size_t len, tw_engine_sandbox *out,
                                 tw_error *error);
void tw_engine_sandbox_fini(tw_engine_sandbox *sandbox);

/// Reads the host's options, and the script's where the host gives none.
/// @param host, script  JSON objects
/// @param[out] out  to be ended with tw_engine_options_fini, also on failure
tw_status tw_engine_options_read(const char *host, size_t host_len, const char *script,
                                 size_t script_len, tw_engine_options *out, tw_error *error);
void tw_engine_options_fini(tw_engine_options *options);
/// Tells which setting a running engine cannot change. The others are taken over.
tw_status tw_engine_options_change(tw_engine_options *now, const tw_engine_options *next,
                                   tw_error *error);

#endif
