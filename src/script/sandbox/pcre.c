/* How matches are bounded is told in core/pcre_meter.h. Here the meter also looks at the guard
   now and then. A watched compilation is made when it is first needed.

   Memory of patterns is taken from the guard. Machine code is not, but it is counted. */
#include "script/sandbox/pcre.h"

#include <string.h>

#include "base/alloc.h"

enum {
  MOST_STEPS = 10000000, /* of a match that is watched */
  OFTEN = 1 << 16,       /* steps between two looks at the guard */
  STEPS_EACH = 8,        /* that take as long as an instruction of Lua */
  COMPILE_STEPS = 5000,  /* of the shortest pattern */
  STACK_FIRST = 32768,   /* bytes of the stack of machine code, */
  STACK_MOST = 2 << 20,  /* and what it may grow to */
  HEAP_KIB = 8192        /* that are used instead without machine code */
};

/* ----------------------------------------------------------------- memory */

/* In front of each block stands its size. */
enum { HEAD = 16 };

static void *take(size_t size, void *guard) {
  size += HEAD;
  char *block = guard ? tw_guard_allocate(guard, NULL, 0, size) : tw_malloc(size);
  if (!block) return NULL;
  memcpy(block, &size, sizeof size);
  return block + HEAD;
}

static void give_back(void *memory, void *guard) {
  if (!memory) return;
  char *block = (char *)memory - HEAD;
  size_t size;
  memcpy(&size, block, sizeof size);
  if (guard) tw_guard_allocate(guard, block, size, 0);
  else tw_free(block);
}

/* ------------------------------------------------------------------ space */

/* The meter is the space's first member. */
static bool stops(tw_pcre_meter *meter) {
  const tw_pcre_space *space = (tw_pcre_space *)meter;
  meter->look = meter->steps + OFTEN;
  if (meter->steps >= MOST_STEPS) return true;
  return tw_guard_would_stop(space->guard, (space->done + meter->steps) / STEPS_EACH);
}

tw_status tw_pcre_space_open(tw_pcre_space *space, tw_guard *guard, tw_error *error) {
  *space = (tw_pcre_space){.guard = guard, .meter.stops = stops};
  space->memory = pcre2_general_context_create(take, give_back, guard);
  if (space->memory) space->quick = pcre2_match_context_create(space->memory);
  if (space->quick) space->limits = pcre2_match_context_create(space->memory);
  if (space->limits) space->data = pcre2_match_data_create(TW_PCRE_GROUPS + 1, space->memory);
  if (!space->data) {
    tw_pcre_space_close(space);
    return tw_no_memory(error);
  }
  pcre2_set_callout(space->limits, tw_pcre_meter_watch, &space->meter);
  pcre2_set_heap_limit(space->limits, HEAP_KIB);
  pcre2_set_match_limit(space->limits, UINT32_MAX);
  /* Without it, machine code has 32 KiB of the thread's stack. */
  space->stack = pcre2_jit_stack_create(STACK_FIRST, STACK_MOST, space->memory);
  if (space->stack) pcre2_jit_stack_assign(space->limits, NULL, space->stack);
  return TW_OK;
}

void tw_pcre_space_close(tw_pcre_space *space) {
  if (space->stack) pcre2_jit_stack_free(space->stack);
  pcre2_match_data_free(space->data);
  pcre2_match_context_free(space->limits);
  pcre2_match_context_free(space->quick);
  pcre2_general_context_free(space->memory);
  *space = (tw_pcre_space){0};
}

void tw_pcre_tell_all(tw_pcre_space *space, lua_State *L) {
  uint64_t instructions = space->done / STEPS_EACH;
  space->done = space->risk = 0;
  tw_guard_step(space->guard, L, instructions);
}

void tw_pcre_tell(tw_pcre_space *space, lua_State *L) {
  if (space->done >= OFTEN || space->risk >= OFTEN) tw_pcre_tell_all(space, L);
}

/* ---------------------------------------------------------------- compile */

/* How much of the pattern messages show. */
static int shown(const tw_pcre *pcre) { return (int)(pcre->len < 120 ? pcre->len : 120); }

static void count_machine_code(tw_pcre *pcre, const pcre2_code *code) {
  size_t bytes = 0;
  pcre2_pattern_info(code, PCRE2_INFO_JITSIZE, &bytes);
  pcre->machine_code += bytes;
  if (pcre->guard) pcre->guard->used += bytes;
}

/* @return whether there is machine code: not on every processor, and not without memory */
static bool assemble(tw_pcre *pcre, pcre2_code *code) {
  if (pcre2_jit_compile(code, PCRE2_JIT_COMPLETE)) return false;
  size_t before = pcre->machine_code;
  count_machine_code(pcre, code);
  return pcre->machine_code > before;
}

static tw_status explain(const tw_pcre *pcre, int code, size_t offset, tw_error *error) {
  PCRE2_UCHAR reason[200];
  if (code == PCRE2_ERROR_HEAP_FAILED) return tw_no_memory(error);
  pcre2_get_error_message(code, reason, sizeof reason);
  return tw_fail_at(error, TW_EINVAL, offset, "bad pattern \"%.*s\" at position %zu: %s",
                    shown(pcre), pcre->pattern, offset + 1, (const char *)reason);
}

static tw_status compile(tw_pcre *pcre, uint32_t more, pcre2_code **out, tw_error *error) {
  int code;
  size_t offset;
  pcre2_compile_context *context = pcre2_compile_context_create(pcre->space->memory);
  *out = NULL;
  if (!context) return tw_no_memory(error);
  *out = pcre2_compile((PCRE2_SPTR)pcre->pattern, pcre->len, pcre->options | more, &code,
                       &offset, context);
  pcre2_compile_context_free(context);
  pcre->space->done += COMPILE_STEPS + pcre->len * STEPS_EACH;
  return *out ? TW_OK : explain(pcre, code, offset, error);
}

static tw_status check_groups(tw_pcre *pcre, tw_error *error) {
  pcre2_pattern_info(pcre->quick, PCRE2_INFO_CAPTURECOUNT, &pcre->groups);
  if (pcre->groups <= TW_PCRE_GROUPS) return TW_OK;
  return tw_fail(error, TW_ELIMIT,
                 "pattern \"%.*s\" has %u groups; %d is the limit, so make "
                 "some of them (?:...)",
                 shown(pcre), pcre->pattern, pcre->groups, TW_PCRE_GROUPS);
}

tw_status tw_pcre_open(tw_pcre_space *space, const char *pattern, size_t len, uint32_t options,
                       tw_pcre *out, tw_error *error) {
  *out = (tw_pcre){.space = space, .guard = space->guard, .pattern = pattern, .len = len};
  out->options = options | PCRE2_UTF | PCRE2_MATCH_INVALID_UTF | PCRE2_NEVER_BACKSLASH_C;
  if (len > TW_PCRE_PATTERN)
    return tw_fail(error, TW_ELIMIT, "pattern \"%.*s\" has %zu bytes; %d is the limit",
                   shown(out), pattern, len, TW_PCRE_PATTERN);
  tw_status status = compile(out, 0, &out->quick, error);
  if (status == TW_OK) status = check_groups(out, error);
  if (status) {
    tw_pcre_close(out);
    return status;
  }
  out->is_clustered = tw_pcre_is_clustered(pattern, len);
  out->is_fast = assemble(out, out->quick);
  return TW_OK;
}

void tw_pcre_close(tw_pcre *pcre) {
  if (!pcre->quick) return;
  tw_guard *guard = pcre->guard;
  if (guard) guard->used -= pcre->machine_code;
  pcre2_code_free(pcre->quick);
  pcre2_code_free(pcre->watched);
  *pcre = (tw_pcre){0};
}

size_t tw_pcre_size(const tw_pcre *pcre) {
  size_t quick = 0, watched = 0;
  pcre2_pattern_info(pcre->quick, PCRE2_INFO_SIZE, &quick);
  if (pcre->watched) pcre2_pattern_info(pcre->watched, PCRE2_INFO_SIZE, &watched);
  return quick + watched + pcre->machine_code;
}

/* ------------------------------------------------------------------ match */

/* @return PCRE2_ERROR_MATCHLIMIT also when it is not to be tried */
static int match_quickly(tw_pcre *pcre, const char *text, size_t len, size_t from,
                         uint32_t options) {
  tw_pcre_space *space = pcre->space;
  if (!pcre->is_fast || len > TW_PCRE_QUICK_TEXT) return PCRE2_ERROR_MATCHLIMIT;
  uint64_t worst = (uint64_t)(len + 1) * TW_PCRE_QUICK_EACH;
  space->done += TW_PCRE_BYTES_EACH + len / TW_PCRE_BYTES_EACH;
  space->risk += worst / TW_PCRE_COMPARED_EACH;
  pcre2_set_match_limit(space->quick, (uint32_t)(TW_PCRE_QUICK / worst));
  return pcre2_jit_match(pcre->quick, (PCRE2_SPTR)text, len, from, options, space->data,
                         space->quick);
}

static int match_watched(tw_pcre *pcre, const char *text, size_t len, size_t from,
                         uint32_t options) {
  tw_pcre_space *space = pcre->space;
  tw_pcre_meter_begin(&space->meter, pcre->watched, pcre->pattern, from, OFTEN);
  int found = pcre2_match(pcre->watched, (PCRE2_SPTR)text, len, from, options, space->data,
                          space->limits);
  space->done += TW_PCRE_BYTES_EACH + space->meter.steps;
  return found;
}

static tw_pcre_refusal refusal(const tw_pcre *pcre, size_t len, int found) {
  int kib = found == PCRE2_ERROR_HEAPLIMIT ? HEAP_KIB : STACK_MOST / 1024;
  return (tw_pcre_refusal){pcre->pattern, pcre->len, len, MOST_STEPS, kib};
}

static tw_status search_watched(tw_pcre *pcre, const char *text, size_t len, size_t from,
                                uint32_t options, int *found, tw_error *error) {
  if (pcre->is_clustered && len > TW_PCRE_CLUSTERED) {
    tw_pcre_refusal what = refusal(pcre, len, 0);
    return tw_pcre_refuse_clusters(&what, error);
  }
  if (!pcre->watched) {
    tw_status status = compile(pcre, PCRE2_AUTO_CALLOUT, &pcre->watched, error);
    if (status) return status;
    assemble(pcre, pcre->watched);
  }
  *found = match_watched(pcre, text, len, from, options);
  return TW_OK;
}

/* With \K in a group that a lookaround calls, a match may end before it begins. */
static tw_status copy_places(const tw_pcre *pcre, size_t from, bool again, tw_found *found,
                             tw_error *error) {
  const size_t *places = pcre2_get_ovector_pointer(pcre->space->data);
  found->groups = pcre->groups;
  memcpy(found->at, places, ((size_t)pcre->groups + 1) * 2 * sizeof *places);
  size_t start = found->at[0], end = found->at[1];
  if (start >= from && end >= start && !(again && end == from)) return TW_OK;
  return tw_fail(error, TW_EINVAL,
                 "pattern \"%.*s\" cannot be matched: \\K in a lookaround set the start of the "
                 "match behind its end",
                 shown(pcre), pcre->pattern);
}

tw_status tw_pcre_match(tw_pcre *pcre, const char *text, size_t len, size_t from, bool again,
                        tw_found *found, tw_error *error) {
  uint32_t options = again ? PCRE2_NOTEMPTY_ATSTART : 0;
  int result = match_quickly(pcre, text, len, from, options);
  if (result == PCRE2_ERROR_MATCHLIMIT || result == PCRE2_ERROR_JIT_STACKLIMIT) {
    tw_status status = search_watched(pcre, text, len, from, options, &result, error);
    if (status) return status;
  }
  if (result == PCRE2_ERROR_NOMATCH) return TW_ENOENT;
  if (result < 0) {
    tw_pcre_refusal what = refusal(pcre, len, result);
    return tw_pcre_refuse(&what, result, error);
  }
  return copy_places(pcre, from, again, found, error);
}
