/* Control sockets: what is answered, who is served, whose file it is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka.h needs those above. */
#include <cmocka.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "app/ask.h"
#include "app/control.h"
#include "app/control_socket.h"
#include "support/oom.h"

static char folder[] = "/tmp/tidewire-control-XXXXXX";
static char socket_path[64];

/* ------------------------------------------------------------------ a daemon */

typedef struct daemon {
  atomic_uint reloads;
  tw_status outcome; /* of a reload */
  const char *message;
  sem_t begun, go_on; /* of a reload, when it is to wait */
  bool waits;
} daemon_ops;

static tw_status reload(void *self, uint64_t *generation, tw_error *error) {
  daemon_ops *to = self;
  atomic_fetch_add(&to->reloads, 1);
  if (to->waits) {
    sem_post(&to->begun);
    while (sem_wait(&to->go_on)) {}
  }
  *generation = to->outcome ? 3 : 4;
  return to->outcome ? tw_fail(error, to->outcome, "%s", to->message) : TW_OK;
}

static void status(void *self, tw_builder *json) {
  (void)self;
  tw_builder_key(json, "generation");
  tw_builder_integer(json, 4);
}

static tw_status flush(void *self, int timeout_ms, uint64_t *remaining, tw_error *error) {
  (void)self;
  *remaining = 17;
  if (timeout_ms == 30000) return TW_OK;
  return tw_fail(error, TW_ELIMIT, "%d ms are over", timeout_ms);
}

static const tw_control_ops ops = {reload, status, flush};

/* ------------------------------------------------------------------ protocol */

static void check_answer(daemon_ops *to, const char *request, const char *expected) {
  tw_buffer answer = {0};
  tw_control_answer(request, strlen(request), &ops, to, &answer);
  tw_buffer_pad(&answer, 1);
  assert_string_equal(answer.data, expected);
  tw_buffer_fini(&answer);
}

static void a_reload_is_answered_with_the_generation_that_runs(void **state) {
  (void)state;
  daemon_ops to = {0};
  check_answer(&to, "{\"command\":\"reload\"}", "{\"ok\":true,\"generation\":4}\n");
  to.outcome = TW_ESCRIPT, to.message = "shop.lua:12: oh";
  check_answer(&to, " {\"later\": [1], \"command\" : \"reload\"}\r\n",
               "{\"ok\":false,\"error\":\"shop.lua:12: oh\",\"code\":\"script\","
               "\"generation\":3}\n");
  assert_int_equal(2, to.reloads);
}

static void a_status_holds_what_the_daemon_adds(void **state) {
  (void)state;
  char expected[128];
  snprintf(expected, sizeof expected,
           "{\"ok\":true,\"version\":\"%s\",\"pid\":%d,\"generation\":4}\n", TW_VERSION,
           (int)getpid());
  check_answer(NULL, "{\"command\":\"status\"}", expected);
}

static void a_flush_says_what_was_left_when_its_time_was_over(void **state) {
  (void)state;
  check_answer(NULL, "{\"command\":\"flush\"}", "{\"ok\":true}\n");
  check_answer(NULL, "{\"command\":\"flush\",\"timeout\":0.25}",
               "{\"ok\":false,\"error\":\"250 ms are over\",\"code\":\"limit\","
               "\"remaining\":17}\n");
  const char *const bad[] = {"-1", "1e9", "\"5\"", "null", "[]"};
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    char request[64];
    snprintf(request, sizeof request, "{\"command\":\"flush\",\"timeout\":%s}", bad[i]);
    check_answer(NULL, request,
                 "{\"ok\":false,\"error\":\"the timeout must be a number of seconds, 0 to "
                 "2147483\",\"code\":\"invalid\"}\n");
  }
}

static void whatever_is_no_request_is_told_what_there_is(void **state) {
  (void)state;
  check_answer(NULL, "{\"command\":\"relaod\"}",
               "{\"ok\":false,\"error\":\"unknown command \\\"relaod\\\"; did you mean "
               "\\\"reload\\\": there is reload, status, flush\",\"code\":\"invalid\"}\n");
  const char *const bad[] = {"{}", "{\"command\":1}", "{\"command\":null}",
                             "{\"command\":\"\\u0000reload\"}", "{\"Command\":\"reload\"}"};
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    tw_buffer answer = {0};
    tw_control_answer(bad[i], strlen(bad[i]), &ops, NULL, &answer);
    tw_buffer_pad(&answer, 1);
    assert_non_null(strstr(answer.data, "{\"ok\":false,\"error\":\""));
    assert_non_null(strstr(answer.data, "there is reload, status, flush"));
    tw_buffer_fini(&answer);
  }
  const char *const no_json[] = {"", "reload", "[]", "{\"command\":\"reload\"} x", "\xff"};
  for (size_t i = 0; i < sizeof no_json / sizeof *no_json; i++) {
    tw_buffer answer = {0};
    tw_control_answer(no_json[i], strlen(no_json[i]), &ops, NULL, &answer);
    tw_buffer_pad(&answer, 1);
    assert_non_null(strstr(answer.data, "the request must be a JSON object in one line"));
    tw_buffer_fini(&answer);
  }
}

static void an_answer_is_json_whatever_a_message_holds(void **state) {
  (void)state;
  daemon_ops to = {.outcome = TW_EIO, .message = "a\xff\"\xc3\xa4\xe2\x82"};
  check_answer(&to, "{\"command\":\"reload\"}",
               "{\"ok\":false,\"error\":\"a\xef\xbf\xbd\\\"\xc3\xa4\xef\xbf\xbd\xef\xbf\xbd\","
               "\"code\":\"io\",\"generation\":3}\n");
}

static void without_memory_nothing_is_done_and_that_is_said(void **state) {
  (void)state;
  daemon_ops to = {0};
  const char request[] = "{\"command\":\"reload\"}";
  bool failed = true;
  for (size_t n = 0; failed; n++) {
    tw_buffer answer = {0};
    tw_buffer_reserve(&answer, 4096);
    tw_oom_fail_at(n);
    tw_control_answer(request, sizeof request - 1, &ops, &to, &answer);
    failed = tw_oom_off();
    tw_buffer_pad(&answer, 1);
    assert_non_null(strstr(answer.data, failed ? "out of memory" : "\"ok\":true"));
    tw_buffer_fini(&answer);
  }
}

/* -------------------------------------------------------------------- socket */

static mode_t mode_of(const char *path) {
  struct stat info;
  return lstat(path, &info) ? 0 : info.st_mode;
}

static struct sockaddr_un address(void) {
  struct sockaddr_un out = {.sun_family = AF_UNIX};
  snprintf(out.sun_path, sizeof out.sun_path, "%s", socket_path);
  return out;
}

/* As a killed process leaves it. */
static void leave_stale_socket(void) {
  struct sockaddr_un at = address();
  int fd = socket(AF_UNIX, SOCK_STREAM, 0);
  assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof at), 0);
  assert_int_equal(listen(fd, 1), 0);
  close(fd);
}

static void a_socket_is_its_users_alone_and_goes_with_its_daemon(void **state) {
  (void)state;
  tw_control_socket made;
  mode_t before = umask(0);
  assert_int_equal(tw_control_socket_open(&made, socket_path, NULL), TW_OK);
  umask(before);
  assert_int_equal(mode_of(socket_path), S_IFSOCK | 0600);
  tw_control_socket_close(&made);
  assert_int_equal(mode_of(socket_path), 0);
  tw_control_socket_close(&made);
}

static void the_socket_of_a_dead_process_is_replaced(void **state) {
  (void)state;
  tw_control_socket made;
  int fd;
  tw_error error;
  leave_stale_socket();
  assert_int_equal(tw_control_connect(socket_path, &fd, &error), TW_ENOENT);
  assert_non_null(strstr(error.message, "its process has died"));
  assert_int_equal(tw_control_socket_open(&made, socket_path, NULL), TW_OK);
  assert_int_equal(tw_control_connect(socket_path, &fd, NULL), TW_OK);
  close(fd);
  tw_control_socket_close(&made);
}

static void the_socket_of_a_living_process_is_refused_with_its_number(void **state) {
  (void)state;
  tw_control_socket made, second;
  tw_error error;
  char pid[32];
  assert_int_equal(tw_control_socket_open(&made, socket_path, NULL), TW_OK);
  assert_int_equal(tw_control_socket_open(&second, socket_path, &error), TW_EEXIST);
  snprintf(pid, sizeof pid, "process %d listens", (int)getpid());
  assert_non_null(strstr(error.message, pid));
  tw_control_socket_close(&second);
  assert_int_equal(mode_of(socket_path), S_IFSOCK | 0600);
  tw_control_socket_close(&made);
}

static void what_is_no_socket_is_left_alone(void **state) {
  (void)state;
  tw_control_socket made;
  tw_error error;
  FILE *file = fopen(socket_path, "w");
  assert_non_null(file);
  fclose(file);
  assert_int_equal(tw_control_socket_open(&made, socket_path, &error), TW_EEXIST);
  assert_non_null(strstr(error.message, "this is no socket"));
  assert_true(S_ISREG(mode_of(socket_path)));
  unlink(socket_path);
  assert_int_equal(symlink("/nowhere", socket_path), 0);
  assert_int_equal(tw_control_socket_open(&made, socket_path, &error), TW_EEXIST);
  unlink(socket_path);
}

static void a_socket_that_another_has_made_meanwhile_stays(void **state) {
  (void)state;
  tw_control_socket first, second;
  assert_int_equal(tw_control_socket_open(&first, socket_path, NULL), TW_OK);
  unlink(socket_path);
  assert_int_equal(tw_control_socket_open(&second, socket_path, NULL), TW_OK);
  tw_control_socket_close(&first);
  assert_int_equal(mode_of(socket_path), S_IFSOCK | 0600);
  tw_control_socket_close(&second);
}

static void a_path_that_no_socket_can_have_is_told(void **state) {
  (void)state;
  tw_control_socket made;
  tw_error error;
  char path[200];
  memset(path, 'x', sizeof path);
  path[108] = 0;
  assert_int_equal(tw_control_socket_open(&made, path, &error), TW_EINVAL);
  assert_non_null(strstr(error.message, "108 bytes, of 107 at most"));
  assert_int_equal(tw_control_socket_open(&made, "", &error), TW_EINVAL);
  snprintf(path, sizeof path, "%s/missing/socket", folder);
  assert_int_equal(tw_control_socket_open(&made, path, &error), TW_EIO);
  assert_non_null(strstr(error.message, "its folder cannot be opened: No such file"));
}

typedef struct starter {
  pthread_t thread;
  pthread_barrier_t *barrier;
  tw_control_socket made;
  tw_status status;
} starter;

static void *open_at_once(void *self) {
  starter *one = self;
  pthread_barrier_wait(one->barrier);
  one->status = tw_control_socket_open(&one->made, socket_path, NULL);
  return NULL;
}

static void of_many_that_find_a_stale_socket_one_gets_it(void **state) {
  (void)state;
  enum { COUNT = 8, ROUNDS = 50 };
  for (int round = 0; round < ROUNDS; round++) {
    starter starters[COUNT];
    pthread_barrier_t barrier;
    int won = 0;
    leave_stale_socket();
    pthread_barrier_init(&barrier, NULL, COUNT);
    for (int i = 0; i < COUNT; i++) {
      starters[i].barrier = &barrier;
      pthread_create(&starters[i].thread, NULL, open_at_once, &starters[i]);
    }
    for (int i = 0; i < COUNT; i++) pthread_join(starters[i].thread, NULL);
    for (int i = 0; i < COUNT; i++) {
      won += starters[i].status == TW_OK;
      tw_control_socket_close(&starters[i].made);
    }
    pthread_barrier_destroy(&barrier);
    assert_int_equal(won, 1);
    assert_int_equal(mode_of(socket_path), 0);
  }
}

/* -------------------------------------------------------------------- served */

static tw_control *serve(daemon_ops *to, int patience_ms) {
  tw_control *control;
  tw_error error;
  sem_init(&to->begun, 0, 0);
  sem_init(&to->go_on, 0, 0);
  if (tw_control_open(socket_path, &control, &error) ||
      tw_control_serve(control, &ops, to, patience_ms, &error))
    fail_msg("%s", error.message);
  return control;
}

static void end(tw_control *control, daemon_ops *to) {
  tw_control_close(control);
  assert_int_equal(mode_of(socket_path), 0);
  sem_destroy(&to->begun);
  sem_destroy(&to->go_on);
}

static int silent_client(void) {
  int fd;
  tw_status got;
  while ((got = tw_control_connect(socket_path, &fd, NULL)) == TW_ELIMIT) sched_yield();
  assert_int_equal(got, TW_OK);
  return fd;
}

/* Reads to the end of what the daemon sends, without waiting too long. */
static void read_all(int fd, char *text, size_t room) {
  size_t len = 0;
  struct timeval limit = {.tv_sec = 20};
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  fcntl(fd, F_SETFL, 0);
  for (ssize_t got; (got = recv(fd, text + len, room - 1 - len, 0)) > 0;) len += (size_t)got;
  text[len] = 0;
  close(fd);
}

static void ask(const char *request, const char *expected) {
  tw_buffer answer = {0};
  tw_error error;
  if (tw_ask(socket_path, request, 20000, &answer, &error)) fail_msg("%s", error.message);
  tw_buffer_pad(&answer, 1);
  assert_non_null(strstr(answer.data, expected));
  tw_buffer_fini(&answer);
}

static void a_client_is_answered(void **state) {
  (void)state;
  daemon_ops to = {0};
  tw_control *control = serve(&to, TW_CONTROL_PATIENCE_MS);
  for (int i = 0; i < 40; i++) ask("{\"command\":\"reload\"}\n", "\"generation\":4}");
  ask("{\"command\":\"status\"}\n", "\"pid\":");
  end(control, &to);
}

static void *ask_to_reload(void *self) {
  (void)self;
  tw_buffer answer = {0};
  if (tw_ask(socket_path, "{\"command\":\"reload\"}\n", 60000, &answer, NULL)) answer.len = 0;
  tw_buffer_pad(&answer, 1);
  return answer.data;
}

static void check_reloaded(pthread_t thread) {
  void *answer;
  pthread_join(thread, &answer);
  assert_string_equal(answer, "{\"ok\":true,\"generation\":4}");
  tw_free(answer);
}

static void whoever_connects_before_the_daemon_is_up_waits_for_it(void **state) {
  (void)state;
  tw_control *control, *second;
  tw_error error;
  char text[512];
  daemon_ops to = {0};
  const char request[] = "{\"command\":\"reload\"}\n";
  assert_int_equal(tw_control_open(socket_path, &control, &error), TW_OK);
  int fd = silent_client();
  assert_int_equal(send(fd, request, sizeof request - 1, MSG_NOSIGNAL), sizeof request - 1);
  assert_int_equal(tw_control_open(socket_path, &second, &error), TW_EEXIST);
  assert_null(second);
  assert_int_equal(tw_control_serve(control, &ops, &to, 20000, &error), TW_OK);
  read_all(fd, text, sizeof text);
  assert_string_equal(text, "{\"ok\":true,\"generation\":4}\n");
  tw_control_close(control);
}

static void a_daemon_that_never_came_up_leaves_no_socket(void **state) {
  (void)state;
  tw_control *control;
  assert_int_equal(tw_control_open(socket_path, &control, NULL), TW_OK);
  tw_control_close(control);
  assert_int_equal(mode_of(socket_path), 0);
}

static void a_client_that_says_nothing_is_told_so_and_hung_up_on(void **state) {
  (void)state;
  char text[512];
  daemon_ops to = {0};
  tw_control *control = serve(&to, 30);
  read_all(silent_client(), text, sizeof text);
  assert_non_null(strstr(text, "no request in 30 ms"));
  end(control, &to);
}

static void silent_clients_make_room_for_those_that_ask(void **state) {
  (void)state;
  enum { COUNT = 3 * TW_CONTROL_CLIENTS };
  int silent[COUNT];
  daemon_ops to = {0};
  tw_control *control = serve(&to, 600000);
  for (int i = 0; i < COUNT; i++) silent[i] = silent_client();
  ask("{\"command\":\"reload\"}\n", "\"generation\":4}");
  for (int i = 0; i < COUNT; i++) close(silent[i]);
  end(control, &to);
  assert_int_equal(1, to.reloads);
}

static void a_request_that_is_too_long_is_told_so(void **state) {
  (void)state;
  char text[512], request[TW_CONTROL_REQUEST + 1000];
  daemon_ops to = {0};
  tw_control *control = serve(&to, 600000);
  memset(request, ' ', sizeof request);
  int fd = silent_client();
  assert_int_equal(send(fd, request, sizeof request, MSG_NOSIGNAL), sizeof request);
  read_all(fd, text, sizeof text);
  assert_non_null(strstr(text, "may be 4096 bytes long"));
  end(control, &to);
}

static void a_request_may_come_in_pieces_and_lack_its_newline(void **state) {
  (void)state;
  char text[512];
  daemon_ops to = {0};
  tw_control *control = serve(&to, 600000);
  int fd = silent_client();
  const char request[] = "{\"command\":\"reload\"}";
  for (size_t i = 0; i < sizeof request - 1; i++)
    assert_int_equal(send(fd, &request[i], 1, MSG_NOSIGNAL), 1);
  shutdown(fd, SHUT_WR);
  read_all(fd, text, sizeof text);
  assert_string_equal(text, "{\"ok\":true,\"generation\":4}\n");
  end(control, &to);
}

static pthread_t begin_reload(daemon_ops *to) {
  pthread_t thread;
  pthread_create(&thread, NULL, ask_to_reload, NULL);
  while (sem_wait(&to->begun)) {}
  return thread;
}

static void a_status_is_answered_while_a_reload_takes_long(void **state) {
  (void)state;
  daemon_ops to = {.waits = true};
  tw_control *control = serve(&to, TW_CONTROL_PATIENCE_MS);
  pthread_t thread = begin_reload(&to);
  ask("{\"command\":\"status\"}\n", "\"ok\":true");
  sem_post(&to.go_on);
  check_reloaded(thread);
  end(control, &to);
}

static void those_that_wait_for_an_answer_keep_their_place(void **state) {
  (void)state;
  pthread_t threads[TW_CONTROL_CLIENTS];
  daemon_ops to = {.waits = true};
  tw_control *control = serve(&to, TW_CONTROL_PATIENCE_MS);
  for (int i = 0; i < TW_CONTROL_CLIENTS; i++) threads[i] = begin_reload(&to);
  ask("{\"command\":\"status\"}\n", "16 clients wait for their answers");
  for (int i = 0; i < TW_CONTROL_CLIENTS; i++) sem_post(&to.go_on);
  for (int i = 0; i < TW_CONTROL_CLIENTS; i++) check_reloaded(threads[i]);
  ask("{\"command\":\"status\"}\n", "\"ok\":true");
  end(control, &to);
}

static void *close_control(void *control) {
  tw_control_close(control);
  return NULL;
}

static void closing_waits_for_answers_and_not_for_silent_clients(void **state) {
  (void)state;
  char text[512];
  pthread_t closer;
  daemon_ops to = {.waits = true};
  tw_control *control = serve(&to, 600000);
  int silent = silent_client();
  pthread_t thread = begin_reload(&to);
  pthread_create(&closer, NULL, close_control, control);
  read_all(silent, text, sizeof text);
  assert_string_equal(text, "");
  assert_true(S_ISSOCK(mode_of(socket_path)));
  sem_post(&to.go_on);
  check_reloaded(thread);
  pthread_join(closer, NULL);
  end(NULL, &to);
}

static void whoever_asks_learns_when_nobody_answers(void **state) {
  (void)state;
  tw_buffer answer = {0};
  tw_error error;
  assert_int_equal(tw_ask(socket_path, "{}\n", 20000, &answer, &error), TW_ENOENT);
  assert_non_null(strstr(error.message, "there is no such socket"));
  daemon_ops to = {.waits = true};
  tw_control *control = serve(&to, TW_CONTROL_PATIENCE_MS);
  assert_int_equal(tw_ask(socket_path, "{\"command\":\"reload\"}\n", 20, &answer, &error),
                   TW_ELIMIT);
  assert_non_null(strstr(error.message, "no answer in time"));
  sem_post(&to.go_on);
  end(control, &to);
  tw_buffer_fini(&answer);
}

static void *hang_up(void *self) {
  const tw_control_socket *made = self;
  close(accept(made->fd, NULL, NULL));
  return NULL;
}

static void whoever_asks_learns_that_the_daemon_hung_up(void **state) {
  (void)state;
  tw_control_socket made;
  pthread_t thread;
  tw_buffer answer = {0};
  tw_error error;
  assert_int_equal(tw_control_socket_open(&made, socket_path, NULL), TW_OK);
  fcntl(made.fd, F_SETFL, 0);
  pthread_create(&thread, NULL, hang_up, &made);
  assert_int_equal(tw_ask(socket_path, "{}\n", 60000, &answer, &error), TW_ECLOSED);
  assert_non_null(strstr(error.message, "hung up without an answer"));
  pthread_join(thread, NULL);
  tw_control_socket_close(&made);
  tw_buffer_fini(&answer);
}

static int set_up(void **state) {
  (void)state;
  tw_oom_install();
  if (!mkdtemp(folder)) return 1;
  snprintf(socket_path, sizeof socket_path, "%s/socket", folder);
  return 0;
}

static int tear_down(void **state) {
  (void)state;
  return rmdir(folder) || tw_oom_live() != 0;
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_reload_is_answered_with_the_generation_that_runs),
      cmocka_unit_test(a_status_holds_what_the_daemon_adds),
      cmocka_unit_test(a_flush_says_what_was_left_when_its_time_was_over),
      cmocka_unit_test(whatever_is_no_request_is_told_what_there_is),
      cmocka_unit_test(an_answer_is_json_whatever_a_message_holds),
      cmocka_unit_test(without_memory_nothing_is_done_and_that_is_said),
      cmocka_unit_test(a_socket_is_its_users_alone_and_goes_with_its_daemon),
      cmocka_unit_test(the_socket_of_a_dead_process_is_replaced),
      cmocka_unit_test(the_socket_of_a_living_process_is_refused_with_its_number),
      cmocka_unit_test(what_is_no_socket_is_left_alone),
      cmocka_unit_test(a_socket_that_another_has_made_meanwhile_stays),
      cmocka_unit_test(a_path_that_no_socket_can_have_is_told),
      cmocka_unit_test(of_many_that_find_a_stale_socket_one_gets_it),
      cmocka_unit_test(a_client_is_answered),
      cmocka_unit_test(whoever_connects_before_the_daemon_is_up_waits_for_it),
      cmocka_unit_test(a_daemon_that_never_came_up_leaves_no_socket),
      cmocka_unit_test(a_client_that_says_nothing_is_told_so_and_hung_up_on),
      cmocka_unit_test(silent_clients_make_room_for_those_that_ask),
      cmocka_unit_test(a_request_that_is_too_long_is_told_so),
      cmocka_unit_test(a_request_may_come_in_pieces_and_lack_its_newline),
      cmocka_unit_test(a_status_is_answered_while_a_reload_takes_long),
      cmocka_unit_test(those_that_wait_for_an_answer_keep_their_place),
      cmocka_unit_test(closing_waits_for_answers_and_not_for_silent_clients),
      cmocka_unit_test(whoever_asks_learns_when_nobody_answers),
      cmocka_unit_test(whoever_asks_learns_that_the_daemon_hung_up),
  };
  return cmocka_run_group_tests(tests, set_up, tear_down);
}
