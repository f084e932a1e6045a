/* Every allocation fails once: the call must say so, and leave the event as it was. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "event/path.h"
#include "support/oom.h"

/* Long enough for the first chunk of an arena to be too short soon. */
static char *long_json(void) {
  char *json = malloc(16384);
  int at = sprintf(json, "{\"id\":\"i\\u0064\",\"o\":{\"x\":{}},\"l\":[1],\"esc\":\"a\\nb\"");
  for (int i = 0; i < 100; i++)
    at += sprintf(json + at, ",\"key%d\":[%d,{\"v\\n\":\"\\u00e9\"}]", i, i);
  strcpy(json + at, "}");
  return json;
}

typedef tw_status (*event_call)(tw_event *event, tw_error *error);

static tw_status set_json(tw_event *event, tw_error *error) {
  static char big[6000];
  memset(big, ' ', sizeof big);
  memcpy(big, "{\"deep\":[1]}", 12);
  return tw_event_set_json(event, "o.x.new.member", big, sizeof big, error);
}
static tw_status set_string(tw_event *event, tw_error *error) {
  static char big[5000];
  memset(big, '\n', sizeof big);
  return tw_event_set_string(event, "o.\"", big, 0, error) == TW_EINVAL
             ? tw_event_set_string(event, "o[\"\\n\"]", big, sizeof big, error)
             : TW_EIO;
}
static tw_status set_number(tw_event *event, tw_error *error) {
  return tw_event_set_number(event, "l[1]", 1.5, error);
}
static tw_status remove_one(tw_event *event, tw_error *error) {
  return tw_event_remove(event, "key50[1]", error);
}
static tw_status long_path(tw_event *event, tw_error *error) {
  char path[200] = "o";
  while (strlen(path) < 150) strcat(path, ".step");
  return tw_event_set_null(event, path, error);
}
static tw_status replace(tw_event *event, tw_error *error) {
  return tw_event_replace(event, "{\"whole\":1}", 11, error);
}

static char *render(const tw_event *event) {
  tw_buffer out = {0};
  assert_true(tw_event_render(event, event->root, &out) && tw_buffer_byte(&out, '\0'));
  return out.data;
}

/* @return whether an allocation failed */
static bool try_call(event_call call, const char *json, bool edited, size_t n) {
  tw_event *event;
  tw_error error = {0};
  assert_int_equal(tw_event_parse(json, strlen(json), NULL, &event, NULL), TW_OK);
  if (edited) assert_int_equal(tw_event_set_integer(event, "o.first", 1, NULL), TW_OK);
  event->store->arena.next = event->store->arena.end; /* the next piece wants a chunk */
  tw_event other = tw_event_fork(event);
  char *before = render(event);
  tw_oom_fail_at(n);
  tw_status status = call(event, &error);
  bool failed = tw_oom_off();
  char *after = render(event), *branch = render(&other);
  assert_string_equal(branch, before);
  if (status) assert_string_equal(after, before);
  else assert_string_not_equal(after, before);
  if (status) assert_true(failed && status == TW_ENOMEM && error.code == TW_ENOMEM);
  tw_free(before), tw_free(after), tw_free(branch);
  tw_event_end(&other);
  tw_event_free(event);
  return failed;
}

static void an_edit_without_memory_leaves_the_event_as_it_was(void **state) {
  (void)state;
  static const event_call calls[] = {set_json,   set_string, set_number,
                                     remove_one, long_path,  replace};
  char *json = long_json();
  for (size_t i = 0; i < sizeof calls / sizeof *calls; i++)
    for (int edited = 0; edited < 2; edited++) {
      size_t n = 0;
      while (try_call(calls[i], json, edited, n)) n++;
      assert_true(n > 0);
    }
  free(json);
}

static void reading_without_memory_is_an_error(void **state) {
  (void)state;
  static const char *const paths[] = {"esc", "o", "l", "key7[1]", "key99"};
  char *json = long_json();
  bool failed = true;
  for (size_t n = 0; failed; n++) {
    tw_event *event;
    tw_value value;
    const char *text;
    size_t len;
    int errors = 0;
    assert_int_equal(tw_event_parse(json, strlen(json), NULL, &event, NULL), TW_OK);
    assert_int_equal(tw_event_set_integer(event, "o.first", 1, NULL), TW_OK);
    event->store->arena.next = event->store->arena.end; /* the next piece wants a chunk */
    tw_oom_fail_at(n);
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
      tw_status status = tw_event_get(event, paths[i], &value);
      assert_true(status == TW_OK || status == TW_ENOMEM);
      errors += status != TW_OK;
    }
    errors += tw_event_json(event, &text, &len) != TW_OK;
    errors += tw_event_id(event, &text, &len) != TW_OK;
    failed = tw_oom_off();
    assert_true(failed || !errors);
    assert_int_equal(tw_event_json(event, &text, &len), TW_OK);
    tw_event_free(event);
  }
  free(json);
}

static void parse_and_copy_without_memory_give_nothing(void **state) {
  (void)state;
  char *json = long_json();
  tw_event *event, *copy;
  for (size_t n = 0, failed = 1; failed; n++) {
    tw_oom_fail_at(n);
    tw_status status = tw_event_parse(json, strlen(json), NULL, &event, NULL);
    failed = tw_oom_off();
    assert_true(status == TW_OK || (failed && status == TW_ENOMEM && !event));
    tw_event_free(event);
  }
  assert_int_equal(tw_event_parse(json, strlen(json), NULL, &event, NULL), TW_OK);
  assert_int_equal(tw_event_set_null(event, "x", NULL), TW_OK);
  for (size_t n = 0, failed = 1; failed; n++) {
    tw_oom_fail_at(n);
    tw_status status = tw_event_copy(event, &copy, NULL);
    failed = tw_oom_off();
    assert_true(status == TW_OK || (failed && status == TW_ENOMEM && !copy));
    tw_event_free(copy);
  }
  tw_event_free(event);
  free(json);
}

/* Indexes are a help that may be missing. */
static void searches_need_no_memory(void **state) {
  (void)state;
  char *json = long_json();
  for (size_t n = 0, failed = 1; failed; n++) {
    tw_store store;
    tw_event event;
    tw_ref value;
    tw_store_init(&store, NULL);
    assert_int_equal(tw_store_parse_copy(&store, json, strlen(json), &event, NULL), TW_OK);
    store.arena.next = store.arena.end;
    tw_oom_fail_at(n);
    for (int round = 0; round < 10; round++) {
      assert_true(tw_event_find(&event, event.root, "key99", 5, &value));
      assert_false(tw_event_find(&event, event.root, "key", 3, &value));
      assert_int_equal(tw_event_count(&event, event.root), 104);
    }
    failed = tw_oom_off();
    tw_event_end(&event);
    tw_store_fini(&store);
  }
  free(json);
}

static void builders_and_packs_without_memory_say_so(void **state) {
  (void)state;
  static char text[3000];
  memset(text, 'x', sizeof text - 1);
  for (size_t n = 0, failed = 1; failed; n++) {
    const char *json;
    size_t len;
    tw_oom_fail_at(n);
    tw_builder *b = tw_builder_new();
    tw_status status = b ? TW_OK : TW_ENOMEM;
    if (b) {
      tw_builder_pack(b, "{\"q%%\":\"%%\",a:%s,b:[%f,true]}", text, 1.5);
      status = tw_builder_text(b, &json, &len, NULL);
    }
    failed = tw_oom_off();
    assert_int_equal(status, failed ? TW_ENOMEM : TW_OK);
    tw_builder_free(b);
  }
}

static void paths_and_matches_without_memory_say_so(void **state) {
  (void)state;
  char *json = long_json();
  for (size_t n = 0, failed = 1; failed; n++) {
    tw_store store;
    tw_event event;
    tw_path *path;
    tw_place *places;
    size_t count = 0;
    tw_store_init(&store, NULL);
    assert_int_equal(tw_store_parse_copy(&store, json, strlen(json), &event, NULL), TW_OK);
    tw_oom_fail_at(n);
    tw_status status = tw_path_compile("**", 2, &path, NULL);
    if (!status) status = tw_path_match(&event, path, &places, &count, NULL);
    failed = tw_oom_off();
    assert_int_equal(status, failed ? TW_ENOMEM : TW_OK);
    if (!status) assert_int_equal(count, 406);
    tw_path_free(path);
    tw_event_end(&event);
    tw_store_fini(&store);
  }
  free(json);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(an_edit_without_memory_leaves_the_event_as_it_was),
      cmocka_unit_test(reading_without_memory_is_an_error),
      cmocka_unit_test(parse_and_copy_without_memory_give_nothing),
      cmocka_unit_test(searches_need_no_memory),
      cmocka_unit_test(builders_and_packs_without_memory_say_so),
      cmocka_unit_test(paths_and_matches_without_memory_say_so),
  };
  tw_oom_install();
  return cmocka_run_group_tests(tests, NULL, tw_oom_leaves_nothing);
}
