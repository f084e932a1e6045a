/// spool_options.c: the command lines of `tidewire spool`, by a table for each command.
#include "app/spool_options.h"

#include <string.h>

#include "app/exit.h"

enum { OPT_BACKEND = 256, OPT_SOURCE, OPT_DEAD, OPT_STATE, OPT_ALL, OPT_YES, OPT_JSON };

#define COMMON \
  {"quiet", no_argument, NULL, 'q'}, { "help", no_argument, NULL, 'h' }

static const struct option look[] = {{"json", no_argument, NULL, OPT_JSON}, COMMON, {0}};
static const struct option export[] = {{"backend", required_argument, NULL, OPT_BACKEND},
                                       {"dead", no_argument, NULL, OPT_DEAD},
                                       COMMON,
                                       {0}};
static const struct option repair[] = {COMMON, {0}};
static const struct option drop[] = {{"backend", required_argument, NULL, OPT_BACKEND},
                                     {"source", required_argument, NULL, OPT_SOURCE},
                                     {"state", no_argument, NULL, OPT_STATE},
                                     {"all", no_argument, NULL, OPT_ALL},
                                     {"yes", no_argument, NULL, OPT_YES},
                                     COMMON,
                                     {0}};

static const struct option *table_of(const char *command) {
  const char *word = command + strlen("spool ");
  if (strcmp(word, "export") == 0) return export;
  if (strcmp(word, "repair") == 0) return repair;
  return strcmp(word, "drop") == 0 ? drop : look;
}

static tw_status set(void *self, int code, const char *value, tw_error *error) {
  tw_spool_args *out = self;
  (void)error;
  switch (code) {
    case OPT_BACKEND: out->backend = value; break;
    case OPT_SOURCE: out->source = value; break;
    case OPT_DEAD: out->dead = true; break;
    case OPT_STATE: out->state = true; break;
    case OPT_ALL: out->all = true; break;
    case OPT_YES: out->yes = true; break;
    case OPT_JSON: out->json = true; break;
    case 'q': out->quiet = true; break;
  }
  return TW_OK;
}

tw_parsed tw_spool_options_read(int argc, char **argv, tw_term *term, tw_spool_args *out) {
  const tw_command_line line = {table_of(argv[0]), set, out};
  *out = (tw_spool_args){0};
  tw_parsed parsed = tw_command_line_read(argc, argv, &line, term);
  if (!parsed.go_on) return parsed;
  out->folder = argv[optind];
  if (argc - optind == 1) return parsed;
  if (argc == optind)
    tw_term_complain(term, "%s: no folder given; see tidewire %s --help", argv[0], argv[0]);
  else
    tw_term_complain(term, "%s: one folder at a time, not also \"%s\"", argv[0],
                     argv[optind + 1]);
  return (tw_parsed){.status = TW_EXIT_USAGE};
}
