/* PCRE2 wants scratch memory for each match that threads must not share. A regex keeps a few
   of those and lends them out with one atomic exchange, so that a match allocates nothing.

   How matches are bounded is told in core/pcre_meter.h. All begin at the start of the text, so
   the limit of the quick ones need not be divided by its length. The interpreter runs those
   that are watched, which are rare. */
#include "core/regex.h"

#include <stdatomic.h>
#include <string.h>

#include "base/alloc.h"
#include "core/pcre_meter.h"

enum {
  QUICK_LIMIT = TW_PCRE_QUICK / TW_PCRE_QUICK_EACH,
  MOST_STEPS = 1000000, /* of a match that is watched */
  HEAP_KIB = 8192,      /* of the same */
  SPARES = 16
};

struct tw_regex {
  pcre2_code *code;
  _Atomic(pcre2_code *) watched; ///< made when it is first needed
  bool is_fast;                  ///< there is machine code
  pcre2_general_context *memory;
  pcre2_match_context *limits;
  _Atomic(pcre2_match_data *) spare[SPARES];
  char *pattern; ///< for messages
};

static void *pcre_malloc(size_t size, void *unused) {
  (void)unused;
  return tw_malloc(size);
}

static void pcre_free(void *block, void *unused) {
  (void)unused;
  tw_free(block);
}

static tw_status compile(const tw_regex *regex, uint32_t more, pcre2_code **out,
                         tw_error *error) {
  const uint32_t options = PCRE2_ANCHORED | PCRE2_UTF | PCRE2_UCP | PCRE2_MATCH_INVALID_UTF |
                           PCRE2_NEVER_BACKSLASH_C | more;
  int code;
  PCRE2_SIZE offset;
  pcre2_compile_context *context = pcre2_compile_context_create(regex->memory);
  if (!context) return tw_no_memory(error);
  *out = pcre2_compile((PCRE2_SPTR)regex->pattern, PCRE2_ZERO_TERMINATED, options, &code,
                       &offset, context);
  pcre2_compile_context_free(context);
  if (*out) return TW_OK;
  if (code == PCRE2_ERROR_HEAP_FAILED) return tw_no_memory(error);
  PCRE2_UCHAR reason[200];
  pcre2_get_error_message(code, reason, sizeof reason);
  return tw_fail_at(error, TW_EINVAL, offset, "bad pattern \"%.120s\" at offset %zu: %s",
                    regex->pattern, (size_t)offset, (const char *)reason);
}

/* Without machine code, on another processor or without memory for it, each match is watched.
 */
tw_status tw_regex_new(const char *pattern, tw_regex **out, tw_error *error) {
  tw_status status;
  tw_regex *regex = tw_calloc(1, sizeof *regex);
  *out = NULL;
  if (!regex) return tw_no_memory(error);
  regex->pattern = tw_strdup(pattern);
  regex->memory = pcre2_general_context_create(pcre_malloc, pcre_free, NULL);
  if (regex->memory) regex->limits = pcre2_match_context_create(regex->memory);
  if (!regex->pattern || !regex->limits) {
    status = tw_no_memory(error);
    goto fail;
  }
  pcre2_set_match_limit(regex->limits, QUICK_LIMIT);
  status = compile(regex, 0, &regex->code, error);
  if (status != TW_OK) goto fail;
  regex->is_fast = pcre2_jit_compile(regex->code, PCRE2_JIT_COMPLETE) == 0;
  *out = regex;
  return TW_OK;
fail:
  tw_regex_free(regex);
  return status;
}

void tw_regex_free(tw_regex *regex) {
  if (!regex) return;
  for (size_t i = 0; i < SPARES; i++) pcre2_match_data_free(atomic_load(&regex->spare[i]));
  pcre2_match_context_free(regex->limits);
  pcre2_code_free(regex->code);
  pcre2_code_free(atomic_load(&regex->watched));
  pcre2_general_context_free(regex->memory);
  tw_free(regex->pattern);
  tw_free(regex);
}

static pcre2_match_data *lease(tw_regex *regex) {
  for (size_t i = 0; i < SPARES; i++) {
    pcre2_match_data *data = atomic_load_explicit(&regex->spare[i], memory_order_relaxed);
    if (data && (data = atomic_exchange(&regex->spare[i], NULL))) return data;
  }
  return pcre2_match_data_create(1, regex->memory);
}

static void give_back(tw_regex *regex, pcre2_match_data *data) {
  for (size_t i = 0; i < SPARES; i++) {
    pcre2_match_data *empty = NULL;
    if (atomic_compare_exchange_strong(&regex->spare[i], &empty, data)) return;
  }
  pcre2_match_data_free(data);
}

/* @return PCRE2_ERROR_MATCHLIMIT also when it is not to be tried */
static int match_quickly(tw_regex *regex, const char *text, size_t len) {
  if (!regex->is_fast || len > TW_PCRE_QUICK_TEXT) return PCRE2_ERROR_MATCHLIMIT;
  pcre2_match_data *data = lease(regex);
  if (!data) return PCRE2_ERROR_NOMEMORY;
  int found = pcre2_match(regex->code, (PCRE2_SPTR)text, len, 0, 0, data, regex->limits);
  give_back(regex, data);
  return found;
}

/* ----------------------------------------------------------------- watched */

static bool stops(tw_pcre_meter *meter) {
  (void)meter;
  return true;
}

/* Of two threads that make it at once, the second takes what the first has made. */
static tw_status need_watched(tw_regex *regex, tw_error *error) {
  pcre2_code *made, *other = NULL;
  if (atomic_load(&regex->watched)) return TW_OK;
  tw_status status = compile(regex, PCRE2_AUTO_CALLOUT, &made, error);
  if (status == TW_OK && !atomic_compare_exchange_strong(&regex->watched, &other, made))
    pcre2_code_free(made);
  return status;
}

/* What it allocates may be much, and is not kept. */
static int match_watched(tw_regex *regex, const char *text, size_t len) {
  int found = PCRE2_ERROR_NOMEMORY;
  const pcre2_code *watched = atomic_load(&regex->watched);
  pcre2_match_data *data = pcre2_match_data_create(1, regex->memory);
  pcre2_match_context *limits = pcre2_match_context_create(regex->memory);
  if (data && limits) {
    tw_pcre_meter meter = {.stops = stops};
    tw_pcre_meter_begin(&meter, watched, regex->pattern, 0, MOST_STEPS);
    pcre2_set_callout(limits, tw_pcre_meter_watch, &meter);
    pcre2_set_heap_limit(limits, HEAP_KIB);
    pcre2_set_match_limit(limits, UINT32_MAX);
    found = pcre2_match(watched, (PCRE2_SPTR)text, len, 0, 0, data, limits);
  }
  pcre2_match_context_free(limits);
  pcre2_match_data_free(data);
  return found;
}

tw_status tw_regex_match(const tw_regex *shared, const char *text, size_t len,
                         tw_error *error) {
  tw_regex *regex = (tw_regex *)shared; /* only its spares and `watched` change */
  int found = match_quickly(regex, text, len);
  if (found >= 0) return TW_OK;
  if (found == PCRE2_ERROR_NOMATCH) return TW_ENOENT;
  size_t pattern_len = strlen(regex->pattern);
  tw_pcre_refusal what = {regex->pattern, pattern_len, len, MOST_STEPS, HEAP_KIB};
  if (found == PCRE2_ERROR_MATCHLIMIT || found == PCRE2_ERROR_JIT_STACKLIMIT) {
    if (len > TW_PCRE_CLUSTERED && tw_pcre_is_clustered(regex->pattern, pattern_len))
      return tw_pcre_refuse_clusters(&what, error);
    tw_status status = need_watched(regex, error);
    if (status != TW_OK) return status;
    found = match_watched(regex, text, len);
  }
  if (found >= 0) return TW_OK;
  return found == PCRE2_ERROR_NOMATCH ? TW_ENOENT : tw_pcre_refuse(&what, found, error);
}
