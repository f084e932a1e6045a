#include <pthread.h>

#include "support/oom.h"
#include "tools.h"

static void events_are_kept_in_order_as_copies(void **state) {
  (void)state;
  tw_backend *backend = open_backend("memory", "{}");
  tw_event *event = make_event("{\"name\":\"a\"}");
  assert_int_equal(tw_backend_send(backend, event, 0, NULL), TW_OK);
  assert_int_equal(tw_event_set_string(event, "name", "b", 1, NULL), TW_OK);
  assert_int_equal(tw_backend_send(backend, event, 0, NULL), TW_OK);
  tw_event_free(event);

  static const char *const expected[] = {"{\"name\":\"a\"}", "{\"name\":\"b\"}"};
  size_t count, len;
  assert_int_equal(tw_memory_count(backend, &count), TW_OK);
  assert_int_equal(count, 2);
  for (size_t i = 0; i < count; i++) {
    tw_event *kept;
    const char *json;
    assert_int_equal(tw_memory_get(backend, i, &kept), TW_OK);
    assert_int_equal(tw_event_json(kept, &json, &len), TW_OK);
    assert_string_equal(json, expected[i]);
    tw_event_free(kept);
  }
  close_backend(backend);
}

static void a_kept_event_keeps_its_id(void **state) {
  (void)state;
  tw_backend *backend = open_backend("memory", "{}");
  tw_event *event = make_event("{}"), *kept;
  const char *id, *kept_id;
  size_t len, kept_len;
  assert_int_equal(tw_event_id(event, &id, &len), TW_OK);
  assert_int_equal(tw_backend_send(backend, event, 0, NULL), TW_OK);
  assert_int_equal(tw_memory_get(backend, 0, &kept), TW_OK);
  assert_int_equal(tw_event_id(kept, &kept_id, &kept_len), TW_OK);
  assert_int_equal(kept_len, len);
  assert_memory_equal(kept_id, id, len);
  tw_event_free(kept);
  tw_event_free(event);
  close_backend(backend);
}

static void a_full_backend_refuses_each_event_and_says_so(void **state) {
  (void)state;
  tw_error error;
  tw_backend *backend = open_backend("memory", "{\"limit\":2}");
  send_json(backend, "{}", 0);
  send_json(backend, "{}", 0);
  for (int i = 0; i < 3; i++) {
    assert_int_equal(try_send(backend, "{}", 0, &error), TW_ELIMIT);
    assert_says(&error, "holds 2 events");
  }
  assert_int_equal(stats_of(backend).sent, 2);
  assert_int_equal(stats_of(backend).failed, 3);
  close_backend(backend);
}

static void events_stay_after_close(void **state) {
  (void)state;
  size_t count;
  uint64_t lost;
  tw_backend *backend = open_backend("memory", "{}");
  send_json(backend, "{}", TW_MORE);
  assert_int_equal(tw_backend_unuse(backend, &lost, NULL), TW_OK);
  assert_int_equal(tw_memory_count(backend, &count), TW_OK);
  assert_int_equal(count, 1);
  tw_backend_unref(backend);
}

static void only_a_memory_backend_can_be_looked_into(void **state) {
  (void)state;
  size_t count;
  tw_event *event;
  tw_backend *null = make_backend("null", "{}"), *memory = make_backend("memory", "{}");
  assert_int_equal(tw_memory_count(null, &count), TW_ETYPE);
  assert_int_equal(tw_memory_get(null, 0, &event), TW_ETYPE);
  assert_int_equal(tw_memory_get(memory, 0, &event), TW_ENOENT);
  assert_null(event);
  tw_backend_unref(null);
  tw_backend_unref(memory);
}

enum { THREADS = 4, EACH = 500 };

static void *send_many(void *backend) {
  for (int i = 0; i < EACH; i++) {
    size_t count;
    tw_event *kept;
    send_json(backend, "{\"data\":{\"n\":1}}", 0);
    tw_memory_count(backend, &count);
    assert_int_equal(tw_memory_get(backend, count - 1, &kept), TW_OK);
    tw_event_free(kept);
  }
  return NULL;
}

static void threads_may_send_and_look_at_the_same_time(void **state) {
  (void)state;
  pthread_t threads[THREADS];
  size_t count;
  tw_backend *backend = open_backend("memory", "{}");
  for (int i = 0; i < THREADS; i++) pthread_create(&threads[i], NULL, send_many, backend);
  for (int i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
  tw_memory_count(backend, &count);
  assert_int_equal(count, THREADS * EACH);
  close_backend(backend);
}

static void without_memory_an_event_is_refused_and_nothing_is_lost(void **state) {
  (void)state;
  size_t before = tw_oom_live();
  for (size_t n = 0, failed = 1; failed; n++) {
    size_t count;
    tw_backend *backend = open_backend("memory", "{}");
    tw_event *event = make_event("{\"data\":[1,2,3]}");
    tw_oom_fail_at(n);
    tw_status status = tw_backend_send(backend, event, 0, NULL);
    failed = tw_oom_off();
    assert_true(status == TW_OK || (failed && status == TW_ENOMEM));
    tw_memory_count(backend, &count);
    assert_int_equal(count, status == TW_OK);
    tw_event_free(event);
    close_backend(backend);
  }
  assert_int_equal(tw_oom_live(), before);
}

static void a_null_backend_counts_what_it_is_sent(void **state) {
  (void)state;
  tw_backend *backend = open_backend("null", "{}");
  for (int i = 0; i < 7; i++) send_json(backend, "{}", TW_MORE);
  flush_it(backend);
  assert_int_equal(stats_of(backend).sent, 7);
  assert_int_equal(stats_of(backend).failed, 0);
  close_backend(backend);
}

int main(void) {
  tw_oom_install();
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(events_are_kept_in_order_as_copies),
      cmocka_unit_test(a_kept_event_keeps_its_id),
      cmocka_unit_test(a_full_backend_refuses_each_event_and_says_so),
      cmocka_unit_test(events_stay_after_close),
      cmocka_unit_test(only_a_memory_backend_can_be_looked_into),
      cmocka_unit_test(threads_may_send_and_look_at_the_same_time),
      cmocka_unit_test(without_memory_an_event_is_refused_and_nothing_is_lost),
      cmocka_unit_test(a_null_backend_counts_what_it_is_sent),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
