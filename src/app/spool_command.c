/// spool_command.c: which of the commands for a spool, and its opening.
///
/// Those that look open it as readers do, beside an owner; `drop` and `repair` own it, and so
/// are refused while a process has it.
#include "app/spool_command.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "app/exit.h"
#include "app/help.h"
#include "base/suggest.h"
#include "delivery/spool_repair.h"

int tw_spool_explain(tw_spool_tool *tool, tw_status status) {
  tw_term_complain(tool->term, "%s: %s", tool->command, tool->error.message);
  return status == TW_EEXIST   ? TW_EXIT_UNAVAILABLE
         : status == TW_ENOENT ? TW_EXIT_INPUT
         : status == TW_EINVAL ? TW_EXIT_INPUT
         : status == TW_ELIMIT ? TW_EXIT_OUTPUT
                               : TW_EXIT_REJECTED;
}

/* -------------------------------------------------------------------- repair */

static void say(void *self, const char *line) {
  const tw_spool_tool *tool = self;
  if (!tool->options->quiet) tw_term_say(tool->term, line);
}

static int print_repair(const tw_spool_tool *tool, const tw_repair_result *result) {
  if (tool->options->quiet) return TW_EXIT_DONE;
  if (result->is_sound) printf("%s is sound; nothing was changed\n", tool->folder);
  else
    printf(
        "%s: %llu records kept, %llu events lost, %llu dead letters from damaged parts; the "
        "damaged file is %s\n",
        tool->folder, (unsigned long long)result->records, (unsigned long long)result->lost,
        (unsigned long long)result->salvaged, result->damaged);
  return fflush(stdout) ? TW_EXIT_OUTPUT : TW_EXIT_DONE;
}

int tw_spool_repair_command(tw_spool_tool *tool) {
  tw_repair_result result;
  tw_status status = tw_spool_repair(tool->folder, say, tool, &result, &tool->error);
  return status ? tw_spool_explain(tool, status) : print_repair(tool, &result);
}

/* ---------------------------------------------------------------------- open */

/* Room to delete in, also when the file is larger than the default. */
static uint64_t bound_of(const char *folder) {
  char path[4096];
  struct stat file;
  snprintf(path, sizeof path, "%s/data.mdb", folder);
  return stat(path, &file) ? 0 : ((uint64_t)8 << 30) + (uint64_t)file.st_size;
}

/* @param mode  TW_SPOOL_OWN of a folder without a spool would make one */
static tw_status open_tool(tw_spool_tool *tool, tw_spool_mode mode) {
  tw_spool_options options = {.mode = mode, .max_bytes = bound_of(tool->folder)};
  if (!options.max_bytes)
    return tw_fail(&tool->error, TW_ENOENT, "%.256s: there is no spool", tool->folder);
  tw_status status = tw_spool_open(tool->folder, &options, &tool->spool, &tool->error);
  if (!status)
    status = tw_spool_begin(tool->spool, mode == TW_SPOOL_OWN, &tool->txn, &tool->error);
  return status;
}

static void close_tool(tw_spool_tool *tool) {
  tw_spool_abort(tool->txn);
  tw_spool_close(tool->spool);
}

static int run(tw_spool_tool *tool, tw_spool_mode mode, int (*command)(tw_spool_tool *tool)) {
  tw_status status = open_tool(tool, mode);
  int result = status ? tw_spool_explain(tool, status) : command(tool);
  close_tool(tool);
  return result;
}

static int dispatch(tw_spool_tool *tool, const char *name) {
  if (strcmp(name, "inspect") == 0) return run(tool, TW_SPOOL_READ, tw_spool_inspect);
  if (strcmp(name, "verify") == 0) return run(tool, TW_SPOOL_READ, tw_spool_verify);
  if (strcmp(name, "export") == 0) return run(tool, TW_SPOOL_READ, tw_spool_export);
  if (strcmp(name, "drop") == 0) return run(tool, TW_SPOOL_OWN, tw_spool_drop);
  return tw_spool_repair_command(tool);
}

/* ------------------------------------------------------------------ which one */

static int unknown(tw_term *term, const char *word) {
  static const char *const known[] = {"inspect", "verify", "export", "repair", "drop"};
  const char *near = tw_suggest(word, known, sizeof known / sizeof *known);
  if (near)
    tw_term_complain(term, "spool: unknown command \"%s\"; did you mean \"%s\"?", word, near);
  else tw_term_complain(term, "spool: unknown command \"%s\"; see tidewire spool --help", word);
  return TW_EXIT_USAGE;
}

/// @return its full name, as in messages; NULL: there is no such command
static char *full_name(const char *word) {
  static char names[][16] = {"spool inspect", "spool verify", "spool export", "spool repair",
                             "spool drop"};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++)
    if (strcmp(word, names[i] + strlen("spool ")) == 0) return names[i];
  return NULL;
}

int tw_command_spool(int argc, char **argv, tw_term *term) {
  tw_spool_args options;
  const char *word = argc > 1 ? argv[1] : "--help";
  if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0) {
    int status = tw_help_print("spool");
    return argc > 1 ? status : TW_EXIT_USAGE;
  }
  char *name = full_name(word);
  if (!name) return unknown(term, word);
  argv[1] = name;
  tw_parsed parsed = tw_spool_options_read(argc - 1, argv + 1, term, &options);
  if (!parsed.go_on) return parsed.status;
  tw_spool_tool tool = {
      .command = name, .options = &options, .term = term, .folder = options.folder};
  return dispatch(&tool, word);
}
