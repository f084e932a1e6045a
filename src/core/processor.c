/* Processors of the host's and by kind. A kind's options are checked against its declaration
   before the kind sees them, so that each reads what is known to be of its type. */
#include "core/processor.h"

#include <string.h>

#include "core/names.h"

tw_status tw_processor_new(const char *name, const tw_processor_ops *ops, void *self,
                           tw_on_error on_error, tw_processor **out, tw_error *error) {
  *out = NULL;
  if (!ops->process) {
    if (ops->free) ops->free(self);
    return tw_fail(error, TW_EINVAL, "a processor needs the operation `process`");
  }
  tw_processor *processor = tw_calloc(1, sizeof *processor);
  if (!processor || !(processor->name = tw_strdup(name ? name : "processor"))) {
    tw_free(processor);
    if (ops->free) ops->free(self);
    return tw_no_memory(error);
  }
  processor->ops = *ops;
  processor->self = self;
  processor->on_error = on_error;
  atomic_init(&processor->refs, 1);
  *out = processor;
  return TW_OK;
}

tw_processor *tw_processor_ref(tw_processor *processor) {
  if (processor) atomic_fetch_add_explicit(&processor->refs, 1, memory_order_relaxed);
  return processor;
}

void tw_processor_unref(tw_processor *processor) {
  if (!processor || atomic_fetch_sub(&processor->refs, 1) != 1) return;
  if (processor->ops.free) processor->ops.free(processor->self);
  tw_free(processor->name);
  tw_free(processor);
}

tw_status tw_event_name(tw_event *event, const char **name, size_t *len) {
  tw_ref ref;
  if (!tw_event_find(event, event->root, "name", 4, &ref)) return TW_ENOENT;
  if (!tw_kind_is_string(tw_node_kind(tw_store_node(event->store, ref)))) return TW_ENOENT;
  *name = tw_node_string(event->store, ref, len);
  return *name ? TW_OK : TW_ENOMEM;
}

/* ------------------------------------------------------------------- kinds */

enum { KIND_COUNT = 2 };
static const tw_processor_kind *const kinds[KIND_COUNT] = {&tw_allowlist_kind,
                                                           &tw_regex_filter_kind};

/* NULL, and the error filled in, when there is no such kind. */
static const tw_processor_kind *find_kind(const char *name, tw_error *error) {
  const char *known[KIND_COUNT];
  for (size_t i = 0; i < KIND_COUNT; i++) {
    known[i] = kinds[i]->name;
    if (strcmp(name, kinds[i]->name) == 0) return kinds[i];
  }
  tw_fail_unknown(error, TW_EINVAL, "no processor kind", name, known, KIND_COUNT, "");
  return NULL;
}

/* The kinds that ship are filters: they fail closed. */
tw_status tw_processor_new_kind(const char *kind, const char *options, size_t len,
                                tw_processor **out, tw_error *error) {
  tw_event *event;
  void *self = NULL;
  *out = NULL;
  if (!kind) return tw_fail(error, TW_EINVAL, "kind: NULL is no kind of processor");
  const tw_processor_kind *found = find_kind(kind, error);
  if (!found) return TW_EINVAL;
  if (!options) options = "{}", len = 2;
  tw_status status = tw_event_parse(options, len, NULL, &event, error);
  if (status != TW_OK) {
    tw_error_prefix(error, "%s: options: ", kind);
    return status;
  }
  status = tw_options_check(event, kind, found->options, found->option_count, error);
  if (status == TW_OK) status = found->create(event, &self, error);
  tw_event_free(event);
  if (status != TW_OK) return status;
  return tw_processor_new(kind, found->ops, self, TW_ON_ERROR_DROP, out, error);
}
