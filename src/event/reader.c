/* reader.c: JSON text to nodes.
 *
 * The reader walks the text from value to value. It looks at white space, punctuation,
 * numbers and words byte by byte; over strings it jumps with the index (reader_index.h).
 *
 * Invariants, with `p` outside of strings:
 * - when *p is a quote, the next mark stands there; the mark behind it is at the closing
 *   quote, unless the string needs a closer look or the index must be continued;
 * - text[len] is a NUL, which nothing accepts, so no loop needs to compare with the end;
 * - nodes written <= (bytes read + open containers + 1) / 2, see tw_reader_bound.
 */
#include "event/reader.h"

#include <string.h>

#include "base/status.h"
#include "event/reader_index.h"

#define inline_always static inline __attribute__((always_inline))
#define likely(x)     __builtin_expect(!!(x), 1)
#define unlikely(x)   __builtin_expect(!!(x), 0)

/* Longer texts would overflow the size of a subtree. */
#define LENGTH_BOUND ((size_t)1 << 28)

/* What lives in memory for a whole reading. */
typedef struct reader {
  const char *text;
  tw_node *nodes;
  uint32_t max_depth;
  tw_index_fn index_next;
  tw_status status; /* of the failure */
  const char *at;   /* its place */
  const char *why;
  uint32_t open[TW_DEPTH_BOUND]; /* the nodes of the open containers */
  tw_index index;
} reader;

/* What changes with every step; the compiler keeps it in registers. */
typedef struct cursor {
  const char *p;
  tw_node *node; /* the next to write */
  const uint32_t *mark;
  uint32_t depth;
  char closer; /* what ends the innermost container; the NUL ends the text */
} cursor;

/* @return false, for the caller to return */
__attribute__((cold, noinline)) static bool fail(reader *r, const char *at, const char *why) {
  r->status = TW_EJSON;
  r->at = at;
  r->why = why;
  return false;
}

/* ------------------------------------------------------------- white space */

static inline bool is_blank(char c) { return c == ' ' || c == '\n' || c == '\r' || c == '\t'; }

static __attribute__((noinline)) const char *skip_blanks(const char *p) {
  while (is_blank(*p)) p++;
  return p;
}

/* No blank or one are the usual cases. */
inline_always const char *blank(const char *p) {
  if (likely((unsigned char)*p > ' ')) return p;
  if (likely(*p == ' ' && (unsigned char)p[1] > ' ')) return p + 1;
  return skip_blanks(p);
}

/* ----------------------------------------------------------------- strings */

static bool is_hex(char c) {
  return (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'f');
}

static inline bool check_escape(reader *r, const char *p) {
  switch (p[1]) {
    case '"':
    case '\\':
    case '/':
    case 'b':
    case 'f':
    case 'n':
    case 'r':
    case 't': return true;
    case 'u':
      if (is_hex(p[2]) && is_hex(p[3]) && is_hex(p[4]) && is_hex(p[5])) return true;
      return fail(r, p, "\\u wants four hexadecimal digits");
  }
  return fail(r, p, "an unknown escape; write a backslash as \\\\");
}

/* Says what is wrong with a mark that is neither a quote nor a good escape. */
static bool fail_inside(reader *r, const char *start, const char *p) {
  if (p == r->text + r->index.len) return fail(r, start, "a string is not closed");
  if ((unsigned char)*p >= 0x80) return fail(r, p, "not UTF-8");
  return fail(r, p, "a control character in a string must be escaped (such as \\n)");
}

/* Continues the index when its marks are used up. */
static const uint32_t *refill(reader *r, const uint32_t *mark) {
  while (*mark == r->index.len && r->index.next < r->index.len) {
    r->index_next(&r->index);
    mark = r->index.marks;
  }
  return mark;
}

inline_always void put_node(cursor *c, const char *start, const char *end, uint32_t meta) {
  *c->node++ = (tw_node){start, (uint32_t)(end - start), meta};
}

/* `p` goes from the opening quote to behind the closing one. */
inline_always void put_string(cursor *c, const char *end, tw_kind kind) {
  const char *key = c->p + 1;
  if (kind < TW_KIND_KEY) put_node(c, c->p, end + 1, tw_node_meta(kind, 1));
  else if (unlikely(kind == TW_KIND_ESCAPED_KEY))
    put_node(c, key, end, tw_node_meta(kind, TW_UNKNOWN_HASH));
  else put_node(c, key, end, tw_node_meta(kind, tw_key_hash(key, (size_t)(end - key))));
  c->p = end + 1;
}

/* A string whose next marks are not simply its two quotes: it has an escape or a fault, or
   the index must be continued. Each kind of string has the kind with escapes behind it. */
static __attribute__((noinline)) bool read_carefully(reader *r, cursor *c, tw_kind kind) {
  const uint32_t *mark = refill(r, c->mark) + 1;
  tw_kind found = kind;
  for (;; mark++) {
    mark = refill(r, mark);
    const char *p = r->text + *mark;
    if (*p == '"') {
      c->mark = mark + 1;
      put_string(c, p, found);
      return true;
    }
    if (*p != '\\') return fail_inside(r, c->p, p);
    if (!check_escape(r, p)) return false;
    found = kind + 1;
  }
}

/* @param kind  TW_KIND_STRING or TW_KIND_KEY */
inline_always bool read_string(reader *r, cursor *c, tw_kind kind) {
  const char *end = r->text + c->mark[1];
  if (likely(*end == '"')) {
    c->mark += 2;
    put_string(c, end, kind);
    return true;
  }
  cursor copy = *c; /* for a cursor whose address is taken leaves the registers */
  bool ok = read_carefully(r, &copy, kind);
  *c = copy;
  return ok;
}

/* A key and its colon; `p` is at the value then. */
inline_always bool read_key(reader *r, cursor *c) {
  if (unlikely(*c->p != '"'))
    return fail(
        r, c->p,
        c->p[-1] == '{' ? "expected a key in quotes or '}'" : "expected a key in quotes");
  if (unlikely(!read_string(r, c, TW_KIND_KEY))) return false;
  if (unlikely(*c->p != ':')) c->p = skip_blanks(c->p);
  if (unlikely(*c->p != ':')) return fail(r, c->p, "expected ':' after a key");
  c->p = blank(c->p + 1);
  return true;
}

/* ------------------------------------------------------- numbers and words */

static inline bool is_digit(char c) { return c >= '0' && c <= '9'; }

/* The first byte that is no digit. Eight are looked at together: those that are digits
   have the high half 3, also with 6 added. */
inline_always const char *skip_digits(const char *p) {
#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
  for (;; p += 8) {
    uint64_t x, high = 0xf0f0f0f0f0f0f0f0, three = 0x3030303030303030;
    memcpy(&x, p, 8);
    uint64_t other = ((x & high) ^ three) | (((x + 0x0606060606060606) & high) ^ three);
    if (likely(other)) return p + (__builtin_ctzll(other) >> 3);
  }
#else
  while (is_digit(*p)) p++;
  return p;
#endif
}

/* The rest of a number behind its integer. @return its end, NULL on failure */
static const char *read_fraction(reader *r, const char *p) {
  if (*p == '.') {
    if (!is_digit(p[1])) return fail(r, p + 1, "expected a digit after '.'"), NULL;
    p = skip_digits(p + 1);
  }
  if ((*p | 0x20) == 'e') {
    p += p[1] == '+' || p[1] == '-' ? 2 : 1;
    if (!is_digit(*p)) return fail(r, p, "expected a digit in the exponent"), NULL;
    p = skip_digits(p);
  }
  return p;
}

inline_always bool read_number(reader *r, cursor *c) {
  const char *digits = c->p + (*c->p == '-'), *end = skip_digits(digits);
  if (unlikely(end == digits)) return fail(r, digits, "expected a digit after '-'");
  if (unlikely(*digits == '0' && end > digits + 1))
    return fail(r, digits, "the number has a leading zero");
  tw_kind kind = TW_KIND_INTEGER;
  if (*end == '.' || (*end | 0x20) == 'e') {
    kind = TW_KIND_NUMBER;
    end = read_fraction(r, end);
    if (!end) return false;
  }
  put_node(c, c->p, end, tw_node_meta(kind, 1));
  c->p = end;
  return true;
}

inline_always bool word_at(const char *p, const char *word) { return !memcmp(p, word, 4); }

static __attribute__((cold)) bool fail_value(reader *r, const char *p) {
  if (p == r->text + r->index.len)
    return fail(r, p, "expected a value, not the end of the text");
  if (p == r->text && !memcmp(p, "\xef\xbb\xbf", 3))
    return fail(r, p, "a byte order mark is not allowed in JSON");
  return fail(r, p, "expected a value: an object, array, string, number, true, false or null");
}

inline_always bool read_word(reader *r, cursor *c) {
  tw_kind kind;
  const char *p = c->p;
  uint32_t len = 4;
  if (word_at(p, "true")) kind = TW_KIND_TRUE;
  else if (word_at(p, "null")) kind = TW_KIND_NULL;
  else if (word_at(p, "fals") && p[4] == 'e') kind = TW_KIND_FALSE, len = 5;
  else return fail_value(r, p);
  put_node(c, p, p + len, tw_node_meta(kind, 1));
  c->p += len;
  return true;
}

/* -------------------------------------------------------------- containers */

inline_always bool open_container(reader *r, cursor *c) {
  if (unlikely(c->depth == r->max_depth)) {
    fail(r, c->p, "nested deeper than");
    r->status = TW_ELIMIT;
    return false;
  }
  c->closer = *c->p == '{' ? '}' : ']';
  r->open[c->depth++] = (uint32_t)(c->node - r->nodes);
  c->node++->text = c->p;
  c->p = blank(c->p + 1);
  return true;
}

/* Completes the node of the innermost container, whose closer is at `p`. */
inline_always void close_container(reader *r, cursor *c) {
  tw_node *node = r->nodes + r->open[--c->depth];
  c->p++;
  node->len = (uint32_t)(c->p - node->text);
  node->meta = tw_node_meta(c->closer == '}' ? TW_KIND_OBJECT : TW_KIND_ARRAY,
                            (uint32_t)(c->node - node));
  if (!c->depth) c->closer = '\0';
  else c->closer = *r->nodes[r->open[c->depth - 1]].text == '{' ? '}' : ']';
}

static __attribute__((cold)) bool fail_after_value(reader *r, const cursor *c) {
  bool at_end = c->p == r->text + r->index.len;
  switch (c->closer) {
    case '}':
      return fail(r, c->p,
                  at_end ? "an object is not closed: expected ',' or '}'"
                         : "expected ',' or '}' after a member");
    case ']':
      return fail(r, c->p,
                  at_end ? "an array is not closed: expected ',' or ']'"
                         : "expected ',' or ']' after an element");
  }
  return fail(r, c->p, "unexpected text after the value");
}

/* -------------------------------------------------------------------- loop */

/* One value; of a container that is not empty only its beginning, up to the first value
   in it. @return false on failure; `*inside` whether a value comes next */
inline_always bool read_value(reader *r, cursor *c, bool *inside) {
  char first = *c->p;
  *inside = false;
  if (first == '"') return read_string(r, c, TW_KIND_STRING);
  if (first == '{' || first == '[') {
    if (unlikely(!open_container(r, c))) return false;
    *inside = *c->p != c->closer;
    if (*inside) return first == '[' || read_key(r, c);
    close_container(r, c);
    return true;
  }
  return is_digit(first) || first == '-' ? read_number(r, c) : read_word(r, c);
}

/* What comes behind a value: the ends of containers, then a comma or the end of the text.
   @return false on failure; at the end `p` is on the NUL */
inline_always bool read_after(reader *r, cursor *c) {
  for (;;) {
    if (*c->p != ',') c->p = blank(c->p);
    if (*c->p == ',' && c->closer) {
      c->p = blank(c->p + 1);
      return c->closer == ']' || read_key(r, c);
    }
    if (unlikely(*c->p != c->closer)) break;
    if (!c->closer) {
      if (unlikely(c->p != r->text + r->index.len)) break;
      return true;
    }
    close_container(r, c);
  }
  cursor failed = *c;
  return fail_after_value(r, &failed);
}

static bool read_document(reader *r, size_t *count) {
  cursor c = {.p = blank(r->text), .node = r->nodes, .mark = r->index.marks};
  bool inside;
  do {
    if (!read_value(r, &c, &inside)) return false;
    if (!inside && !read_after(r, &c)) return false;
  } while (inside || c.closer);
  *count = (size_t)(c.node - r->nodes);
  return true;
}

static tw_status report(const reader *r, tw_error *error) {
  size_t position = (size_t)(r->at - r->text);
  if (r->status == TW_ELIMIT)
    return tw_fail_at(error, TW_ELIMIT, position, "%s %u", r->why, r->max_depth);
  return tw_fail_at(error, r->status, position, "%s", r->why);
}

tw_status tw_read_with(tw_index_fn index_next, const char *text, size_t len, uint32_t max_depth,
                       tw_node *nodes, size_t *count, tw_error *error) {
  *count = 0;
  if (len > LENGTH_BOUND)
    return tw_fail_at(error, TW_ELIMIT, LENGTH_BOUND, "the text is longer than %zu bytes",
                      LENGTH_BOUND);
  reader r; /* not zeroed: most of it is room */
  r.text = text;
  r.nodes = nodes;
  r.max_depth = max_depth < TW_DEPTH_BOUND ? max_depth : TW_DEPTH_BOUND;
  r.index_next = index_next;
  r.index.text = text;
  r.index.len = (uint32_t)len;
  r.index.next = r.index.quotes = r.index.escaping = r.index.utf8_from = 0;
  index_next(&r.index);
  return read_document(&r, count) ? TW_OK : report(&r, error);
}

tw_status tw_read_json(const char *text, size_t len, uint32_t max_depth, tw_node *nodes,
                       size_t *count, tw_error *error) {
  return tw_read_with(tw_index_best(), text, len, max_depth, nodes, count, error);
}
