/// dead.c: the letters of a spool: shown, taken out, sent again.
///
/// A run may have the spool open and go on. Letters that come after the command has begun are
/// none of its: a replay that fails again would otherwise be replayed again, without end.
#include "app/dead.h"

#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include "app/dead_options.h"
#include "app/dead_print.h"
#include "app/dead_store.h"
#include "app/exit.h"

typedef struct tw_dead_command {
  tw_dead_options options;
  tw_term *term;
  tw_spool *spool;
  tw_dead_visit which;
  tw_buffer out;
  uint64_t seen;    ///< letters that match
  uint64_t without; ///< of them: hold no event
  bool is_damaged, has_failed;
} tw_dead_command;

static const char *plural(uint64_t count) { return count == 1 ? "" : "s"; }

static void damaged(void *self, uint64_t number, const tw_error *why) {
  tw_dead_command *command = self;
  if (!command->is_damaged)
    tw_term_complain(command->term,
                     "dead: the letters from number %" PRIu64
                     " on are damaged: %s; tidewire "
                     "spool repair saves what can be read",
                     number, why->message);
  command->is_damaged = true;
}

/* --------------------------------------------------------------------- show */

static bool write_out(tw_dead_command *command) {
  size_t len = command->out.len;
  command->out.len = 0;
  if (len && fwrite(command->out.data, 1, len, stdout) != len) command->has_failed = true;
  return !command->has_failed;
}

static bool print(void *self, const tw_letter *letter) {
  tw_dead_command *command = self;
  const tw_dead_options *options = &command->options;
  command->seen++;
  switch (options->verb) {
    case TW_DEAD_LIST: tw_dead_print_line(letter, &command->out); break;
    case TW_DEAD_SHOW: tw_dead_print_all(letter, &command->out); break;
    case TW_DEAD_EXPORT:
      if (!tw_dead_print_json(letter, options->events, &command->out)) command->without++;
      break;
    case TW_DEAD_REPLAY:
    case TW_DEAD_REMOVE:
    case TW_DEAD_VERBS: break;
  }
  return write_out(command);
}

static tw_status print_all(tw_dead_command *command, tw_error *error) {
  command->which.visit = print;
  tw_status status = tw_dead_each(command->spool, &command->which, error);
  if (fflush(stdout)) command->has_failed = true;
  if (command->has_failed) tw_term_complain(command->term, "dead: standard output failed");
  if (command->without && !command->options.quiet)
    tw_term_complain(command->term, "dead: %" PRIu64 " letter%s hold%s no event",
                     command->without, plural(command->without),
                     command->without == 1 ? "s" : "");
  return status;
}

/* --------------------------------------------------------------------- drop */

static bool count_one(void *self, const tw_letter *letter) {
  tw_dead_command *command = self;
  (void)letter;
  command->seen++;
  return true;
}

static bool agrees(const tw_dead_command *command) {
  char answer[16] = "";
  fprintf(stderr, "drop %" PRIu64 " dead letter%s? [y/N] ", command->seen,
          plural(command->seen));
  return fgets(answer, sizeof answer, stdin) && (*answer == 'y' || *answer == 'Y');
}

static tw_status take(tw_dead_command *command, tw_dead_taking *taking, tw_error *error) {
  return tw_dead_take(command->spool, &command->which, taking, error);
}

static void say(const tw_dead_command *command, const char *text) {
  if (!command->options.quiet) tw_term_say(command->term, text);
}

static tw_status drop(tw_dead_command *command, tw_error *error) {
  char text[128];
  tw_dead_taking taking = {.fate = TW_DEAD_DROP};
  command->which.visit = count_one;
  tw_status status = tw_dead_each(command->spool, &command->which, error);
  if (status || !command->seen) return status;
  if (!command->options.yes && !agrees(command)) {
    say(command, "nothing was dropped");
    return TW_OK;
  }
  status = take(command, &taking, error);
  snprintf(text, sizeof text, "dropped %" PRIu64 " dead letter%s", taking.taken,
           plural(taking.taken));
  say(command, text);
  return status;
}

/* ------------------------------------------------------------------- replay */

static void tell_kept(const tw_dead_command *command, uint64_t count) {
  const char *one = "holds no event and stays", *many = "hold no event and stay";
  if (command->options.to_backend) {
    one = "holds no event, or is of no backend, and stays";
    many = "hold no event, or are of no backend, and stay";
  }
  tw_term_complain(command->term, "dead: %" PRIu64 " letter%s %s", count, plural(count),
                   count == 1 ? one : many);
}

static tw_status replay(tw_dead_command *command, tw_error *error) {
  char text[256];
  const tw_dead_options *options = &command->options;
  tw_dead_taking taking = {.fate = options->to_backend ? TW_DEAD_DELIVER : TW_DEAD_ROUTE,
                           .backend = options->backend};
  tw_status status = take(command, &taking, error);
  command->seen = taking.taken + taking.kept;
  if (taking.taken) {
    snprintf(text, sizeof text,
             "%" PRIu64 " event%s on the way again, by the run that has the spool, or the next",
             taking.taken, taking.taken == 1 ? " is" : "s are");
    say(command, text);
  }
  if (taking.kept) tell_kept(command, taking.kept);
  return status;
}

/* ------------------------------------------------------------------ command */

static tw_status carry_out(tw_dead_command *command, tw_error *error) {
  switch (command->options.verb) {
    case TW_DEAD_LIST:
    case TW_DEAD_SHOW:
    case TW_DEAD_EXPORT: return print_all(command, error);
    case TW_DEAD_REMOVE: return drop(command, error);
    case TW_DEAD_REPLAY: return replay(command, error);
    case TW_DEAD_VERBS: break;
  }
  return TW_OK;
}

static int status_of(const tw_dead_command *command, tw_status status) {
  bool is_missing = !command->seen && command->options.filter.range_count;
  if (status == TW_ENOENT || status == TW_EINVAL || command->is_damaged) return TW_EXIT_INPUT;
  if (status || command->has_failed) return TW_EXIT_OUTPUT;
  if (is_missing)
    tw_term_complain(
        command->term,
        "dead: %s: there is no such letter; tidewire dead list shows those there are",
        command->options.folder);
  return is_missing ? TW_EXIT_INPUT : TW_EXIT_DONE;
}

static tw_status work(tw_dead_command *command, tw_error *error) {
  bool reads = command->options.verb == TW_DEAD_LIST || command->options.verb == TW_DEAD_SHOW ||
               command->options.verb == TW_DEAD_EXPORT;
  const tw_spool_options options = {.mode = reads ? TW_SPOOL_READ : TW_SPOOL_SHARE};
  tw_status status = tw_spool_open(command->options.folder, &options, &command->spool, error);
  if (status) return status;
  status = tw_dead_end(command->spool, &command->which.end, error);
  if (!status) status = carry_out(command, error);
  tw_spool_close(command->spool);
  return status;
}

static bool can_ask(const tw_dead_command *command) {
  if (command->options.verb != TW_DEAD_REMOVE || command->options.yes || isatty(STDIN_FILENO))
    return true;
  tw_term_complain(command->term, "dead: drop asks first, and there is no terminal: say --yes");
  return false;
}

int tw_command_dead(int argc, char **argv, tw_term *term) {
  tw_error error;
  tw_dead_command command = {.term = term};
  tw_parsed parsed = tw_dead_options_read(argc, argv, term, &command.options);
  int exit_status = parsed.go_on && !can_ask(&command) ? TW_EXIT_USAGE : parsed.status;
  if (parsed.go_on && !exit_status) {
    command.which = (tw_dead_visit){
        .filter = &command.options.filter, .self = &command, .damaged = damaged};
    tw_status status = work(&command, &error);
    if (status) tw_term_complain(term, "dead: %s", error.message);
    exit_status = status_of(&command, status);
  }
  tw_buffer_fini(&command.out);
  tw_dead_filter_fini(&command.options.filter);
  return exit_status;
}
