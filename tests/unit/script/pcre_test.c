/* Patterns and texts made at random: no match reads where it must not, takes long, or differs
   from what PCRE2's own interpreter finds; and no memory stays. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka.h needs those above. */
#include <cmocka.h>
#include <lauxlib.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "script/sandbox/pcre.h"
#include "support/oom.h"

enum { PAIRS = 20000, LONGEST = 5000 };

static uint64_t seed = 88172645463325252u;

static unsigned rnd(unsigned below) {
  seed ^= seed << 13;
  seed ^= seed >> 7;
  seed ^= seed << 17;
  return (unsigned)((seed >> 11) % below);
}

typedef struct text {
  char data[LONGEST + 1];
  size_t len;
  bool broken; /* it is no UTF-8 */
} text;

static void add(text *to, const char *what) {
  size_t len = strlen(what);
  if (to->len + len > LONGEST) return;
  memcpy(to->data + to->len, what, len);
  to->len += len;
  to->data[to->len] = '\0';
}

/* -------------------------------------------------------------- at random */

static const char *const atoms[] = {
    "a",       "b",         "c",         "\xC3\xA9",    ".",           "\\w",     "\\d",
    "\\s",     "\\b",       "^",         "$",           "[ab]",        "[^a]",    "[\\w-]",
    "\\pL",    "\\X",       "\\R",       "\\K",         "\\G",         "\\1",     "\\2",
    "(?1)",    "(?R)",      "\\k<n>",    "\\A",         "\\z",         "\\N",     "\\h",
    "\\B",     "1",         "_",         " ",           "\n",          "(?i)",    "(?U)",
    "(?C)",    "(?C'x')",   "(?=a)",     "(?!b)",       "(?<=a)",      "(?<!b)",  "(*PRUNE)",
    "(*SKIP)", "(*ACCEPT)", "(*COMMIT)", "(*FAIL)",     "[[:alpha:]]", "\\Q.\\E", "(?P=n)",
    "\\g{-1}", "(?(1)a|b)", "(?#x)",     "[^\\x{100}]", "\\x{1F1E6}"};

static const char *const groups[] = {"(",    "(",    "(?:", "(?<n>", "(?=",  "(?!",
                                     "(?<=", "(?<!", "(?>", "(?|",   "(?i:", "(?(?=a)"};

static const char *const repeats[] = {"",      "",      "",     "",      "*",  "+",
                                      "?",     "*?",    "+?",   "*+",    "++", "?+",
                                      "{0,3}", "{2,}?", "{3}+", "{1,40}"};

#define PICK(list) (list)[rnd(sizeof(list) / sizeof *(list))]

static void make_pattern(text *to, int depth) {
  for (unsigned items = 1 + rnd(4); items; items--) {
    if (depth && !rnd(3)) {
      add(to, PICK(groups));
      make_pattern(to, depth - 1);
      add(to, ")");
    } else {
      add(to, PICK(atoms));
    }
    add(to, PICK(repeats));
    if (!rnd(6)) add(to, "|");
  }
}

/* One in ten gets a byte changed, and one in ten is matched without machine code. */
static void make_any_pattern(text *to) {
  static const char bytes[] = "()[]{}|?*+\\\xFF\x80^$<#\0";
  to->len = 0;
  add(to, rnd(10) ? "" : "(*NO_JIT)");
  add(to, rnd(3) ? "(a?)(?<n>b?)" : ""); /* for those that refer to groups */
  make_pattern(to, 4);
  if (!rnd(10)) to->data[rnd((unsigned)to->len)] = bytes[rnd(sizeof bytes)];
}

static void make_subject(text *to) {
  static const char *const parts[] = {
      "a", "a", "a", "b",  "ab",   "c",        "1",
      "_", " ", "-", "\n", "\r\n", "\xC3\xA9", "\xF0\x9F\x87\xA6"};
  static const char *const broken[] = {"\xFF", "\xC3", "\x80\x80", "\xED\xA0\x80", "\xF4\x90"};
  unsigned most = rnd(20) ? 40 : rnd(5) ? 500 : LONGEST;
  to->broken = !rnd(5);
  to->len = 0;
  to->data[0] = '\0';
  for (unsigned count = rnd(most); count; count--)
    add(to, to->broken && !rnd(8) ? PICK(broken) : PICK(parts));
}

/* ------------------------------------------------------------------ bench */

typedef struct bench {
  lua_State *L;
  tw_guard guard;
  tw_pcre_space space;
} bench;

static void begin(bench *self) {
  *self = (bench){.L = luaL_newstate()};
  assert_non_null(self->L);
  self->guard.memory = (size_t)32 << 20;
  self->guard.instructions = 100000; /* counted from the beginning */
  self->guard.time = TW_UNLIMITED;
  tw_guard_init(&self->guard);
  assert_int_equal(tw_pcre_space_open(&self->space, &self->guard, NULL), TW_OK);
}

static void end(bench *self) {
  tw_pcre_space_close(&self->space);
  assert_int_equal(self->guard.used, 0);
  tw_guard_fini(&self->guard);
  lua_close(self->L);
}

static double cpu_seconds(void) {
  struct timespec now;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* --------------------------------------------------------------- the same */

/* Compares the place of a first match with PCRE2's interpreter, where that ends soon. In a text
   that is no UTF-8 the two differ in what they find at its bad bytes. */
static void compare(tw_pcre *pcre, const text *subject, tw_status status, const tw_found *found,
                    const char *pattern) {
  pcre2_match_context *limits = pcre2_match_context_create(NULL);
  pcre2_match_data *data = pcre2_match_data_create(TW_PCRE_GROUPS + 1, NULL);
  pcre2_set_match_limit(limits, 5000);
  int result = pcre2_match(pcre->quick, (PCRE2_SPTR)subject->data, subject->len, 0,
                           PCRE2_NO_JIT, data, limits);
  const size_t *places = pcre2_get_ovector_pointer(data);
  bool same = result == PCRE2_ERROR_NOMATCH ? status == TW_ENOENT : true;
  if (result >= 0 && status == TW_OK)
    same = places[0] == found->at[0] && places[1] == found->at[1];
  else if (result >= 0) same = status != TW_ENOENT;
  if (!same)
    print_error("pattern \"%s\" (%x) on \"%s\": %d, %d: %zu-%zu, not %zu-%zu\n", pattern,
                pcre->options, subject->data, (int)status, result, found->at[0], found->at[1],
                places[0], places[1]);
  pcre2_match_data_free(data);
  pcre2_match_context_free(limits);
  assert_true(same);
}

static void check_places(const tw_found *found, size_t len, size_t from) {
  assert_true(found->at[0] >= from && found->at[0] <= found->at[1] && found->at[1] <= len);
  for (uint32_t i = 1; i <= found->groups; i++)
    if (found->at[2 * i] != PCRE2_UNSET)
      assert_true(found->at[2 * i] <= len && found->at[2 * i + 1] <= len);
}

/* @return how many matches there were */
static size_t match_all(tw_pcre *pcre, const text *subject, const char *pattern) {
  tw_found found = {0};
  tw_error error = {0};
  size_t from = 0, count = 0;
  for (; count < 50; count++) {
    tw_status status =
        tw_pcre_match(pcre, subject->data, subject->len, from, count > 0, &found, &error);
    if (!count && !subject->broken) compare(pcre, subject, status, &found, pattern);
    if (status != TW_OK && status != TW_ENOENT) assert_true(*error.message);
    if (status != TW_OK) return count;
    check_places(&found, subject->len, from);
    from = found.at[1];
  }
  return count;
}

static void random_patterns_end_soon_and_find_what_pcre2_finds(void **state) {
  static const uint32_t options[] = {0,
                                     0,
                                     PCRE2_CASELESS,
                                     PCRE2_UCP,
                                     PCRE2_DOTALL,
                                     PCRE2_MULTILINE,
                                     PCRE2_UNGREEDY,
                                     PCRE2_EXTENDED};
  (void)state;
  static text pattern, subject;
  bench self;
  size_t compiled = 0, matches = 0;
  begin(&self);
  tw_guard_enter(&self.guard, self.L);
  while (compiled < PAIRS) {
    tw_pcre pcre;
    tw_error error = {0};
    double began = cpu_seconds();
    make_any_pattern(&pattern);
    make_subject(&subject);
    self.space.done = 0;
    if (tw_pcre_open(&self.space, pattern.data, pattern.len, PICK(options), &pcre, &error)) {
      assert_non_null(strstr(error.message, "pattern"));
      assert_null(pcre.quick);
      continue;
    }
    compiled++;
    matches += match_all(&pcre, &subject, pattern.data);
    tw_pcre_close(&pcre);
    if (cpu_seconds() - began > 1)
      fail_msg("pattern \"%s\" on \"%s\": %.3f s", pattern.data, subject.data,
               cpu_seconds() - began);
  }
  tw_guard_leave(&self.guard, self.L);
  end(&self);
  assert_true(matches > PAIRS);
}

/* ----------------------------------------------------------------- memory */

static tw_status use_all(void) {
  static const char pattern[] = "(?<n>a*)*b|(?<m>\\w)\\1";
  static const char subject[] = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaac";
  tw_pcre_space space;
  tw_pcre pcre = {0};
  tw_found found;
  tw_error error;
  tw_status status = tw_pcre_space_open(&space, NULL, &error);
  if (status) return status;
  status = tw_pcre_open(&space, pattern, sizeof pattern - 1, 0, &pcre, &error);
  if (!status)
    status = tw_pcre_match(&pcre, subject, sizeof subject - 1, 0, false, &found, &error);
  if (status == TW_ENOENT || status == TW_ELIMIT) status = TW_OK;
  tw_pcre_space_close(&space);
  tw_pcre_close(&pcre);
  return status;
}

/* Without memory for machine code there is none: so it may also succeed. */
static void without_memory_it_says_so_and_leaves_nothing(void **state) {
  (void)state;
  bool failed = true;
  for (size_t n = 0; failed; n++) {
    tw_oom_fail_at(n);
    tw_status status = use_all();
    failed = tw_oom_off();
    assert_true(status == TW_OK || (failed && status == TW_ENOMEM));
    assert_int_equal(tw_oom_live(), 0);
  }
}

static void patterns_take_memory_of_the_guard_and_give_it_back(void **state) {
  (void)state;
  enum { MANY = 20000 };
  static tw_pcre patterns[MANY];
  bench self;
  begin(&self);
  self.guard.memory = (size_t)4 << 20;
  size_t before = self.guard.used;
  int count = 0;
  tw_error error;
  tw_status status = TW_OK;
  while (!status && count < MANY)
    status = tw_pcre_open(&self.space, "^a(b|c)+d", 9, 0, &patterns[count++], &error);
  assert_int_equal(status, TW_ENOMEM);
  assert_true(self.guard.used <= self.guard.memory + 65536);
  assert_true(self.guard.refused);
  for (int i = 0; i < count; i++) tw_pcre_close(&patterns[i]);
  assert_int_equal(self.guard.used, before);
  end(&self);
}

static int install(void **state) {
  (void)state;
  tw_oom_install();
  return 0;
}

static int nothing_is_left(void **state) {
  (void)state;
  return tw_oom_live() ? -1 : 0;
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(random_patterns_end_soon_and_find_what_pcre2_finds),
      cmocka_unit_test(without_memory_it_says_so_and_leaves_nothing),
      cmocka_unit_test(patterns_take_memory_of_the_guard_and_give_it_back),
  };
  return cmocka_run_group_tests(tests, install, nothing_is_left);
}
