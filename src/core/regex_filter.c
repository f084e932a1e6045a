/* "regex_filter": lets events pass by patterns on their name. Patterns that are plain are
   joined into one alternation, which PCRE2 matches about as fast as one of them; plain means
   that joining cannot change what they mean: no references to groups, no comments, no verbs. */
#include <string.h>

#include "core/processor.h"
#include "core/regex.h"

typedef struct pattern_list {
  bool is_set, is_plain;
  size_t count;
  tw_regex **regexes; ///< owned, each and the vector
} pattern_list;

typedef struct regex_filter {
  pattern_list allow, deny;
} regex_filter;

static bool is_plain(const char *pattern) {
  for (const char *at = pattern; *at; at++) {
    if (*at == '#') return false;
    if (at[0] == '(' && at[1] == '*') return false;
    if (at[0] == '(' && at[1] == '?' && !(at[2] && strchr(":=!", at[2]))) return false;
    if (*at != '\\') continue;
    if (!*++at) return false;
    if (strchr("0123456789gkQEK", *at)) return false;
  }
  return true;
}

/* ------------------------------------------------------------------ create */

static void free_list(pattern_list *list) {
  for (size_t i = 0; i < list->count; i++) tw_regex_free(list->regexes[i]);
  tw_free(list->regexes);
}

/* Replaces the regexes, all compiled well alone, by one of them all. When the whole does not
   compile after all, they stay. */
static tw_status join(pattern_list *list, const char *joined) {
  tw_regex *whole;
  tw_status status = tw_regex_new(joined, &whole, NULL);
  if (status != TW_OK) return status == TW_ENOMEM ? status : TW_OK;
  for (size_t i = 0; i < list->count; i++) tw_regex_free(list->regexes[i]);
  list->regexes[0] = whole;
  list->count = 1;
  return TW_OK;
}

/* @param joined  gets the alternation */
static tw_status add_pattern(pattern_list *list, tw_buffer *joined, const char *bytes,
                             size_t len, tw_error *error) {
  if (memchr(bytes, '\0', len)) {
    return tw_fail(error, TW_EINVAL, "a pattern holds a NUL; write \\x00 instead");
  }
  char *pattern = tw_memdup(bytes, len);
  if (!pattern) return tw_no_memory(error);
  tw_status status = tw_regex_new(pattern, &list->regexes[list->count], error);
  if (status == TW_OK) {
    list->is_plain = list->is_plain && is_plain(pattern);
    if (!tw_buffer_printf(joined, "%s(?:%s)", list->count++ ? "|" : "", pattern)) {
      status = tw_no_memory(error);
    }
  }
  tw_free(pattern);
  return status;
}

static tw_status compile_all(tw_event *options, tw_ref patterns, pattern_list *list,
                             tw_error *error) {
  tw_buffer joined = {0};
  tw_status status = TW_OK;
  tw_cursor cursor = tw_cursor_begin(options, patterns);
  list->is_plain = true;
  while (status == TW_OK && tw_cursor_next(&cursor)) {
    size_t len;
    const char *bytes = tw_node_string(options->store, cursor.value, &len);
    status = bytes ? add_pattern(list, &joined, bytes, len, error) : tw_no_memory(error);
  }
  if (status == TW_OK && list->count > 1 && list->is_plain) {
    status = join(list, joined.data);
    if (status != TW_OK) tw_no_memory(error);
  }
  tw_buffer_fini(&joined);
  return status;
}

static tw_status make_list(tw_event *options, const char *name, pattern_list *list,
                           tw_error *error) {
  tw_ref patterns;
  list->is_set = tw_event_find(options, options->root, name, strlen(name), &patterns);
  if (!list->is_set) return TW_OK;
  list->regexes = tw_calloc(tw_event_count(options, patterns) + 1, sizeof(tw_regex *));
  if (!list->regexes) return tw_no_memory(error);
  tw_status status = compile_all(options, patterns, list, error);
  if (status != TW_OK) tw_error_prefix(error, "regex_filter: option \"%s\": ", name);
  return status;
}

static void regex_filter_free(void *self) {
  regex_filter *filter = self;
  free_list(&filter->allow);
  free_list(&filter->deny);
  tw_free(filter);
}

static tw_status regex_filter_create(tw_event *options, void **self, tw_error *error) {
  regex_filter *filter = tw_calloc(1, sizeof *filter);
  if (!filter) return tw_no_memory(error);
  tw_status status = make_list(options, "allow", &filter->allow, error);
  if (status == TW_OK) status = make_list(options, "deny", &filter->deny, error);
  if (status == TW_OK && !filter->allow.is_set && !filter->deny.is_set) {
    status = tw_fail(error, TW_EINVAL,
                     "regex_filter: give a list of patterns as option \"allow\" or \"deny\"");
  }
  if (status == TW_OK) *self = filter;
  if (status != TW_OK) regex_filter_free(filter);
  return status;
}

/* ----------------------------------------------------------------- process */

/* TW_OK: one matches; TW_ENOENT: none. */
static tw_status match_any(const pattern_list *list, const char *name, size_t len,
                           tw_error *error) {
  for (size_t i = 0; i < list->count; i++) {
    tw_status status = tw_regex_match(list->regexes[i], name, len, error);
    if (status != TW_ENOENT) return status;
  }
  return TW_ENOENT;
}

static tw_verdict decide(const regex_filter *filter, const char *name, size_t len,
                         tw_error *error) {
  if (filter->allow.is_set) {
    tw_status allowed = match_any(&filter->allow, name, len, error);
    if (allowed != TW_OK) return allowed == TW_ENOENT ? TW_DROP : TW_FAIL;
  }
  tw_status denied = match_any(&filter->deny, name, len, error);
  if (denied == TW_ENOENT) return TW_PASS;
  return denied == TW_OK ? TW_DROP : TW_FAIL;
}

/* No pattern matches an event that has no name. */
static tw_verdict regex_filter_process(void *self, tw_event *event, tw_split *split,
                                       tw_error *error) {
  (void)split;
  const regex_filter *filter = self;
  const char *name;
  size_t len;
  tw_status status = tw_event_name(event, &name, &len);
  if (status == TW_OK) return decide(filter, name, len, error);
  if (status == TW_ENOENT) return filter->allow.is_set ? TW_DROP : TW_PASS;
  tw_no_memory(error);
  return TW_FAIL;
}

static const tw_processor_ops regex_filter_ops = {regex_filter_process, regex_filter_free};
static const tw_option regex_filter_options[] = {{"allow", TW_OPTION_LIST, false},
                                                 {"deny", TW_OPTION_LIST, false}};

const tw_processor_kind tw_regex_filter_kind = {
    .name = "regex_filter",
    .ops = &regex_filter_ops,
    .options = regex_filter_options,
    .option_count = sizeof regex_filter_options / sizeof *regex_filter_options,
    .create = regex_filter_create,
};
