#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "event/event.h"
#include "support/oom.h"

static tw_event *parse(const char *json) {
  tw_event *event;
  tw_error error = {0};
  if (tw_event_parse(json, strlen(json), NULL, &event, &error)) fail_msg("%s", error.message);
  return event;
}

static void check_json(tw_event *event, const char *want) {
  const char *text;
  size_t len;
  assert_int_equal(tw_event_json(event, &text, &len), TW_OK);
  assert_string_equal(text, want);
  assert_int_equal(len, strlen(want));
}

static void text_that_is_no_object_is_refused_with_its_position(void **state) {
  (void)state;
  static const struct {
    const char *json;
    tw_status status;
    size_t position;
  } cases[] = {
      {"", TW_EJSON, 0},
      {"  [1]", TW_EJSON, 2},
      {"1", TW_EJSON, 0},
      {"{\"a\":}", TW_EJSON, 5},
      {"{\"a\":1} x", TW_EJSON, 8},
      {"{\"a\":\"\xff\"}", TW_EJSON, 6},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    tw_event *event = (tw_event *)&cases;
    tw_error error = {0};
    tw_status status =
        tw_event_parse(cases[i].json, strlen(cases[i].json), NULL, &event, &error);
    assert_int_equal(status, cases[i].status);
    assert_int_equal(error.position, cases[i].position);
    assert_null(event);
  }
}

static void limits_hold_when_reading_and_when_setting(void **state) {
  (void)state;
  const tw_limits limits = {.max_depth = 3, .max_size = 40};
  tw_event *event;
  tw_error error;
  const char *deep = "{\"a\":{\"b\":{\"c\":{}}}}", *fits = "{\"a\":{\"b\":{\"c\":1}}}";
  const char *wide = "\"0123456789012345678901234567890123456789\"";
  assert_int_equal(tw_event_parse(deep, strlen(deep), &limits, &event, &error), TW_ELIMIT);
  assert_int_equal(tw_event_parse(wide, 41, &limits, &event, &error), TW_ELIMIT);
  assert_int_equal(tw_event_parse(fits, strlen(fits), &limits, &event, &error), TW_OK);
  assert_int_equal(tw_event_set_json(event, "a.b.d", "[]", 2, &error), TW_ELIMIT);
  assert_int_equal(tw_event_set_json(event, "a.x.y.z", "1", 1, &error), TW_ELIMIT);
  assert_int_equal(tw_event_set_json(event, "a", wide, 42, &error), TW_ELIMIT);
  assert_int_equal(tw_event_set_string(event, "a", wide, 41, &error), TW_ELIMIT);
  check_json(event, fits);
  assert_int_equal(tw_event_set_string(event, "x", wide + 1, 30, &error), TW_OK);
  assert_int_equal(tw_event_set_json(event, "y.z.v", "1", 1, &error), TW_OK);
  check_json(event,
             "{\"a\":{\"b\":{\"c\":1}},\"x\":\"012345678901234567890123456789\","
             "\"y\":{\"z\":{\"v\":1}}}");
  tw_event_free(event);
}

static void values_are_read_with_their_types_and_exact_text(void **state) {
  (void)state;
  tw_event *event = parse(
      " {\"n\":null,\"t\":true,\"f\":false,\"i\":-9223372036854775808,\"j\":"
      "9223372036854775808,"
      "\"d\":1.0,\"e\":1e3,\"s\":\"plain\",\"u\":\"a\\u0000\\u00e9\\n\",\"l\":[ 1, [2] "
      "],\"o\":{ }} ");
  tw_value v;
  assert_int_equal(tw_event_get(event, "n", &v), TW_OK);
  assert_int_equal(v.type, TW_NULL);
  assert_memory_equal(v.json, "null", 4);
  assert_int_equal(tw_event_get(event, "t", &v), TW_OK);
  assert_true(v.type == TW_BOOL && v.boolean);
  assert_int_equal(tw_event_get(event, "f", &v), TW_OK);
  assert_true(v.type == TW_BOOL && !v.boolean);
  assert_int_equal(tw_event_get(event, "i", &v), TW_OK);
  assert_true(v.type == TW_INTEGER && v.integer == INT64_MIN);
  assert_int_equal(tw_event_get(event, "j", &v), TW_OK);
  assert_true(v.type == TW_NUMBER && v.number == 9223372036854775808.0);
  assert_memory_equal(v.json, "9223372036854775808", v.json_len);
  assert_int_equal(tw_event_get(event, "d", &v), TW_OK);
  assert_true(v.type == TW_NUMBER && v.number == 1.0 && v.json_len == 3);
  assert_int_equal(tw_event_get(event, "e", &v), TW_OK);
  assert_true(v.type == TW_NUMBER && v.number == 1000.0);
  assert_int_equal(tw_event_get(event, "s", &v), TW_OK);
  assert_true(v.type == TW_STRING && v.string_len == 5);
  assert_string_equal(v.string, "plain");
  assert_int_equal(tw_event_get(event, "u", &v), TW_OK);
  assert_int_equal(v.string_len, 5);
  assert_memory_equal(v.string, "a\0\xc3\xa9\n", 6);
  assert_int_equal(tw_event_get(event, "l[1][0]", &v), TW_OK);
  assert_int_equal(v.integer, 2);
  assert_int_equal(tw_event_get(event, "l", &v), TW_OK);
  assert_true(v.type == TW_ARRAY && v.json_len == 10);
  assert_int_equal(tw_event_get(event, "o", &v), TW_OK);
  assert_int_equal(v.type, TW_OBJECT);
  assert_int_equal(tw_event_get(event, "l[2]", &v), TW_ENOENT);
  assert_int_equal(tw_event_get(event, "s.x", &v), TW_ENOENT);
  assert_int_equal(tw_event_get(event, "l[", &v), TW_EINVAL);
  assert_int_equal(tw_event_get(event, "*", &v), TW_EINVAL);
  tw_event_free(event);
}

static void every_kind_of_value_can_be_set(void **state) {
  (void)state;
  tw_event *event = parse("{}");
  tw_error error;
  assert_int_equal(tw_event_set_string(event, "s", "a\"\n\xc3\xa9", 5, &error), TW_OK);
  assert_int_equal(tw_event_set_string(event, "empty", NULL, 0, &error), TW_OK);
  assert_int_equal(tw_event_set_integer(event, "i", INT64_MIN, &error), TW_OK);
  assert_int_equal(tw_event_set_number(event, "d", 1, &error), TW_OK);
  assert_int_equal(tw_event_set_bool(event, "b", true, &error), TW_OK);
  assert_int_equal(tw_event_set_null(event, "n", &error), TW_OK);
  assert_int_equal(tw_event_set_json(event, "o.p", " [ 1 ] ", 7, &error), TW_OK);
  assert_int_equal(tw_event_set_number(event, "x", 0.0 / 0.0, &error), TW_EINVAL);
  assert_int_equal(tw_event_set_string(event, "x", "\xff", 1, &error), TW_EJSON);
  assert_int_equal(error.position, 0);
  assert_int_equal(tw_event_set_string(event, "x", "\xed\xa0\x80", 3, &error), TW_OK);
  check_json(event,
             "{\"s\":\"a\\\"\\n\xc3\xa9\",\"empty\":\"\",\"i\":-9223372036854775808,\"d\":1.0,"
             "\"b\":true,\"n\":null,\"o\":{\"p\":[ 1 ]},\"x\":\"\\ud800\"}");
  assert_int_equal(tw_event_remove(event, "o", &error), TW_OK);
  assert_int_equal(tw_event_remove(event, "o", &error), TW_ENOENT);
  tw_event_free(event);
}

static void edited_containers_read_as_they_are_now(void **state) {
  (void)state;
  tw_event *event = parse("{\"a\":{\"b\":{\"c\":1}},\"l\":[]} ");
  tw_value v, w;
  check_json(event, "{\"a\":{\"b\":{\"c\":1}},\"l\":[]}");
  assert_int_equal(tw_event_set_integer(event, "a.b.d", 2, NULL), TW_OK);
  assert_int_equal(tw_event_get(event, "a", &v), TW_OK);
  assert_int_equal(tw_event_get(event, "a.b", &w), TW_OK);
  assert_memory_equal(v.json, "{\"b\":{\"c\":1,\"d\":2}}", v.json_len);
  assert_memory_equal(w.json, "{\"c\":1,\"d\":2}", w.json_len);
  assert_int_equal(tw_event_get(event, "l", &v), TW_OK);
  assert_memory_equal(v.json, "[]", v.json_len);
  assert_int_equal(tw_event_remove(event, "a.b", NULL), TW_OK);
  assert_int_equal(tw_event_get(event, "a", &v), TW_OK);
  assert_memory_equal(v.json, "{}", v.json_len);
  tw_event_free(event);
}

static void a_copy_and_its_source_go_their_own_ways(void **state) {
  (void)state;
  tw_event *event = parse("{\"a\":1, \"b\":[1,2]}"), *copy, *again;
  assert_int_equal(tw_event_set_integer(event, "a", 2, NULL), TW_OK);
  assert_int_equal(tw_event_copy(event, &copy, NULL), TW_OK);
  assert_int_equal(tw_event_set_integer(copy, "b[2]", 3, NULL), TW_OK);
  assert_int_equal(tw_event_remove(event, "b", NULL), TW_OK);
  check_json(event, "{\"a\":2}");
  check_json(copy, "{\"a\":2, \"b\":[1,2,3]}");
  tw_event_free(event);
  assert_int_equal(tw_event_copy(copy, &again, NULL), TW_OK);
  tw_event_free(copy);
  check_json(again, "{\"a\":2, \"b\":[1,2,3]}");
  tw_event_free(again);
}

/* The copy of an event that outgrew its limits is made all the same. */
static void an_event_past_the_limit_of_size_can_be_copied(void **state) {
  (void)state;
  const tw_limits limits = {.max_size = 10};
  tw_event *event, *copy;
  assert_int_equal(tw_event_parse("{}", 2, &limits, &event, NULL), TW_OK);
  for (char key[] = "a"; *key < 'e'; ++*key) tw_event_set_integer(event, key, 1234, NULL);
  assert_int_equal(tw_event_copy(event, &copy, NULL), TW_OK);
  check_json(copy, "{\"a\":1234,\"b\":1234,\"c\":1234,\"d\":1234}");
  tw_event_free(event);
  tw_event_free(copy);
}

static void a_replaced_event_keeps_its_id(void **state) {
  (void)state;
  tw_event *event = parse("{\"id\":\"mine\",\"a\":1}");
  tw_error error;
  const char *id;
  size_t len;
  assert_int_equal(tw_event_replace(event, "[1]", 3, &error), TW_ETYPE);
  assert_int_equal(tw_event_replace(event, "{", 1, &error), TW_EJSON);
  check_json(event, "{\"id\":\"mine\",\"a\":1}");
  assert_int_equal(tw_event_replace(event, " {\"id\":\"other\"} ", 16, &error), TW_OK);
  check_json(event, "{\"id\":\"other\"}");
  assert_int_equal(tw_event_id(event, &id, &len), TW_OK);
  assert_string_equal(id, "mine");
  tw_event_free(event);
}

/* A million edits would take hundreds of megabytes, were nothing given back. */
static void memory_of_an_event_that_is_edited_for_ever_is_bounded(void **state) {
  (void)state;
  tw_event *event = parse("{\"n\":0,\"l\":[]}");
  char value[64];
  const char *id;
  size_t len;
  assert_int_equal(tw_event_id(event, &id, &len), TW_OK);
  char *first = strdup(id);
  for (int i = 0; i < 300000; i++) {
    tw_value v;
    assert_int_equal(tw_event_set_integer(event, "n", i, NULL), TW_OK);
    assert_int_equal(tw_event_set_string(event, "s", "some \"longer\" text", 18, NULL), TW_OK);
    assert_int_equal(tw_event_get(event, "s", &v), TW_OK);
    if (i % 3 == 0) tw_event_set_json(event, "x", "{", 1, NULL);
    if (i % 3 == 1) tw_event_set_integer(event, "l[0]", i, NULL);
    if (i % 3 == 2) tw_event_remove(event, "l[0]", NULL);
    assert_true(event->store->spent < 4u << 20 && event->store->count < 1u << 18);
  }
  snprintf(value, sizeof value, "{\"n\":299999,\"l\":[],\"s\":\"some \\\"longer\\\" text\"}");
  check_json(event, value);
  assert_int_equal(tw_event_id(event, &id, &len), TW_OK);
  assert_string_equal(id, first);
  free(first);
  tw_event_free(event);
}

/* Also when the memory that the failed edits took outweighs the event. */
static void an_edit_that_fails_leaves_the_texts_that_were_read(void **state) {
  (void)state;
  enum { SIZE = 900000 };
  tw_value value;
  tw_event *event = parse("{\"s\":\"two\\nlines\",\"n\":1}");
  char *digits = malloc(SIZE);
  assert_non_null(digits);
  memset(digits, '1', SIZE);
  assert_int_equal(tw_event_get(event, "s", &value), TW_OK);
  for (int i = 0; i < 4; i++) {
    assert_int_equal(tw_event_set_json(event, "n.x", digits, SIZE, NULL), TW_ETYPE);
    assert_string_equal(value.string, "two\nlines");
  }
  assert_int_equal(tw_event_set_integer(event, "n", 2, NULL), TW_OK);
  assert_true(event->store->spent < SIZE);
  check_json(event, "{\"s\":\"two\\nlines\",\"n\":2}");
  free(digits);
  tw_event_free(event);
}

static void reading_again_and_again_takes_no_more_memory(void **state) {
  (void)state;
  tw_event *event = parse("{\"s\":\"text\",\"u\":\"t\\n\",\"o\":{\"x\":[]}} ");
  const char *text;
  size_t len, spent = 0;
  assert_int_equal(tw_event_set_integer(event, "o.x[0]", 1, NULL), TW_OK);
  for (int i = 0; i < 100; i++) {
    tw_value v;
    assert_int_equal(tw_event_get(event, "s", &v), TW_OK);
    assert_int_equal(tw_event_get(event, "u", &v), TW_OK);
    assert_int_equal(tw_event_get(event, "o", &v), TW_OK);
    assert_int_equal(tw_event_get(event, "o.x", &v), TW_OK);
    assert_int_equal(tw_event_json(event, &text, &len), TW_OK);
    if (i) assert_int_equal(event->store->spent, spent);
    spent = event->store->spent;
  }
  tw_event_free(event);
}

/* The way of an event through a router: parse, find, edit in a branch, render, reset. */
static void the_steady_state_allocates_nothing(void **state) {
  (void)state;
  char text[256 + TW_PADDING] =
      "{\"name\":\"a\",\"context\":{\"email\":\"e\",\"x\\n\":1},\"l\":[1]}";
  size_t len = strlen(text), calls = 0;
  tw_buffer out = {0};
  tw_store store;
  tw_store_init(&store, NULL);
  for (int i = 0; i < 100; i++) {
    tw_event event;
    tw_ref at, value;
    if (i == 10) calls = tw_oom_calls();
    out.len = 0;
    assert_int_equal(tw_store_parse(&store, text, len, &event, NULL), TW_OK);
    tw_event saved = tw_event_fork(&event);
    assert_true(tw_event_find(&event, event.root, "context", 7, &at));
    assert_int_equal(tw_event_delete(&event, at, "email", 5, NULL), TW_OK);
    assert_int_equal(tw_store_string(&store, "h\"1", 3, &value, NULL), TW_OK);
    assert_int_equal(tw_event_put(&event, at, "host", 4, value, NULL), TW_OK);
    assert_true(tw_event_render(&event, event.root, &out));
    tw_event_end(&saved);
    tw_event_end(&event);
    tw_store_reset(&store);
  }
  assert_int_equal(tw_oom_calls(), calls);
  tw_buffer_fini(&out);
  tw_store_fini(&store);
}

static void an_import_stands_alone_in_the_other_store(void **state) {
  (void)state;
  tw_store a, b;
  tw_event event, other, first, same;
  tw_ref value;
  tw_buffer out = {0};
  tw_store_init(&a, NULL), tw_store_init(&b, NULL);
  assert_int_equal(tw_store_parse_copy(&a, "{\"x\":1}", 7, &event, NULL), TW_OK);
  assert_int_equal(tw_store_parse_copy(&b, "{\"y\":1}", 7, &first, NULL), TW_OK);
  assert_int_equal(tw_store_integer(&a, 2, &value, NULL), TW_OK);
  assert_int_equal(tw_event_put(&event, event.root, "x", 1, value, NULL), TW_OK);
  assert_int_equal(tw_event_import(&b, &event, &other, NULL), TW_OK);
  assert_int_equal(tw_event_import(&b, &other, &same, NULL), TW_OK);
  assert_string_equal(other.id->text, event.id->text);
  assert_int_equal(first.id->len, 0);
  tw_event_end(&event);
  tw_store_fini(&a);
  assert_true(tw_event_render(&same, same.root, &out));
  assert_memory_equal(out.data, "{\"x\":2}", 7);
  tw_event_end(&other), tw_event_end(&same), tw_event_end(&first);
  tw_store_fini(&b);
  tw_buffer_fini(&out);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(text_that_is_no_object_is_refused_with_its_position),
      cmocka_unit_test(limits_hold_when_reading_and_when_setting),
      cmocka_unit_test(values_are_read_with_their_types_and_exact_text),
      cmocka_unit_test(every_kind_of_value_can_be_set),
      cmocka_unit_test(edited_containers_read_as_they_are_now),
      cmocka_unit_test(a_copy_and_its_source_go_their_own_ways),
      cmocka_unit_test(an_event_past_the_limit_of_size_can_be_copied),
      cmocka_unit_test(a_replaced_event_keeps_its_id),
      cmocka_unit_test(memory_of_an_event_that_is_edited_for_ever_is_bounded),
      cmocka_unit_test(an_edit_that_fails_leaves_the_texts_that_were_read),
      cmocka_unit_test(reading_again_and_again_takes_no_more_memory),
      cmocka_unit_test(the_steady_state_allocates_nothing),
      cmocka_unit_test(an_import_stands_alone_in_the_other_store),
  };
  tw_oom_install();
  return cmocka_run_group_tests(tests, NULL, tw_oom_leaves_nothing);
}
