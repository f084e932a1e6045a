#include "event/path.h"

#include <stdio.h>

#include "parse.h"
#include "support/oom.h"

static tw_path *compile(const char *text) {
  tw_path *path;
  tw_error error = {0};
  if (tw_path_compile(text, strlen(text), &path, &error)) fail_msg("%s", error.message);
  return path;
}

/* Steps as text: `k:KEY`, `i:INDEX`, `*`, `**`, separated by blanks. */
static void describe(const tw_path *path, char *out, size_t size) {
  size_t at = 0;
  *out = '\0';
  for (uint32_t i = 0; i < path->count && at < size; i++) {
    const tw_step *step = path->steps + i;
    const char *blank = i ? " " : "";
    switch (step->kind) {
      case TW_STEP_KEY:
        at +=
            (size_t)snprintf(out + at, size - at, "%sk:%.*s", blank, (int)step->len, step->key);
        break;
      case TW_STEP_INDEX:
        at += (size_t)snprintf(out + at, size - at, "%si:%u", blank, step->index);
        break;
      case TW_STEP_ANY: at += (size_t)snprintf(out + at, size - at, "%s*", blank); break;
      case TW_STEP_DEEP: at += (size_t)snprintf(out + at, size - at, "%s**", blank); break;
    }
  }
}

static void paths_compile_to_steps(void **state) {
  (void)state;
  static const char *const cases[][2] = {
      {"a", "k:a"},
      {".a", "k:a"},
      {"data.items[0].sku", "k:data k:items i:0 k:sku"},
      {"data[\"a.b\"]", "k:data k:a.b"},
      {"[\"a\\\"\\u00e9\\n\"].x", "k:a\"\xc3\xa9\n k:x"},
      {"[\"\"]", "k:"},
      {"a-b.$c.@d.\xc3\xa9_1", "k:a-b k:$c k:@d k:\xc3\xa9_1"},
      {"0.1", "k:0 k:1"},
      {"[12][0]", "i:12 i:0"},
      {"*", "*"},
      {"context.*.email", "k:context * k:email"},
      {"a[*].b", "k:a * k:b"},
      {"**.email", "** k:email"},
      {"a.**", "k:a **"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    char text[256];
    tw_path *path = compile(cases[i][0]);
    describe(path, text, sizeof text);
    assert_string_equal(text, cases[i][1]);
    assert_int_equal(path->has_wildcard, strchr(cases[i][0], '*') != NULL);
    tw_path_free(path);
  }
}

static void bad_paths_are_refused_with_their_position(void **state) {
  (void)state;
  static const struct {
    const char *text;
    size_t position;
  } cases[] = {
      {"", 0},
      {".", 1},
      {"a.", 2},
      {"a..b", 2},
      {"a b", 1},
      {"a[", 2},
      {"a[x]", 2},
      {"a[1", 3},
      {"a[-1]", 2},
      {"a[1]b", 4},
      {"a[\"x]", 5},
      {"a[\"x\"", 5},
      {"a[\"\\q\"]", 4},
      {"***", 3},
      {"a*", 1},
      {"a.[0]", 2},
      {"a[\"\\u12\"]", 7},
      {"a\xff", 1},
      {"[99999999999]", 9},
      {"a[**]", 3},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    tw_path *path;
    tw_error error = {0};
    const char *text = cases[i].text;
    tw_status status = tw_path_compile(text, strlen(text), &path, &error);
    if (status != TW_EINVAL || error.position != cases[i].position)
      fail_msg("%s: status %d at %zu: %s", text, (int)status, error.position, error.message);
    assert_null(path);
  }
}

static void a_pattern_has_at_most_63_steps(void **state) {
  (void)state;
  char text[200] = "*";
  tw_path *path;
  for (int i = 1; i < 63; i++) strcat(text, ".*");
  assert_int_equal(tw_path_compile(text, strlen(text), &path, NULL), TW_OK);
  tw_path_free(path);
  strcat(text, ".*");
  assert_int_equal(tw_path_compile(text, strlen(text), &path, NULL), TW_EINVAL);
}

static void check(const tw_event *event, const char *want) {
  tw_buffer out = {0};
  assert_true(tw_event_render(event, event->root, &out) && tw_buffer_byte(&out, '\0'));
  assert_string_equal(out.data, want);
  tw_buffer_fini(&out);
}

static void values_are_set_and_removed_by_path(void **state) {
  (void)state;
  static const struct {
    const char *json, *path, *value; /* no value: remove */
    tw_status status;
    const char *want;
  } cases[] = {
      {"{}", "a", "1", TW_OK, "{\"a\":1}"},
      {"{}", "a.b.c", "1", TW_OK, "{\"a\":{\"b\":{\"c\":1}}}"},
      {"{}", "a[0].c", "1", TW_OK, "{\"a\":[{\"c\":1}]}"},
      {"{}", "a[0][0]", "1", TW_OK, "{\"a\":[[1]]}"},
      {"{}", "a[1]", "1", TW_EINVAL, "{}"},
      {"{\"a\":[1]}", "a[1].b", "2", TW_OK, "{\"a\":[1,{\"b\":2}]}"},
      {"{\"a\":[1]}", "a[2].b", "2", TW_EINVAL, "{\"a\":[1]}"},
      {"{\"a\":1}", "a.b", "2", TW_ETYPE, "{\"a\":1}"},
      {"{\"a\":null}", "a.b.c", "2", TW_ETYPE, "{\"a\":null}"},
      {"{\"a\":[]}", "a.b", "2", TW_ETYPE, "{\"a\":[]}"},
      {"{\"a\":{\"x\":1}}", "a[0]", "2", TW_ETYPE, "{\"a\":{\"x\":1}}"},
      {"{\"a\":1}", "*", "2", TW_EINVAL, "{\"a\":1}"},
      {"{\"a\":{\"b\":1}}", "a.b", NULL, TW_OK, "{\"a\":{}}"},
      {"{\"a\":[1,2,3]}", "a[1]", NULL, TW_OK, "{\"a\":[1,3]}"},
      {"{\"a\":[1]}", "a[1]", NULL, TW_ENOENT, "{\"a\":[1]}"},
      {"{\"a\":[1]}", "a.b", NULL, TW_ENOENT, "{\"a\":[1]}"},
      {"{\"a\":1}", "b.c.d", NULL, TW_ENOENT, "{\"a\":1}"},
      {"{\"a\":1}", "a.b", NULL, TW_ENOENT, "{\"a\":1}"},
      {"{\"a\":1,\"a\":{\"b\":1}}", "a.b", "2", TW_OK, "{\"a\":1,\"a\":{\"b\":2}}"},
  };
  tw_store store;
  tw_store_init(&store, NULL);
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    tw_event event = parse(&store, cases[i].json);
    tw_path *path = compile(cases[i].path);
    tw_error error = {0};
    tw_ref value;
    tw_status status;
    if (cases[i].value) {
      tw_store_json(&store, cases[i].value, strlen(cases[i].value), &value, NULL);
      status = tw_path_put(&event, path, value, &error);
    } else {
      status = tw_path_delete(&event, path, &error);
    }
    if (status != cases[i].status) fail_msg("%s: %s", cases[i].path, error.message);
    check(&event, cases[i].want);
    if (cases[i].value && !status) assert_true(tw_path_find(&event, path, &value));
    tw_path_free(path);
    tw_event_end(&event);
    tw_store_reset(&store);
  }
  tw_store_fini(&store);
}

/* The texts of the values that match, in order, separated by blanks. */
static void matches(const tw_event *event, const char *pattern, char *out) {
  tw_path *path = compile(pattern);
  tw_place *places;
  size_t count;
  *out = '\0';
  assert_int_equal(tw_path_match(event, path, &places, &count, NULL), TW_OK);
  for (size_t i = 0; i < count; i++) {
    const tw_node *node = tw_store_node(event->store, places[i].value);
    tw_ref value;
    if (i) strcat(out, " ");
    strncat(out, node->text, node->len);
    if (!places[i].in_array) continue;
    assert_true(tw_event_at(event, places[i].parent, places[i].index, &value));
    assert_int_equal(value, places[i].value);
  }
  tw_path_free(path);
}

static void patterns_match_each_place_once_and_arrays_backwards(void **state) {
  (void)state;
  static const char *const cases[][2] = {
      {"a", "{\"e\":1,\"l\":[2,{\"e\":3}]}"},
      {"a.e", "1"},
      {"*.e", "1 7"},
      {"**.e", "1 3 7 8 9"},
      {"**.**.e", "1 3 7 8 9"},
      {"a.l[*]", "{\"e\":3} 2"},
      {"a.l.*", "{\"e\":3} 2"},
      {"a.l[0]", "2"},
      {"a.**.e", "1 3"},
      {"**[1].e", "3"},
      {"twice", "5 6"},
      {"nothing.*", ""},
      {"e.x", ""},
      {"b.*", "7 [{\"e\":8}]"},
      {"e", "9"},
  };
  tw_store store;
  char text[256];
  tw_store_init(&store, NULL);
  tw_event event = parse(&store,
                         "{\"a\":{\"e\":1,\"l\":[2,{\"e\":3}]},\"twice\":5,\"tw\\u0069ce\":6,"
                         "\"b\":{\"e\":7,\"m\":[{\"e\":8}]},\"e\":9}");
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    matches(&event, cases[i][0], text);
    assert_string_equal(text, cases[i][1]);
  }
  tw_event_end(&event);
  tw_store_fini(&store);
}

static void all_matches_can_be_deleted_one_after_the_other(void **state) {
  (void)state;
  tw_store store;
  tw_place *places;
  size_t count;
  tw_store_init(&store, NULL);
  tw_event event = parse(&store, "{\"l\":[{\"x\":1,\"y\":2},{\"x\":3}],\"x\":[4,5]}");
  tw_path *path = compile("*.*");
  assert_int_equal(tw_path_match(&event, path, &places, &count, NULL), TW_OK);
  assert_int_equal(count, 4);
  for (size_t i = 0; i < count; i++)
    assert_int_equal(tw_event_delete_at(&event, places[i].parent, places[i].index, NULL),
                     TW_OK);
  check(&event, "{\"l\":[],\"x\":[]}");
  tw_path_free(path);
  tw_event_end(&event);
  tw_store_fini(&store);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(paths_compile_to_steps),
      cmocka_unit_test(bad_paths_are_refused_with_their_position),
      cmocka_unit_test(a_pattern_has_at_most_63_steps),
      cmocka_unit_test(values_are_set_and_removed_by_path),
      cmocka_unit_test(patterns_match_each_place_once_and_arrays_backwards),
      cmocka_unit_test(all_matches_can_be_deleted_one_after_the_other),
  };
  tw_oom_install();
  return cmocka_run_group_tests(tests, NULL, tw_oom_leaves_nothing);
}
