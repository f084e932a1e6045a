/// summary.h: what a run tells at its end.
#ifndef TW_APP_SUMMARY_H
#define TW_APP_SUMMARY_H

#include "app/options.h"
#include "app/sink.h"
#include "core/block.h"

typedef struct tw_summary {
  const char *script;
  const tw_tally *tally;
  tw_engine *engine; ///< closed: its counts are final
  const tw_sink *rejects, *dead;
  uint64_t unfinished; ///< last lines without a newline that were left
  const char *spool;   ///< its folder; NULL: there is none
  double seconds;      ///< of wall-clock time
  double cpu_seconds;  ///< user and system
  uint64_t peak;       ///< bytes of memory, at most at one time
  int caught;          ///< the signal that ended it, or 0
  int status;          ///< the exit status
} tw_summary;

/// Aligned for people. It is left to the caller to write it.
void tw_summary_text(const tw_summary *summary, const tw_term *term, tw_buffer *out);
/// One JSON object and a newline.
void tw_summary_json(const tw_summary *summary, tw_buffer *out);

/// Sums over the tree.
typedef struct tw_totals {
  uint64_t sent, failed, duplicate; ///< of backends
  uint64_t waiting;                 ///< in outboxes
  bool has_outboxes;
  uint64_t failures, dead; ///< of processors and routes
  size_t routers;          ///< with the root
  int width;               ///< of the longest path with its kind
} tw_totals;
tw_totals tw_summary_totals(tw_engine *engine);

/// @return the process's largest resident memory in bytes; 0 when it cannot be told
uint64_t tw_peak_memory(void);

#endif
