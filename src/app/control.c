/// control.c: a thread accepts, each client has a thread; nobody waits for anybody.
///
/// A client sends one line, gets one, and is disconnected. A reload takes as long as the new
/// script needs, and a flush as long as its backends; with a thread for each client the others
/// are answered meanwhile. That the run is not disturbed by clients follows from the bounds:
/// of their number, their time and their bytes.
///
/// A slot goes from FREE to READING (the acceptor), ANSWERING and ENDED (the client's thread),
/// and back to FREE when its thread has been joined. Its descriptor is closed on the way to
/// ENDED, under the mutex, so that the acceptor never shuts down another's.
#define _GNU_SOURCE // accept4; NOLINT(bugprone-reserved-identifier)
#include "app/control.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>

#include "app/control_socket.h"
#include "base/clock.h"
#include "base/thread.h"

typedef enum tw_client_state { FREE, READING, ANSWERING, ENDED } tw_client_state;

typedef struct tw_client {
  tw_control *control;
  pthread_t thread;
  uint64_t began;        ///< monotonic ns
  int fd;                ///< of READING and ANSWERING
  tw_client_state state; ///< guarded, as is:
  bool is_evicted;       ///< another needs its place
} tw_client;

struct tw_control {
  tw_control_socket socket;
  tw_control_ops ops;
  void *self;
  int patience_ms;
  bool is_served; ///< the acceptor runs
  int stop[2];    ///< a pipe: its end is closed to stop the acceptor
  pthread_t acceptor;
  pthread_mutex_t mutex;
  pthread_cond_t ended; ///< a client has; one thread waits at a time
  tw_client clients[TW_CONTROL_CLIENTS];
};

/// After accept failed for want of descriptors or memory.
enum { PAUSE_MS = 100 };

/* ------------------------------------------------------------------- client */

/// @return whether something came about before the time was over
static bool await(int fd, short events, uint64_t until) {
  struct pollfd poll_fd = {.fd = fd, .events = events};
  for (;;) {
    uint64_t now = tw_clock_monotonic_ns();
    int ms = now < until ? (int)((until - now) / 1000000) + 1 : 0;
    int ready = poll(&poll_fd, 1, ms);
    if (ready >= 0 || errno != EINTR) return ready > 0;
  }
}

static uint64_t end_of_patience(const tw_control *control) {
  return tw_clock_monotonic_ns() + (uint64_t)control->patience_ms * 1000000;
}

/// Reads up to the newline, or the end of what the client sends.
/// @return TW_OK; TW_ELIMIT: too slow or too long; TW_ECLOSED: it has nothing to say
static tw_status read_line(const tw_client *client, char *text, size_t *len, tw_error *error) {
  uint64_t until = end_of_patience(client->control);
  *len = 0;
  while (await(client->fd, POLLIN, until)) {
    ssize_t got = recv(client->fd, text + *len, TW_CONTROL_REQUEST - *len, 0);
    if (got < 0 && (errno == EINTR || errno == EAGAIN)) continue;
    if (got <= 0) return *len ? TW_OK : TW_ECLOSED;
    const char *newline = memchr(text + *len, '\n', (size_t)got);
    *len = newline ? (size_t)(newline - text) : *len + (size_t)got;
    if (newline) return TW_OK;
    if (*len == TW_CONTROL_REQUEST)
      return tw_fail(error, TW_ELIMIT, "a request may be %d bytes long", TW_CONTROL_REQUEST);
  }
  return tw_fail(error, TW_ELIMIT,
                 "no request in %d ms: send a line such as "
                 "{\"command\":\"status\"}",
                 client->control->patience_ms);
}

static void write_answer(const tw_client *client, const tw_buffer *answer) {
  uint64_t until = end_of_patience(client->control);
  for (size_t done = 0; done < answer->len;) {
    ssize_t sent = send(client->fd, answer->data + done, answer->len - done, MSG_NOSIGNAL);
    if (sent > 0) done += (size_t)sent;
    else if ((errno != EAGAIN && errno != EINTR) || !await(client->fd, POLLOUT, until)) return;
  }
}

/// @return false when another has got its place
static bool begin_answer(tw_client *client) {
  pthread_mutex_lock(&client->control->mutex);
  bool go_on = !client->is_evicted;
  if (go_on) client->state = ANSWERING;
  pthread_mutex_unlock(&client->control->mutex);
  return go_on;
}

static void end_client(tw_client *client) {
  pthread_mutex_lock(&client->control->mutex);
  close(client->fd);
  client->state = ENDED;
  pthread_cond_signal(&client->control->ended);
  pthread_mutex_unlock(&client->control->mutex);
}

static void answer(const tw_client *client, tw_status status, const char *request, size_t len,
                   const tw_error *error) {
  const tw_control *control = client->control;
  tw_buffer text = {0};
  if (status == TW_OK) tw_control_answer(request, len, &control->ops, control->self, &text);
  if (status == TW_ELIMIT) tw_control_answer_failure(error, &text);
  write_answer(client, &text);
  tw_buffer_fini(&text);
}

static void *serve(void *self) {
  tw_client *client = self;
  char request[TW_CONTROL_REQUEST];
  size_t len;
  tw_error error;
  tw_status status = read_line(client, request, &len, &error);
  if (begin_answer(client)) answer(client, status, request, len, &error);
  end_client(client);
  return NULL;
}

/* ----------------------------------------------------------------- acceptor */

static void reap(tw_client *client) {
  pthread_join(client->thread, NULL);
  client->state = FREE;
}

/// @return a slot without a client; NULL: there is none. The mutex is held
static tw_client *find_free(tw_control *control) {
  for (int i = 0; i < TW_CONTROL_CLIENTS; i++) {
    tw_client *client = &control->clients[i];
    if (client->state == ENDED) reap(client);
    if (client->state == FREE) return client;
  }
  return NULL;
}

static tw_client *find_silent(tw_control *control) {
  tw_client *found = NULL;
  for (int i = 0; i < TW_CONTROL_CLIENTS; i++) {
    tw_client *client = &control->clients[i];
    if (client->state == READING && (!found || client->began < found->began)) found = client;
  }
  return found;
}

/// Those that wait for an answer keep their place. The mutex is held.
static tw_client *find_place(tw_control *control) {
  tw_client *place;
  while (!(place = find_free(control))) {
    tw_client *silent = find_silent(control);
    if (!silent) return NULL;
    silent->is_evicted = true;
    shutdown(silent->fd, SHUT_RDWR);
    while (silent->state != ENDED) pthread_cond_wait(&control->ended, &control->mutex);
  }
  return place;
}

/// An answer that is short enough for any socket to take it at once.
static void turn_away(int fd, const tw_error *why) {
  tw_buffer answer = {0};
  tw_control_answer_failure(why, &answer);
  if (answer.len) (void)!send(fd, answer.data, answer.len, MSG_NOSIGNAL);
  tw_buffer_fini(&answer);
  close(fd);
}

static void take(tw_control *control, int fd) {
  tw_error error;
  pthread_mutex_lock(&control->mutex);
  tw_client *client = find_place(control);
  tw_status status = TW_ELIMIT;
  if (client) {
    *client = (tw_client){.control = control, .fd = fd, .began = tw_clock_monotonic_ns()};
    status = tw_start_thread(&client->thread, serve, client, &error);
    client->state = status ? FREE : READING;
  } else {
    tw_fail(&error, TW_ELIMIT, "%d clients wait for their answers; try again later",
            TW_CONTROL_CLIENTS);
  }
  pthread_mutex_unlock(&control->mutex);
  if (status) turn_away(fd, &error);
}

static void *accept_clients(void *self) {
  tw_control *control = self;
  struct pollfd fds[] = {{.fd = control->stop[0], .events = POLLIN},
                         {.fd = control->socket.fd, .events = POLLIN}};
  for (;;) {
    if (poll(fds, 2, -1) < 0) continue;
    if (fds[0].revents) return NULL;
    int fd = accept4(control->socket.fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0) take(control, fd);
    else if (errno != EAGAIN && errno != ECONNABORTED) poll(fds, 1, PAUSE_MS);
  }
}

/* -------------------------------------------------------------- open, close */

tw_status tw_control_open(const char *path, tw_control **out, tw_error *error) {
  *out = NULL;
  tw_control *control = tw_calloc(1, sizeof *control);
  if (!control) return tw_no_memory(error);
  tw_status status = tw_control_socket_open(&control->socket, path, error);
  if (status) {
    tw_free(control);
    return status;
  }
  pthread_mutex_init(&control->mutex, NULL);
  pthread_cond_init(&control->ended, NULL);
  *out = control;
  return TW_OK;
}

tw_status tw_control_serve(tw_control *control, const tw_control_ops *ops, void *self,
                           int patience_ms, tw_error *error) {
  control->ops = *ops;
  control->self = self;
  control->patience_ms = patience_ms;
  if (pipe(control->stop))
    return tw_fail(error, TW_EIO, "no pipe can be made: %s", strerror(errno));
  for (int i = 0; i < 2; i++) fcntl(control->stop[i], F_SETFD, FD_CLOEXEC);
  tw_status status = tw_start_thread(&control->acceptor, accept_clients, control, error);
  control->is_served = status == TW_OK;
  for (int i = 0; status && i < 2; i++) close(control->stop[i]);
  return status;
}

static void stop_acceptor(tw_control *control) {
  if (!control->is_served) return;
  close(control->stop[1]);
  pthread_join(control->acceptor, NULL);
  close(control->stop[0]);
}

/// Clients that have not asked for anything are not waited for.
static void end_clients(tw_control *control) {
  pthread_mutex_lock(&control->mutex);
  for (int i = 0; i < TW_CONTROL_CLIENTS; i++) {
    tw_client *client = &control->clients[i];
    if (client->state == READING) shutdown(client->fd, SHUT_RD);
    while (client->state == READING || client->state == ANSWERING)
      pthread_cond_wait(&control->ended, &control->mutex);
    if (client->state == ENDED) reap(client);
  }
  pthread_mutex_unlock(&control->mutex);
}

void tw_control_close(tw_control *control) {
  if (!control) return;
  stop_acceptor(control);
  end_clients(control);
  tw_control_socket_close(&control->socket);
  pthread_mutex_destroy(&control->mutex);
  pthread_cond_destroy(&control->ended);
  tw_free(control);
}
