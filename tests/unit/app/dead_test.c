/* Dead letters in a real spool: looked at, taken out, sent again; with a model of what is to be
   where. */
#include "app/dead.h"
#include "app/dead_store.h"
#include "base/clock.h"
#include "delivery/chunk.h"
#include "delivery/dead.h"
#include "delivery/spool_keys.h"
#include "support/folder.h"
#include "support/oom.h"

static tw_spool *spool;
static tw_dead_filter filter;

static void open_spool(tw_spool_mode mode) {
  tw_error error;
  const tw_spool_options options = {
      .mode = mode, .max_bytes = (uint64_t)64 << 20, .lazy = true};
  assert_int_equal(TW_OK, tw_spool_open(in_folder("spool"), &options, &spool, &error));
}

static void reopen(tw_spool_mode mode) {
  tw_spool_close(spool);
  open_spool(mode);
}

static int set_up(void **state) {
  if (make_folder(state)) return -1;
  open_spool(TW_SPOOL_OWN);
  tw_dead_filter_init(&filter);
  return 0;
}

static int tear_down(void **state) {
  tw_spool_close(spool);
  tw_dead_filter_fini(&filter);
  return remove_folder(state);
}

/* --------------------------------------------------------------------- fill */

/* Letter `number`: of backends "a" and "b" in turn, each third of a processor, each seventh a
   line that is no event. */
static void add_letter(tw_chunk_builder *builder, uint64_t number) {
  char event[128], id[32];
  tw_buffer text = {0};
  tw_error why = {.code = TW_EREFUSED};
  int len = snprintf(event, sizeof event, "{\"name\":\"e%d\",\"n\":%d,\"x\":1.0}",
                     (int)(number % 5), (int)number);
  snprintf(id, sizeof id, "id-%d", (int)number);
  snprintf(why.message, sizeof why.message, "reason %d", (int)(number % 4));
  tw_dead_letter letter = {.time_us = 1000000 * (int64_t)(number + 1),
                           .where = number % 3 ? "backend" : "processor",
                           .path = number % 2 ? "a" : "b",
                           .error = &why,
                           .id = id,
                           .id_len = strlen(id),
                           .event = event,
                           .event_len = (size_t)len};
  if (number % 7 == 0) {
    letter.where = "source";
    letter.event = letter.id = letter.path = NULL;
    letter.text = "no event";
    letter.text_len = 8;
  }
  assert_true(tw_dead_letter_write(&letter, &text));
  assert_int_equal(TW_OK, tw_chunk_builder_add_text(builder, text.data, text.len, id,
                                                    strlen(id), (int)(number % 3) - 1, NULL));
  tw_buffer_fini(&text);
}

static void put(const void *key, size_t key_len, tw_spool_table table, const void *value,
                size_t len) {
  tw_spool_txn *txn;
  assert_int_equal(TW_OK, tw_spool_begin(spool, true, &txn, NULL));
  assert_int_equal(TW_OK, tw_spool_put(txn, table, key, key_len, value, len, NULL));
  assert_int_equal(TW_OK, tw_spool_commit(txn, NULL));
}

/* As a journal stores them: `count` letters, so many in a record. */
static void fill(uint64_t count, uint64_t each) {
  for (uint64_t number = 0; number < count;) {
    unsigned char key[8];
    tw_chunk_builder builder = {0};
    tw_chunk *chunk;
    const char *data;
    size_t size;
    tw_spool_write_number(key, number);
    uint64_t first = number;
    while (number < count && number < first + each) add_letter(&builder, number++);
    assert_int_equal(TW_OK, tw_chunk_finish(&builder, 1, 1, &chunk, NULL));
    tw_chunk_number(chunk, first);
    tw_chunk_bytes(chunk, &data, &size);
    put(key, sizeof key, TW_SPOOL_DEAD, data, size);
    tw_chunk_unref(chunk);
    tw_chunk_builder_fini(&builder);
  }
}

/* --------------------------------------------------------------------- look */

enum { MOST = 4096 };

typedef struct sight {
  uint64_t numbers[MOST];
  size_t count;
  unsigned damaged;
} sight;

static bool see(void *self, const tw_letter *letter) {
  sight *seen = self;
  assert_true(seen->count < MOST);
  seen->numbers[seen->count++] = letter->number;
  tw_value n;
  if (letter->event && !tw_event_get(letter->event, "event.n", &n))
    assert_int_equal(letter->number, n.integer); /* the number stays the letter's */
  return true;
}

static void see_damage(void *self, uint64_t number, const tw_error *why) {
  sight *seen = self;
  (void)number;
  assert_true(why->message[0] != 0);
  seen->damaged++;
}

static sight look(void) {
  sight seen = {0};
  tw_error error;
  tw_dead_visit visit = {&filter, 0, see, &seen, see_damage};
  assert_int_equal(TW_OK, tw_dead_end(spool, &visit.end, &error));
  assert_int_equal(TW_OK, tw_dead_each(spool, &visit, &error));
  return seen;
}

static tw_status take(tw_dead_fate fate, const char *backend, tw_dead_taking *taking) {
  sight seen = {0};
  tw_error error;
  tw_dead_visit visit = {&filter, UINT64_MAX, see, &seen, see_damage};
  *taking = (tw_dead_taking){.fate = fate, .backend = backend};
  return tw_dead_take(spool, &visit, taking, &error);
}

/* What is to be routed or delivered again, in order. */
typedef struct replays {
  char paths[MOST][8];
  int64_t n[MOST];
  size_t count;
} replays;

static void read_replays(replays *out) {
  tw_spool_txn *txn;
  tw_spool_record record;
  tw_buffer from = {0};
  out->count = 0;
  assert_int_equal(TW_OK, tw_spool_begin(spool, false, &txn, NULL));
  while (tw_spool_seek(txn, TW_SPOOL_REPLAY, from.data ? from.data : "", from.len, &record,
                       NULL) == TW_OK) {
    size_t len;
    uint64_t number;
    tw_chunk *chunk;
    assert_true(tw_replay_key_read(record.key, record.key_len, &len, &number));
    assert_int_equal(TW_OK, tw_chunk_read(record.value, record.len, &chunk, NULL));
    for (uint32_t i = 0; i < tw_chunk_count(chunk); i++) {
      tw_batch_item item;
      tw_event *event;
      tw_value n;
      char id[32];
      tw_chunk_item(chunk, i, &item);
      assert_int_equal(TW_OK, tw_event_parse(item.text, item.len, NULL, &event, NULL));
      assert_int_equal(TW_OK, tw_event_get(event, "n", &n));
      assert_non_null(strstr(item.text, "\"x\":1.0")); /* byte for byte */
      assert_int_equal((int)(n.integer % 3) - 1, item.priority);
      snprintf(id, sizeof id, "id-%d", (int)n.integer);
      assert_int_equal(strlen(id), item.id_len);
      assert_memory_equal(id, item.id, item.id_len);
      snprintf(out->paths[out->count], 8, "%.*s", (int)len, (const char *)record.key);
      out->n[out->count++] = n.integer;
      tw_event_free(event);
    }
    tw_chunk_unref(chunk);
    from.len = 0;
    assert_true(tw_buffer_append(&from, record.key, record.key_len) &&
                tw_buffer_byte(&from, 0));
  }
  tw_spool_abort(txn);
  tw_buffer_fini(&from);
}

static void range(const char *text) {
  assert_int_equal(TW_OK, tw_dead_filter_add_range(&filter, text, NULL));
}

/* ------------------------------------------------------------------- filters */

static size_t count_with(tw_dead_filter with) {
  filter = with;
  return look().count;
}

static void letters_are_seen_in_order_with_their_numbers(void **state) {
  (void)state;
  assert_int_equal(0, look().count);
  fill(1000, 37);
  sight seen = look();
  assert_int_equal(1000, seen.count);
  for (size_t i = 0; i < seen.count; i++) assert_int_equal(i, seen.numbers[i]);
}

static void filters_choose_what_all_of_them_allow(void **state) {
  (void)state;
  const int64_t least = INT64_MIN, most = INT64_MAX;
  fill(420, 50);
#define FILTER(...) (tw_dead_filter){.since_us = least, .until_us = most, __VA_ARGS__}
  assert_int_equal(60, count_with(FILTER(.where = "source")));
  assert_int_equal(240, count_with(FILTER(.where = "backend")));
  assert_int_equal(120, count_with(FILTER(.where = "processor")));
  assert_int_equal(120, count_with(FILTER(.backend = "a")));
  assert_int_equal(0, count_with(FILTER(.backend = "c")));
  assert_int_equal(72, count_with(FILTER(.name = "e3")));
  assert_int_equal(1, count_with(FILTER(.id = "id-11")));
  assert_int_equal(105, count_with(FILTER(.error = "reason 2")));
  assert_int_equal(420, count_with(FILTER(.error = "reason")));
  assert_int_equal(0, count_with(FILTER(.error = "other")));
  assert_int_equal(7, count_with(FILTER(.limit = 7)));
  assert_int_equal(10,
                   count_with((tw_dead_filter){.since_us = 11000000, .until_us = 21000000}));
  assert_int_equal(6, count_with((tw_dead_filter){
                          .where = "backend", .since_us = 11000000, .until_us = 21000000}));
#undef FILTER
}

static void numbers_choose_letters_and_ranges(void **state) {
  (void)state;
  fill(300, 16);
  range("7");
  range("40-42");
  range("299-500");
  sight seen = look();
  const uint64_t expected[] = {7, 40, 41, 42, 299};
  assert_int_equal(5, seen.count);
  assert_memory_equal(expected, seen.numbers, sizeof expected);
  for (const char *const *bad =
           (const char *const[]){"", "x", "7-", "-7", "9-7", "7-8-9", "1e3", NULL};
       *bad; bad++)
    assert_int_equal(TW_EINVAL, tw_dead_filter_add_range(&filter, *bad, NULL));
}

static void times_are_read_as_people_write_them(void **state) {
  (void)state;
  int64_t time, now = tw_clock_utc_us();
  assert_true(tw_dead_read_time("2026-11-27", &time));
  int64_t day = time;
  assert_true(tw_dead_read_time("2026-11-27T01:00:00+01:00", &time));
  assert_true(time == day);
  assert_true(tw_dead_read_time("2h", &time));
  assert_true(time <= now - 7199000000 && time >= now - 7300000000);
  assert_false(tw_dead_read_time("yesterday", &time));
  assert_false(tw_dead_read_time("2026-13-27", &time));
  assert_false(tw_dead_read_time("", &time));
}

/* -------------------------------------------------------------------- taking */

static void what_is_dropped_is_gone_and_the_others_keep_their_numbers(void **state) {
  (void)state;
  tw_dead_taking taking;
  fill(100, 10);
  reopen(TW_SPOOL_SHARE);
  range("0");
  range("13-17");
  range("19-20");
  range("99");
  assert_int_equal(TW_OK, take(TW_DEAD_DROP, NULL, &taking));
  assert_int_equal(9, taking.taken);
  filter.range_count = 0;
  sight seen = look();
  assert_int_equal(91, seen.count);
  for (size_t i = 0; i < seen.count; i++)
    assert_false(seen.numbers[i] == 0 || (seen.numbers[i] >= 13 && seen.numbers[i] <= 17) ||
                 seen.numbers[i] == 19 || seen.numbers[i] == 20 || seen.numbers[i] == 99);
}

static void the_limit_and_the_end_bound_what_is_taken(void **state) {
  (void)state;
  tw_dead_taking taking;
  sight unused = {0};
  tw_dead_visit visit = {&filter, 30, see, &unused, see_damage};
  fill(100, 7);
  filter.limit = 12;
  assert_int_equal(TW_OK, take(TW_DEAD_DROP, NULL, &taking));
  assert_int_equal(12, taking.taken);
  filter.limit = 0;
  taking = (tw_dead_taking){.fate = TW_DEAD_DROP};
  assert_int_equal(TW_OK, tw_dead_take(spool, &visit, &taking, NULL));
  assert_int_equal(18, taking.taken);
  sight seen = look();
  assert_int_equal(70, seen.count);
  assert_int_equal(30, seen.numbers[0]);
}

static void a_replay_moves_events_in_order_and_leaves_what_is_none(void **state) {
  (void)state;
  static replays replayed;
  tw_dead_taking taking;
  fill(200, 9);
  assert_int_equal(TW_OK, take(TW_DEAD_ROUTE, NULL, &taking));
  assert_int_equal(171, taking.taken);
  assert_int_equal(29, taking.kept);
  assert_int_equal(29, look().count);
  read_replays(&replayed);
  assert_int_equal(171, replayed.count);
  int64_t before = -1;
  for (size_t i = 0; i < replayed.count; i++) {
    assert_string_equal("", replayed.paths[i]);
    assert_true(replayed.n[i] > before);
    before = replayed.n[i];
  }
}

static void a_replay_to_backends_goes_to_each_letters_own(void **state) {
  (void)state;
  static replays replayed;
  tw_dead_taking taking;
  fill(200, 9);
  assert_int_equal(TW_OK, take(TW_DEAD_DELIVER, NULL, &taking));
  read_replays(&replayed);
  assert_int_equal(taking.taken, replayed.count);
  assert_int_equal(200, replayed.count + look().count);
  for (size_t i = 0; i < replayed.count; i++) {
    assert_string_equal(replayed.n[i] % 2 ? "a" : "b", replayed.paths[i]);
    assert_true(replayed.n[i] % 3 && replayed.n[i] % 7);
  }
}

static void a_replay_may_name_another_backend(void **state) {
  (void)state;
  static replays replayed;
  tw_dead_taking taking;
  fill(50, 50);
  assert_int_equal(TW_OK, take(TW_DEAD_DELIVER, "c", &taking));
  assert_int_equal(42, taking.taken);
  read_replays(&replayed);
  for (size_t i = 0; i < replayed.count; i++) assert_string_equal("c", replayed.paths[i]);
}

static void replays_that_follow_each_other_stand_in_order(void **state) {
  (void)state;
  static replays replayed;
  tw_dead_taking taking;
  fill(60, 8);
  for (int i = 0; i < 6; i++) {
    char text[16];
    snprintf(text, sizeof text, "%d-%d", i * 10, i * 10 + 9);
    range(text);
    assert_int_equal(TW_OK, take(TW_DEAD_ROUTE, NULL, &taking));
    filter.range_count = 0;
  }
  read_replays(&replayed);
  assert_int_equal(51, replayed.count);
  for (size_t i = 1; i < replayed.count; i++) assert_true(replayed.n[i] > replayed.n[i - 1]);
}

static uint32_t seed = 1;
static uint32_t any(uint32_t below) {
  seed = seed * 1664525u + 1013904223u;
  return (seed >> 8) % below;
}

/* Whatever is taken, in whatever order: each letter is in one place. */
static void each_letter_is_in_one_place_whatever_is_taken(void **state) {
  (void)state;
  static replays replayed;
  bool is_gone[600] = {false}, is_moved[600] = {false};
  fill(600, 23);
  for (int round = 0; round < 60; round++) {
    tw_dead_taking taking;
    unsigned first = any(600), last = first + any(any(2) ? 3 : 40);
    tw_dead_fate fate = any(2) ? TW_DEAD_DROP : TW_DEAD_ROUTE;
    char text[32];
    snprintf(text, sizeof text, "%u-%u", first, last);
    range(text);
    assert_int_equal(TW_OK, take(fate, NULL, &taking));
    filter.range_count = 0;
    for (unsigned i = first; i <= last && i < 600; i++) {
      if (is_gone[i] || (fate == TW_DEAD_ROUTE && i % 7 == 0)) continue;
      is_gone[i] = true;
      is_moved[i] = fate == TW_DEAD_ROUTE;
    }
    sight seen = look();
    size_t at = 0, moved = 0;
    for (unsigned i = 0; i < 600; i++) {
      if (!is_gone[i]) assert_int_equal(i, seen.numbers[at++]);
      moved += is_moved[i];
    }
    assert_int_equal(at, seen.count);
    read_replays(&replayed);
    assert_int_equal(moved, replayed.count);
  }
}

static void without_memory_a_letter_stays_where_it_is(void **state) {
  (void)state;
  static replays replayed;
  size_t failed = 1;
  for (size_t n = 0; failed; n++) {
    tw_dead_taking taking;
    tw_dead_filter_fini(&filter);
    tw_spool_close(spool);
    char command[160];
    snprintf(command, sizeof command, "rm -rf %s", in_folder("spool"));
    assert_int_equal(0, system(command));
    open_spool(TW_SPOOL_OWN);
    fill(20, 6);
    range("3-9");
    tw_oom_fail_at(n);
    tw_status status = take(TW_DEAD_DELIVER, "c", &taking);
    failed = tw_oom_off();
    read_replays(&replayed);
    filter.range_count = 0;
    assert_int_equal(20, replayed.count + look().count);
    if (status) assert_int_equal(TW_ENOMEM, status);
    else if (!failed) assert_int_equal(6, replayed.count);
  }
}

static void a_damaged_record_is_told_and_passed_over(void **state) {
  (void)state;
  tw_dead_taking taking;
  unsigned char key[8];
  fill(30, 10);
  tw_spool_write_number(key, 10);
  put(key, sizeof key, TW_SPOOL_DEAD, "garbage", 7);
  sight seen = look();
  assert_int_equal(20, seen.count);
  assert_int_equal(1, seen.damaged);
  assert_int_equal(TW_OK, take(TW_DEAD_DROP, NULL, &taking));
  assert_int_equal(20, taking.taken);
  seen = look();
  assert_int_equal(0, seen.count);
  assert_int_equal(1, seen.damaged);
}

int main(void) {
  tw_oom_install();
#define IN_SPOOL(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
  const struct CMUnitTest tests[] = {
      IN_SPOOL(letters_are_seen_in_order_with_their_numbers),
      IN_SPOOL(filters_choose_what_all_of_them_allow),
      IN_SPOOL(numbers_choose_letters_and_ranges),
      IN_SPOOL(times_are_read_as_people_write_them),
      IN_SPOOL(what_is_dropped_is_gone_and_the_others_keep_their_numbers),
      IN_SPOOL(the_limit_and_the_end_bound_what_is_taken),
      IN_SPOOL(a_replay_moves_events_in_order_and_leaves_what_is_none),
      IN_SPOOL(a_replay_to_backends_goes_to_each_letters_own),
      IN_SPOOL(a_replay_may_name_another_backend),
      IN_SPOOL(replays_that_follow_each_other_stand_in_order),
      IN_SPOOL(each_letter_is_in_one_place_whatever_is_taken),
      IN_SPOOL(without_memory_a_letter_stays_where_it_is),
      IN_SPOOL(a_damaged_record_is_told_and_passed_over),
  };
  return cmocka_run_group_tests(tests, NULL, tw_oom_leaves_nothing);
}
