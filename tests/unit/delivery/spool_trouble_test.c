/// The spool under full disks, failing calls, kills and threads: what a commit has stored is
/// there whatever comes, wholly; what has failed is told; and it goes on when the trouble is
/// over.
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

#include "delivery/check.h"
#include "spool_case.h"

/* -------------------------------------------------------------- a transaction */

/* Transaction `number` writes its number into three records, deletes what an older one wrote,
   and adds a large one and a small one. */
enum { LARGE = 60000, KEPT = 20 };

static void fill(char *value, uint64_t number, size_t len) {
  for (size_t i = 0; i < len; i++) value[i] = (char)(number * 31 + i * 7 + (i >> 9));
}

static tw_status put_numbered(tw_spool_txn *txn, tw_spool_table table, uint64_t number,
                              size_t len, tw_error *error) {
  static _Thread_local char value[LARGE];
  unsigned char key[8];
  fill(value, number, len);
  tw_spool_write_number(key, number);
  return tw_spool_put(txn, table, key, sizeof key, value, len, error);
}

static tw_status write_all_of(tw_spool_txn *txn, uint64_t number, tw_error *error) {
  unsigned char key[8], value[8];
  tw_spool_write_number(value, number);
  tw_spool_write_number(key, number - KEPT);
  tw_status status = tw_spool_put(txn, TW_SPOOL_OUTBOX, "count", 5, value, 8, error);
  if (!status) status = tw_spool_put(txn, TW_SPOOL_STATE, "0/1", 3, value, 8, error);
  if (!status) status = tw_spool_put(txn, TW_SPOOL_SOURCE, "in", 2, value, 8, error);
  if (!status) status = put_numbered(txn, TW_SPOOL_CHUNK, number, LARGE, error);
  if (!status) status = put_numbered(txn, TW_SPOOL_DEAD, number, 40, error);
  if (!status && number > KEPT)
    status = tw_spool_delete(txn, TW_SPOOL_CHUNK, key, sizeof key, error);
  return status;
}

static tw_status try_transaction(tw_spool *spool, uint64_t number, tw_error *error) {
  tw_spool_txn *txn;
  tw_status status = tw_spool_begin(spool, true, &txn, error);
  if (status) return status;
  status = write_all_of(txn, number, error);
  if (!status) return tw_spool_commit(txn, error);
  tw_spool_abort(txn);
  return status;
}

/* ------------------------------------------------------------------- what is there */

static bool holds(tw_spool_txn *txn, tw_spool_table table, uint64_t number, size_t len) {
  static char expected[LARGE];
  unsigned char key[8];
  const void *value;
  size_t found;
  fill(expected, number, len);
  tw_spool_write_number(key, number);
  return tw_spool_get(txn, table, key, sizeof key, &value, &found, NULL) == TW_OK &&
         found == len && memcmp(value, expected, len) == 0;
}

static uint64_t counter(tw_spool_txn *txn, tw_spool_table table, const char *key) {
  const void *value;
  size_t len;
  tw_status status = tw_spool_get(txn, table, key, strlen(key), &value, &len, NULL);
  if (status == TW_ENOENT) return 0;
  assert_int_equal(status, TW_OK);
  assert_int_equal(len, 8);
  return tw_spool_read_number(value);
}

/* Everything up to the last transaction is there and of one piece. @return its number */
static uint64_t assert_whole(tw_spool *spool) {
  tw_spool_txn *txn = begin(spool, false);
  uint64_t last = counter(txn, TW_SPOOL_OUTBOX, "count");
  assert_int_equal(counter(txn, TW_SPOOL_STATE, "0/1"), last);
  assert_int_equal(counter(txn, TW_SPOOL_SOURCE, "in"), last);
  for (uint64_t i = 1; i <= last; i++) {
    assert_int_equal(holds(txn, TW_SPOOL_CHUNK, i, LARGE), i + KEPT > last);
    assert_true(holds(txn, TW_SPOOL_DEAD, i, 40));
  }
  assert_false(holds(txn, TW_SPOOL_DEAD, last + 1, 40));
  tw_spool_abort(txn);
  return last;
}

/* After the process has ended. @return the last transaction */
static uint64_t assert_survived(uint64_t acknowledged) {
  tw_check_result result;
  tw_spool *spool = open_spool(TW_SPOOL_OWN);
  uint64_t last = assert_whole(spool);
  if (last < acknowledged || last > acknowledged + 1)
    fail_msg("%llu was acknowledged, %llu is there", (unsigned long long)acknowledged,
             (unsigned long long)last);
  tw_spool_close(spool);
  int fd = open(in_folder("spool/data.mdb"), O_RDONLY);
  assert_int_equal(tw_check_file(fd, "", 0, 0, &result, NULL), TW_OK);
  assert_int_equal(result.lost, 0);
  close(fd);
  return last;
}

/* -------------------------------------------------------------------- full disks */

static void is_told_as_full(tw_status status, const tw_error *error) {
  assert_int_equal(status, TW_ELIMIT);
  assert_true(strstr(error->message, "full") || strstr(error->message, "ulimit -f"));
}

/* Writes until nothing goes any more. @return the last transaction that went */
static uint64_t fill_up(tw_spool *spool, uint64_t from) {
  tw_error error = {.message = ""};
  for (uint64_t number = from + 1; number < from + 100000; number++) {
    tw_spool_txn *txn = begin(spool, true);
    tw_status status = put_numbered(txn, TW_SPOOL_REPLAY, number, LARGE, &error);
    if (!status) status = tw_spool_commit(txn, &error);
    else tw_spool_abort(txn);
    if (!status) continue;
    is_told_as_full(status, &error);
    return number - 1;
  }
  fail_msg("it is never full");
  return 0;
}

static void assert_filled(tw_spool *spool, uint64_t first, uint64_t last) {
  tw_spool_txn *txn = begin(spool, false);
  for (uint64_t i = first; i <= last; i++) assert_true(holds(txn, TW_SPOOL_REPLAY, i, LARGE));
  assert_false(holds(txn, TW_SPOOL_REPLAY, last + 1, LARGE));
  tw_spool_abort(txn);
}

static void delete_filled(tw_spool *spool, uint64_t first, uint64_t last) {
  for (uint64_t i = first; i <= last; i++) {
    unsigned char key[8];
    tw_spool_write_number(key, i);
    tw_spool_txn *txn = begin(spool, true);
    assert_int_equal(tw_spool_delete(txn, TW_SPOOL_REPLAY, key, 8, NULL), TW_OK);
    commit(txn);
  }
}

/* By `max_bytes`: what has been delivered can be deleted, and makes room again. */
static void at_its_bound_a_spool_is_told_as_full_and_can_be_emptied(void **state) {
  (void)state;
  tw_spool_options options = {.mode = TW_SPOOL_OWN, .max_bytes = 1 << 20, .lazy = true};
  tw_spool *spool = open_with(&options);
  uint64_t last = 0, room = tw_spool_room(spool);
  while (tw_spool_room(spool) > LARGE) {
    tw_spool_txn *txn = begin(spool, true);
    assert_int_equal(put_numbered(txn, TW_SPOOL_REPLAY, ++last, LARGE, NULL), TW_OK);
    commit(txn);
  }
  assert_true(last > 5 && last * LARGE < 1 << 20);
  assert_filled(spool, 1, last);
  delete_filled(spool, 1, last);
  assert_in_range(tw_spool_room(spool), room - 65536, room);
  uint64_t full = fill_up(spool, last);
  assert_true((full - last) * LARGE > (uint64_t)48 << 20); // the slack behind the bound
  assert_filled(spool, last + 1, full);
  tw_spool_close(spool);
  spool = open_with(&options);
  assert_int_equal(tw_spool_room(spool), 0);
  assert_filled(spool, last + 1, full);
  tw_spool_close(spool);
}

/* Where disks are slow, more happens in a second; skipped where it cannot be mounted. */
static bool mount_memory(const char *options) {
  mkdir(in_folder("spool"), 0700);
  return mount("tmpfs", in_folder("spool"), "tmpfs", 0, options) == 0;
}

static int unmount_folder(void **state) {
  umount2(in_folder("spool"), MNT_DETACH);
  return remove_folder(state);
}

static void start_anew(void) {
  char command[128];
  snprintf(command, sizeof command, "rm -rf %s/spool/*", folder);
  assert_int_equal(system(command), 0);
}

static void fill_ballast(void) {
  static char zeroes[4096];
  int fd = open(in_folder("spool/ballast"), O_WRONLY | O_CREAT, 0600);
  while (write(fd, zeroes, sizeof zeroes) > 0) continue;
  close(fd);
}

/* A disk that is full from the beginning, and again and again; each time it heals. */
static void a_full_disk_is_told_loses_nothing_and_heals(void **state) {
  (void)state;
  tw_error error;
  tw_spool *spool;
  uint64_t number = 0;
  if (!mount_memory("size=4m")) {
    print_message("skipped: a tmpfs cannot be mounted here: %s\n", strerror(errno));
    skip();
  }
  fill_ballast();
  is_told_as_full(try_spool(TW_SPOOL_OWN, &spool, &error), &error);
  unlink(in_folder("spool/ballast"));
  spool = open_spool(TW_SPOOL_OWN);
  for (int round = 0; round < 8; round++) {
    for (int i = 0; i < 4; i++) assert_int_equal(try_transaction(spool, ++number, NULL), TW_OK);
    fill_ballast();
    uint64_t from = (uint64_t)(round + 1) * 1000, last = fill_up(spool, from);
    assert_true(tw_spool_room(spool) < (uint64_t)1 << 20);
    assert_int_equal(assert_whole(spool), number);
    if (round % 2) {
      tw_spool_close(spool);
      spool = open_spool(TW_SPOOL_OWN);
    }
    unlink(in_folder("spool/ballast"));
    assert_filled(spool, from + 1, last);
    delete_filled(spool, from + 1, last);
  }
  assert_int_equal(assert_whole(spool), number);
  tw_spool_close(spool);
  assert_survived(number);
}

static void at_a_limit_of_the_files_size_it_is_told_and_heals(void **state) {
  (void)state;
  struct rlimit before, limit;
  getrlimit(RLIMIT_FSIZE, &before);
  signal(SIGXFSZ, SIG_IGN);
  tw_spool *spool = open_spool(TW_SPOOL_OWN);
  limit = before;
  limit.rlim_cur = 1000001;
  setrlimit(RLIMIT_FSIZE, &limit);
  uint64_t last = fill_up(spool, 0);
  assert_filled(spool, 1, last);
  setrlimit(RLIMIT_FSIZE, &before);
  tw_spool_txn *txn = begin(spool, true);
  assert_int_equal(put_numbered(txn, TW_SPOOL_REPLAY, ++last, LARGE, NULL), TW_OK);
  commit(txn);
  assert_filled(spool, 1, last);
  tw_spool_close(spool);
  signal(SIGXFSZ, SIG_DFL);
}

/* ----------------------------------------------------------- a process of its own */

/* Tells which transactions were acknowledged, a number each; tries each until it goes. */
static int work(const char *path, uint64_t transactions, int to) {
  tw_spool_options options = {.mode = TW_SPOOL_OWN, .max_bytes = (uint64_t)64 << 20};
  tw_spool *spool = NULL;
  tw_error error = {.message = ""};
  for (int i = 0; i < 50 && !spool; i++) {
    tw_status status = tw_spool_open(path, &options, &spool, &error);
    if (status && (!*error.message || (status != TW_EIO && status != TW_ELIMIT))) return 3;
  }
  if (!spool) return 4;
  tw_spool_txn *txn = begin(spool, false);
  uint64_t number = counter(txn, TW_SPOOL_OUTBOX, "count");
  tw_spool_abort(txn);
  for (uint64_t end = number + transactions; number < end;) {
    tw_status status = TW_EIO;
    *error.message = '\0';
    for (int i = 0; i < 50 && status; i++) {
      status = try_transaction(spool, number + 1, &error);
      if (status && (!*error.message || (status != TW_EIO && status != TW_ELIMIT))) return 5;
    }
    if (status) return 6;
    number++;
    if (write(to, &number, sizeof number) != sizeof number) return 7;
  }
  tw_spool_close(spool);
  return 0;
}

/* @return the last number that came */
static uint64_t read_acknowledged(int from) {
  uint64_t number, last = 0;
  while (read(from, &number, sizeof number) == sizeof number) last = number;
  return last;
}

/* Waits for so many of them. @return the last one; 0: none was waited for */
static uint64_t wait_for_some(int from, int count) {
  uint64_t number = 0;
  for (; count > 0; count--)
    assert_int_equal(read(from, &number, sizeof number), sizeof number);
  return number;
}

static char program[4096], shim[4200];

static void find_shim(void) {
  ssize_t len = readlink("/proc/self/exe", program, sizeof program - 1);
  assert_true(len > 0);
  program[len] = '\0';
  snprintf(shim, sizeof shim, "%.*s/../libfault.so", (int)(strrchr(program, '/') - program),
           program);
  assert_int_equal(access(shim, R_OK), 0);
}

typedef struct tw_fault_case {
  const char *path, *calls, *code;
  int most; ///< calls of them that five transactions make, or more
} tw_fault_case;

static pid_t start_with_fault(const tw_fault_case *fault, int first, int count, int to) {
  char numbers[3][24];
  pid_t child = fork();
  assert_true(child >= 0);
  if (child) return child;
  snprintf(numbers[0], sizeof numbers[0], "%d", first);
  snprintf(numbers[1], sizeof numbers[1], "%d", count);
  snprintf(numbers[2], sizeof numbers[2], "%d", to);
  setenv("FAULT_CALLS", fault->calls, 1);
  setenv("FAULT_ERRNO", fault->code, 1);
  setenv("FAULT_FIRST", numbers[0], 1);
  setenv("FAULT_COUNT", numbers[1], 1);
  setenv("FAULT_PATH", fault->path, 1);
  setenv("ASAN_OPTIONS", "verify_asan_link_order=0", 1);
  setenv("LD_PRELOAD", shim, 1);
  execl(program, program, "work", in_folder("spool"), numbers[2], (char *)NULL);
  _exit(127);
}

/* Runs five transactions with a fault. @param how  the process is to end */
static void run_with_fault(const tw_fault_case *fault, int first, int count, int how) {
  int pipes[2], status;
  assert_int_equal(pipe(pipes), 0);
  pid_t child = start_with_fault(fault, first, count, pipes[1]);
  close(pipes[1]);
  uint64_t acknowledged = read_acknowledged(pipes[0]);
  close(pipes[0]);
  assert_int_equal(waitpid(child, &status, 0), child);
  int ended = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  if (ended != how)
    fail_msg("%s of %s, %d from call %d on: ended with %d", fault->code, fault->calls, count,
             first, ended);
  if (!how) assert_int_equal(acknowledged, 5);
  assert_survived(acknowledged);
  start_anew();
}

/* Each call of the making of a spool and of five transactions fails once, and thrice. */
static void whatever_call_fails_nothing_stored_is_lost_and_it_heals(void **state) {
  (void)state;
  static const tw_fault_case faults[] = {
      {"*/spool/*", "pwrite,pwritev,write,writev", "EIO", 26},
      {"*/spool/*", "pwrite,pwritev,write,writev", "ENOSPC", 26},
      {"*/spool/*", "pwrite,pwritev,write,writev", "EINTR", 26},
      {"*/spool/*", "pwrite,pwritev,write,writev", "short", 26},
      {"*/spool/*", "fdatasync,fsync,msync", "EIO", 10},
      {"*/spool/*", "fdatasync,fsync,msync", "ENOSPC", 10},
      {"*/spool/*", "open", "EIO", 10},
      {"*/spool/*", "open", "ENOSPC", 10},
      {"*/spool/*", "rename,ftruncate,link", "EIO", 3},
      {"*/spool/*", "rename,ftruncate,link", "ENOSPC", 3},
  };
  find_shim();
  mount_memory("size=64m");
  for (size_t i = 0; i < sizeof faults / sizeof *faults; i++)
    for (int first = 1; first <= faults[i].most; first++) {
      run_with_fault(faults + i, first, 1, 0);
      if (first % 4 == 0) run_with_fault(faults + i, first, 3, 0);
    }
}

/* The disk fails for good, from any call on, until the process gives up; then it is sound
 * again. */
static void who_ends_in_trouble_leaves_what_was_stored(void **state) {
  (void)state;
  static const tw_fault_case faults[] = {
      {"*/spool/data.mdb", "pwrite,writev", "EIO", 15},
      {"*/spool/data.mdb", "pwrite,writev", "short", 15},
      {"*/spool/data.mdb", "fdatasync,fsync", "EIO", 4},
  };
  enum { GIVES_UP = 6 };
  find_shim();
  mount_memory("size=64m");
  for (size_t i = 0; i < sizeof faults / sizeof *faults; i++)
    for (int first = 1; first <= faults[i].most; first += 2)
      run_with_fault(faults + i, first, 1 << 30, GIVES_UP);
}

/* -------------------------------------------------------------------------- kills */

static void a_kill_at_any_moment_loses_nothing_that_was_acknowledged(void **state) {
  (void)state;
  const char *times = getenv("TIDEWIRE_KILLS");
  int turns = times ? atoi(times) : 60;
  uint64_t last = 0, done = 0;
  unsigned seed = (unsigned)getpid();
  mount_memory("size=512m");
  for (int i = 0; i < turns; i++) {
    int pipes[2], status;
    assert_int_equal(pipe(pipes), 0);
    pid_t child = fork();
    if (!child) _exit(work(in_folder("spool"), UINT32_MAX, pipes[1]));
    close(pipes[1]);
    uint64_t acknowledged = wait_for_some(pipes[0], i % 4 ? rand_r(&seed) % 12 : 0);
    struct timespec moment = {.tv_nsec = rand_r(&seed) % (i % 4 ? 1000000 : 15000000)};
    nanosleep(&moment, NULL);
    kill(child, SIGKILL);
    uint64_t after = read_acknowledged(pipes[0]);
    if (after) acknowledged = after;
    close(pipes[0]);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
    if (!acknowledged) acknowledged = last;
    done += acknowledged - last;
    last = assert_survived(acknowledged);
    if (last < 3000) continue;
    start_anew();
    last = 0;
  }
  print_message("%d kills, %llu transactions\n", turns, (unsigned long long)done);
  assert_true(done > 0);
}

/* ------------------------------------------------------------------------ threads */

static tw_spool *shared;
static atomic_bool is_over;

static void *write_on(void *self) {
  for (uint64_t i = 1; i <= 300; i++)
    if (try_transaction(shared, i, NULL)) *(bool *)self = false;
  atomic_store(&is_over, true);
  return NULL;
}

/* A snapshot is of one piece, whatever is written meanwhile. */
static void *read_on(void *self) {
  while (!atomic_load(&is_over)) {
    const void *value;
    size_t len;
    tw_spool_txn *txn;
    unsigned char key[8];
    if (tw_spool_begin(shared, false, &txn, NULL)) continue;
    uint64_t number = 0, other = 0;
    if (!tw_spool_get(txn, TW_SPOOL_OUTBOX, "count", 5, &value, &len, NULL))
      number = tw_spool_read_number(value);
    if (!tw_spool_get(txn, TW_SPOOL_STATE, "0/1", 3, &value, &len, NULL))
      other = tw_spool_read_number(value);
    tw_spool_write_number(key, number);
    if (number != other ||
        (number && tw_spool_get(txn, TW_SPOOL_CHUNK, key, 8, &value, &len, NULL)))
      *(bool *)self = false;
    tw_spool_abort(txn);
    tw_spool_room(shared);
  }
  return NULL;
}

static void threads_read_while_one_writes(void **state) {
  (void)state;
  tw_spool_options options = {.mode = TW_SPOOL_OWN, .lazy = true};
  pthread_t threads[4];
  bool are_right[4] = {true, true, true, true};
  shared = open_with(&options);
  atomic_store(&is_over, false);
  for (int i = 0; i < 4; i++)
    pthread_create(threads + i, NULL, i ? read_on : write_on, are_right + i);
  for (int i = 0; i < 4; i++) {
    pthread_join(threads[i], NULL);
    assert_true(are_right[i]);
  }
  assert_int_equal(assert_whole(shared), 300);
  tw_spool_close(shared);
}

#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, make_folder, remove_folder)

#define ON_A_DISK(test) cmocka_unit_test_setup_teardown(test, make_folder, unmount_folder)

int main(int argc, char **argv) {
  /* It may end in the middle of its work, with the spool open. */
  if (argc == 4 && strcmp(argv[1], "work") == 0) _exit(work(argv[2], 5, atoi(argv[3])));
  const struct CMUnitTest tests[] = {
      IN_FOLDER(at_its_bound_a_spool_is_told_as_full_and_can_be_emptied),
      ON_A_DISK(a_full_disk_is_told_loses_nothing_and_heals),
      IN_FOLDER(at_a_limit_of_the_files_size_it_is_told_and_heals),
      ON_A_DISK(whatever_call_fails_nothing_stored_is_lost_and_it_heals),
      ON_A_DISK(who_ends_in_trouble_leaves_what_was_stored),
      ON_A_DISK(a_kill_at_any_moment_loses_nothing_that_was_acknowledged),
      IN_FOLDER(threads_read_while_one_writes),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
