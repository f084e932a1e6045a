/* A context is a stack of *frames*: named objects, entered in order. A frame never changes,
   so that copies of a stack share it. The union is made of the texts of the members, not of
   their values, so that it is exact; it is kept until a context is entered or exited.

   As in Python's dict.update, a key keeps the place where it came first and has the value
   that came last. Keys are compared by what they mean: "a" and "\u0061" are the same key. */
#include "core/context.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <xxhash.h>

#include "core/names.h"
#include "event/event.h"

typedef struct member {
  const char *key; ///< unescaped
  size_t key_len;
  const char *key_text; ///< as written, between the quotes
  size_t key_text_len;
  const char *value; ///< its JSON text
  size_t value_len;
} member;

typedef struct frame {
  atomic_size_t refs;
  tw_event *event; ///< owned; the members point into it
  size_t count;
  const char *name; ///< behind the members
  member members[];
} frame;

typedef struct entered {
  frame *frame;   ///< owned
  bool is_hidden; ///< by a later one of its name
} entered;

struct tw_context {
  atomic_size_t refs;
  pthread_mutex_t mutex; /* guards the rest */
  entered *frames;       ///< oldest first
  size_t count, cap;
  tw_buffer merged; ///< the union when `is_merged`
  bool is_merged;
};

/* ------------------------------------------------------------------ frames */

static void unref_frame(frame *f) {
  if (!f || atomic_fetch_sub(&f->refs, 1) != 1) return;
  tw_event_free(f->event);
  tw_free(f);
}

static bool read_members(frame *f) {
  tw_store *store = f->event->store;
  tw_cursor cursor = tw_cursor_begin(f->event, f->event->root);
  while (tw_cursor_next(&cursor)) {
    member *m = &f->members[f->count++];
    m->key = tw_node_string(store, cursor.key, &m->key_len);
    if (!m->key) return false;
    const tw_node *key = tw_store_node(store, cursor.key);
    const tw_node *value = tw_store_node(store, cursor.value);
    m->key_text = key->text, m->key_text_len = key->len;
    m->value = value->text, m->value_len = value->len;
  }
  return true;
}

/* @param event  kept */
static frame *new_frame(const char *name, tw_event *event) {
  size_t count = tw_event_count(event, event->root), len = strlen(name);
  frame *f = tw_malloc(sizeof *f + count * sizeof(member) + len + 1);
  if (!f) {
    tw_event_free(event);
    return NULL;
  }
  atomic_init(&f->refs, 1);
  f->event = event;
  f->count = 0;
  f->name = memcpy(f->members + count, name, len + 1);
  if (read_members(f)) return f;
  unref_frame(f);
  return NULL;
}

/* -------------------------------------------------------------------- life */

tw_context *tw_context_new(void) {
  tw_context *context = tw_calloc(1, sizeof *context);
  if (!context) return NULL;
  if (pthread_mutex_init(&context->mutex, NULL) != 0) {
    tw_free(context);
    return NULL;
  }
  atomic_init(&context->refs, 1);
  return context;
}

tw_context *tw_context_ref(tw_context *context) {
  atomic_fetch_add_explicit(&context->refs, 1, memory_order_relaxed);
  return context;
}

void tw_context_unref(tw_context *context) {
  if (!context || atomic_fetch_sub(&context->refs, 1) != 1) return;
  for (size_t i = 0; i < context->count; i++) unref_frame(context->frames[i].frame);
  tw_free(context->frames);
  tw_buffer_fini(&context->merged);
  pthread_mutex_destroy(&context->mutex);
  tw_free(context);
}

static bool reserve(tw_context *context, size_t count) {
  if (count <= context->cap) return true;
  size_t cap = context->cap * 2 > count ? context->cap * 2 : count + 3;
  entered *frames = tw_realloc(context->frames, cap * sizeof *frames);
  if (!frames) return false;
  context->frames = frames;
  context->cap = cap;
  return true;
}

tw_context *tw_context_copy(tw_context *context) {
  tw_context *copy = tw_context_new();
  if (!copy) return NULL;
  pthread_mutex_lock(&context->mutex);
  bool fits = reserve(copy, context->count);
  for (size_t i = 0; fits && i < context->count; i++) {
    copy->frames[i] = context->frames[i];
    atomic_fetch_add_explicit(&copy->frames[i].frame->refs, 1, memory_order_relaxed);
    copy->count++;
  }
  pthread_mutex_unlock(&context->mutex);
  if (fits) return copy;
  tw_context_unref(copy);
  return NULL;
}

/* ------------------------------------------------------------- enter, exit */

/* The innermost context of a name, NULL when there is none. Under the mutex. */
static entered *find_shown(tw_context *context, const char *name) {
  for (size_t i = context->count; i > 0; i--) {
    if (strcmp(context->frames[i - 1].frame->name, name) == 0) return &context->frames[i - 1];
  }
  return NULL;
}

/* Under the mutex. */
static void push(tw_context *context, frame *f) {
  entered *outer = find_shown(context, f->name);
  if (outer) outer->is_hidden = true;
  context->frames[context->count++] = (entered){f, false};
  context->is_merged = false;
}

tw_status tw_context_enter(tw_context *context, const char *name, const char *json, size_t len,
                           tw_error *error) {
  tw_event *event;
  tw_status status = tw_event_parse(json, len, NULL, &event, error);
  if (status != TW_OK) {
    tw_error_prefix(error, "context \"%.80s\": ", name);
    return status;
  }
  frame *f = new_frame(name, event);
  if (!f) return tw_no_memory(error);
  pthread_mutex_lock(&context->mutex);
  bool fits = reserve(context, context->count + 1);
  if (fits) push(context, f);
  pthread_mutex_unlock(&context->mutex);
  if (fits) return TW_OK;
  unref_frame(f);
  return tw_no_memory(error);
}

static tw_status fail_not_entered(const tw_context *context, const char *name,
                                  tw_error *error) {
  const char *known[32];
  size_t count = 0;
  for (size_t i = 0; i < context->count && count < 32; i++) {
    if (!context->frames[i].is_hidden) known[count++] = context->frames[i].frame->name;
  }
  return tw_fail_unknown(error, TW_ENOENT, "no entered context", name, known, count,
                         "none is entered");
}

tw_status tw_context_exit(tw_context *context, const char *name, tw_error *error) {
  frame *gone = NULL;
  tw_status status = TW_OK;
  pthread_mutex_lock(&context->mutex);
  entered *found = find_shown(context, name);
  if (found) {
    entered *end = context->frames + context->count--;
    gone = found->frame;
    memmove(found, found + 1, (size_t)(end - found - 1) * sizeof *found);
    entered *outer = find_shown(context, name);
    if (outer) outer->is_hidden = false;
    context->is_merged = false;
  } else {
    status = fail_not_entered(context, name, error);
  }
  pthread_mutex_unlock(&context->mutex);
  unref_frame(gone);
  return status;
}

/* ------------------------------------------------------------------- union */

static bool same_key(const member *a, const member *b) {
  return a->key_len == b->key_len && memcmp(a->key, b->key, a->key_len) == 0;
}

/* Members, each key once, and a hash table of their numbers + 1, at most half full. */
typedef struct gathering {
  const member **members;
  uint32_t *table;
  size_t count, mask;
} gathering;

/* @param room  for all members. One block holds both, to be freed as `members` */
static bool begin_gathering(gathering *g, size_t room) {
  size_t size = 8;
  while (size < room * 2) size *= 2;
  g->members = tw_malloc(room * sizeof(member *) + size * sizeof *g->table);
  if (!g->members) return false;
  g->table = memset(g->members + room, 0, size * sizeof *g->table);
  g->count = 0;
  g->mask = size - 1;
  return true;
}

static void gather(gathering *g, const member *m) {
  size_t at = XXH3_64bits(m->key, m->key_len) & g->mask;
  for (; g->table[at]; at = (at + 1) & g->mask) {
    const member **there = &g->members[g->table[at] - 1];
    if (!same_key(*there, m)) continue;
    *there = m;
    return;
  }
  g->members[g->count++] = m;
  g->table[at] = (uint32_t)g->count;
}

/* The members of all frames that show. */
static void gather_all(gathering *g, const tw_context *context) {
  for (size_t i = 0; i < context->count; i++) {
    if (context->frames[i].is_hidden) continue;
    const frame *f = context->frames[i].frame;
    for (size_t j = 0; j < f->count; j++) gather(g, &f->members[j]);
  }
}

static bool write_member(tw_buffer *out, const member *m, bool is_first) {
  size_t need = m->key_text_len + m->value_len + 4;
  return tw_buffer_reserve(out, need) && (is_first || tw_buffer_byte(out, ',')) &&
         tw_buffer_byte(out, '"') && tw_buffer_append(out, m->key_text, m->key_text_len) &&
         tw_buffer_append(out, "\":", 2) && tw_buffer_append(out, m->value, m->value_len);
}

/* Under the mutex. */
static bool merge(tw_context *context) {
  size_t room = 0;
  if (context->is_merged) return true;
  for (size_t i = 0; i < context->count; i++) room += context->frames[i].frame->count;
  gathering g;
  if (!begin_gathering(&g, room)) return false;
  gather_all(&g, context);
  context->merged.len = 0;
  bool fits = tw_buffer_byte(&context->merged, '{');
  for (size_t i = 0; fits && i < g.count; i++) {
    fits = write_member(&context->merged, g.members[i], i == 0);
  }
  context->is_merged = fits && tw_buffer_byte(&context->merged, '}');
  tw_free(g.members);
  return context->is_merged;
}

bool tw_context_append(tw_context *context, tw_buffer *out) {
  pthread_mutex_lock(&context->mutex);
  bool fits =
      merge(context) && tw_buffer_append(out, context->merged.data, context->merged.len);
  pthread_mutex_unlock(&context->mutex);
  return fits;
}

tw_status tw_context_resolve(tw_context *context, char **text, size_t *len, tw_error *error) {
  tw_buffer copy = {0};
  *text = NULL;
  if (!tw_context_append(context, &copy) || !tw_buffer_pad(&copy, 1)) {
    tw_buffer_fini(&copy);
    return tw_no_memory(error);
  }
  *text = copy.data;
  *len = copy.len;
  return TW_OK;
}

void tw_context_visit(tw_context *context, tw_context_visit_fn visit, void *self) {
  pthread_mutex_lock(&context->mutex);
  for (size_t i = 0; i < context->count; i++) {
    if (context->frames[i].is_hidden) continue;
    const frame *f = context->frames[i].frame;
    const tw_node *root = tw_store_node(f->event->store, f->event->root);
    visit(self, f->name, root->text, root->len);
  }
  pthread_mutex_unlock(&context->mutex);
}
