/* What the host gives counts; the script's own `engine` fills in what it leaves out, option
   by option. Both sets are checked whole, so that a mistake shows even where the host's
   option hides the script's.

   Grants and limits are read first and apart from the others: the script is loaded under
   them, and the rest is known only when it is. They are the host's alone, and declared for
   the script all the same, so that one who tries is told why not.

   An engine keeps the options that it started with, but for the watchdog's bounds. A reload
   reads both sets anew, and is refused when another one differs. */
#include "engine/options.h"

#include <math.h>
#include <string.h>

#include "core/options.h"

static const tw_option declared[] = {{"workers", TW_OPTION_INTEGER, false},
                                     {"partition_by", TW_OPTION_STRING, false},
                                     {"queue", TW_OPTION_INTEGER, false},
                                     {"overload", TW_OPTION_STRING, false},
                                     {"block_for", TW_OPTION_DURATION, false},
                                     {"watch", TW_OPTION_BOOL, false},
                                     {"reload.watchdog.errors", TW_OPTION_SHARE, false},
                                     {"reload.watchdog.within", TW_OPTION_DURATION, false},
                                     {"max_event", TW_OPTION_SIZE, false},
                                     {"max_depth", TW_OPTION_INTEGER, false},
                                     {"grants", TW_OPTION_STRING, false},
                                     {"package_path", TW_OPTION_STRING, false},
                                     {"memory_limit", TW_OPTION_SIZE_LIMIT, false},
                                     {"instruction_limit", TW_OPTION_INTEGER_LIMIT, false},
                                     {"time_limit", TW_OPTION_DURATION_LIMIT, false}};

enum { MAX_QUEUE = 1 << 20 };

static tw_status parse(const char *json, size_t len, tw_event **out, tw_error *error) {
  tw_status status = tw_event_parse(json, len, NULL, out, error);
  if (status == TW_OK)
    status =
        tw_options_check(*out, "engine", declared, sizeof declared / sizeof *declared, error);
  else tw_error_prefix(error, "engine: options: ");
  return status;
}

static tw_status read_overload(const char *word, tw_overload *out, tw_error *error) {
  static const char *const words[] = {"block", "drop_newest", "drop_oldest"};
  if (!word) return tw_no_memory(error);
  for (unsigned i = 0; i < 3; i++) {
    *out = (tw_overload)i;
    if (strcmp(word, words[i]) == 0) return TW_OK;
  }
  return tw_fail(error, TW_EINVAL,
                 "engine: overload must be \"block\", \"drop_newest\" or \"drop_oldest\", not "
                 "\"%.60s\"",
                 word);
}

static tw_status check_range(const char *name, uint64_t value, uint64_t max, tw_error *error) {
  if (value >= 1 && value <= max) return TW_OK;
  return tw_fail(error, TW_EINVAL, "engine: %s must be 1 to %llu, not %llu", name,
                 (unsigned long long)max, (unsigned long long)value);
}

static tw_status read_key(const char *text, tw_engine_options *out, tw_error *error) {
  out->partition_by = tw_strdup(text);
  if (!out->partition_by) return tw_no_memory(error);
  tw_status status = tw_path_compile(text, strlen(text), &out->key, error);
  if (status == TW_OK && out->key->has_wildcard)
    status = tw_fail(error, TW_EINVAL, "path \"%.200s\" has a wildcard: it names no single key",
                     text);
  if (status) tw_error_prefix(error, "engine: partition_by: ");
  return status;
}

/* An option of the host, or else the script's, or else the default. */
#define PICK(kind, name, otherwise) \
  tw_option_##kind(host, name, tw_option_##kind(script, name, otherwise))

/* One without the other says nothing. */
static tw_status pick_watchdog(tw_event *host, tw_event *script, tw_engine_options *out,
                               tw_error *error) {
  const double none = -1;
  out->watchdog_errors = PICK(share, "reload.watchdog.errors", none);
  out->watchdog_ns = PICK(duration, "reload.watchdog.within", 0);
  if (out->watchdog_ns && out->watchdog_errors < 0)
    return tw_fail(error, TW_EINVAL,
                   "engine: option \"reload.watchdog.errors\" is missing beside "
                   "reload.watchdog.within; give a number from 0 to 1");
  if (out->watchdog_errors >= 0 && !out->watchdog_ns)
    return tw_fail(error, TW_EINVAL,
                   "engine: option \"reload.watchdog.within\" is missing beside "
                   "reload.watchdog.errors; give a duration such as \"10s\"");
  return TW_OK;
}

static tw_status pick(tw_event *host, tw_event *script, tw_engine_options *out,
                      tw_error *error) {
  uint64_t workers = PICK(integer, "workers", 1), queue = PICK(integer, "queue", 2048);
  tw_status status = check_range("workers", workers, TW_MAX_WORKERS, error);
  if (status == TW_OK) status = check_range("queue", queue, MAX_QUEUE, error);
  if (status == TW_OK)
    status = read_overload(PICK(string, "overload", "block"), &out->overload, error);
  if (status) return status;
  out->workers = (unsigned)workers;
  out->queue = (size_t)queue;
  out->block_ns = PICK(duration, "block_for", 0);
  out->watch = PICK(bool, "watch", false);
  out->limits.max_size = (size_t)PICK(size, "max_event", 0);
  out->limits.max_depth = (uint32_t)PICK(integer, "max_depth", 0);
  status = pick_watchdog(host, script, out, error);
  if (status) return status;
  const char *key = PICK(string, "partition_by", NULL);
  return key ? read_key(key, out, error) : TW_OK;
}

/* ---------------------------------------------------------------- sandbox */

static void split_names(tw_engine_sandbox *out) {
  size_t count = 0, room = sizeof out->grants / sizeof *out->grants - 1;
  char *rest = NULL;
  for (char *name = strtok_r(out->names, ", ", &rest); name && count < room;
       name = strtok_r(NULL, ", ", &rest))
    out->grants[count++] = name;
  out->script.grants = out->grants;
}

static void read_limits(tw_event *given, tw_script_options *out) {
  out->memory = (size_t)tw_option_size(given, "memory_limit", 0);
  out->instructions = tw_option_integer(given, "instruction_limit", 0);
  out->seconds = (double)tw_option_duration(given, "time_limit", 0) / 1e9;
  if (tw_option_is_none(given, "memory_limit")) out->memory = SIZE_MAX;
  if (tw_option_is_none(given, "instruction_limit")) out->instructions = TW_NO_LIMIT;
  if (tw_option_is_none(given, "time_limit")) out->seconds = INFINITY;
}

tw_status tw_engine_sandbox_read(const char *host, size_t len, tw_engine_sandbox *out,
                                 tw_error *error) {
  tw_event *given = NULL;
  *out = (tw_engine_sandbox){0};
  tw_status status = parse(host, len, &given, error);
  if (status == TW_OK) {
    const char *names = tw_option_string(given, "grants", "");
    out->names = names ? tw_strdup(names) : NULL;
    const char *path = tw_option_string(given, "package_path", "");
    out->path = path ? tw_strdup(path) : NULL;
    if (!out->names || !out->path) status = tw_no_memory(error);
  }
  if (status == TW_OK) {
    out->script.package_path = out->path;
    read_limits(given, &out->script);
    split_names(out);
    status = tw_script_check_options(&out->script, error);
  }
  tw_event_free(given);
  return status;
}

void tw_engine_sandbox_fini(tw_engine_sandbox *sandbox) {
  tw_free(sandbox->names);
  tw_free(sandbox->path);
}

/* A script that could lift its own limits would have none. */
static tw_status refuse_own(tw_event *script, tw_error *error) {
  static const char *const names[] = {
      "grants", "package_path", "memory_limit", "instruction_limit", "time_limit", NULL};
  for (const char *const *name = names; *name; name++) {
    tw_value value;
    if (tw_event_get(script, *name, &value) == TW_OK)
      return tw_fail(error, TW_EINVAL, "engine: %s is for the host to say, not for the script",
                     *name);
  }
  return TW_OK;
}

tw_status tw_engine_options_read(const char *host, size_t host_len, const char *script,
                                 size_t script_len, tw_engine_options *out, tw_error *error) {
  tw_event *given = NULL, *own = NULL;
  *out = (tw_engine_options){0};
  tw_status status = parse(host, host_len, &given, error);
  if (status == TW_OK) status = parse(script, script_len, &own, error);
  if (status == TW_OK) status = refuse_own(own, error);
  if (status == TW_OK) status = pick(given, own, out, error);
  tw_event_free(given);
  tw_event_free(own);
  return status;
}

void tw_engine_options_fini(tw_engine_options *options) {
  tw_free(options->partition_by);
  tw_path_free(options->key);
  options->partition_by = NULL;
  options->key = NULL;
}

static bool is_same_text(const char *a, const char *b) {
  return a && b ? strcmp(a, b) == 0 : a == b;
}

tw_status tw_engine_options_change(tw_engine_options *now, const tw_engine_options *next,
                                   tw_error *error) {
  const char *fixed = now->workers != next->workers                          ? "workers"
                      : now->queue != next->queue                            ? "queue"
                      : now->overload != next->overload                      ? "overload"
                      : now->block_ns != next->block_ns                      ? "block_for"
                      : !now->watchdog_ns != !next->watchdog_ns              ? "reload.watchdog"
                      : now->watch != next->watch                            ? "watch"
                      : now->limits.max_size != next->limits.max_size        ? "max_event"
                      : now->limits.max_depth != next->limits.max_depth      ? "max_depth"
                      : !is_same_text(now->partition_by, next->partition_by) ? "partition_by"
                      : now->deals != next->deals                            ? "partition_by"
                                                                             : NULL;
  if (fixed)
    return tw_fail(error, TW_EINVAL, "engine: %s cannot be changed by a reload: restart",
                   fixed);
  now->watchdog_errors = next->watchdog_errors;
  now->watchdog_ns = next->watchdog_ns;
  return TW_OK;
}
