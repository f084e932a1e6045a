#include "tools.h"

static void a_backend_is_made_by_its_kind(void **state) {
  (void)state;
  static const struct {
    const char *kind, *options;
  } cases[] = {{"file", "{\"path\":\"@/a\"}"},
               {"memory", "{}"},
               {"null", "{}"},
               {"sqlite", "{\"path\":\"@/a.db\"}"},
               {"stdout", "{}"}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
    tw_backend_unref(make_backend(cases[i].kind, cases[i].options));
}

static void options_may_be_left_out(void **state) {
  (void)state;
  tw_backend *backend;
  assert_int_equal(tw_backend_new_kind("null", NULL, 0, &backend, NULL), TW_OK);
  tw_backend_unref(backend);
}

static void creating_a_backend_touches_nothing(void **state) {
  (void)state;
  tw_backend_unref(make_backend("file", "{\"path\":\"@/sub/a.ndjson\",\"append\":false}"));
  tw_backend_unref(make_backend("sqlite", "{\"path\":\"@/sub/a.db\"}"));
  assert_int_not_equal(access(in_folder("sub"), F_OK), 0);
}

static void an_unknown_kind_lists_the_known_ones_and_suggests_the_nearest(void **state) {
  (void)state;
  tw_error error;
  tw_backend *backend;
  assert_int_equal(try_backend("sqllite", "{}", &backend, &error), TW_ENOENT);
  assert_null(backend);
  assert_says(&error, "\"sqllite\"");
  assert_says(&error, "did you mean \"sqlite\"?");
  assert_int_equal(try_backend("carrier pigeon", "{}", &backend, &error), TW_ENOENT);
  assert_says(&error, "file, memory, null, sqlite, stdout");
}

static void wrong_options_are_told_by_name(void **state) {
  (void)state;
  static const struct {
    const char *kind, *options, *says;
  } cases[] = {
      {"file", "{}", "path"},
      {"file", "{\"pth\":\"a\"}", "did you mean \"path\"?"},
      {"file", "{\"path\":\"a\",\"fsync\":\"sometimes\"}", "fsync"},
      {"file", "{\"path\":\"a\",\"mode\":\"rw\"}", "mode"},
      {"file", "{\"path\":\"a\",\"mode\":\"01777\"}", "mode"},
      {"file", "{\"path\":\"a-%q\"}", "%q"},
      {"file", "{\"path\":\"a-%\"}", "path"},
      {"file", "{\"path\":\"a\",\"keep\":3}", "rotate_size or rotate_interval"},
      {"file", "{\"path\":\"a\",\"keep\":0,\"rotate_size\":9}", "keep"},
      {"file", "{\"path\":\"a\",\"rotate_size\":0}", "rotate_size"},
      {"file", "{\"path\":\"a\",\"rotate_interval\":\"10ms\"}", "rotate_interval"},
      {"memory", "{\"limit\":0}", "limit"},
      {"null", "{\"path\":\"a\"}", "path"},
      {"stdout", "{\"path\":\"a\"}", "path"},
      {"sqlite", "{\"path\":\":memory:\"}", "memory backend"},
      {"sqlite", "{\"path\":\"a\",\"table\":\"a; DROP TABLE b\"}", "table"},
      {"sqlite", "{\"path\":\"a\",\"table\":\"1st\"}", "table"},
      {"sqlite", "{\"path\":\"a\",\"table\":\"sqlite_events\"}", "table"},
      {"sqlite", "{\"path\":\"a\",\"batch\":0}", "batch"},
      {"sqlite", "{\"path\":\"a\",\"batch\":1000001}", "batch"},
      {"sqlite", "{\"path\":\"a\",\"synchronous\":\"off\"}", "synchronous"},
      {"sqlite", "{\"path\":\"a\",\"busy_timeout\":\"25d\"}", "busy_timeout"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    tw_error error = {.message = ""};
    tw_backend *backend;
    assert_int_equal(try_backend(cases[i].kind, cases[i].options, &backend, &error), TW_EINVAL);
    assert_null(backend);
    assert_says(&error, cases[i].says);
    assert_null(strchr(error.message, '\n'));
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_backend_is_made_by_its_kind),
      cmocka_unit_test(options_may_be_left_out),
      cmocka_unit_test_setup_teardown(creating_a_backend_touches_nothing, make_folder,
                                      remove_folder),
      cmocka_unit_test(an_unknown_kind_lists_the_known_ones_and_suggests_the_nearest),
      cmocka_unit_test(wrong_options_are_told_by_name),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
