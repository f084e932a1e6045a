/// Batches to files and standard output: what is told to be there is there.
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

#include "support/oom.h"

#include "batches.h"

/* In the place of the C library's, so that a sync can fail. */
static int failing_syncs; /* so many from now on */
static int syncs;
int fdatasync(int fd) {
  syncs++;
  if (!failing_syncs || !failing_syncs--) return (int)syscall(SYS_fdatasync, fd);
  errno = EIO;
  return -1;
}

/* -------------------------------------------------------------------- in order */

static void lines_are_written_in_order_wherever_they_lie(void **state) {
  (void)state;
  const int together[] = {0, 1, 2, 3, 100};
  for (size_t i = 0; i < sizeof together / sizeof *together; i++) {
    tw_backend *backend = open_backend("file", "{\"path\":\"@/a\",\"append\":false}");
    lines small = make_lines(0, 1000, 100, together[i]),
          big = make_lines(1000, 12, 40000, together[i]);
    lines more = make_lines(1012, 300, 2000, together[i]);
    deliver_all(backend, &small);
    deliver_all(backend, &big);
    deliver_all(backend, &more);
    assert_int_equal(stats_of(backend).sent, 1312);
    close_backend(backend);
    assert_int_equal(check_file(in_folder("a"), 0), 1312);
    free_lines(&small), free_lines(&big), free_lines(&more);
  }
}

static void a_line_longer_than_any_buffer_is_written_as_it_lies(void **state) {
  (void)state;
  tw_backend *backend = open_backend("file", "{\"path\":\"@/a\"}");
  lines l = make_lines(0, 3, 900000, 1);
  deliver_all(backend, &l);
  close_backend(backend);
  assert_int_equal(check_file(in_folder("a"), 0), 3);
  free_lines(&l);
}

static void what_was_gathered_before_a_batch_is_written_before_it(void **state) {
  (void)state;
  tw_backend *backend = open_backend("file", "{\"path\":\"@/a\"}");
  lines l = make_lines(1, 2, 1, 0);
  send_json(backend, "{\"n\":0}", TW_MORE);
  deliver_all(backend, &l);
  send_json(backend, "{\"n\":3}", TW_MORE);
  flush_it(backend);
  assert_int_equal(check_file(in_folder("a"), 0), 4);
  assert_int_equal(stats_of(backend).sent, 4);
  close_backend(backend);
  free_lines(&l);
}

/* @return calls of write(2) and its like by this process; -1 when the kernel does not count */
static long writes_made(void) {
  long count = -1;
  char line[64];
  FILE *file = fopen("/proc/self/io", "r");
  while (file && fgets(line, sizeof line, file)) sscanf(line, "syscw: %ld", &count);
  if (file) fclose(file);
  return count;
}

static void a_batch_takes_few_writes_and_no_memory(void **state) {
  (void)state;
  tw_backend *backend = open_backend("file", "{\"path\":\"@/a\"}");
  lines together = make_lines(0, 1000, 500, 0), apart = make_lines(1000, 1000, 200, 1);
  deliver_all(backend, &together);
  size_t calls = tw_oom_calls();
  long before = writes_made();
  tw_delivered done;
  assert_int_equal(tw_backend_deliver(backend, &together.batch, &done, NULL), TW_OK);
  assert_int_equal(tw_backend_deliver(backend, &apart.batch, &done, NULL), TW_OK);
  assert_int_equal(tw_oom_calls(), calls);
  if (before >= 0) assert_int_equal(writes_made() - before, 2);
  close_backend(backend);
  free_lines(&together), free_lines(&apart);
}

static void a_batch_is_spread_over_rotated_files_without_splitting_a_line(void **state) {
  (void)state;
  mkdir(in_folder("logs"), 0700);
  tw_backend *backend = open_backend("file", "{\"path\":\"@/logs/a\",\"rotate_size\":100000}");
  lines l = make_lines(0, 2000, 500, 7);
  deliver_all(backend, &l);
  close_backend(backend);
  free_lines(&l);
  struct dirent **names;
  int count = scandir(in_folder("logs"), &names, NULL, alphasort), next = 0, files = 0;
  for (int i = 3; i <= count; i++) { /* "a" is the youngest, and sorts before the others */
    const char *name = names[i < count ? i : 2]->d_name;
    char path[600];
    snprintf(path, sizeof path, "%s/%.200s", in_folder("logs"), name);
    next += check_file(path, next);
    files++;
  }
  assert_int_equal(next, 2000);
  assert_true(files > 10);
  for (int i = 0; i < count; i++) free(names[i]);
  free(names);
}

/* --------------------------------------------------------------- honest prefixes */

static int unmount_folder(void **state) {
  umount2(in_folder("disk"), MNT_DETACH);
  return remove_folder(state);
}

static void mount_disk(const char *size) {
  mkdir(in_folder("disk"), 0700);
  if (mount("tmpfs", in_folder("disk"), "tmpfs", 0, size)) {
    print_message("skipped: a tmpfs cannot be mounted here: %s\n", strerror(errno));
    skip();
  }
}

/* Whatever the layout of the batch, what was told to be in the file is in it, and nothing else;
   so that going on behind it, when there is space, gives each event once. */
static void a_full_disk_tells_how_far_it_came_and_heals_without_a_double(void **state) {
  (void)state;
  const int together[] = {0, 1, 50};
  mount_disk("size=1m");
  for (size_t i = 0; i < sizeof together / sizeof *together; i++) {
    tw_backend *backend =
        open_backend("file", "{\"path\":\"@/disk/a\",\"append\":false,\"fsync\":\"flush\"}");
    lines l = make_lines(0, 3000, 500, together[i]);
    char ballast[300000];
    memset(ballast, 'x', sizeof ballast - 1);
    ballast[sizeof ballast - 1] = '\0';
    write_all(in_folder("disk/ballast"), ballast);
    tw_delivered done, more;
    tw_error error = {.message = ""};
    assert_int_equal(deliver(backend, &l, 0, &done, &error), TW_EIO);
    assert_says(&error, "/disk/a: cannot write: No space left on device");
    assert_in_range(done.count, 1, 2000);
    assert_false(done.is_exact);
    assert_int_equal(check_file(in_folder("disk/a"), 0), done.count);
    assert_int_equal(deliver(backend, &l, done.count, &more, &error), TW_EIO);
    done.count += more.count;
    assert_int_equal(stats_of(backend).sent, done.count);
    assert_int_equal(stats_of(backend).failed, 0);
    unlink(in_folder("disk/ballast"));
    assert_int_equal(deliver(backend, &l, done.count, &more, &error), TW_EIO);
    assert_true(more.count > 0); /* the space that came free */
    assert_int_equal(check_file(in_folder("disk/a"), 0), done.count + more.count);
    close_backend(backend);
    free_lines(&l);
  }
}

/* Its folder was removed, or moved away; something else stands in its place. */
static void a_path_that_cannot_be_opened_delivers_nothing_and_is_tried_again(void **state) {
  (void)state;
  for (int is_moved = 0; is_moved < 2; is_moved++) {
    tw_backend *backend = open_backend("file", "{\"path\":\"@/sub/a\"}");
    lines l = make_lines(0, 5, 10, 0);
    tw_delivered done;
    tw_error error = {.message = ""};
    if (is_moved) rename(in_folder("sub"), in_folder("moved"));
    else unlink(in_folder("sub/a")), rmdir(in_folder("sub"));
    write_all(in_folder("sub"), "no folder");
    assert_int_equal(deliver(backend, &l, 0, &done, &error), TW_EIO);
    assert_int_equal(done.count, 0);
    assert_says(&error, "/sub/a");
    unlink(in_folder("sub"));
    deliver_all(backend, &l);
    assert_int_equal(check_file(in_folder("sub/a"), 0), 5);
    close_backend(backend);
    free_lines(&l);
  }
}

static void a_device_that_takes_nothing_is_told(void **state) {
  (void)state;
  tw_backend *backend = open_backend("file", "{\"path\":\"/dev/full\"}");
  lines l = make_lines(0, 5, 10, 2);
  tw_delivered done;
  tw_error error = {.message = ""};
  assert_int_equal(deliver(backend, &l, 0, &done, &error), TW_EIO);
  assert_int_equal(done.count, 0);
  assert_says(&error, "/dev/full: cannot write: No space left on device");
  close_backend(backend);
  free_lines(&l);
}

/* ----------------------------------------------------------------------- syncing */

static void delivered_means_synced_where_syncs_are_asked_for(void **state) {
  (void)state;
  const struct {
    const char *options;
    int syncs;
  } cases[] = {{"{\"path\":\"@/a\",\"append\":false}", 0},
               {"{\"path\":\"@/a\",\"append\":false,\"fsync\":\"flush\"}", 1},
               {"{\"path\":\"@/a\",\"append\":false,\"fsync\":\"always\"}", 1}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    tw_backend *backend = open_backend("file", cases[i].options);
    lines l = make_lines(0, 100, 100, 1);
    syncs = 0;
    deliver_all(backend, &l);
    assert_int_equal(syncs, cases[i].syncs);
    close_backend(backend);
    free_lines(&l);
  }
}

static void what_could_not_be_synced_is_not_delivered(void **state) {
  (void)state;
  const char *const options[] = {
      "{\"path\":\"@/a\",\"fsync\":\"flush\"}", "{\"path\":\"@/a\",\"fsync\":\"always\"}",
      "{\"path\":\"@/a\",\"fsync\":\"flush\",\"rotate_size\":4000}",
      "{\"path\":\"@/a\",\"fsync\":\"always\",\"rotate_size\":4000}"};
  for (size_t i = 0; i < 2 * sizeof options / sizeof *options; i++) {
    tw_backend *backend = open_backend("file", options[i / 2]);
    lines l = make_lines(0, 100, 100, 1);
    tw_delivered done;
    tw_error error = {.message = ""};
    failing_syncs = i % 2 ? 1 : 1000; /* one: maybe of a file that was left in the middle */
    assert_int_equal(deliver(backend, &l, 0, &done, &error), TW_EIO);
    failing_syncs = 0;
    assert_int_equal(done.count, 0);
    assert_says(&error, "sync");
    assert_int_equal(stats_of(backend).sent, 0);
    deliver_all(backend, &l);
    assert_int_equal(stats_of(backend).sent, 100);
    close_backend(backend);
    free_lines(&l);
  }
}

/* ------------------------------------------------------------------- torn lines */

static void a_piece_of_a_line_in_the_file_stays_a_line_of_its_own(void **state) {
  (void)state;
  write_all(in_folder("a"), "{\"torn\":");
  tw_backend *backend = open_backend("file", "{\"path\":\"@/a\"}");
  lines l = make_lines(0, 2, 1, 0);
  deliver_all(backend, &l);
  close_backend(backend);
  assert_file(in_folder("a"),
              "{\"torn\":\n{\"id\":\"e0\",\"n\":0,\"pad\":\"0\"}\n"
              "{\"id\":\"e1\",\"n\":1,\"pad\":\"0\"}\n");
  free_lines(&l);
}

/* Tells the parent after each batch how many events are delivered. */
static void deliver_for_ever(int to_parent) {
  tw_backend *backend = open_backend("file", "{\"path\":\"@/a\"}");
  for (int i = 0;; i += 300) {
    lines l = make_lines(i, 300, 400, 20);
    int told = i + 300;
    deliver_all(backend, &l);
    free_lines(&l);
    if (write(to_parent, &told, sizeof told) != sizeof told) _exit(1);
  }
}

static void a_process_killed_in_a_delivery_has_written_what_it_told(void **state) {
  (void)state;
  for (int round = 0; round < 5; round++) {
    int ends[2], told = 0, next;
    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();
    if (!child) deliver_for_ever(ends[1]);
    close(ends[1]);
    assert_int_equal(read(ends[0], &told, sizeof told), sizeof told);
    nanosleep(&(struct timespec){0, 5000000 + 3000000 * round}, NULL);
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    while (read(ends[0], &next, sizeof next) == sizeof next) told = next;
    close(ends[0]);
    size_t len;
    char *text = read_all(in_folder("a"), &len);
    while (len && text[len - 1] != '\n') len--; /* at most one torn end */
    assert_int_equal(truncate(in_folder("a"), (off_t)len), 0);
    free(text);
    int whole = check_file(in_folder("a"), 0);
    assert_in_range(whole, told, told + 300);
    unlink(in_folder("a"));
  }
}

/* --------------------------------------------------------------- standard output */

static int saved;

static void replace_stdout(int fd) {
  fflush(stdout);
  saved = dup(STDOUT_FILENO);
  dup2(fd, STDOUT_FILENO);
  close(fd);
}

static void restore_stdout(void) {
  dup2(saved, STDOUT_FILENO);
  close(saved);
}

static void batches_are_lines_on_standard_output(void **state) {
  (void)state;
  lines l = make_lines(0, 2000, 300, 3);
  replace_stdout(open(in_folder("out"), O_RDWR | O_CREAT, 0600));
  tw_backend *backend = open_backend("stdout", "{}");
  tw_delivered done;
  tw_status status = deliver(backend, &l, 0, &done, NULL);
  close_backend(backend);
  restore_stdout();
  assert_int_equal(status, TW_OK);
  assert_int_equal(check_file(in_folder("out"), 0), 2000);
  free_lines(&l);
}

/* Reads whole lines and a piece of another, then goes. */
typedef struct reader {
  int fd;
  size_t bytes;
} reader;

static void *read_some(void *self) {
  reader *r = self;
  char chunk[1000];
  while (r->bytes < 100000) {
    ssize_t n = read(r->fd, chunk, sizeof chunk);
    if (n <= 0) break;
    r->bytes += (size_t)n;
  }
  close(r->fd);
  return NULL;
}

static void a_reader_that_goes_leaves_an_honest_count(void **state) {
  (void)state;
  int ends[2];
  pthread_t thread;
  lines l = make_lines(0, 3000, 300, 0);
  size_t line = tw_batch_count(&l.batch) ? l.batch.items[0].len + 1 : 1;
  assert_int_equal(pipe(ends), 0);
  reader r = {.fd = ends[0]};
  pthread_create(&thread, NULL, read_some, &r);
  replace_stdout(ends[1]);
  tw_backend *backend = open_backend("stdout", "{}");
  tw_delivered done;
  tw_error error = {.message = ""};
  tw_status status = deliver(backend, &l, 0, &done, &error);
  close_backend(backend);
  restore_stdout();
  pthread_join(thread, NULL);
  assert_int_equal(status, TW_EIO);
  assert_says(&error, "Broken pipe");
  /* What was read, and at most what a pipe holds. */
  assert_true(done.count < 3000 && done.count * (line + 4) + 1 >= r.bytes - line - 4);
  assert_true(done.count * line <= r.bytes + (1 << 20));
  free_lines(&l);
}

#define IN_FOLDER(name) cmocka_unit_test_setup_teardown(name, make_folder, remove_folder)
#define ON_DISK(name)   cmocka_unit_test_setup_teardown(name, make_folder, unmount_folder)

int main(void) {
  tw_oom_install();
  const struct CMUnitTest tests[] = {
      IN_FOLDER(lines_are_written_in_order_wherever_they_lie),
      IN_FOLDER(a_line_longer_than_any_buffer_is_written_as_it_lies),
      IN_FOLDER(what_was_gathered_before_a_batch_is_written_before_it),
      IN_FOLDER(a_batch_takes_few_writes_and_no_memory),
      IN_FOLDER(a_batch_is_spread_over_rotated_files_without_splitting_a_line),
      ON_DISK(a_full_disk_tells_how_far_it_came_and_heals_without_a_double),
      IN_FOLDER(a_path_that_cannot_be_opened_delivers_nothing_and_is_tried_again),
      IN_FOLDER(a_device_that_takes_nothing_is_told),
      IN_FOLDER(delivered_means_synced_where_syncs_are_asked_for),
      IN_FOLDER(what_could_not_be_synced_is_not_delivered),
      IN_FOLDER(a_piece_of_a_line_in_the_file_stays_a_line_of_its_own),
      IN_FOLDER(a_process_killed_in_a_delivery_has_written_what_it_told),
      IN_FOLDER(batches_are_lines_on_standard_output),
      IN_FOLDER(a_reader_that_goes_leaves_an_honest_count),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
