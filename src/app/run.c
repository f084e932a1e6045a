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

#include "app/drain.h"
#include "app/exit.h"
#include "app/feed.h"
#include "app/options.h"
#include "app/settings.h"
#include "app/signals.h"
#include "app/steering.h"
#include "app/summary.h"
#include "base/clock.h"
#include "core/kind.h"

typedef struct tw_run {
  tw_options options;
  tw_term *term;
  tw_account account;
  tw_intake intake;
  tw_feed feed;
  tw_progress progress;
  tw_steering steering;
  tw_drain *drain;
  bool is_loaded;  ///< the script; its backends may fail to open
  bool is_refused; ///< it writes into an input
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
  if (run->options.follow && (standard || !S_ISREG(info.st_mode))) {
    tw_term_complain(run->term, "%s: only a file can be followed: leave out --follow",
                     tw_input_title(name));
    return TW_EXIT_USAGE;
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
  const char *name; ///< of the input
  struct stat input;
  tw_error *error;
  tw_status status;
} tw_overlap;

static void examine_backend(void *self, const char *path, tw_backend *backend,
                            tw_router *child) {
  tw_overlap *overlap = self;
  if (child || overlap->status || !tw_backend_writes_into(backend, &overlap->input)) return;
  overlap->status =
      tw_fail(overlap->error, TW_EINVAL,
              "%s is read, so the backend \"%s\" cannot write into it too: choose "
              "another file",
              tw_input_title(overlap->name), path);
}

/// A router that is fed with its own output never ends, or empties its input on opening.
static tw_status accept(void *self, tw_router *router, tw_error *error) {
  tw_run *run = self;
  tw_overlap overlap = {.error = error};
  run->is_loaded = true;
  for (char **name = inputs(run); *name && !overlap.status; name++) {
    bool standard = strcmp(*name, "-") == 0;
    overlap.name = *name;
    if (!(standard ? fstat(STDIN_FILENO, &overlap.input) : stat(*name, &overlap.input)) &&
        S_ISREG(overlap.input.st_mode))
      tw_router_visit(router, examine_backend, &overlap);
  }
  run->is_refused = overlap.status != TW_OK;
  return overlap.status;
}

/* ------------------------------------------------------------- start, end */

static void failed(void *self, const tw_failure *failure) {
  tw_run *run = self;
  tw_account_failed(&run->account, failure);
}

static void dead(void *self, const tw_failure *failure) {
  tw_run *run = self;
  tw_account_dead(&run->account, failure);
}

static void reloaded(void *self, uint64_t generation, const tw_error *error) {
  tw_run *run = self;
  tw_steering_told(&run->steering, generation, error);
}

static tw_status new_engine(tw_run *run, tw_error *error) {
  static const tw_engine_ops ops = {
      .failed = failed, .dead = dead, .accept = accept, .reloaded = reloaded};
  const char *settings;
  size_t len;
  tw_builder *json = tw_builder_new();
  if (!json || !tw_settings_write(&run->options, json)) {
    tw_builder_free(json);
    return tw_no_memory(error);
  }
  tw_builder_text(json, &settings, &len, NULL);
  tw_status status = tw_engine_new(run->options.operands[0], settings, len, &ops, run,
                                   &run->feed.engine, error);
  tw_builder_free(json);
  return status;
}

/// Another run on the same socket would be told apart from this one by nobody.
static int claim_socket(tw_run *run) {
  tw_error error;
  tw_status status = tw_steering_claim(&run->steering, &error);
  if (!status) return TW_EXIT_DONE;
  tw_term_complain(run->term, "--control: %s", error.message);
  return status == TW_EINVAL ? TW_EXIT_USAGE : TW_EXIT_UNAVAILABLE;
}

/// Signals still end the process at once here: nothing is gathered yet.
static int start(tw_run *run) {
  tw_error error;
  tw_status status = new_engine(run, &error);
  if (!status) {
    if (tw_engine_has_spool(run->feed.engine)) tw_account_use_spool(&run->account);
    return TW_EXIT_DONE;
  }
  tw_term_complain(run->term, "%s", error.message);
  if (run->is_refused) return TW_EXIT_USAGE;
  if (status == TW_EEXIST) return TW_EXIT_UNAVAILABLE; // a living process has the spool
  return run->is_loaded ? TW_EXIT_OUTPUT : TW_EXIT_SCRIPT;
}

/// For the threads that stand beside the run. Without them it would not be what was asked for.
static int stand_by(tw_run *run) {
  tw_error error;
  tw_status status = tw_steering_begin(&run->steering, run->feed.engine, &error);
  if (status == TW_OK && run->options.drain_ms >= 0)
    status = tw_drain_guard(run->feed.engine, run->options.drain_ms, &run->drain, &error);
  if (!status) return TW_EXIT_DONE;
  tw_term_complain(run->term, "%s", error.message);
  return TW_EXIT_UNAVAILABLE;
}

/// All that was read has been processed, or is given up because its time was over. What waits
/// in outboxes has the same time to be delivered; what fails and fails is not waited for.
/// @return whether all is delivered
static bool drain(tw_run *run) {
  tw_intake_wait(&run->intake, 0, -1);
  bool ok = tw_engine_drain(run->feed.engine, run->options.drain_ms, NULL, NULL) == TW_OK;
  bool is_over = tw_drain_end(run->drain);
  unsigned long long left = tw_account_tally(&run->account).left;
  if (is_over && left)
    tw_term_complain(run->term, "%llu events were not processed: the time of --drain was over",
                     left);
  return ok;
}

/// The folder of the spool; NULL: there is none.
static const char *spool(const tw_run *run) {
  const tw_engine *engine = run->feed.engine;
  return tw_engine_has_spool(engine) ? engine->options.spool : NULL;
}

/// Tells of what was not delivered: with a spool it is safe there.
static void tell_waiting(void *self, const tw_branch *branch) {
  tw_run *run = self;
  if (!branch->outbox || !branch->outbox->waiting) return;
  unsigned long long count = branch->outbox->waiting;
  const char *folder = spool(run), *plural = count == 1 ? "" : "s";
  if (folder)
    tw_term_complain(run->term, "%llu event%s wait%s for \"%s\" in %s: run again", count,
                     plural, count == 1 ? "s" : "", branch->path, folder);
  else
    tw_term_complain(run->term, "%llu event%s for \"%s\" could not be delivered and %s lost",
                     count, plural, branch->path, count == 1 ? "is" : "are");
  if (!folder) run->account.output_failed = true;
}

/// Closing flushes; its failures are in the counts only after it, so the report waits. Outboxes
/// in memory are waited for when they are closed: not those that fail and fail.
static void finish(tw_run *run) {
  bool has_spool = tw_engine_has_spool(run->feed.engine);
  int timeout_ms = drain(run) || has_spool ? -1 : 0;
  if (tw_engine_close(run->feed.engine, timeout_ms, NULL, NULL))
    run->account.output_failed = true;
  tw_account_flush(&run->account);
  tw_steering_end(&run->steering);
  tw_engine_visit(run->feed.engine, tell_waiting, run);
}

/// In the order of tw_exit: lost output is worse than unread input.
static int status_of(const tw_run *run, const tw_totals *totals) {
  const tw_account *account = &run->account;
  if (account->output_failed || totals->failed || account->rejects.lost || account->dead.lost)
    return TW_EXIT_OUTPUT;
  if (totals->waiting || account->has_left) return TW_EXIT_WAITING;
  if (run->feed.input_failed) return TW_EXIT_INPUT;
  if (run->options.strict && account->tally.rejected) return TW_EXIT_REJECTED;
  return TW_EXIT_DONE;
}

static double cpu_seconds(void) {
  struct timespec time = {0};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
  return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static int report(tw_run *run) {
  uint64_t took = tw_clock_monotonic_ns() - run->progress.began;
  tw_totals totals = tw_summary_totals(run->feed.engine);
  tw_summary summary = {.script = run->options.operands[0],
                        .tally = &run->account.tally,
                        .engine = run->feed.engine,
                        .rejects = &run->account.rejects,
                        .dead = &run->account.dead,
                        .unfinished = run->feed.unfinished,
                        .spool = spool(run),
                        .seconds = (double)took / 1e9,
                        .cpu_seconds = cpu_seconds(),
                        .peak = tw_peak_memory(),
                        .caught = tw_signals_caught(),
                        .status = status_of(run, &totals)};
  tw_buffer text = {0};
  if (!run->options.quiet && !run->options.json) tw_summary_text(&summary, run->term, &text);
  if (run->options.json) tw_summary_json(&summary, &text);
  tw_term_write(run->term, &text);
  tw_buffer_fini(&text);
  return summary.status;
}

static int route(tw_run *run) {
  tw_signals_install();
  int status = stand_by(run);
  if (status) return status;
  tw_progress_begin(&run->progress, run->options.quiet ? NULL : run->term);
  tw_feed_read(&run->feed, inputs(run), run->options.follow);
  finish(run);
  return report(run);
}

static void set_up(tw_run *run) {
  tw_account_init(&run->account, run->term, run->options.rejects, run->options.dead);
  tw_steering_init(&run->steering, &run->options, &run->account);
  tw_intake_init(&run->intake, &tw_account_intake, &run->account);
  tw_feed_init(&run->feed, run->term, &run->progress, &run->account, &run->intake,
               run->options.limits.max_size);
}

int tw_command_run(int argc, char **argv, tw_term *term) {
  tw_run run = {.term = term};
  tw_parsed parsed = tw_options_run(argc, argv, term, &run.options);
  if (!parsed.go_on) return parsed.status;
  set_up(&run);
  int status = examine_all(&run);
  if (!status) status = claim_socket(&run);
  if (!status) status = start(&run);
  if (!status) status = route(&run);
  tw_steering_end(&run.steering);
  tw_engine_unref(run.feed.engine);
  tw_steering_fini(&run.steering);
  tw_feed_fini(&run.feed);
  tw_intake_fini(&run.intake);
  tw_account_fini(&run.account);
  return status;
}
