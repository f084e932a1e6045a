/// run.c: from the command line to the exit status: load, open, route, close, report.
///
/// What can be found wrong is found before the first event is routed, in this order: the
/// command line, the inputs, the script, whether it writes into an input, its backends. From
/// then on nothing ends the run but the end of the input and a signal; what fails is counted
/// and shows in the status.
#include "app/run.h"

#include <errno.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "app/exit.h"
#include "app/failures.h"
#include "app/options.h"
#include "app/route.h"
#include "app/signals.h"
#include "app/summary.h"
#include "base/clock.h"
#include "core/inspect.h"
#include "core/kind.h"
#include "script/upkeep.h"

typedef struct tw_run {
  tw_options options;
  tw_term *term;
  tw_script *script;
  tw_feed feed;
  tw_progress progress;
  tw_sink rejects, dead;
  tw_failures failures;
} tw_run;

static char *standard_input[] = {"-", NULL};

/// The files to read: a NULL-terminated list.
static char **inputs(const tw_run *run) {
  return run->options.operand_count > 1 ? run->options.operands + 1 : standard_input;
}

/* --------------------------------------------------------- before anything */

/// Appending rejects to a file that is being read would feed the run with its own output.
static bool is_same(const struct stat *input, const char *path) {
  struct stat info;
  return S_ISREG(input->st_mode) && stat(path, &info) == 0 && info.st_dev == input->st_dev &&
         info.st_ino == input->st_ino;
}

/// Looks at one input before anything is routed. @return an exit status
static int examine(const tw_run *run, const char *name) {
  struct stat info;
  bool standard = strcmp(name, "-") == 0;
  const char *reason = NULL;
  if ((standard ? fstat(STDIN_FILENO, &info) : stat(name, &info)) != 0 ||
      (!standard && access(name, R_OK) != 0))
    reason = strerror(errno);
  else if (S_ISDIR(info.st_mode)) reason = strerror(EISDIR);
  if (reason) {
    tw_term_complain(run->term, "%s: %s; nothing was routed", tw_input_title(name), reason);
    return TW_EXIT_INPUT;
  }
  const char *same = is_same(&info, run->options.rejects) ? run->options.rejects : NULL;
  if (!same && is_same(&info, run->options.dead)) same = run->options.dead;
  if (!same) return TW_EXIT_DONE;
  tw_term_complain(run->term, "%s is read, so it cannot be written too: choose another %s",
                   same, same == run->options.dead ? "--dead" : "--rejects");
  return TW_EXIT_USAGE;
}

/// A name mistyped is told before half of the input is routed.
static int examine_all(const tw_run *run) {
  int worst = TW_EXIT_DONE;
  for (char **name = inputs(run); *name && !worst; name++) worst = examine(run, *name);
  return worst;
}

/// A search for a backend that writes into an input.
typedef struct tw_overlap {
  tw_run *run;
  const char *name; ///< of the input
  struct stat input;
  int status;
} tw_overlap;

static void examine_backend(void *self, const char *path, tw_backend *backend,
                            tw_router *child) {
  tw_overlap *overlap = self;
  if (child || overlap->status || !tw_backend_writes_into(backend, &overlap->input)) return;
  overlap->status = TW_EXIT_USAGE;
  tw_term_complain(overlap->run->term,
                   "%s is read, so the backend \"%s\" cannot write into it too: choose another "
                   "file",
                   tw_input_title(overlap->name), path);
}

/// A router that is fed with its own output never ends, or empties its input on opening.
static int examine_backends(tw_run *run) {
  tw_overlap overlap = {.run = run};
  for (char **name = inputs(run); *name && !overlap.status; name++) {
    bool standard = strcmp(*name, "-") == 0;
    overlap.name = *name;
    if (!(standard ? fstat(STDIN_FILENO, &overlap.input) : stat(*name, &overlap.input)) &&
        S_ISREG(overlap.input.st_mode))
      tw_router_visit(run->feed.router, examine_backend, &overlap);
  }
  return overlap.status;
}

/* ------------------------------------------------------------- start, end */

/// Signals still end the process at once here: nothing is gathered yet.
static int start(tw_run *run) {
  tw_error error;
  if (tw_script_load_with(run->options.operands[0], &run->options.script, &run->script,
                          &error)) {
    tw_term_complain(run->term, "%s", error.message);
    return TW_EXIT_SCRIPT;
  }
  run->feed.script = run->script;
  run->feed.router = tw_script_router(run->script);
  int status = examine_backends(run);
  if (status) return status;
  tw_observer observer = tw_failures_observer();
  if (tw_router_watch(run->feed.router, &observer, &run->failures, &error) ||
      tw_router_open(run->feed.router, &error)) {
    tw_term_complain(run->term, "%s", error.message);
    return TW_EXIT_OUTPUT;
  }
  return TW_EXIT_DONE;
}

/// Closing flushes; its failures are in the counts only after it, so the report waits.
static void finish(tw_run *run) {
  tw_error error;
  run->feed.input.number = 0; // what fails from here on is no line's fault
  if (tw_script_finish(run->script, false, &error)) {
    tw_term_complain(run->term, "%s", error.message);
    run->feed.output_failed = true;
  }
  if (tw_router_close(run->feed.router, &error)) run->feed.output_failed = true;
  tw_sink_flush(&run->dead);
}

/// In the order of tw_exit: lost output is worse than unread input.
static int status_of(const tw_run *run) {
  const tw_feed *feed = &run->feed;
  tw_totals totals = tw_summary_totals(feed->router);
  if (feed->output_failed || totals.failed || run->rejects.lost || run->dead.lost)
    return TW_EXIT_OUTPUT;
  if (feed->input_failed) return TW_EXIT_INPUT;
  if (run->options.strict && feed->tally.rejected) return TW_EXIT_REJECTED;
  return TW_EXIT_DONE;
}

static double cpu_seconds(void) {
  struct timespec time = {0};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
  return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static int report(tw_run *run) {
  uint64_t took = tw_clock_monotonic_ns() - run->progress.began;
  tw_summary summary = {.script = run->options.operands[0],
                        .tally = &run->feed.tally,
                        .router = run->feed.router,
                        .rejects = &run->rejects,
                        .dead = &run->dead,
                        .seconds = (double)took / 1e9,
                        .cpu_seconds = cpu_seconds(),
                        .peak = tw_peak_memory(),
                        .caught = tw_signals_caught(),
                        .status = status_of(run)};
  tw_buffer text = {0};
  if (!run->options.quiet && !run->options.json) tw_summary_text(&summary, run->term, &text);
  if (run->options.json) tw_summary_json(&summary, &text);
  tw_term_write(run->term, &text);
  tw_buffer_fini(&text);
  return summary.status;
}

static int route(tw_run *run) {
  tw_signals_install();
  tw_progress_begin(&run->progress, run->options.quiet ? NULL : run->term);
  for (char **name = inputs(run); *name && !tw_signals_caught(); name++)
    tw_feed_file(&run->feed, *name);
  finish(run);
  return report(run);
}

static void set_up(tw_run *run) {
  const tw_limits *limits = &run->options.limits;
  run->rejects =
      (tw_sink){.path = run->options.rejects, .what = "rejected lines", .term = run->term};
  run->dead = (tw_sink){.path = run->options.dead, .what = "dead letters", .term = run->term};
  run->failures =
      (tw_failures){.term = run->term, .dead = &run->dead, .input = &run->feed.input};
  run->feed.term = run->term;
  run->feed.progress = &run->progress;
  run->feed.rejects = &run->rejects;
  run->feed.dead = &run->dead;
  run->feed.input.max_line = limits->max_size;
  tw_store_init(&run->feed.store, limits);
}

int tw_command_run(int argc, char **argv, tw_term *term) {
  tw_run run = {.term = term};
  tw_parsed parsed = tw_options_run(argc, argv, term, &run.options);
  if (!parsed.go_on) return parsed.status;
  set_up(&run);
  int status = examine_all(&run);
  if (!status) status = start(&run);
  if (!status) status = route(&run);
  tw_script_free(run.script);
  tw_feed_fini(&run.feed);
  tw_sink_fini(&run.rejects);
  tw_sink_fini(&run.dead);
  return status;
}
