/* json_fuzz.c: the JSON reader and writer on arbitrary bytes.
 *
 * What must hold: all implementations of the reader give the same result; they accept just
 * what a naive judge, written from the grammar of RFC 8259, accepts; what is accepted can be
 * written from its nodes and read again with the same outcome; numbers and strings survive.
 */
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "event/reader.h"
#include "event/text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds) {
  if (!holds) abort();
}

/* --------------------------------------------------------------- the judge */
/* Each function takes a part of the grammar; `p` is NULL once something was wrong. */

typedef struct judge {
  const uint8_t *p, *end;
} judge;

static bool see(const judge *j, uint8_t byte) { return j->p && j->p < j->end && *j->p == byte; }

static bool take(judge *j, const char *bytes) {
  if (!j->p || j->p == j->end || !*j->p || !strchr(bytes, *j->p)) return false;
  j->p++;
  return true;
}

static void want(judge *j, const char *bytes) {
  if (!take(j, bytes)) j->p = NULL;
}

static void judge_blank(judge *j) {
  while (take(j, " \t\r\n")) {}
}

static void judge_digits(judge *j) {
  want(j, "0123456789");
  while (take(j, "0123456789")) {}
}

static void judge_number(judge *j) {
  take(j, "-");
  if (!take(j, "0")) judge_digits(j);
  if (take(j, ".")) judge_digits(j);
  if (take(j, "eE")) {
    take(j, "+-");
    judge_digits(j);
  }
}

static void judge_word(judge *j, const char *word) {
  for (; *word; word++) want(j, (const char[]){*word, '\0'});
}

/* One code point by the table of RFC 3629, section 4. */
static void judge_utf8(judge *j) {
  uint8_t lead = *j->p++, low = 0x80, high = 0xbf;
  int tails = lead < 0xe0 ? 1 : lead < 0xf0 ? 2 : 3;
  if (lead < 0xc2 || lead > 0xf4) j->p = NULL;
  if (lead == 0xe0) low = 0xa0;
  if (lead == 0xed) high = 0x9f;
  if (lead == 0xf0) low = 0x90;
  if (lead == 0xf4) high = 0x8f;
  for (; j->p && tails; tails--, low = 0x80, high = 0xbf) {
    if (j->p == j->end || *j->p < low || *j->p > high) j->p = NULL;
    else j->p++;
  }
}

static void judge_string(judge *j) {
  want(j, "\"");
  while (j->p && !take(j, "\"")) {
    if (j->p == j->end || *j->p < 0x20) j->p = NULL;
    else if (*j->p >= 0x80) judge_utf8(j);
    else if (!take(j, "\\")) j->p++;
    else if (!take(j, "u")) want(j, "\"\\/bfnrt");
    else
      for (int i = 0; i < 4; i++) want(j, "0123456789abcdefABCDEF");
  }
}

static void judge_value(judge *j, uint32_t depth);

static void judge_container(judge *j, uint32_t depth, bool object) {
  const char *closer = object ? "}" : "]";
  j->p = depth ? j->p + 1 : NULL;
  judge_blank(j);
  if (take(j, closer)) return;
  do {
    if (object) {
      judge_blank(j);
      judge_string(j);
      judge_blank(j);
      want(j, ":");
    }
    judge_value(j, depth - 1);
  } while (take(j, ","));
  want(j, closer);
}

static void judge_value(judge *j, uint32_t depth) {
  judge_blank(j);
  if (see(j, '"')) judge_string(j);
  else if (see(j, '{') || see(j, '[')) judge_container(j, depth, see(j, '{'));
  else if (see(j, 't')) judge_word(j, "true");
  else if (see(j, 'f')) judge_word(j, "false");
  else if (see(j, 'n')) judge_word(j, "null");
  else judge_number(j);
  judge_blank(j);
}

static bool is_json(const uint8_t *data, size_t size) {
  judge j = {data, data + size};
  judge_value(&j, TW_MAX_DEPTH);
  return j.p == j.end;
}

/* ----------------------------------------------------------------- reading */

typedef struct result {
  tw_status status;
  size_t count;
  tw_error error;
  tw_node *nodes;
} result;

static result read_with(tw_read_fn read, const char *text, size_t len) {
  result r = {.nodes = malloc(tw_reader_bound(len) * sizeof(tw_node))};
  check(r.nodes);
  r.status = read(text, len, TW_MAX_DEPTH, r.nodes, &r.count, &r.error);
  check(!r.status || (r.error.position <= len && r.error.message[0]));
  return r;
}

/* In memory that ends with the promised padding. */
static char *padded(const void *bytes, size_t len, int padding) {
  char *text = malloc(len + TW_PADDING);
  check(text);
  if (len) memcpy(text, bytes, len);
  memset(text + len, padding, TW_PADDING);
  text[len] = '\0';
  return text;
}

static void expect_same(const result *a, const result *b) {
  check(a->status == b->status && a->count == b->count);
  if (a->status) {
    check(a->error.position == b->error.position);
    check(!strcmp(a->error.message, b->error.message));
  }
  for (size_t i = 0; i < a->count; i++)
    check(a->nodes[i].text == b->nodes[i].text && a->nodes[i].len == b->nodes[i].len &&
          a->nodes[i].meta == b->nodes[i].meta);
}

static result read_everywhere(const char *text, size_t len) {
  const char *name;
  tw_read_fn read;
  result first = read_with(tw_reader_variant(0, &name), text, len);
  for (size_t i = 1; (read = tw_reader_variant(i, &name)); i++) {
    result other = read_with(read, text, len);
    expect_same(&first, &other);
    free(other.nodes);
  }
  return first;
}

/* ----------------------------------------------------------------- writing */

static void write_text(tw_buffer *out, const char *json, size_t len) {
  char *bytes = malloc(len + 1);
  check(bytes);
  size_t size = tw_unescape(json, len, bytes);
  check(size <= len);
  check(tw_write_string(out, bytes, size, NULL) == TW_OK);
  free(bytes);
}

static void check_number(const tw_node *node) {
  char text[TW_NUMBER_ROOM];
  double value = tw_read_number(node->text, node->len);
  check(value == strtod(node->text, NULL));
  if (value - value == 0) check(tw_read_number(text, tw_write_number(value, text)) == value);
  int64_t integer;
  if (tw_node_kind(node) != TW_KIND_INTEGER) return;
  if (!tw_read_integer(node->text, node->len, &integer)) check(node->len >= 19);
  else if (integer)
    check(tw_write_integer(integer, text) == node->len && !memcmp(text, node->text, node->len));
}

static const tw_node *write_node(tw_buffer *out, const tw_node *node);

static const tw_node *write_container(tw_buffer *out, const tw_node *node) {
  const tw_node *end = node + tw_node_size(node), *first = ++node;
  bool object = tw_node_kind(first - 1) == TW_KIND_OBJECT;
  tw_buffer_byte(out, object ? '{' : '[');
  while (node < end) {
    if (node > first) tw_buffer_byte(out, ',');
    if (object) {
      check(tw_node_kind(node) >= TW_KIND_KEY);
      write_text(out, node->text, node->len);
      tw_buffer_byte(out, ':');
      node++;
    }
    node = write_node(out, node);
  }
  check(node == end);
  tw_buffer_byte(out, object ? '}' : ']');
  return end;
}

/* @return the node behind the value's subtree */
static const tw_node *write_node(tw_buffer *out, const tw_node *node) {
  switch (tw_node_kind(node)) {
    case TW_KIND_ARRAY:
    case TW_KIND_OBJECT: return write_container(out, node);
    case TW_KIND_STRING:
    case TW_KIND_ESCAPED: write_text(out, node->text + 1, node->len - 2); break;
    case TW_KIND_INTEGER:
    case TW_KIND_NUMBER: check_number(node); /* fall through */
    case TW_KIND_NULL:
    case TW_KIND_FALSE:
    case TW_KIND_TRUE: tw_buffer_append(out, node->text, node->len); break;
    case TW_KIND_KEY:
    case TW_KIND_ESCAPED_KEY: abort();
  }
  check(tw_node_size(node) == 1);
  return node + 1;
}

/* Writes what was read, reads that and writes it again: twice the same. */
static void check_round_trip(const result *r) {
  tw_buffer once = {0}, again = {0};
  check(write_node(&once, r->nodes) == r->nodes + r->count);
  size_t len = once.len;
  check(tw_buffer_pad(&once, TW_PADDING));
  result back = read_everywhere(once.data, len);
  check(back.status == TW_OK && back.count == r->count);
  write_node(&again, back.nodes);
  check(again.len == len && !memcmp(again.data, once.data, len));
  free(back.nodes);
  tw_buffer_fini(&once);
  tw_buffer_fini(&again);
}

/* The input as the bytes of a string: written exactly when it is UTF-8, surrogates aside. */
static void check_string(const uint8_t *data, size_t size) {
  char *bytes = malloc(size + !size);
  check(bytes);
  if (size) memcpy(bytes, data, size);
  tw_buffer out = {0};
  bool utf8 = tw_utf8_check(bytes, size) == size;
  tw_status status = tw_write_string(&out, bytes, size, NULL);
  check(status == TW_OK || (!utf8 && !out.len));
  if (utf8) {
    size_t len = out.len;
    check(tw_buffer_pad(&out, TW_PADDING));
    result r = read_everywhere(out.data, len);
    check(r.status == TW_OK && r.count == 1);
    char *back = malloc(len);
    check(back && tw_unescape(out.data + 1, len - 2, back) == size);
    check(!size || !memcmp(back, data, size));
    free(back);
    free(r.nodes);
  }
  tw_buffer_fini(&out);
  free(bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  char *text = padded(data, size, size ? data[size / 2] : 0);
  result r = read_everywhere(text, size);
  check((r.status == TW_OK) == is_json(data, size));
  if (r.status == TW_OK) check_round_trip(&r);
  check_string(data, size);
  free(r.nodes);
  free(text);
  return 0;
}
