/// Each test puts a descriptor of its own in the place of standard output.
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <time.h>

#include "tools.h"

static int saved;

static void replace_stdout(int fd) {
  fflush(stdout);
  saved = dup(STDOUT_FILENO);
  dup2(fd, STDOUT_FILENO);
}

static void restore_stdout(void) {
  dup2(saved, STDOUT_FILENO);
  close(saved);
}

static void events_are_lines_on_standard_output(void **state) {
  (void)state;
  int fd = open(in_folder("out"), O_RDWR | O_CREAT, 0600);
  replace_stdout(fd);
  tw_backend *backend = open_backend("stdout", "{}");
  send_json(backend, "{\"n\":1}", 0);
  send_json(backend, "{\"n\":2}", TW_MORE);
  flush_it(backend);
  close_backend(backend);
  restore_stdout();
  close(fd);
  assert_file(in_folder("out"), "{\"n\":1}\n{\"n\":2}\n");
}

static void a_closed_standard_output_is_told_when_opened(void **state) {
  (void)state;
  tw_error error = {.message = ""};
  tw_backend *backend = make_backend("stdout", "{}");
  fflush(stdout);
  saved = dup(STDOUT_FILENO);
  close(STDOUT_FILENO);
  tw_status status = tw_backend_use(backend, &error);
  restore_stdout();
  assert_int_equal(status, TW_EIO);
  assert_says(&error, "standard output: is closed: Bad file descriptor");
  tw_backend_unref(backend);
}

/* ----------------------------------------------------------------- broken pipe */

static volatile sig_atomic_t caught;
static void catch (int number) { caught = number; }

/* A reader has gone. @param[out] error  what the backend says */
static tw_status send_into_broken_pipe(tw_error *error) {
  int ends[2];
  assert_int_equal(pipe(ends), 0);
  replace_stdout(ends[1]);
  close(ends[1]);
  tw_backend *backend = open_backend("stdout", "{}");
  close(ends[0]);
  tw_status status = try_send(backend, "{}", 0, error);
  close_backend(backend);
  restore_stdout();
  return status;
}

static void a_reader_that_has_gone_is_an_error_and_no_signal(void **state) {
  (void)state;
  tw_error error = {.message = ""};
  struct sigaction before, after;
  sigaction(SIGPIPE, NULL, &before);
  assert_true(before.sa_handler == SIG_DFL);
  assert_int_equal(send_into_broken_pipe(&error), TW_EIO);
  assert_says(&error, "standard output: cannot write: Broken pipe");
  sigaction(SIGPIPE, NULL, &after);
  assert_true(after.sa_handler == SIG_DFL);
}

static void a_signal_that_waits_for_the_host_still_arrives(void **state) {
  (void)state;
  sigset_t set;
  signal(SIGPIPE, catch);
  sigemptyset(&set);
  sigaddset(&set, SIGPIPE);
  pthread_sigmask(SIG_BLOCK, &set, NULL);
  raise(SIGPIPE);
  assert_int_equal(send_into_broken_pipe(NULL), TW_EIO);
  assert_int_equal(caught, 0);
  pthread_sigmask(SIG_UNBLOCK, &set, NULL);
  assert_int_equal(caught, SIGPIPE);
  signal(SIGPIPE, SIG_DFL);
}

/* -------------------------------------------------------------------- slow pipe */

enum { COUNT = 20000 };

typedef struct reader {
  int fd;
  size_t lines, bytes;
} reader;

static void *read_slowly(void *self) {
  reader *r = self;
  char chunk[50000];
  struct timespec pause = {0, 1000000};
  for (ssize_t n; (n = read(r->fd, chunk, sizeof chunk)) > 0; nanosleep(&pause, NULL)) {
    r->bytes += (size_t)n;
    for (ssize_t i = 0; i < n; i++) r->lines += chunk[i] == '\n';
  }
  return NULL;
}

static void a_pipe_that_does_not_block_is_waited_for(void **state) {
  (void)state;
  int ends[2];
  pthread_t thread;
  assert_int_equal(pipe(ends), 0);
  fcntl(ends[1], F_SETFL, O_NONBLOCK);
  reader r = {.fd = ends[0]};
  pthread_create(&thread, NULL, read_slowly, &r);
  replace_stdout(ends[1]);
  close(ends[1]);
  tw_backend *backend = open_backend("stdout", "{}");
  tw_event *event = make_event("{\"name\":\"a line of some length, to fill a pipe\"}");
  tw_status status = TW_OK;
  for (int i = 0; i < COUNT && status == TW_OK; i++)
    status = tw_backend_send(backend, event, TW_MORE, NULL);
  close_backend(backend);
  restore_stdout();
  pthread_join(thread, NULL);
  close(ends[0]);
  tw_event_free(event);
  assert_int_equal(status, TW_OK);
  assert_int_equal(r.lines, COUNT);
  assert_int_equal(r.bytes % COUNT, 0);
}

static void *read_a_little(void *fd) {
  char chunk[1000];
  ssize_t n = read(*(int *)fd, chunk, sizeof chunk);
  (void)n;
  struct timespec pause = {0, 50000000};
  nanosleep(&pause, NULL);
  close(*(int *)fd);
  return NULL;
}

static void lines_lost_in_a_pipe_are_counted_and_a_torn_one_is_told(void **state) {
  (void)state;
  int ends[2];
  pthread_t thread;
  uint64_t lost = 0;
  tw_error error = {.message = ""};
  assert_int_equal(pipe(ends), 0);
  pthread_create(&thread, NULL, read_a_little, &ends[0]);
  replace_stdout(ends[1]);
  close(ends[1]);
  tw_backend *backend = open_backend("stdout", "{}");
  for (int i = 0; i < 2500; i++)
    send_json(backend, "{\"name\":\"a line of some length, to fill a pipe\"}", TW_MORE);
  tw_status status = tw_backend_flush(backend, &lost, &error);
  tw_backend_stats stats = stats_of(backend);
  close_backend(backend);
  restore_stdout();
  pthread_join(thread, NULL);
  assert_int_equal(status, TW_EIO);
  assert_true(lost > 0 && lost < 2500);
  assert_int_equal(stats.sent, 2500 - lost);
  assert_int_equal(stats.failed, lost);
  assert_says(&error, "a piece of a line stays behind: Broken pipe");
  assert_says(&error, "events were not written");
}

#define IN_FOLDER(name) cmocka_unit_test_setup_teardown(name, make_folder, remove_folder)

int main(void) {
  const struct CMUnitTest tests[] = {
      IN_FOLDER(events_are_lines_on_standard_output),
      cmocka_unit_test(a_closed_standard_output_is_told_when_opened),
      cmocka_unit_test(a_reader_that_has_gone_is_an_error_and_no_signal),
      cmocka_unit_test(a_signal_that_waits_for_the_host_still_arrives),
      cmocka_unit_test(a_pipe_that_does_not_block_is_waited_for),
      cmocka_unit_test(lines_lost_in_a_pipe_are_counted_and_a_torn_one_is_told),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
