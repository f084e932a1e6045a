/* "allowlist": drops events whose name is not in a set. The set is a hash table with open
   addressing, at most half full, made once and then only read. */
#include <string.h>
#include <xxhash.h>

#include "core/processor.h"

typedef struct entry {
  const char *name; ///< NULL: free
  size_t len;
} entry;

typedef struct allowlist {
  tw_event *options; ///< owned; the names stand in it
  size_t mask;
  entry entries[];
} allowlist;

/* Where the name stands, or where it would be put. */
static entry *find(allowlist *list, const char *name, size_t len) {
  size_t at = XXH3_64bits(name, len) & list->mask;
  for (;; at = (at + 1) & list->mask) {
    entry *slot = &list->entries[at];
    if (!slot->name) return slot;
    if (slot->len == len && tw_bytes_equal(slot->name, name, len)) return slot;
  }
}

static tw_status add_names(allowlist *list, tw_ref names, tw_error *error) {
  tw_cursor cursor = tw_cursor_begin(list->options, names);
  while (tw_cursor_next(&cursor)) {
    size_t len;
    const char *name = tw_node_string(list->options->store, cursor.value, &len);
    if (!name) return tw_no_memory(error);
    *find(list, name, len) = (entry){name, len};
  }
  return TW_OK;
}

static void allowlist_free(void *self) {
  allowlist *list = self;
  tw_event_free(list->options);
  tw_free(list);
}

static tw_status allowlist_create(tw_event *options, void **self, tw_error *error) {
  tw_ref names = 0;
  tw_event_find(options, options->root, "names", 5, &names);
  size_t count = tw_event_count(options, names), room = 4;
  while (room < count * 2) room *= 2;
  allowlist *list = tw_calloc(1, sizeof *list + room * sizeof(entry));
  if (!list) return tw_no_memory(error);
  list->mask = room - 1;
  tw_status status = tw_event_copy(options, &list->options, error);
  if (status == TW_OK) {
    tw_event_find(list->options, list->options->root, "names", 5, &names);
    status = add_names(list, names, error);
  }
  if (status == TW_OK) *self = list;
  if (status != TW_OK) allowlist_free(list);
  return status;
}

static tw_verdict allowlist_process(void *self, tw_event *event, tw_split *split,
                                    tw_error *error) {
  (void)split;
  const char *name;
  size_t len;
  tw_status status = tw_event_name(event, &name, &len);
  if (status == TW_OK) return find(self, name, len)->name ? TW_PASS : TW_DROP;
  if (status == TW_ENOENT) return TW_DROP;
  tw_no_memory(error);
  return TW_FAIL;
}

static const tw_processor_ops allowlist_ops = {allowlist_process, allowlist_free};
static const tw_option allowlist_options[] = {{"names", TW_OPTION_LIST, true}};

const tw_processor_kind tw_allowlist_kind = {
    .name = "allowlist",
    .ops = &allowlist_ops,
    .options = allowlist_options,
    .option_count = sizeof allowlist_options / sizeof *allowlist_options,
    .create = allowlist_create,
};
