/// dead_options.c: what to do, where, with which letters.
#include "app/dead_options.h"

#include <string.h>

#include "app/exit.h"
#include "app/help.h"
#include "app/option_values.h"
#include "base/suggest.h"

enum {
  OPT_BACKEND = 256,
  OPT_WHERE,
  OPT_SINCE,
  OPT_UNTIL,
  OPT_ERROR,
  OPT_NAME,
  OPT_ID,
  OPT_LIMIT,
  OPT_EVENTS,
  OPT_YES,
  OPT_TO_BACKEND
};

#define FILTERS                                                                             \
  {"backend", required_argument, NULL, OPT_BACKEND},                                        \
      {"where", required_argument, NULL, OPT_WHERE},                                        \
      {"since", required_argument, NULL, OPT_SINCE},                                        \
      {"until", required_argument, NULL, OPT_UNTIL},                                        \
      {"error", required_argument, NULL, OPT_ERROR},                                        \
      {"name", required_argument, NULL, OPT_NAME}, {"id", required_argument, NULL, OPT_ID}, \
      {"limit", required_argument, NULL, OPT_LIMIT}, {"quiet", no_argument, NULL, 'q'}, {   \
    "help", no_argument, NULL, 'h'                                                          \
  }

static const struct option list_options[] = {FILTERS, {0}};
static const struct option export_options[] = {
    FILTERS, {"events", no_argument, NULL, OPT_EVENTS}, {0}};
static const struct option drop_options[] = {FILTERS, {"yes", no_argument, NULL, OPT_YES}, {0}};
static const struct option replay_options[] = {
    FILTERS, {"to-backend", optional_argument, NULL, OPT_TO_BACKEND}, {0}};

static const char *const verbs[TW_DEAD_VERBS] = {"list", "show", "replay", "export", "drop"};
static const struct option *const tables[TW_DEAD_VERBS] = {
    list_options, list_options, replay_options, export_options, drop_options};

static const tw_parsed usage = {.go_on = false, .status = TW_EXIT_USAGE};

/* ------------------------------------------------------------------- values */

static tw_status read_where(const char *text, const char **out, tw_error *error) {
  static const char *const known[] = {"backend", "processor", "route", "source"};
  for (size_t i = 0; i < 4; i++)
    if (strcmp(text, known[i]) == 0) *out = known[i];
  if (*out) return TW_OK;
  return tw_fail(error, TW_EINVAL,
                 "--where must be backend, processor, route or source, not \"%s\"", text);
}

static tw_status read_time(const char *option, const char *text, int64_t *out,
                           tw_error *error) {
  if (tw_dead_read_time(text, out)) return TW_OK;
  return tw_fail(error, TW_EINVAL,
                 "--%s must be a time, such as 2026-11-27T05:00:00Z, a day, such as "
                 "2026-11-27, or how long ago, such as 2h, not \"%s\"",
                 option, text);
}

static tw_status read_limit(const char *text, uint64_t *out, tw_error *error) {
  if (tw_read_count(text, out) && *out) return TW_OK;
  return tw_fail(error, TW_EINVAL, "--limit must be 1 or more, not \"%s\"", text);
}

static tw_status set(void *self, int code, const char *value, tw_error *error) {
  tw_dead_options *out = self;
  tw_dead_filter *filter = &out->filter;
  switch (code) {
    case OPT_BACKEND: filter->backend = value; break;
    case OPT_WHERE: filter->where = NULL; return read_where(value, &filter->where, error);
    case OPT_SINCE: return read_time("since", value, &filter->since_us, error);
    case OPT_UNTIL: return read_time("until", value, &filter->until_us, error);
    case OPT_ERROR: filter->error = value; break;
    case OPT_NAME: filter->name = value; break;
    case OPT_ID: filter->id = value; break;
    case OPT_LIMIT: return read_limit(value, &filter->limit, error);
    case OPT_EVENTS: out->events = true; break;
    case OPT_YES: out->yes = true; break;
    case OPT_TO_BACKEND: out->to_backend = true, out->backend = value; break;
    case 'q': out->quiet = true; break;
  }
  return TW_OK;
}

/* ---------------------------------------------------------------------- read */

static bool find_verb(const char *word, tw_dead_options *out, tw_term *term) {
  for (int i = 0; i < TW_DEAD_VERBS; i++) {
    if (strcmp(word, verbs[i]) != 0) continue;
    out->verb = (tw_dead_verb)i;
    return true;
  }
  const char *near = tw_suggest(word, verbs, TW_DEAD_VERBS);
  tw_term_complain(
      term, "dead: unknown command \"%s\"%s%s%s: there is list, show, replay, export, drop",
      word, near ? "; did you mean \"" : "", near ? near : "", near ? "\"" : "");
  return false;
}

static tw_parsed read_operands(char **operands, int count, tw_term *term,
                               tw_dead_options *out) {
  tw_error error;
  if (!count) {
    tw_term_complain(term, "dead: no folder of a spool given; see tidewire dead --help");
    return usage;
  }
  out->folder = operands[0];
  for (int i = 1; i < count; i++) {
    if (!tw_dead_filter_add_range(&out->filter, operands[i], &error)) continue;
    tw_term_complain(term, "dead: %s", error.message);
    return usage;
  }
  return (tw_parsed){.go_on = true};
}

/// The table is that of the verb, which stands first; help and messages are those of "dead".
tw_parsed tw_dead_options_read(int argc, char **argv, tw_term *term, tw_dead_options *out) {
  *out = (tw_dead_options){0};
  tw_dead_filter_init(&out->filter);
  const char *word = argc > 1 ? argv[1] : "";
  if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0)
    return (tw_parsed){.status = tw_help_print("dead")};
  if (!*word) {
    tw_term_complain(term, "dead: say what to do: list, show, replay, export or drop");
    return usage;
  }
  if (!find_verb(word, out, term)) return usage;
  argv[1] = argv[0];
  const tw_command_line line = {tables[out->verb], set, out};
  tw_parsed parsed = tw_command_line_read(argc - 1, argv + 1, &line, term);
  if (!parsed.go_on) return parsed;
  return read_operands(argv + 1 + optind, argc - 1 - optind, term, out);
}
