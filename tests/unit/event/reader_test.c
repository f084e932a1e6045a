/* reader_test.c: what is JSON and what is not, byte by byte, for every implementation. */
#include "event/reader.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(list) (sizeof(list) / sizeof *(list))

/* What a reading gave. */
typedef struct result {
  tw_status status;
  tw_error error;
  size_t count;
  tw_node *nodes;
  char *text;
} result;

/* Reads a copy with not a byte more than promised behind it: a NUL, then `padding`. */
static result read_padded(tw_read_fn read, const char *text, size_t len, uint32_t depth,
                          int padding) {
  result r = {.error = {.position = TW_NO_POSITION}};
  r.text = malloc(len + TW_PADDING);
  r.nodes = malloc(tw_reader_bound(len) * sizeof *r.nodes);
  assert_non_null(r.text);
  assert_non_null(r.nodes);
  memcpy(r.text, text, len);
  memset(r.text + len, padding, TW_PADDING);
  r.text[len] = '\0';
  r.status = read(r.text, len, depth, r.nodes, &r.count, &r.error);
  return r;
}

static void done(result *r) {
  free(r->text);
  free(r->nodes);
}

typedef void (*with_result)(const result *r, const void *expected);

/* Reads with every implementation and several paddings. */
static void each_variant(const char *text, size_t len, with_result check,
                         const void *expected) {
  static const int paddings[] = {0, '"', '\\', 0xff, '}', '1', ' '};
  const char *name;
  tw_read_fn read;
  for (size_t i = 0; (read = tw_reader_variant(i, &name)); i++)
    for (size_t k = 0; k < COUNT(paddings); k++) {
      result r = read_padded(read, text, len, TW_MAX_DEPTH, paddings[k]);
      check(&r, expected);
      done(&r);
    }
}

/* ---------------------------------------------------------------- accepted */

#define TEXT(literal) literal, sizeof(literal) - 1

typedef struct accepted {
  const char *text;
  size_t len;
  const char *kinds; /* a letter for each node, see kind_letters */
} accepted;

static const char kind_letters[] = "nftidseAOkK";

static const accepted accepted_texts[] = {
    {TEXT("{}"), "O"},
    {TEXT("[]"), "A"},
    {TEXT(" \t\r\n{ \t\r\n} \t\r\n"), "O"},
    {TEXT("[[]   ]"), "AA"},
    {TEXT("[\n1\n,1]"), "Aii"},
    {TEXT("\"\""), "s"},
    {TEXT("\"asd\" "), "s"},
    {TEXT("true"), "t"},
    {TEXT("false"), "f"},
    {TEXT("null"), "n"},
    {TEXT("[null,false,true]"), "Anft"},
    {TEXT("42"), "i"},
    {TEXT("-0"), "i"},
    {TEXT("0"), "i"},
    {TEXT("[-0,-1,-123,1,0]"), "Aiiiii"},
    {TEXT("123456789012345678901234567890"), "i"},
    {TEXT("[0.5,-0.0,1e1,1E1,1e+1,1e-1,0e1,0e+1,1.5e300,123.456e78,1E22]"), "Addddddddddd"},
    {TEXT("-1.0000000000000000000000000000000000000000000000000000000000000000001"), "d"},
    {TEXT("1e999"), "d"},
    {TEXT("{\"a\":1}"), "Oki"},
    {TEXT("{ \"a\" : 1 , \"b\" : [ 2 ] }"), "OkikAi"},
    {TEXT("{\"a\":1,\"a\":2}"), "Okiki"},
    {TEXT("{\"\":0}"), "Oki"},
    {TEXT("{\"a\\u0000b\":1,\"c\\n\":2}"), "OKiKi"},
    {TEXT("{\"a\":{\"b\":{\"c\":[]}}}"), "OkOkOkA"},
    {TEXT("[{},[],{\"a\":[{}]}]"), "AOAOkAO"},
    {TEXT("[\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"]"), "Ae"},
    {TEXT("[\"\\u0060\\u012a\\u12AB\\uaBcD\"]"), "Ae"},
    {TEXT("[\"\\\\\",\"a\"]"), "Aes"},
    {TEXT("[\"\\\\\\\"\",\"\\\\\\\\\"]"), "Aee"},
    {TEXT("[\"\\ud801\\udc37\"]"), "Ae"},
    {TEXT("[\"\\ud800\"]"), "Ae"}, /* a lone surrogate: grammar allows its escape */
    {TEXT("[\"\\udfff\\ud800x\"]"), "Ae"},
    {TEXT("[\"\\u0000\"]"), "Ae"},
    {TEXT("[\"\x7f\"]"), "As"},
    {TEXT("[\"\xc2\x80\xdf\xbf\"]"), "As"},
    {TEXT("[\"\xe0\xa0\x80\xed\x9f\xbf\xee\x80\x80\xef\xbf\xbf\"]"), "As"},
    {TEXT("[\"\xf0\x90\x80\x80\xf4\x8f\xbf\xbf\"]"), "As"},
    {TEXT("[\"\xef\xbb\xbf\"]"), "As"}, /* inside of a string it is no byte order mark */
    {TEXT("[\"\xe2\x80\xa8\xe2\x80\xa9\"]"), "As"},
    {TEXT("{\"k\xc3\xa9y\":\"\xe4\xbd\xa0\xe5\xa5\xbd\"}"), "Oks"},
    {TEXT("[1,\"a, b: {[\",2]"), "Aisi"},
};

static void expect_kinds(const result *r, const void *expected) {
  const accepted *want = expected;
  if (r->status) fail_msg("%s: %s at %zu", want->text, r->error.message, r->error.position);
  assert_int_equal(r->count, strlen(want->kinds));
  for (size_t i = 0; i < r->count; i++)
    assert_int_equal(kind_letters[tw_node_kind(r->nodes + i)], want->kinds[i]);
}

static void json_is_accepted(void **state) {
  (void)state;
  for (size_t i = 0; i < COUNT(accepted_texts); i++)
    each_variant(accepted_texts[i].text, accepted_texts[i].len, expect_kinds,
                 &accepted_texts[i]);
}

/* ---------------------------------------------------------------- rejected */

typedef struct rejected {
  const char *text;
  size_t len, position;
  const char *message; /* a part of it */
} rejected;

static const rejected rejected_texts[] = {
    /* values */
    {TEXT(""), 0, "expected a value, not the end"},
    {TEXT(" "), 1, "expected a value, not the end"},
    {TEXT("\xef\xbb\xbf{}"), 0, "byte order mark"},
    {TEXT("\xef\xbb\xbf"), 0, "byte order mark"},
    {TEXT("\xef\xbb"), 0, "expected a value"},
    {TEXT("\xff"), 0, "expected a value"},
    {TEXT("nul"), 0, "expected a value"},
    {TEXT("[nul]"), 1, "expected a value"},
    {TEXT("[True]"), 1, "expected a value"},
    {TEXT("fals"), 0, "expected a value"},
    {TEXT("[truex]"), 5, "',' or ']'"},
    {TEXT("[NaN]"), 1, "expected a value"},
    {TEXT("[Infinity]"), 1, "expected a value"},
    {TEXT("[-Infinity]"), 2, "a digit after '-'"},
    {TEXT("abc"), 0, "expected a value"},
    {TEXT("'a'"), 0, "expected a value"},
    {TEXT("/**/{}"), 0, "expected a value"},
    {TEXT("\\u0031"), 0, "expected a value"},
    {TEXT("\f1"), 0, "expected a value"},
    {TEXT("\xc2\xa0"
          "1"),
     0, "expected a value"},
    /* behind the value */
    {TEXT("1 2"), 2, "unexpected text after the value"},
    {TEXT("{}{}"), 2, "unexpected text after the value"},
    {TEXT("{}]"), 2, "unexpected text after the value"},
    {TEXT("{},"), 2, "unexpected text after the value"},
    {TEXT("{}\0"), 2, "unexpected text after the value"},
    {TEXT("\"a\"b"), 3, "unexpected text after the value"},
    {TEXT("{} #"), 3, "unexpected text after the value"},
    /* arrays */
    {TEXT("["), 1, "expected a value, not the end"},
    {TEXT("[1"), 2, "an array is not closed"},
    {TEXT("[1,"), 3, "expected a value, not the end"},
    {TEXT("[1,]"), 3, "expected a value"},
    {TEXT("[,1]"), 1, "expected a value"},
    {TEXT("[1,,2]"), 3, "expected a value"},
    {TEXT("[1 2]"), 3, "expected ',' or ']' after an element"},
    {TEXT("[1:2]"), 2, "expected ',' or ']' after an element"},
    {TEXT("[1}"), 2, "expected ',' or ']' after an element"},
    {TEXT("[}"), 1, "expected a value"},
    {TEXT("[1\0]"), 2, "expected ',' or ']' after an element"},
    {TEXT("[\0]"), 1, "expected a value"},
    {TEXT("[\"a\",\n4\n,1"), 10, "an array is not closed"},
    {TEXT("[\"a\xff\" 1]"), 3, "not UTF-8"},
    /* objects */
    {TEXT("{"), 1, "expected a key in quotes or '}'"},
    {TEXT("{1:1}"), 1, "expected a key in quotes or '}'"},
    {TEXT("{a:1}"), 1, "expected a key in quotes or '}'"},
    {TEXT("{,}"), 1, "expected a key in quotes or '}'"},
    {TEXT("{]"), 1, "expected a key in quotes or '}'"},
    {TEXT("{\"a\""), 4, "expected ':' after a key"},
    {TEXT("{\"a\" 1}"), 5, "expected ':' after a key"},
    {TEXT("{\"a\",1}"), 4, "expected ':' after a key"},
    {TEXT("{\"a\"::1}"), 5, "expected a value"},
    {TEXT("{\"a\":}"), 5, "expected a value"},
    {TEXT("{\"a\":"), 5, "expected a value, not the end"},
    {TEXT("{\"a\":1"), 6, "an object is not closed"},
    {TEXT("{\"a\":1,"), 7, "expected a key in quotes"},
    {TEXT("{\"a\":1,}"), 7, "expected a key in quotes"},
    {TEXT("{\"a\":1,,\"b\":2}"), 7, "expected a key in quotes"},
    {TEXT("{\"a\":1 \"b\":2}"), 7, "expected ',' or '}' after a member"},
    {TEXT("{\"a\":1]"), 6, "expected ',' or '}' after a member"},
    {TEXT("{\"a\":1\0}"), 6, "expected ',' or '}' after a member"},
    {TEXT("{\"a\":[1},\"b\":2]"), 7, "expected ',' or ']' after an element"},
    /* numbers */
    {TEXT("01"), 0, "leading zero"},
    {TEXT("[-01]"), 2, "leading zero"},
    {TEXT("00"), 0, "leading zero"},
    {TEXT("-"), 1, "a digit after '-'"},
    {TEXT("[--1]"), 2, "a digit after '-'"},
    {TEXT("-a"), 1, "a digit after '-'"},
    {TEXT("+1"), 0, "expected a value"},
    {TEXT(".5"), 0, "expected a value"},
    {TEXT("[1.]"), 3, "a digit after '.'"},
    {TEXT("1."), 2, "a digit after '.'"},
    {TEXT("[0.e1]"), 3, "a digit after '.'"},
    {TEXT("1e"), 2, "a digit in the exponent"},
    {TEXT("[1E+]"), 4, "a digit in the exponent"},
    {TEXT("1.5e-"), 5, "a digit in the exponent"},
    {TEXT("1e1.5"), 3, "unexpected text"},
    {TEXT("1.2.3"), 3, "unexpected text"},
    {TEXT("[0x1F]"), 2, "',' or ']'"},
    {TEXT("[1e2e3]"), 4, "',' or ']'"},
    {TEXT("[12345678a]"), 9, "',' or ']'"},
    {TEXT("[1\xef\xbc\x91]"), 2, "',' or ']'"}, /* a full-width digit */
    /* strings */
    {TEXT("\""), 0, "a string is not closed"},
    {TEXT("[\"abc"), 1, "a string is not closed"},
    {TEXT("{\"abc"), 1, "a string is not closed"},
    {TEXT("\"\\\""), 0, "a string is not closed"},
    {TEXT("\"\\\\\\\""), 0, "a string is not closed"},
    {TEXT("\"\\"), 1, "unknown escape"},
    {TEXT("\"\\a\""), 1, "unknown escape"},
    {TEXT("\"ab\\x41\""), 3, "unknown escape"},
    {TEXT("\"\\'\""), 1, "unknown escape"},
    {TEXT("\"\\\0\""), 1, "unknown escape"},
    {TEXT("\"\\\n\""), 1, "unknown escape"},
    {TEXT("\"\\\xc3\xa9\""), 1, "unknown escape"},
    {TEXT("\"\\U0041\""), 1, "unknown escape"},
    {TEXT("\"\\u\""), 1, "four hexadecimal digits"},
    {TEXT("\"\\u12\""), 1, "four hexadecimal digits"},
    {TEXT("\"\\u123g\""), 1, "four hexadecimal digits"},
    {TEXT("\"\\u00\\n\""), 1, "four hexadecimal digits"},
    {TEXT("\"\\u+123\""), 1, "four hexadecimal digits"},
    {TEXT("\"\\ud800\\u1\""), 7, "four hexadecimal digits"},
    {TEXT("\"a\nb\""), 2, "control character"},
    {TEXT("\"\t\""), 1, "control character"},
    {TEXT("\"a\0b\""), 2, "control character"},
    {TEXT("\"\x1f\""), 1, "control character"},
    {TEXT("{\"a\rb\":1}"), 3, "control character"},
    {TEXT("[\"a\n"), 3, "control character"},
    /* the first of several errors counts */
    {TEXT("[\"\n\\q\xff\"]"), 2, "control character"},
    {TEXT("[\"\\q\n\xff\"]"), 2, "unknown escape"},
    {TEXT("[\"\xff\n\\q\"]"), 2, "not UTF-8"},
    {TEXT("[x,\"\xff\"]"), 1, "expected a value"},
    {TEXT("[\\\"a\"]"), 1, "expected a value"},
    /* UTF-8 */
    {TEXT("\"\x80\""), 1, "not UTF-8"},
    {TEXT("\"\xc0\x80\""), 1, "not UTF-8"},
    {TEXT("\"\xc1\xbf\""), 1, "not UTF-8"},
    {TEXT("\"a\xc3\""), 2, "not UTF-8"},
    {TEXT("\"\xc3\xa9\xa9\""), 3, "not UTF-8"},
    {TEXT("\"\xe0\x9f\xbf\""), 1, "not UTF-8"},
    {TEXT("\"\xe2\x82\""), 1, "not UTF-8"},
    {TEXT("\"\xed\xa0\x80\""), 1, "not UTF-8"},
    {TEXT("\"\xed\xbf\xbf\""), 1, "not UTF-8"},
    {TEXT("\"\xf0\x8f\xbf\xbf\""), 1, "not UTF-8"},
    {TEXT("\"\xf4\x90\x80\x80\""), 1, "not UTF-8"},
    {TEXT("\"\xf5\x80\x80\x80\""), 1, "not UTF-8"},
    {TEXT("\"\xf8\x88\x80\x80\x80\""), 1, "not UTF-8"},
    {TEXT("\"\xf0\x9f\x98"), 1, "not UTF-8"},
    {TEXT("\"\xe4\xbd\xa0\xff\""), 4, "not UTF-8"},
    {TEXT("[1]\xff"), 3, "unexpected text"},
};

static void expect_rejection(const result *r, const void *expected) {
  const rejected *want = expected;
  if (r->status != TW_EJSON) fail_msg("%s: was accepted", want->text);
  if (r->error.position != want->position || !strstr(r->error.message, want->message))
    fail_msg("%s: %s at %zu, not: %s at %zu", want->text, r->error.message, r->error.position,
             want->message, want->position);
  assert_int_equal(r->error.code, TW_EJSON);
  assert_int_equal(r->count, 0);
}

static void what_is_not_json_is_rejected_at_its_position(void **state) {
  (void)state;
  for (size_t i = 0; i < COUNT(rejected_texts); i++)
    each_variant(rejected_texts[i].text, rejected_texts[i].len, expect_rejection,
                 &rejected_texts[i]);
}

/* The same faults behind strings that end before, on and after the borders of vectors. */
static void errors_are_found_at_every_offset(void **state) {
  (void)state;
  char text[512];
  for (size_t i = 0; i < COUNT(rejected_texts); i++) {
    rejected want = rejected_texts[i];
    if (strstr(want.message, "order mark") || strstr(want.message, "after the value") ||
        strstr(want.message, "unexpected"))
      continue;
    for (size_t shift = 4; shift < 140; shift++) {
      memset(text, 'x', shift);
      memcpy(text, "[\"", 2);
      memcpy(text + shift - 2, "\",", 2);
      memcpy(text + shift, rejected_texts[i].text, want.len);
      want.position = rejected_texts[i].position + shift;
      const char *name;
      for (size_t v = 0; tw_reader_variant(v, &name); v++) {
        result r =
            read_padded(tw_reader_variant(v, &name), text, shift + want.len, TW_MAX_DEPTH, '"');
        expect_rejection(&r, &want);
        done(&r);
      }
    }
  }
}

/* ------------------------------------------------------------------- nodes */

static void expect_node(const result *r, size_t index, tw_kind kind, const char *text,
                        uint32_t size) {
  const tw_node *node = r->nodes + index;
  assert_int_equal(tw_node_kind(node), kind);
  assert_int_equal(node->len, strlen(text));
  assert_memory_equal(node->text, text, node->len);
  if (size) assert_int_equal(tw_node_size(node), size);
}

static void expect_example(const result *r, const void *expected) {
  (void)expected;
  assert_int_equal(r->status, TW_OK);
  assert_int_equal(r->count, 11);
  expect_node(r, 0, TW_KIND_OBJECT,
              "{ \"name\" : \"a\\\"b\", \"list\":[1, -2.5e3 ,{}, [ ]],\"\\u0061\":null }", 11);
  expect_node(r, 1, TW_KIND_KEY, "name", 0);
  assert_int_equal(r->nodes[1].meta >> 4, tw_key_hash("name", 4));
  expect_node(r, 2, TW_KIND_ESCAPED, "\"a\\\"b\"", 1);
  expect_node(r, 3, TW_KIND_KEY, "list", 0);
  expect_node(r, 4, TW_KIND_ARRAY, "[1, -2.5e3 ,{}, [ ]]", 5);
  expect_node(r, 5, TW_KIND_INTEGER, "1", 1);
  expect_node(r, 6, TW_KIND_NUMBER, "-2.5e3", 1);
  expect_node(r, 7, TW_KIND_OBJECT, "{}", 1);
  expect_node(r, 8, TW_KIND_ARRAY, "[ ]", 1);
  expect_node(r, 9, TW_KIND_ESCAPED_KEY, "\\u0061", 0);
  assert_int_equal(r->nodes[9].meta >> 4, 0xfffffff);
  expect_node(r, 10, TW_KIND_NULL, "null", 1);
}

static void nodes_point_to_the_text_of_each_value(void **state) {
  (void)state;
  static const char text[] =
      " { \"name\" : \"a\\\"b\", \"list\":[1, -2.5e3 ,{}, [ ]],\"\\u0061\":null } ";
  each_variant(TEXT(text), expect_example, NULL);
}

/* ------------------------------------------------------------------ limits */

static char *nested(uint32_t depth, char open, char close, size_t *len) {
  char *text = malloc(2 * (size_t)depth + 1);
  assert_non_null(text);
  memset(text, open, depth);
  memset(text + depth, close, depth);
  *len = 2 * (size_t)depth;
  return text;
}

static void depth_is_limited(void **state) {
  (void)state;
  static const uint32_t limits[] = {1, 2, 128, 1023, 1024, 5000};
  const char *name;
  tw_read_fn read;
  for (size_t v = 0; (read = tw_reader_variant(v, &name)); v++)
    for (size_t i = 0; i < COUNT(limits); i++) {
      uint32_t depth = limits[i] < TW_DEPTH_BOUND ? limits[i] : TW_DEPTH_BOUND;
      size_t len;
      char *text = nested(depth + 1, '[', ']', &len), message[64];
      result r = read_padded(read, text + 1, len - 2, limits[i], 0);
      assert_int_equal(r.status, TW_OK);
      assert_int_equal(r.count, depth);
      assert_int_equal(tw_node_size(r.nodes), depth);
      done(&r);
      r = read_padded(read, text, len, limits[i], 0);
      assert_int_equal(r.status, TW_ELIMIT);
      assert_int_equal(r.error.position, depth);
      snprintf(message, sizeof message, "nested deeper than %u", depth);
      assert_string_equal(r.error.message, message);
      done(&r);
      free(text);
    }
}

/* Texts that open as much as they can and end: their nodes must fit the bound. */
static void unfinished_texts_stay_within_the_bound(void **state) {
  (void)state;
  static const char *const tails[] = {"", "1", "1,1,1,1,1,1,1,1,1,1,1,1,1,1", "[1,[1,[1,[1"};
  char text[TW_DEPTH_BOUND + 64];
  const char *name;
  for (size_t depth = 0; depth <= TW_DEPTH_BOUND; depth += depth < 40 ? 1 : 123)
    for (size_t i = 0; i < COUNT(tails); i++) {
      memset(text, '[', depth);
      strcpy(text + depth, tails[i]);
      result r =
          read_padded(tw_reader_variant(0, &name), text, strlen(text), TW_DEPTH_BOUND, 0);
      assert_true(r.status != TW_OK || depth == 0);
      done(&r);
    }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(json_is_accepted),
      cmocka_unit_test(what_is_not_json_is_rejected_at_its_position),
      cmocka_unit_test(errors_are_found_at_every_offset),
      cmocka_unit_test(nodes_point_to_the_text_of_each_value),
      cmocka_unit_test(depth_is_limited),
      cmocka_unit_test(unfinished_texts_stay_within_the_bound),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
