/// Batches to memory and to nowhere.
#include "support/oom.h"

#include "batches.h"

static void assert_kept(tw_backend *backend, int count) {
  size_t kept;
  assert_int_equal(tw_memory_count(backend, &kept), TW_OK);
  assert_int_equal(kept, count);
  for (int i = 0; i < count; i++) {
    tw_event *event;
    const char *id;
    char expected[ID_ROOM];
    size_t len;
    snprintf(expected, sizeof expected, "e%d", i);
    assert_int_equal(tw_memory_get(backend, (size_t)i, &event), TW_OK);
    assert_int_equal(tw_event_id(event, &id, &len), TW_OK);
    assert_string_equal(id, expected);
    tw_event_free(event);
  }
}

static void a_memory_backend_keeps_a_batch_in_order(void **state) {
  (void)state;
  tw_backend *backend = open_backend("memory", "{}");
  lines l = make_lines(0, 50, 10, 7);
  deliver_all(backend, &l);
  free_lines(&l);
  assert_kept(backend, 50);
  close_backend(backend);
}

static void a_kept_event_has_the_priority_it_was_routed_with(void **state) {
  (void)state;
  tw_backend *backend = open_backend("memory", "{}");
  lines l = make_lines(0, 1, 10, 0);
  tw_event *event;
  l.batch.items[0].priority = TW_PRIORITY_HIGH;
  deliver_all(backend, &l);
  free_lines(&l);
  assert_int_equal(tw_memory_get(backend, 0, &event), TW_OK);
  assert_int_equal(tw_event_priority(event), TW_PRIORITY_HIGH);
  tw_event_free(event);
  close_backend(backend);
}

static void a_full_memory_backend_keeps_the_first_and_says_how_many(void **state) {
  (void)state;
  tw_backend *backend = open_backend("memory", "{\"limit\":3}");
  lines l = make_lines(0, 5, 10, 0);
  tw_delivered done;
  tw_error error = {.message = ""};
  assert_int_equal(deliver(backend, &l, 0, &done, &error), TW_ELIMIT);
  assert_int_equal(done.count, 3);
  assert_says(&error, "memory: holds 3 events, its limit");
  assert_kept(backend, 3);
  assert_int_equal(stats_of(backend).sent, 3);
  assert_int_equal(stats_of(backend).failed, 0);
  close_backend(backend);
  free_lines(&l);
}

static void without_memory_those_before_are_kept_and_the_rest_may_come_again(void **state) {
  (void)state;
  size_t before = tw_oom_live();
  for (size_t n = 0, failed = 1; failed; n++) {
    tw_backend *backend = open_backend("memory", "{}");
    lines l = make_lines(0, 5, 10, 0);
    tw_delivered done, rest;
    tw_oom_fail_at(n);
    tw_status status = tw_backend_deliver(backend, &l.batch, &done, NULL);
    failed = tw_oom_off();
    /* One that only fails to give memory back does no harm. */
    assert_true(status == TW_OK || (failed && status == TW_ENOMEM));
    assert_kept(backend, (int)done.count);
    if (status) assert_int_equal(deliver(backend, &l, done.count, &rest, NULL), TW_OK);
    assert_kept(backend, 5);
    close_backend(backend);
    free_lines(&l);
    assert_int_equal(tw_oom_live(), before);
  }
}

static void a_null_backend_counts_batches_without_memory(void **state) {
  (void)state;
  tw_backend *backend = open_backend("null", "{}");
  lines l = make_lines(0, 50, 10, 7);
  tw_delivered done;
  size_t calls = tw_oom_calls();
  assert_int_equal(tw_backend_deliver(backend, &l.batch, &done, NULL), TW_OK);
  assert_int_equal(tw_oom_calls(), calls);
  assert_int_equal(stats_of(backend).sent, 50);
  close_backend(backend);
  free_lines(&l);
}

static void take_nothing(void *self) { (void)self; }

static tw_status send_nothing(void *self, tw_event *event, unsigned flags, tw_error *error) {
  (void)self, (void)event, (void)flags, (void)error;
  return TW_OK;
}

static void a_front_shows_the_kind_behind_it_and_lets_it_be_looked_into(void **state) {
  (void)state;
  const tw_backend_ops ops = {.send = send_nothing, .free = take_nothing};
  tw_backend *backend = open_backend("memory", "{}"), *front;
  lines l = make_lines(0, 4, 10, 0);
  assert_int_equal(tw_backend_new_front(&ops, NULL, backend, &front, NULL), TW_OK);
  deliver_all(backend, &l);
  assert_string_equal(tw_backend_kind_name(front), "memory");
  assert_kept(front, 4);
  close_backend(backend);
  assert_kept(front, 4);
  tw_backend_unref(front);
  free_lines(&l);
}

static void a_front_writes_into_what_the_file_behind_it_does(void **state) {
  (void)state;
  const tw_backend_ops ops = {.send = send_nothing};
  struct stat st;
  tw_backend *backend = make_backend("file", "{\"path\":\"@/a\"}"), *front;
  assert_int_equal(tw_backend_new_front(&ops, NULL, backend, &front, NULL), TW_OK);
  write_all(in_folder("a"), "");
  assert_int_equal(stat(in_folder("a"), &st), 0);
  assert_true(tw_backend_writes_into(front, &st));
  assert_int_equal(stat(folder, &st), 0);
  assert_false(tw_backend_writes_into(front, &st));
  tw_backend_unref(backend);
  tw_backend_unref(front);
}

#define IN_FOLDER(name) cmocka_unit_test_setup_teardown(name, make_folder, remove_folder)

int main(void) {
  tw_oom_install();
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_memory_backend_keeps_a_batch_in_order),
      cmocka_unit_test(a_kept_event_has_the_priority_it_was_routed_with),
      cmocka_unit_test(a_full_memory_backend_keeps_the_first_and_says_how_many),
      cmocka_unit_test(without_memory_those_before_are_kept_and_the_rest_may_come_again),
      cmocka_unit_test(a_null_backend_counts_batches_without_memory),
      cmocka_unit_test(a_front_shows_the_kind_behind_it_and_lets_it_be_looked_into),
      IN_FOLDER(a_front_writes_into_what_the_file_behind_it_does),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
