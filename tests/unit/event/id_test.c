#include <stdio.h>

#include "parse.h"
#include "support/oom.h"

static const char *id_of(tw_event *event) {
  const char *id;
  size_t len;
  assert_int_equal(tw_event_id(event, &id, &len), TW_OK);
  assert_int_equal(strlen(id), len);
  return id;
}

/* 256 bytes are too many. */
#define LONG16  "0123456789abcdef"
#define LONG64  LONG16 LONG16 LONG16 LONG16
#define LONG256 LONG64 LONG64 LONG64 LONG64

static void the_senders_own_id_stands(void **state) {
  (void)state;
  static const char *const cases[][2] = {
      {"{\"id\":\"a\"}", "a"},
      {"{\"id\":\"a\\u0062\"}", "ab"},
      {"{\"messageId\":\"m\"}", "m"},
      {"{\"messageId\":\"m\",\"id\":\"a\"}", "a"},
      {"{\"messageId\":\"m\",\"id\":1}", "m"},
      {"{\"messageId\":\"m\",\"id\":\"\"}", "m"},
      {"{\"messageId\":\"m\",\"id\":\"" LONG256 "\"}", "m"},
      {"{\"id\":1}", NULL},
      {"{\"data\":{\"id\":\"a\"}}", NULL},
  };
  tw_store store;
  tw_store_init(&store, NULL);
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    tw_event event = parse(&store, cases[i][0]);
    const char *id = id_of(&event);
    if (cases[i][1]) assert_string_equal(id, cases[i][1]);
    else assert_true(strlen(id) == 36 && id[14] == '7');
    tw_event_end(&event);
    tw_store_reset(&store);
  }
  tw_store_fini(&store);
}

static void all_branches_and_copies_have_one_id(void **state) {
  (void)state;
  tw_store store, other;
  tw_event *copy, imported;
  tw_store_init(&store, NULL), tw_store_init(&other, NULL);
  tw_event event = parse(&store, "{}"), branch = tw_event_fork(&event);
  assert_int_equal(tw_event_copy(&event, &copy, NULL), TW_OK);
  assert_int_equal(tw_event_import(&other, &branch, &imported, NULL), TW_OK);
  assert_string_equal(id_of(&branch), id_of(&event));
  assert_string_equal(id_of(copy), id_of(&event));
  assert_string_equal(id_of(&imported), id_of(&event));
  tw_event next = parse(&other, "{}");
  assert_string_not_equal(id_of(&next), id_of(&event));
  tw_event_end(&next), tw_event_end(&imported), tw_event_end(&branch), tw_event_end(&event);
  tw_event_free(copy);
  tw_store_fini(&store), tw_store_fini(&other);
}

static void a_reset_forgets_the_id(void **state) {
  (void)state;
  tw_store store;
  char first[64];
  tw_store_init(&store, NULL);
  tw_event event = parse(&store, "{}");
  snprintf(first, sizeof first, "%s", id_of(&event));
  tw_event_end(&event);
  tw_store_reset(&store);
  event = parse(&store, "{}");
  assert_string_not_equal(id_of(&event), first);
  tw_event_end(&event);
  tw_store_fini(&store);
}

static void pieces_of_a_split_have_ids_of_their_own(void **state) {
  (void)state;
  tw_store store;
  tw_store_init(&store, NULL);
  tw_event whole = parse(&store, "{\"id\":\"w\"}"), copy = tw_event_fork(&whole);
  tw_event bare = parse(&store, "{}"), own = parse(&store, "{\"id\":\"mine\"}");
  assert_int_equal(tw_event_derive_id(&copy, &whole, 1, NULL), TW_OK);
  assert_int_equal(tw_event_derive_id(&bare, &whole, 2, NULL), TW_OK);
  assert_int_equal(tw_event_derive_id(&own, &whole, 3, NULL), TW_OK);
  assert_string_equal(id_of(&whole), "w");
  assert_string_equal(id_of(&copy), "w/1");
  assert_string_equal(id_of(&bare), "w/2");
  assert_string_equal(id_of(&own), "mine");
  tw_event_end(&whole), tw_event_end(&copy), tw_event_end(&bare), tw_event_end(&own);
  tw_store_fini(&store);
}

static void pieces_of_pieces_never_outgrow_an_id(void **state) {
  (void)state;
  tw_store store;
  char last[TW_ID_MAX + 1] = "";
  tw_store_init(&store, NULL);
  tw_event event = parse(&store, "{\"id\":\"" LONG64 LONG64 LONG64 LONG16 LONG16 LONG16 "\"}");
  for (uint32_t i = 0; i < 100; i++) {
    tw_event piece = tw_event_fork(&event);
    assert_int_equal(tw_event_derive_id(&piece, &event, 4000000000u + i, NULL), TW_OK);
    assert_true(strlen(id_of(&piece)) < TW_ID_MAX);
    assert_string_not_equal(id_of(&piece), last);
    snprintf(last, sizeof last, "%s", id_of(&piece));
    tw_event_end(&event);
    event = piece;
  }
  tw_event_end(&event);
  tw_store_fini(&store);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(the_senders_own_id_stands),
      cmocka_unit_test(all_branches_and_copies_have_one_id),
      cmocka_unit_test(a_reset_forgets_the_id),
      cmocka_unit_test(pieces_of_a_split_have_ids_of_their_own),
      cmocka_unit_test(pieces_of_pieces_never_outgrow_an_id),
  };
  tw_oom_install();
  return cmocka_run_group_tests(tests, NULL, tw_oom_leaves_nothing);
}
