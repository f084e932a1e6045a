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
                                     {"spool.path", TW_OPTION_STRING, false},
                                     {"spool.max_bytes", TW_OPTION_SIZE, false},
                                     {"spool.min_free", TW_OPTION_SIZE, false},
                                     {"durability", TW_OPTION_STRING, false},
                                     {"commit.bytes", TW_OPTION_SIZE, false},
                                     {"commit.within", TW_OPTION_DURATION, false},
                                     {"sync", TW_OPTION_DURATION, false},
                                     {"ack", TW_OPTION_STRING, false},
                                     {"dead.max_bytes", TW_OPTION_SIZE, false},
                                     {"grants", TW_OPTION_STRING, false},
                                     {"package_path", TW_OPTION_STRING, false},
                                     {"memory_limit", TW_OPTION_SIZE_LIMIT, false},
                                     {"instruction_limit", TW_OPTION_INTEGER_LIMIT, false},
                                     {"time_limit", TW_OPTION_DURATION_LIMIT, false}};

enum { MAX_QUEUE = 1 << 20 };

/* `spool = "DIR"` is short for `spool = { path = "DIR" }`. */
static tw_status spell_out(tw_event *options, tw_error *error) {
  tw_value value;
  if (tw_event_get(options, "spool", &value) || value.type != TW_STRING) return TW_OK;
  tw_buffer json = {0};
  bool fits = tw_buffer_append(&json, "{\"path\":", 8) &&
              tw_buffer_append(&json, value.json, value.json_len) && tw_buffer_byte(&json, '}');
  tw_status status = fits ? tw_event_set_json(options, "spool", json.data, json.len, error)
                          : tw_no_memory(error);
  tw_buffer_fini(&json);
  return status;
}

/* Those of deliveries are theirs to check (delivery.h): they are taken out.
   @param[out] delivery  owned; NULL: none were given */
static tw_status take_delivery(tw_event *options, char **delivery, size_t *len,
                               tw_error *error) {
  tw_value value;
  *delivery = NULL;
  *len = 0;
  if (tw_event_get(options, "delivery", &value)) return TW_OK;
  if (value.type != TW_OBJECT && !(value.type == TW_ARRAY && value.json_len == 2))
    return tw_fail(error, TW_EINVAL, "engine: delivery must be a table of options");
  *delivery = value.type == TW_OBJECT ? tw_memdup(value.json, value.json_len) : tw_strdup("{}");
  *len = value.type == TW_OBJECT ? value.json_len : 2;
  if (!*delivery) return tw_no_memory(error);
  return tw_event_remove(options, "delivery", error);
}

typedef struct option_set {
  tw_event *options;
  char *delivery; /* owned */
  size_t delivery_len;
} option_set;

static void forget(option_set *set) {
  tw_event_free(set->options);
  tw_free(set->delivery);
}

static tw_status parse(const char *json, size_t len, option_set *out, tw_error *error) {
  *out = (option_set){0};
  tw_status status = tw_event_parse(json, len, NULL, &out->options, error);
  if (status) {
    tw_error_prefix(error, "engine: options: ");
    return status;
  }
  status = take_delivery(out->options, &out->delivery, &out->delivery_len, error);
  if (status == TW_OK) status = spell_out(out->options, error);
  if (status == TW_OK)
    status = tw_options_check(out->options, "engine", declared,
                              sizeof declared / sizeof *declared, error);
  return status;
}

/* @return which of the words it is, -1 for none */
static int find_word(const char *word, const char *const *words) {
  for (int i = 0; words[i]; i++)
    if (strcmp(word, words[i]) == 0) return i;
  return -1;
}

static tw_status read_overload(const char *word, tw_overload *out, tw_error *error) {
  static const char *const words[] = {"block", "drop_newest", "drop_oldest", NULL};
  if (!word) return tw_no_memory(error);
  int found = find_word(word, words);
  *out = found < 0 ? TW_OVERLOAD_BLOCK : (tw_overload)found;
  if (found >= 0) return TW_OK;
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

/* The smallest spool in which a commit finds room beside what waits. */
enum { SPOOL_LEAST = 16 << 20 };

static tw_status pick_durability(const char *word, tw_engine_options *out, tw_error *error) {
  static const char *const words[] = {"memory", "os", "commit", NULL};
  int found = word ? find_word(word, words) : -1;
  out->durability = out->spool ? TW_DURABILITY_COMMIT : TW_DURABILITY_MEMORY;
  if (!word) return TW_OK;
  if (found < 0)
    return tw_fail(error, TW_EINVAL,
                   "engine: durability must be \"commit\", \"os\" or \"memory\", not \"%.60s\"",
                   word);
  out->durability = (tw_durability)found;
  if (out->spool && out->durability == TW_DURABILITY_MEMORY)
    return tw_fail(
        error, TW_EINVAL,
        "engine: durability \"memory\" keeps nothing in a spool: leave out the spool, "
        "or choose \"os\" or \"commit\"");
  if (!out->spool && out->durability != TW_DURABILITY_MEMORY)
    return tw_fail(error, TW_EINVAL, "engine: durability \"%s\" needs a folder: give spool",
                   word);
  return TW_OK;
}

static tw_status pick_ack(const char *word, tw_engine_options *out, tw_error *error) {
  static const char *const words[] = {"durable", "delivered", NULL};
  int found = word ? find_word(word, words) : 0;
  out->awaits_delivery = found == 1;
  if (found >= 0) return TW_OK;
  return tw_fail(error, TW_EINVAL,
                 "engine: ack must be \"durable\" or \"delivered\", not \"%.60s\"", word);
}

static tw_status pick_spool(tw_event *host, tw_event *script, tw_engine_options *out,
                            tw_error *error) {
  const char *path = PICK(string, "spool.path", NULL);
  if (path && !(out->spool = tw_strdup(path))) return tw_no_memory(error);
  out->spool_bytes = PICK(size, "spool.max_bytes", 0);
  out->spool_free = PICK(size, "spool.min_free", 0);
  out->group_bytes = PICK(size, "commit.bytes", 0);
  out->group_ns = PICK(duration, "commit.within", 0);
  out->sync_ns = PICK(duration, "sync", 0);
  out->dead_bytes = PICK(size, "dead.max_bytes", 0);
  if (out->spool_bytes && out->spool_bytes < SPOOL_LEAST)
    return tw_fail(error, TW_EINVAL, "engine: spool.max_bytes must be 16MiB or more, not %llu",
                   (unsigned long long)out->spool_bytes);
  const char *durability = PICK(string, "durability", NULL);
  tw_status status = pick_durability(durability, out, error);
  if (status == TW_OK) status = pick_ack(PICK(string, "ack", NULL), out, error);
  out->has_outboxes = out->spool || durability || out->delivery;
  return status;
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
  if (status == TW_OK) status = pick_spool(host, script, out, error);
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
  option_set set;
  *out = (tw_engine_sandbox){0};
  tw_status status = parse(host, len, &set, error);
  if (status == TW_OK) {
    const char *names = tw_option_string(set.options, "grants", "");
    out->names = names ? tw_strdup(names) : NULL;
    const char *path = tw_option_string(set.options, "package_path", "");
    out->path = path ? tw_strdup(path) : NULL;
    if (!out->names || !out->path) status = tw_no_memory(error);
  }
  if (status == TW_OK) {
    out->script.package_path = out->path;
    read_limits(set.options, &out->script);
    split_names(out);
    status = tw_script_check_options(&out->script, error);
  }
  forget(&set);
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

/* Of the deliveries' options one whole set counts, as a backend's own fill in what it lacks. */
static void take_over_delivery(option_set *host, option_set *script, tw_engine_options *out) {
  option_set *from = host->delivery ? host : script;
  out->delivery = from->delivery;
  out->delivery_len = from->delivery_len;
  from->delivery = NULL;
}

tw_status tw_engine_options_read(const char *host, size_t host_len, const char *script,
                                 size_t script_len, tw_engine_options *out, tw_error *error) {
  option_set theirs, own = {0};
  *out = (tw_engine_options){0};
  tw_status status = parse(host, host_len, &theirs, error);
  if (status == TW_OK) status = parse(script, script_len, &own, error);
  if (status == TW_OK) status = refuse_own(own.options, error);
  if (status == TW_OK) {
    take_over_delivery(&theirs, &own, out);
    status = pick(theirs.options, own.options, out, error);
  }
  forget(&theirs);
  forget(&own);
  return status;
}

void tw_engine_options_fini(tw_engine_options *options) {
  tw_free(options->partition_by);
  tw_path_free(options->key);
  tw_free(options->spool);
  tw_free(options->delivery);
  options->partition_by = options->spool = options->delivery = NULL;
  options->key = NULL;
}

static bool is_same_text(const char *a, const char *b) {
  return a && b ? strcmp(a, b) == 0 : a == b;
}

static bool is_same_spool(const tw_engine_options *a, const tw_engine_options *b) {
  return is_same_text(a->spool, b->spool) && a->spool_bytes == b->spool_bytes &&
         a->spool_free == b->spool_free;
}

static bool is_same_commit(const tw_engine_options *a, const tw_engine_options *b) {
  return a->group_bytes == b->group_bytes && a->group_ns == b->group_ns;
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
                      : !is_same_spool(now, next)                            ? "spool"
                      : now->durability != next->durability                  ? "durability"
                      : now->has_outboxes != next->has_outboxes              ? "delivery"
                      : !is_same_commit(now, next)                           ? "commit"
                      : now->sync_ns != next->sync_ns                        ? "sync"
                      : now->awaits_delivery != next->awaits_delivery        ? "ack"
                      : now->dead_bytes != next->dead_bytes                  ? "dead"
                                                                             : NULL;
  if (fixed)
    return tw_fail(error, TW_EINVAL, "engine: %s cannot be changed by a reload: restart",
                   fixed);
  now->watchdog_errors = next->watchdog_errors;
  now->watchdog_ns = next->watchdog_ns;
  return TW_OK;
}
