/// The spool: records, transactions, order, and who may open it.
#include <sys/stat.h>
#include <sys/wait.h>

#include "spool_case.h"
#include "support/oom.h"

/* ----------------------------------------------------------------- records */

static void what_was_committed_is_there_after_a_restart(void **state) {
  (void)state;
  tw_spool *spool = open_spool(TW_SPOOL_OWN);
  store(spool, TW_SPOOL_STATE, "0/1", "{\"n\":1}");
  store(spool, TW_SPOOL_STATE, "0/1", "{\"n\":2}");
  store(spool, TW_SPOOL_OUTBOX, "0/1", "another table");
  store(spool, TW_SPOOL_STATE, "empty", "");
  assert_stored(spool, TW_SPOOL_STATE, "0/1", "{\"n\":2}");
  tw_spool_close(spool);
  spool = open_spool(TW_SPOOL_OWN);
  assert_stored(spool, TW_SPOOL_STATE, "0/1", "{\"n\":2}");
  assert_stored(spool, TW_SPOOL_OUTBOX, "0/1", "another table");
  assert_stored(spool, TW_SPOOL_STATE, "empty", "");
  assert_missing(spool, TW_SPOOL_SOURCE, "0/1");
  tw_spool_close(spool);
}

static void what_was_aborted_is_not_there(void **state) {
  (void)state;
  tw_spool *spool = open_spool(TW_SPOOL_OWN);
  tw_spool_txn *txn = begin(spool, true);
  put(txn, TW_SPOOL_STATE, "a", "1");
  tw_spool_abort(txn);
  assert_missing(spool, TW_SPOOL_STATE, "a");
  tw_spool_close(spool);
}

static void a_transaction_sees_what_it_has_written(void **state) {
  (void)state;
  const void *value;
  size_t len;
  tw_spool *spool = open_spool(TW_SPOOL_OWN);
  tw_spool_txn *txn = begin(spool, true);
  put(txn, TW_SPOOL_STATE, "a", "1");
  assert_int_equal(tw_spool_get(txn, TW_SPOOL_STATE, "a", 1, &value, &len, NULL), TW_OK);
  assert_memory_equal(value, "1", 1);
  assert_int_equal(tw_spool_delete(txn, TW_SPOOL_STATE, "a", 1, NULL), TW_OK);
  assert_int_equal(tw_spool_delete(txn, TW_SPOOL_STATE, "a", 1, NULL), TW_OK);
  assert_int_equal(tw_spool_get(txn, TW_SPOOL_STATE, "a", 1, &value, &len, NULL), TW_ENOENT);
  commit(txn);
  assert_missing(spool, TW_SPOOL_STATE, "a");
  tw_spool_close(spool);
}

static void a_reading_transaction_sees_the_store_as_it_was(void **state) {
  (void)state;
  const void *value;
  size_t len;
  tw_spool *spool = open_spool(TW_SPOOL_OWN);
  store(spool, TW_SPOOL_STATE, "a", "1");
  tw_spool_txn *reader = begin(spool, false);
  store(spool, TW_SPOOL_STATE, "a", "2");
  assert_int_equal(tw_spool_get(reader, TW_SPOOL_STATE, "a", 1, &value, &len, NULL), TW_OK);
  assert_memory_equal(value, "1", 1);
  tw_spool_abort(reader);
  assert_stored(spool, TW_SPOOL_STATE, "a", "2");
  tw_spool_close(spool);
}

static void large_values_keep_every_byte(void **state) {
  (void)state;
  enum { SIZE = 5000000 };
  char *big = malloc(SIZE);
  const void *value;
  size_t len;
  for (size_t i = 0; i < SIZE; i++) big[i] = (char)(i * 2654435761u >> 13);
  tw_spool *spool = open_spool(TW_SPOOL_OWN);
  for (size_t size = 0; size < SIZE; size = size * 3 + 4057) {
    tw_spool_txn *txn = begin(spool, true);
    assert_int_equal(tw_spool_put(txn, TW_SPOOL_CHUNK, "big", 3, big, size, NULL), TW_OK);
    commit(txn);
    txn = begin(spool, false);
    assert_int_equal(tw_spool_get(txn, TW_SPOOL_CHUNK, "big", 3, &value, &len, NULL), TW_OK);
    assert_int_equal(len, size);
    assert_memory_equal(value, big, size);
    tw_spool_abort(txn);
  }
  tw_spool_close(spool);
  free(big);
}

static void a_transaction_that_only_reads_refuses_to_write(void **state) {
  (void)state;
  tw_error error;
  tw_spool *spool = open_spool(TW_SPOOL_OWN);
  tw_spool_txn *txn = begin(spool, false);
  assert_int_equal(tw_spool_put(txn, TW_SPOOL_STATE, "a", 1, "", 0, &error), TW_EINVAL);
  assert_int_equal(tw_spool_delete(txn, TW_SPOOL_STATE, "a", 1, &error), TW_EINVAL);
  commit(txn);
  tw_spool_close(spool);
}

/* ------------------------------------------------------------------- order */

/* Keys of all lengths, many with long common beginnings: what LMDB cannot hold as it is. */
enum { KEYS = 160, LONGEST = 1600 };

typedef struct tw_key {
  unsigned char bytes[LONGEST];
  size_t len;
} tw_key;

static int by_bytes(const void *a, const void *b) {
  const tw_key *left = a, *right = b;
  size_t common = left->len < right->len ? left->len : right->len;
  int order = memcmp(left->bytes, right->bytes, common);
  return order ? order : (left->len > right->len) - (left->len < right->len);
}

static bool is_known(const tw_key *keys, size_t count, const tw_key *key) {
  for (size_t i = 0; i < count; i++)
    if (by_bytes(keys + i, key) == 0) return true;
  return false;
}

static void make_key(unsigned *seed, tw_key *out) {
  static const size_t lengths[] = {1,   8,   460, 469, 470, 471, 472,
                                   500, 509, 510, 511, 512, 560, 1500};
  size_t len = lengths[(size_t)rand_r(seed) % (sizeof lengths / sizeof *lengths)];
  memset(out->bytes, rand_r(seed) % 8 ? 'p' : 0xff, len);
  for (int i = rand_r(seed) % 4; i > 0; i--)
    out->bytes[(size_t)rand_r(seed) % len] = (unsigned char)rand_r(seed);
  if (rand_r(seed) % 2) out->bytes[len - 1] = (unsigned char)(rand_r(seed) % 3);
  out->len = len;
}

static void fill_with_keys(tw_spool *spool, tw_key *keys, unsigned *seed) {
  tw_spool_txn *txn = begin(spool, true);
  for (size_t i = 0; i < KEYS; i++) {
    do make_key(seed, keys + i);
    while (is_known(keys, i, keys + i));
    assert_int_equal(
        tw_spool_put(txn, TW_SPOOL_REPLAY, keys[i].bytes, keys[i].len, &i, sizeof i, NULL),
        TW_OK);
  }
  put(txn, TW_SPOOL_DEAD, "d", "a table before");
  commit(txn);
  qsort(keys, KEYS, sizeof *keys, by_bytes);
}

static void assert_key(const tw_spool_record *record, const tw_key *key) {
  assert_int_equal(record->key_len, key->len);
  assert_memory_equal(record->key, key->bytes, key->len);
  assert_int_equal(record->len, sizeof(size_t));
}

/* Goes from each key to the one behind it, as those do who read a table: with a NUL added. */
static void walk(tw_spool *spool, const tw_key *keys) {
  unsigned char from[LONGEST + 1];
  size_t len = 0;
  tw_spool_record record;
  tw_spool_txn *txn = begin(spool, false);
  for (size_t i = 0; i < KEYS; i++) {
    assert_int_equal(tw_spool_seek(txn, TW_SPOOL_REPLAY, from, len, &record, NULL), TW_OK);
    assert_key(&record, keys + i);
    memcpy(from, record.key, record.key_len);
    from[record.key_len] = 0;
    len = record.key_len + 1;
  }
  assert_int_equal(tw_spool_seek(txn, TW_SPOOL_REPLAY, from, len, &record, NULL), TW_ENOENT);
  tw_spool_abort(txn);
}

static const tw_key *last_with(const tw_key *keys, const tw_key *key, size_t prefix) {
  for (const tw_key *at = keys + KEYS; at-- > keys;)
    if (at->len >= prefix && memcmp(at->bytes, key->bytes, prefix) == 0) return at;
  return NULL;
}

static void seek_the_last(tw_spool *spool, const tw_key *keys) {
  tw_spool_record record;
  tw_spool_txn *txn = begin(spool, false);
  for (size_t i = 0; i < KEYS; i++)
    for (size_t prefix = 0; prefix <= keys[i].len;
         prefix += prefix < 8 || prefix > 465 ? 1 : 30) {
      assert_int_equal(
          tw_spool_last(txn, TW_SPOOL_REPLAY, keys[i].bytes, prefix, &record, NULL), TW_OK);
      assert_key(&record, last_with(keys, keys + i, prefix));
    }
  tw_spool_abort(txn);
}

static void records_are_found_in_the_order_of_whole_keys(void **state) {
  (void)state;
  tw_key *keys = malloc(KEYS * sizeof *keys);
  for (unsigned seed = 1; seed <= 5; seed++) {
    unsigned at = seed;
    tw_spool *spool = open_spool(TW_SPOOL_OWN);
    fill_with_keys(spool, keys, &at);
    walk(spool, keys);
    seek_the_last(spool, keys);
    tw_spool_close(spool);
    remove_folder(NULL);
    make_folder(NULL);
  }
  free(keys);
}

static void long_keys_can_be_read_changed_and_deleted(void **state) {
  (void)state;
  char key[2001], other[2001];
  memset(key, 'k', 2000), key[2000] = '\0';
  memcpy(other, key, sizeof key), other[700] = 'x';
  tw_spool *spool = open_spool(TW_SPOOL_OWN);
  store(spool, TW_SPOOL_OUTBOX, key, "1");
  store(spool, TW_SPOOL_OUTBOX, other, "2");
  store(spool, TW_SPOOL_OUTBOX, key, "3");
  assert_stored(spool, TW_SPOOL_OUTBOX, key, "3");
  assert_stored(spool, TW_SPOOL_OUTBOX, other, "2");
  tw_spool_txn *txn = begin(spool, true);
  assert_int_equal(tw_spool_delete(txn, TW_SPOOL_OUTBOX, key, 2000, NULL), TW_OK);
  commit(txn);
  assert_missing(spool, TW_SPOOL_OUTBOX, key);
  assert_stored(spool, TW_SPOOL_OUTBOX, other, "2");
  tw_spool_close(spool);
}

static void a_key_that_is_too_long_is_refused(void **state) {
  (void)state;
  tw_error error;
  char *key = calloc(1, 65536);
  tw_spool *spool = open_spool(TW_SPOOL_OWN);
  tw_spool_txn *txn = begin(spool, true);
  assert_int_equal(tw_spool_put(txn, TW_SPOOL_STATE, key, 65536, "", 0, &error), TW_ELIMIT);
  assert_says(&error, "65536 bytes is too long");
  assert_int_equal(tw_spool_put(txn, TW_SPOOL_STATE, key, 65535, "", 0, &error), TW_OK);
  commit(txn);
  tw_spool_close(spool);
  free(key);
}

static void the_first_and_last_of_an_empty_table_are_missing(void **state) {
  (void)state;
  tw_spool_record record;
  tw_spool *spool = open_spool(TW_SPOOL_OWN);
  store(spool, TW_SPOOL_SOURCE, "a", "between");
  tw_spool_txn *txn = begin(spool, false);
  for (int table = TW_SPOOL_OUTBOX; table < TW_SPOOL_TABLES; table++) {
    tw_status status = table == TW_SPOOL_SOURCE ? TW_OK : TW_ENOENT;
    assert_int_equal(tw_spool_seek(txn, (tw_spool_table)table, "", 0, &record, NULL), status);
    assert_int_equal(tw_spool_last(txn, (tw_spool_table)table, "", 0, &record, NULL), status);
  }
  tw_spool_abort(txn);
  tw_spool_close(spool);
}

/* ---------------------------------------------------------------- encodings */

static void keys_and_outbox_records_survive_their_encoding(void **state) {
  (void)state;
  unsigned char bytes[64];
  tw_outbox_record record = {7, 1u << 20, (uint64_t)1 << 40, 5, UINT64_MAX}, back;
  tw_outbox_record_write(bytes, &record);
  assert_true(tw_outbox_record_read(bytes, TW_OUTBOX_RECORD_LEN, &back));
  assert_true(back.id == record.id && back.head == record.head && back.tail == record.tail &&
              back.events == record.events && back.bytes == record.bytes);
  assert_false(tw_outbox_record_read(bytes, TW_OUTBOX_RECORD_LEN - 1, &back));
  bytes[5] = 1;
  assert_false(tw_outbox_record_read(bytes, TW_OUTBOX_RECORD_LEN, &back));
  record.tail = record.head - 1;
  tw_outbox_record_write(bytes, &record);
  assert_false(tw_outbox_record_read(bytes, TW_OUTBOX_RECORD_LEN, &back));
  uint32_t id;
  uint64_t number, device, inode;
  size_t len;
  tw_chunk_key_write(bytes, 0x01020304, 0x1122334455667788);
  assert_true(tw_chunk_key_read(bytes, TW_CHUNK_KEY_LEN, &id, &number));
  assert_true(id == 0x01020304 && number == 0x1122334455667788 && bytes[0] == 1 &&
              bytes[4] == 0x11);
  size_t key_len = tw_source_key_write(bytes, "in.log", 6, 3, 99);
  assert_true(tw_source_key_read(bytes, key_len, &len, &device, &inode));
  assert_true(len == 6 && device == 3 && inode == 99);
  key_len = tw_replay_key_write(bytes, "a/b", 3, 12);
  assert_true(tw_replay_key_read(bytes, key_len, &len, &number) && len == 3 && number == 12);
}

static void only_whole_state_keys_are_read(void **state) {
  (void)state;
  char text[TW_STATE_KEY_ROOM];
  unsigned worker, workers;
  size_t len = tw_state_key_write(text, 3, 16);
  assert_string_equal(text, "3/16");
  assert_true(tw_state_key_read(text, len, &worker, &workers) && worker == 3 && workers == 16);
  assert_false(tw_state_key_read("3/16x", 5, &worker, &workers));
  assert_false(tw_state_key_read("3", 1, &worker, &workers));
  assert_false(tw_state_key_read("11111111111111111111111111/1", 28, &worker, &workers));
}

/* ------------------------------------------------------------------- opening */

static void a_second_owner_is_refused_and_told_who_it_is(void **state) {
  (void)state;
  tw_error error;
  char process[32];
  tw_spool *spool = open_spool(TW_SPOOL_OWN), *second;
  snprintf(process, sizeof process, "in use by process %ld", (long)getpid());
  assert_int_equal(try_spool(TW_SPOOL_OWN, &second, &error), TW_EEXIST);
  assert_null(second);
  assert_says(&error, process);
  tw_spool_close(spool);
  tw_spool_close(open_spool(TW_SPOOL_OWN));
}

static void where_there_is_no_spool_only_its_owner_makes_one(void **state) {
  (void)state;
  tw_error error;
  tw_spool *spool;
  assert_int_equal(try_spool(TW_SPOOL_READ, &spool, &error), TW_ENOENT);
  assert_says(&error, "there is no spool");
  assert_int_equal(try_spool(TW_SPOOL_SHARE, &spool, &error), TW_ENOENT);
  assert_int_not_equal(access(in_folder("spool"), F_OK), 0);
  tw_spool_close(open_spool(TW_SPOOL_OWN));
  tw_spool_close(open_spool(TW_SPOOL_READ));
}

static void the_folder_and_those_above_it_are_made_for_the_owner_alone(void **state) {
  (void)state;
  struct stat made;
  tw_spool_options options = {.mode = TW_SPOOL_OWN};
  tw_spool *spool;
  assert_int_equal(tw_spool_open(in_folder("a/b/c"), &options, &spool, NULL), TW_OK);
  assert_int_equal(stat(in_folder("a/b/c"), &made), 0);
  assert_int_equal(made.st_mode & 0777, 0700);
  assert_int_equal(stat(in_folder("a/b/c/data.mdb"), &made), 0);
  assert_int_equal(made.st_mode & 0777, 0600);
  tw_spool_close(spool);
}

static void a_folder_that_cannot_be_made_is_told(void **state) {
  (void)state;
  tw_error error;
  tw_spool_options options = {.mode = TW_SPOOL_OWN};
  tw_spool *spool;
  write_all(in_folder("file"), "");
  assert_int_equal(tw_spool_open(in_folder("file/spool"), &options, &spool, &error), TW_EIO);
  assert_says(&error, "/file/spool: cannot make the folder: Not a directory");
  assert_int_equal(tw_spool_open(in_folder("file"), &options, &spool, &error), TW_EIO);
  assert_says(&error, "/file: cannot open the file owner: Not a directory");
}

static void a_newer_format_is_refused(void **state) {
  (void)state;
  static const unsigned char newer[4] = {TW_SPOOL_VERSION + 1};
  tw_error error;
  tw_spool *spool = open_spool(TW_SPOOL_OWN);
  tw_spool_txn *txn = begin(spool, true);
  assert_int_equal(tw_spool_put(txn, TW_SPOOL_ABOUT, "version", 7, newer, 4, NULL), TW_OK);
  commit(txn);
  tw_spool_close(spool);
  for (int mode = TW_SPOOL_OWN; mode <= TW_SPOOL_READ; mode++) {
    assert_int_equal(try_spool((tw_spool_mode)mode, &spool, &error), TW_EINVAL);
    assert_says(&error, "a newer Tidewire wrote this spool");
  }
}

/* Another process reads, and writes, while this one owns it. @return what it exits with */
static int in_another_process(int (*call)(void)) {
  pid_t child = fork();
  assert_true(child >= 0);
  if (!child) _exit(call());
  int status;
  assert_int_equal(waitpid(child, &status, 0), child);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static int read_and_share(void) {
  const void *value;
  size_t len;
  tw_spool_txn *txn;
  tw_spool *spool;
  if (try_spool(TW_SPOOL_OWN, &spool, NULL) != TW_EEXIST) return 1;
  if (try_spool(TW_SPOOL_READ, &spool, NULL)) return 2;
  if (tw_spool_begin(spool, true, &txn, NULL) != TW_EINVAL) return 3;
  if (tw_spool_begin(spool, false, &txn, NULL)) return 4;
  if (tw_spool_get(txn, TW_SPOOL_STATE, "a", 1, &value, &len, NULL)) return 5;
  tw_spool_abort(txn);
  tw_spool_close(spool);
  if (try_spool(TW_SPOOL_SHARE, &spool, NULL)) return 6;
  if (tw_spool_begin(spool, true, &txn, NULL)) return 7;
  if (tw_spool_put(txn, TW_SPOOL_DEAD, "d", 1, "dead", 4, NULL)) return 8;
  if (tw_spool_commit(txn, NULL)) return 9;
  tw_spool_close(spool);
  return 0;
}

static void others_may_read_and_share_it_while_it_has_an_owner(void **state) {
  (void)state;
  tw_spool *spool = open_spool(TW_SPOOL_OWN);
  store(spool, TW_SPOOL_STATE, "a", "1");
  assert_int_equal(in_another_process(read_and_share), 0);
  assert_stored(spool, TW_SPOOL_DEAD, "d", "dead");
  store(spool, TW_SPOOL_STATE, "a", "2");
  tw_spool_close(spool);
}

static tw_spool *inherited;

static int use_what_is_the_parents(void) {
  tw_spool_txn *txn;
  tw_error error;
  if (tw_spool_begin(inherited, true, &txn, &error) != TW_ECLOSED) return 1;
  if (tw_spool_sync(inherited, &error) != TW_ECLOSED) return 2;
  tw_spool_close(inherited);
  return 0;
}

static void after_a_fork_the_child_leaves_it_alone(void **state) {
  (void)state;
  const void *value;
  size_t len;
  inherited = open_spool(TW_SPOOL_OWN);
  store(inherited, TW_SPOOL_STATE, "a", "1");
  tw_spool_txn *reader = begin(inherited, false);
  assert_int_equal(in_another_process(use_what_is_the_parents), 0);
  for (int i = 0; i < 20; i++) store(inherited, TW_SPOOL_STATE, "a", "2");
  assert_int_equal(tw_spool_get(reader, TW_SPOOL_STATE, "a", 1, &value, &len, NULL), TW_OK);
  assert_memory_equal(value, "1", 1);
  tw_spool_abort(reader);
  tw_spool *second;
  assert_int_equal(try_spool(TW_SPOOL_OWN, &second, NULL), TW_EEXIST);
  tw_spool_close(inherited);
}

/* -------------------------------------------------------------------- room */

static void room_shrinks_with_what_is_stored_and_comes_back(void **state) {
  (void)state;
  enum { SIZE = 4 << 20 };
  char *big = calloc(1, SIZE);
  tw_spool *spool = open_spool(TW_SPOOL_OWN);
  uint64_t room = tw_spool_room(spool), used = tw_spool_used(spool);
  assert_true(room > (uint64_t)60 << 20 && used < 65536);
  tw_spool_txn *txn = begin(spool, true);
  assert_int_equal(tw_spool_put(txn, TW_SPOOL_CHUNK, "big", 3, big, SIZE, NULL), TW_OK);
  commit(txn);
  assert_in_range(tw_spool_used(spool) - used, SIZE, SIZE + 65536);
  assert_in_range(room - tw_spool_room(spool), SIZE, SIZE + 65536);
  txn = begin(spool, true);
  assert_int_equal(tw_spool_delete(txn, TW_SPOOL_CHUNK, "big", 3, NULL), TW_OK);
  commit(txn);
  assert_true(tw_spool_used(spool) < used + 65536);
  tw_spool_close(spool);
  free(big);
}

static void below_the_floor_of_the_disk_there_is_no_room(void **state) {
  (void)state;
  tw_spool_options options = {.mode = TW_SPOOL_OWN, .min_free = (uint64_t)1 << 60};
  tw_spool *spool = open_with(&options);
  assert_int_equal(tw_spool_room(spool), 0);
  store(spool, TW_SPOOL_STATE, "a", "what is asked for all the same is written");
  tw_spool_close(spool);
}

static void a_disk_that_cannot_be_asked_is_not_called_full(void **state) {
  (void)state;
  tw_spool_options options = {
      .mode = TW_SPOOL_OWN, .max_bytes = (uint64_t)64 << 20, .min_free = 1 << 20};
  tw_spool *spool = open_with(&options);
  assert_int_equal(rename(in_folder("spool"), in_folder("away")), 0);
  assert_in_range(tw_spool_room(spool), (uint64_t)60 << 20, (uint64_t)64 << 20);
  assert_int_equal(rename(in_folder("away"), in_folder("spool")), 0);
  tw_spool_close(spool);
}

static void a_lazy_spool_is_synced_when_asked(void **state) {
  (void)state;
  tw_spool_options options = {.mode = TW_SPOOL_OWN, .lazy = true};
  tw_spool *spool = open_with(&options);
  store(spool, TW_SPOOL_STATE, "a", "1");
  assert_int_equal(tw_spool_sync(spool, NULL), TW_OK);
  tw_spool_close(spool);
  spool = open_spool(TW_SPOOL_OWN);
  assert_stored(spool, TW_SPOOL_STATE, "a", "1");
  tw_spool_close(spool);
}

static void nothing_leaks_without_memory(void **state) {
  (void)state;
  tw_spool *spool;
  tw_spool_options options = {.mode = TW_SPOOL_OWN};
  for (size_t n = 0, failed = 1; failed; n++) {
    size_t live = tw_oom_live();
    tw_oom_fail_at(n);
    tw_status status = tw_spool_open(in_folder("spool"), &options, &spool, NULL);
    failed = tw_oom_off();
    assert_int_equal(status, failed ? TW_ENOMEM : TW_OK);
    if (failed) assert_int_equal(tw_oom_live(), live);
  }
  for (size_t n = 0, failed = 1; failed; n++) {
    tw_spool_txn *txn;
    tw_oom_fail_at(n);
    tw_status status = tw_spool_begin(spool, true, &txn, NULL);
    if (!status) status = tw_spool_put(txn, TW_SPOOL_STATE, "a", 1, "1", 1, NULL);
    if (!status) status = tw_spool_commit(txn, NULL);
    else tw_spool_abort(txn);
    failed = tw_oom_off();
    assert_int_equal(status, failed ? TW_ENOMEM : TW_OK);
  }
  assert_stored(spool, TW_SPOOL_STATE, "a", "1");
  tw_spool_close(spool);
}

#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, make_folder, remove_folder)

int main(void) {
  tw_oom_install();
  const struct CMUnitTest tests[] = {
      IN_FOLDER(what_was_committed_is_there_after_a_restart),
      IN_FOLDER(what_was_aborted_is_not_there),
      IN_FOLDER(a_transaction_sees_what_it_has_written),
      IN_FOLDER(a_reading_transaction_sees_the_store_as_it_was),
      IN_FOLDER(large_values_keep_every_byte),
      IN_FOLDER(a_transaction_that_only_reads_refuses_to_write),
      IN_FOLDER(records_are_found_in_the_order_of_whole_keys),
      IN_FOLDER(long_keys_can_be_read_changed_and_deleted),
      IN_FOLDER(a_key_that_is_too_long_is_refused),
      IN_FOLDER(the_first_and_last_of_an_empty_table_are_missing),
      cmocka_unit_test(keys_and_outbox_records_survive_their_encoding),
      cmocka_unit_test(only_whole_state_keys_are_read),
      IN_FOLDER(a_second_owner_is_refused_and_told_who_it_is),
      IN_FOLDER(where_there_is_no_spool_only_its_owner_makes_one),
      IN_FOLDER(the_folder_and_those_above_it_are_made_for_the_owner_alone),
      IN_FOLDER(a_folder_that_cannot_be_made_is_told),
      IN_FOLDER(a_newer_format_is_refused),
      IN_FOLDER(others_may_read_and_share_it_while_it_has_an_owner),
      IN_FOLDER(after_a_fork_the_child_leaves_it_alone),
      IN_FOLDER(room_shrinks_with_what_is_stored_and_comes_back),
      IN_FOLDER(below_the_floor_of_the_disk_there_is_no_room),
      IN_FOLDER(a_disk_that_cannot_be_asked_is_not_called_full),
      IN_FOLDER(a_lazy_spool_is_synced_when_asked),
      IN_FOLDER(nothing_leaks_without_memory),
  };
  return cmocka_run_group_tests(tests, NULL, tw_oom_leaves_nothing);
}
