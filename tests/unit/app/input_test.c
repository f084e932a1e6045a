/* Lines against a naive splitter, with reads of any length, lines of any length around the
   limit, and byte order marks. The file is included, so that its reads are ours. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>

#include <cmocka.h>

typedef struct source {
  const char *text;
  size_t len, at;
  size_t most; ///< bytes for one read
} source;

static source feed;
static uint32_t seed;

static uint32_t any(uint32_t below) {
  seed = seed * 1664525u + 1013904223u;
  return (seed >> 8) % below;
}

static ssize_t read_feed(int fd, void *to, size_t room) {
  (void)fd;
  size_t count = feed.len - feed.at;
  if (count > room) count = room;
  if (count > feed.most) count = 1 + any((uint32_t)feed.most);
  memcpy(to, feed.text + feed.at, count);
  feed.at += count;
  return (ssize_t)count;
}

#include <unistd.h>
#define read read_feed
#include "app/input.c"
#undef read

static bool begins_with_bom(const char *text, size_t len) {
  return len >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0;
}

static void fill_text(char *text, size_t len) {
  uint32_t rarity = 1u << any(14);
  for (size_t i = 0; i < len; i++) text[i] = any(rarity) ? (char)('a' + any(26)) : '\n';
  if (len >= 3 && any(3) == 0) memcpy(text, "\xef\xbb\xbf", 3);
}

static void check_line(const tw_input *input, tw_input_got got, const tw_line *line,
                       const char *text, size_t from, size_t stop) {
  if (line->number == 1 && begins_with_bom(text + from, stop - from)) from += 3;
  assert_int_equal(from, line->offset);
  assert_int_equal(stop - from, line->full);
  assert_int_equal(line->full > input->max_line ? TW_INPUT_LONG : TW_INPUT_LINE, got);
  if (got == TW_INPUT_LINE) assert_int_equal(line->full, line->len);
  assert_true(line->len <= line->full && (got == TW_INPUT_LINE || line->len <= TW_INPUT_KEPT));
  assert_memory_equal(text + from, line->text, line->len);
  assert_int_equal(0, line->text[line->len]);
}

static void read_all(tw_input *input, const char *text, size_t len) {
  size_t at = 0;
  uint64_t lines = 0;
  tw_line line;
  tw_error error;
  for (tw_input_got got; (got = tw_input_next(input, &line)) != TW_INPUT_END;) {
    if (got == TW_INPUT_MORE) {
      assert_int_equal(TW_OK, tw_input_fill(input, &error));
      continue;
    }
    const char *newline = memchr(text + at, '\n', len - at);
    size_t stop = newline ? (size_t)(newline - text) : len;
    assert_int_equal(++lines, line.number);
    check_line(input, got, &line, text, at, stop);
    at = newline ? stop + 1 : len;
  }
  assert_int_equal(len, at);
  assert_int_equal(len, input->offset);
}

static void lines_are_those_of_a_naive_splitter_whatever_the_reads(void **state) {
  (void)state;
  for (uint32_t round = 0; round < 1500; round++) {
    seed = round;
    size_t len = any(50) ? any(20000) : any(2000000);
    char *text = malloc(len + 1);
    assert_non_null(text);
    fill_text(text, len);
    tw_input input = {.max_line = 1 + (any(2) ? any(100) : any(1000000))};
    feed = (source){text, len, 0, len > 100000 ? 100000 : 1 + any(5000)};
    assert_int_equal(TW_OK, tw_input_open(&input, "/dev/null", NULL));
    read_all(&input, text, len);
    assert_true(input.cap <= 2 * (input.max_line + TW_INPUT_BLOCK));
    tw_input_close(&input);
    tw_input_fini(&input);
    free(text);
  }
}

static void a_line_without_end_takes_no_more_memory(void **state) {
  (void)state;
  size_t len = 64u << 20;
  char *text = malloc(len);
  assert_non_null(text);
  memset(text, 'x', len);
  text[len - 2] = '\n';
  tw_input input = {.max_line = TW_MAX_EVENT};
  feed = (source){text, len, 0, len};
  assert_int_equal(TW_OK, tw_input_open(&input, "/dev/null", NULL));
  read_all(&input, text, len);
  assert_true(input.cap <= 2 * (TW_MAX_EVENT + TW_INPUT_BLOCK));
  tw_input_close(&input);
  tw_input_fini(&input);
  free(text);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(lines_are_those_of_a_naive_splitter_whatever_the_reads),
      cmocka_unit_test(a_line_without_end_takes_no_more_memory),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
