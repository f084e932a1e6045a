/* Kills and starts again: oracle EMITTER KILLS SEED, in the folder of the round.

   Each life of the emitter ends with SIGKILL at a random moment: short ones in starting and
   recovering, the others under load, in a reload, a rotation, a retry. Now and then one is
   asked to end instead. The last one drains. What a life must never do is end by itself. */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>

#include "ledger.h"

enum { DRAIN_SECONDS = 300, END_SECONDS = 60 };

static pid_t start(const char *emitter, uint64_t seed, const char *mode) {
  char text[24];
  snprintf(text, sizeof text, "%llu", (unsigned long long)seed);
  pid_t pid = fork();
  if (pid == 0) {
    int log = open("emitter.log", O_WRONLY | O_CREAT | O_APPEND, 0644);
    dup2(log, STDERR_FILENO);
    execl(emitter, emitter, text, mode, (char *)NULL);
    _exit(127);
  }
  if (pid < 0) {
    perror("fork");
    exit(1);
  }
  return pid;
}

static void nap_ms(uint64_t ms) {
  struct timespec time = {(time_t)(ms / 1000), (long)(ms % 1000) * 1000000};
  while (nanosleep(&time, &time) && errno == EINTR) {}
}

/* @return false when it did not end in time; then it is killed with SIGABRT, for a core */
static bool await_end(pid_t pid, int seconds, int *how) {
  for (int i = 0; i < seconds * 50; i++) {
    if (waitpid(pid, how, WNOHANG) == pid) return true;
    nap_ms(20);
  }
  kill(pid, SIGABRT);
  waitpid(pid, how, 0);
  return false;
}

static int fail(const char *what, uint64_t life, int how) {
  printf("oracle: life %llu: %s (status %#x)\n", (unsigned long long)life, what, (unsigned)how);
  return 1;
}

/* Of four lives one ends in its beginning; the others are counted from the engine's start, as
   a busy machine may take long until there. */
static void await_moment(const ledger *book, uint64_t ready, bool asks, uint64_t *state) {
  uint64_t kind = asks ? 1 : below(state, 4);
  for (int i = 0; kind > 0 && atomic_load(&book->ready) == ready && i < 5000; i++) nap_ms(2);
  switch (kind) {
    case 0: nap_ms(below(state, 60)); break;
    case 1: nap_ms(below(state, 400)); break;
    default: nap_ms(below(state, 120)); break;
  }
}

static int end_it(pid_t pid, uint64_t life, bool asks) {
  int how = 0;
  if (kill(pid, asks ? SIGTERM : SIGKILL)) return fail("cannot be killed", life, errno);
  if (!await_end(pid, END_SECONDS, &how)) return fail("it did not end when asked", life, how);
  if (asks && how == 0) return 0;
  if (!asks && WIFSIGNALED(how) && WTERMSIG(how) == SIGKILL) return 0;
  return fail("it ended by itself", life, how);
}

int main(int argc, char **argv) {
  if (argc != 4) {
    fputs("usage: oracle EMITTER KILLS SEED\n", stderr);
    return 64;
  }
  uint64_t kills = strtoull(argv[2], NULL, 10), seed = strtoull(argv[3], NULL, 10),
           state = seed;
  ledger *book = ledger_open("ledger");
  for (uint64_t life = 1; life <= kills; life++) {
    bool asks = below(&state, 30) == 0;
    uint64_t ready = atomic_load(&book->ready);
    pid_t pid = start(argv[1], chance(&state) >> 1, NULL);
    await_moment(book, ready, asks, &state);
    if (end_it(pid, life, asks)) return 1;
  }
  int how = 0;
  pid_t pid = start(argv[1], seed, "drain");
  if (!await_end(pid, DRAIN_SECONDS, &how)) return fail("it did not drain", kills + 1, how);
  if (how) return fail("it did not drain", kills + 1, how);
  printf("oracle: %llu lives, %llu events\n", (unsigned long long)kills,
         (unsigned long long)atomic_load(&book->next));
  return 0;
}
