/* reader_variants_test.c: all implementations of the reader give the same, on random
 * documents, on damaged ones, and whatever stands at the borders of their vectors. */
#include "event/reader.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/buffer.h"

/* -------------------------------------------------------------- generating */

static uint64_t random_state;

static uint32_t random_below(uint32_t bound) {
  random_state = random_state * 6364136223846793005u + 1442695040888963407u;
  return (uint32_t)((random_state >> 32) * bound >> 32);
}

static void put(tw_buffer *out, const char *text) {
  assert_true(tw_buffer_append(out, text, strlen(text)));
}

static void put_blank(tw_buffer *out) {
  static const char *const blanks[] = {"", "", "", " ", " ", "\n", "\t  ", "          "};
  put(out, blanks[random_below(8)]);
}

static void put_string(tw_buffer *out) {
  static const char *const pieces[] = {"a",
                                       "bc",
                                       "def",
                                       "{",
                                       "}",
                                       ":",
                                       ",",
                                       "[]",
                                       "\\\"",
                                       "\\\\",
                                       "\\n",
                                       "\\u00e9",
                                       "\\ud83d",
                                       "\xc3\xa9",
                                       "\xe2\x82\xac",
                                       " ",
                                       "\xf0\x9f\x98\x80",
                                       "0123456789abcdef"};
  put(out, "\"");
  for (uint32_t n = random_below(random_below(5) ? 6 : 40); n; n--)
    put(out, pieces[random_below(random_below(3) ? 8 : 18)]);
  put(out, "\"");
}

static void put_scalar(tw_buffer *out) {
  static const char *const scalars[] = {"0",    "-1",      "12345678", "123456789", "1.5",
                                        "1e10", "-2.5E-3", "true",     "false",     "null"};
  if (random_below(2)) put_string(out);
  else put(out, scalars[random_below(10)]);
}

static void put_value(tw_buffer *out, uint32_t depth) {
  if (!depth || !random_below(3)) {
    put_scalar(out);
    return;
  }
  bool object = random_below(2);
  put(out, object ? "{" : "[");
  for (uint32_t i = 0, n = random_below(6); i < n; i++) {
    if (i) put(out, ",");
    put_blank(out);
    if (object) put_string(out), put_blank(out), put(out, ":"), put_blank(out);
    put_value(out, depth - 1);
    put_blank(out);
  }
  put(out, object ? "}" : "]");
}

static void damage(tw_buffer *text) {
  static const char bytes[] = "\"\\{}[]:,0-.e \n\xff\xc3\x80tu";
  for (uint32_t n = 1 + random_below(2); n && text->len; n--) {
    size_t at = random_below((uint32_t)text->len);
    switch (random_below(3)) {
      case 0: text->data[at] = bytes[random_below(sizeof bytes)]; break;
      case 1: memmove(text->data + at, text->data + at + 1, --text->len - at); break;
      case 2: text->len = at; break;
    }
  }
}

/* --------------------------------------------------------------- comparing */

typedef struct result {
  tw_status status;
  size_t count;
  tw_error error;
  tw_node *nodes;
} result;

static result read_with(tw_read_fn read, const tw_buffer *text) {
  result r = {.nodes = malloc(tw_reader_bound(text->len) * sizeof(tw_node))};
  assert_non_null(r.nodes);
  r.status = read(text->data, text->len, TW_MAX_DEPTH, r.nodes, &r.count, &r.error);
  return r;
}

static void compare(const tw_buffer *text, const result *a, const result *b) {
  if (a->status != b->status)
    fail_msg("%.*s: %d and %d", (int)text->len, text->data, a->status, b->status);
  if (a->status) {
    assert_int_equal(a->error.position, b->error.position);
    assert_string_equal(a->error.message, b->error.message);
    return;
  }
  assert_int_equal(a->count, b->count);
  for (size_t i = 0; i < a->count; i++) {
    assert_ptr_equal(a->nodes[i].text, b->nodes[i].text);
    assert_int_equal(a->nodes[i].len, b->nodes[i].len);
    assert_int_equal(a->nodes[i].meta, b->nodes[i].meta);
  }
}

/* Moves the text into memory with just the padding that is promised, filled with `padding`.
   @return the status that all implementations gave */
static tw_status compare_all(const tw_buffer *source, int padding) {
  tw_buffer text = {.data = malloc(source->len + TW_PADDING), .len = source->len};
  assert_non_null(text.data);
  if (source->len) memcpy(text.data, source->data, source->len);
  memset(text.data + text.len, padding, TW_PADDING);
  text.data[text.len] = '\0';
  const char *name;
  tw_read_fn read;
  result first = read_with(tw_read_json, &text);
  for (size_t i = 0; (read = tw_reader_variant(i, &name)); i++) {
    result r = read_with(read, &text);
    compare(&text, &first, &r);
    free(r.nodes);
  }
  free(first.nodes);
  free(text.data);
  return first.status;
}

static void random_documents_are_accepted_alike(void **state) {
  (void)state;
  tw_buffer text = {0};
  random_state = 1;
  for (int i = 0; i < 20000; i++) {
    text.len = 0;
    put_blank(&text);
    put_value(&text, random_below(6));
    put_blank(&text);
    assert_int_equal(compare_all(&text, i & 0xff), TW_OK);
  }
  tw_buffer_fini(&text);
}

static void damaged_documents_are_judged_alike(void **state) {
  (void)state;
  tw_buffer text = {0};
  random_state = 2;
  int rejected = 0;
  for (int i = 0; i < 60000; i++) {
    text.len = 0;
    put_value(&text, 1 + random_below(5));
    damage(&text);
    rejected += compare_all(&text, i & 0xff) != TW_OK;
  }
  assert_in_range(rejected, 20000, 59999);
  tw_buffer_fini(&text);
}

/* A string of every length up to past two windows, with one byte of interest at its end. */
static void long_strings_end_where_they_end(void **state) {
  (void)state;
  static const struct {
    const char *end;
    tw_status status;
  } ends[] = {{"\"", TW_OK},
              {"\\\\\"", TW_OK},
              {"\\\"\"", TW_OK},
              {"\\\\\\\"\"", TW_OK},
              {"\xf0\x9f\x98\x80\"", TW_OK},
              {"\xe2\x82\"", TW_EJSON},
              {"\\u00e9\"", TW_OK},
              {"\\\"", TW_EJSON},
              {"\n\"", TW_EJSON},
              {"", TW_EJSON},
              {"\xff\"", TW_EJSON},
              {"\"\"", TW_EJSON}};
  tw_buffer text = {0};
  for (size_t len = 0; len < 2200; len += len < 300 || (len > 960 && len < 1090) ? 1 : 61)
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
      text.len = 0;
      put(&text, "\"");
      for (size_t k = 0; k < len; k++) tw_buffer_byte(&text, 'x');
      put(&text, ends[i].end);
      assert_int_equal(compare_all(&text, '"'), ends[i].status);
    }
  tw_buffer_fini(&text);
}

/* Runs of backslashes of every length at every offset: an odd one escapes the quote. */
static void runs_of_backslashes_are_counted_over_borders(void **state) {
  (void)state;
  tw_buffer text = {0};
  for (size_t before = 0; before < 130; before++)
    for (size_t run = 1; run < 70; run += run < 9 ? 1 : 13) {
      text.len = 0;
      put(&text, "[\"");
      for (size_t i = 0; i < before; i++) tw_buffer_byte(&text, 'x');
      for (size_t i = 0; i < run; i++) tw_buffer_byte(&text, '\\');
      put(&text, "\"]");
      assert_int_equal(compare_all(&text, 0), run % 2 ? TW_EJSON : TW_OK);
    }
  tw_buffer_fini(&text);
}

/* A naive decoder: the judge of the exhaustive test. */
static bool is_utf8(const unsigned char *p, size_t len) {
  static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
  for (size_t i = 0, size; i < len; i += size) {
    size = p[i] < 0x80 ? 1 : p[i] >> 5 == 6 ? 2 : p[i] >> 4 == 14 ? 3 : p[i] >> 3 == 30 ? 4 : 0;
    if (!size || size > len - i) return false;
    uint32_t point = size == 1 ? p[i] : p[i] & (0xffu >> (size + 1));
    for (size_t k = 1; k < size; k++) {
      if (p[i + k] >> 6 != 2) return false;
      point = point << 6 | (p[i + k] & 63u);
    }
    if (point < least[size] || point > 0x10ffff || (point >= 0xd800 && point < 0xe000))
      return false;
  }
  return true;
}

/* Over the border of a step and behind it, with a whole step after it and without. */
static void expect_utf8_judged(tw_buffer *text, const unsigned char bytes[4]) {
  static const size_t offsets[] = {59, 60, 61, 62, 63, 90, 94, 95, 124, 125, 126, 127};
  size_t before = offsets[(bytes[0] * 7u + bytes[1] + bytes[2] / 16u) % 12];
  for (size_t after = 0; after <= 130; after += 130) {
    text->len = 0;
    put(text, "\"");
    while (text->len < before) tw_buffer_byte(text, 'x');
    tw_buffer_append(text, bytes, 4);
    for (size_t i = 0; i < after; i++) tw_buffer_byte(text, 'x');
    put(text, "\"");
    assert_int_equal(compare_all(text, 0x80), is_utf8(bytes, 4) ? TW_OK : TW_EJSON);
  }
}

/* All pairs of bytes, and all leads of three and four with tails at their borders. */
static void utf8_is_judged_by_rfc_3629(void **state) {
  (void)state;
  static const unsigned char tails[] = {0x41, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0};
  tw_buffer text = {0};
  for (uint32_t pair = 0x8000; pair < 0x10000; pair++)
    for (uint32_t more = 0; more < (pair >= 0xe000 ? 81 : 1); more++) {
      const unsigned char bytes[4] = {(unsigned char)(pair >> 8), (unsigned char)pair,
                                      tails[more / 9], tails[more % 9]};
      if (bytes[1] < 0x20 || bytes[1] == '"' || bytes[1] == '\\') continue;
      if (pair >= 0xe000 && !memchr(tails, bytes[1], sizeof tails)) continue;
      expect_utf8_judged(&text, bytes);
    }
  tw_buffer_fini(&text);
}

/* Sequences without ASCII between them, one of them damaged at every place. */
static void utf8_is_judged_in_rows_of_sequences(void **state) {
  (void)state;
  static const char *const rows[] = {"\xd0\xbf", "\xe4\xbd\xa0", "\xf0\x9f\x98\x80",
                                     "\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80"};
  static const char damages[] = "\x41\x80\xbf\xc3\xe0\xed\xf0\xf4\xff";
  tw_buffer text = {0};
  for (size_t row = 0; row < 4; row++)
    for (size_t at = 1; at < 270; at++)
      for (const char *damage = damages; *damage; damage++) {
        text.len = 0;
        put(&text, "\"");
        while (text.len < 270) put(&text, rows[row]);
        text.data[at] = *damage;
        bool good = is_utf8((const unsigned char *)text.data, text.len);
        put(&text, "\"");
        assert_int_equal(compare_all(&text, 0x80), good ? TW_OK : TW_EJSON);
      }
  tw_buffer_fini(&text);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(random_documents_are_accepted_alike),
      cmocka_unit_test(damaged_documents_are_judged_alike),
      cmocka_unit_test(long_strings_end_where_they_end),
      cmocka_unit_test(runs_of_backslashes_are_counted_over_borders),
      cmocka_unit_test(utf8_is_judged_by_rfc_3629),
      cmocka_unit_test(utf8_is_judged_in_rows_of_sequences),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
