/* builder.c: JSON text step by step. Each call first asks whether a value or key may stand
 * here (begin_value, begin_key), which also writes the comma; then appends. */
#include <math.h>

#include "event/builder_core.h"
#include "event/text.h"

tw_builder *tw_builder_new(void) {
  tw_builder *b = tw_malloc(sizeof *b);
  if (!b) return NULL;
  const tw_limits limits = {.max_depth = TW_DEPTH_BOUND, .max_size = SIZE_MAX};
  tw_store_init(&b->checker, &limits);
  b->text = b->scratch = (tw_buffer){0};
  tw_builder_reset(b);
  return b;
}

void tw_builder_free(tw_builder *b) {
  if (!b) return;
  tw_store_fini(&b->checker);
  tw_buffer_fini(&b->text);
  tw_buffer_fini(&b->scratch);
  tw_free(b);
}

void tw_builder_reset(tw_builder *b) {
  b->text.len = 0;
  b->depth = 0;
  b->has_key = b->finished = false;
  b->error.code = TW_OK;
  b->error.position = TW_NO_POSITION;
  b->error.message[0] = '\0';
}

/* After the first error nothing is appended any more. */
static void append(tw_builder *b, const char *bytes, size_t len) {
  if (!b->error.code && !tw_buffer_append(&b->text, bytes, len)) tw_no_memory(&b->error);
}

static tw_level *level(tw_builder *b) { return b->depth ? b->levels + b->depth - 1 : NULL; }

/* @return whether a value may stand here; writes what separates it from the one before */
static bool begin_value(tw_builder *b) {
  if (b->error.code) return false;
  tw_level *in = level(b);
  if (b->finished) {
    tw_fail(&b->error, TW_EINVAL, "the value is finished: reset the builder for the next");
  } else if (in && in->is_object && !b->has_key) {
    tw_fail(&b->error, TW_EINVAL, "a member of an object needs a key before its value");
  } else if (in && !in->is_object) {
    if (in->has_members) append(b, ",", 1);
    in->has_members = true;
  }
  b->has_key = false;
  return !b->error.code;
}

/* A value outside of all containers is the whole. */
static void end_value(tw_builder *b) { b->finished = b->depth == 0; }

/* The same for a key. */
static bool begin_key(tw_builder *b) {
  if (b->error.code) return false;
  tw_level *in = level(b);
  if (!in || !in->is_object || b->has_key) {
    tw_fail(&b->error, TW_EINVAL, "a key is out of place: %s",
            b->has_key ? "the one before has no value" : "it belongs inside an object");
    return false;
  }
  if (in->has_members) append(b, ",", 1);
  in->has_members = true;
  b->has_key = true;
  return !b->error.code;
}

static void begin_container(tw_builder *b, bool is_object) {
  if (!begin_value(b)) return;
  if (b->depth == TW_DEPTH_BOUND) {
    tw_fail(&b->error, TW_ELIMIT, "the value nests deeper than %d", TW_DEPTH_BOUND);
    return;
  }
  b->levels[b->depth++] = (tw_level){.is_object = is_object};
  append(b, is_object ? "{" : "[", 1);
}

static void end_container(tw_builder *b, bool is_object) {
  if (b->error.code) return;
  tw_level *in = level(b);
  if (!in || in->is_object != is_object || b->has_key) {
    tw_fail(&b->error, TW_EINVAL, "the end of an %s is out of place: %s",
            is_object ? "object" : "array",
            b->has_key ? "the last key has no value" : "none was begun here");
    return;
  }
  append(b, is_object ? "}" : "]", 1);
  b->depth--;
  end_value(b);
}

void tw_builder_begin_object(tw_builder *b) { begin_container(b, true); }
void tw_builder_end_object(tw_builder *b) { end_container(b, true); }
void tw_builder_begin_array(tw_builder *b) { begin_container(b, false); }
void tw_builder_end_array(tw_builder *b) { end_container(b, false); }

void tw_builder_key_bytes(tw_builder *b, const char *key, size_t len) {
  if (!begin_key(b)) return;
  tw_write_string(&b->text, key, len, &b->error);
  append(b, ":", 1);
}

void tw_builder_key(tw_builder *b, const char *key) {
  tw_builder_key_bytes(b, key, strlen(key));
}

void tw_builder_string(tw_builder *b, const char *text, size_t len) {
  if (!begin_value(b)) return;
  tw_write_string(&b->text, text, len, &b->error);
  end_value(b);
}

void tw_builder_raw(tw_builder *b, const char *json, size_t len) {
  if (!begin_value(b)) return;
  append(b, json, len);
  end_value(b);
}

void tw_builder_integer(tw_builder *b, int64_t value) {
  char text[TW_NUMBER_ROOM];
  tw_builder_raw(b, text, tw_write_integer(value, text));
}

void tw_builder_number(tw_builder *b, double value) {
  char text[TW_NUMBER_ROOM];
  size_t len = isfinite(value) ? tw_write_number(value, text) : 0;
  if (len) tw_builder_raw(b, text, len);
  else if (!b->error.code)
    tw_fail(&b->error, TW_EINVAL, "JSON has no NaN and no infinity: use null or a string");
}

void tw_builder_bool(tw_builder *b, bool value) {
  tw_builder_raw(b, value ? "true" : "false", value ? 4 : 5);
}

void tw_builder_null(tw_builder *b) { tw_builder_raw(b, "null", 4); }

/* @return the value without the white space around it, until the checker's reset; NULL when it
   is not JSON */
static const tw_node *check(tw_builder *b, const char *json, size_t len) {
  tw_ref ref;
  if (b->error.code || tw_store_json(&b->checker, json, len, &ref, &b->error)) return NULL;
  return tw_store_node(&b->checker, ref);
}

void tw_builder_json(tw_builder *b, const char *json, size_t len) {
  const tw_node *node = check(b, json, len);
  if (node) tw_builder_raw(b, node->text, node->len);
  tw_store_reset(&b->checker);
}

void tw_builder_key_json(tw_builder *b, const char *json, size_t len) {
  const tw_node *node = check(b, json, len);
  if (node && begin_key(b)) {
    append(b, node->text, node->len);
    append(b, ":", 1);
  }
  tw_store_reset(&b->checker);
}

tw_status tw_builder_text(tw_builder *b, const char **text, size_t *len, tw_error *error) {
  *text = NULL;
  *len = 0;
  if (!b->error.code && b->finished && !tw_buffer_pad(&b->text, 1)) tw_no_memory(&b->error);
  if (b->error.code) {
    if (error) *error = b->error;
    return b->error.code;
  }
  if (!b->finished)
    return tw_fail(error, TW_EINVAL, "the value is unfinished: %u objects and arrays are open",
                   b->depth);
  *text = b->text.data;
  *len = b->text.len;
  return TW_OK;
}
