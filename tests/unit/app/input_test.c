/* Lines against a naive splitter, with reads of any length, lines of any length around the
   limit, and byte order marks. The file is included, so that its reads are ours. */
#define _GNU_SOURCE /* memrchr, in the file; NOLINT(bugprone-reserved-identifier) */
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

typedef struct text_at {
  const char *text;
  size_t len, at;
  uint64_t lines, bytes;
} text_at;

static void check_line(const tw_block *block, const tw_line *line, text_at *in) {
  const char *newline = memchr(in->text + in->at, '\n', in->len - in->at);
  size_t from = in->at, stop = newline ? (size_t)(newline - in->text) : in->len;
  in->at = newline ? stop + 1 : in->len;
  assert_int_equal(++in->lines, line->number);
  if (line->number == 1 && begins_with_bom(in->text + from, stop - from)) from += 3;
  assert_int_equal(from, line->offset);
  assert_int_equal(stop - from, line->full);
  if (line->full <= block->max_line) assert_int_equal(line->full, line->len);
  else assert_true(line->len <= line->full && line->len <= TW_LINE_KEPT);
  assert_memory_equal(in->text + from, line->text, line->len);
  assert_int_equal(0, line->text[line->len]);
}

static void check_block(tw_block *block, text_at *in) {
  tw_block_at at = {0};
  tw_line line;
  assert_true(block->cap <= 2 * (block->max_line + TW_INPUT_BLOCK));
  in->bytes += block->tally.bytes;
  while (tw_block_next(block, &at, &line)) check_line(block, &line, in);
  assert_int_equal(in->bytes, in->at);
  tw_block_unref(block, 1);
}

static void read_all(tw_input *input, const char *text, size_t len) {
  text_at in = {.text = text, .len = len};
  tw_block *block;
  tw_error error;
  do {
    assert_int_equal(TW_OK, tw_input_next(input, &block, &error));
    if (block) check_block(block, &in);
    else if (!input->ended) assert_int_equal(TW_OK, tw_input_fill(input, &error));
  } while (block || tw_input_has_more(input));
  assert_int_equal(len, in.at);
  assert_int_equal(len, input->offset);
}

static void unwanted(void *self, const tw_block *block, const tw_line *line,
                     const tw_error *why) {
  (void)self, (void)block, (void)line, (void)why;
  fail();
}

static void count_done(void *self, const tw_block *block) {
  unsigned *done = self;
  (void)block;
  (*done)++;
}

static void read_text(const char *text, size_t len, size_t most, size_t max_line) {
  static const tw_intake_ops ops = {unwanted, count_done};
  unsigned done = 0;
  tw_intake intake;
  tw_intake_init(&intake, &ops, &done);
  tw_input input = {.max_line = max_line, .intake = &intake};
  feed = (source){text, len, 0, most};
  assert_int_equal(TW_OK, tw_input_open(&input, "/dev/null", NULL));
  read_all(&input, text, len);
  tw_input_close(&input);
  assert_true(tw_intake_wait(&intake, 0, 0));
  if (len) assert_true(done > 0);
  tw_intake_fini(&intake);
}

static void lines_are_those_of_a_naive_splitter_whatever_the_reads(void **state) {
  (void)state;
  for (uint32_t round = 0; round < 1500; round++) {
    seed = round;
    size_t len = any(50) ? any(20000) : any(2000000);
    char *text = malloc(len + 1);
    assert_non_null(text);
    fill_text(text, len);
    read_text(text, len, len > 100000 ? 100000 : 1 + any(5000),
              1 + (any(2) ? any(100) : any(1000000)));
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
  read_text(text, len, len, TW_MAX_EVENT);
  free(text);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(lines_are_those_of_a_naive_splitter_whatever_the_reads),
      cmocka_unit_test(a_line_without_end_takes_no_more_memory),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
