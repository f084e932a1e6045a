/* A host in C, and in C++, built against the installed package: emits, edits in a callback,
   and reads what came out. */
#include <stdio.h>
#include <string.h>
#include <tidewire.h>

static tw_verdict add_host(void *self, tw_event *event, tw_split *split, tw_error *error) {
  (void)self, (void)split;
  return tw_event_set_string(event, "context.host", "h1", 2, error) == TW_OK ? TW_PASS
                                                                             : TW_FAIL;
}

static const tw_processor_ops add_host_ops = {add_host, NULL};

static int build(tw_tracker *tracker, tw_backend *memory, tw_error *error) {
  tw_processor *processor;
  return tw_processor_new("add_host", &add_host_ops, NULL, TW_ON_ERROR_DROP, &processor,
                          error) ||
         tw_router_add_processor(tw_tracker_router(tracker), processor, error) ||
         tw_router_add_backend(tw_tracker_router(tracker), "memory", tw_backend_ref(memory),
                               error);
}

static int emit(tw_tracker *tracker, tw_error *error) {
  return tw_enter_context(tracker, "request", "{\"user_id\": 7}", 14, error) ||
         tw_emitf(tracker, "order.paid", "{total:%f, user:%s, items:%d}", 12.5, "ann", 3) ||
         tw_flush(tracker, -1, NULL, error);
}

static int look(tw_backend *memory) {
  tw_event *event;
  const char *text;
  size_t len;
  if (tw_memory_get(memory, 0, &event) || tw_event_json(event, &text, &len)) return 1;
  puts(text);
  int wrong = !strstr(text, "\"host\":\"h1\"") || !strstr(text, "\"user_id\":7") ||
              !strstr(text, "\"total\":12.5");
  tw_event_free(event);
  return wrong;
}

int main(void) {
  tw_error error;
  tw_tracker *tracker;
  tw_backend *memory;
  error.message[0] = '\0';
  int wrong = tw_tracker_new(NULL, &tracker, &error) ||
              tw_backend_new_kind("memory", NULL, 0, &memory, &error) ||
              build(tracker, memory, &error) || emit(tracker, &error) || look(memory);
  if (wrong) {
    fprintf(stderr, "host: %s\n", error.message);
    return 1;
  }
  tw_backend_unref(memory);
  tw_tracker_unref(tracker);
  return 0;
}
