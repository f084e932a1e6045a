/// reply.c: the command line, the question, the answer.
#include "app/reply.h"

#include <stdio.h>
#include <string.h>

#include "app/ask.h"
#include "app/exit.h"

/* ------------------------------------------------------------------- members */

uint64_t tw_reply_count(tw_event *answer, const char *path) {
  tw_value value;
  if (tw_event_get(answer, path, &value) || value.type != TW_INTEGER) return 0;
  return (uint64_t)value.integer;
}

bool tw_reply_is(tw_event *answer, const char *path) {
  tw_value value;
  return !tw_event_get(answer, path, &value) && value.type == TW_BOOL && value.boolean;
}

const char *tw_reply_text(tw_event *answer, const char *path) {
  tw_value value;
  return tw_event_get(answer, path, &value) || value.type != TW_STRING ? "" : value.string;
}

/* ------------------------------------------------------------------ commands */

static int explain(tw_term *term, const char *command, tw_status status,
                   const tw_error *error) {
  tw_term_complain(term, "%s: %s%s", command, error->message,
                   status == TW_ELIMIT ? "; what has become of the request is not known" : "");
  return status == TW_EINVAL   ? TW_EXIT_USAGE
         : status == TW_ELIMIT ? TW_EXIT_TIMEOUT
                               : TW_EXIT_UNAVAILABLE;
}

static bool print(const tw_buffer *line) {
  return fwrite(line->data, 1, line->len, stdout) == line->len && putchar('\n') != EOF &&
         !fflush(stdout);
}

static int understand(tw_reply *reply, const char *command, tw_term *term,
                      const tw_buffer *line) {
  tw_error error;
  if (tw_event_parse(line->data, line->len, NULL, &reply->event, &error)) {
    tw_term_complain(term, "%s: %s: this is no daemon of ours: its answer is no JSON: %s",
                     command, reply->options.operands[0], error.message);
    return TW_EXIT_UNAVAILABLE;
  }
  return reply->options.json && !print(line) ? TW_EXIT_OUTPUT : TW_EXIT_DONE;
}

int tw_reply_get(int argc, char **argv, tw_term *term, tw_reply *out) {
  char request[64];
  tw_error error;
  tw_buffer line = {0};
  *out = (tw_reply){0};
  tw_parsed parsed = tw_options_ask(argc, argv, term, &out->options);
  if (!parsed.go_on) return parsed.status;
  snprintf(request, sizeof request, "{\"command\":\"%s\"}\n", argv[0]);
  tw_status status =
      tw_ask(out->options.operands[0], request, out->options.timeout_ms, &line, &error);
  int exit_status =
      status ? explain(term, argv[0], status, &error) : understand(out, argv[0], term, &line);
  tw_buffer_fini(&line);
  return exit_status;
}

void tw_reply_fini(tw_reply *reply) { tw_event_free(reply->event); }
