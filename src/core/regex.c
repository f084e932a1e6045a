/* PCRE2 wants scratch memory for each match that threads must not share. A regex keeps a few
   of those and lends them out with one atomic exchange, so that a match allocates nothing. */
#define PCRE2_CODE_UNIT_WIDTH 8
#include "core/regex.h"

#include <pcre2.h>
#include <stdatomic.h>
#include <string.h>

#include "base/alloc.h"

/* About a millisecond of backtracking. */
#define MATCH_LIMIT 100000

#define SPARES 16

struct tw_regex {
  pcre2_code *code;
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

static tw_status compile(tw_regex *regex, tw_error *error) {
  const uint32_t options = PCRE2_ANCHORED | PCRE2_UTF | PCRE2_UCP | PCRE2_MATCH_INVALID_UTF |
                           PCRE2_NEVER_BACKSLASH_C;
  int code;
  PCRE2_SIZE offset;
  pcre2_compile_context *context = pcre2_compile_context_create(regex->memory);
  if (!context) return tw_no_memory(error);
  regex->code = pcre2_compile((PCRE2_SPTR)regex->pattern, PCRE2_ZERO_TERMINATED, options, &code,
                              &offset, context);
  pcre2_compile_context_free(context);
  if (regex->code) return TW_OK;
  if (code == PCRE2_ERROR_HEAP_FAILED) return tw_no_memory(error);
  PCRE2_UCHAR reason[200];
  pcre2_get_error_message(code, reason, sizeof reason);
  return tw_fail_at(error, TW_EINVAL, offset, "bad pattern \"%.120s\" at offset %zu: %s",
                    regex->pattern, (size_t)offset, (const char *)reason);
}

/* Without JIT, on another processor or without memory for it, the interpreter matches. */
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
  pcre2_set_match_limit(regex->limits, MATCH_LIMIT);
  status = compile(regex, error);
  if (status != TW_OK) goto fail;
  pcre2_jit_compile(regex->code, PCRE2_JIT_COMPLETE);
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

tw_status tw_regex_match(const tw_regex *shared, const char *text, size_t len,
                         tw_error *error) {
  tw_regex *regex = (tw_regex *)shared; /* only its spares change */
  pcre2_match_data *data = lease(regex);
  if (!data) return tw_no_memory(error);
  int found = pcre2_match(regex->code, (PCRE2_SPTR)text, len, 0, 0, data, regex->limits);
  give_back(regex, data);
  if (found >= 0) return TW_OK;
  if (found == PCRE2_ERROR_NOMATCH) return TW_ENOENT;
  if (found == PCRE2_ERROR_NOMEMORY) return tw_no_memory(error);
  return tw_fail(error, TW_ELIMIT,
                 "pattern \"%.120s\" gave up after %d steps; make it match with less "
                 "backtracking",
                 regex->pattern, MATCH_LIMIT);
}
