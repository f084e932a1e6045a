/* The key of a backend is its kind and its options with the names in order: a Lua table has
   none. Options inside of options are left as they are; told apart too much, a backend is
   only opened anew. */
#include "script/object/pool.h"

#include <stdlib.h>
#include <string.h>

#include "core/kind.h"
#include "event/event.h"

struct tw_pooled {
  tw_pooled *next;
  tw_backend *backend; /* a reference */
  size_t shares;       /* guarded by the pool, as is the list */
  char *key;
};

void tw_pool_init(tw_pool *pool) {
  pthread_mutex_init(&pool->mutex, NULL);
  pool->entries = NULL;
}

void tw_pool_fini(tw_pool *pool) { pthread_mutex_destroy(&pool->mutex); }

/* --------------------------------------------------------------------- key */

/* "name":value of one option. */
static char *member_text(tw_cursor *at) {
  tw_buffer text = {0};
  const tw_node *key = tw_store_node(at->event->store, at->key);
  bool fits = tw_buffer_append(&text, key->text, key->len) && tw_buffer_byte(&text, ':') &&
              tw_event_render(at->event, at->value, &text) && tw_buffer_byte(&text, '\0');
  if (fits) return text.data;
  tw_buffer_fini(&text);
  return NULL;
}

static int compare(const void *a, const void *b) {
  return strcmp(*(char *const *)a, *(char *const *)b);
}

static bool append_members(const tw_event *options, tw_buffer *out) {
  size_t count = 0;
  char **members = tw_calloc(tw_event_count(options, options->root) + 1, sizeof *members);
  tw_cursor at = tw_cursor_begin(options, options->root);
  bool fits = members != NULL;
  while (fits && tw_cursor_next(&at)) fits = (members[count++] = member_text(&at)) != NULL;
  if (fits) qsort(members, count, sizeof *members, compare);
  for (size_t i = 0; i < count; i++) {
    fits = fits && tw_buffer_byte(out, ' ') &&
           tw_buffer_append(out, members[i], strlen(members[i]));
    tw_free(members[i]);
  }
  tw_free(members);
  return fits;
}

/* Kind, worker where each has its own, and the options in order. */
static tw_status make_key(const tw_share *share, const char *kind, const char *options,
                          size_t len, char **out, tw_error *error) {
  tw_event *event;
  tw_buffer key = {0};
  *out = NULL;
  if (!options) options = "{}", len = 2;
  tw_status status = tw_event_parse(options, len, NULL, &event, error);
  if (status) return status;
  bool fits = tw_buffer_append(&key, kind, strlen(kind));
  if (fits && tw_backend_kind_is_per_worker(kind))
    fits = tw_buffer_printf(&key, " %u", share->worker);
  fits = fits && append_members(event, &key) && tw_buffer_byte(&key, '\0');
  tw_event_free(event);
  if (fits) *out = key.data;
  else tw_buffer_fini(&key);
  return fits ? TW_OK : tw_no_memory(error);
}

/* -------------------------------------------------------------------- take */

static bool has_taken(const tw_share *share, const tw_pooled *entry) {
  size_t i = 0;
  while (i < share->count && share->taken[i] != entry) i++;
  return i < share->count;
}

/* Entries are appended, so that the n-th of a key is the n-th for every share. */
static tw_pooled **find(tw_share *share, const char *key) {
  tw_pooled **at = &share->pool->entries;
  while (*at && (strcmp((*at)->key, key) != 0 || has_taken(share, *at))) at = &(*at)->next;
  return at;
}

static tw_status reserve(tw_share *share, tw_error *error) {
  if (share->count < share->cap) return TW_OK;
  size_t cap = share->cap ? share->cap * 2 : 8;
  tw_pooled **taken = tw_realloc(share->taken, cap * sizeof(void *));
  if (!taken) return tw_no_memory(error);
  share->taken = taken;
  share->cap = cap;
  return TW_OK;
}

static tw_status append(tw_pooled **end, const char *kind, const char *options, size_t len,
                        char *key, tw_error *error) {
  tw_pooled *entry = tw_calloc(1, sizeof *entry);
  if (!entry) return tw_no_memory(error);
  tw_status status = tw_backend_new_kind(kind, options, len, &entry->backend, error);
  if (status == TW_OK) entry->key = tw_strdup(key);
  if (status == TW_OK && !entry->key) status = tw_no_memory(error);
  if (status) {
    tw_backend_unref(entry->backend);
    tw_free(entry);
    return status;
  }
  *end = entry;
  return TW_OK;
}

tw_status tw_pool_take(tw_share *share, const char *kind, const char *options, size_t len,
                       tw_backend **out, tw_error *error) {
  char *key;
  *out = NULL;
  tw_status status = make_key(share, kind, options, len, &key, error);
  if (status) return status;
  pthread_mutex_lock(&share->pool->mutex);
  tw_pooled **at = find(share, key);
  status = reserve(share, error);
  if (status == TW_OK && !*at) status = append(at, kind, options, len, key, error);
  if (status == TW_OK) {
    share->taken[share->count++] = *at;
    (*at)->shares++;
    *out = tw_backend_ref((*at)->backend);
  }
  pthread_mutex_unlock(&share->pool->mutex);
  tw_free(key);
  return status;
}

/* ----------------------------------------------------------------- give back */

/* Takes an entry out that nobody shares any more. */
static void release(tw_pool *pool, tw_pooled *entry) {
  if (--entry->shares) return;
  tw_pooled **at = &pool->entries;
  while (*at != entry) at = &(*at)->next;
  *at = entry->next;
  tw_backend_unref(entry->backend);
  tw_free(entry->key);
  tw_free(entry);
}

void tw_share_end(tw_share *share) {
  if (share->count) pthread_mutex_lock(&share->pool->mutex);
  for (size_t i = 0; i < share->count; i++) release(share->pool, share->taken[i]);
  if (share->count) pthread_mutex_unlock(&share->pool->mutex);
  tw_free(share->taken);
  share->taken = NULL;
  share->count = share->cap = 0;
}
