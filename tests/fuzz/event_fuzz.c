/* A random program of edits over branches of one event, and over a naive tree for each
 * branch. After the program (and where it says so) every branch must render as its tree, and
 * statuses and searches must agree on the way.
 *
 * Input: JSON text up to a NUL (a built-in one when it is no event), then the program. */
#include <stdio.h>
#include <stdlib.h>

#include "event/event.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CHECK(condition)                                                    \
  do {                                                                      \
    if (!(condition)) {                                                     \
      fprintf(stderr, "line %d: %s does not hold\n", __LINE__, #condition); \
      abort();                                                              \
    }                                                                       \
  } while (0)

enum { BRANCHES = 4, MAX_DEPTH = 12, MAX_TREE = 4000 };

/* ------------------------------------------------------------------- trees */

typedef struct tree tree;
typedef struct {
  const char *key; /* unescaped */
  size_t len;
  tree *value;
} member;
struct tree {
  tw_kind kind; /* of scalars only whether it is a container matters */
  const char *text;
  size_t len;
  member *members;
  size_t count, cap;
};

static tw_arena memory; /* of all trees of one run */

static void *need(size_t size) {
  void *block = tw_arena_alloc(&memory, size);
  CHECK(block);
  memset(block, 0, size);
  return block;
}

static void add_member(tree *t, size_t at, member m) {
  if (t->count == t->cap) {
    t->cap = t->cap ? t->cap * 2 : 4;
    member *members = need(t->cap * sizeof *members);
    if (t->count) memcpy(members, t->members, t->count * sizeof *members);
    t->members = members;
  }
  memmove(t->members + at + 1, t->members + at, (t->count - at) * sizeof m);
  t->members[at] = m;
  t->count++;
}

static void drop_member(tree *t, size_t at) {
  memmove(t->members + at, t->members + at + 1, (--t->count - at) * sizeof *t->members);
}

static char *keep(const char *bytes, size_t len) {
  char *copy = need(len + 1);
  if (len) memcpy(copy, bytes, len);
  return copy;
}

static tree *tree_of(const tw_event *event, tw_ref ref) {
  const tw_node *node = tw_store_node(event->store, ref);
  tree *t = need(sizeof *t);
  t->kind = tw_node_kind(node);
  t->text = keep(node->text, node->len);
  t->len = node->len;
  if (!tw_kind_is_container(t->kind)) return t;
  tw_cursor cursor = tw_cursor_begin(event, ref);
  while (tw_cursor_next(&cursor)) {
    member m = {0};
    if (!cursor.is_array) {
      const char *key = tw_node_string(event->store, cursor.key, &m.len);
      m.key = keep(key, m.len);
    }
    m.value = tree_of(event, cursor.value);
    add_member(t, t->count, m);
  }
  return t;
}

static tree *copy_tree(const tree *from) {
  tree *t = need(sizeof *t);
  *t = *from;
  t->cap = t->count;
  t->members = need((t->count + 1) * sizeof *t->members);
  for (size_t i = 0; i < t->count; i++) {
    t->members[i] = from->members[i];
    t->members[i].value = copy_tree(from->members[i].value);
  }
  return t;
}

static uint32_t depth(const tree *t) {
  uint32_t deepest = 0;
  for (size_t i = 0; i < t->count; i++) {
    uint32_t d = depth(t->members[i].value);
    if (d > deepest) deepest = d;
  }
  return tw_kind_is_container(t->kind) ? deepest + 1 : 0;
}

static size_t tree_size(const tree *t) {
  size_t total = 1;
  for (size_t i = 0; i < t->count; i++) total += tree_size(t->members[i].value);
  return total;
}

/* Index of the last member of a key; count when there is none. */
static size_t last_of(const tree *t, const char *key, size_t len) {
  for (size_t i = t->count; i; i--)
    if (t->members[i - 1].len == len && memcmp(t->members[i - 1].key, key, len) == 0)
      return i - 1;
  return t->count;
}

static void check_same(const tree *a, const tree *b) {
  CHECK(tw_kind_is_container(a->kind) == tw_kind_is_container(b->kind));
  if (!tw_kind_is_container(a->kind)) {
    CHECK(a->len == b->len && memcmp(a->text, b->text, a->len) == 0);
    return;
  }
  CHECK(a->kind == b->kind && a->count == b->count);
  for (size_t i = 0; i < a->count; i++) {
    CHECK(a->members[i].len == b->members[i].len);
    if (a->members[i].key)
      CHECK(memcmp(a->members[i].key, b->members[i].key, a->members[i].len) == 0);
    check_same(a->members[i].value, b->members[i].value);
  }
}

/* ---------------------------------------------------------------- programs */

typedef struct {
  tw_event event;
  tree *tree;
  bool used;
  bool edited;
} branch;

typedef struct {
  const uint8_t *next, *end;
  tw_store store;
  branch branches[BRANCHES];
} machine;

static const char *const keys[] = {"a",   "b",        "a\n",   "",
                                   "key", "\xc3\xa9", "twice", "\xed\xa0\x80"};
static const char *const values[] = {"1",
                                     "\"s\"",
                                     "{}",
                                     "[]",
                                     "null",
                                     "{\"a\":{\"b\" : [1, 2]}}",
                                     "[ 1,{\"twice\":1,\"twice\":2} ]",
                                     "{\"\\u0061\":1.50, \"b\":[[[]]]}",
                                     " { } ",
                                     "[{},[],{\"key\": \"\\u00e9\"}]",
                                     "1e400",
                                     "{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{}}}}}}"};

static unsigned byte(machine *m) { return m->next < m->end ? *m->next++ : 0; }

/* Goes down from the root by the program; to a container. */
static tw_ref go(machine *m, branch *b, tree **t, uint32_t *level) {
  tw_ref at = b->event.root;
  *t = b->tree;
  *level = 1;
  for (unsigned steps = byte(m) % 5; steps; steps--) {
    size_t pick = (*t)->count ? byte(m) % (*t)->count : 0;
    if (!(*t)->count || !tw_kind_is_container((*t)->members[pick].value->kind)) break;
    tw_cursor cursor = tw_cursor_begin(&b->event, at);
    for (size_t i = 0; i <= pick; i++) CHECK(tw_cursor_next(&cursor));
    at = cursor.value;
    *t = (*t)->members[pick].value;
    ++*level;
  }
  CHECK(tw_event_count(&b->event, at) == (*t)->count);
  CHECK(tw_event_is_array(&b->event, at) == ((*t)->kind == TW_KIND_ARRAY));
  return at;
}

static void check_branch(branch *b) {
  tw_buffer out = {0};
  tw_store store;
  tw_event again;
  tw_error error;
  const tw_limits limits = {.max_depth = MAX_DEPTH, .max_size = SIZE_MAX};
  CHECK(tw_event_render(&b->event, b->event.root, &out));
  if (!b->edited)
    CHECK(out.len == b->tree->len && memcmp(out.data, b->tree->text, out.len) == 0);
  tw_store_init(&store, &limits);
  tw_status status = tw_store_parse_copy(&store, out.data, out.len, &again, &error);
  if (status) fprintf(stderr, "%s in %.*s\n", error.message, (int)out.len, out.data);
  CHECK(status == TW_OK);
  check_same(tree_of(&again, again.root), b->tree);
  tw_event_end(&again);
  tw_store_fini(&store);
  tw_buffer_fini(&out);
}

static void tree_put(tree *t, const char *key, size_t len, tree *value) {
  size_t at = last_of(t, key, len);
  if (at == t->count) {
    add_member(t, at, (member){key, len, value});
    return;
  }
  t->members[at].value = value;
  for (size_t i = at; i; i--)
    if (t->members[i - 1].len == len && memcmp(t->members[i - 1].key, key, len) == 0)
      drop_member(t, i - 1);
}

static void put(machine *m, branch *b, tw_ref value, tree *value_tree) {
  tree *t;
  uint32_t level;
  tw_ref at = go(m, b, &t, &level);
  bool array = t->kind == TW_KIND_ARRAY || (byte(m) & 1 && !t->count && t != b->tree);
  tw_status want = level + depth(value_tree) > MAX_DEPTH ? TW_ELIMIT : TW_OK;
  b->edited = true;
  if (array) {
    uint32_t index = byte(m) % (uint32_t)(t->count + 1);
    CHECK(tw_event_put_at(&b->event, at, index, value, NULL) == want);
    if (want) return;
    t->kind = TW_KIND_ARRAY;
    if (index < t->count) t->members[index].value = value_tree;
    else add_member(t, index, (member){NULL, 0, value_tree});
  } else {
    const char *key = keys[byte(m) % 8];
    CHECK(tw_event_put(&b->event, at, key, strlen(key), value, NULL) == want);
    if (!want) tree_put(t, key, strlen(key), value_tree);
  }
}

static void put_new(machine *m, branch *b) {
  const char *json = values[byte(m) % (sizeof values / sizeof *values)];
  tw_ref value;
  if (tree_size(b->tree) > MAX_TREE) return;
  CHECK(tw_store_json(&m->store, json, strlen(json), &value, NULL) == TW_OK);
  tw_event plain = {.store = &m->store, .root = value};
  put(m, b, value, tree_of(&plain, value));
}

/* @return what stood there, in `value`; NULL when nothing was removed */
static tree *take(machine *m, branch *b, tw_ref *value) {
  tree *t, *taken = NULL;
  uint32_t level;
  tw_ref at = go(m, b, &t, &level);
  b->edited = true;
  if (t->kind == TW_KIND_ARRAY) {
    uint32_t index = byte(m) % (uint32_t)(t->count + 1);
    bool there = tw_event_at(&b->event, at, index, value);
    CHECK(there == (index < t->count));
    CHECK(tw_event_delete_at(&b->event, at, index, NULL) == (there ? TW_OK : TW_ENOENT));
    if (there) taken = t->members[index].value, drop_member(t, index);
    return taken;
  }
  const char *key = keys[byte(m) % 8];
  size_t len = strlen(key), last = last_of(t, key, len);
  bool there = tw_event_find(&b->event, at, key, len, value);
  CHECK(there == (last < t->count));
  CHECK(tw_event_delete(&b->event, at, key, len, NULL) == (there ? TW_OK : TW_ENOENT));
  if (there) taken = t->members[last].value;
  for (size_t i; (i = last_of(t, key, len)) < t->count;) drop_member(t, i);
  return taken;
}

static void move_value(machine *m, branch *b) {
  tw_ref value;
  tree *taken = take(m, b, &value);
  if (taken) put(m, b, value, taken);
}

static void set_root(machine *m, branch *b) {
  tw_ref value;
  tree *taken = take(m, b, &value);
  if (!taken) return;
  bool object = taken->kind == TW_KIND_OBJECT;
  CHECK(tw_event_set_root(&b->event, value, NULL) == (object ? TW_OK : TW_ETYPE));
  if (object) b->tree = taken;
}

static void fork_branch(machine *m, branch *from) {
  branch *to = m->branches + byte(m) % BRANCHES;
  if (to == from) return;
  bool restore = to->used && byte(m) & 1;
  tw_event fork = tw_event_fork(&from->event);
  if (restore) tw_event_restore(&to->event, &fork);
  else {
    if (to->used) tw_event_end(&to->event);
    to->event = fork;
  }
  to->tree = copy_tree(from->tree);
  to->edited = from->edited;
  to->used = true;
}

static void step(machine *m) {
  branch *b = m->branches + byte(m) % BRANCHES;
  if (!b->used) b = m->branches;
  switch (byte(m) % 8) {
    case 0: fork_branch(m, b); break;
    case 1: check_branch(b); break;
    case 2:
    case 3:
    case 4: put_new(m, b); break;
    case 5: {
      tw_ref value;
      take(m, b, &value);
      break;
    }
    case 6: move_value(m, b); break;
    case 7: set_root(m, b); break;
  }
}

static void start(machine *m, const uint8_t *data, size_t size) {
  static const char fallback[] =
      "{ \"a\" : {\"b\":[1, 2,{\"key\":\"x\"}],\"twice\":1,\"tw\\u0069ce\":{}},\n\"b\": "
      "[[1,2],[3]] }";
  const tw_limits limits = {.max_depth = MAX_DEPTH};
  const uint8_t *nul = size ? memchr(data, 0, size) : NULL;
  size_t len = nul ? (size_t)(nul - data) : 0;
  m->next = nul ? nul + 1 : data;
  m->end = data + size;
  tw_store_init(&m->store, &limits);
  branch *b = m->branches;
  if (tw_store_parse_copy(&m->store, (const char *)data, len, &b->event, NULL) != TW_OK)
    CHECK(tw_store_parse_copy(&m->store, fallback, sizeof fallback - 1, &b->event, NULL) ==
          TW_OK);
  b->tree = tree_of(&b->event, b->event.root);
  b->used = true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  machine m = {0};
  start(&m, data, size);
  for (int steps = 0; m.next < m.end && steps < 500; steps++) step(&m);
  for (int i = 0; i < BRANCHES; i++) {
    if (!m.branches[i].used) continue;
    check_branch(m.branches + i);
    tw_event_end(&m.branches[i].event);
  }
  CHECK(m.store.events == 0);
  tw_store_fini(&m.store);
  tw_arena_reset(&memory, 1 << 20);
  return 0;
}
