/* The thread-local locator. One key for the process, whose value is the thread's list of
   *cells*: its context for each locator. A key for each locator would be simpler, but keys
   are few (PTHREAD_KEYS_MAX, 1024, shared with the host), and deleting a key leaves the
   contexts of all other threads behind, with no safe moment to free them.

   A cell is in two lists: its thread's, which only that thread walks and changes, and its
   locator's. A locator that is freed takes the contexts out of its cells; the empty cells go
   when their threads next miss one, or end. One mutex guards what two threads may touch: the
   locators' lists, and the contexts in the cells. Finding a cell takes no lock. */
#include <pthread.h>
#include <stdatomic.h>

#include "base/alloc.h"
#include "base/status.h"

typedef struct cell cell;

typedef struct thread_locator {
  cell *cells; ///< guarded
} thread_locator;

struct cell {
  _Atomic(thread_locator *) locator; ///< NULL: freed. Written under the mutex
  tw_context *context;               ///< owned; NULL when the locator was freed
  cell *next_of_thread;
  cell *next, **link; ///< in the locator's list; guarded
};

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_key_t key;
static bool has_key;

/* Takes the cell out of its locator's list. Under the mutex. */
static void detach(cell *c) {
  if (!atomic_load(&c->locator)) return;
  *c->link = c->next;
  if (c->next) c->next->link = c->link;
  atomic_store(&c->locator, NULL);
}

/* The destructor of the key. */
static void end_thread(void *list) {
  for (cell *c = list; c;) {
    cell *next = c->next_of_thread;
    pthread_mutex_lock(&mutex);
    detach(c);
    tw_context *context = c->context;
    c->context = NULL;
    pthread_mutex_unlock(&mutex);
    tw_context_unref(context);
    tw_free(c);
    c = next;
  }
}

static void make_key(void) { has_key = pthread_key_create(&key, end_thread) == 0; }

/* A Lua host may unload the library while threads live on: they must not come back here. */
__attribute__((destructor)) static void delete_key(void) {
  if (has_key) pthread_key_delete(key);
}

/* Frees the calling thread's cells whose locators are gone. */
static cell *sweep(cell *list) {
  cell **link = &list;
  while (*link) {
    cell *c = *link;
    if (atomic_load(&c->locator)) {
      link = &c->next_of_thread;
      continue;
    }
    *link = c->next_of_thread;
    pthread_mutex_lock(&mutex); /* the locator may still be taking the context out */
    tw_context *context = c->context;
    pthread_mutex_unlock(&mutex);
    tw_context_unref(context);
    tw_free(c);
  }
  return list;
}

static cell *add_cell(thread_locator *locator) {
  cell *c = tw_calloc(1, sizeof *c);
  tw_context *context = c ? tw_context_new() : NULL;
  cell *list = sweep(pthread_getspecific(key));
  if (!context || pthread_setspecific(key, c) != 0) {
    pthread_setspecific(key, list);
    tw_context_unref(context);
    tw_free(c);
    return NULL;
  }
  c->context = context;
  c->next_of_thread = list;
  pthread_mutex_lock(&mutex);
  c->next = locator->cells;
  c->link = &locator->cells;
  if (c->next) c->next->link = &c->next;
  locator->cells = c;
  atomic_store(&c->locator, locator);
  pthread_mutex_unlock(&mutex);
  return c;
}

static tw_context *thread_get(void *self) {
  cell *c = pthread_getspecific(key);
  while (c && atomic_load_explicit(&c->locator, memory_order_relaxed) != self) {
    c = c->next_of_thread;
  }
  if (!c) c = add_cell(self);
  return c ? tw_context_ref(c->context) : NULL;
}

/* A context that is being unreferenced may run no code of ours: the mutex may be held. */
static void thread_free(void *self) {
  thread_locator *locator = self;
  pthread_mutex_lock(&mutex);
  while (locator->cells) {
    cell *c = locator->cells;
    detach(c);
    tw_context_unref(c->context);
    c->context = NULL;
  }
  pthread_mutex_unlock(&mutex);
  pthread_setspecific(key, sweep(pthread_getspecific(key)));
  tw_free(locator);
}

tw_status tw_locator_new_thread_local(tw_locator **out, tw_error *error) {
  static const tw_locator_ops ops = {thread_get, thread_free};
  *out = NULL;
  pthread_once(&once, make_key);
  if (!has_key) {
    return tw_fail(error, TW_ELIMIT,
                   "no thread-specific key is left in this process (PTHREAD_KEYS_MAX); use "
                   "another locator, or free keys of the host");
  }
  thread_locator *locator = tw_calloc(1, sizeof *locator);
  if (!locator) return tw_no_memory(error);
  return tw_locator_new(&ops, locator, out, error);
}
