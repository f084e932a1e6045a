/// The checker, and a spool whose file was damaged: read rightly, or refused; never a crash,
/// and never wrong in silence.
#include <sys/wait.h>

#include "delivery/check.h"
#include "spool_sample.h"
#include "support/oom.h"

static tw_status check_file(tw_check_result *out, tw_error *error) {
  int fd = open(in_folder(data), O_RDONLY);
  assert_true(fd >= 0);
  tw_status status = tw_check_file(fd, in_folder("spool"), 0, 0, out, error);
  close(fd);
  return status;
}

static void assert_sound(tw_check_result *out) {
  tw_error error;
  if (check_file(out, &error)) fail_msg("%s", error.message);
  assert_int_equal(out->lost, 0);
  assert_int_equal(out->used + out->free, out->pages);
}

/* --------------------------------------------------------- sound ones are passed */

static void put_number(tw_spool_txn *txn, tw_spool_table table, uint64_t number, size_t len) {
  static char value[300000];
  unsigned char key[8];
  tw_spool_write_number(key, number);
  memset(value, (int)number, sizeof value);
  assert_int_equal(tw_spool_put(txn, table, key, 8, value, len, NULL), TW_OK);
}

/* Random puts and deletes of all sizes, in transactions that are committed or aborted. */
static void churn(tw_spool *spool, unsigned *seed) {
  tw_spool_txn *txn = begin(spool, true);
  for (int i = rand_r(seed) % 40; i >= 0; i--) {
    unsigned char key[8];
    uint64_t number = (uint64_t)(rand_r(seed) % 400);
    tw_spool_table table = (tw_spool_table)(TW_SPOOL_OUTBOX + rand_r(seed) % 6);
    size_t len = (size_t)(rand_r(seed) % (rand_r(seed) % 8 ? 600 : 300000));
    tw_spool_write_number(key, number);
    if (rand_r(seed) % 3) put_number(txn, table, number, len);
    else assert_int_equal(tw_spool_delete(txn, table, key, 8, NULL), TW_OK);
  }
  if (rand_r(seed) % 5) commit(txn);
  else tw_spool_abort(txn);
}

static void every_state_of_a_spool_that_is_used_is_sound(void **state) {
  (void)state;
  tw_check_result result;
  unsigned seed = 7;
  tw_spool_options options = {.mode = TW_SPOOL_OWN, .lazy = true};
  tw_spool *spool = open_with(&options);
  for (int i = 0; i < 600; i++) {
    tw_spool_txn *reader = i % 7 == 3 ? begin(spool, false) : NULL;
    churn(spool, &seed);
    assert_sound(&result);
    tw_spool_abort(reader);
  }
  tw_spool_close(spool);
  assert_true(result.records > 300 && result.free > 100);
}

static void a_snapshot_that_a_reader_holds_can_be_checked(void **state) {
  (void)state;
  tw_check_result result;
  tw_error error;
  tw_spool *spool = open_spool(TW_SPOOL_OWN);
  store(spool, TW_SPOOL_STATE, "a", "1");
  int fd = open(in_folder(data), O_RDONLY);
  assert_int_equal(tw_check_file(fd, "it", 2, 0, &result, NULL), TW_OK);
  assert_int_equal(result.txnid, 2);
  assert_int_equal(result.records, 3);
  assert_int_equal(tw_check_file(fd, "it", 4, 0, &result, &error), TW_ENOENT);
  assert_says(&error, "it: the snapshot is gone");
  close(fd);
  tw_spool_close(spool);
}

static tw_status check_it(void *self) {
  (void)self;
  return check_file(NULL, NULL);
}

static void it_does_without_memory(void **state) {
  (void)state;
  char key[601] = "";
  memset(key, 'k', 600);
  tw_spool *spool = open_spool(TW_SPOOL_OWN);
  store(spool, TW_SPOOL_OUTBOX, key, "1");
  tw_spool_close(spool);
  assert_true(tw_oom_fail_each(check_it, NULL) >= 3);
}

/* ------------------------------------------------------------ damage is found */

static void overwrite(off_t at, const void *bytes, size_t len) {
  int fd = open(in_folder(data), O_WRONLY);
  assert_int_equal(pwrite(fd, bytes, len, at), (ssize_t)len);
  close(fd);
}

static void flip(off_t at, unsigned char bits) {
  unsigned char byte;
  int fd = open(in_folder(data), O_RDWR);
  assert_int_equal(pread(fd, &byte, 1, at), 1);
  byte ^= bits;
  assert_int_equal(pwrite(fd, &byte, 1, at), 1);
  close(fd);
}

/* The number of the transaction stands at 16 + 128 in its meta page. */
enum { TXNID = 16 + 128, MAIN_ROOT = 16 + 24 + 48 + 40, MAIN_ENTRIES = 16 + 24 + 48 + 32 };

static void refused(const char *part) {
  tw_error error = {.message = ""};
  tw_spool *spool;
  for (int mode = TW_SPOOL_OWN; mode <= TW_SPOOL_READ; mode++) {
    assert_int_equal(try_spool((tw_spool_mode)mode, &spool, &error), TW_EIO);
    assert_says(&error, part);
    assert_says(&error, "run tidewire spool repair");
  }
}

static void a_changed_number_of_a_transaction_is_found(void **state) {
  (void)state;
  tw_spool *spool = open_spool(TW_SPOOL_OWN);
  for (int i = 0; i < 5; i++) store(spool, TW_SPOOL_STATE, "a", "1");
  tw_spool_close(spool);
  flip(TXNID, 2); // 6 looks older than 5
  refused("its number does not fit its tree");
  flip(TXNID, 2 | 1);
  refused("another transaction's number");
  flip(TXNID, 1 | 16);
  refused("its number does not fit the other one's");
  flip(TXNID, 16);
  flip(4096 + TXNID, 2); // 5 looks newer than 6
  refused("it is of another transaction than the meta page");
  flip(4096 + TXNID, 2);
  tw_spool_close(open_spool(TW_SPOOL_OWN));
}

static void damage_of_a_meta_page_is_found(void **state) {
  (void)state;
  tw_spool_close(open_spool(TW_SPOOL_OWN));
  flip(4096 + MAIN_ENTRIES, 1);
  refused("its counts do not fit its tree");
  flip(4096 + MAIN_ENTRIES, 1);
  flip(4096 + MAIN_ROOT, 64);
  refused("it is outside of the file");
  flip(4096 + MAIN_ROOT, 64);
  flip(16, 1);
  refused("page 0: it is no meta page of LMDB");
  flip(16, 1);
  flip(4096 + 16, 1);
  refused("page 1: it is no meta page that fits the first");
}

static void a_last_page_behind_the_end_of_the_file_is_refused(void **state) {
  (void)state;
  enum { LAST_PAGE = 16 + 120 };
  tw_spool_close(open_spool(TW_SPOOL_OWN));
  flip(4096 + LAST_PAGE + 1,
       1); // 256 more: they might never have been written, if they were free
  refused("it is behind the file's end, and not free");
  flip(4096 + LAST_PAGE + 1, 1);
  flip(4096 + LAST_PAGE + 3, 1);
  refused("the last page is outside of the file");
}

static void a_file_that_was_cut_is_refused(void **state) {
  (void)state;
  tw_spool *spool = open_spool(TW_SPOOL_OWN);
  tw_spool_txn *txn = begin(spool, true);
  put_number(txn, TW_SPOOL_CHUNK, 1, 100000);
  commit(txn);
  tw_spool_close(spool);
  struct stat file;
  stat(in_folder(data), &file);
  for (off_t len = file.st_size - 1; len >= 0; len -= 4000) {
    assert_int_equal(truncate(in_folder(data), len), 0);
    refused("data.mdb: page ");
  }
  assert_int_equal(truncate(in_folder(data), 0), 0);
  refused("page 0: the file ends before it");
}

static void a_file_of_something_else_is_refused(void **state) {
  (void)state;
  tw_spool_close(open_spool(TW_SPOOL_OWN));
  char text[16384];
  memset(text, 'x', sizeof text);
  overwrite(0, text, sizeof text);
  refused("it is no meta page");
}

static void a_folder_in_place_of_the_file_is_told(void **state) {
  (void)state;
  tw_error error = {.message = ""};
  tw_spool *spool;
  mkdir(in_folder("spool"), 0700);
  mkdir(in_folder(data), 0700);
  assert_int_equal(try_spool(TW_SPOOL_OWN, &spool, &error), TW_EIO);
  assert_says(&error, "cannot read page 0: Is a directory");
}

/* -------------------------------------------------------------- random damage */

/* What the child that reads exits with. */
enum { RIGHT = 0, TOLD = 1, WRONG = 2 };

static bool chunk_is_right(const tw_chunk *chunk, unsigned outbox, uint64_t first) {
  if (tw_chunk_first(chunk) != first || tw_chunk_count(chunk) != EVENTS) return false;
  for (uint32_t i = 0; i < EVENTS; i++) {
    tw_batch_item item;
    const char *text = text_of(outbox, first + i);
    tw_chunk_item(chunk, i, &item);
    if (item.len != strlen(text) || memcmp(item.text, text, item.len)) return false;
  }
  return true;
}

static int read_chunk(tw_spool_txn *txn, tw_spool_table table, const void *key, size_t key_len,
                      unsigned outbox, uint64_t first) {
  tw_spool_record record;
  tw_chunk *chunk;
  tw_status status = tw_spool_seek(txn, table, key, key_len, &record, NULL);
  if (status == TW_EIO) return TOLD;
  if (status || record.key_len != key_len || memcmp(record.key, key, key_len)) return WRONG;
  status = tw_chunk_read(record.value, record.len, &chunk, NULL);
  if (status) return status == TW_EIO ? TOLD : WRONG;
  int result = chunk_is_right(chunk, outbox, first) ? RIGHT : WRONG;
  tw_chunk_unref(chunk);
  return result;
}

static int worse(int a, int b) { return a > b ? a : b; }

static int read_small(tw_spool_txn *txn, tw_spool_table table, const char *key,
                      const char *expected) {
  const void *value;
  size_t len;
  tw_status status = tw_spool_get(txn, table, key, strlen(key), &value, &len, NULL);
  if (status) return status == TW_EIO ? TOLD : WRONG;
  return len == strlen(expected) && memcmp(value, expected, len) == 0 ? RIGHT : WRONG;
}

static int read_outbox(tw_spool_txn *txn, unsigned outbox) {
  unsigned char key[TW_CHUNK_KEY_LEN];
  char path[8];
  const void *value;
  size_t len;
  tw_outbox_record record;
  snprintf(path, sizeof path, "box/%u", outbox);
  tw_status status = tw_spool_get(txn, TW_SPOOL_OUTBOX, path, strlen(path), &value, &len, NULL);
  if (status) return status == TW_EIO ? TOLD : WRONG;
  if (!tw_outbox_record_read(value, len, &record) || record.id != outbox ||
      record.head != (CHUNKS - 9) * EVENTS || record.tail != CHUNKS * EVENTS)
    return WRONG;
  int result = RIGHT;
  for (uint64_t at = record.head; at < record.tail; at += EVENTS) {
    tw_chunk_key_write(key, outbox, at);
    result = worse(result, read_chunk(txn, TW_SPOOL_CHUNK, key, sizeof key, outbox, at));
  }
  return result;
}

static int read_sample(tw_spool_txn *txn) {
  char name[TW_STATE_KEY_ROOM], source[64];
  unsigned char key[8];
  int result = RIGHT;
  for (unsigned outbox = 0; outbox < OUTBOXES; outbox++)
    result = worse(result, read_outbox(txn, outbox));
  for (unsigned n = 0; n < STATES; n++) {
    tw_state_key_write(name, n, STATES);
    result = worse(result, read_small(txn, TW_SPOOL_STATE, name, small_of("state", n)));
  }
  for (unsigned n = 0; n < SOURCES; n++) {
    snprintf(source, sizeof source, "%s", small_of("name", n));
    result = worse(result, read_small(txn, TW_SPOOL_SOURCE, source, small_of("source", n)));
  }
  for (uint64_t i = 0; i < DEAD; i++) {
    tw_spool_write_number(key, i * EVENTS);
    result = worse(result, read_chunk(txn, TW_SPOOL_DEAD, key, 8, 99, i * EVENTS));
  }
  return result;
}

/* Changes everything once, as who goes on with a spool would. */
static int write_on(tw_spool *spool) {
  tw_spool_txn *txn;
  unsigned char key[TW_CHUNK_KEY_LEN];
  for (uint64_t i = 0; i < CHUNKS + 2; i++) {
    if (tw_spool_begin(spool, true, &txn, NULL)) return TOLD;
    for (unsigned outbox = 0; outbox < OUTBOXES; outbox++) {
      tw_chunk_key_write(key, outbox, i * EVENTS);
      if (tw_spool_delete(txn, TW_SPOOL_CHUNK, key, sizeof key, NULL)) return TOLD;
      if (tw_spool_put(txn, TW_SPOOL_STATE, "more", 4, key, 12, NULL)) return TOLD;
    }
    if (tw_spool_commit(txn, NULL)) return TOLD;
  }
  return RIGHT;
}

static int open_and_read(void) {
  tw_error error = {.message = ""};
  tw_spool *spool;
  tw_spool_txn *txn;
  tw_spool_options options = {.mode = TW_SPOOL_OWN, .lazy = true};
  tw_status status = tw_spool_open(in_folder("spool"), &options, &spool, &error);
  if (status) return (status == TW_EIO || status == TW_EINVAL) && *error.message ? TOLD : WRONG;
  if (tw_spool_begin(spool, false, &txn, &error)) return TOLD;
  int result = read_sample(txn);
  tw_spool_abort(txn);
  result = worse(result, write_on(spool));
  tw_spool_close(spool);
  return result;
}

static int in_a_child(void) {
  pid_t child = fork();
  assert_true(child >= 0);
  if (!child) _exit(open_and_read());
  int status;
  assert_int_equal(waitpid(child, &status, 0), child);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static void random_damage_is_never_a_crash_and_never_wrong_in_silence(void **state) {
  (void)state;
  const char *times = getenv("TIDEWIRE_FLIPS"), *given = getenv("TIDEWIRE_SEED");
  unsigned turns = times ? (unsigned)atoi(times) : 1000, counts[2] = {0};
  unsigned first = given ? (unsigned)atoi(given) : (unsigned)getpid();
  size_t len;
  make_sample();
  char *sound = read_file(&len), *bytes = malloc(len);
  assert_int_equal(in_a_child(), RIGHT);
  print_message("damage from TIDEWIRE_SEED=%u on, %u times\n", first, turns);
  for (unsigned i = 0; i < turns; i++) {
    unsigned seed = first + i;
    size_t left = len;
    memcpy(bytes, sound, len);
    damage(&seed, bytes, &left);
    write_back(bytes, left);
    int result = in_a_child();
    if (result > TOLD) fail_msg("TIDEWIRE_SEED=%u TIDEWIRE_FLIPS=1: %d", first + i, result);
    counts[result]++;
  }
  print_message("%u were read rightly, %u were told\n", counts[RIGHT], counts[TOLD]);
  free(sound);
  free(bytes);
}

#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, make_folder, remove_folder)

int main(void) {
  tw_oom_install();
  const struct CMUnitTest tests[] = {
      IN_FOLDER(every_state_of_a_spool_that_is_used_is_sound),
      IN_FOLDER(a_snapshot_that_a_reader_holds_can_be_checked),
      IN_FOLDER(it_does_without_memory),
      IN_FOLDER(a_changed_number_of_a_transaction_is_found),
      IN_FOLDER(damage_of_a_meta_page_is_found),
      IN_FOLDER(a_last_page_behind_the_end_of_the_file_is_refused),
      IN_FOLDER(a_file_that_was_cut_is_refused),
      IN_FOLDER(a_file_of_something_else_is_refused),
      IN_FOLDER(a_folder_in_place_of_the_file_is_told),
      IN_FOLDER(random_damage_is_never_a_crash_and_never_wrong_in_silence),
  };
  return cmocka_run_group_tests(tests, NULL, tw_oom_leaves_nothing);
}
