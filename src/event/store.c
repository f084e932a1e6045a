/* store.c: the text, nodes and arena that the copies of an event share.
 *
 * Nodes of one JSON text stand together; later values are appended behind them. In the
 * steady state (parse, edit, reset, parse …) nothing is allocated: the vector, one arena
 * chunk and the scratch buffer are kept. A failed call leaves no nodes, and gives its arena
 * memory back where it can. */
#include <math.h>

#include "event/memo.h"
#include "event/text.h"

enum {
  KEEP_ARENA = 4 << 20,  /* bytes of arena that a reset keeps */
  KEEP_NODES = 1 << 20,  /* nodes that a reset keeps room for */
  KEEP_SCRATCH = 4 << 20 /* bytes of scratch that a reset keeps */
};
#define SIZE_BOUND ((size_t)32 << 20)

void tw_store_init(tw_store *store, const tw_limits *limits) {
  memset(store, 0, sizeof *store);
  uint32_t depth = limits && limits->max_depth ? limits->max_depth : TW_MAX_DEPTH;
  size_t size = limits && limits->max_size ? limits->max_size : TW_MAX_EVENT;
  store->limits.max_depth = depth < TW_DEPTH_BOUND ? depth : TW_DEPTH_BOUND;
  store->limits.max_size = size < SIZE_BOUND ? size : SIZE_BOUND;
}

void tw_store_fini(tw_store *store) {
  tw_free(store->nodes);
  tw_arena_fini(&store->arena);
  tw_buffer_fini(&store->scratch);
  tw_limits limits = store->limits;
  tw_store_init(store, &limits);
}

void tw_store_reset(tw_store *store) {
  if (store->cap > KEEP_NODES) {
    tw_free(store->nodes);
    store->nodes = NULL;
    store->cap = 0;
  }
  if (store->scratch.cap > KEEP_SCRATCH) tw_buffer_fini(&store->scratch);
  if (store->has_memos) memset(store->memos, 0, sizeof store->memos);
  tw_arena_reset(&store->arena, KEEP_ARENA);
  store->has_memos = false;
  store->count = store->events = 0;
  store->spent = store->forgiven = 0;
  store->refusals = 0;
  store->tokens = 0;
  store->scratch.len = 0;
  store->id.len = 0;
  store->id.derived = false;
}

static tw_status reserve_nodes(tw_store *store, size_t extra, tw_error *error) {
  size_t need = store->count + extra;
  if (need <= store->cap) return TW_OK;
  if (store->count && need < (size_t)store->count * 2) need = (size_t)store->count * 2;
  tw_node *nodes = tw_realloc(store->nodes, need * sizeof *nodes);
  if (!nodes) return tw_no_memory(error);
  store->nodes = nodes;
  store->cap = (uint32_t)need;
  return TW_OK;
}

static tw_status too_many_nodes(tw_error *error) {
  return tw_fail(error, TW_ELIMIT, "an event holds at most %u keys and values", TW_MAX_NODES);
}

/* Reads text that stays where it is into nodes behind the others. */
static tw_status read_nodes(tw_store *store, const char *text, size_t len, uint32_t depth,
                            tw_ref *first, tw_error *error) {
  size_t count = 0;
  tw_status status = reserve_nodes(store, tw_reader_bound(len), error);
  if (!status)
    status = tw_read_json(text, len, depth, store->nodes + store->count, &count, error);
  if (status) return status;
  if (count > TW_MAX_NODES - store->count) return too_many_nodes(error);
  *first = store->count;
  store->count += (uint32_t)count;
  return TW_OK;
}

static tw_status check_size(const tw_store *store, size_t len, tw_error *error) {
  if (len <= store->limits.max_size) return TW_OK;
  return tw_fail(error, TW_ELIMIT,
                 "%zu bytes of JSON are over the limit of %zu: raise max_size", len,
                 store->limits.max_size);
}

/* The first event of a store has its id beside the store, further ones in the arena. */
static tw_event_id_cell *new_id(tw_store *store) {
  if (!store->count) return &store->id;
  tw_event_id_cell *cell = tw_store_alloc(store, sizeof *cell);
  if (cell) cell->len = 0, cell->derived = false;
  return cell;
}

static tw_status parse_event(tw_store *store, const char *text, size_t len, uint32_t depth,
                             tw_event *out, tw_error *error) {
  tw_ref root = 0;
  uint32_t before = store->count;
  tw_event_id_cell *id = new_id(store);
  if (!id) return tw_no_memory(error);
  tw_status status = read_nodes(store, text, len, depth, &root, error);
  if (status) return status;
  const tw_node *node = store->nodes + root;
  if (tw_node_kind(node) != TW_KIND_OBJECT) {
    store->count = before;
    return tw_fail_at(error, TW_EJSON, (size_t)(node->text - text),
                      "an event is a JSON object, this is another value: wrap it in {…}");
  }
  *out = (tw_event){.store = store, .id = id, .root = root};
  store->events++;
  return TW_OK;
}

tw_status tw_store_parse(tw_store *store, const char *text, size_t len, tw_event *out,
                         tw_error *error) {
  memset(out, 0, sizeof *out);
  tw_status status = check_size(store, len, error);
  return status ? status : parse_event(store, text, len, store->limits.max_depth, out, error);
}

tw_status tw_store_parse_again(tw_store *store, const char *text, size_t len, tw_event *out,
                               tw_error *error) {
  memset(out, 0, sizeof *out);
  return parse_event(store, text, len, TW_DEPTH_BOUND, out, error);
}

static char *padded_copy(tw_store *store, const char *text, size_t len) {
  char *copy = tw_store_alloc(store, len + TW_PADDING);
  if (!copy) return NULL;
  if (len) memcpy(copy, text, len);
  memset(copy + len, 0, TW_PADDING);
  return copy;
}

/* Gives back what was taken from the arena since `mark`, when no chunk was added. */
static void rewind_arena(tw_store *store, const tw_arena *mark) {
  if (store->arena.chunks == mark->chunks) store->arena = *mark;
}

static tw_status parse_copy(tw_store *store, const char *text, size_t len, uint32_t depth,
                            tw_event *out, tw_error *error) {
  tw_arena mark = store->arena;
  char *copy = padded_copy(store, text, len);
  if (!copy) return tw_no_memory(error);
  tw_status status = parse_event(store, copy, len, depth, out, error);
  if (status) rewind_arena(store, &mark);
  return status;
}

tw_status tw_store_parse_copy(tw_store *store, const char *text, size_t len, tw_event *out,
                              tw_error *error) {
  memset(out, 0, sizeof *out);
  tw_status status = check_size(store, len, error);
  return status ? status : parse_copy(store, text, len, store->limits.max_depth, out, error);
}

tw_status tw_event_import(tw_store *store, const tw_event *event, tw_event *out,
                          tw_error *error) {
  if (event->store == store) {
    *out = tw_event_fork(event);
    return TW_OK;
  }
  memset(out, 0, sizeof *out);
  tw_buffer *scratch = &event->store->scratch;
  const tw_node *whole = tw_event_untouched(event);
  scratch->len = 0;
  if (!whole && !tw_event_render(event, event->root, scratch)) return tw_no_memory(error);
  tw_status status = tw_event_fix_id(event, error);
  if (!status)
    status = parse_copy(store, whole ? whole->text : scratch->data,
                        whole ? whole->len : scratch->len, TW_DEPTH_BOUND, out, error);
  if (!status) *out->id = *event->id, out->priority = event->priority;
  scratch->len = 0;
  return status;
}

/* ------------------------------------------------------------------ values */

static inline tw_status add_node(tw_store *store, const char *text, size_t len, uint32_t meta,
                                 tw_ref *out, tw_error *error) {
  *out = 0;
  if (store->count >= TW_MAX_NODES) return too_many_nodes(error);
  if (store->count == store->cap) {
    tw_status status = reserve_nodes(store, 1, error);
    if (status) return status;
  }
  store->nodes[store->count] = (tw_node){text, (uint32_t)len, meta};
  *out = store->count++;
  return TW_OK;
}

tw_status tw_store_json(tw_store *store, const char *json, size_t len, tw_ref *out,
                        tw_error *error) {
  *out = 0;
  tw_arena mark = store->arena;
  tw_status status = check_size(store, len, error);
  if (status) return status;
  char *copy = padded_copy(store, json, len);
  if (!copy) return tw_no_memory(error);
  status = read_nodes(store, copy, len, store->limits.max_depth, out, error);
  if (status) rewind_arena(store, &mark);
  return status;
}

/* The JSON string of bytes that need escapes, in the scratch buffer. */
static tw_status escape(tw_store *store, const char **bytes, size_t *len, tw_error *error) {
  store->scratch.len = 0;
  tw_status status = tw_write_string(&store->scratch, *bytes, *len, error);
  *bytes = store->scratch.data + 1;
  *len = store->scratch.len - 2;
  store->scratch.len = 0;
  return status;
}

/* Writes a string with its quotes into the arena; a key's node is what is between them. */
static inline tw_status add_string(tw_store *store, const char *bytes, size_t len, bool is_key,
                                   tw_ref *out, tw_error *error) {
  bool escaped = !tw_string_is_plain(bytes, len);
  *out = 0;
  tw_status status = check_size(store, len, error);
  if (!status && escaped) status = escape(store, &bytes, &len, error);
  if (status) return status;
  char *text = tw_store_alloc(store, len + 2);
  if (!text) return tw_no_memory(error);
  text[0] = text[len + 1] = '"';
  tw_bytes_copy(text + 1, bytes, len);
  if (!is_key)
    return add_node(store, text, len + 2,
                    tw_node_meta(escaped ? TW_KIND_ESCAPED : TW_KIND_STRING, 1), out, error);
  tw_kind kind = escaped ? TW_KIND_ESCAPED_KEY : TW_KIND_KEY;
  return add_node(store, text + 1, len, tw_node_meta(kind, tw_key_hash(text + 1, len)), out,
                  error);
}

tw_status tw_store_string(tw_store *store, const char *bytes, size_t len, tw_ref *out,
                          tw_error *error) {
  return add_string(store, bytes, len, false, out, error);
}

tw_status tw_store_key(tw_store *store, const char *bytes, size_t len, tw_ref *out,
                       tw_error *error) {
  return add_string(store, bytes, len, true, out, error);
}

static tw_status add_number(tw_store *store, const char *text, size_t len, tw_kind kind,
                            tw_ref *out, tw_error *error) {
  char *copy = tw_store_alloc(store, len);
  if (!copy) return tw_no_memory(error);
  memcpy(copy, text, len);
  return add_node(store, copy, len, tw_node_meta(kind, 1), out, error);
}

tw_status tw_store_integer(tw_store *store, int64_t value, tw_ref *out, tw_error *error) {
  char text[TW_NUMBER_ROOM];
  *out = 0;
  size_t len = tw_write_integer(value, text);
  return add_number(store, text, len, TW_KIND_INTEGER, out, error);
}

tw_status tw_store_number(tw_store *store, double value, tw_ref *out, tw_error *error) {
  char text[TW_NUMBER_ROOM];
  *out = 0;
  if (!isfinite(value))
    return tw_fail(error, TW_EINVAL, "JSON has no NaN and no infinity: use null or a string");
  size_t len = tw_write_number(value, text);
  return add_number(store, text, len, TW_KIND_NUMBER, out, error);
}

tw_status tw_store_word(tw_store *store, tw_kind kind, tw_ref *out, tw_error *error) {
  const char *text = kind == TW_KIND_NULL ? "null" : kind == TW_KIND_TRUE ? "true" : "false";
  return add_node(store, text, strlen(text), tw_node_meta(kind, 1), out, error);
}
