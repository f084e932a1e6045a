/* Journals with a spool: what is committed together is there together, whatever happens. */
#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>
#include <time.h>

#include "base/alloc.h"
#include "base/wait.h"
#include "delivery/journal.h"
#include "spool_case.h"
#include "support/oom.h"

typedef struct waiter {
  pthread_mutex_t mutex;
  pthread_cond_t changed;
  unsigned done, failed, troubles, recoveries;
  uint64_t shed, lost;
} waiter;

static void begin_waiting(waiter *it) {
  *it = (waiter){0};
  pthread_mutex_init(&it->mutex, NULL);
  tw_condition_init(&it->changed);
}

static void done(tw_commit *commit, tw_status status, const tw_error *error) {
  waiter *it = commit->self;
  (void)error;
  uint64_t shed = commit->shed;
  tw_commit_fini(commit);
  tw_free(commit);
  pthread_mutex_lock(&it->mutex);
  it->done++;
  it->failed += status != TW_OK;
  it->shed += shed;
  pthread_cond_broadcast(&it->changed);
  pthread_mutex_unlock(&it->mutex);
}

static void told_trouble(void *self, const tw_error *error) {
  waiter *it = self;
  pthread_mutex_lock(&it->mutex);
  it->troubles += error != NULL;
  it->recoveries += error == NULL;
  pthread_cond_broadcast(&it->changed);
  pthread_mutex_unlock(&it->mutex);
}

static void told_lost(void *self, const char *path, uint64_t count) {
  waiter *it = self;
  (void)path;
  pthread_mutex_lock(&it->mutex);
  it->lost += count;
  pthread_mutex_unlock(&it->mutex);
}

/* @return whether the counter has reached `least` within ten seconds */
static bool reaches(waiter *it, const unsigned *counter, unsigned least) {
  struct timespec end = tw_deadline(UINT64_C(10000000000));
  int problem = 0;
  pthread_mutex_lock(&it->mutex);
  while (*counter < least && !problem)
    problem = pthread_cond_timedwait(&it->changed, &it->mutex, &end);
  bool has = *counter >= least;
  pthread_mutex_unlock(&it->mutex);
  return has;
}

static unsigned count_now(waiter *it, const unsigned *counter) {
  pthread_mutex_lock(&it->mutex);
  unsigned count = *counter;
  pthread_mutex_unlock(&it->mutex);
  return count;
}

static tw_journal *open_journal(waiter *it, uint64_t max_bytes, uint64_t dead_bytes) {
  tw_journal *journal;
  tw_error error = {.message = ""};
  static char path[128];
  snprintf(path, sizeof path, "%s", in_folder("spool"));
  const tw_journal_options options = {.folder = path,
                                      .durability = TW_DURABILITY_COMMIT,
                                      .max_bytes = max_bytes,
                                      .dead_max_bytes = dead_bytes,
                                      .trouble = told_trouble,
                                      .lost = told_lost,
                                      .self = it};
  if (tw_journal_open(&options, &journal, &error)) fail_msg("%s", error.message);
  return journal;
}

static tw_outbox *open_outbox(tw_journal *journal, const char *path,
                              const tw_outbox_bounds *bounds) {
  static const tw_outbox_bounds none;
  tw_outbox *outbox;
  tw_error error = {.message = ""};
  if (tw_journal_outbox(journal, path, bounds ? bounds : &none, &outbox, &error))
    fail_msg("%s", error.message);
  return outbox;
}

/* A chunk of events {"n":FIRST}, …, of which every `every`-th is of high priority and the one
   behind it of low. */
static tw_chunk *chunk_of(unsigned first, unsigned count, unsigned every) {
  tw_chunk_builder builder = {0};
  tw_chunk *chunk;
  for (unsigned i = 0; i < count; i++) {
    char text[64], id[16];
    int len = snprintf(text, sizeof text, "{\"n\":%u}", first + i);
    int id_len = snprintf(id, sizeof id, "id-%u", first + i);
    int priority = !every           ? TW_PRIORITY_NORMAL
                   : i % every == 0 ? TW_PRIORITY_HIGH
                   : i % every == 1 ? TW_PRIORITY_LOW
                                    : TW_PRIORITY_NORMAL;
    assert_int_equal(tw_chunk_builder_add_text(&builder, text, (size_t)len, id, (size_t)id_len,
                                               priority, NULL),
                     TW_OK);
  }
  assert_int_equal(tw_chunk_finish(&builder, 7, 1000, &chunk, NULL), TW_OK);
  tw_chunk_builder_fini(&builder);
  return chunk;
}

static tw_commit *new_commit(waiter *it) {
  tw_commit *commit = tw_calloc(1, sizeof *commit);
  assert_non_null(commit);
  commit->done = done;
  commit->self = it;
  return commit;
}

static void submit_chunk(tw_journal *journal, waiter *it, tw_outbox *outbox, tw_chunk *chunk) {
  tw_commit *commit = new_commit(it);
  assert_true(tw_commit_parcel(commit, outbox, chunk));
  tw_journal_submit(journal, commit);
  tw_journal_hurry(journal);
}

static void close_journal(tw_journal *journal, tw_outbox *outbox) {
  tw_journal_close(journal);
  tw_outbox_free(outbox);
  tw_journal_free(journal);
}

/* Reads all that waits. @return how many events; their numbers in ascending order are checked
 */
static unsigned read_all(tw_outbox *outbox, unsigned *last) {
  unsigned count = 0, before = 0;
  uint64_t number = outbox->head;
  for (;;) {
    tw_chunk *chunk;
    uint64_t skip;
    tw_error error = {.message = ""};
    if (outbox->ops->read(outbox, number, &chunk, &skip, &error)) fail_msg("%s", error.message);
    if (!chunk) break;
    for (uint32_t i = tw_chunk_find(chunk, number); i < tw_chunk_count(chunk); i++) {
      tw_batch_item item;
      tw_chunk_item(chunk, i, &item);
      unsigned n = (unsigned)strtoul(item.text + 5, NULL, 10);
      assert_true(!count || n > before);
      before = n;
      count++;
    }
    number = tw_chunk_item_number(chunk, tw_chunk_count(chunk));
    tw_chunk_unref(chunk);
  }
  if (last) *last = before;
  return count;
}

static void what_was_committed_is_there_after_opening_again(void **state) {
  (void)state;
  waiter it;
  begin_waiting(&it);
  tw_journal *journal = open_journal(&it, 0, 0);
  tw_outbox *outbox = open_outbox(journal, "video/db", NULL);
  for (unsigned i = 0; i < 10; i++)
    submit_chunk(journal, &it, outbox, chunk_of(i * 100, 100, 0));
  assert_true(reaches(&it, &it.done, 10));
  assert_int_equal(it.failed, 0);
  assert_int_equal(read_all(outbox, NULL), 1000);
  close_journal(journal, outbox);
  journal = open_journal(&it, 0, 0);
  outbox = open_outbox(journal, "video/db", NULL);
  unsigned last;
  assert_int_equal(outbox->events, 1000);
  assert_int_equal(outbox->tail, 1000);
  assert_int_equal(read_all(outbox, &last), 1000);
  assert_int_equal(last, 999);
  close_journal(journal, outbox);
}

static void what_is_through_is_not_read_again(void **state) {
  (void)state;
  waiter it;
  begin_waiting(&it);
  tw_journal *journal = open_journal(&it, 0, 0);
  tw_outbox *outbox = open_outbox(journal, "a", NULL);
  for (unsigned i = 0; i < 4; i++)
    submit_chunk(journal, &it, outbox, chunk_of(i * 100, 100, 0));
  assert_true(reaches(&it, &it.done, 4));
  outbox->ops->advance(outbox, 250, NULL);
  close_journal(journal, outbox);
  journal = open_journal(&it, 0, 0);
  outbox = open_outbox(journal, "a", NULL);
  assert_int_equal(outbox->head, 250);
  assert_int_equal(outbox->events, 150);
  assert_int_equal(read_all(outbox, NULL), 150);
  outbox->ops->advance(outbox, 400, NULL);
  close_journal(journal, outbox);
  journal = open_journal(&it, 0, 0);
  outbox = open_outbox(journal, "a", NULL);
  assert_int_equal(outbox->events, 0);
  assert_int_equal(outbox->bytes, 0);
  assert_int_equal(read_all(outbox, NULL), 0);
  close_journal(journal, outbox);
}

/* A chunk in the middle is found by a number inside of it. */
static void a_number_inside_of_a_chunk_is_found(void **state) {
  (void)state;
  waiter it;
  begin_waiting(&it);
  tw_journal *journal = open_journal(&it, 0, 0);
  tw_outbox *outbox = open_outbox(journal, "a", NULL);
  for (unsigned i = 0; i < 50; i++)
    submit_chunk(journal, &it, outbox, chunk_of(i * 100, 100, 0));
  assert_true(reaches(&it, &it.done, 50));
  for (uint64_t number = 0; number < 5000; number += 37) {
    tw_chunk *chunk;
    uint64_t skip;
    assert_int_equal(outbox->ops->read(outbox, number, &chunk, &skip, NULL), TW_OK);
    assert_non_null(chunk);
    assert_int_equal(tw_chunk_first(chunk), number - number % 100);
    tw_chunk_unref(chunk);
  }
  close_journal(journal, outbox);
}

/* ------------------------------------------------------------------ bounds */

static void oldest_of_the_least_priority_is_shed_first(void **state) {
  (void)state;
  waiter it;
  begin_waiting(&it);
  const tw_outbox_bounds bounds = {.max_events = 100, .overload = TW_OVERLOAD_OLDEST};
  tw_journal *journal = open_journal(&it, 0, 0);
  tw_outbox *outbox = open_outbox(journal, "a", &bounds);
  /* Of 10 events 1 is high, 1 low. */
  submit_chunk(journal, &it, outbox, chunk_of(0, 100, 10));
  assert_true(reaches(&it, &it.done, 1));
  submit_chunk(journal, &it, outbox, chunk_of(100, 10, 0));
  assert_true(reaches(&it, &it.done, 2));
  assert_int_equal(outbox->shed, 10); /* the low ones, all of which one pass takes */
  assert_int_equal(outbox->events, 100);
  submit_chunk(journal, &it, outbox, chunk_of(110, 50, 0));
  assert_true(reaches(&it, &it.done, 3));
  assert_int_equal(outbox->shed + outbox->events, 160);
  assert_true(outbox->events <= 100);
  assert_int_equal(read_all(outbox, NULL), outbox->events);
  assert_int_equal(it.lost, outbox->shed);
  /* The high ones of the first chunk are still there. */
  tw_chunk *chunk;
  uint64_t skip;
  assert_int_equal(outbox->ops->read(outbox, 0, &chunk, &skip, NULL), TW_OK);
  assert_non_null(chunk);
  assert_int_equal(tw_chunk_first(chunk), 0);
  assert_int_equal(tw_chunk_at_priority(chunk, TW_PRIORITY_HIGH), 10);
  tw_chunk_unref(chunk);
  close_journal(journal, outbox);
}

static void the_newest_is_shed_unless_it_matters_more(void **state) {
  (void)state;
  waiter it;
  begin_waiting(&it);
  const tw_outbox_bounds bounds = {.max_events = 100, .overload = TW_OVERLOAD_NEWEST};
  tw_journal *journal = open_journal(&it, 0, 0);
  tw_outbox *outbox = open_outbox(journal, "a", &bounds);
  submit_chunk(journal, &it, outbox, chunk_of(0, 100, 0));
  assert_true(reaches(&it, &it.done, 1));
  submit_chunk(journal, &it, outbox, chunk_of(100, 50, 0));
  assert_true(reaches(&it, &it.done, 2));
  assert_int_equal(outbox->shed, 50);
  assert_int_equal(it.shed, 50);
  unsigned last;
  assert_int_equal(read_all(outbox, &last), 100);
  assert_int_equal(last, 99);
  close_journal(journal, outbox);
}

static void a_full_outbox_that_blocks_holds_back_the_commit(void **state) {
  (void)state;
  waiter it;
  begin_waiting(&it);
  const tw_outbox_bounds bounds = {.max_events = 100, .overload = TW_OVERLOAD_BLOCK};
  tw_journal *journal = open_journal(&it, 0, 0);
  tw_outbox *outbox = open_outbox(journal, "a", &bounds);
  submit_chunk(journal, &it, outbox, chunk_of(0, 100, 0));
  assert_true(reaches(&it, &it.done, 1));
  submit_chunk(journal, &it, outbox, chunk_of(100, 50, 0));
  assert_true(reaches(&it, &it.troubles, 1));
  assert_int_equal(count_now(&it, &it.done), 1);
  outbox->ops->advance(outbox, 60, NULL);
  assert_true(reaches(&it, &it.done, 2));
  assert_true(reaches(&it, &it.recoveries, 1));
  assert_int_equal(outbox->shed, 0);
  assert_int_equal(read_all(outbox, NULL), 90);
  close_journal(journal, outbox);
}

/* What a script keeps knows of all that was committed before: behind a commit that the end has
   given up nothing is written. */
static void what_stands_behind_a_commit_that_was_given_up_is_given_up_too(void **state) {
  (void)state;
  waiter it;
  begin_waiting(&it);
  const tw_outbox_bounds bounds = {.max_events = 100, .overload = TW_OVERLOAD_BLOCK};
  tw_journal *journal = open_journal(&it, 0, 0);
  tw_outbox *outbox = open_outbox(journal, "a", &bounds);
  submit_chunk(journal, &it, outbox, chunk_of(0, 100, 0));
  assert_true(reaches(&it, &it.done, 1));
  submit_chunk(journal, &it, outbox, chunk_of(100, 50, 0));
  assert_true(reaches(&it, &it.troubles, 1));
  tw_commit *behind = new_commit(&it);
  assert_true(tw_commit_state(behind, 0, 1, "{\"n\":150}", 9));
  tw_journal_submit(journal, behind);
  close_journal(journal, outbox);
  assert_int_equal(it.done, 3);
  assert_int_equal(it.failed, 2);
  journal = open_journal(&it, 0, 0);
  char *json;
  size_t len;
  assert_int_equal(tw_journal_state(journal, 0, 1, &json, &len, NULL), TW_OK);
  assert_null(json);
  tw_journal_close(journal);
  tw_journal_free(journal);
}

static tw_chunk *big_chunk(unsigned first) {
  tw_chunk_builder builder = {0};
  tw_chunk *chunk;
  static char text[200000];
  int start = snprintf(text, sizeof text, "{\"n\":%u,\"pad\":\"", first);
  memset(text + start, 'x', sizeof text - (size_t)start - 2);
  memcpy(text + sizeof text - 2, "\"}", 2);
  assert_int_equal(tw_chunk_builder_add_text(&builder, text, sizeof text, "i", 1, 0, NULL),
                   TW_OK);
  assert_int_equal(tw_chunk_finish(&builder, 1, 1, &chunk, NULL), TW_OK);
  tw_chunk_builder_fini(&builder);
  return chunk;
}

/* 16 MiB are full with about 80 chunks of 200 kB. */
static void a_full_spool_pauses_and_heals(void **state) {
  (void)state;
  waiter it;
  begin_waiting(&it);
  tw_journal *journal = open_journal(&it, 16 << 20, 0);
  tw_outbox *outbox = open_outbox(journal, "a", NULL);
  unsigned count = 0;
  while (!count_now(&it, &it.troubles) && count < 200) {
    submit_chunk(journal, &it, outbox, big_chunk(count++));
    struct timespec moment = {0, 2000000};
    nanosleep(&moment, NULL);
  }
  assert_true(reaches(&it, &it.troubles, 1));
  unsigned before = count_now(&it, &it.done);
  assert_true(before > 40 && before < count);
  uint64_t end = outbox->tail;
  outbox->ops->advance(outbox, end, NULL);
  assert_true(reaches(&it, &it.done, count));
  assert_int_equal(it.failed, 0);
  assert_int_equal(outbox->tail, count);
  assert_int_equal(read_all(outbox, NULL), count - end);
  close_journal(journal, outbox);
}

/* ------------------------------------------------------------------- parts */

static void states_places_and_dead_letters_are_kept(void **state) {
  (void)state;
  waiter it;
  begin_waiting(&it);
  tw_journal *journal = open_journal(&it, 0, 0);
  tw_outbox *outbox = open_outbox(journal, "a", NULL);
  tw_commit *commit = new_commit(&it);
  assert_true(tw_commit_state(commit, 0, 2, "{\"x\":1}", 7));
  assert_true(tw_commit_dead(commit, chunk_of(0, 3, 0)));
  tw_journal_submit(journal, commit);
  assert_true(reaches(&it, &it.done, 1));
  outbox->ops->advance(outbox, 0, chunk_of(3, 2, 0));
  close_journal(journal, outbox);
  journal = open_journal(&it, 0, 0);
  char *json;
  size_t len;
  tw_error error = {.message = ""};
  assert_int_equal(tw_journal_state(journal, 0, 2, &json, &len, &error), TW_OK);
  assert_int_equal(len, 7);
  assert_memory_equal(json, "{\"x\":1}", 7);
  tw_free(json);
  assert_int_equal(tw_journal_state(journal, 1, 2, &json, &len, &error), TW_OK);
  assert_null(json);
  assert_int_equal(tw_journal_state(journal, 0, 3, &json, &len, &error), TW_EINVAL);
  assert_says(&error, "2 workers");
  tw_journal_close(journal);
  tw_journal_free(journal);
  tw_spool *spool = open_spool(TW_SPOOL_OWN);
  tw_spool_txn *txn = begin(spool, false);
  unsigned letters = 0;
  unsigned char key[8] = {0};
  tw_spool_record record;
  while (tw_spool_seek(txn, TW_SPOOL_DEAD, key, sizeof key, &record, NULL) == TW_OK) {
    tw_chunk *chunk;
    assert_int_equal(tw_chunk_read(record.value, record.len, &chunk, NULL), TW_OK);
    assert_int_equal(tw_spool_read_number(record.key), letters);
    letters += tw_chunk_count(chunk);
    tw_spool_write_number(key, letters);
    tw_chunk_unref(chunk);
  }
  assert_int_equal(letters, 5);
  tw_spool_abort(txn);
  tw_spool_close(spool);
}

static void dead_letters_are_bounded(void **state) {
  (void)state;
  waiter it;
  begin_waiting(&it);
  tw_journal *journal = open_journal(&it, 0, 1 << 20);
  for (unsigned i = 0; i < 20; i++) {
    tw_commit *commit = new_commit(&it);
    assert_true(tw_commit_dead(commit, big_chunk(i)));
    tw_journal_submit(journal, commit);
    tw_journal_hurry(journal);
    assert_true(reaches(&it, &it.done, i + 1));
  }
  assert_int_equal(it.lost, 15); /* five of 200 kB are kept */
  tw_journal_close(journal);
  tw_journal_free(journal);
}

static void a_replay_is_found_and_deleted_with_its_commit(void **state) {
  (void)state;
  waiter it;
  begin_waiting(&it);
  tw_spool *spool = open_spool(TW_SPOOL_OWN);
  tw_spool_txn *txn = begin(spool, true);
  tw_chunk *chunk = chunk_of(0, 3, 0);
  const char *data;
  size_t size;
  unsigned char key[32];
  tw_chunk_number(chunk, 0);
  tw_chunk_bytes(chunk, &data, &size);
  size_t len = tw_replay_key_write(key, "video/db", 8, 4);
  assert_int_equal(tw_spool_put(txn, TW_SPOOL_REPLAY, key, len, data, size, NULL), TW_OK);
  commit(txn);
  tw_spool_close(spool);
  tw_chunk_unref(chunk);
  tw_journal *journal = open_journal(&it, 0, 0);
  tw_buffer found = {0};
  const char *path;
  assert_int_equal(tw_journal_replay(journal, &found, &path, &chunk, NULL), TW_OK);
  assert_non_null(chunk);
  assert_string_equal(path, "video/db");
  assert_int_equal(tw_chunk_count(chunk), 3);
  tw_chunk_unref(chunk);
  tw_commit *commit = new_commit(&it);
  assert_true(tw_commit_replayed(commit, found.data, found.len));
  tw_journal_submit(journal, commit);
  assert_true(reaches(&it, &it.done, 1));
  found.len = 0;
  assert_int_equal(tw_journal_replay(journal, &found, &path, &chunk, NULL), TW_OK);
  assert_null(chunk);
  tw_buffer_fini(&found);
  tw_journal_close(journal);
  tw_journal_free(journal);
}

static void count_orphan(void *self, const char *path, uint64_t events) {
  unsigned *count = self;
  assert_string_equal(path, "gone");
  assert_int_equal(events, 5);
  ++*count;
}

static void an_outbox_that_nobody_asks_for_is_an_orphan(void **state) {
  (void)state;
  waiter it;
  begin_waiting(&it);
  tw_journal *journal = open_journal(&it, 0, 0);
  tw_outbox *outbox = open_outbox(journal, "gone", NULL);
  submit_chunk(journal, &it, outbox, chunk_of(0, 5, 0));
  assert_true(reaches(&it, &it.done, 1));
  unsigned count = 0;
  tw_journal_orphans(journal, count_orphan, &count);
  assert_int_equal(count, 0);
  close_journal(journal, outbox);
  journal = open_journal(&it, 0, 0);
  tw_journal_orphans(journal, count_orphan, &count);
  assert_int_equal(count, 1);
  tw_journal_close(journal);
  tw_journal_free(journal);
}

/* ------------------------------------------------------------------ memory */

/* The journal tries again until there is memory; nothing is lost on the way. */
static void a_commit_outlives_a_lack_of_memory(void **state) {
  (void)state;
  waiter it;
  begin_waiting(&it);
  tw_journal *journal = open_journal(&it, 0, 0);
  tw_outbox *outbox = open_outbox(journal, "a", NULL);
  unsigned expected = 0;
  for (size_t n = 0, failed = 1; failed; n++) {
    tw_commit *commit = new_commit(&it);
    assert_true(tw_commit_parcel(commit, outbox, chunk_of(expected, 10, 0)));
    assert_true(tw_commit_dead(commit, chunk_of(0, 1, 0)));
    assert_true(tw_commit_state(commit, 0, 1, "{}", 2));
    unsigned before = count_now(&it, &it.done);
    tw_oom_fail_at(n);
    tw_journal_submit(journal, commit);
    tw_journal_hurry(journal);
    struct timespec moment = {0, 5000000};
    nanosleep(&moment, NULL);
    failed = tw_oom_off();
    assert_true(reaches(&it, &it.done, before + 1));
    expected += 10;
  }
  assert_int_equal(it.failed, 0);
  assert_int_equal(read_all(outbox, NULL), expected);
  close_journal(journal, outbox);
}

/* -------------------------------------------------------------------- kill */

/* The child tells each commit that is done by a byte in a pipe. */
static void work_until_killed(int out) {
  waiter it;
  begin_waiting(&it);
  tw_journal *journal = open_journal(&it, 0, 0);
  tw_outbox *outbox = open_outbox(journal, "a", NULL);
  for (unsigned n = (unsigned)outbox->tail;; n += 10) {
    unsigned before = it.done;
    tw_commit *commit = new_commit(&it);
    char text[32];
    int len = snprintf(text, sizeof text, "{\"n\":%u}", n + 10);
    if (!tw_commit_parcel(commit, outbox, chunk_of(n, 10, 0)) ||
        !tw_commit_state(commit, 0, 1, text, (size_t)len))
      _exit(1);
    tw_journal_submit(journal, commit);
    tw_journal_hurry(journal);
    if (!reaches(&it, &it.done, before + 1) || write(out, &n, sizeof n) != sizeof n) _exit(1);
    if (n % 300 == 0) outbox->ops->advance(outbox, n / 2, NULL);
  }
}

static void what_was_done_is_there_after_a_kill(void **state) {
  (void)state;
  waiter it;
  begin_waiting(&it);
  for (unsigned round = 0; round < 25; round++) {
    int ends[2];
    unsigned n = 0, last = 0;
    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();
    if (!child) work_until_killed(ends[1]);
    close(ends[1]);
    struct timespec while_working = {0, (long)(round * 1700000 + 3000000)};
    nanosleep(&while_working, NULL);
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    while (read(ends[0], &n, sizeof n) == sizeof n) last = n + 10;
    close(ends[0]);
    tw_journal *journal = open_journal(&it, 0, 0);
    tw_outbox *outbox = open_outbox(journal, "a", NULL);
    assert_true(outbox->tail >= last);
    assert_int_equal(outbox->tail % 10, 0);
    assert_int_equal(read_all(outbox, NULL), outbox->tail - outbox->head);
    char *json;
    size_t len;
    assert_int_equal(tw_journal_state(journal, 0, 1, &json, &len, NULL), TW_OK);
    if (json) assert_int_equal(strtoul(json + 5, NULL, 10), outbox->tail);
    tw_free(json);
    close_journal(journal, outbox);
  }
}

#define in_own_folder(test) cmocka_unit_test_setup_teardown(test, make_folder, remove_folder)

int main(void) {
  tw_oom_install();
  const struct CMUnitTest tests[] = {
      in_own_folder(what_was_committed_is_there_after_opening_again),
      in_own_folder(what_is_through_is_not_read_again),
      in_own_folder(a_number_inside_of_a_chunk_is_found),
      in_own_folder(oldest_of_the_least_priority_is_shed_first),
      in_own_folder(the_newest_is_shed_unless_it_matters_more),
      in_own_folder(a_full_outbox_that_blocks_holds_back_the_commit),
      in_own_folder(what_stands_behind_a_commit_that_was_given_up_is_given_up_too),
      in_own_folder(a_full_spool_pauses_and_heals),
      in_own_folder(states_places_and_dead_letters_are_kept),
      in_own_folder(dead_letters_are_bounded),
      in_own_folder(a_replay_is_found_and_deleted_with_its_commit),
      in_own_folder(an_outbox_that_nobody_asks_for_is_an_orphan),
      in_own_folder(a_commit_outlives_a_lack_of_memory),
      in_own_folder(what_was_done_is_there_after_a_kill),
  };
  return cmocka_run_group_tests(tests, NULL, tw_oom_leaves_nothing);
}
