#include "core/kind.h"

#include <stdlib.h>
#include <time.h>

#include "core/regex.h"
#include "core/units.h"
#include "unit/core/probe.h"

/* ----------------------------------------------------------------- options */

static const tw_option declared[] = {
    {"path", TW_OPTION_STRING, true},           {"append", TW_OPTION_BOOL, false},
    {"count", TW_OPTION_INTEGER, false},        {"rotate_size", TW_OPTION_SIZE, false},
    {"rotate_time", TW_OPTION_DURATION, false}, {"names", TW_OPTION_LIST, false},
};

static tw_status check(const char *json, tw_event **event, tw_error *error) {
  assert_int_equal(tw_event_parse(json, strlen(json), NULL, event, NULL), TW_OK);
  return tw_options_check(*event, "file", declared, sizeof declared / sizeof *declared, error);
}

static void wrong_options_are_told_with_the_next_step(void **state) {
  (void)state;
  static const struct {
    const char *json, *message;
  } cases[] = {
      {"{\"pth\":\"x\"}", "file: unknown option \"pth\"; did you mean \"path\"?"},
      {"{\"path\":\"x\",\"colour\":1}",
       "file: unknown option \"colour\"; known: path, append, count, rotate_size, "
       "rotate_time, names"},
      {"{}", "file: option \"path\" is missing; give a text that is not empty"},
      {"{\"path\":\"\"}", "file: option \"path\": expected a text that is not empty, got \"\""},
      {"{\"path\":\"a\\u0000b\"}",
       "file: option \"path\": expected a text that is not empty, got \"a\\u0000b\""},
      {"{\"path\":\"x\",\"rotate_size\":true}",
       "file: option \"rotate_size\": expected a size such as \"64MiB\", got true"},
      {"{\"path\":\"x\",\"rotate_size\":-1}",
       "file: option \"rotate_size\": expected a size such as \"64MiB\", got -1"},
      {"{\"path\":\"x\",\"rotate_size\":\"64 parsec\"}",
       "file: option \"rotate_size\": expected a size such as \"64MiB\", got \"64 parsec\""},
      {"{\"path\":\"x\",\"rotate_time\":\"10\"}",
       "file: option \"rotate_time\": expected a duration such as \"10s\", got \"10\""},
      {"{\"path\":\"x\",\"count\":1.5}",
       "file: option \"count\": expected a whole number that is not negative, got 1.5"},
      {"{\"path\":\"x\",\"append\":\"yes\"}",
       "file: option \"append\": expected true or false, got \"yes\""},
      {"{\"path\":\"x\",\"names\":[\"a\",1]}",
       "file: option \"names\": expected a list of texts, got [\"a\",1]"},
      {"{\"path\":\"x\",\"names\":\"ääääääääääääääääääääääääääääääääääääääää\"}",
       "file: option \"names\": expected a list of texts, got "
       "\"äääääääääääääääääääääääääääää…"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    tw_event *event;
    tw_error error;
    assert_int_equal(check(cases[i].json, &event, &error), TW_EINVAL);
    assert_string_equal(error.message, cases[i].message);
    tw_event_free(event);
  }
}

static void options_are_read_as_declared(void **state) {
  (void)state;
  tw_event *event;
  tw_error error;
  assert_int_equal(check("{\"path\":\"a\\\"b\",\"append\":true,\"count\":67108864.0,"
                         "\"rotate_size\":\"1.5KiB\",\"rotate_time\":0.25,\"names\":{}}",
                         &event, &error),
                   TW_OK);
  assert_string_equal(tw_option_string(event, "path", "-"), "a\"b");
  assert_true(tw_option_bool(event, "append", false));
  assert_int_equal(tw_option_integer(event, "count", 1), 67108864);
  assert_int_equal(tw_option_size(event, "rotate_size", 1), 1536);
  assert_int_equal(tw_option_duration(event, "rotate_time", 1), 250000000);
  assert_string_equal(tw_option_string(event, "absent", "-"), "-");
  assert_true(tw_option_bool(event, "absent", true));
  assert_int_equal(tw_option_integer(event, "absent", 7), 7);
  assert_int_equal(tw_option_size(event, "absent", 8), 8);
  assert_int_equal(tw_option_duration(event, "absent", 9), 9);
  tw_event_free(event);
}

static void sizes_and_durations_have_units(void **state) {
  (void)state;
  static const struct {
    bool (*parse)(const char *, size_t, uint64_t *);
    const char *text;
    uint64_t expected; ///< 0: refused
  } cases[] = {
      {tw_parse_size, "64KiB", 65536},
      {tw_parse_size, "64kib", 65536},
      {tw_parse_size, "10 MB", 10000000},
      {tw_parse_size, "1GB", 1000000000},
      {tw_parse_size, "7B", 7},
      {tw_parse_size, "9TiB", UINT64_C(9) << 40},
      {tw_parse_size, "7", 0},
      {tw_parse_size, "", 0},
      {tw_parse_size, "KiB", 0},
      {tw_parse_size, "1.KiB", 0},
      {tw_parse_size, "-1KiB", 0},
      {tw_parse_size, "1KiBs", 0},
      {tw_parse_size, "999999999TiB", 0},
      {tw_parse_size, "99999999999999999999B", 0},
      {tw_parse_duration, "500ms", 500000000},
      {tw_parse_duration, "10s", UINT64_C(10000000000)},
      {tw_parse_duration, "1.5m", UINT64_C(90000000000)},
      {tw_parse_duration, "1h", UINT64_C(3600000000000)},
      {tw_parse_duration, "1d", UINT64_C(86400000000000)},
      {tw_parse_duration, "1y", 0},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    uint64_t value = 0;
    bool ok = cases[i].parse(cases[i].text, strlen(cases[i].text), &value);
    assert_int_equal(ok, cases[i].expected != 0);
    if (ok) assert_int_equal(value, cases[i].expected);
  }
}

/* ----------------------------------------------------------------- regexes */

static void a_regex_matches_at_the_start(void **state) {
  (void)state;
  static const struct {
    const char *pattern, *text;
    tw_status expected;
  } cases[] = {
      {"edx\\.", "edx.video", TW_OK},
      {"video", "edx.video", TW_ENOENT},
      {"a|ab$", "abc", TW_OK},
      {"", "", TW_OK},
      {"é+", "éé", TW_OK},
      {"\\w", "é", TW_OK},
      {".", "\xff", TW_ENOENT},
      {"(a+)+$", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!", TW_ELIMIT},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    tw_regex *regex;
    assert_int_equal(tw_regex_new(cases[i].pattern, &regex, NULL), TW_OK);
    for (int again = 0; again < 3; again++) {
      assert_int_equal(tw_regex_match(regex, cases[i].text, strlen(cases[i].text), NULL),
                       cases[i].expected);
    }
    tw_regex_free(regex);
  }
}

/* In processor time; the limit of PCRE2 alone takes 6 s and more for some. */
static void no_regex_runs_away_whatever_the_text(void **state) {
  (void)state;
  enum { LONG = 100000 };
  static const struct {
    const char *pattern, *reason;
  } cases[] = {
      {"(a+)+$", "gave up after 1000000 steps on a text of 100000 bytes"},
      {"(?:a*+b|a)*+$", "gave up"},
      {"(?:(?=a*+c)|a)*?b", "gave up"},
      {"(?:(?:(?:a*+b|a){9})+c|a){9}d", "gave up"},
      {"(?=(a+))(?:(?!\\1c)a)*b", "gave up"},
      {"(?=(a+))(?:(?!\\g{1}c)a)*b", "gave up"},
      {"(?!a)|(?R)", "nested recursion"},
      {"(a(?R)?)+b", "memory"},
      {"\\X*b", "holds \\X, which is matched with at most 16384 bytes of text, not 100000"},
  };
  char *text = malloc(LONG);
  memset(text, 'a', LONG);
  text[LONG - 1] = '!';
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    tw_regex *regex;
    tw_error error = {0};
    assert_int_equal(tw_regex_new(cases[i].pattern, &regex, NULL), TW_OK);
    for (size_t len = LONG; len > 40; len /= 15) {
      clock_t began = clock();
      tw_status status = tw_regex_match(regex, text + LONG - len, len, &error);
      double seconds = (double)(clock() - began) / CLOCKS_PER_SEC;
      if (status == TW_OK) fail_msg("%s matches %zu bytes", cases[i].pattern, len);
      if (seconds > 3) fail_msg("%s took %.1f s of %zu bytes", cases[i].pattern, seconds, len);
      if (len == LONG && !strstr(error.message, cases[i].reason))
        fail_msg("%s: %s", cases[i].pattern, error.message);
    }
    tw_regex_free(regex);
  }
  free(text);
}

static void a_regex_matches_long_texts_as_short_ones(void **state) {
  (void)state;
  char text[5000];
  for (size_t i = 0; i < sizeof text; i++) text[i] = "edx."[i % 4];
  static const struct {
    const char *pattern;
    tw_status expected;
  } cases[] = {
      {"^edx\\.", TW_OK},      {"edu", TW_ENOENT},          {".*\\.$", TW_OK},
      {"(?:edx\\.)+$", TW_OK}, {"[a-z.]*video", TW_ENOENT}, {"(edx.)\\1+$", TW_OK},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    tw_regex *regex;
    assert_int_equal(tw_regex_new(cases[i].pattern, &regex, NULL), TW_OK);
    for (size_t len = 4; len <= sizeof text; len += 4)
      assert_int_equal(tw_regex_match(regex, text, len, NULL),
                       len < 8 && i == 5 ? TW_ENOENT : cases[i].expected);
    tw_regex_free(regex);
  }
}

static void a_bad_regex_names_pattern_offset_and_reason(void **state) {
  (void)state;
  tw_regex *regex;
  tw_error error;
  assert_int_equal(tw_regex_new("ab(c", &regex, &error), TW_EINVAL);
  assert_null(regex);
  assert_int_equal(error.position, 4);
  assert_string_equal(error.message,
                      "bad pattern \"ab(c\" at offset 4: missing closing parenthesis");
}

/* -------------------------------------------------------- processor kinds */

static void filters_pass_and_drop_by_name(void **state) {
  (void)state;
  static const struct {
    const char *kind, *options, *event;
    bool passes;
  } cases[] = {
      {"allowlist", "{\"names\":[\"a\",\"b\\n\"]}", "{\"name\":\"a\"}", true},
      {"allowlist", "{\"names\":[\"a\",\"b\\n\"]}", "{\"name\":\"b\\u000a\"}", true},
      {"allowlist", "{\"names\":[\"a\",\"b\"]}", "{\"name\":\"c\"}", false},
      {"allowlist", "{\"names\":[\"a\"]}", "{\"name\":1}", false},
      {"allowlist", "{\"names\":[\"a\"]}", "{}", false},
      {"allowlist", "{\"names\":[]}", "{\"name\":\"a\"}", false},
      {"regex_filter", "{\"allow\":[\"x\",\"edx\\\\.\"]}", "{\"name\":\"edx.a\"}", true},
      {"regex_filter", "{\"allow\":[\"x\",\"edx\\\\.\"]}", "{\"name\":\"yedx.a\"}", false},
      {"regex_filter", "{\"allow\":[\"(a)\\\\1\",\"(b)\\\\1\"]}", "{\"name\":\"bb\"}", true},
      {"regex_filter", "{\"allow\":[\"(a)\\\\1\",\"(b)\\\\1\"]}", "{\"name\":\"ba\"}", false},
      {"regex_filter", "{\"allow\":[\"(?i)A\",\"b\"]}", "{\"name\":\"B\"}", false},
      {"regex_filter", "{\"allow\":[\"(?x)a #\",\"b\"]}", "{\"name\":\"b\"}", true},
      {"regex_filter", "{\"allow\":[\"e\"],\"deny\":[\"ex\"]}", "{\"name\":\"ex\"}", false},
      {"regex_filter", "{\"allow\":[\"e\"],\"deny\":[\"ex\"]}", "{\"name\":\"ey\"}", true},
      {"regex_filter", "{\"deny\":[\"ex\"]}", "{\"name\":\"a\"}", true},
      {"regex_filter", "{\"deny\":[\"ex\"]}", "{}", true},
      {"regex_filter", "{\"allow\":[\"\"]}", "{}", false},
      {"regex_filter", "{\"allow\":[\"(a+)+$\"]}",
       "{\"name\":\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!\"}", false},
      {"regex_filter", "{\"deny\":[\"(a+)+$\"]}",
       "{\"name\":\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!\"}", false},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    probe_log log = {0};
    tw_error error;
    tw_router_stats stats;
    tw_processor *processor;
    tw_observer silent = {NULL, NULL, NULL};
    probe a = {.name = "a", .log = &log};
    tw_router *router = new_router();
    assert_int_equal(tw_processor_new_kind(cases[i].kind, cases[i].options,
                                           strlen(cases[i].options), &processor, &error),
                     TW_OK);
    assert_int_equal(tw_router_add_processor(router, processor, NULL), TW_OK);
    add_probe(router, &a);
    tw_router_set_observer(router, &silent, NULL, NULL);
    tw_router_open(router, NULL);
    log_clear(&log);
    assert_int_equal(send_json(router, cases[i].event), TW_OK);
    assert_int_equal(log.len != 0, cases[i].passes);
    tw_router_get_stats(router, &stats);
    assert_int_equal(stats.dropped, !cases[i].passes);
    tw_router_unref(router);
  }
}

static void bad_processor_options_are_told(void **state) {
  (void)state;
  static const struct {
    const char *kind, *options, *message;
  } cases[] = {
      {"alowlist", "{}",
       "no processor kind \"alowlist\"; did you mean \"allowlist\"? known: allowlist, "
       "regex_filter"},
      {"allowlist", "{}", "allowlist: option \"names\" is missing; give a list of texts"},
      {"regex_filter", "{}",
       "regex_filter: give a list of patterns as option \"allow\" or \"deny\""},
      {"regex_filter", "{\"deny\":[\"a\",\"[b\"]}",
       "regex_filter: option \"deny\": bad pattern \"[b\" at offset 2: missing terminating ] "
       "for character class"},
      {"regex_filter", "{\"deny\":[\"a\\u0000\"]}",
       "regex_filter: option \"deny\": a pattern holds a NUL; write \\x00 instead"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    tw_error error;
    tw_processor *processor;
    assert_int_equal(tw_processor_new_kind(cases[i].kind, cases[i].options,
                                           strlen(cases[i].options), &processor, &error),
                     TW_EINVAL);
    assert_null(processor);
    assert_string_equal(error.message, cases[i].message);
  }
}

/* ---------------------------------------------------------- backend kinds */

static tw_status kind_create(tw_event *options, void **self, tw_error *error) {
  static char made;
  (void)error;
  *self = &made;
  return tw_option_bool(options, "append", true) ? TW_OK : tw_fail(error, TW_EIO, "refused");
}

static tw_status kind_send(void *self, tw_event *event, unsigned flags, tw_error *error) {
  (void)self, (void)event, (void)flags, (void)error;
  return TW_OK;
}

static uint64_t kind_duplicates(const void *self) {
  (void)self;
  return 3;
}

static void a_backend_knows_its_kind(void **state) {
  (void)state;
  static const tw_backend_ops ops = {.send = kind_send};
  static const tw_backend_kind kind = {.name = "odd",
                                       .ops = &ops,
                                       .options = declared + 1,
                                       .option_count = 1,
                                       .create = kind_create,
                                       .duplicates = kind_duplicates},
                               other = {.name = "other"};
  tw_backend *backend;
  tw_backend_stats stats;
  tw_error error;
  assert_int_equal(tw_backend_from_kind(&kind, "{\"apend\":1}", 11, &backend, &error),
                   TW_EINVAL);
  assert_string_equal(error.message, "odd: unknown option \"apend\"; did you mean \"append\"?");
  assert_int_equal(tw_backend_from_kind(&kind, "{\"append\":}", 11, &backend, &error),
                   TW_EJSON);
  assert_memory_equal(error.message, "odd: options: ", 14);
  assert_int_equal(tw_backend_from_kind(&kind, "{\"append\":false}", 16, &backend, &error),
                   TW_EIO);
  assert_int_equal(tw_backend_from_kind(&kind, NULL, 0, &backend, &error), TW_OK);
  assert_string_equal(tw_backend_kind_name(backend), "odd");
  assert_non_null(tw_backend_self(backend, &kind));
  assert_null(tw_backend_self(backend, &other));
  tw_backend_get_stats(backend, &stats);
  assert_int_equal(stats.duplicate, 3);
  tw_backend_unref(backend);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(wrong_options_are_told_with_the_next_step),
      cmocka_unit_test(options_are_read_as_declared),
      cmocka_unit_test(sizes_and_durations_have_units),
      cmocka_unit_test(a_regex_matches_at_the_start),
      cmocka_unit_test(no_regex_runs_away_whatever_the_text),
      cmocka_unit_test(a_regex_matches_long_texts_as_short_ones),
      cmocka_unit_test(a_bad_regex_names_pattern_offset_and_reason),
      cmocka_unit_test(filters_pass_and_drop_by_name),
      cmocka_unit_test(bad_processor_options_are_told),
      cmocka_unit_test(a_backend_knows_its_kind),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
