#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "delivery/delivery.h"
#include "support/oom.h"

#define MS UINT64_C(1000000)

static tw_status read_both(const char *own, const char *common, tw_delivery_options *out,
                           tw_error *error) {
  return tw_delivery_options_read(own, own ? strlen(own) : 0, common,
                                  common ? strlen(common) : 0, "backends.db", out, error);
}

static tw_delivery_options read_good(const char *own, const char *common) {
  tw_delivery_options options;
  tw_error error = {.message = ""};
  if (read_both(own, common, &options, &error)) fail_msg("%s", error.message);
  return options;
}

static void assert_refused(const char *own, const char *message) {
  tw_delivery_options options;
  tw_error error;
  tw_status status = read_both(own, NULL, &options, &error);
  assert_string_equal(error.message, message);
  assert_int_equal(status, TW_EINVAL);
}

static void nothing_given_means_the_defaults(void **state) {
  (void)state;
  tw_delivery_options options = read_good(NULL, NULL);
  assert_int_equal(options.batch_events, 1000);
  assert_int_equal(options.batch_bytes, 1 << 20);
  assert_int_equal(options.batch_ns, 0);
  assert_int_equal(options.retry_min_ns, 100 * MS);
  assert_int_equal(options.retry_max_ns, 30000 * MS);
  assert_int_equal(options.attempts, 0);
  assert_int_equal(options.breaker_failures, 5);
  assert_int_equal(options.breaker_rest_ns, 5000 * MS);
  assert_int_equal(options.breaker_probes, 1);
  assert_int_equal(options.timeout_ns, 30000 * MS);
  assert_int_equal(options.max_in_flight, 1);
  assert_int_equal(options.bounds.max_events, 100000);
  assert_int_equal(options.bounds.max_bytes, 64 << 20);
  assert_int_equal(options.bounds.overload, TW_OVERLOAD_BLOCK);
  assert_false(options.has_max_events || options.has_max_bytes);
}

static void every_option_is_read(void **state) {
  (void)state;
  tw_delivery_options options = read_good(
      "{\"batch\":{\"events\":10,\"bytes\":\"1KiB\",\"seconds\":0.5},"
      "\"retry\":{\"min\":\"10ms\",\"max\":\"1m\",\"attempts\":7},"
      "\"breaker\":{\"failures\":9,\"rest\":2,\"probes\":3},"
      "\"timeout\":\"1s\",\"max_in_flight\":4,"
      "\"max_events\":50,\"max_bytes\":\"2MiB\",\"overload\":\"drop_oldest\"}",
      NULL);
  assert_int_equal(options.batch_events, 10);
  assert_int_equal(options.batch_bytes, 1024);
  assert_int_equal(options.batch_ns, 500 * MS);
  assert_int_equal(options.retry_min_ns, 10 * MS);
  assert_int_equal(options.retry_max_ns, 60000 * MS);
  assert_int_equal(options.attempts, 7);
  assert_int_equal(options.breaker_failures, 9);
  assert_int_equal(options.breaker_rest_ns, 2000 * MS);
  assert_int_equal(options.breaker_probes, 3);
  assert_int_equal(options.timeout_ns, 1000 * MS);
  assert_int_equal(options.max_in_flight, 4);
  assert_int_equal(options.bounds.max_events, 50);
  assert_int_equal(options.bounds.max_bytes, 2 << 20);
  assert_int_equal(options.bounds.overload, TW_OVERLOAD_OLDEST);
}

static void what_is_particular_goes_before_what_is_common(void **state) {
  (void)state;
  tw_delivery_options options =
      read_good("{\"batch\":{\"events\":5},\"overload\":\"drop_newest\"}",
                "{\"batch\":{\"events\":6,\"bytes\":7},\"timeout\":\"none\","
                "\"overload\":\"drop_oldest\",\"max_events\":\"none\"}");
  assert_int_equal(options.batch_events, 5);
  assert_int_equal(options.batch_bytes, 7);
  assert_int_equal(options.timeout_ns, 0);
  assert_int_equal(options.bounds.max_events, 0);
  assert_true(options.has_max_events);
  assert_false(options.has_max_bytes);
  assert_int_equal(options.bounds.overload, TW_OVERLOAD_NEWEST);
}

static void none_means_no_limit(void **state) {
  (void)state;
  tw_delivery_options options = read_good(
      "{\"timeout\":\"none\",\"max_events\":\"none\",\"max_bytes\":\"none\","
      "\"retry\":{\"attempts\":\"none\"}}",
      "{\"retry\":{\"attempts\":3}}");
  assert_int_equal(options.timeout_ns, 0);
  assert_int_equal(options.bounds.max_events, 0);
  assert_int_equal(options.bounds.max_bytes, 0);
  assert_int_equal(options.attempts, 0);
}

static void messages_name_the_backend_and_the_option(void **state) {
  (void)state;
  assert_refused("{\"batch\":{\"events\":0}}",
                 "backends.db: option \"batch.events\": expected 1 to 1000000");
  assert_refused("{\"batch\":{\"event\":1}}",
                 "backends.db: unknown option \"batch.event\"; did you mean \"batch.events\"?");
  assert_refused("{\"retry\":{\"min\":\"0ms\"}}",
                 "backends.db: option \"retry.min\": expected 1ms to 1d");
  assert_refused("{\"retry\":{\"min\":\"2m\"}}",
                 "backends.db: option \"retry.min\": 120s is more than \"retry.max\", 30s");
  assert_refused("{\"max_in_flight\":65}",
                 "backends.db: option \"max_in_flight\": expected 1 to 64");
  assert_refused("{\"timeout\":\"0s\"}",
                 "backends.db: option \"timeout\": expected 1ms to 1d, or \"none\"");
  assert_refused("{\"overload\":\"drop\"}",
                 "backends.db: option \"overload\": expected \"block\", \"drop_newest\" or "
                 "\"drop_oldest\", got \"drop\"");
}

static void what_is_common_is_named_as_such(void **state) {
  (void)state;
  tw_delivery_options options;
  tw_error error;
  assert_int_equal(read_both(NULL, "{\"breaker\":{\"probes\":0}}", &options, &error),
                   TW_EINVAL);
  assert_string_equal(error.message, "delivery: option \"breaker.probes\": expected 1 to 1000");
  assert_int_equal(read_both("{", NULL, &options, &error), TW_EJSON);
  assert_memory_equal(error.message, "backends.db: options: ", 22);
}

/* The breaker would rest before an event has had its last try. */
static void the_breaker_takes_more_failures_than_there_are_tries(void **state) {
  (void)state;
  tw_delivery_options options = read_good("{\"retry\":{\"attempts\":4}}", NULL);
  assert_int_equal(options.breaker_failures, 5);
  options = read_good("{\"retry\":{\"attempts\":10}}", NULL);
  assert_int_equal(options.breaker_failures, 11);
  assert_refused("{\"retry\":{\"attempts\":10},\"breaker\":{\"failures\":10}}",
                 "backends.db: option \"retry.attempts\": 10 tries are never made, as the "
                 "breaker rests after 10 failures: give \"breaker.failures\" more than that");
}

/* Some of what is allocated only makes finding faster: then it is right without. */
static void reading_survives_every_failed_allocation(void **state) {
  (void)state;
  for (size_t n = 0, failed = 1; failed; n++) {
    tw_delivery_options options;
    size_t before = tw_oom_live();
    tw_oom_fail_at(n);
    tw_status status = read_both("{\"overload\":\"drop_newest\"}", "{\"batch\":{\"events\":3}}",
                                 &options, NULL);
    failed = tw_oom_off();
    assert_int_equal(tw_oom_live(), before);
    assert_true(status == TW_OK || (failed && status == TW_ENOMEM));
    if (status) continue;
    assert_int_equal(options.batch_events, 3);
    assert_int_equal(options.bounds.overload, TW_OVERLOAD_NEWEST);
  }
}

int main(void) {
  tw_oom_install();
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(nothing_given_means_the_defaults),
      cmocka_unit_test(every_option_is_read),
      cmocka_unit_test(what_is_particular_goes_before_what_is_common),
      cmocka_unit_test(none_means_no_limit),
      cmocka_unit_test(messages_name_the_backend_and_the_option),
      cmocka_unit_test(what_is_common_is_named_as_such),
      cmocka_unit_test(the_breaker_takes_more_failures_than_there_are_tries),
      cmocka_unit_test(reading_survives_every_failed_allocation),
  };
  return cmocka_run_group_tests(tests, NULL, tw_oom_leaves_nothing);
}
