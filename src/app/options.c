/// options.c: getopt_long over a table for each command.
///
/// The table says what a command takes, one switch sets what any of them takes. getopt's own
/// messages are off: it does not know which option was meant. What a script's state may do
/// and use is left zero when it was not said: its defaults are those of every other host.
#include "app/options.h"

#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/exit.h"
#include "app/help.h"
#include "base/status.h"
#include "base/suggest.h"
#include "core/units.h"
#include "engine/options.h"
#include "event/reader.h"

enum {
  OPT_REJECTS = 256,
  OPT_DEAD,
  OPT_STRICT,
  OPT_JSON,
  OPT_MAX_EVENT,
  OPT_MAX_DEPTH,
  OPT_GRANT,
  OPT_PACKAGE_PATH,
  OPT_MEMORY,
  OPT_INSTRUCTIONS,
  OPT_TIME,
  OPT_WORKERS,
  OPT_PARTITION,
  OPT_WATCH,
  OPT_CONTROL,
  OPT_DRAIN,
  OPT_TIMEOUT
};

/* What both commands say of the script's state. */
#define SCRIPT_OPTIONS                                                    \
  {"grant", required_argument, NULL, OPT_GRANT},                          \
      {"package-path", required_argument, NULL, OPT_PACKAGE_PATH},        \
      {"memory-limit", required_argument, NULL, OPT_MEMORY},              \
      {"instruction-limit", required_argument, NULL, OPT_INSTRUCTIONS}, { \
    "time-limit", required_argument, NULL, OPT_TIME                       \
  }

static const struct option run_options[] = {
    {"rejects", required_argument, NULL, OPT_REJECTS},
    {"dead", required_argument, NULL, OPT_DEAD},
    {"strict", no_argument, NULL, OPT_STRICT},
    {"json", no_argument, NULL, OPT_JSON},
    {"max-event", required_argument, NULL, OPT_MAX_EVENT},
    {"max-depth", required_argument, NULL, OPT_MAX_DEPTH},
    {"workers", required_argument, NULL, OPT_WORKERS},
    {"partition-by", required_argument, NULL, OPT_PARTITION},
    {"watch", no_argument, NULL, OPT_WATCH},
    {"control", required_argument, NULL, OPT_CONTROL},
    {"drain", required_argument, NULL, OPT_DRAIN},
    SCRIPT_OPTIONS,
    {"quiet", no_argument, NULL, 'q'},
    {"help", no_argument, NULL, 'h'},
    {0}};

static const struct option check_options[] = {
    SCRIPT_OPTIONS, {"quiet", no_argument, NULL, 'q'}, {"help", no_argument, NULL, 'h'}, {0}};

static const struct option ask_options[] = {{"json", no_argument, NULL, OPT_JSON},
                                            {"timeout", required_argument, NULL, OPT_TIMEOUT},
                                            {"quiet", no_argument, NULL, 'q'},
                                            {"help", no_argument, NULL, 'h'},
                                            {0}};

static const tw_parsed usage = {.go_on = false, .status = TW_EXIT_USAGE};

/// The largest --max-event: the hard bound of tw_limits.
#define SIZE_BOUND ((uint64_t)32 << 20)

#define DAY_S     ((uint64_t)86400)
#define SECOND_NS ((uint64_t)1000000000)

/// Digits alone: strtoull would also take white space and a sign.
static bool read_count(const char *text, uint64_t *out) {
  char *end;
  if (*text < '0' || *text > '9') return false;
  errno = 0;
  *out = strtoull(text, &end, 10);
  return !*end && !errno;
}

static tw_status read_size_limit(const char *text, size_t *out, tw_error *error) {
  uint64_t size = 0;
  if (!tw_parse_size(text, strlen(text), &size) && !read_count(text, &size)) size = 0;
  *out = (size_t)size;
  if (size >= 1 && size <= SIZE_BOUND) return TW_OK;
  return tw_fail(error, TW_EINVAL, "--max-event must be 1 to 32MiB, such as 64KiB, not \"%s\"",
                 text);
}

static tw_status read_depth_limit(const char *text, uint32_t *out, tw_error *error) {
  uint64_t depth = 0;
  if (!read_count(text, &depth)) depth = 0;
  *out = (uint32_t)depth;
  if (depth >= 1 && depth <= TW_DEPTH_BOUND) return TW_OK;
  return tw_fail(error, TW_EINVAL, "--max-depth must be 1 to %d, not \"%s\"", TW_DEPTH_BOUND,
                 text);
}

/// A list of names; the option may be given several times. strtok_r cuts the text up where it
/// stands: so it is a copy, and the names point into it.
static tw_status read_grants(const char *text, tw_options *out, tw_error *error) {
  size_t len = strlen(text), count = 0;
  if (out->grant_len + len + 1 > sizeof out->grant_text)
    return tw_fail(error, TW_EINVAL, "--grant names too much");
  char *at = out->grant_text + out->grant_len;
  memcpy(at, text, len + 1);
  out->grant_len += len + 1;
  while (out->grants[count]) count++;
  for (char *rest = NULL, *name = strtok_r(at, ",", &rest); name && count < TW_MAX_GRANTS;
       name = strtok_r(NULL, ",", &rest))
    out->grants[count++] = name;
  out->script.grants = out->grants;
  return tw_script_check_options(&out->script, error);
}

/// A bound that no script could load under is a slip, most often a missing unit: the smallest
/// ones that make sense are told here, where the option still has its name. The same holds
/// for the two below.
static tw_status read_memory(const char *text, size_t *out, tw_error *error) {
  uint64_t size = 0;
  if (strcmp(text, "none") == 0) size = SIZE_MAX;
  else if (!tw_parse_size(text, strlen(text), &size) && !read_count(text, &size)) size = 0;
  *out = (size_t)size;
  if (size >= (uint64_t)1 << 20) return TW_OK;
  return tw_fail(error, TW_EINVAL,
                 "--memory-limit must be 1MiB or more, such as 64MiB, or none, not \"%s\"",
                 text);
}

static tw_status read_instructions(const char *text, uint64_t *out, tw_error *error) {
  if (strcmp(text, "none") == 0) *out = TW_NO_LIMIT;
  else if (!read_count(text, out)) *out = 0;
  if (*out >= 1000) return TW_OK;
  return tw_fail(error, TW_EINVAL,
                 "--instruction-limit must be 1000 or more, such as 10000000, or none, not "
                 "\"%s\"",
                 text);
}

static tw_status read_time(const char *text, double *out, tw_error *error) {
  char *end = NULL;
  *out = strcmp(text, "none") == 0 ? INFINITY : strtod(text, &end);
  if (end && (strcmp(end, "ms") == 0)) *out /= 1000, end += 2;
  else if (end && (strcmp(end, "s") == 0)) end++;
  if (*out >= 0.001 && (!end || (!*end && *text >= '0' && *text <= '9'))) return TW_OK;
  return tw_fail(error, TW_EINVAL,
                 "--time-limit must be 1ms or more, such as 1s or 500ms, or none, not \"%s\"",
                 text);
}

static tw_status read_workers(const char *text, unsigned *out, tw_error *error) {
  uint64_t count = 0;
  if (!read_count(text, &count) || count > TW_MAX_WORKERS) count = 0;
  *out = (unsigned)count;
  if (count) return TW_OK;
  return tw_fail(error, TW_EINVAL, "--workers must be 1 to %d, not \"%s\"", TW_MAX_WORKERS,
                 text);
}

/// A number alone is one of seconds. @return false when it is none, or more than a day
static bool read_ms(const char *text, int *out_ms) {
  uint64_t ns = 0;
  bool has_unit = tw_parse_duration(text, strlen(text), &ns);
  if (!has_unit && (!read_count(text, &ns) || ns > DAY_S)) return false;
  if (!has_unit) ns *= SECOND_NS;
  if (ns > DAY_S * SECOND_NS) return false;
  *out_ms = (int)(ns / (SECOND_NS / 1000));
  return true;
}

static tw_status read_timeout(const char *text, int *out_ms, tw_error *error) {
  if (read_ms(text, out_ms) && *out_ms) return TW_OK;
  return tw_fail(error, TW_EINVAL,
                 "--timeout must be 1ms to 24h, such as 10s or 500ms, not \"%s\"", text);
}

static tw_status read_drain(const char *text, int *out_ms, tw_error *error) {
  *out_ms = -1;
  if (strcmp(text, "none") == 0 || read_ms(text, out_ms)) return TW_OK;
  return tw_fail(error, TW_EINVAL,
                 "--drain must be a time up to 24h, such as 10s or 500ms, or none, not \"%s\"",
                 text);
}

static tw_status set_option(int code, const char *value, tw_options *out, tw_error *error) {
  switch (code) {
    case OPT_REJECTS: out->rejects = value; break;
    case OPT_DEAD: out->dead = value; break;
    case OPT_STRICT: out->strict = true; break;
    case OPT_JSON: out->json = true; break;
    case 'q': out->quiet = true; break;
    case OPT_MAX_EVENT: return read_size_limit(value, &out->limits.max_size, error);
    case OPT_GRANT: return read_grants(value, out, error);
    case OPT_PACKAGE_PATH: out->script.package_path = value; break;
    case OPT_MEMORY: return read_memory(value, &out->script.memory, error);
    case OPT_INSTRUCTIONS: return read_instructions(value, &out->script.instructions, error);
    case OPT_TIME: return read_time(value, &out->script.seconds, error);
    case OPT_WORKERS: return read_workers(value, &out->workers, error);
    case OPT_PARTITION: out->partition_by = value; break;
    case OPT_WATCH: out->watch = true; break;
    case OPT_CONTROL: out->control = value; break;
    case OPT_DRAIN: return read_drain(value, &out->drain_ms, error);
    case OPT_TIMEOUT: return read_timeout(value, &out->timeout_ms, error);
    case OPT_MAX_DEPTH: return read_depth_limit(value, &out->limits.max_depth, error);
  }
  return TW_OK;
}

/// The option that getopt refused, without its value.
static void refused(char **argv, char name[64]) {
  const char *word = argv[optind - 1];
  if (strncmp(word, "--", 2) == 0) snprintf(name, 64, "%.*s", (int)strcspn(word, "="), word);
  else snprintf(name, 64, "-%c", optopt);
}

/// An option that is known and refused was given a value that it does not take.
static void explain(tw_term *term, char **argv, const struct option *table, int code) {
  const char *known[32], *command = argv[0], *near = NULL;
  size_t count = 0;
  for (; table[count].name; count++) known[count] = table[count].name;
  char name[64];
  refused(argv, name);
  if (name[1] == '-') near = tw_suggest(name + 2, known, count);
  if (code == ':')
    tw_term_complain(term, "%s: %s needs a value; see tidewire %s --help", command, name,
                     command);
  else if (near && strcmp(near, name + 2) == 0)
    tw_term_complain(term, "%s: %s takes no value", command, name);
  else if (near)
    tw_term_complain(term, "%s: unknown option %s; did you mean --%s?", command, name, near);
  else
    tw_term_complain(term, "%s: unknown option %s; see tidewire %s --help", command, name,
                     command);
}

/// @param what  the operand that must be given
static tw_parsed parse(int argc, char **argv, const struct option *table, const char *what,
                       tw_term *term, tw_options *out) {
  opterr = 0;
  optind = 0; // of glibc: forget an earlier command line
  for (;;) {
    tw_error error;
    int code = getopt_long(argc, argv, ":qh", table, NULL);
    if (code == -1) break;
    if (code == 'h') return (tw_parsed){.status = tw_help_print(argv[0])};
    if (code == '?' || code == ':') {
      explain(term, argv, table, code);
      return usage;
    }
    if (set_option(code, optarg, out, &error)) {
      tw_term_complain(term, "%s: %s", argv[0], error.message);
      return usage;
    }
  }
  out->operands = argv + optind;
  out->operand_count = argc - optind;
  if (out->operand_count) return (tw_parsed){.go_on = true};
  tw_term_complain(term, "%s: no %s given; see tidewire %s --help", argv[0], what, argv[0]);
  return usage;
}

tw_parsed tw_options_run(int argc, char **argv, tw_term *term, tw_options *out) {
  *out = (tw_options){.rejects = "rejects.ndjson", .dead = "dead.ndjson", .drain_ms = -1};
  tw_parsed parsed = parse(argc, argv, run_options, "script", term, out);
  if (!out->limits.max_size) out->limits.max_size = TW_MAX_EVENT;
  if (!out->limits.max_depth) out->limits.max_depth = TW_MAX_DEPTH;
  return parsed;
}

tw_parsed tw_options_check_command(int argc, char **argv, tw_term *term, tw_options *out) {
  *out = (tw_options){0};
  return parse(argc, argv, check_options, "script", term, out);
}

tw_parsed tw_options_ask(int argc, char **argv, tw_term *term, tw_options *out) {
  *out = (tw_options){.timeout_ms = 30000};
  tw_parsed parsed = parse(argc, argv, ask_options, "socket", term, out);
  if (!parsed.go_on || out->operand_count == 1) return parsed;
  tw_term_complain(term, "%s: one socket at a time, not also \"%s\"", argv[0],
                   out->operands[1]);
  return usage;
}
