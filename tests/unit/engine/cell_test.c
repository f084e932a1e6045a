/* What waits in queues: events that cross from thread to thread as text. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "engine/cell.h"
#include "support/oom.h"

static const tw_limits limits = {.max_depth = 4, .max_size = 40};

static tw_event *parse(const char *json) {
  tw_event *event;
  assert_int_equal(tw_event_parse(json, strlen(json), NULL, &event, NULL), TW_OK);
  return event;
}

static void assert_json(tw_event *event, const char *expected) {
  const char *json;
  size_t len;
  assert_int_equal(tw_event_json(event, &json, &len), TW_OK);
  assert_string_equal(json, expected);
}

static void a_copy_keeps_the_edits_and_the_id(void **state) {
  (void)state;
  tw_cells cells;
  tw_cell *cell;
  tw_event opened, *event = parse("{\"a\":1, \"b\":2}");
  tw_store store = {0};
  const char *id;
  char kept[40];
  size_t len;
  tw_cells_init(&cells, &limits);
  tw_store_init(&store, &limits);
  assert_int_equal(tw_event_set_bool(event, "a", true, NULL), TW_OK);
  assert_int_equal(tw_cells_copy(&cells, event, &cell, NULL), TW_OK);
  assert_int_equal(tw_event_id(event, &id, &len), TW_OK);
  strcpy(kept, id);
  tw_event_free(event);
  assert_int_equal(tw_cell_open(cell, &store, &opened, NULL), TW_OK);
  assert_json(&opened, "{\"a\":true, \"b\":2}");
  assert_int_equal(tw_event_id(&opened, &id, &len), TW_OK);
  assert_string_equal(id, kept);
  tw_event_end(&opened);
  tw_cells_put(&cells, &cell, 1);
  tw_store_fini(&store);
  tw_cells_fini(&cells);
}

/* The second has the first one's cell, and an id of its own. */
static void a_cell_that_comes_back_forgets_the_id(void **state) {
  (void)state;
  tw_cells cells;
  tw_cell *first, *second;
  tw_event opened, read, *event = parse("{\"a\":1}");
  tw_store store = {0};
  tw_cells_init(&cells, &limits);
  tw_store_init(&store, &limits);
  assert_int_equal(tw_cells_copy(&cells, event, &first, NULL), TW_OK);
  tw_cells_put(&cells, &first, 1);
  tw_store *lease = tw_cells_lease(&cells);
  assert_int_equal(tw_cells_parse(&cells, lease, "{\"b\":2}", 7, &read, &second, NULL), TW_OK);
  tw_event_end(&read);
  tw_cells_return(&cells, lease);
  assert_ptr_equal(second, first);
  assert_int_equal(tw_cell_open(second, &store, &opened, NULL), TW_OK);
  assert_json(&opened, "{\"b\":2}");
  assert_int_equal(opened.id->len, 0);
  tw_event_end(&opened);
  tw_cells_put(&cells, &second, 1);
  tw_event_free(event);
  tw_store_fini(&store);
  tw_cells_fini(&cells);
}

/* Limits are for what is read; an event that its host has made may be longer and deeper. */
static void limits_hold_for_json_and_not_for_events(void **state) {
  (void)state;
  static const char *const deep =
      "{\"a\":[[[[[[[[[[[1]]]]]]]]]]],\"long\":\"0123456789abcdef\"}";
  tw_cells cells;
  tw_cell *cell;
  tw_event opened, *event = parse(deep);
  tw_store store = {0};
  tw_cells_init(&cells, &limits);
  tw_store_init(&store, &limits);
  tw_store *lease = tw_cells_lease(&cells);
  assert_int_equal(tw_cells_parse(&cells, lease, deep, strlen(deep), &opened, &cell, NULL),
                   TW_ELIMIT);
  assert_int_equal(tw_cells_parse(&cells, lease, "{\"a\":[[[[1]]]]}", 15, &opened, &cell, NULL),
                   TW_ELIMIT);
  tw_cells_return(&cells, lease);
  assert_int_equal(tw_cells_copy(&cells, event, &cell, NULL), TW_OK);
  assert_int_equal(tw_cell_open(cell, &store, &opened, NULL), TW_OK);
  assert_json(&opened, deep);
  tw_event_end(&opened);
  tw_cells_put(&cells, &cell, 1);
  tw_event_free(event);
  tw_store_fini(&store);
  tw_cells_fini(&cells);
}

/* Everything that crosses, from the first allocation on. */
static tw_status cross(void *self) {
  tw_cells cells;
  tw_cell *cell = NULL;
  tw_event read;
  tw_store own = {0};
  tw_status status = TW_ENOMEM;
  tw_cells_init(&cells, &limits);
  tw_store_init(&own, &limits);
  tw_store *lease = tw_cells_lease(&cells);
  if (lease) {
    status = tw_cells_parse(&cells, lease, "{\"n\":[1,2]}", 11, &read, &cell, NULL);
    if (status == TW_OK) tw_event_end(&read);
    tw_cells_return(&cells, lease);
  }
  if (cell) tw_cells_put(&cells, &cell, 1);
  if (status == TW_OK) status = tw_cells_copy(&cells, self, &cell, NULL);
  if (status == TW_OK) {
    status = tw_cell_open(cell, &own, &read, NULL);
    if (status == TW_OK) tw_event_end(&read);
    tw_cells_put(&cells, &cell, 1);
  }
  tw_store_fini(&own);
  tw_cells_fini(&cells);
  return status;
}

static void an_event_crosses_or_memory_ran_out(void **state) {
  (void)state;
  tw_event *event = parse("{\"title\":\"an event that is longer than the first one\"}");
  assert_true(tw_oom_fail_each(cross, event) >= 5);
  tw_event_free(event);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_copy_keeps_the_edits_and_the_id),
      cmocka_unit_test(a_cell_that_comes_back_forgets_the_id),
      cmocka_unit_test(limits_hold_for_json_and_not_for_events),
      cmocka_unit_test(an_event_crosses_or_memory_ran_out),
  };
  tw_oom_install();
  return cmocka_run_group_tests(tests, NULL, tw_oom_leaves_nothing);
}
