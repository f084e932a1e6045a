/* Edits by table: JSON, a list of operations, the text that must come out.
 *
 * An operation is `=PATH VALUE` (put), `-PATH` (delete); operations are separated by `;`.
 * A path is made of keys and [indexes] here, without the library's path compiler. */
#include <stdio.h>
#include <stdlib.h>

#include "parse.h"
#include "support/oom.h"

/* Steps along `path` up to its last step; leaves `*path` at that. */
static bool go(tw_event *event, tw_ref *at, char **path) {
  for (char *next; (next = strpbrk(*path + 1, ".[")) != NULL; *path = next) {
    bool found = **path == '['
                     ? tw_event_at(event, *at, (uint32_t)atoi(*path + 1), at)
                     : tw_event_find(event, *at, *path + 1, (size_t)(next - *path - 1), at);
    if (!found) return false;
  }
  return true;
}

static tw_status apply(tw_event *event, char *op, tw_error *error) {
  char *value_text = strchr(op, ' '), *path = op + (op[1] == '[');
  bool put = *op == '=';
  tw_ref at = event->root, value;
  if (value_text) *value_text++ = '\0';
  if (put) {
    tw_status status =
        tw_store_json(event->store, value_text, strlen(value_text), &value, error);
    if (status) return status;
  }
  if (!go(event, &at, &path)) return tw_fail(error, TW_ENOENT, "no way to %s", op);
  size_t len = strlen(path + 1);
  uint32_t index = (uint32_t)atoi(path + 1);
  if (*path == '[' || path[1] == '[')
    return put ? tw_event_put_at(event, at, index, value, error)
               : tw_event_delete_at(event, at, index, error);
  return put ? tw_event_put(event, at, path + 1, len, value, error)
             : tw_event_delete(event, at, path + 1, len, error);
}

static tw_status apply_all(tw_event *event, const char *ops, tw_error *error) {
  char copy[1024], *rest = copy;
  snprintf(copy, sizeof copy, "%s", ops);
  for (char *op; (op = strtok_r(rest, ";", &rest)) != NULL;) {
    tw_status status = apply(event, op, error);
    if (status) return status;
  }
  return TW_OK;
}

static void check_text(const tw_event *event, const char *want) {
  tw_buffer out = {0};
  assert_true(tw_event_render(event, event->root, &out));
  assert_true(tw_buffer_byte(&out, '\0'));
  assert_string_equal(out.data, want);
  tw_buffer_fini(&out);
}

typedef struct {
  const char *json, *ops, *want;
} edit_case;

static void edits_come_out_and_the_rest_stays_byte_for_byte(void **state) {
  (void)state;
  static const edit_case cases[] = {
      {"{}", "=a 1", "{\"a\":1}"},
      {"{ }", "=a 1;-a", "{ }"},
      {"{\"a\":1}", "=a 2", "{\"a\":2}"},
      {"{\"a\":1}", "=b 2", "{\"a\":1,\"b\":2}"},
      {"{\"a\": 1}", "=b 2", "{\"a\": 1, \"b\": 2}"},
      {"{\"a\": 1,\"c\": 3}", "=b 2", "{\"a\": 1,\"c\": 3,\"b\": 2}"},
      {"{\n  \"a\": 1,\n  \"c\": 3\n}", "=b 2", "{\n  \"a\": 1,\n  \"c\": 3,\n  \"b\": 2\n}"},
      {"{\"a\":1, \"b\":2 , \"c\":3}", "-a", "{\"b\":2 , \"c\":3}"},
      {"{\"a\":1, \"b\":2 , \"c\":3}", "-c", "{\"a\":1, \"b\":2}"},
      {"{\"a\":1, \"b\":2 , \"c\":3}", "-b", "{\"a\":1, \"c\":3}"},
      {"{\"a\":1, \"b\":2}", "-a;-b", "{}"},
      {"{ \"a\" : 1 }", "=a 2", "{ \"a\" : 2 }"},
      {"{ \"a\" : 1 }", "=b 2", "{ \"a\" : 1,\"b\" : 2 }"},
      {"{\"x\": {\"y\": {\"z\": 1.0, \"w\" :2}},\"k\":[ 1 , 2 ]}", "=x.y.z 5",
       "{\"x\": {\"y\": {\"z\": 5, \"w\" :2}},\"k\":[ 1 , 2 ]}"},
      {"{\"x\": {\"y\": {\"z\": 1.0, \"w\" :2}},\"k\":[ 1 , 2 ]}", "=x.y.z 5;=x.n 0;=k[1] {}",
       "{\"x\": {\"y\": {\"z\": 5, \"w\" :2}, \"n\": 0},\"k\":[ 1 , {} ]}"},
      {"{\"x\":{\"y\":{\"z\":1}}}", "=x.y.z 5;-x.y", "{\"x\":{}}"},
      {"{\"x\":{\"y\":{\"z\":1}}}", "=x.y.z 5;=x.y 6;=x.v 7", "{\"x\":{\"y\":6,\"v\":7}}"},
      {"{\"x\":{\"y\":{\"z\":1}}}", "=x.y {\"n\":{}};=x.y.n.m [];=x.y.n.m[0] 1",
       "{\"x\":{\"y\":{\"n\":{\"m\":[1]}}}}"},
      {"{\"a\":[]}", "=a[0] 1;=a[1] 2", "{\"a\":[1,2]}"},
      {"{\"a\":[ ]}", "=a[0] 1;-a[0]", "{\"a\":[ ]}"},
      {"{\"a\":[1, 2, 3]}", "-a[1]", "{\"a\":[1, 3]}"},
      {"{\"a\":[1, 2, 3]}", "-a[0];=a[2] 4", "{\"a\":[2, 3, 4]}"},
      {"{\"a\":{}}", "=a[0] 1", "{\"a\":[1]}"},
      {"{\"a\":{}}", "=a[0] 1;-a[0]", "{\"a\":[]}"},
      {"{\"a\":1,\"a\":2,\"b\":3}", "=b 4", "{\"a\":1,\"a\":2,\"b\":4}"},
      {"{\"a\":1,\"a\":2,\"b\":3}", "=a 4", "{\"a\":4,\"b\":3}"},
      {"{\"a\":1,\"b\":3,\"a\":2}", "=a 4", "{\"b\":3,\"a\":4}"},
      {"{\"a\":1,\"a\":2,\"b\":3}", "-a", "{\"b\":3}"},
      {"{\"\\u0061\":1,\"b\":3}", "=a 2", "{\"\\u0061\":2,\"b\":3}"},
      {"{\"\\u0061\":1,\"a\":3}", "-a", "{}"},
      {"{\"a\":123456789012345678901234567890,\"b\":1e400}", "=c \"\\u00e9\"",
       "{\"a\":123456789012345678901234567890,\"b\":1e400,\"c\":\"\\u00e9\"}"},
      {"{\"a\":1}", "=q\" 1", "{\"a\":1,\"q\\\"\":1}"},
  };
  tw_store store;
  tw_store_init(&store, NULL);
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    tw_error error = {0};
    tw_event event = parse(&store, cases[i].json), saved = tw_event_fork(&event);
    if (apply_all(&event, cases[i].ops, &error))
      fail_msg("%s: %s", cases[i].ops, error.message);
    check_text(&event, cases[i].want);
    check_text(&saved, cases[i].json);
    tw_event_restore(&event, &saved);
    check_text(&event, cases[i].json);
    tw_event_end(&event);
    tw_store_reset(&store);
  }
  tw_store_fini(&store);
}

typedef struct {
  const char *json, *ops;
  tw_status status;
} failing_case;

static void edits_that_fail_leave_the_event_as_it_was(void **state) {
  (void)state;
  static const failing_case cases[] = {
      {"{\"a\":1}", "=a.b 2", TW_ETYPE},
      {"{\"a\":[1]}", "=a.b 2", TW_ETYPE},
      {"{\"a\":{\"b\":1}}", "=a[0] 2", TW_ETYPE},
      {"{\"a\":[1]}", "=a[2] 2", TW_EINVAL},
      {"{\"a\":[1]}", "-a[1]", TW_ENOENT},
      {"{}", "=[0] 1", TW_ETYPE},
      {"{\"a\":1}", "-b", TW_ENOENT},
      {"{\"a\":1}", "=b {", TW_EJSON},
      {"{\"a\":1}", "=b 1 2", TW_EJSON},
      {"{\"a\":1}", "=\xff 1", TW_EJSON},
  };
  tw_store store;
  tw_store_init(&store, NULL);
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    tw_error error = {0};
    tw_event event = parse(&store, cases[i].json);
    assert_int_equal(apply_all(&event, cases[i].ops, &error), cases[i].status);
    assert_int_equal(error.code, cases[i].status);
    check_text(&event, cases[i].json);
    tw_event_end(&event);
    tw_store_reset(&store);
  }
  tw_store_fini(&store);
}

static void branches_see_only_their_own_edits(void **state) {
  (void)state;
  enum { BRANCHES = 32 };
  tw_store store;
  tw_error error;
  tw_event branch[BRANCHES];
  char want[128], ops[64];
  tw_store_init(&store, NULL);
  tw_event event = parse(&store, "{\"n\":0,\"c\":{\"x\":1},\"l\":[1]}");
  assert_int_equal(apply_all(&event, "=c.y 2;=l[1] 2", &error), TW_OK);
  for (int i = 0; i < BRANCHES; i++) {
    branch[i] = tw_event_fork(i ? &branch[i / 2] : &event);
    snprintf(ops, sizeof ops, "=c.y %d;=l[1] %d", i + 10, i + 10);
    assert_int_equal(apply_all(&branch[i], ops, &error), TW_OK);
  }
  check_text(&event, "{\"n\":0,\"c\":{\"x\":1,\"y\":2},\"l\":[1,2]}");
  for (int round = 0; round < 2; round++)
    for (int i = 0; i < BRANCHES; i++) {
      snprintf(want, sizeof want, "{\"n\":0,\"c\":{\"x\":1,\"y\":%d},\"l\":[1,%d]}", i + 10,
               i + 10);
      check_text(&branch[i], want);
      snprintf(ops, sizeof ops, "=l[1] 99;=l[1] %d", i + 10);
      assert_int_equal(apply_all(&branch[i], ops, &error), TW_OK);
    }
  for (int i = 0; i < BRANCHES; i++) tw_event_end(&branch[i]);
  tw_event_end(&event);
  tw_store_fini(&store);
}

static void a_detached_value_stays_readable_and_can_move(void **state) {
  (void)state;
  tw_store store;
  tw_error error;
  tw_ref inner, deep;
  tw_store_init(&store, NULL);
  tw_event event = parse(&store, "{\"a\":[[1, 2],3],\"b\":0}");
  assert_true(tw_event_find(&event, event.root, "a", 1, &inner));
  assert_int_equal(tw_event_delete(&event, event.root, "a", 1, &error), TW_OK);
  assert_int_equal(tw_event_count(&event, inner), 2);
  assert_true(tw_event_at(&event, inner, 0, &deep));
  assert_int_equal(tw_event_put(&event, event.root, "new", 3, inner, &error), TW_OK);
  check_text(&event, "{\"b\":0,\"new\":[[1, 2],3]}");
  tw_ref one, two, three;
  assert_true(tw_event_at(&event, deep, 0, &one));
  assert_true(tw_event_at(&event, deep, 1, &two));
  assert_true(tw_event_at(&event, inner, 1, &three));
  assert_int_equal(tw_event_put_at(&event, inner, 0, one, &error), TW_OK);
  assert_int_equal(tw_event_put_at(&event, inner, 1, two, &error), TW_OK);
  assert_int_equal(tw_event_put_at(&event, inner, 2, three, &error), TW_OK);
  check_text(&event, "{\"b\":0,\"new\":[1, 2,3]}");
  tw_event_end(&event);
  tw_store_fini(&store);
}

static char *nested(int depth) {
  char *text = calloc(1, (size_t)depth * 6 + 8);
  for (int i = 0; i < depth; i++) strcat(text, "{\"a\":");
  strcat(text, "1");
  for (int i = 0; i < depth; i++) strcat(text, "}");
  return text;
}

/* The event must be readable again under its own limits. */
static void a_value_may_not_nest_the_event_too_deeply(void **state) {
  (void)state;
  const tw_limits limits = {.max_depth = 10};
  tw_store store;
  tw_store_init(&store, &limits);
  for (int outer = 1; outer <= 10; outer++)
    for (int inner = 0; inner <= 10; inner++) {
      char *text = nested(outer), *value = nested(inner);
      tw_event event = parse(&store, text);
      tw_ref at = event.root, ref;
      tw_error error;
      for (int i = 1; i < outer; i++) tw_event_find(&event, at, "a", 1, &at);
      assert_int_equal(tw_store_json(&store, value, strlen(value), &ref, &error), TW_OK);
      tw_status want = outer + inner <= 10 ? TW_OK : TW_ELIMIT;
      assert_int_equal(tw_event_put(&event, at, "a", 1, ref, &error), want);
      tw_event_end(&event);
      tw_store_reset(&store);
      free(text), free(value);
    }
  tw_store_fini(&store);
}

/* 20,000 members: a quadratic search would take many seconds. */
static void big_objects_and_arrays_are_not_searched_quadratically(void **state) {
  (void)state;
  enum { COUNT = 20000 };
  tw_buffer text = {0};
  tw_store store;
  tw_error error;
  tw_ref list, value, element;
  char key[32];
  tw_buffer_printf(&text, "{\"list\":[0");
  for (int i = 1; i < COUNT; i++) tw_buffer_printf(&text, ",[%d]", i);
  tw_buffer_printf(&text, "]");
  for (int i = 0; i < COUNT; i++) tw_buffer_printf(&text, ",\"key-%06d-x\":%d", i, i);
  tw_buffer_byte(&text, '}'), tw_buffer_byte(&text, '\0');
  tw_store_init(&store, NULL);
  tw_event event = parse(&store, text.data);
  assert_true(tw_event_find(&event, event.root, "list", 4, &list));
  for (int round = 0; round < 2; round++) {
    for (int i = 0; i < COUNT; i++) {
      int len = snprintf(key, sizeof key, "key-%06d-x", i);
      assert_true(tw_event_find(&event, event.root, key, (size_t)len, &value));
      assert_int_equal(atoi(tw_store_node(&store, value)->text), round && i == 7 ? -1 : i);
      assert_true(tw_event_at(&event, list, (uint32_t)i, &element));
      assert_true(tw_event_at(&event, list, (uint32_t)(COUNT - 1 - i), &element));
      assert_int_equal(tw_event_count(&event, list), COUNT);
    }
    assert_false(tw_event_find(&event, event.root, "key", 3, &value));
    assert_false(tw_event_at(&event, list, COUNT, &value));
    assert_int_equal(tw_store_integer(&store, -1, &value, &error), TW_OK);
    assert_int_equal(tw_event_put(&event, event.root, "key-000007-x", 12, value, &error),
                     TW_OK);
  }
  for (int i = 0; i < COUNT; i++) {
    int len = snprintf(key, sizeof key, "new-%06d-x", i);
    tw_store_integer(&store, i, &value, &error);
    assert_int_equal(tw_event_put(&event, event.root, key, (size_t)len, value, &error), TW_OK);
    assert_int_equal(tw_event_put_at(&event, list, COUNT + (uint32_t)i, value, &error), TW_OK);
  }
  assert_int_equal(tw_event_count(&event, event.root), 2 * COUNT + 1);
  size_t spent = store.spent;
  for (int i = 0; i < COUNT / 10; i++) {
    int len = snprintf(key, sizeof key, "key-%06d-x", COUNT - 1 - i);
    assert_int_equal(tw_event_delete(&event, event.root, key, (size_t)len, &error), TW_OK);
  }
  assert_true(store.spent - spent < 4u << 20);
  assert_int_equal(tw_event_count(&event, event.root), 2 * COUNT + 1 - COUNT / 10);
  tw_event_end(&event);
  tw_store_fini(&store);
  tw_buffer_fini(&text);
}

static void duplicate_keys_of_a_big_object_go_with_a_put(void **state) {
  (void)state;
  tw_buffer text = {0};
  tw_store store;
  tw_error error;
  tw_ref value;
  tw_buffer_printf(&text, "{\"twice\":1");
  for (int i = 0; i < 200; i++) tw_buffer_printf(&text, ",\"%d\":%d", i, i);
  tw_buffer_printf(&text, ",\"tw\\u0069ce\":2}");
  tw_buffer_byte(&text, '\0');
  tw_store_init(&store, NULL);
  tw_event event = parse(&store, text.data);
  for (int i = 0; i < 20; i++) {
    assert_true(tw_event_find(&event, event.root, "twice", 5, &value));
    assert_int_equal(tw_store_node(&store, value)->text[0], i ? '9' : '2');
    tw_store_integer(&store, 9, &value, &error);
    if (i % 2 == 0) tw_event_put(&event, event.root, "twice", 5, value, &error);
    assert_int_equal(tw_event_count(&event, event.root), 201);
  }
  assert_int_equal(tw_event_delete(&event, event.root, "twice", 5, &error), TW_OK);
  assert_false(tw_event_find(&event, event.root, "twice", 5, &value));
  tw_event_end(&event);
  tw_store_fini(&store);
  tw_buffer_fini(&text);
}

static void another_object_can_become_the_root(void **state) {
  (void)state;
  tw_store store;
  tw_error error;
  tw_ref value;
  tw_store_init(&store, NULL);
  tw_event event = parse(&store, "{\"a\":{\"b\":1},\"c\":2}");
  assert_int_equal(apply_all(&event, "=a.d 3", &error), TW_OK);
  tw_event saved = tw_event_fork(&event);
  assert_true(tw_event_find(&event, event.root, "a", 1, &value));
  assert_int_equal(tw_event_set_root(&event, value, &error), TW_OK);
  check_text(&event, "{\"b\":1,\"d\":3}");
  tw_store_json(&store, " [1] ", 5, &value, &error);
  assert_int_equal(tw_event_set_root(&event, value, &error), TW_ETYPE);
  tw_store_json(&store, " { \"n\":1} ", 10, &value, &error);
  assert_int_equal(tw_event_set_root(&event, value, &error), TW_OK);
  check_text(&event, "{ \"n\":1}");
  assert_non_null(tw_event_untouched(&event));
  tw_event_restore(&event, &saved);
  check_text(&event, "{\"a\":{\"b\":1,\"d\":3},\"c\":2}");
  tw_event_end(&event);
  tw_store_fini(&store);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(edits_come_out_and_the_rest_stays_byte_for_byte),
      cmocka_unit_test(edits_that_fail_leave_the_event_as_it_was),
      cmocka_unit_test(branches_see_only_their_own_edits),
      cmocka_unit_test(a_detached_value_stays_readable_and_can_move),
      cmocka_unit_test(a_value_may_not_nest_the_event_too_deeply),
      cmocka_unit_test(big_objects_and_arrays_are_not_searched_quadratically),
      cmocka_unit_test(duplicate_keys_of_a_big_object_go_with_a_put),
      cmocka_unit_test(another_object_can_become_the_root),
  };
  tw_oom_install();
  return cmocka_run_group_tests(tests, NULL, tw_oom_leaves_nothing);
}
