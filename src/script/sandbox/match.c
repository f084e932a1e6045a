/* A backtracking matcher for the patterns of Lua's manual, section 6.4.1. An *item* is a
   single-character class and what follows it: nothing, `*`, `+`, `-` or `?`.

   Whatever loops counts its steps, and tells the guard when they are many: a set counts by
   its length, a back reference by the bytes that it compares. So nothing that a pattern can
   ask for runs on unseen, and a short match costs an addition. */
#include "script/sandbox/match.h"

#include <ctype.h>
#include <string.h>

enum {
  MAX_DEPTH = 200, /* of recursion */
  OFTEN = 1 << 16, /* steps between two looks of the guard */
  STEPS_EACH = 8   /* that take as long as an instruction of Lua */
};

#define ESCAPE '%'

static inline void count(tw_match *m, size_t steps) {
  m->steps += steps;
  if (m->steps < OFTEN && !(m->guard && m->guard->late)) return;
  uint64_t instructions = m->steps / STEPS_EACH;
  m->steps = 0;
  tw_guard_step(m->guard, m->L, instructions);
}

void tw_match_count(tw_match *m, size_t steps) { count(m, steps); }

static inline int byte(const char *at) { return (unsigned char)*at; }

void tw_match_init(tw_match *m, lua_State *L, tw_guard *guard, const char *subject,
                   size_t subject_len, const char *pattern, size_t pattern_len) {
  m->L = L;
  m->guard = guard;
  m->subject = subject;
  m->subject_end = subject + subject_len;
  m->pattern_end = pattern + pattern_len;
  m->steps = 0;
  m->depth = MAX_DEPTH;
  m->level = 0;
}

/* ---------------------------------------------------------------- classes */

/* @return behind the closing bracket of the set whose opening one is before `p` */
static const char *end_of_set(tw_match *m, const char *p) {
  const char *start = p;
  if (p < m->pattern_end && *p == '^') p++;
  do { /* a bracket that comes first is an element */
    if (p == m->pattern_end) luaL_error(m->L, "malformed pattern (missing ']')");
    if (*p++ == ESCAPE && p < m->pattern_end) p++;
  } while (p == m->pattern_end || *p != ']');
  count(m, (size_t)(p - start));
  return p + 1;
}

/* @return behind the single-character class at `p` */
static const char *end_of_class(tw_match *m, const char *p) {
  if (*p == '[') return end_of_set(m, p + 1);
  if (*p++ != ESCAPE) return p;
  if (p == m->pattern_end) luaL_error(m->L, "malformed pattern (ends with '%%')");
  return p + 1;
}

/* Whether a byte is in the class of a letter; an upper one is its complement. */
static bool is_in_class(int c, int letter) {
  int in;
  switch (tolower(letter)) {
    case 'a': in = isalpha(c); break;
    case 'c': in = iscntrl(c); break;
    case 'd': in = isdigit(c); break;
    case 'g': in = isgraph(c); break;
    case 'l': in = islower(c); break;
    case 'p': in = ispunct(c); break;
    case 's': in = isspace(c); break;
    case 'u': in = isupper(c); break;
    case 'w': in = isalnum(c); break;
    case 'x': in = isxdigit(c); break;
    case 'z': in = c == 0; break; /* as in older versions of Lua */
    default: return letter == c;
  }
  return isupper(letter) ? !in : in != 0;
}

/* `p` is at the opening bracket, `last` at the closing one. */
static bool is_in_set(tw_match *m, int c, const char *p, const char *last) {
  bool found = true;
  count(m, (size_t)(last - p) / 8);
  if (*++p == '^') {
    found = false;
    p++;
  }
  for (; p < last; p++) {
    if (*p == ESCAPE) {
      if (is_in_class(c, byte(++p))) return found;
    } else if (p[1] == '-' && p + 2 < last) {
      if (byte(p) <= c && c <= byte(p + 2)) return found;
      p += 2;
    } else if (byte(p) == c) {
      return found;
    }
  }
  return !found;
}

/* Whether the class from `p` to `end` takes the byte at `s`. */
static inline bool takes(tw_match *m, const char *s, const char *p, const char *end) {
  if (s >= m->subject_end) return false;
  switch (*p) {
    case '.': return true;
    case ESCAPE: return is_in_class(byte(s), byte(p + 1));
    case '[': return is_in_set(m, byte(s), p, end - 1);
    default: return *p == *s;
  }
}

/* --------------------------------------------------------------- captures */

static const char *match(tw_match *m, const char *s, const char *p);

static const char *open_capture(tw_match *m, const char *s, const char *p, ptrdiff_t what) {
  if (m->level >= TW_MAX_CAPTURES) luaL_error(m->L, "too many captures");
  m->captures[m->level].start = s;
  m->captures[m->level].len = what;
  m->level++;
  const char *end = match(m, s, p);
  if (!end) m->level--;
  return end;
}

static const char *close_capture(tw_match *m, const char *s, const char *p) {
  int index = m->level - 1;
  while (index >= 0 && m->captures[index].len != TW_CAPTURE_OPEN) index--;
  if (index < 0) luaL_error(m->L, "invalid pattern capture");
  m->captures[index].len = s - m->captures[index].start;
  const char *end = match(m, s, p);
  if (!end) m->captures[index].len = TW_CAPTURE_OPEN;
  return end;
}

/* @return the end of what the capture of a digit holds, found again at `s` */
static const char *match_again(tw_match *m, const char *s, int digit) {
  int index = digit - '1';
  if (index < 0 || index >= m->level || m->captures[index].len == TW_CAPTURE_OPEN)
    luaL_error(m->L, "invalid capture index %%%d", index + 1);
  size_t len = (size_t)m->captures[index].len;
  if ((size_t)(m->subject_end - s) < len) return NULL;
  count(m, len / 16);
  const char *start = m->captures[index].start;
  /* The analyzer takes the zero of `steps`, set while counting, for the capture's start. */
  return memcmp(start, s, len) == 0 ? s + len : NULL; /* NOLINT(clang-analyzer-core.*) */
}

/* ------------------------------------------------------------------ items */

static const char *match_balanced(tw_match *m, const char *s, const char *p) {
  if (p >= m->pattern_end - 1)
    luaL_error(m->L, "malformed pattern (missing arguments to '%%b')");
  if (s >= m->subject_end || *s != *p) return NULL;
  const char *start = s;
  int open = 1;
  while (++s < m->subject_end) {
    if (*s == p[1]) {
      if (--open == 0) break;
    } else if (*s == *p) {
      open++;
    }
  }
  count(m, (size_t)(s - start));
  return s < m->subject_end ? s + 1 : NULL;
}

/* Whether the set from `p` begins here: the byte before is not in it, this one is. */
static bool is_frontier(tw_match *m, const char *s, const char *p, const char *end) {
  int before = s == m->subject ? '\0' : byte(s - 1);
  int here = s < m->subject_end ? byte(s) : '\0';
  return !is_in_set(m, before, p, end - 1) && is_in_set(m, here, p, end - 1);
}

static const char *match_most(tw_match *m, const char *s, const char *p, const char *end) {
  ptrdiff_t taken = 0;
  while (takes(m, s + taken, p, end)) taken++;
  count(m, (size_t)taken);
  for (; taken >= 0; taken--) {
    const char *found = match(m, s + taken, end + 1);
    if (found) return found;
  }
  return NULL;
}

static const char *match_fewest(tw_match *m, const char *s, const char *p, const char *end) {
  for (;; s++) {
    const char *found = match(m, s, end + 1);
    if (found || !takes(m, s, p, end)) return found;
    count(m, 1);
  }
}

/* What an item that is no single character leads to. */
typedef enum tw_next {
  NEXT_CLASS, /* it is one */
  NEXT_GO_ON, /* it matched: *s and *p are behind it */
  NEXT_RESULT /* the rest was matched with it: *s is the result */
} tw_next;

static tw_next match_escape(tw_match *m, const char **s, const char **p) {
  const char *at = *p + 1, *end;
  switch (at < m->pattern_end ? *at : '\0') {
    case 'b':
      *s = match_balanced(m, *s, at + 1);
      *p = at + 3;
      return *s ? NEXT_GO_ON : NEXT_RESULT;
    case 'f':
      at++;
      if (at >= m->pattern_end || *at != '[')
        luaL_error(m->L, "missing '[' after '%%f' in pattern");
      end = end_of_class(m, at);
      if (!is_frontier(m, *s, at, end)) *s = NULL;
      *p = end;
      return *s ? NEXT_GO_ON : NEXT_RESULT;
    case '0':
    case '1':
    case '2':
    case '3':
    case '4':
    case '5':
    case '6':
    case '7':
    case '8':
    case '9':
      *s = match_again(m, *s, byte(at));
      *p = at + 1;
      return *s ? NEXT_GO_ON : NEXT_RESULT;
    default: return NEXT_CLASS;
  }
}

static tw_next match_special(tw_match *m, const char **s, const char **p) {
  const char *at = *p;
  switch (*at) {
    case '(':
      if (at + 1 < m->pattern_end && at[1] == ')')
        *s = open_capture(m, *s, at + 2, TW_CAPTURE_POSITION);
      else *s = open_capture(m, *s, at + 1, TW_CAPTURE_OPEN);
      return NEXT_RESULT;
    case ')': *s = close_capture(m, *s, at + 1); return NEXT_RESULT;
    case '$':
      if (at + 1 != m->pattern_end) return NEXT_CLASS;
      if (*s != m->subject_end) *s = NULL;
      return NEXT_RESULT;
    case ESCAPE: return match_escape(m, s, p);
    default: return NEXT_CLASS;
  }
}

static tw_next match_class(tw_match *m, const char **s, const char **p) {
  const char *end = end_of_class(m, *p), *found;
  switch (end < m->pattern_end ? *end : '\0') {
    case '*': *s = match_most(m, *s, *p, end); return NEXT_RESULT;
    case '-': *s = match_fewest(m, *s, *p, end); return NEXT_RESULT;
    case '+':
      *s = takes(m, *s, *p, end) ? match_most(m, *s + 1, *p, end) : NULL;
      return NEXT_RESULT;
    case '?':
      if (takes(m, *s, *p, end) && (found = match(m, *s + 1, end + 1))) {
        *s = found;
        return NEXT_RESULT;
      }
      *p = end + 1;
      return NEXT_GO_ON;
    default:
      *s = takes(m, *s, *p, end) ? *s + 1 : NULL;
      *p = end;
      return *s ? NEXT_GO_ON : NEXT_RESULT;
  }
}

static const char *match(tw_match *m, const char *s, const char *p) {
  if (m->depth-- == 0) luaL_error(m->L, "pattern too complex");
  tw_next next = NEXT_GO_ON;
  while (next == NEXT_GO_ON && p != m->pattern_end) {
    count(m, 1);
    next = match_special(m, &s, &p);
    if (next == NEXT_CLASS) next = match_class(m, &s, &p);
  }
  m->depth++;
  return s;
}

const char *tw_match_at(tw_match *m, const char *at, const char *pattern) {
  m->level = 0;
  m->depth = MAX_DEPTH;
  return match(m, at, pattern);
}

/* ---------------------------------------------------------------- results */

void tw_match_push_one(tw_match *m, int index, const char *start, const char *end) {
  if (index >= m->level) {
    if (index) luaL_error(m->L, "invalid capture index %%%d", index + 1);
    lua_pushlstring(m->L, start, (size_t)(end - start));
    return;
  }
  ptrdiff_t len = m->captures[index].len;
  const char *at = m->captures[index].start;
  if (len == TW_CAPTURE_OPEN) luaL_error(m->L, "unfinished capture");
  if (len == TW_CAPTURE_POSITION) lua_pushinteger(m->L, at - m->subject + 1);
  else lua_pushlstring(m->L, at, (size_t)len);
}

int tw_match_push(tw_match *m, const char *start, const char *end) {
  int levels = m->level == 0 && start ? 1 : m->level;
  luaL_checkstack(m->L, levels, "too many captures");
  for (int i = 0; i < levels; i++) tw_match_push_one(m, i, start, end);
  return levels;
}
