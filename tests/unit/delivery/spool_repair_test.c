/// Repairs: what can be read is kept, what cannot is told, the old file stays.
#define _GNU_SOURCE // memmem
#include <sys/wait.h>

#include "delivery/check.h"
#include "delivery/spool_repair.h"
#include "spool_sample.h"
#include "support/oom.h"

typedef struct tw_told {
  char text[200000];
  size_t len;
} tw_told;

static tw_told told;

static void say(void *self, const char *line) {
  (void)self;
  size_t len = strlen(line);
  assert_null(strchr(line, '\n'));
  if (told.len + len + 2 > sizeof told.text) return;
  memcpy(told.text + told.len, line, len);
  memcpy(told.text + told.len + len, "\n", 2);
  told.len += len + 1;
}

static tw_repair_result repair(void) {
  tw_repair_result result;
  tw_error error = {.message = ""};
  told.len = 0, told.text[0] = '\0';
  if (tw_spool_repair(in_folder("spool"), say, NULL, &result, &error))
    fail_msg("%s", error.message);
  return result;
}

static void assert_told(const char *part) {
  if (!strstr(told.text, part)) fail_msg("not told: \"%s\", but:\n%s", part, told.text);
}

/* ------------------------------------------------------------- what is there then */

enum { FIRST = (CHUNKS - 9) * EVENTS, BEHIND = CHUNKS * EVENTS };

/* Which events are there: in outboxes, and as dead letters. */
typedef struct tw_survey {
  bool waits[OUTBOXES][BEHIND], is_buried[OUTBOXES][BEHIND];
  bool has_state[STATES], has_source[SOURCES];
} tw_survey;

static unsigned id_of(const char *path) {
  unsigned id;
  return sscanf(path, "box/%u", &id) == 1 ? id : UINT32_MAX;
}

static void survey_chunk(tw_survey *survey, const tw_outbox_record *outbox, unsigned box,
                         const tw_chunk *chunk) {
  for (uint32_t i = tw_chunk_find(chunk, outbox->head); i < tw_chunk_count(chunk); i++) {
    tw_batch_item item;
    uint64_t number = tw_chunk_item_number(chunk, i);
    const char *text = text_of(box, number);
    tw_chunk_item(chunk, i, &item);
    assert_true(number >= FIRST - EVENTS && number < BEHIND);
    assert_int_equal(item.len, strlen(text));
    assert_memory_equal(item.text, text, item.len);
    assert_false(survey->waits[box][number]);
    survey->waits[box][number] = true;
  }
}

static void survey_outbox(tw_spool_txn *txn, tw_survey *survey, unsigned box,
                          const tw_outbox_record *outbox) {
  unsigned char key[TW_CHUNK_KEY_LEN];
  tw_spool_record record;
  tw_chunk *chunk;
  uint32_t id;
  uint64_t at = outbox->head, first, events = 0;
  for (tw_chunk_key_write(key, outbox->id, 0);
       !tw_spool_seek(txn, TW_SPOOL_CHUNK, key, sizeof key, &record, NULL);
       tw_chunk_key_write(key, outbox->id, first + 1)) {
    assert_true(tw_chunk_key_read(record.key, record.key_len, &id, &first));
    if (id != outbox->id) break;
    assert_int_equal(tw_chunk_read(record.value, record.len, &chunk, NULL), TW_OK);
    assert_int_equal(tw_chunk_first(chunk), first);
    assert_true(first >= at || at == outbox->head);
    at = tw_chunk_item_number(chunk, tw_chunk_count(chunk));
    assert_true(at > outbox->head && at <= outbox->tail);
    events += tw_chunk_count(chunk) - tw_chunk_find(chunk, outbox->head);
    survey_chunk(survey, outbox, box, chunk);
    tw_chunk_unref(chunk);
  }
  assert_int_equal(events, outbox->events);
}

/* A letter of ours has the event as a member. */
static void survey_letter(tw_survey *survey, const tw_batch_item *item) {
  tw_event *letter;
  tw_value box, number;
  assert_int_equal(tw_event_parse(item->text, item->len, NULL, &letter, NULL), TW_OK);
  if (!tw_event_get(letter, "event.outbox", &box) && box.type == TW_INTEGER &&
      !tw_event_get(letter, "event.number", &number) && number.type == TW_INTEGER &&
      box.integer >= 0 && box.integer < OUTBOXES && number.integer >= 0 &&
      number.integer < BEHIND)
    survey->is_buried[box.integer][number.integer] = true;
  tw_event_free(letter);
}

static void survey_letters(tw_spool_txn *txn, tw_survey *survey) {
  unsigned char key[8] = {0};
  tw_spool_record record;
  tw_chunk *chunk;
  while (!tw_spool_seek(txn, TW_SPOOL_DEAD, key, sizeof key, &record, NULL)) {
    uint64_t number = tw_spool_read_number(record.key);
    assert_int_equal(tw_chunk_read(record.value, record.len, &chunk, NULL), TW_OK);
    assert_true(number == tw_chunk_first(chunk));
    for (uint32_t i = 0; i < tw_chunk_count(chunk); i++) {
      tw_batch_item item;
      tw_chunk_item(chunk, i, &item);
      survey_letter(survey, &item);
    }
    tw_spool_write_number(key, number + 1);
    tw_chunk_unref(chunk);
  }
}

static void survey_small(tw_spool_txn *txn, tw_survey *survey) {
  char name[TW_STATE_KEY_ROOM], source[64];
  const void *value;
  size_t len;
  for (unsigned n = 0; n < STATES; n++) {
    tw_state_key_write(name, n, STATES);
    survey->has_state[n] =
        !tw_spool_get(txn, TW_SPOOL_STATE, name, strlen(name), &value, &len, NULL);
    const char *expected = small_of("state", n);
    if (survey->has_state[n]) assert_memory_equal(value, expected, len);
  }
  for (unsigned n = 0; n < SOURCES; n++) {
    snprintf(source, sizeof source, "%s", small_of("name", n));
    survey->has_source[n] =
        !tw_spool_get(txn, TW_SPOOL_SOURCE, source, strlen(source), &value, &len, NULL);
    const char *expected = small_of("source", n);
    if (survey->has_source[n]) assert_memory_equal(value, expected, len);
  }
}

/* The repaired spool is opened, and all that it holds is right. */
static void survey_all(tw_survey *survey) {
  tw_spool_record record;
  tw_outbox_record outbox;
  char from[64] = "";
  size_t len = 0;
  tw_spool *spool = open_spool(TW_SPOOL_OWN);
  tw_spool_txn *txn = begin(spool, false);
  memset(survey, 0, sizeof *survey);
  while (!tw_spool_seek(txn, TW_SPOOL_OUTBOX, from, len, &record, NULL)) {
    assert_true(tw_outbox_record_read(record.value, record.len, &outbox));
    snprintf(from, sizeof from, "%.*s", (int)record.key_len, (const char *)record.key);
    assert_int_equal(id_of(from), outbox.id);
    survey_outbox(txn, survey, id_of(from), &outbox);
    len = record.key_len + 1;
  }
  survey_letters(txn, survey);
  survey_small(txn, survey);
  tw_spool_abort(txn);
  tw_spool_close(spool);
}

static uint64_t count_missing(const tw_survey *survey) {
  uint64_t missing = 0;
  for (unsigned box = 0; box < OUTBOXES; box++)
    for (unsigned n = FIRST; n < BEHIND; n++)
      missing += !survey->waits[box][n] && !survey->is_buried[box][n];
  return missing;
}

static bool exists(const char *path) { return access(path, F_OK) == 0; }

/* --------------------------------------------------------------------- tests */

static tw_survey survey;

static void a_sound_spool_stays_as_it_is(void **state) {
  (void)state;
  make_sample();
  size_t len, after_len;
  char *before = read_file(&len);
  tw_repair_result result = repair();
  char *after = read_file(&after_len);
  assert_true(result.is_sound);
  assert_string_equal(result.damaged, "");
  assert_int_equal(told.len, 0);
  assert_int_equal(len, after_len);
  assert_memory_equal(before, after, len);
  assert_false(exists(in_folder("spool/repaired")));
  free(before), free(after);
}

/* @return where a text stands in the file for the last time */
static size_t last_of(const char *bytes, size_t len, const char *text) {
  size_t found = 0;
  for (const char *at = bytes;
       (at = memmem(at, len - (size_t)(at - bytes), text, strlen(text))); at++)
    found = (size_t)(at - bytes);
  assert_true(found);
  return found;
}

static void a_damaged_chunk_becomes_dead_letters_and_its_events_are_told(void **state) {
  (void)state;
  make_sample();
  size_t len;
  char *bytes = read_file(&len);
  bytes[last_of(bytes, len, "\"outbox\":1,\"number\":905,")] = '#';
  write_back(bytes, len);
  tw_repair_result result = repair();
  assert_false(result.is_sound);
  assert_told("box/1: the chunk of events from number 900 on is damaged");
  assert_told("box/1: 24 of them are dead letters now");
  assert_told("box/1: no chunk has the events from 900 to 924");
  assert_told("box/1: 25 of 225 events are lost");
  assert_int_equal(result.lost, 25);
  assert_int_equal(result.salvaged, 24);
  survey_all(&survey);
  assert_int_equal(count_missing(&survey), 1);
  assert_false(survey.waits[1][905]);
  assert_true(survey.is_buried[1][904] && survey.waits[1][899] && survey.waits[1][925]);
  assert_true(exists(result.damaged));
  free(bytes);
}

static void without_meta_pages_outboxes_are_found_again(void **state) {
  (void)state;
  make_sample();
  size_t len;
  char *bytes = read_file(&len);
  memset(bytes, 0, 8192);
  write_back(bytes, len);
  tw_repair_result result = repair();
  assert_false(result.is_sound);
  assert_told("neither meta page can be read");
  assert_told("box/2: its outbox is as it was before the damage");
  survey_all(&survey);
  assert_int_equal(count_missing(&survey), 0);
  free(bytes);
}

static void what_has_nothing_of_a_spool_becomes_an_empty_one(void **state) {
  (void)state;
  make_sample();
  size_t len;
  char *bytes = read_file(&len);
  memset(bytes, 'x', len);
  write_back(bytes, len);
  tw_repair_result result = repair();
  assert_int_equal(result.records, 2);
  tw_spool_close(open_spool(TW_SPOOL_OWN));
  free(bytes);
}

static void a_spool_in_use_and_a_newer_one_are_refused(void **state) {
  (void)state;
  static const unsigned char newer[4] = {TW_SPOOL_VERSION + 1};
  tw_repair_result result;
  tw_error error;
  assert_int_equal(tw_spool_repair(in_folder("spool"), say, NULL, &result, &error), TW_ENOENT);
  tw_spool *spool = open_spool(TW_SPOOL_OWN);
  assert_int_equal(tw_spool_repair(in_folder("spool"), say, NULL, &result, &error), TW_EEXIST);
  assert_says(&error, "in use by process");
  tw_spool_txn *txn = begin(spool, true);
  assert_int_equal(tw_spool_put(txn, TW_SPOOL_ABOUT, "version", 7, newer, 4, NULL), TW_OK);
  commit(txn);
  tw_spool_close(spool);
  assert_int_equal(tw_spool_repair(in_folder("spool"), say, NULL, &result, &error), TW_EINVAL);
  assert_says(&error, "a newer Tidewire");
}

/* What is not there any more was told, and what is there is right: survey_all looks. */
static void random_damage_loses_nothing_in_silence(void **state) {
  (void)state;
  const char *times = getenv("TIDEWIRE_REPAIRS"), *given = getenv("TIDEWIRE_SEED");
  unsigned turns = times ? (unsigned)atoi(times) : 150, sound = 0;
  unsigned first = given ? (unsigned)atoi(given) : (unsigned)getpid();
  uint64_t missing = 0;
  size_t len;
  make_sample();
  char *whole = read_file(&len), *bytes = malloc(len);
  print_message("damage from TIDEWIRE_SEED=%u on, %u times\n", first, turns);
  for (unsigned i = 0; i < turns; i++) {
    unsigned seed = first + i;
    size_t left = len;
    memcpy(bytes, whole, len);
    damage(&seed, bytes, &left);
    write_back(bytes, left);
    tw_repair_result result = repair();
    survey_all(&survey);
    uint64_t gone = count_missing(&survey);
    if (gone && !result.lost && !strstr(told.text, "could not be reached") &&
        !strstr(told.text, "as it was before") && !strstr(told.text, "the trees are lost") &&
        !strstr(told.text, "the last transaction may be lost"))
      fail_msg("TIDEWIRE_SEED=%u: %llu events are missing:\n%s", first + i,
               (unsigned long long)gone, told.text);
    sound += result.is_sound;
    missing += gone;
    remove(result.damaged);
  }
  print_message("%u were sound; of %u events each, %.1f were lost on average\n", sound,
                OUTBOXES * (BEHIND - FIRST), (double)missing / turns);
  free(whole);
  free(bytes);
}

static void without_memory_the_old_file_stays(void **state) {
  (void)state;
  make_sample();
  size_t len, after_len;
  char *bytes = read_file(&len);
  bytes[last_of(bytes, len, "\"outbox\":1,\"number\":905,")] = '#';
  write_back(bytes, len);
  for (size_t n = 0, failed = 1; failed; n += n / 4 + 1) {
    tw_repair_result result;
    size_t live = tw_oom_live();
    tw_oom_fail_at(n);
    tw_status status = tw_spool_repair(in_folder("spool"), say, NULL, &result, NULL);
    failed = tw_oom_off();
    assert_int_equal(tw_oom_live(), live);
    if (!failed) assert_int_equal(status, TW_OK);
    if (!status) break;
    assert_int_equal(status, TW_ENOMEM);
    char *after = read_file(&after_len);
    assert_int_equal(len, after_len);
    assert_memory_equal(bytes, after, len);
    free(after);
  }
  free(bytes);
}

#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, make_folder, remove_folder)

int main(void) {
  tw_oom_install();
  const struct CMUnitTest tests[] = {
      IN_FOLDER(a_sound_spool_stays_as_it_is),
      IN_FOLDER(a_damaged_chunk_becomes_dead_letters_and_its_events_are_told),
      IN_FOLDER(without_meta_pages_outboxes_are_found_again),
      IN_FOLDER(what_has_nothing_of_a_spool_becomes_an_empty_one),
      IN_FOLDER(a_spool_in_use_and_a_newer_one_are_refused),
      IN_FOLDER(random_damage_loses_nothing_in_silence),
      IN_FOLDER(without_memory_the_old_file_stays),
  };
  return cmocka_run_group_tests(tests, NULL, tw_oom_leaves_nothing);
}
