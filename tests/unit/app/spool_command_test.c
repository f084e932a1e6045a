/// `tidewire spool …`, run as it is, on a spool whose contents are known.
#include <sys/wait.h>

#include "app/exit.h"
#include "app/spool_command.h"
#include "unit/delivery/spool_sample.h"

static char out[2000000], err[20000];

static void read_into(const char *path, char *text, size_t room) {
  int fd = open(path, O_RDONLY);
  assert_true(fd >= 0);
  ssize_t len = read(fd, text, room - 1);
  assert_true(len >= 0);
  text[len] = '\0';
  close(fd);
}

static void redirect(const char *path, int fd) {
  int file = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
  dup2(file, fd);
  close(file);
}

/* In a process of its own: `tidewire spool ` with these words; `@` stands for the spool. */
static int run(const char *words) {
  char line[300], *argv[16] = {"spool"};
  int argc = 1, status;
  snprintf(line, sizeof line, "%s", words);
  for (char *rest = NULL, *word = strtok_r(line, " ", &rest); word;
       word = strtok_r(NULL, " ", &rest))
    argv[argc++] = strcmp(word, "@") == 0 ? (char *)(uintptr_t)in_folder("spool") : word;
  fflush(NULL);
  pid_t child = fork();
  if (!child) {
    tw_term term;
    redirect(in_folder("out"), STDOUT_FILENO);
    redirect(in_folder("err"), STDERR_FILENO);
    redirect(in_folder("in"), STDIN_FILENO);
    tw_term_init(&term);
    status = tw_command_spool(argc, argv, &term);
    fflush(NULL);
    _exit(status);
  }
  assert_int_equal(waitpid(child, &status, 0), child);
  assert_true(WIFEXITED(status));
  read_into(in_folder("out"), out, sizeof out);
  read_into(in_folder("err"), err, sizeof err);
  return WEXITSTATUS(status);
}

static void assert_in(const char *text, const char *part) {
  if (!strstr(text, part)) fail_msg("\"%s\" is not in\n%s", part, text);
}

static size_t count_lines(const char *text) {
  size_t lines = 0;
  for (; *text; text++) lines += *text == '\n';
  return lines;
}

/* -------------------------------------------------------------------- inspect */

static void put_source(void) {
  static const char json[] =
      "{\"device\":1,\"inode\":7,\"head_hash\":\"0000000000000000\",\"head_len\":0,"
      "\"offset\":4096,\"line\":12,\"ranges\":[[5000,6000,3]]}";
  unsigned char key[64];
  size_t len = tw_source_key_write(key, "in.ndjson", 9, 1, 7);
  tw_spool *spool = open_spool(TW_SPOOL_OWN);
  tw_spool_txn *txn = begin(spool, true);
  for (unsigned n = 0; n < SOURCES; n++) {
    const char *name = small_of("name", n);
    tw_spool_delete(txn, TW_SPOOL_SOURCE, name, strlen(name), NULL);
  }
  assert_int_equal(tw_spool_put(txn, TW_SPOOL_SOURCE, key, len, json, sizeof json - 1, NULL),
                   TW_OK);
  commit(txn);
  tw_spool_close(spool);
}

static int make_spool_of_a_run(void **state) {
  make_folder(state);
  make_sample();
  put_source();
  return 0;
}

static void inspect_shows_what_is_there(void **state) {
  (void)state;
  assert_int_equal(run("inspect @"), TW_EXIT_DONE);
  assert_string_equal(err, "");
  assert_in(out, "transaction 42, not in use\n");
  assert_in(out, "  box/0 ");
  assert_in(out,
            "225          22,500             775           1,000  1970-01-01T00:00:00.001000Z");
  assert_in(out,
            "  in.ndjson                          4,096              12               7\n");
  assert_in(out, "  worker 2 of 2 ");
  assert_in(out, "  dead letters                         150");
}

static void inspect_tells_programs(void **state) {
  (void)state;
  tw_value value;
  tw_event *found;
  assert_int_equal(run("inspect --json @"), TW_EXIT_DONE);
  assert_int_equal(count_lines(out), 1);
  assert_int_equal(tw_event_parse(out, strlen(out), NULL, &found, NULL), TW_OK);
  static const struct {
    const char *path;
    int64_t value;
  } numbers[] = {{"outboxes[2].events", 225},
                 {"outboxes[2].head", 775},
                 {"outboxes[1].id", 1},
                 {"sources[0].offset", 4096},
                 {"sources[0].ranges", 1},
                 {"states[1].worker", 1},
                 {"dead.events", 150},
                 {"replays.events", 0},
                 {"damaged", 0},
                 {"version", 1}};
  for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
    assert_int_equal(tw_event_get(found, numbers[i].path, &value), TW_OK);
    assert_int_equal(value.integer, numbers[i].value);
  }
  assert_int_equal(tw_event_get(found, "owner", &value), TW_OK);
  assert_int_equal(value.type, TW_NULL);
  tw_event_free(found);
}

static void while_it_is_in_use_one_may_look_and_nothing_else(void **state) {
  (void)state;
  char process[64];
  tw_spool *spool = open_spool(TW_SPOOL_OWN);
  snprintf(process, sizeof process, "in use by process %ld", (long)getpid());
  assert_int_equal(run("inspect @"), TW_EXIT_DONE);
  assert_in(out, process);
  assert_int_equal(run("verify @"), TW_EXIT_DONE);
  assert_int_equal(run("export @"), TW_EXIT_DONE);
  assert_int_equal(run("repair @"), TW_EXIT_UNAVAILABLE);
  assert_in(err, process);
  assert_int_equal(run("drop --all --yes @"), TW_EXIT_UNAVAILABLE);
  assert_in(err, process);
  tw_spool_close(spool);
}

/* --------------------------------------------------------------------- verify */

static void verify_passes_what_is_sound(void **state) {
  (void)state;
  assert_int_equal(run("verify @"), TW_EXIT_DONE);
  assert_in(out, " is sound: 41 records\n");
  assert_int_equal(run("verify -q @"), TW_EXIT_DONE);
  assert_string_equal(out, "");
  assert_int_equal(run("verify --json @"), TW_EXIT_DONE);
  assert_in(out, "{\"problems\":[],\"records\":41,\"transaction\":42,\"pages\":{\"all\":");
}

/* Changes one byte of a text that is in the file; its last place is the newest. */
static void spoil(const char *text) {
  size_t len, found = 0, size = strlen(text);
  char *bytes = read_file(&len);
  for (size_t i = 0; i + size <= len; i++)
    if (memcmp(bytes + i, text, size) == 0) found = i;
  assert_true(found);
  bytes[found] ^= 1;
  write_back(bytes, len);
  free(bytes);
}

static void verify_tells_every_damaged_value_and_every_gap(void **state) {
  (void)state;
  unsigned char key[TW_CHUNK_KEY_LEN];
  spoil("\"outbox\":1,\"number\":905,");
  tw_spool *spool = open_spool(TW_SPOOL_OWN);
  tw_spool_txn *txn = begin(spool, true);
  tw_chunk_key_write(key, 2, 800);
  assert_int_equal(tw_spool_delete(txn, TW_SPOOL_CHUNK, key, sizeof key, NULL), TW_OK);
  tw_chunk_key_write(key, 77, 0);
  put_chunk(txn, TW_SPOOL_CHUNK, key, sizeof key, 77, 0);
  commit(txn);
  tw_spool_close(spool);
  assert_int_equal(run("verify @"), TW_EXIT_REJECTED);
  assert_in(err, "box/1: the chunk of events from number 900 on: ");
  assert_in(err, "box/1: 200 events are there, 225 should wait");
  assert_in(err, "box/2: 200 events are there, 225 should wait");
  assert_in(err, "1 chunks belong to no outbox");
  assert_string_equal(out, "");
  assert_int_equal(run("verify --json @"), TW_EXIT_REJECTED);
  assert_string_equal(err, "");
  assert_in(out, "{\"problems\":[\"box/1: the chunk of events from number 900 on: ");
}

static void damaged_pages_are_told_and_nothing_is_read(void **state) {
  (void)state;
  size_t len;
  char *bytes = read_file(&len);
  bytes[4096 + 16] ^= 1;
  write_back(bytes, len);
  free(bytes);
  static const char *const commands[] = {"inspect @", "verify @", "export @",
                                         "drop --all --yes @"};
  for (size_t i = 0; i < sizeof commands / sizeof *commands; i++) {
    assert_int_equal(run(commands[i]), TW_EXIT_REJECTED);
    assert_in(err,
              "page 1: it is no meta page that fits the first: the spool is damaged; run "
              "tidewire spool "
              "repair");
    assert_string_equal(out, "");
  }
  assert_int_equal(run("repair @"), TW_EXIT_DONE);
  assert_in(out, "0 events lost");
  assert_in(out, "the damaged file is ");
  assert_int_equal(run("verify @"), TW_EXIT_DONE);
}

/* --------------------------------------------------------------------- export */

static void export_prints_what_waits_in_order(void **state) {
  (void)state;
  assert_int_equal(run("export @"), TW_EXIT_DONE);
  assert_int_equal(count_lines(out), OUTBOXES * 225);
  const char *at = out;
  for (unsigned box = 0; box < OUTBOXES; box++)
    for (uint64_t number = 775; number < 1000; number++) {
      const char *text = text_of(box, number);
      assert_memory_equal(at, text, strlen(text));
      at += strlen(text);
      assert_int_equal(*at++, '\n');
    }
  assert_int_equal(run("export --backend box/1 @"), TW_EXIT_DONE);
  assert_int_equal(count_lines(out), 225);
  assert_memory_equal(out, "{\"outbox\":1,", 12);
  assert_int_equal(run("export --dead @"), TW_EXIT_DONE);
  assert_int_equal(count_lines(out), DEAD * EVENTS);
  assert_int_equal(run("export --backend box/9 @"), TW_EXIT_INPUT);
  assert_in(err, "there is no outbox for \"box/9\"");
}

static void export_leaves_out_what_is_damaged_and_tells(void **state) {
  (void)state;
  spoil("\"outbox\":1,\"number\":905,");
  assert_int_equal(run("export @"), TW_EXIT_REJECTED);
  assert_int_equal(count_lines(out), OUTBOXES * 225 - EVENTS);
  assert_in(err, "spool export: box/1: ");
}

/* ----------------------------------------------------------------------- drop */

static void drop_removes_what_was_said_and_nothing_else(void **state) {
  (void)state;
  assert_int_equal(run("drop --backend box/1 --yes @"), TW_EXIT_DONE);
  assert_string_equal(out, "10 records and 225 waiting events were dropped\n");
  assert_int_equal(run("verify @"), TW_EXIT_DONE);
  assert_int_equal(run("export @"), TW_EXIT_DONE);
  assert_int_equal(count_lines(out), (OUTBOXES - 1) * 225);
  assert_int_equal(run("drop --state --yes @"), TW_EXIT_DONE);
  assert_string_equal(out, "2 records and 0 waiting events were dropped\n");
  assert_int_equal(run("drop --source in.ndjson --yes -q @"), TW_EXIT_DONE);
  assert_string_equal(out, "");
  assert_int_equal(run("drop --source in.ndjson --yes @"), TW_EXIT_INPUT);
  assert_in(err, "there is nothing of that");
  assert_int_equal(run("export --dead @"), TW_EXIT_DONE);
  assert_int_equal(count_lines(out), DEAD * EVENTS);
  assert_int_equal(run("drop --all --yes @"), TW_EXIT_DONE);
  assert_int_equal(run("verify --json @"), TW_EXIT_DONE);
  assert_in(out, "\"records\":2,");
}

static void drop_asks_and_where_nobody_can_answer_refuses(void **state) {
  (void)state;
  assert_int_equal(run("drop --all @"), TW_EXIT_USAGE);
  assert_in(err, "spool drop: nobody can be asked here: say --yes");
  assert_int_equal(run("drop @"), TW_EXIT_USAGE);
  assert_in(err, "spool drop: say what: --backend, --source, --state or --all");
  assert_int_equal(run("export @"), TW_EXIT_DONE);
  assert_int_equal(count_lines(out), OUTBOXES * 225);
}

/* ---------------------------------------------------------------------- usage */

static void a_newer_spool_is_refused_by_all(void **state) {
  (void)state;
  static const unsigned char newer[4] = {TW_SPOOL_VERSION + 1};
  static const char *const commands[] = {"inspect @", "verify @", "export @", "repair @",
                                         "drop --all --yes @"};
  tw_spool *spool = open_spool(TW_SPOOL_OWN);
  tw_spool_txn *txn = begin(spool, true);
  assert_int_equal(tw_spool_put(txn, TW_SPOOL_ABOUT, "version", 7, newer, 4, NULL), TW_OK);
  commit(txn);
  tw_spool_close(spool);
  for (size_t i = 0; i < sizeof commands / sizeof *commands; i++) {
    assert_int_equal(run(commands[i]), TW_EXIT_INPUT);
    assert_in(err, "a newer Tidewire wrote this spool");
  }
}

static void where_there_is_no_spool_none_is_made(void **state) {
  (void)state;
  remove_folder(NULL);
  mkdir(folder, 0700);
  static const char *const words[] = {"inspect @", "verify @", "export @", "repair @",
                                      "drop --all --yes @"};
  for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
    assert_int_equal(run(words[i]), TW_EXIT_INPUT);
    assert_in(err, "there is no spool");
    assert_int_not_equal(access(in_folder("spool"), F_OK), 0);
  }
}

static void wrong_command_lines_are_told(void **state) {
  (void)state;
  static const struct {
    const char *words, *message;
  } cases[] = {
      {"inspct @", "spool: unknown command \"inspct\"; did you mean \"inspect\"?"},
      {"frobnicate @", "spool: unknown command \"frobnicate\"; see tidewire spool --help"},
      {"inspect", "spool inspect: no folder given; see tidewire spool inspect --help"},
      {"inspect @ other", "spool inspect: one folder at a time, not also \"other\""},
      {"export --all @", "spool export: unknown option --all"},
      {"verify --jsn @", "spool verify: unknown option --jsn; did you mean --json?"},
      {"drop --backend", "spool drop: --backend needs a value"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    assert_int_equal(run(cases[i].words), TW_EXIT_USAGE);
    assert_in(err, cases[i].message);
  }
  assert_int_equal(run("--help"), TW_EXIT_DONE);
  assert_in(out, "Usage: tidewire spool inspect");
  assert_int_equal(run("drop --help"), TW_EXIT_DONE);
  assert_in(out, "Usage: tidewire spool inspect");
  assert_int_equal(run(""), TW_EXIT_USAGE);
}

#define ON_A_SPOOL(test) \
  cmocka_unit_test_setup_teardown(test, make_spool_of_a_run, remove_folder)

int main(void) {
  const struct CMUnitTest tests[] = {
      ON_A_SPOOL(inspect_shows_what_is_there),
      ON_A_SPOOL(inspect_tells_programs),
      ON_A_SPOOL(while_it_is_in_use_one_may_look_and_nothing_else),
      ON_A_SPOOL(verify_passes_what_is_sound),
      ON_A_SPOOL(verify_tells_every_damaged_value_and_every_gap),
      ON_A_SPOOL(damaged_pages_are_told_and_nothing_is_read),
      ON_A_SPOOL(export_prints_what_waits_in_order),
      ON_A_SPOOL(export_leaves_out_what_is_damaged_and_tells),
      ON_A_SPOOL(drop_removes_what_was_said_and_nothing_else),
      ON_A_SPOOL(drop_asks_and_where_nobody_can_answer_refuses),
      ON_A_SPOOL(a_newer_spool_is_refused_by_all),
      ON_A_SPOOL(where_there_is_no_spool_none_is_made),
      ON_A_SPOOL(wrong_command_lines_are_told),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
