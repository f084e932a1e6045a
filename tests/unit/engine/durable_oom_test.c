/* Engines with a spool when memory runs out at any allocation on the way of an event: between
   who emits it and the commit, and from there to its backend. Memory is back a moment later;
   then every event that was acknowledged is delivered once, or is a dead letter. */
#include "core/ack.h"
#include "engine/engine.h"
#include "engine_case.h"

enum { EACH = 5, MOST = 20000, MOMENT_MS = 20 };

/* What became of an event, by number. */
typedef struct fate {
  atomic_int calls, good;
} fate;

static fate fates[MOST];

/* The first ones each, later ones by samples. */
static size_t after_this(size_t n) { return n < 150 ? n + 1 : n + n / 12; }

static int clean(void **state) {
  char command[300];
  before(state);
  memset(fates, 0, sizeof fates);
  snprintf(command, sizeof command, "rm -rf %s", path_of("spool"));
  return system(command);
}

static const char *options(void) {
  static char text[300];
  snprintf(text, sizeof text, "{\"spool\":\"%s\"}", path_of("spool"));
  return text;
}

/* A tenth becomes dead letters. What memory costs a script is a failure, which the event
   passes: so it is edited or not, but there. */
static void write_durable(void) {
  write_file("main.lua",
             HEAD
             "local counts = tw.state 'counts'\n"
             "return tw.router { processors = {\n"
             "  function(event) counts.all = (counts.all or 0) + 1 event.c = counts.all end,\n"
             "  { function(event) if event.n %% 10 == 0 then error 'chosen' end end,\n"
             "    on_error = 'dead_letter' } },\n" OUT " }",
             path_of("out"));
}

/* Nobody is to be told on standard error. */
static void note_failed(void *self, const tw_failure *failure) { (void)self, (void)failure; }

static const tw_engine_ops ops = {.failed = note_failed};

static tw_engine *begin(void) {
  tw_engine *engine;
  tw_error error = {0};
  if (tw_engine_new(path_of("main.lua"), options(), strlen(options()), &ops, NULL, &engine,
                    &error))
    fail_msg("%s", error.message);
  return engine;
}

static void note_ack(void *self, tw_status status, const tw_error *error) {
  fate *of = self;
  (void)error;
  if (!status) atomic_fetch_add(&of->good, 1);
  atomic_fetch_add(&of->calls, 1);
}

/* As tw_emit_acked does. Without memory for the acknowledgement the event is not sent. */
static void send_acked(tw_engine *engine, int number) {
  char json[64];
  tw_ack *ack;
  tw_error error = {0};
  int len = snprintf(json, sizeof json, "{\"n\":%d}", number);
  if (tw_ack_new(note_ack, &fates[number], &ack, &error)) {
    note_ack(&fates[number], TW_ENOMEM, &error);
    return;
  }
  tw_ack *outer = tw_ack_swap(ack);
  tw_status status = tw_engine_send_json(engine, json, (size_t)len, &error);
  tw_ack_swap(outer);
  tw_ack_end(ack, status, &error);
}

/* Until all are told of, or for a moment: as long as memory is short they may not be. */
static void await_moment(int first, int count) {
  for (int ms = 0; ms < MOMENT_MS; ms++) {
    int calls = 0;
    for (int i = first; i < first + count; i++) calls += atomic_load(&fates[i].calls);
    if (calls == count) return;
    usleep(1000);
  }
}

static void count_lines(int *lines) {
  char *text = take_output();
  for (char *at = text; (at = strstr(at, "{\"n\":")); at++) lines[atoi(at + 5)]++;
  free(text);
}

static void count_letters_of(const tw_spool_record *record, int *letters) {
  tw_chunk *chunk;
  assert_int_equal(tw_chunk_read(record->value, record->len, &chunk, NULL), TW_OK);
  for (uint32_t i = 0; i < tw_chunk_count(chunk); i++) {
    tw_batch_item item;
    tw_chunk_item(chunk, i, &item);
    const char *event = strstr(item.text, "\"event\":{\"n\":");
    if (!event) fail_msg("a letter without its event: %s", item.text);
    letters[atoi(event + 13)]++;
  }
  tw_chunk_unref(chunk);
}

/* The spool itself says it: a callback may find no memory to look at an event. */
static void count_letters(int *letters) {
  static const tw_spool_options reading = {.mode = TW_SPOOL_READ};
  unsigned char key[8] = {0};
  tw_spool *spool;
  tw_spool_txn *txn;
  tw_spool_record record;
  assert_int_equal(tw_spool_open(path_of("spool"), &reading, &spool, NULL), TW_OK);
  assert_int_equal(tw_spool_begin(spool, false, &txn, NULL), TW_OK);
  while (tw_spool_seek(txn, TW_SPOOL_DEAD, key, sizeof key, &record, NULL) == TW_OK) {
    count_letters_of(&record, letters);
    tw_spool_write_number(key, tw_spool_read_number(record.key) + 1);
  }
  tw_spool_abort(txn);
  tw_spool_close(spool);
}

/* @param again  how often one may be delivered */
static void judge(int count, int again) {
  static int lines[MOST], letters[MOST];
  int good = 0;
  memset(lines, 0, sizeof lines);
  memset(letters, 0, sizeof letters);
  count_lines(lines);
  count_letters(letters);
  for (int n = 1; n < count; n++) {
    int dead = letters[n];
    if (fates[n].calls != 1) fail_msg("event %d was told of %d times", n, fates[n].calls);
    if (lines[n] > again || dead > 1 || (lines[n] && dead))
      fail_msg("event %d: %d lines, %d letters", n, lines[n], dead);
    if (fates[n].good && lines[n] + dead == 0) fail_msg("event %d is acknowledged and lost", n);
    good += fates[n].good;
  }
  assert_true(good > count / 4);
}

static void no_failing_allocation_loses_what_is_acknowledged(void **state) {
  (void)state;
  int next = 1;
  write_durable();
  tw_engine *engine = begin();
  for (size_t n = 0, failed = 1; failed && next < MOST - EACH; n = after_this(n)) {
    int first = next;
    tw_oom_fail_at(n);
    for (int i = 0; i < EACH; i++) send_acked(engine, next++);
    await_moment(first, EACH);
    failed = tw_oom_off();
    flush(engine);
  }
  uint64_t left;
  assert_int_equal(tw_engine_drain(engine, 20000, &left, NULL), TW_OK);
  assert_int_equal(tw_engine_close(engine, 20000, NULL, NULL), TW_OK);
  tw_engine_unref(engine);
  judge(next, 1);
}

/* The spool of one that could not begin is opened by the next. */
static void an_engine_with_a_spool_that_cannot_be_made_leaves_nothing(void **state) {
  (void)state;
  write_durable();
  size_t live = tw_oom_live();
  for (size_t n = 0, failed = 1; failed; n = after_this(n)) {
    tw_engine *engine;
    tw_error error = {0};
    tw_oom_fail_at(n);
    tw_status status = tw_engine_new(path_of("main.lua"), options(), strlen(options()), &ops,
                                     NULL, &engine, &error);
    failed = tw_oom_off();
    if (status) assert_null(engine);
    if (status) assert_string_not_equal(error.message, "");
    if (!failed) assert_int_equal(status, TW_OK);
    tw_engine_unref(engine);
    if (tw_oom_live() != live) fail_msg("failure %zu leaves %zu", n, tw_oom_live() - live);
  }
}

/* Ended in the middle of a shortage, and begun again: what was acknowledged comes. What was
   delivered and could not be noted comes again. */
static void an_engine_that_ends_without_memory_keeps_what_is_acknowledged(void **state) {
  (void)state;
  int next = 1;
  write_durable();
  for (size_t n = 0; n < 120; n += 3) {
    tw_engine *engine = begin();
    int first = next;
    tw_oom_fail_at(n);
    for (int i = 0; i < EACH; i++) send_acked(engine, next++);
    await_moment(first, EACH);
    tw_engine_close(engine, 50, NULL, NULL);
    tw_oom_off();
    tw_engine_unref(engine);
  }
  uint64_t left;
  tw_engine *engine = begin();
  for (int i = 0; i < 400; i++) send_acked(engine, next++);
  flush(engine);
  assert_int_equal(tw_engine_drain(engine, 20000, &left, NULL), TW_OK);
  tw_engine_close(engine, 20000, NULL, NULL);
  tw_engine_unref(engine);
  judge(next, 1000);
}

#define CLEAN_TEST(name) cmocka_unit_test_setup_teardown(name, clean, after)

int main(void) {
  const struct CMUnitTest tests[] = {
      CLEAN_TEST(no_failing_allocation_loses_what_is_acknowledged),
      CLEAN_TEST(an_engine_with_a_spool_that_cannot_be_made_leaves_nothing),
      CLEAN_TEST(an_engine_that_ends_without_memory_keeps_what_is_acknowledged),
  };
  return cmocka_run_group_tests(tests, set_up, tear_down);
}
