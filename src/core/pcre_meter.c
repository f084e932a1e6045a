#include "core/pcre_meter.h"

#include <stdlib.h>
#include <string.h>

static size_t length_of_group(const pcre2_callout_block *item, size_t group) {
  if (group >= item->capture_top) return 0;
  size_t start = item->offset_vector[2 * group], end = item->offset_vector[2 * group + 1];
  return start != PCRE2_UNSET && end > start ? end - start : 0;
}

static size_t longest_group(const pcre2_callout_block *item) {
  size_t longest = 0;
  for (size_t group = 1; group < item->capture_top; group++) {
    size_t len = length_of_group(item, group);
    if (len > longest) longest = len;
  }
  return longest;
}

/* How much the item compares when it is a back reference: \1 the group; \g, \k and (?P=name),
   and what may stand before one, any of the groups. */
static size_t compared_by(const pcre2_callout_block *item, const char *pattern) {
  const char *at = pattern + item->pattern_position;
  if (!item->next_item_length || !strchr("\\( \t\n\r#", *at)) return 0;
  if (*at == '(') return strncmp(at, "(?P=", 4) == 0 ? longest_group(item) : 0;
  if (*at != '\\' || strchr("gkQE", at[1])) return longest_group(item);
  return at[1] >= '1' && at[1] <= '9' ? length_of_group(item, strtoul(at + 1, NULL, 10)) : 0;
}

/* Before each item of a watched pattern. */
int tw_pcre_meter_watch(pcre2_callout_block *item, void *self) {
  tw_pcre_meter *meter = self;
  size_t before = meter->place, here = item->current_position;
  meter->place = here;
  meter->steps += 1 + (here > before ? here - before : before - here) / TW_PCRE_BYTES_EACH;
  if (meter->compares)
    meter->steps += compared_by(item, meter->pattern) / TW_PCRE_COMPARED_EACH;
  return meter->steps >= meter->look && meter->stops(meter) ? PCRE2_ERROR_CALLOUT : 0;
}

void tw_pcre_meter_begin(tw_pcre_meter *meter, const pcre2_code *watched, const char *pattern,
                         size_t from, uint64_t look) {
  pcre2_pattern_info(watched, PCRE2_INFO_BACKREFMAX, &meter->compares);
  meter->pattern = pattern;
  meter->steps = 0;
  meter->place = from;
  meter->look = look;
}

bool tw_pcre_is_clustered(const char *pattern, size_t len) {
  for (size_t i = 1; i < len; i++)
    if (pattern[i] == 'X' && pattern[i - 1] == '\\') return true;
  return false;
}

/* ---------------------------------------------------------------- messages */

/* How much of the pattern they show. */
static int shown(const tw_pcre_refusal *what) {
  return (int)(what->pattern_len < 120 ? what->pattern_len : 120);
}

tw_status tw_pcre_refuse(const tw_pcre_refusal *what, int found, tw_error *error) {
  if (found == PCRE2_ERROR_NOMEMORY) return tw_no_memory(error);
  if (found == PCRE2_ERROR_CALLOUT || found == PCRE2_ERROR_MATCHLIMIT)
    return tw_fail(error, TW_ELIMIT,
                   "pattern \"%.*s\" gave up after %d steps on a text of %zu bytes; make it "
                   "match with less backtracking",
                   shown(what), what->pattern, what->steps, what->text_len);
  if (found == PCRE2_ERROR_JIT_STACKLIMIT || found == PCRE2_ERROR_HEAPLIMIT)
    return tw_fail(error, TW_ELIMIT,
                   "pattern \"%.*s\" needs more than %d KiB of memory for a text of %zu bytes; "
                   "repeat a class instead of a group, or with *+ or ++",
                   shown(what), what->pattern, what->kib, what->text_len);
  PCRE2_UCHAR reason[200];
  pcre2_get_error_message(found, reason, sizeof reason);
  return tw_fail(error, TW_EINVAL, "pattern \"%.*s\" cannot be matched: %s", shown(what),
                 what->pattern, (const char *)reason);
}

tw_status tw_pcre_refuse_clusters(const tw_pcre_refusal *what, tw_error *error) {
  return tw_fail(error, TW_ELIMIT,
                 "pattern \"%.*s\" holds \\X, which is matched with at most %d bytes of "
                 "text, not %zu",
                 shown(what), what->pattern, TW_PCRE_CLUSTERED, what->text_len);
}
