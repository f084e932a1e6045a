/// Chunks: events that lie together, stored and read again.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <pthread.h>

#include <cmocka.h>

#include "support/oom.h"

#include "delivery/chunk_form.h"

static void add_text(tw_chunk_builder *builder, const char *json, const char *id,
                     int priority) {
  assert_int_equal(
      tw_chunk_builder_add_text(builder, json, strlen(json), id, strlen(id), priority, NULL),
      TW_OK);
}

static tw_chunk *finish(tw_chunk_builder *builder, uint64_t first) {
  tw_chunk *chunk;
  assert_int_equal(tw_chunk_finish(builder, 3, 1234567, &chunk, NULL), TW_OK);
  tw_chunk_number(chunk, first);
  return chunk;
}

static tw_chunk *read_again(const tw_chunk *chunk) {
  const char *data;
  size_t size;
  tw_chunk *copy;
  tw_error error = {.message = ""};
  tw_chunk_bytes(chunk, &data, &size);
  assert_int_equal(size, tw_chunk_size(chunk));
  if (tw_chunk_read(data, size, &copy, &error)) fail_msg("%s", error.message);
  return copy;
}

static void assert_item(const tw_chunk *chunk, uint32_t index, const char *json, const char *id,
                        int priority) {
  tw_batch_item item;
  tw_chunk_item(chunk, index, &item);
  assert_int_equal(item.len, strlen(json));
  assert_memory_equal(item.text, json, item.len);
  assert_int_equal(item.text[item.len], '\n');
  assert_int_equal(item.id_len, strlen(id));
  assert_memory_equal(item.id, id, item.id_len);
  assert_int_equal(item.priority, priority);
}

/* Their priorities are low, normal, high, low …; each second one has its id in its text. */
static tw_chunk *mixed_chunk(uint32_t count, uint64_t first) {
  tw_chunk_builder builder = {0};
  for (uint32_t i = 0; i < count; i++) {
    char json[64], id[32];
    int id_len = snprintf(id, sizeof id, "id-%u", i);
    int len =
        snprintf(json, sizeof json, i % 2 ? "{\"n\":%u}" : "{\"n\":%u,\"id\":\"id-%u\"}", i, i);
    const char *at = i % 2 ? id : strstr(json, "id-");
    assert_int_equal(tw_chunk_builder_add_text(&builder, json, (size_t)len, at, (size_t)id_len,
                                               (int)(i % 3) - 1, NULL),
                     TW_OK);
  }
  tw_chunk *chunk = finish(&builder, first);
  tw_chunk_builder_fini(&builder);
  return chunk;
}

static void assert_mixed(const tw_chunk *chunk, uint32_t index, uint32_t number) {
  char json[64], id[32];
  snprintf(id, sizeof id, "id-%u", number);
  snprintf(json, sizeof json, number % 2 ? "{\"n\":%u}" : "{\"n\":%u,\"id\":\"id-%u\"}", number,
           number);
  assert_item(chunk, index, json, id, (int)(number % 3) - 1);
}

/* -------------------------------------------------------------- there and back */

static void what_was_gathered_is_read_from_the_stored_form(void **state) {
  (void)state;
  tw_chunk *chunk = mixed_chunk(100, 1000), *copy = read_again(chunk);
  tw_chunk_unref(chunk);
  assert_int_equal(tw_chunk_count(copy), 100);
  assert_int_equal(tw_chunk_first(copy), 1000);
  assert_int_equal(tw_chunk_generation(copy), 3);
  assert_int_equal(tw_chunk_time(copy), 1234567);
  assert_int_equal(tw_chunk_at_priority(copy, TW_PRIORITY_LOW), 34);
  assert_int_equal(tw_chunk_at_priority(copy, TW_PRIORITY_NORMAL), 33);
  assert_int_equal(tw_chunk_at_priority(copy, TW_PRIORITY_HIGH), 33);
  assert_int_equal(tw_chunk_at_priority(copy, 2), 0);
  for (uint32_t i = 0; i < 100; i++) assert_mixed(copy, i, i);
  tw_chunk_unref(copy);
  tw_chunk_unref(NULL);
}

static void the_texts_lie_as_lines_behind_the_header(void **state) {
  (void)state;
  const char *data;
  size_t size;
  tw_chunk_builder builder = {0};
  add_text(&builder, "{\"a\":1}", "x", 0);
  add_text(&builder, "{}", "y", 0);
  tw_chunk *chunk = finish(&builder, 0);
  tw_chunk_bytes(chunk, &data, &size);
  assert_int_equal(tw_chunk_text_len(chunk), 11);
  assert_memory_equal(data + TW_CHUNK_HEADER, "{\"a\":1}\n{}\n", 11);
  tw_chunk_unref(chunk);
  tw_chunk_builder_fini(&builder);
}

/* So that a spool of another version or machine is read alike. */
static void the_form_on_disk_is_this_one(void **state) {
  (void)state;
  static const unsigned char expected[] = {
      'T',  'W',  'C',  '1', 12,  0,   0,   0,                          //
      2,    1,    0,    0,   0,   0,   0,   0,                          // first
      3,    0,    0,    0,   0,   0,   0,   0,                          // generation
      0x87, 0xd6, 0x12, 0,   0,   0,   0,   0,                          // time
      2,    0,    0,    0,   21,  0,   0,   0,   1,    0,   0,    0,    // events, text, ids
      1,    0,    0,    0,   0,   0,   0,   0,   0,    0,   0,    0,    // low, high
      '{',  '"',  'i',  'd', '"', ':', '"', 'a', 'b',  '"', '}',  '\n', //
      '{',  '"',  'n',  '"', ':', '1', '2', '}', '\n',                  //
      12,   0,    0,    0,   7,   0,   0,   0,   2,    0,   0xff, 1,    // id in the text
      21,   0,    0,    0,   0,   0,   0,   0,   1,    0,   0,    0,    // id behind
      'z'};
  const char *data, *json = "{\"id\":\"ab\"}";
  size_t size;
  tw_chunk_builder builder = {0};
  assert_int_equal(tw_chunk_builder_add_text(&builder, json, 11, json + 7, 2, -1, NULL), TW_OK);
  add_text(&builder, "{\"n\":12}", "z", 0);
  tw_chunk *chunk = finish(&builder, 258);
  tw_chunk_bytes(chunk, &data, &size);
  assert_int_equal(size, 8 + sizeof expected);
  assert_memory_equal(data + 8, expected, sizeof expected);
  assert_true(tw_chunk_is_intact(data, size));
  tw_chunk_unref(chunk);
  tw_chunk_builder_fini(&builder);
}

static void a_builder_that_is_empty_makes_no_chunk(void **state) {
  (void)state;
  tw_chunk_builder builder = {0};
  tw_chunk *chunk = (tw_chunk *)&builder;
  assert_int_equal(tw_chunk_finish(&builder, 0, 0, &chunk, NULL), TW_EINVAL);
  assert_null(chunk);
  add_text(&builder, "{}", "x", 0);
  tw_chunk_unref(finish(&builder, 0));
  assert_int_equal(tw_chunk_finish(&builder, 0, 0, &chunk, NULL), TW_EINVAL);
  tw_chunk_builder_fini(&builder);
}

static void a_builder_is_filled_again_without_new_memory(void **state) {
  (void)state;
  tw_chunk_builder builder = {0};
  size_t calls = 0;
  for (int round = 0; round < 4; round++) {
    if (round == 1) calls = tw_oom_calls();
    for (int i = 0; i < 500; i++) add_text(&builder, "{\"some\":\"text\"}", "an-id", 0);
    tw_chunk_unref(finish(&builder, 0));
  }
  assert_int_equal(tw_oom_calls(), calls + 3); /* the chunks */
  tw_chunk_builder_fini(&builder);
}

static void an_event_may_have_no_id(void **state) {
  (void)state;
  tw_chunk_builder builder = {0};
  add_text(&builder, "{}", "", 0);
  tw_chunk *chunk = finish(&builder, 0), *copy = read_again(chunk);
  assert_item(copy, 0, "{}", "", 0);
  tw_chunk_unref(copy);
  tw_chunk_unref(chunk);
  tw_chunk_builder_fini(&builder);
}

static void a_long_id_is_refused_and_the_builder_goes_on(void **state) {
  (void)state;
  char id[TW_ID_MAX + 1];
  tw_chunk_builder builder = {0};
  memset(id, 'i', sizeof id);
  assert_int_equal(tw_chunk_builder_add_text(&builder, "{}", 2, id, TW_ID_MAX, 0, NULL),
                   TW_ELIMIT);
  assert_int_equal(builder.count, 0);
  assert_int_equal(tw_chunk_builder_add_text(&builder, "{}", 2, id, TW_ID_MAX - 1, 0, NULL),
                   TW_OK);
  tw_chunk *chunk = finish(&builder, 0), *copy = read_again(chunk);
  id[TW_ID_MAX - 1] = '\0';
  assert_item(copy, 0, "{}", id, 0);
  tw_chunk_unref(copy);
  tw_chunk_unref(chunk);
  tw_chunk_builder_fini(&builder);
}

/* ---------------------------------------------------------------------- events */

static void add_event(tw_chunk_builder *builder, tw_event *event) {
  assert_int_equal(tw_chunk_builder_add(builder, event, NULL), TW_OK);
}

static tw_event *parse(const char *json) {
  tw_event *event;
  assert_int_equal(tw_event_parse(json, strlen(json), NULL, &event, NULL), TW_OK);
  return event;
}

static void an_event_is_stored_with_its_text_id_and_priority(void **state) {
  (void)state;
  tw_chunk_builder builder = {0};
  tw_event *own = parse("  {\"id\" : \"own\", \"a\":1.50}  "), *none = parse("{\"b\":2}");
  tw_event *escaped = parse("{\"messageId\":\"\\u0061\\/b\"}"), *edited = parse("{\"c\":[3]}");
  const char *id;
  size_t len;
  tw_event_set_priority(own, TW_PRIORITY_HIGH);
  assert_int_equal(tw_event_set_string(edited, "id", "set", 3, NULL), TW_OK);
  add_event(&builder, own);
  add_event(&builder, none);
  add_event(&builder, escaped);
  add_event(&builder, edited);
  tw_chunk *chunk = finish(&builder, 0), *copy = read_again(chunk);
  assert_int_equal(tw_event_id(none, &id, &len), TW_OK);
  assert_int_equal(len, 36);
  assert_item(copy, 0, "{\"id\" : \"own\", \"a\":1.50}", "own", TW_PRIORITY_HIGH);
  assert_item(copy, 1, "{\"b\":2}", id, 0);
  assert_item(copy, 2, "{\"messageId\":\"\\u0061\\/b\"}", "a/b", 0);
  assert_item(copy, 3, "{\"c\":[3],\"id\":\"set\"}", "set", 0);
  assert_int_equal(copy->shape.ids_len, 36 + 3 + 3); /* "own" is where it was */
  tw_chunk_unref(copy);
  tw_chunk_unref(chunk);
  tw_chunk_builder_fini(&builder);
  tw_event_free(own), tw_event_free(none), tw_event_free(escaped), tw_event_free(edited);
}

static void an_event_of_several_lines_is_stored_on_one_of_the_same_length(void **state) {
  (void)state;
  tw_chunk_builder builder = {0};
  tw_event *event = parse("{\r\n\t\"id\":\r\n\"x\\ny\",\n\"a\":\"b\"\n}");
  add_event(&builder, event);
  tw_chunk *chunk = finish(&builder, 0), *copy = read_again(chunk);
  assert_item(copy, 0, "{  \t\"id\":  \"x\\ny\", \"a\":\"b\" }", "x\ny", 0);
  tw_chunk_unref(copy);
  tw_chunk_unref(chunk);
  tw_chunk_builder_fini(&builder);
  tw_event_free(event);
}

/* --------------------------------------------------------------------- numbers */

static void events_are_found_by_their_number(void **state) {
  (void)state;
  tw_chunk *chunk = mixed_chunk(10, 500);
  assert_int_equal(tw_chunk_find(chunk, 0), 0);
  assert_int_equal(tw_chunk_find(chunk, 500), 0);
  assert_int_equal(tw_chunk_find(chunk, 509), 9);
  assert_int_equal(tw_chunk_find(chunk, 510), 10);
  assert_int_equal(tw_chunk_find(chunk, UINT64_MAX), 10);
  assert_int_equal(tw_chunk_item_number(chunk, 3), 503);
  assert_int_equal(tw_chunk_item_number(chunk, 10), 510);
  tw_chunk_unref(chunk);
}

static void without_a_priority_the_others_keep_their_numbers(void **state) {
  (void)state;
  tw_chunk *chunk = mixed_chunk(10, 500), *rest;
  assert_int_equal(tw_chunk_without(chunk, TW_PRIORITY_LOW, &rest, NULL), TW_OK);
  tw_chunk *copy = read_again(rest);
  const uint32_t left[] = {1, 2, 4, 5, 7, 8};
  assert_int_equal(tw_chunk_count(copy), 6);
  assert_int_equal(tw_chunk_first(copy), 501);
  assert_int_equal(tw_chunk_generation(copy), 3);
  assert_int_equal(tw_chunk_time(copy), 1234567);
  assert_int_equal(tw_chunk_at_priority(copy, TW_PRIORITY_LOW), 0);
  assert_int_equal(tw_chunk_at_priority(copy, TW_PRIORITY_HIGH), 3);
  for (uint32_t i = 0; i < 6; i++) {
    assert_mixed(copy, i, left[i]);
    assert_int_equal(tw_chunk_item_number(copy, i), 500 + left[i]);
    assert_int_equal(tw_chunk_find(copy, 500 + left[i]), i);
    assert_int_equal(tw_chunk_find(copy, 501 + left[i]), i + 1);
  }
  assert_int_equal(tw_chunk_item_number(copy, 6), 509);
  tw_chunk_unref(rest);
  /* And once more, from one that has gaps already. */
  assert_int_equal(tw_chunk_without(copy, TW_PRIORITY_NORMAL, &rest, NULL), TW_OK);
  assert_int_equal(tw_chunk_count(rest), 3);
  assert_int_equal(tw_chunk_first(rest), 502);
  assert_int_equal(tw_chunk_item_number(rest, 2), 508);
  assert_mixed(rest, 1, 5);
  tw_chunk_unref(rest);
  assert_int_equal(tw_chunk_without(copy, TW_PRIORITY_HIGH, &rest, NULL), TW_OK);
  assert_null(rest);
  tw_chunk_unref(copy);
  tw_chunk_unref(chunk);
}

static void without_a_priority_that_none_has_all_is_as_it_was(void **state) {
  (void)state;
  tw_chunk_builder builder = {0};
  for (int i = 0; i < 5; i++) add_text(&builder, "{\"a\":1}", "x", 0);
  tw_chunk *chunk = finish(&builder, 7), *rest;
  const char *data, *rest_data;
  size_t size, rest_size;
  assert_int_equal(tw_chunk_without(chunk, TW_PRIORITY_LOW, &rest, NULL), TW_OK);
  tw_chunk_bytes(chunk, &data, &size);
  tw_chunk_bytes(rest, &rest_data, &rest_size);
  assert_int_equal(size, rest_size);
  assert_memory_equal(data, rest_data, size);
  tw_chunk_unref(rest);
  tw_chunk_unref(chunk);
  tw_chunk_builder_fini(&builder);
}

/* ---------------------------------------------------------------------- damage */

static void any_flipped_bit_and_any_cut_is_found_out(void **state) {
  (void)state;
  const char *data;
  size_t size;
  tw_chunk *chunk = mixed_chunk(6, 500), *copy;
  tw_error error;
  tw_chunk_bytes(chunk, &data, &size);
  for (size_t bit = 0; bit < size * 8; bit++) {
    char *damaged = malloc(size);
    memcpy(damaged, data, size);
    damaged[bit / 8] = (char)(damaged[bit / 8] ^ 1 << bit % 8);
    assert_int_equal(tw_chunk_read(damaged, size, &copy, &error), TW_EIO);
    assert_null(copy);
    assert_non_null(strstr(error.message, "damaged"));
    free(damaged);
  }
  for (size_t len = 0; len < size; len++) {
    char *cut = malloc(len + !len);
    memcpy(cut, data, len);
    assert_int_equal(tw_chunk_read(cut, len, &copy, &error), TW_EIO);
    free(cut);
  }
  tw_chunk_unref(chunk);
}

/* Bytes that somebody has changed and checksummed again. */
static tw_status read_forged(const tw_chunk *chunk, size_t at, char byte) {
  const char *data;
  size_t size;
  tw_chunk *forged = tw_chunk_alloc(&chunk->shape), *copy;
  tw_chunk_bytes(chunk, &data, &size);
  memcpy(forged->data, data, size);
  uint64_t first = tw_chunk_first(chunk);
  forged->data[at] = byte;
  tw_chunk_number(forged, first);
  tw_chunk_bytes(forged, &data, &size);
  tw_status status = tw_chunk_read(data, size, &copy, NULL);
  tw_chunk_unref(copy);
  tw_chunk_unref(forged);
  return status;
}

static void a_number_that_leads_out_of_the_chunk_is_found_out_under_any_checksum(void **state) {
  (void)state;
  tw_chunk *whole = mixed_chunk(9, UINT64_MAX - 20), *chunk;
  assert_int_equal(tw_chunk_without(whole, TW_PRIORITY_LOW, &chunk, NULL), TW_OK);
  size_t text = TW_CHUNK_HEADER, items = text + chunk->shape.text_len;
  const size_t bad[] = {TW_CHUNK_AT_MAGIC,
                        TW_CHUNK_AT_ITEM_SIZE,
                        TW_CHUNK_AT_COUNT,
                        TW_CHUNK_AT_COUNT + 3,
                        TW_CHUNK_AT_TEXT_LEN,
                        TW_CHUNK_AT_TEXT_LEN + 3,
                        TW_CHUNK_AT_IDS_LEN + 2,
                        TW_CHUNK_AT_LOW,
                        TW_CHUNK_AT_HIGH,
                        items,
                        items + 3,
                        items + 7,
                        items + 9,
                        items + 10,
                        items + 12,
                        items + TW_CHUNK_ITEM_GAPS + 12,
                        items + TW_CHUNK_ITEM_GAPS + 15};
  assert_int_equal(read_forged(chunk, text, '{'), TW_OK);
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
    assert_int_equal(read_forged(chunk, bad[i], 0x7f), TW_EIO);
  assert_int_equal(read_forged(chunk, text + 2, '\n'), TW_EIO);
  assert_int_equal(read_forged(chunk, items + TW_CHUNK_ITEM_GAPS + 4, 1), TW_EIO);
  assert_int_equal(read_forged(chunk, items - 1, ' '), TW_EIO);
  const char *data;
  size_t size;
  tw_chunk *copy;
  tw_chunk_number(chunk, UINT64_MAX - 7); /* the last one would have no number behind it */
  tw_chunk_bytes(chunk, &data, &size);
  assert_int_equal(tw_chunk_read(data, size, &copy, NULL), TW_EIO);
  tw_chunk_unref(chunk);
  tw_chunk_unref(whole);
}

typedef struct salvaged {
  char text[4096];
} salvaged;

static void keep_line(void *self, const char *json, size_t len) {
  salvaged *kept = self;
  size_t used = strlen(kept->text);
  snprintf(kept->text + used, sizeof kept->text - used, "%.*s|", (int)len, json);
}

static void what_can_still_be_read_is_salvaged(void **state) {
  (void)state;
  const char *data;
  size_t size;
  tw_chunk_builder builder = {0};
  add_text(&builder, "{\"n\":1}", "a", 0);
  add_text(&builder, "{\"n\":2}", "{}\n", 0);
  add_text(&builder, "{\"n\":3}", "c", 0);
  tw_chunk *chunk = finish(&builder, 0);
  tw_chunk_bytes(chunk, &data, &size);
  char bytes[512];
  memcpy(bytes, data, size);
  salvaged kept = {""};
  tw_chunk_salvage(bytes, size, keep_line, &kept);
  assert_string_equal(kept.text, "{\"n\":1}|{\"n\":2}|{\"n\":3}|");
  bytes[TW_CHUNK_HEADER + 9] = '\x80'; /* in the second */
  bytes[TW_CHUNK_AT_COUNT] = 99;
  kept.text[0] = '\0';
  tw_chunk_salvage(bytes, size, keep_line, &kept);
  assert_string_equal(kept.text, "{\"n\":1}|{\"n\":3}|");
  kept.text[0] = '\0';
  tw_chunk_salvage(bytes, TW_CHUNK_HEADER + 23, keep_line, &kept); /* the third is cut */
  assert_string_equal(kept.text, "{\"n\":1}|");
  memset(bytes, 0xee, TW_CHUNK_HEADER);
  kept.text[0] = '\0';
  tw_chunk_salvage(bytes, size, keep_line, &kept);
  assert_memory_equal(kept.text, "{\"n\":1}|{\"n\":3}|", 16);
  for (size_t len = 0; len <= size; len++) tw_chunk_salvage(bytes, len, keep_line, &kept);
  tw_chunk_unref(chunk);
  tw_chunk_builder_fini(&builder);
}

/* --------------------------------------------------------------------- threads */

static void *look_at(void *self) {
  const tw_chunk *chunk = self;
  const char *data;
  size_t size;
  assert_mixed(chunk, 150, 150);
  tw_chunk_bytes(chunk, &data, &size);
  assert_true(tw_chunk_is_intact(data, size));
  tw_chunk_unref(tw_chunk_ref(self));
  return NULL;
}

static void several_threads_may_ask_for_the_stored_form_at_once(void **state) {
  (void)state;
  for (int round = 0; round < 20; round++) {
    pthread_t threads[4];
    tw_chunk *chunk = mixed_chunk(200, 7);
    for (int i = 0; i < 4; i++) pthread_create(&threads[i], NULL, look_at, chunk);
    for (int i = 0; i < 4; i++) pthread_join(threads[i], NULL);
    tw_chunk_unref(chunk);
  }
}

/* ---------------------------------------------------------------------- memory */

static tw_status build_and_read(void *self) {
  tw_event *edited = self;
  tw_chunk_builder builder = {0};
  const char *data;
  size_t size;
  tw_chunk *chunk = NULL, *rest = NULL, *copy = NULL;
  tw_status status = tw_chunk_builder_add_text(&builder, "{}", 2, "an-id", 5, 1, NULL);
  if (status == TW_OK) {
    status = tw_chunk_builder_add(&builder, edited, NULL);
    assert_int_equal(builder.count, status ? 1 : 2);
    assert_int_equal(builder.items.len, builder.count * (size_t)TW_CHUNK_ITEM);
    assert_int_equal(builder.ids.len, status ? 5 : 41);
    if (status) assert_int_equal(builder.text.len, 3);
  }
  if (status == TW_OK) status = tw_chunk_finish(&builder, 0, 0, &chunk, NULL);
  if (status == TW_OK) {
    tw_chunk_number(chunk, 0);
    tw_chunk_bytes(chunk, &data, &size);
    status = tw_chunk_read(data, size, &copy, NULL);
  } else if (builder.count == 2) {
    assert_int_equal(builder.text.data[2], '\n'); /* finish has left all as it was */
  }
  if (status == TW_OK) status = tw_chunk_without(copy, TW_PRIORITY_NORMAL, &rest, NULL);
  tw_chunk_unref(rest);
  tw_chunk_unref(copy);
  tw_chunk_unref(chunk);
  tw_chunk_builder_fini(&builder);
  return status;
}

static void without_memory_the_builder_is_as_it_was(void **state) {
  (void)state;
  char json[2048];
  memset(json, ' ', sizeof json);
  memcpy(json, "{\"a\":1", 6);
  json[sizeof json - 1] = '\0';
  json[sizeof json - 2] = '}';
  tw_event *event = parse(json);
  assert_true(tw_oom_fail_each(build_and_read, event) >= 7);
  tw_event_free(event);
}

#define TEST(name) cmocka_unit_test_teardown(name, tw_oom_leaves_nothing)

int main(void) {
  tw_oom_install();
  const struct CMUnitTest tests[] = {
      TEST(what_was_gathered_is_read_from_the_stored_form),
      TEST(the_texts_lie_as_lines_behind_the_header),
      TEST(the_form_on_disk_is_this_one),
      TEST(a_builder_that_is_empty_makes_no_chunk),
      TEST(a_builder_is_filled_again_without_new_memory),
      TEST(an_event_may_have_no_id),
      TEST(a_long_id_is_refused_and_the_builder_goes_on),
      TEST(an_event_is_stored_with_its_text_id_and_priority),
      TEST(an_event_of_several_lines_is_stored_on_one_of_the_same_length),
      TEST(events_are_found_by_their_number),
      TEST(without_a_priority_the_others_keep_their_numbers),
      TEST(without_a_priority_that_none_has_all_is_as_it_was),
      TEST(any_flipped_bit_and_any_cut_is_found_out),
      TEST(a_number_that_leads_out_of_the_chunk_is_found_out_under_any_checksum),
      TEST(what_can_still_be_read_is_salvaged),
      TEST(several_threads_may_ask_for_the_stored_form_at_once),
      TEST(without_memory_the_builder_is_as_it_was),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
