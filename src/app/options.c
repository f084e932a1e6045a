/// options.c: getopt_long over a table for each command.
///
/// The table says what a command takes, one switch sets what any of them takes. getopt's own
/// messages are off: it does not know which option was meant. What a script's state may do
/// and use is left zero when it was not said: its defaults are those of every other host.
#include "app/options.h"

#include <string.h>

#include "app/command_line.h"
#include "app/exit.h"
#include "app/option_values.h"
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
  OPT_TIMEOUT,
  OPT_SPOOL,
  OPT_DURABILITY,
  OPT_SPOOL_SIZE,
  OPT_SPOOL_FREE,
  OPT_FOLLOW
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
    {"follow", no_argument, NULL, OPT_FOLLOW},
    {"spool", required_argument, NULL, OPT_SPOOL},
    {"durability", required_argument, NULL, OPT_DURABILITY},
    {"spool-size", required_argument, NULL, OPT_SPOOL_SIZE},
    {"spool-free", required_argument, NULL, OPT_SPOOL_FREE},
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

static tw_status read_spool(const char *text, const char **out, tw_error *error) {
  *out = text;
  return *text ? TW_OK : tw_fail(error, TW_EINVAL, "--spool must name a folder");
}

static tw_status set_option(void *self, int code, const char *value, tw_error *error) {
  tw_options *out = self;
  switch (code) {
    case OPT_REJECTS: out->rejects = value; break;
    case OPT_DEAD: out->dead = value; break;
    case OPT_STRICT: out->strict = true; break;
    case OPT_JSON: out->json = true; break;
    case 'q': out->quiet = true; break;
    case OPT_MAX_EVENT: return tw_read_event_size(value, &out->limits.max_size, error);
    case OPT_GRANT: return read_grants(value, out, error);
    case OPT_PACKAGE_PATH: out->script.package_path = value; break;
    case OPT_MEMORY: return tw_read_memory(value, &out->script.memory, error);
    case OPT_INSTRUCTIONS: return tw_read_instructions(value, &out->script.instructions, error);
    case OPT_TIME: return tw_read_time(value, &out->script.seconds, error);
    case OPT_WORKERS: return tw_read_workers(value, &out->workers, error);
    case OPT_PARTITION: out->partition_by = value; break;
    case OPT_WATCH: out->watch = true; break;
    case OPT_CONTROL: out->control = value; break;
    case OPT_DRAIN: return tw_read_drain(value, &out->drain_ms, error);
    case OPT_FOLLOW: out->follow = true; break;
    case OPT_SPOOL: return read_spool(value, &out->spool, error);
    case OPT_DURABILITY: return tw_read_durability(value, &out->durability, error);
    case OPT_SPOOL_SIZE: return tw_read_spool_size(value, &out->spool_size, error);
    case OPT_SPOOL_FREE: return tw_read_spool_free(value, &out->spool_free, error);
    case OPT_TIMEOUT: return tw_read_timeout(value, &out->timeout_ms, error);
    case OPT_MAX_DEPTH: return tw_read_depth(value, &out->limits.max_depth, error);
  }
  return TW_OK;
}

/// @param what  the operand that must be given
static tw_parsed parse(int argc, char **argv, const struct option *table, const char *what,
                       tw_term *term, tw_options *out) {
  const tw_command_line line = {table, set_option, out};
  tw_parsed parsed = tw_command_line_read(argc, argv, &line, term);
  out->operands = argv + optind;
  out->operand_count = argc - optind;
  if (!parsed.go_on || out->operand_count) return parsed;
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
