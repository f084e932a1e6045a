/* path.c: compiling paths, and following those without wildcards.
 *
 * A path is scanned once, step by step, with one byte of look-ahead; keys are unescaped into
 * memory that the caller brings, so a path for one call needs no allocation. A put makes
 * what is missing from the inside out and hangs it into the event last: until then nothing of
 * it shows. */
#include "event/path.h"

#include "event/path_scan.h"
#include "event/text.h"

typedef struct {
  const char *text;
  size_t len, at;
  char *keys; /* room for the keys that are still to come */
  tw_path *path;
  tw_error *error;
} scanner;

static tw_status wrong(const scanner *s, const char *what) {
  return tw_fail_at(s->error, TW_EINVAL, s->at, "path \"%.*s\": %s at byte %zu",
                    (int)(s->len < 200 ? s->len : 200), s->text, what, s->at);
}

static char peek(const scanner *s) {
  if (s->at == s->len) return '\0';
  return s->text[s->at];
}

static tw_step *add_step(scanner *s, tw_step_kind kind) {
  tw_step *step = s->path->steps + s->path->count++;
  *step = (tw_step){.kind = kind};
  if (kind == TW_STEP_ANY || kind == TW_STEP_DEEP) s->path->has_wildcard = true;
  return step;
}

static void add_key(scanner *s, const char *text, size_t len) {
  tw_step *step = add_step(s, TW_STEP_KEY);
  step->key = s->keys;
  step->len = tw_unescape(text, len, s->keys);
  s->keys += step->len;
}

bool tw_path_key_byte(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
         c == '_' || c == '-' || c == '$' || c == '@' || (unsigned char)c >= 0x80;
}

static tw_status scan_stars(scanner *s) {
  size_t start = s->at;
  while (peek(s) == '*') s->at++;
  if (s->at - start > 2) return wrong(s, "`*` or `**` expected, not more,");
  add_step(s, s->at - start == 1 ? TW_STEP_ANY : TW_STEP_DEEP);
  return TW_OK;
}

/* A bare key or wildcard, behind the dot. */
static tw_status scan_name(scanner *s) {
  if (peek(s) == '*') return scan_stars(s);
  size_t start = s->at;
  while (s->at < s->len && tw_path_key_byte(s->text[s->at])) s->at++;
  if (s->at == start)
    return wrong(s, "a key or wildcard expected (quote other keys: [\"a.b\"])");
  add_key(s, s->text + start, s->at - start);
  return TW_OK;
}

static bool is_hex(char c) {
  return (c >= '0' && c <= '9') || ((c | 32) >= 'a' && (c | 32) <= 'f');
}

/* Steps over one escape. @return false when it is not one of JSON's */
static bool skip_escape(scanner *s) {
  char c = (s->at++, peek(s));
  if (!c || !strchr("\"\\/bfnrtu", c)) return false;
  s->at++;
  for (int i = 0; c == 'u' && i < 4; i++, s->at++)
    if (!is_hex(peek(s))) return false;
  return true;
}

static tw_status scan_quoted(scanner *s) {
  size_t start = ++s->at;
  while (peek(s) != '"') {
    if ((unsigned char)peek(s) < 0x20) return wrong(s, "closing quote expected");
    if (peek(s) != '\\') s->at++;
    else if (!skip_escape(s)) return wrong(s, "bad escape");
  }
  add_key(s, s->text + start, s->at - start);
  s->at++;
  return TW_OK;
}

static tw_status scan_index(scanner *s) {
  uint64_t index = 0;
  size_t start = s->at;
  while (peek(s) >= '0' && peek(s) <= '9' && index < TW_MAX_NODES)
    index = index * 10 + (uint64_t)(s->text[s->at++] - '0');
  if (s->at == start) return wrong(s, "an index, a quoted key or `*` expected");
  if (index >= TW_MAX_NODES) return wrong(s, "index too large");
  add_step(s, TW_STEP_INDEX)->index = (uint32_t)index;
  return TW_OK;
}

/* `[0]`, `["key"]` or `[*]`. */
static tw_status scan_bracket(scanner *s) {
  tw_status status = TW_OK;
  s->at++;
  if (peek(s) == '"') status = scan_quoted(s);
  else if (peek(s) != '*') status = scan_index(s);
  else add_step(s, TW_STEP_ANY), s->at++;
  if (status) return status;
  if (peek(s) != ']') return wrong(s, "`]` expected");
  s->at++;
  return TW_OK;
}

/* Every step takes two bytes, but for the first, which may take one. */
size_t tw_path_scan_steps(size_t len) { return len / 2 + 1; }

tw_status tw_path_scan(const char *text, size_t len, tw_path *path, char *keys,
                       tw_error *error) {
  scanner s = {.text = text, .len = len, .path = path, .error = error};
  s.keys = keys;
  path->count = 0;
  path->has_wildcard = false;
  size_t clean = tw_utf8_check(text, len);
  if (clean != len) {
    s.at = clean;
    return wrong(&s, "not UTF-8");
  }
  if (!len) return wrong(&s, "a key expected");
  while (s.at < len) {
    bool dot = peek(&s) == '.';
    if (s.at && !dot && peek(&s) != '[') return wrong(&s, "`.` or `[` expected");
    s.at += dot;
    tw_status status = !dot && peek(&s) == '[' ? scan_bracket(&s) : scan_name(&s);
    if (status) return status;
  }
  if (path->has_wildcard && path->count > TW_PATH_PATTERN_MAX)
    return wrong(&s, "a pattern has at most 63 steps; too many");
  return TW_OK;
}

tw_status tw_path_compile(const char *text, size_t len, tw_path **out, tw_error *error) {
  *out = NULL;
  size_t steps = tw_path_scan_steps(len);
  tw_path *path = tw_malloc(sizeof *path + steps * sizeof *path->steps + len);
  if (!path) return tw_no_memory(error);
  path->steps = (tw_step *)(path + 1);
  tw_status status = tw_path_scan(text, len, path, (char *)(path->steps + steps), error);
  if (status) tw_free(path);
  else *out = path;
  return status;
}

void tw_path_free(tw_path *path) { tw_free(path); }

/* --------------------------------------------------------------- following */

/* One step down. @return false when nothing is there, or the step is a wildcard */
static bool follow(const tw_event *event, tw_ref at, const tw_step *step, tw_ref *value) {
  *value = 0;
  switch (step->kind) {
    case TW_STEP_KEY: return tw_event_find(event, at, step->key, step->len, value);
    case TW_STEP_INDEX: return tw_event_at(event, at, step->index, value);
    case TW_STEP_ANY:
    case TW_STEP_DEEP: break;
  }
  return false;
}

bool tw_path_find(const tw_event *event, const tw_path *path, tw_ref *value) {
  *value = event->root;
  for (uint32_t i = 0; i < path->count; i++)
    if (!follow(event, *value, path->steps + i, value)) return false;
  return true;
}

static tw_status put_step(tw_event *event, tw_ref at, const tw_path *path, uint32_t step,
                          tw_ref value, tw_error *error) {
  const tw_step *s = path->steps + step;
  tw_status status = s->kind == TW_STEP_KEY
                         ? tw_event_put(event, at, s->key, s->len, value, error)
                         : tw_event_put_at(event, at, s->index, value, error);
  if (status) tw_error_prefix(error, "step %u of the path: ", step + 1);
  return status;
}

/* Makes the containers between step `first` and the value, from the inside. */
static tw_status put_chain(tw_event *event, tw_ref at, const tw_path *path, uint32_t first,
                           tw_ref value, tw_error *error) {
  for (uint32_t i = path->count - 1; i > first; i--) {
    tw_ref container;
    bool object = path->steps[i].kind == TW_STEP_KEY;
    tw_status status = tw_store_json(event->store, object ? "{}" : "[]", 2, &container, error);
    if (!status) status = put_step(event, container, path, i, value, error);
    if (status) return status;
    value = container;
  }
  return put_step(event, at, path, first, value, error);
}

static tw_status refuse_wildcard(const tw_path *path, tw_error *error) {
  if (!path->has_wildcard) return TW_OK;
  return tw_fail(error, TW_EINVAL, "the path has a wildcard: it names no single place");
}

tw_status tw_path_put(tw_event *event, const tw_path *path, tw_ref value, tw_error *error) {
  tw_ref at = event->root, next;
  uint32_t step = 0, last = path->count - 1;
  tw_status status = refuse_wildcard(path, error);
  if (status) return status;
  for (; step < last && follow(event, at, path->steps + step, &next); step++) at = next;
  if (step == last) return put_step(event, at, path, step, value, error);
  tw_event saved = tw_event_fork(event);
  status = put_chain(event, at, path, step, value, error);
  if (status) tw_event_restore(event, &saved);
  else tw_event_end(&saved);
  return status;
}

tw_status tw_path_delete(tw_event *event, const tw_path *path, tw_error *error) {
  tw_ref at = event->root, value;
  uint32_t step = 0, last = path->count - 1;
  tw_status status = refuse_wildcard(path, error);
  if (status) return status;
  while (step < last && follow(event, at, path->steps + step, &at)) step++;
  const tw_step *s = path->steps + step;
  if (step < last || !follow(event, at, s, &value))
    return tw_fail(error, TW_ENOENT, "step %u of the path: nothing is there", step + 1);
  return s->kind == TW_STEP_KEY ? tw_event_delete(event, at, s->key, s->len, error)
                                : tw_event_delete_at(event, at, s->index, error);
}
