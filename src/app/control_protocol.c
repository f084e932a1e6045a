/// control_protocol.c: a request is read as an event, an answer is written by a builder.
#include "app/control_protocol.h"

#include <limits.h>
#include <unistd.h>

#include "base/suggest.h"
#include "event/text.h"

enum { FLUSH_SECONDS = 30 };

typedef enum tw_control_command { RELOAD, STATUS, FLUSH, COMMANDS } tw_control_command;
static const char *const commands[COMMANDS] = {"reload", "status", "flush"};

/* ------------------------------------------------------------------ answers */

void tw_control_text(tw_builder *json, const char *key, const char *text) {
  tw_buffer clean = {0};
  size_t len = strlen(text), good;
  while ((good = tw_utf8_check(text, len)) < len) {
    tw_buffer_append(&clean, text, good);
    tw_buffer_append(&clean, "\xef\xbf\xbd", 3);
    text += good + 1, len -= good + 1;
  }
  tw_buffer_append(&clean, text, len);
  tw_builder_key(json, key);
  tw_builder_string(json, clean.len ? clean.data : "", clean.len);
  tw_buffer_fini(&clean);
}

static void begin(tw_builder *json, const tw_error *why) {
  tw_builder_begin_object(json);
  tw_builder_key(json, "ok");
  tw_builder_bool(json, !why);
  if (!why) return;
  tw_control_text(json, "error", why->message);
  tw_control_text(json, "code", tw_status_name(why->code));
}

static void count(tw_builder *json, const char *key, uint64_t value) {
  tw_builder_key(json, key);
  tw_builder_integer(json, (int64_t)value);
}

static void end(tw_builder *json, tw_buffer *answer) {
  static const char none[] = "{\"ok\":false,\"error\":\"out of memory\",\"code\":\"memory\"}";
  const char *text;
  size_t len;
  if (json) tw_builder_end_object(json);
  if (!json || tw_builder_text(json, &text, &len, NULL)) text = none, len = sizeof none - 1;
  if (tw_buffer_append(answer, text, len)) tw_buffer_byte(answer, '\n');
  tw_builder_free(json);
}

void tw_control_answer_failure(const tw_error *why, tw_buffer *answer) {
  tw_builder *json = tw_builder_new();
  if (json) begin(json, why);
  end(json, answer);
}

/* ----------------------------------------------------------------- commands */

static void reload(const tw_control_ops *ops, void *self, tw_builder *json) {
  uint64_t generation = 0;
  tw_error error = {0};
  tw_status status = ops->reload(self, &generation, &error);
  begin(json, status ? &error : NULL);
  count(json, "generation", generation);
}

static void status(const tw_control_ops *ops, void *self, tw_builder *json) {
  begin(json, NULL);
  tw_control_text(json, "version", tw_version());
  count(json, "pid", (uint64_t)getpid());
  ops->status(self, json);
}

static void flush(const tw_control_ops *ops, void *self, double seconds, tw_builder *json) {
  uint64_t remaining = 0;
  tw_error error = {0};
  tw_status failed = ops->flush(self, (int)(seconds * 1000), &remaining, &error);
  begin(json, failed ? &error : NULL);
  if (failed) count(json, "remaining", remaining);
}

/* ----------------------------------------------------------------- requests */

typedef struct tw_request {
  tw_control_command command;
  double seconds;
} tw_request;

static tw_status find_command(const tw_value *name, tw_request *out, tw_error *error) {
  for (out->command = RELOAD; out->command < COMMANDS; out->command++)
    if (strcmp(name->string, commands[out->command]) == 0) return TW_OK;
  const char *near = tw_suggest(name->string, commands, COMMANDS);
  return tw_fail(
      error, TW_EINVAL, "unknown command \"%.64s\"%s%s%s: there is reload, status, flush",
      name->string, near ? "; did you mean \"" : "", near ? near : "", near ? "\"" : "");
}

static tw_status find_timeout(tw_event *event, tw_request *out, tw_error *error) {
  tw_value value;
  out->seconds = FLUSH_SECONDS;
  if (tw_event_get(event, "timeout", &value)) return TW_OK;
  bool numeric = value.type == TW_INTEGER || value.type == TW_NUMBER;
  if (!numeric || !(value.number >= 0 && value.number <= INT_MAX / 1000))
    return tw_fail(error, TW_EINVAL, "the timeout must be a number of seconds, 0 to %d",
                   INT_MAX / 1000);
  out->seconds = value.number;
  return TW_OK;
}

static tw_status read_members(tw_event *event, tw_request *out, tw_error *error) {
  tw_value name;
  if (tw_event_get(event, "command", &name) || name.type != TW_STRING)
    return tw_fail(error, TW_EINVAL,
                   "no command: send one line such as {\"command\":\"reload\"}; there is "
                   "reload, status, flush");
  tw_status status = find_command(&name, out, error);
  return status ? status : find_timeout(event, out, error);
}

static tw_status read_request(const char *text, size_t len, tw_request *out, tw_error *error) {
  static const tw_limits limits = {.max_depth = 8, .max_size = TW_CONTROL_REQUEST};
  tw_event *event;
  *out = (tw_request){0};
  tw_status status = tw_event_parse(text, len, &limits, &event, error);
  if (status) {
    tw_error_prefix(error,
                    "the request must be a JSON object in one line, such as "
                    "{\"command\":\"reload\"}: ");
    return status;
  }
  status = read_members(event, out, error);
  tw_event_free(event);
  return status;
}

static void carry_out(const tw_request *request, const tw_control_ops *ops, void *self,
                      tw_builder *json) {
  switch (request->command) {
    case RELOAD: reload(ops, self, json); break;
    case STATUS: status(ops, self, json); break;
    case FLUSH: flush(ops, self, request->seconds, json); break;
    case COMMANDS: break;
  }
}

/// Without memory for an answer nothing is done.
void tw_control_answer(const char *request, size_t len, const tw_control_ops *ops, void *self,
                       tw_buffer *answer) {
  tw_request asked;
  tw_error error = {0};
  if (read_request(request, len, &asked, &error)) {
    tw_control_answer_failure(&error, answer);
    return;
  }
  tw_builder *json = tw_builder_new();
  if (json) carry_out(&asked, ops, self, json);
  end(json, answer);
}
