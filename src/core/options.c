/* Each type has a reader that both the check and the getters use: what the check let pass,
   the getters can read. Numbers may come as floats, because Lua's `64 * 2^20` is one. */
#include "core/options.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/suggest.h"
#include "core/names.h"
#include "core/units.h"
#include "event/text.h"

static const char *expectation(tw_option_type type) {
  switch (type) {
    case TW_OPTION_STRING: return "a text that is not empty";
    case TW_OPTION_BOOL: return "true or false";
    case TW_OPTION_INTEGER: return "a whole number that is not negative";
    case TW_OPTION_SIZE: return "a size such as \"64MiB\"";
    case TW_OPTION_DURATION: return "a duration such as \"10s\"";
    case TW_OPTION_SHARE: return "a number from 0 to 1";
    case TW_OPTION_SIZE_LIMIT: return "a size such as \"64MiB\", or \"none\"";
    case TW_OPTION_INTEGER_LIMIT: return "a whole number that is not negative, or \"none\"";
    case TW_OPTION_DURATION_LIMIT: return "a duration such as \"10s\", or \"none\"";
    case TW_OPTION_LIST: return "a list of texts";
  }
  return "";
}

static tw_kind kind_at(const tw_event *options, tw_ref ref) {
  return tw_node_kind(tw_store_node(options->store, ref));
}

/* A number as a count of `1 / scale`: whole unless scaled. */
static bool read_number(const tw_event *options, tw_ref ref, double scale, uint64_t *out) {
  const tw_node *node = tw_store_node(options->store, ref);
  tw_kind kind = tw_node_kind(node);
  int64_t integer;
  if (kind == TW_KIND_INTEGER && scale == 1) {
    if (!tw_read_integer(node->text, node->len, &integer) || integer < 0) return false;
    *out = (uint64_t)integer;
    return true;
  }
  if (kind != TW_KIND_INTEGER && kind != TW_KIND_NUMBER) return false;
  double number = tw_read_number(node->text, node->len) * scale;
  if (!(number >= 0 && number < 0x1p63)) return false;
  if (scale == 1 && number != floor(number)) return false;
  *out = (uint64_t)number;
  return true;
}

static bool read_text(tw_event *options, tw_ref ref,
                      bool (*parse)(const char *, size_t, uint64_t *), uint64_t *out) {
  size_t len;
  if (!tw_kind_is_string(kind_at(options, ref))) return false;
  const char *text = tw_node_string(options->store, ref, &len);
  return text && parse(text, len, out);
}

static bool read_size(tw_event *options, tw_ref ref, uint64_t *out) {
  return read_number(options, ref, 1, out) || read_text(options, ref, tw_parse_size, out);
}

static bool read_duration(tw_event *options, tw_ref ref, uint64_t *out) {
  return read_number(options, ref, 1e9, out) || read_text(options, ref, tw_parse_duration, out);
}

/* The getters give C strings, so that a NUL would cut a text short. */
static bool is_text(tw_event *options, tw_ref ref) {
  size_t len;
  if (!tw_kind_is_string(kind_at(options, ref))) return false;
  const char *text = tw_node_string(options->store, ref, &len);
  return text && len && !memchr(text, '\0', len);
}

/* Lua's `{}` comes as an empty object. */
static bool is_list(tw_event *options, tw_ref ref) {
  if (!tw_kind_is_container(kind_at(options, ref))) return false;
  if (!tw_event_is_array(options, ref)) return tw_event_count(options, ref) == 0;
  tw_cursor cursor = tw_cursor_begin(options, ref);
  while (tw_cursor_next(&cursor)) {
    if (!tw_kind_is_string(kind_at(options, cursor.value))) return false;
  }
  return true;
}

static bool is_none(tw_event *options, tw_ref ref) {
  size_t len;
  if (!tw_kind_is_string(kind_at(options, ref))) return false;
  const char *text = tw_node_string(options->store, ref, &len);
  return text && len == 4 && memcmp(text, "none", 4) == 0;
}

static bool is_valid(tw_event *options, tw_ref ref, tw_option_type type) {
  uint64_t ignored;
  tw_kind kind = kind_at(options, ref);
  switch (type) {
    case TW_OPTION_STRING: return is_text(options, ref);
    case TW_OPTION_BOOL: return kind == TW_KIND_TRUE || kind == TW_KIND_FALSE;
    case TW_OPTION_INTEGER: return read_number(options, ref, 1, &ignored);
    case TW_OPTION_SIZE: return read_size(options, ref, &ignored);
    case TW_OPTION_DURATION: return read_duration(options, ref, &ignored);
    case TW_OPTION_SHARE:
      return read_number(options, ref, 1e9, &ignored) && ignored <= 1000000000;
    case TW_OPTION_SIZE_LIMIT:
      return is_none(options, ref) || read_size(options, ref, &ignored);
    case TW_OPTION_INTEGER_LIMIT:
      return is_none(options, ref) || read_number(options, ref, 1, &ignored);
    case TW_OPTION_DURATION_LIMIT:
      return is_none(options, ref) || read_duration(options, ref, &ignored);
    case TW_OPTION_LIST: return is_list(options, ref);
  }
  return false;
}

/* The value at a name with dots. */
static bool find(const tw_event *options, const char *name, tw_ref *ref) {
  *ref = options->root;
  for (;;) {
    size_t len = strcspn(name, ".");
    if (!tw_kind_is_container(kind_at(options, *ref)) || tw_event_is_array(options, *ref) ||
        !tw_event_find(options, *ref, name, len, ref))
      return false;
    if (!name[len]) return true;
    name += len + 1;
  }
}

/* ------------------------------------------------------------------- check */

static const tw_option *find_declared(const tw_option *declared, size_t count, const char *name,
                                      size_t len) {
  for (size_t i = 0; i < count; i++) {
    if (strlen(declared[i].name) == len && memcmp(declared[i].name, name, len) == 0) {
      return &declared[i];
    }
  }
  return NULL;
}

static tw_status fail_undeclared(tw_error *error, const char *kind, const tw_option *declared,
                                 size_t count, const char *name, size_t len) {
  const char *known[32];
  char word[81];
  if (count > sizeof known / sizeof *known) count = sizeof known / sizeof *known;
  for (size_t i = 0; i < count; i++) known[i] = declared[i].name;
  if (len >= sizeof word) len = sizeof word - 1;
  memcpy(word, name, len);
  word[len] = '\0';
  const char *near = tw_suggest(word, known, count);
  if (near) {
    return tw_fail(error, TW_EINVAL, "%s: unknown option \"%s\"; did you mean \"%s\"?", kind,
                   word, near);
  }
  tw_fail_unknown(error, TW_EINVAL, "unknown option", word, known, count, "it takes none");
  tw_error_prefix(error, "%s: ", kind);
  return TW_EINVAL;
}

static tw_status fail_value(tw_error *error, const char *kind, const char *name,
                            const char *expected, const tw_event *options, tw_ref ref) {
  tw_buffer text = {0};
  if (!tw_event_render(options, ref, &text)) {
    tw_buffer_fini(&text);
    return tw_no_memory(error);
  }
  int shown = text.len > 60 ? 60 : (int)text.len;
  while (shown < (int)text.len && shown > 0 && (text.data[shown] & 0xC0) == 0x80) shown--;
  tw_fail(error, TW_EINVAL, "%s: option \"%s\": expected %s, got %.*s%s", kind, name, expected,
          shown, text.data, shown < (int)text.len ? "…" : "");
  tw_buffer_fini(&text);
  return TW_EINVAL;
}

/* Whether a declared name leads into the table of that name. */
static bool is_table(const tw_option *declared, size_t count, const char *name, size_t len) {
  for (size_t i = 0; i < count; i++) {
    if (strncmp(declared[i].name, name, len) == 0 && declared[i].name[len] == '.') return true;
  }
  return false;
}

typedef struct checking {
  tw_event *options;
  const char *kind;
  const tw_option *declared;
  size_t count;
} checking;

static tw_status check_table(const checking *check, tw_ref table, const char *prefix,
                             tw_error *error);

static tw_status check_member(const checking *check, const char *name, size_t len, tw_ref value,
                              tw_error *error) {
  const tw_option *option = find_declared(check->declared, check->count, name, len);
  if (!option && is_table(check->declared, check->count, name, len)) {
    if (tw_kind_is_container(kind_at(check->options, value)))
      return check_table(check, value, name, error);
    return fail_value(error, check->kind, name, "a table of options", check->options, value);
  }
  if (!option)
    return fail_undeclared(error, check->kind, check->declared, check->count, name, len);
  if (is_valid(check->options, value, option->type)) return TW_OK;
  return fail_value(error, check->kind, name, expectation(option->type), check->options, value);
}

/* An array has no names: what it holds is nowhere declared. A member with a dot in its own
   name would pass for one of a table, and never be found. */
static tw_status check_table(const checking *check, tw_ref table, const char *prefix,
                             tw_error *error) {
  tw_event *options = check->options;
  bool is_array = tw_event_is_array(options, table);
  if (is_array && tw_event_count(options, table) > 0)
    return fail_value(error, check->kind, prefix, "a table of options", options, table);
  tw_cursor cursor = tw_cursor_begin(options, table);
  while (!is_array && tw_cursor_next(&cursor)) {
    size_t len;
    char path[81];
    const char *name = tw_node_string(options->store, cursor.key, &len);
    if (!name) return tw_no_memory(error);
    if (memchr(name, '.', len))
      return tw_fail(error, TW_EINVAL, "%s: option \"%.*s\": write tables, not dots",
                     check->kind, len < 80 ? (int)len : 80, name);
    int used =
        snprintf(path, sizeof path, "%s%s%.*s", prefix, *prefix ? "." : "", (int)len, name);
    len = used < (int)sizeof path ? (size_t)used : sizeof path - 1;
    tw_status status = check_member(check, path, len, cursor.value, error);
    if (status) return status;
  }
  return TW_OK;
}

tw_status tw_options_check(tw_event *options, const char *kind, const tw_option *declared,
                           size_t count, tw_error *error) {
  const checking check = {options, kind, declared, count};
  tw_status status = check_table(&check, options->root, "", error);
  if (status) return status;
  for (size_t i = 0; i < count; i++) {
    tw_ref ref;
    const char *name = declared[i].name;
    if (!declared[i].required || find(options, name, &ref)) continue;
    return tw_fail(error, TW_EINVAL, "%s: option \"%s\" is missing; give %s", kind, name,
                   expectation(declared[i].type));
  }
  return TW_OK;
}

/* ----------------------------------------------------------------- getters */

bool tw_option_is_none(tw_event *options, const char *name) {
  tw_ref ref;
  return find(options, name, &ref) && is_none(options, ref);
}

const char *tw_option_string(tw_event *options, const char *name, const char *otherwise) {
  tw_ref ref;
  size_t len;
  if (!find(options, name, &ref)) return otherwise;
  const char *text = tw_node_string(options->store, ref, &len);
  char *copy = text ? tw_arena_alloc(&options->store->arena, len + 1) : NULL;
  if (!copy) return NULL;
  memcpy(copy, text, len);
  copy[len] = '\0';
  return copy;
}

bool tw_option_bool(tw_event *options, const char *name, bool otherwise) {
  tw_ref ref;
  return find(options, name, &ref) ? kind_at(options, ref) == TW_KIND_TRUE : otherwise;
}

uint64_t tw_option_integer(tw_event *options, const char *name, uint64_t otherwise) {
  tw_ref ref;
  uint64_t value;
  return find(options, name, &ref) && read_number(options, ref, 1, &value) ? value : otherwise;
}

uint64_t tw_option_size(tw_event *options, const char *name, uint64_t otherwise) {
  tw_ref ref;
  uint64_t value;
  return find(options, name, &ref) && read_size(options, ref, &value) ? value : otherwise;
}

uint64_t tw_option_duration(tw_event *options, const char *name, uint64_t otherwise) {
  tw_ref ref;
  uint64_t value;
  return find(options, name, &ref) && read_duration(options, ref, &value) ? value : otherwise;
}

double tw_option_share(tw_event *options, const char *name, double otherwise) {
  tw_ref ref;
  uint64_t billionths;
  bool found = find(options, name, &ref) && read_number(options, ref, 1e9, &billionths);
  return found ? (double)billionths / 1e9 : otherwise;
}
