/* shared.c: a hash table with chains behind a lock of its own for each store, and the list of
   the stores that are open.

   Invariants: `bytes` is what the entries weigh, and no entry expires before `soonest`. What
   has expired goes when it is looked up, and all of it when the store is full: a search
   through everything is made only when `soonest` has come, so filling a full store is cheap.
   A reference is taken and the last one let go under the lock of the list, which is never
   held while a store is used. */
#include "core/shared.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <xxhash.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/status.h"

typedef struct entry {
  struct entry *next; /* of the chain */
  uint64_t hash;
  int64_t expires;
  tw_kv_value value; /* a string's text is owned */
  size_t len;
  char key[];
} entry;

struct tw_kv {
  tw_kv *next; /* guarded by the lock of the list, as refs */
  size_t refs;
  char *name;
  tw_kv_bounds bounds;
  uint64_t seed;
  pthread_mutex_t lock; /* guards what follows */
  entry **chains;
  size_t chain_count; /* a power of two */
  size_t count, bytes;
  int64_t soonest;
};

static pthread_mutex_t list_lock = PTHREAD_MUTEX_INITIALIZER;
static tw_kv *list;

static atomic_size_t all_bytes; /* of all stores */

/* Keys come from events: who sends them must not know which fall into one chain. */
static uint64_t hash_of(const tw_kv *store, const char *key, size_t len) {
  return XXH3_64bits_withSeed(key, len, store->seed);
}

/* -------------------------------------------------------------- open, close */

static void destroy(tw_kv *store) {
  for (size_t i = 0; i < store->chain_count; i++) {
    for (entry *e = store->chains[i], *next; e; e = next) {
      next = e->next;
      tw_free((char *)e->value.text);
      tw_free(e);
    }
  }
  pthread_mutex_destroy(&store->lock);
  atomic_fetch_sub(&all_bytes, store->bytes);
  tw_free(store->chains);
  tw_free(store->name);
  tw_free(store);
}

enum { FIRST_CHAINS = 16 };

static tw_kv *new_store(const char *name, const tw_kv_bounds *bounds) {
  tw_kv *store = tw_calloc(1, sizeof *store);
  if (!store) return NULL;
  store->name = tw_strdup(name);
  store->chains = tw_calloc(FIRST_CHAINS, sizeof(void *));
  if (!store->name || !store->chains) {
    tw_free(store->name);
    tw_free(store->chains);
    tw_free(store);
    return NULL;
  }
  pthread_mutex_init(&store->lock, NULL);
  store->chain_count = FIRST_CHAINS;
  store->seed = tw_clock_monotonic_ns() ^ (uintptr_t)store;
  if (bounds) store->bounds = *bounds;
  if (!store->bounds.max_entries) store->bounds.max_entries = TW_KV_ENTRIES;
  if (!store->bounds.max_bytes) store->bounds.max_bytes = TW_KV_BYTES;
  store->soonest = TW_KV_FOREVER;
  return store;
}

tw_status tw_kv_open(const char *name, const tw_kv_bounds *bounds, tw_kv **out,
                     tw_error *error) {
  pthread_mutex_lock(&list_lock);
  tw_kv *store = list;
  while (store && strcmp(store->name, name) != 0) store = store->next;
  if (!store && (store = new_store(name, bounds))) {
    store->next = list;
    list = store;
  }
  if (store) store->refs++;
  pthread_mutex_unlock(&list_lock);
  *out = store;
  return store ? TW_OK : tw_no_memory(error);
}

void tw_kv_close(tw_kv *store) {
  if (!store) return;
  pthread_mutex_lock(&list_lock);
  bool last = --store->refs == 0;
  if (last) {
    tw_kv **link = &list;
    while (*link != store) link = &(*link)->next;
    *link = store->next;
  }
  pthread_mutex_unlock(&list_lock);
  if (last) destroy(store);
}

/* ------------------------------------------------------- entries, under lock */

static size_t weight_of(const entry *e) { return sizeof *e + e->len + e->value.len; }

static void change_weight(tw_kv *store, size_t less, size_t more) {
  store->bytes = store->bytes - less + more;
  atomic_fetch_add(&all_bytes, more - less);
}

static entry **chain_of(const tw_kv *store, uint64_t hash) {
  return &store->chains[hash & (store->chain_count - 1)];
}

static void remove_at(tw_kv *store, entry **link) {
  entry *gone = *link;
  *link = gone->next;
  store->count--;
  change_weight(store, weight_of(gone), 0);
  tw_free((char *)gone->value.text);
  tw_free(gone);
}

/* The link to the entry of a key; NULL when there is none that lives. */
static entry **find(tw_kv *store, const char *key, size_t len, int64_t now) {
  uint64_t hash = hash_of(store, key, len);
  for (entry **link = chain_of(store, hash); *link; link = &(*link)->next) {
    const entry *e = *link;
    if (e->hash != hash || e->len != len || memcmp(e->key, key, len) != 0) continue;
    if (e->expires > now) return link;
    remove_at(store, link);
    return NULL;
  }
  return NULL;
}

/* Takes out everything that has expired. */
static void sweep(tw_kv *store, int64_t now) {
  if (now < store->soonest) return;
  store->soonest = TW_KV_FOREVER;
  for (size_t i = 0; i < store->chain_count; i++) {
    for (entry **link = &store->chains[i]; *link;) {
      if ((*link)->expires <= now) {
        remove_at(store, link);
        continue;
      }
      if ((*link)->expires < store->soonest) store->soonest = (*link)->expires;
      link = &(*link)->next;
    }
  }
}

/* More chains, so that they stay short. Without memory they grow longer instead. */
static void grow(tw_kv *store) {
  if (store->count < store->chain_count) return;
  size_t wanted = store->chain_count * 2, before = store->chain_count;
  entry **chains = tw_calloc(wanted, sizeof(void *)), **old = store->chains;
  if (!chains) return;
  store->chains = chains;
  store->chain_count = wanted;
  for (size_t i = 0; i < before; i++) {
    for (entry *e = old[i], *next; e; e = next) {
      next = e->next;
      entry **chain = chain_of(store, e->hash);
      e->next = *chain;
      *chain = e;
    }
  }
  tw_free(old);
}

static tw_status check_room(tw_kv *store, size_t entries, size_t more, int64_t now,
                            tw_error *error) {
  const tw_kv_bounds *bounds = &store->bounds;
  bool fits = false;
  for (int attempt = 0; attempt < 2 && !fits; attempt++) {
    if (attempt) sweep(store, now);
    fits = store->count + entries <= bounds->max_entries && more <= bounds->max_bytes &&
           store->bytes <= bounds->max_bytes - more;
  }
  if (fits && (more > TW_KV_ALL || atomic_load(&all_bytes) > TW_KV_ALL - more))
    return tw_fail(
        error, TW_ELIMIT,
        "the shared stores of the process are full: together they hold %zu bytes; let "
        "values expire, or delete them",
        (size_t)TW_KV_ALL);
  if (fits) return TW_OK;
  return tw_fail(error, TW_ELIMIT,
                 "the shared store \"%s\" is full: %zu of %zu entries, %zu of %zu bytes; let "
                 "values expire, or delete them",
                 store->name, store->count, bounds->max_entries, store->bytes,
                 bounds->max_bytes);
}

static void set_expiry(tw_kv *store, entry *e, int64_t ttl, int64_t now) {
  if (__builtin_add_overflow(now, ttl, &e->expires)) e->expires = TW_KV_FOREVER;
  if (e->expires < store->soonest) store->soonest = e->expires;
}

static tw_status insert(tw_kv *store, const char *key, size_t len, size_t extra, int64_t now,
                        entry **out, tw_error *error) {
  tw_status status = check_room(store, 1, sizeof **out + len + extra, now, error);
  if (status) return status;
  grow(store);
  entry *e = tw_malloc(sizeof *e + len);
  if (!e) return tw_no_memory(error);
  *e = (entry){.hash = hash_of(store, key, len), .expires = TW_KV_FOREVER, .len = len};
  memcpy(e->key, key, len);
  entry **chain = chain_of(store, e->hash);
  e->next = *chain;
  *chain = e;
  store->count++;
  change_weight(store, 0, weight_of(e));
  *out = e;
  return TW_OK;
}

/* `value` is the entry's from now on. */
static void assign(tw_kv *store, entry *e, const tw_kv_value *value) {
  tw_free((char *)e->value.text);
  change_weight(store, e->value.len, value->len);
  e->value = *value;
}

/* ------------------------------------------------------------------- public */

tw_status tw_kv_get(tw_kv *store, const char *key, size_t len, int64_t now, tw_kv_value *out,
                    tw_error *error) {
  tw_status status = TW_OK;
  *out = (tw_kv_value){.type = TW_KV_NIL};
  pthread_mutex_lock(&store->lock);
  entry **link = find(store, key, len, now);
  if (link) *out = (*link)->value;
  if (out->type == TW_KV_STRING && !(out->text = tw_memdup(out->text, out->len))) {
    *out = (tw_kv_value){.type = TW_KV_NIL};
    status = tw_no_memory(error);
  }
  pthread_mutex_unlock(&store->lock);
  return status;
}

/* Under the lock. `copy` is kept when it succeeds. */
static tw_status put(tw_kv *store, const char *key, size_t len, const tw_kv_value *copy,
                     int64_t ttl, int64_t now, tw_error *error) {
  entry **link = find(store, key, len, now);
  entry *e = link ? *link : NULL;
  tw_status status = TW_OK;
  if (!e) status = insert(store, key, len, copy->len, now, &e, error);
  else if (copy->len > e->value.len) {
    status = check_room(store, 0, copy->len - e->value.len, now, error);
  }
  if (status) return status;
  assign(store, e, copy);
  set_expiry(store, e, ttl, now);
  return TW_OK;
}

tw_status tw_kv_set(tw_kv *store, const char *key, size_t len, const tw_kv_value *value,
                    int64_t ttl, int64_t now, tw_error *error) {
  if (value->type == TW_KV_NIL) {
    tw_kv_delete(store, key, len, now);
    return TW_OK;
  }
  tw_kv_value copy = *value;
  copy.text = NULL;
  if (value->type != TW_KV_STRING) copy.len = 0;
  else if (!(copy.text = tw_memdup(value->text, value->len))) return tw_no_memory(error);
  pthread_mutex_lock(&store->lock);
  tw_status status = put(store, key, len, &copy, ttl, now, error);
  pthread_mutex_unlock(&store->lock);
  if (status) tw_free((char *)copy.text);
  return status;
}

/* `by` becomes the sum of itself and `old`: an integer when both are. */
static tw_status add(const tw_kv_value *old, tw_kv_value *by, tw_error *error) {
  if (old->type == TW_KV_INTEGER && by->type == TW_KV_INTEGER) {
    if (!__builtin_add_overflow(old->integer, by->integer, &by->integer)) return TW_OK;
    return tw_fail(error, TW_ELIMIT, "the sum is beyond a 64-bit integer");
  }
  if (old->type != TW_KV_INTEGER && old->type != TW_KV_NUMBER)
    return tw_fail(error, TW_ETYPE, "the value is no number");
  double a = old->type == TW_KV_INTEGER ? (double)old->integer : old->number;
  double b = by->type == TW_KV_INTEGER ? (double)by->integer : by->number;
  *by = (tw_kv_value){.type = TW_KV_NUMBER, .number = a + b};
  return TW_OK;
}

tw_status tw_kv_incr(tw_kv *store, const char *key, size_t len, tw_kv_value *by, int64_t ttl,
                     int64_t now, tw_error *error) {
  by->text = NULL;
  by->len = 0;
  pthread_mutex_lock(&store->lock);
  entry **link = find(store, key, len, now);
  tw_status status = link ? add(&(*link)->value, by, error) : TW_OK;
  if (link && status == TW_OK) assign(store, *link, by);
  else if (!link) status = put(store, key, len, by, ttl, now, error);
  pthread_mutex_unlock(&store->lock);
  return status;
}

bool tw_kv_delete(tw_kv *store, const char *key, size_t len, int64_t now) {
  pthread_mutex_lock(&store->lock);
  entry **link = find(store, key, len, now);
  if (link) remove_at(store, link);
  pthread_mutex_unlock(&store->lock);
  return link != NULL;
}

int64_t tw_kv_ttl(tw_kv *store, const char *key, size_t len, int64_t now) {
  int64_t ttl = -1;
  pthread_mutex_lock(&store->lock);
  entry **link = find(store, key, len, now);
  if (link) ttl = (*link)->expires == TW_KV_FOREVER ? TW_KV_FOREVER : (*link)->expires - now;
  pthread_mutex_unlock(&store->lock);
  return ttl;
}

bool tw_kv_expire(tw_kv *store, const char *key, size_t len, int64_t ttl, int64_t now) {
  pthread_mutex_lock(&store->lock);
  entry **link = find(store, key, len, now);
  if (link) set_expiry(store, *link, ttl, now);
  pthread_mutex_unlock(&store->lock);
  return link != NULL;
}

size_t tw_kv_count(tw_kv *store, int64_t now) {
  pthread_mutex_lock(&store->lock);
  sweep(store, now);
  size_t count = store->count;
  pthread_mutex_unlock(&store->lock);
  return count;
}
