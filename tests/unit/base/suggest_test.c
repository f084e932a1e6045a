#include "base/suggest.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static const char *const options[] = {"path", "rotate_size", "rotate_time", "fsync", "format"};

static void expect_suggestion(const char *word, const char *expected) {
  const char *got = tw_suggest(word, options, sizeof options / sizeof *options);
  if (!expected) assert_null(got);
  else assert_non_null(got), assert_string_equal(got, expected);
}

static void the_nearest_word_is_suggested(void **state) {
  (void)state;
  expect_suggestion("path", "path");
  expect_suggestion("paths", "path");
  expect_suggestion("pth", "path"); /* a letter is missing */
  expect_suggestion("rotate_tine", "rotate_time");
  expect_suggestion("rotatesize", "rotate_size");
  expect_suggestion("fysnc", "fsync"); /* two swapped letters are one edit */
  expect_suggestion("formt", "format");
}

static void words_too_far_from_all_get_no_suggestion(void **state) {
  (void)state;
  expect_suggestion("colour", NULL);
  expect_suggestion("", NULL);
  expect_suggestion("ph", NULL);
  expect_suggestion("htap", NULL);
  assert_null(tw_suggest("path", options, 0));
}

static void very_long_words_are_left_alone(void **state) {
  (void)state;
  char word[200];
  memset(word, 'x', sizeof word - 1);
  word[sizeof word - 1] = '\0';
  const char *const known[] = {word, "path"};
  expect_suggestion(word, NULL);
  assert_string_equal(tw_suggest("pathh", known, 2), "path");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(the_nearest_word_is_suggested),
      cmocka_unit_test(words_too_far_from_all_get_no_suggestion),
      cmocka_unit_test(very_long_words_are_left_alone),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
