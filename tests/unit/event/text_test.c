/* text_test.c: strings and numbers to JSON text and back. */
#include "event/text.h"

#include <locale.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "support/oom.h"

#define COUNT(list)   (sizeof(list) / sizeof *(list))
#define TEXT(literal) literal, sizeof(literal) - 1

static uint64_t random_state = 1;

static uint64_t random_bits(void) {
  uint64_t z = random_state += 0x9e3779b97f4a7c15;
  z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
  z = (z ^ z >> 27) * 0x94d049bb133111eb;
  return z ^ z >> 31;
}

/* ------------------------------------------------------------------- UTF-8 */

static void utf8_check_tells_the_first_bad_sequence(void **state) {
  (void)state;
  static const struct {
    const char *text;
    size_t len, good;
  } cases[] = {
      {TEXT(""), 0},
      {TEXT("plain ASCII with a \0 inside"), 27},
      {TEXT("\xc3\xa9"), 2},
      {TEXT("\xf4\x8f\xbf\xbf"), 4},
      {TEXT("\xf4\x90\x80\x80"), 0},
      {TEXT("\xed\xa0\x80"), 0},
      {TEXT("a\xc3"), 1},
      {TEXT("ab\xe2\x82"), 2},
      {TEXT("0123456789abcdef\xff"), 16},
      {TEXT("\xe4\xbd\xa0\xe5\xa5\xbd\xe4\xbd\xa0\xe5\xa5\xbd\x80"), 12},
      {TEXT("\xc0\xaf"), 0},
      {TEXT("\xe0\x80\xaf"), 0},
      {TEXT("\xf0\x80\x80\xaf"), 0},
  };
  for (size_t i = 0; i < COUNT(cases); i++) {
    char *exact = malloc(cases[i].len + !cases[i].len); /* reading a byte more is an error */
    assert_non_null(exact);
    memcpy(exact, cases[i].text, cases[i].len);
    assert_int_equal(tw_utf8_check(exact, cases[i].len), cases[i].good);
    free(exact);
  }
}

/* One bad byte at every place of texts of every length. */
static void utf8_check_works_at_every_offset(void **state) {
  (void)state;
  static const char pattern[] =
      "ab\xc3\xa9\xe2\x82\xac"
      "cdefghijk\xf0\x9f\x98\x80lmnop";
  static const size_t starts[] = {0, 1, 2, 4, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 20};
  for (size_t len = 0; len < 100; len++)
    for (size_t i = 0; i < COUNT(starts); i++) {
      size_t size = len + starts[i];
      char *text = malloc(size + 1);
      assert_non_null(text);
      memset(text, 'x', len);
      memcpy(text + len, pattern, starts[i]);
      assert_int_equal(tw_utf8_check(text, size), size);
      text[size] = (char)0xff;
      assert_int_equal(tw_utf8_check(text, size + 1), size);
      free(text);
    }
}

/* ----------------------------------------------------------------- strings */

typedef struct string_case {
  const char *bytes;
  size_t len;
  const char *json;
} string_case;

static const string_case string_cases[] = {
    {TEXT(""), "\"\""},
    {TEXT("a"), "\"a\""},
    {TEXT("plain text that is longer than one word"),
     "\"plain text that is longer than one word\""},
    {TEXT("\"\\/"), "\"\\\"\\\\/\""},
    {TEXT("\b\f\n\r\t"), "\"\\b\\f\\n\\r\\t\""},
    {TEXT("\0\x01\x0b\x0e\x1f\x7f"), "\"\\u0000\\u0001\\u000b\\u000e\\u001f\x7f\""},
    {TEXT("\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80"), "\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\""},
    {TEXT("\xed\x9f\xbf\xee\x80\x80"), "\"\xed\x9f\xbf\xee\x80\x80\""},
    {TEXT("\xed\xa0\x80-\xed\xbf\xbf"), "\"\\ud800-\\udfff\""},
    {TEXT("0123456\"01234567\\012345678\n"), "\"0123456\\\"01234567\\\\012345678\\n\""},
    {TEXT("\xe2\x80\xa8"), "\"\xe2\x80\xa8\""},
};

static void strings_are_escaped_as_rfc_8259_wants(void **state) {
  (void)state;
  for (size_t i = 0; i < COUNT(string_cases); i++) {
    const string_case *c = &string_cases[i];
    tw_buffer out = {0};
    assert_true(tw_buffer_append(&out, "x:", 2));
    assert_int_equal(tw_write_string(&out, c->bytes, c->len, NULL), TW_OK);
    assert_int_equal(out.len, strlen(c->json) + 2);
    assert_memory_equal(out.data + 2, c->json, out.len - 2);
    char back[64];
    assert_int_equal(tw_unescape(c->json + 1, strlen(c->json) - 2, back), c->len);
    assert_memory_equal(back, c->bytes, c->len);
    tw_buffer_fini(&out);
  }
}

static void what_is_not_utf8_is_not_written(void **state) {
  (void)state;
  static const struct {
    const char *bytes;
    size_t len, position;
  } cases[] = {{TEXT("\xff"), 0},         {TEXT("abc\n\x80"), 4},       {TEXT("\xc3"), 0},
               {TEXT("\xed\xa0"), 0},     {TEXT("\xed\xa0x"), 0},       {TEXT("\xc0\x80"), 0},
               {TEXT("01234567\xf8"), 8}, {TEXT("\xed\xa0\x80\xfe"), 3}};
  for (size_t i = 0; i < COUNT(cases); i++) {
    tw_buffer out = {0};
    tw_error error;
    assert_true(tw_buffer_append(&out, "before", 6));
    assert_int_equal(tw_write_string(&out, cases[i].bytes, cases[i].len, &error), TW_EJSON);
    assert_int_equal(error.position, cases[i].position);
    assert_int_equal(out.len, 6);
    tw_buffer_fini(&out);
  }
}

/* One byte of each value at each place: what is read back is what was written. */
static void strings_come_back_with_any_byte_anywhere(void **state) {
  (void)state;
  tw_buffer out = {0};
  for (int byte = 0; byte < 128; byte++)
    for (size_t len = 1; len < 40; len++)
      for (size_t at = 0; at < len; at += 1 + len / 9) {
        char text[40], back[256], *exact = malloc(len);
        assert_non_null(exact);
        memset(text, 'x', sizeof text);
        text[at] = (char)byte;
        memcpy(exact, text, len);
        out.len = 0;
        assert_int_equal(tw_write_string(&out, exact, len, NULL), TW_OK);
        assert_int_equal(tw_unescape(out.data + 1, out.len - 2, back), len);
        assert_memory_equal(back, text, len);
        free(exact);
      }
  tw_buffer_fini(&out);
}

static void a_string_without_memory_leaves_the_text_before_it(void **state) {
  (void)state;
  static const char bytes[] = "\1\2\3 each of these needs six bytes: \4\5\6\7";
  bool failed = true;
  for (size_t n = 0; failed; n++) {
    tw_buffer out = {0};
    assert_true(tw_buffer_append(&out, "before", 6));
    out.len = out.cap; /* no room is left */
    memset(out.data, 'b', out.len);
    size_t before = out.len;
    tw_oom_fail_at(n);
    tw_status status = tw_write_string(&out, bytes, sizeof bytes - 1, NULL);
    failed = tw_oom_off();
    assert_int_equal(status, failed ? TW_ENOMEM : TW_OK);
    if (failed) assert_int_equal(out.len, before);
    tw_buffer_fini(&out);
  }
  assert_int_equal(tw_oom_live(), 0);
}

static void escapes_are_read(void **state) {
  (void)state;
  static const struct {
    const char *json, *bytes;
    size_t len;
  } cases[] = {
      {"\\u0041\\u00e9\\u20AC", TEXT("A\xc3\xa9\xe2\x82\xac")},
      {"\\ud83d\\ude00!", TEXT("\xf0\x9f\x98\x80!")},
      {"\\uDBFF\\uDFFF", TEXT("\xf4\x8f\xbf\xbf")},
      {"\\ud800", TEXT("\xed\xa0\x80")},
      {"\\ud800\\ud800\\udc00", TEXT("\xed\xa0\x80\xf0\x90\x80\x80")},
      {"\\udc00\\ud800", TEXT("\xed\xb0\x80\xed\xa0\x80")},
      {"\\ud800\\n", TEXT("\xed\xa0\x80\n")},
      {"\\ud800\\u0041", TEXT("\xed\xa0\x80"
                              "A")},
      {"a\\/b\\u0000c", TEXT("a/b\0c")},
      {"\\\\u0041", TEXT("\\u0041")},
  };
  for (size_t i = 0; i < COUNT(cases); i++) {
    char out[64];
    assert_int_equal(tw_unescape(cases[i].json, strlen(cases[i].json), out), cases[i].len);
    assert_memory_equal(out, cases[i].bytes, cases[i].len);
  }
}

/* ----------------------------------------------------------------- numbers */

static void integers_are_written_and_read(void **state) {
  (void)state;
  static const struct {
    int64_t value;
    const char *text;
  } cases[] = {{0, "0"},
               {7, "7"},
               {-1, "-1"},
               {10, "10"},
               {99, "99"},
               {100, "100"},
               {-12345, "-12345"},
               {9007199254740993, "9007199254740993"},
               {INT64_MAX, "9223372036854775807"},
               {INT64_MIN, "-9223372036854775808"}};
  for (size_t i = 0; i < COUNT(cases); i++) {
    char out[TW_NUMBER_ROOM];
    int64_t back;
    size_t len = tw_write_integer(cases[i].value, out);
    assert_string_equal(out, cases[i].text);
    assert_int_equal(len, strlen(out));
    assert_true(tw_read_integer(out, strlen(out), &back));
    assert_true(back == cases[i].value);
  }
}

static void integers_that_do_not_fit_are_refused(void **state) {
  (void)state;
  static const char *const texts[] = {"9223372036854775808",  "-9223372036854775809",
                                      "10000000000000000000", "99999999999999999999",
                                      "18446744073709551616", "-100000000000000000000000000"};
  int64_t out;
  for (size_t i = 0; i < COUNT(texts); i++)
    assert_false(tw_read_integer(texts[i], strlen(texts[i]), &out));
  assert_true(tw_read_integer("-0", 2, &out));
  assert_int_equal(out, 0);
}

typedef struct number_case {
  double value;
  const char *text;
} number_case;

static const number_case number_cases[] = {
    {0.0, "0.0"},
    {-0.0, "-0.0"},
    {1.0, "1.0"},
    {-1.5, "-1.5"},
    {0.1, "0.1"},
    {0.1 + 0.2, "0.30000000000000004"},
    {1.0 / 3, "0.3333333333333333"},
    {123456.789, "123456.789"},
    {0.0001, "0.0001"},
    {1e-9, "1e-09"},
    {999999999999999.0, "999999999999999.0"},
    {1e15, "1e+15"},
    {1e21, "1e+21"},
    {1e100, "1e+100"},
    {5e-324, "5e-324"},
    {2.2250738585072014e-308, "2.2250738585072014e-308"},
    {1.7976931348623157e308, "1.7976931348623157e+308"},
    {9007199254740993.0, "9007199254740992.0"},
    {3.14159265358979, "3.14159265358979"},
    {2.718281828459045, "2.718281828459045"},
    {5.684341886080801e-14, "5.684341886080801e-14"}, /* 2^-44: the neighbour is printf's */
    {9.5367431640625e-07, "9.5367431640625e-07"},
};

static void numbers_are_written_short_and_never_as_integers(void **state) {
  (void)state;
  for (size_t i = 0; i < COUNT(number_cases); i++) {
    char out[TW_NUMBER_ROOM];
    size_t len = tw_write_number(number_cases[i].value, out);
    assert_string_equal(out, number_cases[i].text);
    assert_int_equal(len, strlen(out));
  }
}

static void expect_round_trip(double value) {
  char out[TW_NUMBER_ROOM];
  size_t len = tw_write_number(value, out);
  assert_true(len < TW_NUMBER_ROOM && len == strlen(out));
  assert_non_null(strpbrk(out, ".e"));
  double back = tw_read_number(out, len);
  if (memcmp(&back, &value, sizeof back)) fail_msg("%.17g became %s", value, out);
  assert_true(strtod(out, NULL) == value);
}

static void numbers_come_back_bit_by_bit(void **state) {
  (void)state;
  for (int i = 0; i < 100000; i++) {
    uint64_t bits = random_bits();
    double value;
    memcpy(&value, &bits, sizeof value);
    if (isfinite(value)) expect_round_trip(value);
    expect_round_trip((double)(int64_t)bits / 1e6);
    expect_round_trip((double)(bits >> 44) / 100);
    expect_round_trip(ldexp(1, (int)(bits % 2098) - 1074));
  }
}

static void no_shorter_text_gives_the_number_back(void **state) {
  (void)state;
  for (int i = 0; i < 20000; i++) {
    uint64_t bits = random_bits();
    double value = i % 2 ? (double)(bits >> 40) / 1000 : ldexp(1, (int)(bits % 2098) - 1074);
    char out[TW_NUMBER_ROOM], other[64];
    tw_write_number(value, out);
    int digits = 0;
    for (const char *p = out; *p && *p != 'e'; p++) digits += *p >= '0' && *p <= '9';
    for (int k = 1; k < 15 && k < digits - 5; k++) {
      snprintf(other, sizeof other, "%.*e", k - 1, value);
      if (strtod(other, NULL) == value) fail_msg("%s is longer than %s", out, other);
    }
  }
}

static void numbers_are_read_correctly_rounded(void **state) {
  (void)state;
  static const char *const texts[] = {
      "0",
      "-0",
      "0.0",
      "-0.0e5",
      "1",
      "-1.5",
      "1e5",
      "1E+5",
      "1e-5",
      "123.456e3",
      "0.1",
      "1e22",
      "1e23",
      "9007199254740993",
      "9007199254740992.9",
      "90071992547409930e-1",
      "1e308",
      "1e309",
      "-1e400",
      "4.9e-324",
      "2e-324",
      "1e-400",
      "0e99999999999",
      "1e-99999999999",
      "179769313486231580793728971405303415079934132710037826936173778980444968292764750946649",
      "2.2250738585072011e-308",
      "0.000000000000000000000000000000000000000000000000001",
      "100000000000000016777215",
      "100000000000000016777216",
      "1.00000000000000011102230246251565"};
  for (size_t i = 0; i < COUNT(texts); i++) {
    double got = tw_read_number(texts[i], strlen(texts[i])), want = strtod(texts[i], NULL);
    if (memcmp(&got, &want, sizeof got)) fail_msg("%s: %.17g", texts[i], got);
  }
  assert_true(tw_read_number("12345", 3) == 123);
  assert_true(tw_read_number("1.5e300", 5) == 1500);
}

/* Longer than any room on the stack: a JSON number ends with a byte that is none of it. */
static void very_long_numbers_are_read(void **state) {
  (void)state;
  for (size_t len = 500; len < 2000; len += 7) {
    char *text = malloc(len + 3);
    assert_non_null(text);
    memset(text, '3', len);
    memcpy(text, "0.", 2);
    memcpy(text + len, ",5", 3);
    assert_true(tw_read_number(text, len) == 1.0 / 3);
    free(text);
  }
}

static void the_locale_changes_nothing(void **state) {
  (void)state;
  static const char *const names[] = {"de_DE.UTF-8", "de_DE", "fr_FR.UTF-8", "ru_RU.UTF-8"};
  bool found = false;
  for (size_t i = 0; i < COUNT(names) && !found; i++) found = setlocale(LC_ALL, names[i]);
  if (!found) skip();
  for (size_t i = 0; i < COUNT(number_cases); i++) {
    char out[TW_NUMBER_ROOM];
    tw_write_number(number_cases[i].value, out);
    assert_string_equal(out, number_cases[i].text);
    assert_true(tw_read_number(out, strlen(out)) == number_cases[i].value);
  }
  setlocale(LC_ALL, "C");
}

int main(void) {
  tw_oom_install();
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(utf8_check_tells_the_first_bad_sequence),
      cmocka_unit_test(utf8_check_works_at_every_offset),
      cmocka_unit_test(strings_are_escaped_as_rfc_8259_wants),
      cmocka_unit_test(what_is_not_utf8_is_not_written),
      cmocka_unit_test(strings_come_back_with_any_byte_anywhere),
      cmocka_unit_test(a_string_without_memory_leaves_the_text_before_it),
      cmocka_unit_test(escapes_are_read),
      cmocka_unit_test(integers_are_written_and_read),
      cmocka_unit_test(integers_that_do_not_fit_are_refused),
      cmocka_unit_test(numbers_are_written_short_and_never_as_integers),
      cmocka_unit_test(numbers_come_back_bit_by_bit),
      cmocka_unit_test(no_shorter_text_gives_the_number_back),
      cmocka_unit_test(numbers_are_read_correctly_rounded),
      cmocka_unit_test(very_long_numbers_are_read),
      cmocka_unit_test(the_locale_changes_nothing),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
