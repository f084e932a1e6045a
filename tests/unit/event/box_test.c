/* Big edited containers against a naive list, and what taking them apart costs. */
#include "event/box.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

enum { MOST = 4000, KEYS = 600 };

/* The members in order; arrays use the values alone. */
typedef struct naive {
  int keys[MOST], values[MOST];
  int count;
} naive;

static uint32_t seed = 1;
static int any(int below) {
  seed = seed * 1664525u + 1013904223u;
  return (int)((seed >> 8) % (uint32_t)below);
}

static int find(const naive *list, int key) {
  for (int i = 0; i < list->count; i++)
    if (list->keys[i] == key) return i;
  return -1;
}

static void take_out(naive *list, int at) {
  size_t behind = (size_t)(--list->count - at) * sizeof(int);
  memmove(list->keys + at, list->keys + at + 1, behind);
  memmove(list->values + at, list->values + at + 1, behind);
}

static void add(naive *list, int key, int value) {
  list->keys[list->count] = key;
  list->values[list->count++] = value;
}

/* Every seventh key has an escape. */
static size_t name(int key, char out[32]) {
  return (size_t)snprintf(out, 32, key % 7 ? "key-%d" : "key\n%d", key);
}

static tw_ref number(tw_store *store, int value) {
  tw_ref ref;
  assert_int_equal(tw_store_integer(store, value, &ref, NULL), TW_OK);
  return ref;
}

/* Texts of numbers have no end of their own. */
static int value_of(const tw_store *store, tw_ref ref) {
  char text[16];
  const tw_node *node = tw_store_node(store, ref);
  snprintf(text, sizeof text, "%.*s", (int)node->len, node->text);
  return atoi(text);
}

static void check_all(tw_event *event, tw_ref at, const naive *list) {
  tw_cursor cursor = tw_cursor_begin(event, at);
  assert_int_equal(tw_event_count(event, at), list->count);
  for (int i = 0; i < list->count; i++) {
    assert_true(tw_cursor_next(&cursor));
    assert_int_equal(value_of(event->store, cursor.value), list->values[i]);
  }
  assert_false(tw_cursor_next(&cursor));
}

static void check_key(tw_event *event, const naive *list, int key) {
  char text[32];
  tw_ref value;
  int at = find(list, key);
  assert_int_equal(tw_event_find(event, event->root, text, name(key, text), &value), at >= 0);
  if (at >= 0) assert_int_equal(value_of(event->store, value), list->values[at]);
}

static void put_key(tw_event *event, naive *list, int key) {
  char text[32];
  int at = find(list, key), value = any(1000000);
  tw_ref ref = number(event->store, value);
  assert_int_equal(tw_event_put(event, event->root, text, name(key, text), ref, NULL), TW_OK);
  if (at >= 0) list->values[at] = value;
  else add(list, key, value);
}

static void delete_key(tw_event *event, naive *list, int key) {
  char text[32];
  int at = find(list, key);
  assert_int_equal(tw_event_delete(event, event->root, text, name(key, text), NULL),
                   at >= 0 ? TW_OK : TW_ENOENT);
  if (at >= 0) take_out(list, at);
}

/* Times of growing and of shrinking, at either end and anywhere; a fork makes a new box. */
static void step_object(tw_event *event, naive *list, int round) {
  int what = any(10);
  if (what < (round / 500 % 2 ? 3 : 6)) put_key(event, list, any(KEYS));
  else if (what < 7 && list->count) delete_key(event, list, list->keys[0]);
  else if (what < 8 && list->count) delete_key(event, list, list->keys[list->count - 1]);
  else delete_key(event, list, any(KEYS));
}

static void a_big_object_that_loses_and_gains_members_stays_right(void **state) {
  (void)state;
  static naive list;
  tw_store store;
  tw_event event;
  tw_store_init(&store, NULL);
  assert_int_equal(tw_store_parse_copy(&store, "{}", 2, &event, NULL), TW_OK);
  list.count = 0;
  for (int i = 0; i < KEYS / 2; i++) put_key(&event, &list, i);
  for (int round = 0; round < 6000; round++) {
    step_object(&event, &list, round);
    check_key(&event, &list, any(KEYS));
    if (round % 100 == 0) check_all(&event, event.root, &list);
    if (round % 700 != 0) continue;
    tw_event fork = tw_event_fork(&event);
    tw_event_end(&event);
    event = fork;
  }
  tw_event_end(&event);
  tw_store_fini(&store);
}

static void step_array(tw_event *event, tw_ref array, naive *list) {
  int what = any(8), count = list->count;
  if (what < 4 && count < MOST) {
    add(list, 0, any(1000000));
    tw_ref value = number(event->store, list->values[count]);
    assert_int_equal(tw_event_put_at(event, array, (uint32_t)count, value, NULL), TW_OK);
  } else if (count) {
    int at = what < 6 ? 0 : what < 7 ? count - 1 : any(count);
    assert_int_equal(tw_event_delete_at(event, array, (uint32_t)at, NULL), TW_OK);
    take_out(list, at);
  }
}

static void an_array_used_as_a_queue_stays_right_and_small(void **state) {
  (void)state;
  static naive list;
  tw_store store;
  tw_event event;
  tw_ref array;
  tw_store_init(&store, NULL);
  assert_int_equal(tw_store_parse_copy(&store, "{\"a\":[0]}", 9, &event, NULL), TW_OK);
  assert_true(tw_event_find(&event, event.root, "a", 1, &array));
  list.count = 0;
  add(&list, 0, 0);
  for (int round = 0; round < 20000; round++) {
    step_array(&event, array, &list);
    if (round % 50 == 0) check_all(&event, array, &list);
  }
  assert_true(store.spent < 1u << 20);
  tw_event_end(&event);
  tw_store_fini(&store);
}

/* @param order  0: from the front, 1: from the back. @return seconds of CPU */
static double take_apart(int count, int order) {
  tw_buffer text = {0};
  tw_store store;
  tw_event event;
  char key[32];
  for (int i = 0; i < count; i++)
    tw_buffer_printf(&text, "%s\"key-%d\":%d", i ? "," : "{", i, i);
  tw_buffer_byte(&text, '}');
  const tw_limits limits = {.max_size = 8 << 20};
  tw_store_init(&store, &limits);
  assert_int_equal(tw_store_parse_copy(&store, text.data, text.len, &event, NULL), TW_OK);
  clock_t began = clock();
  for (int i = 0; i < count; i++) {
    int len = snprintf(key, sizeof key, "key-%d", order ? count - 1 - i : i);
    assert_int_equal(tw_event_delete(&event, event.root, key, (size_t)len, NULL), TW_OK);
  }
  double took = (double)(clock() - began) / CLOCKS_PER_SEC;
  assert_int_equal(tw_event_count(&event, event.root), 0);
  tw_event_end(&event);
  tw_store_fini(&store);
  tw_buffer_fini(&text);
  return took;
}

/* Four times the members: 4 times the time when it is linear, 16 when it is quadratic. */
static void deleting_every_key_of_a_big_object_costs_linear_time(void **state) {
  (void)state;
  for (int order = 0; order < 2; order++) {
    double small = take_apart(20000, order), big = take_apart(80000, order);
    if (big > 9 * small + 0.05) fail_msg("%g s, and %g s for four times as much", small, big);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_big_object_that_loses_and_gains_members_stays_right),
      cmocka_unit_test(an_array_used_as_a_queue_stays_right_and_small),
      cmocka_unit_test(deleting_every_key_of_a_big_object_costs_linear_time),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
