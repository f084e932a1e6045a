/* A host in C, built against the installed package: emits, edits in a callback, counts. */
#include <stdio.h>
#include <string.h>
#include <tidewire.h>

static tw_verdict add_host(void *self, tw_event *event, tw_split *split, tw_error *error) {
  (void)self, (void)split;
  return tw_event_set_string(event, "context.host", "h1", 2, error) == TW_OK ? TW_PASS
                                                                             : TW_FAIL;
}

int main(void) {
  tw_error error = {0};
  tw_tracker *tracker;
  tw_processor *processor;
  tw_backend *memory;
  const tw_processor_ops ops = {.process = add_host};
  if (tw_tracker_new(NULL, &tracker, &error) ||
      tw_processor_new("add_host", &ops, NULL, TW_ON_ERROR_DROP, &processor, &error) ||
      tw_backend_new_kind("memory", NULL, 0, &memory, &error))
    goto fail;
  tw_backend_ref(memory);
  if (tw_router_add_processor(tw_tracker_router(tracker), processor, &error) ||
      tw_router_add_backend(tw_tracker_router(tracker), "memory", memory, &error) ||
      tw_enter_context(tracker, "request", "{\"user_id\": 7}", 14, &error) ||
      tw_emitf(tracker, "order.paid", "{total:%f, user:%s, items:%d}", 12.5, "ann", 3) ||
      tw_flush(tracker, &error))
    goto fail;
  tw_event *event;
  const char *text;
  size_t len;
  if (tw_memory_get(memory, 0, &event) || tw_event_json(event, &text, &len)) goto fail;
  puts(text);
  int wrong = !strstr(text, "\"host\":\"h1\"") || !strstr(text, "\"user_id\":7") ||
              !strstr(text, "\"total\":12.5");
  tw_event_free(event);
  tw_backend_unref(memory);
  tw_tracker_unref(tracker);
  return wrong;
fail:
  fprintf(stderr, "host: %s\n", error.message);
  return 1;
}
