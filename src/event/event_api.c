/* event_api.c: the public functions of an event.
 *
 * An event of the host's owns its store. What edits leave behind in the arena is given back
 * when it outweighs the event: the event is rendered and read again into a new store, which
 * costs little in the long run as the bound grows with the event. */
#include "event/box.h"
#include "event/path_scan.h"
#include "event/text.h"

/* -------------------------------------------------------------- life */

static tw_status new_owned(const tw_limits *limits, tw_event **out, tw_error *error) {
  tw_event *event = tw_calloc(1, sizeof *event);
  tw_store *store = event ? tw_malloc(sizeof *store) : NULL;
  if (!store) {
    tw_free(event);
    return tw_no_memory(error);
  }
  tw_store_init(store, limits);
  event->store = store;
  event->owns_store = true;
  *out = event;
  return TW_OK;
}

/* Gives back the room for nodes that were not there: an event may live long. */
static void trim(tw_store *store) {
  tw_node *nodes = tw_realloc(store->nodes, store->count * sizeof *nodes);
  if (!nodes) return;
  store->nodes = nodes;
  store->cap = store->count;
}

static tw_status finish_owned(tw_status status, tw_event *event, tw_event **out) {
  event->owns_store = true;
  if (status) {
    tw_event_free(event);
    return status;
  }
  trim(event->store);
  *out = event;
  return TW_OK;
}

tw_status tw_event_parse(const char *json, size_t len, const tw_limits *limits, tw_event **out,
                         tw_error *error) {
  tw_event *event;
  *out = NULL;
  tw_status status = new_owned(limits, &event, error);
  if (status) return status;
  tw_store *store = event->store;
  status = tw_store_parse_copy(store, json, len, event, error);
  event->store = store;
  return finish_owned(status, event, out);
}

tw_status tw_event_copy(const tw_event *source, tw_event **out, tw_error *error) {
  tw_event *event;
  *out = NULL;
  tw_status status = new_owned(&source->store->limits, &event, error);
  if (status) return status;
  tw_store *store = event->store;
  status = tw_event_import(store, source, event, error);
  event->store = store;
  return finish_owned(status, event, out);
}

void tw_event_free(tw_event *event) {
  if (!event) return;
  tw_event_end(event);
  tw_free(event);
}

enum { COMPACT_FACTOR = 16, COMPACT_SLACK = 1 << 20 };

bool tw_event_is_bloated(const tw_event *event) {
  const tw_store *store = event->store;
  if (!event->owns_store) return false;
  size_t used = store->spent + store->count * sizeof *store->nodes;
  return used > (size_t)store->nodes[event->root].len * COMPACT_FACTOR + COMPACT_SLACK;
}

/* Starts over with a new store when edits have left much behind. Copies that others hold
   know the nodes of the old one, so it is not done while there are any. An edit that failed
   leaves the event as it was, with the texts that the host may have read. */
static void compact(tw_event *event, tw_status edited) {
  tw_store *store = event->store, fresh;
  tw_event copy;
  if (edited == TW_OK) store->is_lent = false;
  if (store->is_lent || store->events != 1 || !tw_event_is_bloated(event)) return;
  tw_store_init(&fresh, &store->limits);
  if (tw_event_import(&fresh, event, &copy, NULL)) {
    tw_store_fini(&fresh);
    return;
  }
  tw_store_fini(store);
  *store = fresh;
  event->edits = NULL;
  event->root = copy.root;
  event->id = &store->id;
}

/* ------------------------------------------------------------- paths */

/* A path compiled for one call: on the stack unless it is long. */
typedef struct {
  tw_path path;
  tw_path *heap;
  tw_step steps[48];
  char keys[94];
} short_path;

static tw_status open_path(short_path *p, const char *text, tw_error *error) {
  size_t len = strlen(text);
  p->heap = NULL;
  p->path.steps = p->steps;
  tw_status status = len <= sizeof p->keys ? tw_path_scan(text, len, &p->path, p->keys, error)
                                           : tw_path_compile(text, len, &p->heap, error);
  if (p->heap) p->path = *p->heap;
  if (!status && p->path.has_wildcard) {
    tw_path_free(p->heap);
    return tw_fail(error, TW_EINVAL, "path \"%.200s\" has a wildcard: it names no single place",
                   text);
  }
  return status;
}

static void close_path(short_path *p) { tw_path_free(p->heap); }

/* ----------------------------------------------------------- reading */

/* The text of an edited container, kept until the next edit. */
static const char *rendered(tw_event *event, tw_ref ref, size_t *len) {
  tw_edits *edits = event->edits;
  tw_buffer *scratch = &event->store->scratch;
  for (tw_rendered *r = edits->rendered; r; r = r->next)
    if (r->ref == ref) return *len = r->len, r->text;
  scratch->len = 0;
  if (!tw_event_render(event, ref, scratch)) return NULL;
  *len = scratch->len;
  scratch->len = 0;
  tw_rendered *r = tw_store_alloc(event->store, sizeof *r + *len + 1);
  if (!r) return NULL;
  char *text = (char *)(r + 1);
  memcpy(text, scratch->data, *len);
  text[*len] = '\0';
  *r = (tw_rendered){edits->rendered, ref, text, *len};
  edits->rendered = r;
  return text;
}

static bool is_edited(const tw_event *event, tw_ref ref, const tw_node *node) {
  const tw_edits *edits = event->edits;
  if (!edits || !tw_kind_is_container(tw_node_kind(node))) return false;
  uint32_t at = tw_edits_search(edits, ref);
  return at < edits->count && edits->boxes[at]->node < ref + tw_node_size(node);
}

static tw_status read_text(tw_event *event, tw_ref ref, tw_value *out) {
  const tw_node *node = tw_store_node(event->store, ref);
  out->json = node->text;
  out->json_len = node->len;
  if (is_edited(event, ref, node)) out->json = rendered(event, ref, &out->json_len);
  return out->json ? TW_OK : TW_ENOMEM;
}

static void read_number(const tw_node *node, tw_value *out) {
  bool fits = tw_node_kind(node) == TW_KIND_INTEGER &&
              tw_read_integer(node->text, node->len, &out->integer);
  out->type = fits ? TW_INTEGER : TW_NUMBER;
  out->number = fits ? (double)out->integer : tw_read_number(node->text, node->len);
}

static tw_status read_value(tw_event *event, tw_ref ref, tw_value *out) {
  const tw_node *node = tw_store_node(event->store, ref);
  switch (tw_node_kind(node)) {
    case TW_KIND_NULL: break;
    case TW_KIND_FALSE: out->type = TW_BOOL; break;
    case TW_KIND_TRUE:
      out->type = TW_BOOL;
      out->boolean = true;
      break;
    case TW_KIND_INTEGER:
    case TW_KIND_NUMBER: read_number(node, out); break;
    case TW_KIND_STRING:
    case TW_KIND_ESCAPED:
    case TW_KIND_KEY:
    case TW_KIND_ESCAPED_KEY:
      out->type = TW_STRING;
      out->string = tw_memo_string(event->store, ref, &out->string_len);
      if (!out->string) return TW_ENOMEM;
      break;
    case TW_KIND_ARRAY:
    case TW_KIND_OBJECT:
      out->type = tw_event_is_array(event, ref) ? TW_ARRAY : TW_OBJECT;
      break;
  }
  return read_text(event, ref, out);
}

tw_status tw_event_get(tw_event *event, const char *path, tw_value *out) {
  short_path p;
  tw_ref value;
  memset(out, 0, sizeof *out);
  tw_status status = open_path(&p, path, NULL);
  if (status) return status;
  status = tw_path_find(event, &p.path, &value) ? read_value(event, value, out) : TW_ENOENT;
  close_path(&p);
  event->store->is_lent = true;
  if (status) memset(out, 0, sizeof *out);
  return status;
}

tw_status tw_event_json(tw_event *event, const char **text, size_t *len) {
  const tw_node *node = tw_store_node(event->store, event->root);
  event->store->is_lent = true;
  if (is_edited(event, event->root, node)) {
    *text = rendered(event, event->root, len);
  } else if (node->text[node->len] == '\0') {
    *text = node->text;
    *len = node->len;
  } else {
    *text = tw_memo_text(event->store, event->root, len);
  }
  if (!*text) *len = 0;
  return *text ? TW_OK : TW_ENOMEM;
}

/* ----------------------------------------------------------- editing */

/* A value on its way into an event. */
typedef struct {
  tw_type type; /* TW_OBJECT: text holds JSON */
  const char *text;
  size_t len;
  int64_t integer;
  double number;
} source;

static tw_status store_value(tw_store *store, const source *from, tw_ref *out,
                             tw_error *error) {
  switch (from->type) {
    case TW_NULL: return tw_store_word(store, TW_KIND_NULL, out, error);
    case TW_BOOL:
      return tw_store_word(store, from->integer ? TW_KIND_TRUE : TW_KIND_FALSE, out, error);
    case TW_INTEGER: return tw_store_integer(store, from->integer, out, error);
    case TW_NUMBER: return tw_store_number(store, from->number, out, error);
    case TW_STRING: return tw_store_string(store, from->text, from->len, out, error);
    case TW_ARRAY:
    case TW_OBJECT: break;
  }
  return tw_store_json(store, from->text, from->len, out, error);
}

static tw_status set(tw_event *event, const char *path, source from, tw_error *error) {
  short_path p;
  tw_ref value;
  tw_status status = open_path(&p, path, error);
  if (status) return status;
  status = store_value(event->store, &from, &value, error);
  if (!status) status = tw_path_put(event, &p.path, value, error);
  close_path(&p);
  compact(event, status);
  return status;
}

tw_status tw_event_set_json(tw_event *event, const char *path, const char *json, size_t len,
                            tw_error *error) {
  return set(event, path, (source){.type = TW_OBJECT, .text = json, .len = len}, error);
}

tw_status tw_event_set_string(tw_event *event, const char *path, const char *text, size_t len,
                              tw_error *error) {
  return set(event, path, (source){.type = TW_STRING, .text = text, .len = len}, error);
}

tw_status tw_event_set_integer(tw_event *event, const char *path, int64_t value,
                               tw_error *error) {
  return set(event, path, (source){.type = TW_INTEGER, .integer = value}, error);
}

tw_status tw_event_set_number(tw_event *event, const char *path, double value,
                              tw_error *error) {
  return set(event, path, (source){.type = TW_NUMBER, .number = value}, error);
}

tw_status tw_event_set_bool(tw_event *event, const char *path, bool value, tw_error *error) {
  return set(event, path, (source){.type = TW_BOOL, .integer = value}, error);
}

tw_status tw_event_set_null(tw_event *event, const char *path, tw_error *error) {
  return set(event, path, (source){.type = TW_NULL}, error);
}

tw_status tw_event_remove(tw_event *event, const char *path, tw_error *error) {
  short_path p;
  tw_status status = open_path(&p, path, error);
  if (status) return status;
  status = tw_path_delete(event, &p.path, error);
  close_path(&p);
  compact(event, status);
  return status;
}

tw_status tw_event_replace(tw_event *event, const char *json, size_t len, tw_error *error) {
  tw_ref value;
  tw_event_id_cell *id = event->id;
  tw_status status = tw_store_json(event->store, json, len, &value, error);
  if (status) return status;
  if (tw_node_kind(tw_store_node(event->store, value)) != TW_KIND_OBJECT)
    return tw_fail(error, TW_ETYPE, "an event is a JSON object, this is another value");
  status = tw_event_keep_id(event, error);
  if (!status) status = tw_event_set_root(event, value, error);
  if (status) event->id = id;
  compact(event, status);
  return status;
}
