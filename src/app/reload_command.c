/// reload_command.c: tells a daemon to reload, and what came of it.
#include <stdio.h>
#include <string.h>

#include "app/daemon.h"
#include "app/exit.h"
#include "app/reply.h"

static void tell(tw_term *term, const char *message) {
  tw_buffer line = {0};
  tw_term_clean(&line, message);
  tw_buffer_byte(&line, '\n');
  tw_term_write(term, &line);
  tw_buffer_fini(&line);
}

/// The message stands alone, as that of `check` does, for editors to parse.
static int refused(const tw_reply *reply, tw_term *term) {
  char old[64];
  uint64_t generation = tw_reply_count(reply->event, "generation");
  bool is_closed = strcmp(tw_reply_text(reply->event, "code"), "closed") == 0;
  if (!reply->options.json) tell(term, tw_reply_text(reply->event, "error"));
  if (!generation || is_closed) return TW_EXIT_UNAVAILABLE;
  snprintf(old, sizeof old, "generation %llu goes on", (unsigned long long)generation);
  if (!reply->options.json) tell(term, old);
  return TW_EXIT_SCRIPT;
}

static int replaced(const tw_reply *reply) {
  if (reply->options.json || reply->options.quiet) return TW_EXIT_DONE;
  printf("generation %llu runs\n",
         (unsigned long long)tw_reply_count(reply->event, "generation"));
  return fflush(stdout) ? TW_EXIT_OUTPUT : TW_EXIT_DONE;
}

int tw_command_reload(int argc, char **argv, tw_term *term) {
  tw_reply reply;
  int status = tw_reply_get(argc, argv, term, &reply);
  if (!status && reply.event)
    status = tw_reply_is(reply.event, "ok") ? replaced(&reply) : refused(&reply, term);
  tw_reply_fini(&reply);
  return status;
}
