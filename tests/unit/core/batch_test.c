/// Batches: lines that lie somewhere else, and the events that are made of them.
#include <stdlib.h>

#include "support/oom.h"

#include "base/clock.h"
#include "probe.h"

/* Lines as they lie in chunks: each with a newline behind it. */
static void add_line(tw_batch *batch, const char *line, const char *id, int priority) {
  tw_batch_item item = {.text = line,
                        .len = strcspn(line, "\n"),
                        .id = id,
                        .id_len = (uint16_t)strlen(id),
                        .priority = (int8_t)priority};
  assert_true(tw_batch_add(batch, &item));
}

static tw_event *event_at(tw_batch *batch, size_t index) {
  tw_event *event;
  assert_int_equal(tw_batch_event(batch, index, &event, NULL), TW_OK);
  return event;
}

static void assert_json(tw_event *event, const char *expected) {
  const char *json;
  size_t len;
  assert_int_equal(tw_event_json(event, &json, &len), TW_OK);
  assert_string_equal(json, expected);
}

static void assert_id(tw_event *event, const char *expected) {
  const char *id;
  size_t len;
  assert_int_equal(tw_event_id(event, &id, &len), TW_OK);
  assert_int_equal(len, strlen(expected));
  assert_memory_equal(id, expected, len);
}

/* ---------------------------------------------------------------- the lines */

static void a_batch_tells_its_events_texts_and_ids(void **state) {
  (void)state;
  tw_batch batch;
  const char *text;
  size_t len;
  tw_batch_init(&batch);
  add_line(&batch, "{\"a\":1}\n", "x-1", 0);
  add_line(&batch, "{\"bb\":2}\n", "y", 0);
  assert_int_equal(tw_batch_count(&batch), 2);
  assert_int_equal(batch.bytes, 15);
  tw_batch_json(&batch, 1, &text, &len);
  assert_int_equal(len, 8);
  assert_memory_equal(text, "{\"bb\":2}", len);
  tw_batch_id(&batch, 0, &text, &len);
  assert_int_equal(len, 3);
  assert_memory_equal(text, "x-1", 3);
  tw_batch_clear(&batch);
  assert_int_equal(tw_batch_count(&batch), 0);
  assert_int_equal(batch.bytes, 0);
  tw_batch_fini(&batch);
}

static void lines_that_lie_together_are_told_together(void **state) {
  (void)state;
  tw_batch batch;
  const char *together = "{}\n{\"a\":1}\n", *apart = "{\"b\":2}\n", *text;
  size_t len;
  tw_batch_init(&batch);
  add_line(&batch, together, "", 0);
  add_line(&batch, together + 3, "", 0);
  add_line(&batch, apart, "", 0);
  assert_int_equal(tw_batch_lines(&batch, 0, &text, &len), 2);
  assert_ptr_equal(text, together);
  assert_int_equal(len, strlen(together));
  assert_int_equal(tw_batch_lines(&batch, 1, &text, &len), 1);
  assert_ptr_equal(text, together + 3);
  assert_int_equal(tw_batch_lines(&batch, 2, &text, &len), 1);
  assert_int_equal(len, strlen(apart));
  tw_batch_fini(&batch);
}

static void a_slice_has_the_items_of_its_part(void **state) {
  (void)state;
  tw_batch batch, slice;
  tw_batch_init(&batch);
  tw_batch_init(&slice);
  for (int i = 0; i < 200; i++) add_line(&batch, i % 2 ? "{\"odd\":1}\n" : "{}\n", "", 0);
  batch.deadline_ns = 77;
  assert_true(tw_batch_slice(&batch, 3, 100, &slice));
  assert_int_equal(tw_batch_count(&slice), 100);
  assert_int_equal(slice.bytes, 50 * 9 + 50 * 2);
  assert_int_equal(slice.deadline_ns, 77);
  assert_json(event_at(&slice, 0), "{\"odd\":1}");
  assert_true(tw_batch_slice(&batch, 0, 1, &slice));
  assert_int_equal(tw_batch_count(&slice), 1);
  tw_batch_fini(&slice);
  tw_batch_fini(&batch);
}

static void the_time_that_is_left_ends_at_zero(void **state) {
  (void)state;
  tw_batch batch;
  tw_batch_init(&batch);
  assert_int_equal(tw_batch_time_left(&batch), -1);
  batch.deadline_ns = tw_clock_monotonic_ns() + 3600000000000;
  assert_in_range(tw_batch_time_left(&batch), 3590000, 3600000);
  batch.deadline_ns = 1;
  assert_int_equal(tw_batch_time_left(&batch), 0);
  batch.deadline_ns = UINT64_MAX;
  assert_int_equal(tw_batch_time_left(&batch), INT32_MAX);
  tw_batch_fini(&batch);
}

/* --------------------------------------------------------------- the events */

static void an_event_is_read_from_its_line_alone(void **state) {
  (void)state;
  tw_batch batch;
  tw_batch_init(&batch);
  const char *lines = "{\"a\":[1,{\"b\":\"c\"}]}\n{\"d\":2}\n";
  add_line(&batch, lines, "one", TW_PRIORITY_HIGH);
  add_line(&batch, lines + 20, "two", TW_PRIORITY_LOW);
  tw_event *event = event_at(&batch, 0);
  assert_json(event, "{\"a\":[1,{\"b\":\"c\"}]}");
  assert_id(event, "one");
  assert_int_equal(tw_event_priority(event), TW_PRIORITY_HIGH);
  event = event_at(&batch, 1);
  assert_json(event, "{\"d\":2}");
  assert_id(event, "two");
  assert_int_equal(tw_event_priority(event), TW_PRIORITY_LOW);
  assert_json(event_at(&batch, 0), "{\"a\":[1,{\"b\":\"c\"}]}");
  tw_batch_clear(&batch);
  tw_batch_fini(&batch);
}

/* It must not be refused on its way out when it was let in. */
static void no_limit_refuses_what_was_an_event(void **state) {
  (void)state;
  enum { DEPTH = 900, WIDE = 17 << 20 };
  tw_batch batch;
  tw_batch_init(&batch);
  char *deep = calloc(1, 8 * DEPTH + 8), *at = deep;
  for (int i = 0; i < DEPTH; i++) at = stpcpy(at, "{\"a\":");
  at = stpcpy(at, "1");
  for (int i = 0; i < DEPTH; i++) at = stpcpy(at, "}");
  strcpy(at, "\n");
  char *wide = malloc(WIDE + 16);
  memset(wide, 'x', WIDE + 16);
  memcpy(wide, "{\"a\":\"", 6);
  memcpy(wide + WIDE, "\"}\n", 4);
  add_line(&batch, deep, "deep", 0);
  add_line(&batch, wide, "wide", 0);
  assert_id(event_at(&batch, 0), "deep");
  size_t len = strlen(deep) - 1;
  assert_int_equal(tw_event_set_json(&batch.event, "b", deep, len, NULL), TW_OK);
  assert_id(event_at(&batch, 1), "wide");
  tw_batch_fini(&batch);
  free(deep);
  free(wide);
}

/* As it was before it was stored: an id of the JSON's own, or none, yields to an edit of it. */
static void an_id_stands_or_yields_as_before(void **state) {
  (void)state;
  const struct {
    const char *line, *id, *after;
  } cases[] = {
      {"{\"id\":\"own\"}\n", "own", "new"},
      {"{\"id\":\"o\\u0077n\"}\n", "own", "new"},
      {"{}\n", "made", "new"},
      {"{\"id\":\"own\"}\n", "own/1", "own/1"},
  };
  tw_batch batch;
  tw_batch_init(&batch);
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    add_line(&batch, cases[i].line, cases[i].id, 0);
    tw_event *event = event_at(&batch, i);
    assert_id(event, cases[i].id);
    assert_int_equal(tw_event_set_string(event, "id", "new", 3, NULL), TW_OK);
    assert_id(event, cases[i].after);
  }
  tw_batch_fini(&batch);
}

static void what_is_no_event_is_told_and_the_next_one_is_read(void **state) {
  (void)state;
  char long_id[TW_ID_MAX + 1];
  tw_batch batch;
  tw_event *event = (tw_event *)&batch;
  tw_batch_init(&batch);
  memset(long_id, 'x', TW_ID_MAX);
  long_id[TW_ID_MAX] = '\0';
  add_line(&batch, "{\"a\":\n", "", 0);
  add_line(&batch, "{}\n", long_id, 0);
  add_line(&batch, "{}\n", "ok", 0);
  assert_int_equal(tw_batch_event(&batch, 0, &event, NULL), TW_EJSON);
  assert_null(event);
  assert_int_equal(tw_batch_event(&batch, 1, &event, NULL), TW_ELIMIT);
  assert_null(event);
  assert_id(event_at(&batch, 2), "ok");
  tw_batch_fini(&batch);
}

/* --------------------------------------------------------------- priorities */

static void a_priority_goes_with_copies_and_is_no_part_of_the_json(void **state) {
  (void)state;
  tw_event *event, *copy;
  assert_int_equal(tw_event_parse("{\"a\":1}", 7, NULL, &event, NULL), TW_OK);
  assert_int_equal(tw_event_priority(event), TW_PRIORITY_NORMAL);
  tw_event_set_priority(event, TW_PRIORITY_HIGH);
  assert_int_equal(tw_event_copy(event, &copy, NULL), TW_OK);
  assert_int_equal(tw_event_priority(copy), TW_PRIORITY_HIGH);
  tw_event_set_priority(copy, TW_PRIORITY_LOW);
  assert_int_equal(tw_event_priority(event), TW_PRIORITY_HIGH);
  assert_int_equal(tw_event_replace(copy, "{}", 2, NULL), TW_OK);
  assert_int_equal(tw_event_priority(copy), TW_PRIORITY_LOW);
  assert_json(event, "{\"a\":1}");
  tw_event_free(copy);
  tw_event_free(event);
}

static void a_priority_belongs_to_a_branch_and_is_undone_with_it(void **state) {
  (void)state;
  tw_event *event;
  assert_int_equal(tw_event_parse("{\"a\":1}", 7, NULL, &event, NULL), TW_OK);
  tw_event_set_priority(event, TW_PRIORITY_LOW);
  tw_event fork = tw_event_fork(event);
  assert_int_equal(tw_event_priority(&fork), TW_PRIORITY_LOW);
  tw_event_set_priority(event, (tw_priority)99);
  assert_int_equal(tw_event_priority(event), TW_PRIORITY_HIGH);
  tw_event_restore(event, &fork);
  assert_int_equal(tw_event_priority(event), TW_PRIORITY_LOW);
  tw_event_free(event);
}

static tw_verdict raise_priority(void *self, tw_event *event, tw_split *split,
                                 tw_error *error) {
  (void)self;
  tw_event_set_priority(event, TW_PRIORITY_HIGH);
  tw_split_add(split, event);
  return tw_split_add_json(split, "{\"piece\":2}", 11, error) ? TW_FAIL : TW_SPLIT;
}

static void note_priority(probe *p, tw_event *event) {
  log_add(p->log, "%d", tw_event_priority(event));
}

static void pieces_of_a_split_event_have_its_priority(void **state) {
  (void)state;
  static const tw_processor_ops ops = {raise_priority, NULL};
  static probe_log log;
  probe p = {.name = "a", .log = &log, .inside = note_priority};
  tw_processor *processor;
  tw_router *router = new_router();
  assert_int_equal(tw_processor_new("raise", &ops, NULL, TW_ON_ERROR_PASS, &processor, NULL),
                   TW_OK);
  assert_int_equal(tw_router_add_processor(router, processor, NULL), TW_OK);
  add_probe(router, &p);
  assert_int_equal(tw_router_open(router, NULL), TW_OK);
  log_clear(&log);
  assert_int_equal(send_json(router, "{}"), TW_OK);
  assert_log(&log, "a:{} 1 a:{\"piece\":2} 1 ");
  tw_router_unref(router);
}

/* ------------------------------------------------------------------- memory */

static tw_status use_batch(void *self) {
  (void)self;
  tw_batch batch, slice;
  tw_event *event;
  tw_batch_init(&batch);
  tw_batch_init(&slice);
  tw_batch_item item = {.text = "{\"id\":\"\\u0061\"}\n", .len = 15, .id = "b", .id_len = 1};
  tw_status status = tw_batch_add(&batch, &item) && tw_batch_slice(&batch, 0, 1, &slice)
                         ? tw_batch_event(&slice, 0, &event, NULL)
                         : TW_ENOMEM;
  tw_batch_fini(&slice);
  tw_batch_fini(&batch);
  return status;
}

static void without_memory_nothing_is_left_behind(void **state) {
  (void)state;
  assert_true(tw_oom_fail_each(use_batch, NULL) >= 4);
}

static void a_batch_that_is_filled_again_needs_no_memory(void **state) {
  (void)state;
  tw_batch batch;
  size_t calls = 0;
  tw_batch_init(&batch);
  for (int round = 0; round < 5; round++) {
    if (round == 2) calls = tw_oom_calls();
    tw_batch_clear(&batch);
    for (size_t i = 0; i < 100; i++) {
      add_line(&batch, "{\"a\":[1,2,{\"b\":null}],\"c\":\"d\"}\n", "id", 0);
      event_at(&batch, i);
    }
  }
  assert_int_equal(tw_oom_calls(), calls);
  tw_batch_fini(&batch);
}

#define TEST(name) cmocka_unit_test_teardown(name, tw_oom_leaves_nothing)

int main(void) {
  tw_oom_install();
  const struct CMUnitTest tests[] = {
      TEST(a_batch_tells_its_events_texts_and_ids),
      TEST(lines_that_lie_together_are_told_together),
      TEST(a_slice_has_the_items_of_its_part),
      TEST(the_time_that_is_left_ends_at_zero),
      TEST(an_event_is_read_from_its_line_alone),
      TEST(no_limit_refuses_what_was_an_event),
      TEST(an_id_stands_or_yields_as_before),
      TEST(what_is_no_event_is_told_and_the_next_one_is_read),
      TEST(a_priority_goes_with_copies_and_is_no_part_of_the_json),
      TEST(a_priority_belongs_to_a_branch_and_is_undone_with_it),
      TEST(pieces_of_a_split_event_have_its_priority),
      TEST(without_memory_nothing_is_left_behind),
      TEST(a_batch_that_is_filled_again_needs_no_memory),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
