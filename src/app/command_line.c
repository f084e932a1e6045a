/// command_line.c: getopt_long, whose own messages are off: it does not know which option was
/// meant.
#include "app/command_line.h"

#include <stdio.h>
#include <string.h>

#include "app/exit.h"
#include "app/help.h"
#include "base/suggest.h"

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

tw_parsed tw_command_line_read(int argc, char **argv, const tw_command_line *line,
                               tw_term *term) {
  static const tw_parsed usage = {.go_on = false, .status = TW_EXIT_USAGE};
  opterr = 0;
  optind = 0; // of glibc: forget an earlier command line
  for (;;) {
    tw_error error;
    int code = getopt_long(argc, argv, ":qh", line->table, NULL);
    if (code == -1) return (tw_parsed){.go_on = true};
    if (code == 'h') return (tw_parsed){.status = tw_help_print(argv[0])};
    if (code == '?' || code == ':') {
      explain(term, argv, line->table, code);
      return usage;
    }
    if (line->set(line->self, code, optarg, &error)) {
      tw_term_complain(term, "%s: %s", argv[0], error.message);
      return usage;
    }
  }
}
