/* Runs commands in turn, RUNS times each, and compares what they cost:

     race RUNS EVENTS NAME COMMAND NAME COMMAND ...

   Each COMMAND goes to `sh -c`. Printed are medians of user and system CPU seconds as wait4
   tells them (so only the children count), CPU microseconds an event, the peak of resident
   memory, the seconds it took, and how many times the events of the first command it does
   in a second of CPU and in a second.

   Before each run memory is touched and freed again. On a virtual machine that gives free
   memory back to its host, the first touch of a page costs microseconds of system time, and
   who writes files would pay for whether the host had the page or not. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { MAX_RUNS = 31, MAX_COMMANDS = 8 };
#define WARM_BYTES ((size_t)1 << 30)

typedef struct contender {
  const char *name, *command;
  double user[MAX_RUNS], system[MAX_RUNS], cpu[MAX_RUNS], wall[MAX_RUNS];
  long peak_kib;
} contender;

static double seconds(struct timeval time) {
  return (double)time.tv_sec + (double)time.tv_usec / 1e6;
}

static void warm_memory(void) {
  char *block =
      mmap(NULL, WARM_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (block == MAP_FAILED) return;
  for (size_t i = 0; i < WARM_BYTES; i += 4096) block[i] = 1;
  munmap(block, WARM_BYTES);
}

static double clock_seconds(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static void run_once(contender *one, int run) {
  warm_memory();
  double start = clock_seconds();
  pid_t pid = fork();
  if (pid == 0) {
    execl("/bin/sh", "sh", "-c", one->command, (char *)NULL);
    _exit(127);
  }
  int status;
  struct rusage usage;
  if (pid < 0 || wait4(pid, &status, 0, &usage) < 0 || status != 0) {
    fprintf(stderr, "race: '%s' failed: %s\n", one->name, one->command);
    exit(1);
  }
  one->user[run] = seconds(usage.ru_utime);
  one->system[run] = seconds(usage.ru_stime);
  one->cpu[run] = one->user[run] + one->system[run];
  one->wall[run] = clock_seconds() - start;
  if (usage.ru_maxrss > one->peak_kib) one->peak_kib = usage.ru_maxrss;
}

static int ascending(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

static double median(double *values, int count) {
  qsort(values, (size_t)count, sizeof *values, ascending);
  return values[count / 2];
}

int main(int argc, char **argv) {
  int runs = argc > 2 ? atoi(argv[1]) : 0, count = (argc - 3) / 2;
  double events = argc > 2 ? atof(argv[2]) : 0;
  if (runs < 1 || runs > MAX_RUNS || count < 1 || count > MAX_COMMANDS || events < 1) {
    fputs("usage: race RUNS EVENTS NAME COMMAND [NAME COMMAND ...]\n", stderr);
    return 64;
  }
  static contender all[MAX_COMMANDS];
  for (int i = 0; i < count; i++) {
    all[i].name = argv[3 + 2 * i];
    all[i].command = argv[4 + 2 * i];
  }
  for (int run = 0; run < runs; run++)
    for (int i = 0; i < count; i++) run_once(&all[i], run);
  printf("%-24s %7s %7s %7s %9s %9s %8s %8s %8s\n", "", "user s", "sys s", "cpu s", "us/event",
         "peak MiB", "by cpu", "seconds", "by time");
  double first = median(all[0].cpu, runs), first_wall = median(all[0].wall, runs);
  for (int i = 0; i < count; i++) {
    double cpu = median(all[i].cpu, runs), wall = median(all[i].wall, runs);
    printf("%-24s %7.2f %7.2f %7.2f %9.3f %9.1f %8.2f %8.2f %8.2f\n", all[i].name,
           median(all[i].user, runs), median(all[i].system, runs), cpu, cpu / events * 1e6,
           (double)all[i].peak_kib / 1024, first / cpu, wall, first_wall / wall);
  }
  return 0;
}
