/// The file backend under full disks, kills and threads.
#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>

#include "tools.h"

/* Every line is an event of these tests, and whole. @return how many lines */
static size_t check_lines(const char *path, bool last_may_be_torn) {
  size_t len, count = 0;
  char *text = read_all(path, &len);
  for (char *line = text, *end; line < text + len; line = end + 1, count++) {
    end = memchr(line, '\n', (size_t)(text + len - line));
    if (!end) {
      assert_true(last_may_be_torn);
      break;
    }
    tw_event *event;
    if (tw_event_parse(line, (size_t)(end - line), NULL, &event, NULL) != TW_OK)
      fail_msg("%s: line %zu is torn", path, count + 1);
    tw_event_free(event);
  }
  free(text);
  return count;
}

/* Every file in a folder below ours holds whole lines alone and is no longer than `max`;
   removes them. @return how many lines */
static size_t check_files(const char *name, off_t max) {
  size_t lines = 0;
  DIR *opened = opendir(in_folder(name));
  for (struct dirent *entry; (entry = readdir(opened));) {
    char path[512];
    struct stat st;
    snprintf(path, sizeof path, "%s/%.200s", in_folder(name), entry->d_name);
    if (stat(path, &st) || !S_ISREG(st.st_mode)) continue;
    if (st.st_size > max) fail_msg("%s has %lld bytes", path, (long long)st.st_size);
    lines += check_lines(path, false);
    unlink(path);
  }
  closedir(opened);
  return lines;
}

static tw_event *padded_event(void) {
  char json[600];
  int head = snprintf(json, sizeof json, "{\"name\":\"padded\",\"data\":\"");
  memset(json + head, 'x', 500 - (size_t)head);
  strcpy(json + 500, "\"}");
  return make_event(json);
}

/* ------------------------------------------------------------------- full disk */

/* Sends until the disk is full, and checks that all is accounted for. */
static void fill_disk(tw_backend *backend, const char *path, unsigned flags) {
  tw_event *event = padded_event();
  tw_error error = {.message = ""};
  uint64_t lost = 0, refused = 0;
  for (int i = 0; i < 4000; i++) {
    if (tw_backend_send(backend, event, flags, &error) != TW_OK) {
      refused++;
      assert_says(&error, "/events.ndjson: cannot write: ");
    }
  }
  tw_status status = tw_backend_flush(backend, &lost, &error);
  assert_int_equal(status, lost ? TW_EIO : TW_OK);
  if (lost) assert_says(&error, "events were not written");
  assert_true(refused + lost > 0);
  assert_int_equal(check_lines(path, false), 4000 - refused - lost);
  assert_int_equal(stats_of(backend).failed, refused + lost);
  assert_int_equal(stats_of(backend).sent, 4000 - refused - lost);
  tw_event_free(event);
}

static void limit_file_size(rlim_t size) {
  struct rlimit limit;
  getrlimit(RLIMIT_FSIZE, &limit);
  limit.rlim_cur = size;
  setrlimit(RLIMIT_FSIZE, &limit);
}

/* A size limit fails a write in its middle, as a full disk does. */
static void at_a_size_limit_only_whole_lines_are_left(void **state) {
  (void)state;
  struct rlimit before;
  getrlimit(RLIMIT_FSIZE, &before);
  signal(SIGXFSZ, SIG_IGN);
  for (unsigned flags = 0; flags <= TW_MORE; flags++) {
    tw_backend *backend =
        open_backend("file", "{\"path\":\"@/events.ndjson\",\"append\":false}");
    limit_file_size(1000001);
    fill_disk(backend, in_folder("events.ndjson"), flags);
    limit_file_size(before.rlim_cur);
    send_json(backend, "{}", TW_MORE);
    flush_it(backend);
    check_lines(in_folder("events.ndjson"), false);
    close_backend(backend);
  }
  signal(SIGXFSZ, SIG_DFL);
}

static int unmount_folder(void **state) {
  umount2(in_folder("disk"), MNT_DETACH);
  return remove_folder(state);
}

static void a_full_disk_is_told_leaves_whole_lines_and_heals(void **state) {
  (void)state;
  mkdir(in_folder("disk"), 0700);
  if (mount("tmpfs", in_folder("disk"), "tmpfs", 0, "size=1m")) {
    print_message("skipped: a tmpfs cannot be mounted here: %s\n", strerror(errno));
    skip();
  }
  tw_backend *backend = open_backend("file", "{\"path\":\"@/disk/events.ndjson\"}");
  write_all(in_folder("disk/ballast"), "some pages that can be removed");
  fill_disk(backend, in_folder("disk/events.ndjson"), TW_MORE);
  unlink(in_folder("disk/ballast"));
  size_t before = check_lines(in_folder("disk/events.ndjson"), false);
  send_json(backend, "{\"healed\":true}", 0);
  assert_int_equal(check_lines(in_folder("disk/events.ndjson"), false), before + 1);
  close_backend(backend);
}

/* ------------------------------------------------------------------------ kill */

static void write_for_ever(void) {
  tw_backend *backend =
      open_backend("file", "{\"path\":\"@/logs/a\",\"rotate_size\":\"2MiB\"}");
  tw_event *event = padded_event();
  for (unsigned i = 0;; i++) tw_backend_send(backend, event, i % 64 ? TW_MORE : 0, NULL);
}

static void nap(long ms) {
  struct timespec time = {0, ms * 1000000};
  nanosleep(&time, NULL);
}

static void wait_for_lines(const char *path) {
  struct stat st = {0};
  for (int i = 0; i < 10000 && (stat(path, &st) || !st.st_size); i++) nap(1);
}

/* Dies somewhere in the middle; a page more or less is the kernel's choice. What comes after
   is on lines of its own. */
static void a_killed_writer_leaves_whole_lines_and_at_most_one_torn_end(void **state) {
  (void)state;
  for (int round = 0; round < 5; round++) {
    pid_t child = fork();
    if (!child) write_for_ever();
    wait_for_lines(in_folder("logs/a"));
    nap(20 + 7 * round);
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    size_t whole = 0;
    if (!access(in_folder("logs/a"), F_OK)) {
      whole = check_lines(in_folder("logs/a"), true);
      assert_int_equal(rename(in_folder("logs/a"), in_folder("a")), 0);
    }
    assert_true(whole + check_files("logs", 2 << 20) > 0);
    tw_backend *backend = open_backend("file", "{\"path\":\"@/a\"}");
    send_json(backend, "{\"after\":1}", 0);
    close_backend(backend);
    size_t len;
    char *text = read_all(in_folder("a"), &len);
    assert_true(len >= 12 && !strcmp(text + len - 12, "{\"after\":1}\n"));
    assert_true(len == 12 || text[len - 13] == '\n');
    free(text);
    unlink(in_folder("a"));
  }
}

/* --------------------------------------------------------------------- threads */

enum { THREADS = 4, EACH = 5000 };

static void *send_many(void *backend) {
  tw_event *event = padded_event();
  for (int i = 0; i < EACH; i++)
    assert_int_equal(tw_backend_send(backend, event, i % 7 ? TW_MORE : 0, NULL), TW_OK);
  tw_event_free(event);
  return NULL;
}

static void send_from_threads(tw_backend *const *backends) {
  pthread_t threads[THREADS];
  for (int i = 0; i < THREADS; i++) pthread_create(&threads[i], NULL, send_many, backends[i]);
  for (int i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
}

static void threads_write_whole_lines(void **state) {
  (void)state;
  tw_backend *backend = open_backend("file", "{\"path\":\"@/a\"}");
  tw_backend *const all[THREADS] = {backend, backend, backend, backend};
  send_from_threads(all);
  close_backend(backend);
  assert_int_equal(check_lines(in_folder("a"), false), THREADS * EACH);
}

static void several_backends_on_one_path_write_whole_lines_while_it_rotates(void **state) {
  (void)state;
  tw_backend *all[THREADS];
  for (int i = 0; i < THREADS; i++)
    all[i] = open_backend("file", "{\"path\":\"@/logs/a\",\"rotate_size\":\"256KiB\"}");
  send_from_threads(all);
  for (int i = 0; i < THREADS; i++) close_backend(all[i]);
  assert_int_equal(check_files("logs", 256 * 1024), THREADS * EACH);
}

#define IN_FOLDER(name) cmocka_unit_test_setup_teardown(name, make_folder, remove_folder)

int main(void) {
  const struct CMUnitTest tests[] = {
      IN_FOLDER(at_a_size_limit_only_whole_lines_are_left),
      cmocka_unit_test_setup_teardown(a_full_disk_is_told_leaves_whole_lines_and_heals,
                                      make_folder, unmount_folder),
      IN_FOLDER(a_killed_writer_leaves_whole_lines_and_at_most_one_torn_end),
      IN_FOLDER(threads_write_whole_lines),
      IN_FOLDER(several_backends_on_one_path_write_whole_lines_while_it_rotates),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
