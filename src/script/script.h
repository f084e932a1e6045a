/// script.h: a router script, loaded into a Lua state of its own.
#ifndef TW_SCRIPT_SCRIPT_H
#define TW_SCRIPT_SCRIPT_H

#include "script/object/host.h"
#include "script/object/pool.h"
#include "script/sandbox/snapshot.h"

typedef struct tw_script tw_script;

/// What a script may do and use. Zero means the default.
///
/// Instructions and time are those of all processors, routes and backends of the script for one
/// event that tw_script_deliver sends; and of each call without an event, such as a timer's or
/// a flush. Loading the script counts as one call with ten times the limits.
typedef struct tw_script_options {
  const char *const *grants; ///< of "io", "os", "debug", "package", "bytecode", "lpeg";
                             ///< NULL-terminated; NULL: none
  const char *package_path;  ///< where `require` looks, too: templates, as Lua's own
  size_t memory;             ///< bytes of its Lua state: 64 MiB
  uint64_t instructions;     ///< for an event: 10 million
  double seconds;            ///< of processor time for an event: 1
  double cool_down;          ///< seconds that a function rests after five kills: 10
} tw_script_options;

/// For `memory` and `instructions`: no limit. No limit of `seconds` is INFINITY.
#define TW_NO_LIMIT UINT64_MAX

/// @return TW_EINVAL for an unknown grant
tw_status tw_script_check_options(const tw_script_options *options, tw_error *error);

/// What a script is to others of its kind. Zeroed: it stands alone.
typedef struct tw_script_setup {
  tw_pool *pool;         ///< of its shipped backends, borrowed; NULL: they are its own
  unsigned worker;       ///< whose it is, of those that share the pool
  tw_snapshot *snapshot; ///< of its files, a reference is taken; NULL: one of its own
  uint64_t generation;   ///< what `event.generation` is; 0: none
  const tw_host *host;   ///< what it may name, borrowed as long as it lives; NULL: nothing
  bool is_rehearsal;     ///< every backend is one in memory, for tw_script_rehearse
  const tw_script_options *options; ///< borrowed while it loads; NULL: the defaults
} tw_script_setup;

/// Loads and runs a Lua file that returns a router. Opens nothing.
///
/// `require` finds modules beside the script and in `package_path`, the `tidewire.*` modules
/// and `cjson`.
/// @param options  may be NULL; copied
/// @param[out] out  owned; belongs to the thread that uses it
/// @return TW_OK; TW_EINVAL for an unknown grant; TW_EIO when the file cannot be read;
/// TW_ESCRIPT for everything that is
///         wrong in the script, and TW_ELIMIT when it passes a limit, the message beginning
///         with `file:line: `
tw_status tw_script_load_with(const char *path, const tw_script_options *options,
                              tw_script **out, tw_error *error);
/// The same with the defaults.
tw_status tw_script_load(const char *path, tw_script **out, tw_error *error);
/// The same as one of several. @param setup  copied
tw_status tw_script_load_as(const char *path, const tw_script_setup *setup, tw_script **out,
                            tw_error *error);
/// Runs the `tests` that the router declares; the script must be a rehearsal.
/// @return TW_OK, or TW_ESCRIPT: the message says which test failed, and how
tw_status tw_script_rehearse(tw_script *script, tw_error *error);
/// @return whether the router declares `tests`
bool tw_script_has_tests(tw_script *script);
/// The router's `engine = { … }` as JSON, "{}" without one; without a `partition_by` that is
/// a function.
/// @param[out] text  owned; free with tw_free
tw_status tw_script_engine_options(tw_script *script, char **text, size_t *len,
                                   tw_error *error);
/// Lets the next thread that sends to the router be the one that the script belongs to.
void tw_script_release(tw_script *script);
/// Whether its state holds nearly all memory that it may, with all garbage collected: it must
/// be made anew from the same source.
bool tw_script_is_sick(const tw_script *script);
/// What it was loaded as; `options` is NULL. Borrowed: lives as long as the script.
const tw_script_setup *tw_script_get_setup(const tw_script *script);
/// Has its tally go on from that of the script whose place it takes.
void tw_script_follow(tw_script *script, const tw_script *before);
/// Counts the events that came to the router, and the failures in its tree.
void tw_script_tally(const tw_script *script, uint64_t *received, uint64_t *failed);
/// The router it returned. Borrowed: lives as long as the script.
tw_router *tw_script_router(tw_script *script);
/// tw_router_close of its router, from any thread while nobody sends. NULL is allowed.
tw_status tw_script_close(tw_script *script, tw_error *error);
/// Whether the router's `engine` has a function as its `partition_by`.
bool tw_script_has_partition(tw_script *script);
/// The registry reference of the Lua object of its router, for the parts of this layer.
int tw_script_object(const tw_script *script);
/// The way into its Lua state, for the parts of this layer. Borrowed.
struct tw_gate *tw_script_gate(const tw_script *script);
/// Closes the router and the Lua state.
void tw_script_free(tw_script *script);

#endif
