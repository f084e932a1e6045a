/* The commands that ask a daemon: what they print, and their exit status. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka.h needs those above. */
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "app/control.h"
#include "app/control_socket.h"
#include "app/daemon.h"
#include "app/exit.h"

static char folder[] = "/tmp/tidewire-daemon-XXXXXX";
static char socket_path[64];

/* ------------------------------------------------------------------ a daemon */

typedef struct answers {
  tw_status outcome;          /* of a reload */
  const char *const *members; /* of a status: keys and values, then NULL */
} answers;

static tw_status reload(void *self, uint64_t *generation, tw_error *error) {
  const answers *to = self;
  *generation = to->outcome ? 3 : 4;
  return to->outcome ? tw_fail(error, to->outcome, "shop.lua:12: oh") : TW_OK;
}

static void member(tw_builder *json, const char *key, const char *value) {
  tw_builder_key(json, key);
  tw_builder_json(json, value, strlen(value));
}

static void status(void *self, tw_builder *json) {
  const answers *to = self;
  for (const char *const *at = to->members; at && *at; at += 2) member(json, at[0], at[1]);
}

static tw_status flush(void *self, int timeout_ms, uint64_t *remaining, tw_error *error) {
  (void)self, (void)timeout_ms, (void)remaining, (void)error;
  return TW_OK;
}

/* ------------------------------------------------------------------ a terminal */

typedef struct printed {
  int status;
  char out[2048], err[2048];
} printed;

static int redirect(FILE *stream, const char *name) {
  char path[128];
  fflush(stream);
  int before = dup(fileno(stream));
  snprintf(path, sizeof path, "%s/%s", folder, name);
  FILE *file = fopen(path, "w");
  assert_non_null(file);
  dup2(fileno(file), fileno(stream));
  fclose(file);
  return before;
}

static void restore(FILE *stream, int before, const char *name, char text[2048]) {
  char path[128];
  fflush(stream);
  dup2(before, fileno(stream));
  close(before);
  snprintf(path, sizeof path, "%s/%s", folder, name);
  FILE *file = fopen(path, "r");
  assert_non_null(file);
  text[fread(text, 1, 2047, file)] = 0;
  fclose(file);
  unlink(path);
}

typedef int command(int argc, char **argv, tw_term *term);

/* @param words  separated by spaces, the socket's path for a "@" */
static printed call(command *run, const char *words) {
  char text[256], *argv[8] = {0};
  int argc = 0;
  tw_term term = {.mutex = PTHREAD_MUTEX_INITIALIZER};
  printed got;
  snprintf(text, sizeof text, "%s", words);
  for (char *word = strtok(text, " "); word; word = strtok(NULL, " "))
    argv[argc++] = strcmp(word, "@") == 0 ? socket_path : word;
  int out = redirect(stdout, "out"), err = redirect(stderr, "err");
  got.status = run(argc, argv, &term);
  restore(stdout, out, "out", got.out);
  restore(stderr, err, "err", got.err);
  return got;
}

static printed ask(command *run, const char *words, answers *to) {
  static const tw_control_ops ops = {reload, status, flush};
  tw_control *control;
  tw_error error;
  if (tw_control_open(socket_path, &control, &error) ||
      tw_control_serve(control, &ops, to, TW_CONTROL_PATIENCE_MS, &error))
    fail_msg("%s", error.message);
  printed got = call(run, words);
  tw_control_close(control);
  return got;
}

static void check(const printed *got, int expected, const char *out, const char *err) {
  assert_string_equal(got->err, err);
  assert_string_equal(got->out, out);
  assert_int_equal(got->status, expected);
}

/* -------------------------------------------------------------------- reload */

static void a_reload_prints_the_generation_that_runs(void **state) {
  (void)state;
  answers to = {0};
  printed got = ask(tw_command_reload, "reload @", &to);
  check(&got, TW_EXIT_DONE, "generation 4 runs\n", "");
  got = ask(tw_command_reload, "reload -q @", &to);
  check(&got, TW_EXIT_DONE, "", "");
  got = ask(tw_command_reload, "reload --json @", &to);
  check(&got, TW_EXIT_DONE, "{\"ok\":true,\"generation\":4}\n", "");
}

static void a_script_that_is_refused_is_told_and_shows_in_the_status(void **state) {
  (void)state;
  answers to = {.outcome = TW_ESCRIPT};
  printed got = ask(tw_command_reload, "reload -q @", &to);
  check(&got, TW_EXIT_SCRIPT, "", "shop.lua:12: oh\ngeneration 3 goes on\n");
  got = ask(tw_command_reload, "reload --json @", &to);
  check(&got, TW_EXIT_SCRIPT,
        "{\"ok\":false,\"error\":\"shop.lua:12: oh\",\"code\":\"script\","
        "\"generation\":3}\n",
        "");
}

static void a_daemon_that_ends_is_no_daemon(void **state) {
  (void)state;
  answers to = {.outcome = TW_ECLOSED};
  printed got = ask(tw_command_reload, "reload @", &to);
  check(&got, TW_EXIT_UNAVAILABLE, "", "shop.lua:12: oh\n");
}

static void without_a_daemon_both_say_so(void **state) {
  (void)state;
  char expected[256];
  snprintf(expected, sizeof expected,
           "tidewire: reload: %s: no daemon listens here (there is no such socket)\n",
           socket_path);
  printed got = call(tw_command_reload, "reload @");
  check(&got, TW_EXIT_UNAVAILABLE, "", expected);
  got = call(tw_command_status, "status @");
  assert_int_equal(got.status, TW_EXIT_UNAVAILABLE);
}

static void a_daemon_that_does_not_answer_in_time_has_a_status_of_its_own(void **state) {
  (void)state;
  tw_control_socket made; /* that nobody accepts from */
  char expected[256];
  assert_int_equal(tw_control_socket_open(&made, socket_path, NULL), TW_OK);
  printed got = call(tw_command_reload, "reload --timeout 20ms @");
  tw_control_socket_close(&made);
  snprintf(expected, sizeof expected,
           "tidewire: reload: %s: no answer in time; what has become of the request is not "
           "known\n",
           socket_path);
  check(&got, TW_EXIT_TIMEOUT, "", expected);
}

static void wrong_usage_is_told(void **state) {
  (void)state;
  static const char *const cases[][2] = {
      {"reload", "reload: no socket given; see tidewire reload --help"},
      {"reload a b", "reload: one socket at a time, not also \"b\""},
      {"reload --timeout=0 a",
       "reload: --timeout must be 1ms to 24h, such as 10s or 500ms, not \"0\""},
      {"reload --timeout 25h a",
       "reload: --timeout must be 1ms to 24h, such as 10s or 500ms, not \"25h\""},
      {"reload --timout=1 a", "reload: unknown option --timout; did you mean --timeout?"},
      {"reload --timeout", "reload: --timeout needs a value; see tidewire reload --help"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    char expected[256];
    snprintf(expected, sizeof expected, "tidewire: %s\n", cases[i][1]);
    printed got = call(tw_command_reload, cases[i][0]);
    check(&got, TW_EXIT_USAGE, "", expected);
  }
}

/* -------------------------------------------------------------------- status */

static void a_status_is_shown_as_a_table(void **state) {
  (void)state;
  static const char *const members[] = {
      "generation",
      "4",
      "script",
      "\"shop.lua\"",
      "workers",
      "2",
      "uptime",
      "7980.5",
      "received",
      "1234567",
      "processed",
      "1234500",
      "waiting",
      "50",
      "dropped",
      "{\"newest\":10,\"oldest\":0,\"timeout\":7,\"closed\":0}",
      "reloads",
      "3",
      "refused",
      "1",
      "refusal",
      "\"shop.lua:12: oh\"",
      "backends",
      "[{\"path\":\"video/archive\",\"kind\":\"file\",\"sent\":1000,\"failed\":2}]",
      NULL};
  char expected[1024];
  answers to = {.members = members};
  snprintf(expected, sizeof expected,
           "generation 4 of shop.lua, process %d, 2 workers, for 2 h 13 min\n"
           "  received                 1,234,567\n"
           "  processed                1,234,500\n"
           "  waiting                         50\n"
           "  dropped                         17  newest 10, timeout 7\n"
           "  reloads                          3  and 1 refused\n"
           "the last one was refused: shop.lua:12: oh\n"
           "backend                         sent        failed\n"
           "  video/archive (file)         1,000             2\n",
           (int)getpid());
  printed got = ask(tw_command_status, "status @", &to);
  check(&got, TW_EXIT_DONE, expected, "");
  got = ask(tw_command_status, "status --quiet @", &to);
  check(&got, TW_EXIT_DONE, "", "");
}

static void a_status_of_a_young_daemon_is_short(void **state) {
  (void)state;
  static const char *const members[] = {
      "generation", "1", "script", "\"a\\u001b\"", "workers", "1", "uptime", "59.9", NULL};
  char expected[1024];
  answers to = {.members = members};
  snprintf(expected, sizeof expected,
           "generation 1 of a?, process %d, 1 worker, for 59 s\n"
           "  received                 0\n"
           "  processed                0\n"
           "  waiting                  0\n"
           "  dropped                  0\n"
           "  reloads                  0\n",
           (int)getpid());
  printed got = ask(tw_command_status, "status @", &to);
  check(&got, TW_EXIT_DONE, expected, "");
}

static int set_up(void **state) {
  (void)state;
  if (!mkdtemp(folder)) return 1;
  snprintf(socket_path, sizeof socket_path, "%s/socket", folder);
  return 0;
}

static int tear_down(void **state) {
  (void)state;
  return rmdir(folder);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_reload_prints_the_generation_that_runs),
      cmocka_unit_test(a_script_that_is_refused_is_told_and_shows_in_the_status),
      cmocka_unit_test(a_daemon_that_ends_is_no_daemon),
      cmocka_unit_test(without_a_daemon_both_say_so),
      cmocka_unit_test(a_daemon_that_does_not_answer_in_time_has_a_status_of_its_own),
      cmocka_unit_test(wrong_usage_is_told),
      cmocka_unit_test(a_status_is_shown_as_a_table),
      cmocka_unit_test(a_status_of_a_young_daemon_is_short),
  };
  return cmocka_run_group_tests(tests, set_up, tear_down);
}
