/* A list of chunks. Those before `unread` were given out by a read: what they hold may be at
   the backend at this moment, so that nobody could say whether it was shed or delivered. They
   stay until `head` has passed them, and only the others are shed. So at any moment

       events that came = delivered + dead letters + shed + waiting

   holds exactly. What is shed goes by priority, and of one priority the oldest first: for each
   there is a place in the list before which no unread chunk has such an event, and which only
   moves towards the end, so that a full outbox costs no walk for each chunk that comes. A
   chunk that holds several priorities is written anew without the lower ones.

   Bounds have one exception, without which large chunks could not pass: one chunk that nobody
   has read may wait whatever the bounds say, if "drop_oldest" has left no other. */
#include "delivery/outbox.h"

#include "base/wait.h"

enum { LEVELS = 3 }; /* priorities, the lowest first */

typedef struct weight {
  uint64_t events, bytes;
} weight;

typedef struct node {
  struct node *before, *behind;
  tw_chunk *chunk;
  uint32_t through;     /* of its events, from the first, are below `head` */
  weight level[LEVELS]; /* of the others, by priority */
} node;

typedef struct memory {
  tw_outbox base;
  tw_dead_fn dead;
  void *self;
  node *first, *last;
  node *unread;         /* the first one that was not read, and with it all behind it */
  weight spare[LEVELS]; /* of the unread ones */
  node *lowest[LEVELS]; /* no unread one before it has events of that priority */
} memory;

static int level_of(int priority) { return priority < 0 ? 0 : priority > 0 ? 2 : 1; }

static weight sum(const weight *levels, int from, int to) {
  weight all = {0};
  for (int i = from; i < to; i++) {
    all.events += levels[i].events;
    all.bytes += levels[i].bytes;
  }
  return all;
}

static void take_off(weight *from, weight what) {
  from->events -= what.events;
  from->bytes -= what.bytes;
}

static void add_to(weight *to, weight what) {
  to->events += what.events;
  to->bytes += what.bytes;
}

/* What the bounds count is the text with its newlines. */
static void weigh(node *at) {
  tw_batch_item item;
  for (int i = 0; i < LEVELS; i++) at->level[i] = (weight){0};
  for (uint32_t i = at->through; i < tw_chunk_count(at->chunk); i++) {
    tw_chunk_item(at->chunk, i, &item);
    add_to(&at->level[level_of(item.priority)], (weight){1, item.len + 1});
  }
}

static node *new_node(tw_chunk *chunk) {
  node *fresh = tw_calloc(1, sizeof *fresh);
  if (!fresh) return NULL;
  fresh->chunk = chunk;
  weigh(fresh);
  return fresh;
}

static void free_node(node *gone) {
  tw_chunk_unref(gone->chunk);
  tw_free(gone);
}

static uint64_t end_of(const node *at) {
  return tw_chunk_item_number(at->chunk, tw_chunk_count(at->chunk));
}

/* -------------------------------------------------------------------- list */

static void count_in(memory *outbox, const node *at) {
  weight all = sum(at->level, 0, LEVELS);
  outbox->base.events += all.events;
  outbox->base.bytes += all.bytes;
  for (int i = 0; i < LEVELS; i++) add_to(&outbox->spare[i], at->level[i]);
}

static void count_out(memory *outbox, weight what) {
  outbox->base.events -= what.events;
  outbox->base.bytes -= what.bytes;
}

static void link_last(memory *outbox, node *fresh) {
  fresh->before = outbox->last;
  if (outbox->last) outbox->last->behind = fresh;
  else outbox->first = fresh;
  outbox->last = fresh;
  if (!outbox->unread) outbox->unread = fresh;
  for (int i = 0; i < LEVELS; i++)
    if (!outbox->lowest[i]) outbox->lowest[i] = fresh;
  count_in(outbox, fresh);
}

/* Takes the first unread one from those that may be shed. */
static void mark_read(memory *outbox) {
  node *at = outbox->unread;
  for (int i = 0; i < LEVELS; i++) {
    take_off(&outbox->spare[i], at->level[i]);
    if (outbox->lowest[i] == at) outbox->lowest[i] = at->behind;
  }
  outbox->unread = at->behind;
}

static void unlink_node(memory *outbox, node *gone) {
  if (gone->before) gone->before->behind = gone->behind;
  else outbox->first = gone->behind;
  if (gone->behind) gone->behind->before = gone->before;
  else outbox->last = gone->before;
}

/* All below the first event that waits is through. */
static void settle_head(memory *outbox) {
  const node *first = outbox->first;
  uint64_t head =
      first ? tw_chunk_item_number(first->chunk, first->through) : outbox->base.tail;
  if (head > outbox->base.head) outbox->base.head = head;
}

/* -------------------------------------------------------------------- shed */

static bool fits(const memory *outbox, weight all) {
  const tw_outbox_bounds *bounds = &outbox->base.bounds;
  return (!bounds->max_events || all.events <= bounds->max_events) &&
         (!bounds->max_bytes || all.bytes <= bounds->max_bytes);
}

static weight with(const memory *outbox, weight more) {
  add_to(&more, (weight){outbox->base.events, outbox->base.bytes});
  return more;
}

/* Sheds an unread one: wholly when nothing is left, or no memory for what would be. */
static uint64_t shed_whole(memory *outbox, node *gone) {
  weight all = sum(gone->level, 0, LEVELS);
  for (int i = 0; i < LEVELS; i++) {
    take_off(&outbox->spare[i], gone->level[i]);
    if (outbox->lowest[i] == gone) outbox->lowest[i] = gone->behind;
  }
  if (outbox->unread == gone) outbox->unread = gone->behind;
  count_out(outbox, all);
  unlink_node(outbox, gone);
  free_node(gone);
  return all.events;
}

static bool without(node *from, int level) {
  tw_chunk *rest = NULL;
  if (tw_chunk_without(from->chunk, level - 1, &rest, NULL) || !rest) return false;
  tw_chunk_unref(from->chunk);
  from->chunk = rest;
  for (int i = 0; i <= level; i++) from->level[i] = (weight){0};
  return true;
}

/* Sheds what an unread one has of a priority and below. */
static uint64_t shed_level(memory *outbox, node *from, int level) {
  weight gone = sum(from->level, 0, level + 1);
  weight was[LEVELS];
  memcpy(was, from->level, sizeof was);
  if (gone.events == sum(was, 0, LEVELS).events || !without(from, level))
    return shed_whole(outbox, from);
  for (int i = 0; i <= level; i++) take_off(&outbox->spare[i], was[i]);
  count_out(outbox, gone);
  return gone.events;
}

/* The oldest unread one with events of a priority. */
static node *next_of(memory *outbox, int level) {
  node *at = outbox->lowest[level];
  while (at && !at->level[level].events) at = at->behind;
  return outbox->lowest[level] = at;
}

/* The one that came last is in the list already, and may be what goes. */
static uint64_t shed_oldest(memory *outbox) {
  uint64_t shed = 0;
  node *at;
  for (int level = 0; level < LEVELS; level++) {
    while (!fits(outbox, with(outbox, (weight){0})) && outbox->unread->behind &&
           (at = next_of(outbox, level)))
      shed += shed_level(outbox, at, level);
  }
  return shed;
}

/* Sheds of what waits all that is below a priority, as far as it takes. */
static uint64_t make_room(memory *outbox, int below, weight needed) {
  uint64_t shed = 0;
  node *at;
  for (int level = 0; level < below; level++) {
    while (!fits(outbox, with(outbox, needed)) && (at = next_of(outbox, level)))
      shed += shed_level(outbox, at, level);
  }
  return shed;
}

/* Keeps of what comes as much as fits when all goes that matters less than the least of it.
   Nothing that waits is shed in vain. @return what was shed; `*fresh` is NULL when all was */
static uint64_t shed_newest(memory *outbox, node **fresh) {
  node *came = *fresh;
  for (int level = 0; level < LEVELS; level++) {
    weight kept = sum(came->level, level, LEVELS), lower = sum(came->level, 0, level);
    weight most = with(outbox, kept);
    if (!came->level[level].events) continue;
    take_off(&most, sum(outbox->spare, 0, level));
    if (!fits(outbox, most) || (lower.events && !without(came, level - 1))) continue;
    return lower.events + make_room(outbox, level, kept);
  }
  uint64_t shed = sum(came->level, 0, LEVELS).events;
  free_node(came);
  *fresh = NULL;
  return shed;
}

/* ------------------------------------------------------------------ append */

/* @param end  NULL: without limit. @return false when the time is over */
static bool wait_for_room(memory *outbox, weight needed, const struct timespec *end) {
  tw_outbox *base = &outbox->base;
  bool has_time = true;
  while (base->events && !base->is_closed && base->bounds.overload == TW_OVERLOAD_BLOCK &&
         !fits(outbox, with(outbox, needed))) {
    if (!has_time) return false;
    if (end) has_time = pthread_cond_timedwait(&base->changed, &base->mutex, end) == 0;
    else pthread_cond_wait(&base->changed, &base->mutex);
  }
  return true;
}

/* @return how many events were shed */
static uint64_t put(memory *outbox, node *fresh) {
  tw_outbox *base = &outbox->base;
  uint64_t shed = 0, first = base->tail;
  uint32_t count = tw_chunk_count(fresh->chunk);
  tw_chunk_number(fresh->chunk, first);
  if (base->bounds.overload == TW_OVERLOAD_NEWEST && base->events &&
      !fits(outbox, with(outbox, sum(fresh->level, 0, LEVELS))))
    shed = shed_newest(outbox, &fresh);
  if (fresh) {
    link_last(outbox, fresh);
    base->tail = first + count;
  }
  if (fresh && base->bounds.overload == TW_OVERLOAD_OLDEST) shed += shed_oldest(outbox);
  base->shed += shed;
  settle_head(outbox);
  pthread_cond_broadcast(&base->changed);
  return shed;
}

static tw_status append(tw_outbox *base, tw_chunk *chunk, const struct timespec *end,
                        uint64_t *shed, tw_error *error) {
  memory *outbox = (memory *)base;
  *shed = 0;
  node *fresh = new_node(chunk);
  if (!fresh) {
    tw_chunk_unref(chunk);
    return tw_no_memory(error);
  }
  pthread_mutex_lock(&base->mutex);
  bool has_room = wait_for_room(outbox, sum(fresh->level, 0, LEVELS), end);
  bool is_closed = base->is_closed;
  if (has_room && !is_closed) *shed = put(outbox, fresh);
  pthread_mutex_unlock(&base->mutex);
  if (!has_room) {
    tw_free(fresh);
    return tw_fail(error, TW_ELIMIT, "%s: the outbox is full", base->path);
  }
  if (!is_closed) return TW_OK;
  free_node(fresh);
  return tw_fail(error, TW_ECLOSED, "%s: the outbox is closed", base->path);
}

tw_status tw_outbox_append(tw_outbox *outbox, tw_chunk *chunk, uint64_t *shed,
                           tw_error *error) {
  return append(outbox, chunk, NULL, shed, error);
}

tw_status tw_outbox_append_within(tw_outbox *outbox, tw_chunk *chunk, uint64_t limit_ns,
                                  uint64_t *shed, tw_error *error) {
  const struct timespec end = tw_deadline(limit_ns);
  return append(outbox, chunk, &end, shed, error);
}

/* -------------------------------------------------------------------- read */

static tw_status read_chunk(tw_outbox *base, uint64_t number, tw_chunk **out, uint64_t *skip,
                            tw_error *error) {
  memory *outbox = (memory *)base;
  (void)error;
  *skip = number;
  pthread_mutex_lock(&base->mutex);
  node *at = outbox->unread;
  if (!at || tw_chunk_first(at->chunk) > number) at = outbox->first;
  while (at && end_of(at) <= number) at = at->behind;
  if (at)
    while (outbox->unread && end_of(outbox->unread) <= end_of(at)) mark_read(outbox);
  *out = at ? tw_chunk_ref(at->chunk) : NULL;
  pthread_mutex_unlock(&base->mutex);
  return TW_OK;
}

/* Takes those below `head` out of a chunk that holds others, too. */
static void pass_some(memory *outbox, node *at, uint64_t head) {
  tw_batch_item item;
  uint32_t index = tw_chunk_find(at->chunk, head);
  for (; at->through < index; at->through++) {
    tw_chunk_item(at->chunk, at->through, &item);
    weight one = {1, item.len + 1};
    take_off(&at->level[level_of(item.priority)], one);
    count_out(outbox, one);
  }
}

static void pass(memory *outbox, uint64_t head) {
  node *at;
  while ((at = outbox->first) && tw_chunk_item_number(at->chunk, at->through) < head) {
    if (outbox->unread == at) mark_read(outbox);
    if (end_of(at) > head) {
      pass_some(outbox, at, head);
      return;
    }
    count_out(outbox, sum(at->level, 0, LEVELS));
    unlink_node(outbox, at);
    free_node(at);
  }
}

static void hand_over(const memory *outbox, const tw_chunk *dead) {
  tw_batch_item item;
  for (uint32_t i = 0; outbox->dead && i < tw_chunk_count(dead); i++) {
    tw_chunk_item(dead, i, &item);
    outbox->dead(outbox->self, outbox->base.path, item.text, item.len);
  }
}

static bool advance(tw_outbox *base, uint64_t head, tw_chunk *dead) {
  memory *outbox = (memory *)base;
  if (dead) hand_over(outbox, dead);
  pthread_mutex_lock(&base->mutex);
  if (dead) base->dead += tw_chunk_count(dead);
  pass(outbox, head);
  if (head > base->head) base->head = head;
  settle_head(outbox);
  pthread_cond_broadcast(&base->changed);
  pthread_mutex_unlock(&base->mutex);
  tw_chunk_unref(dead);
  return true;
}

/* -------------------------------------------------------------------- life */

static void free_memory(tw_outbox *base) {
  memory *outbox = (memory *)base;
  while (outbox->first) {
    node *gone = outbox->first;
    outbox->first = gone->behind;
    free_node(gone);
  }
  tw_outbox_fini(base);
  tw_free(outbox);
}

static const tw_outbox_ops memory_ops = {
    .read = read_chunk, .advance = advance, .free = free_memory};

tw_status tw_outbox_new_memory(const char *path, const tw_outbox_bounds *bounds,
                               tw_dead_fn dead, void *self, tw_outbox **out, tw_error *error) {
  *out = NULL;
  memory *outbox = tw_calloc(1, sizeof *outbox);
  if (!outbox) return tw_no_memory(error);
  if (!tw_outbox_init(&outbox->base, &memory_ops, path, bounds)) {
    tw_free(outbox);
    return tw_no_memory(error);
  }
  outbox->dead = dead;
  outbox->self = self;
  *out = &outbox->base;
  return TW_OK;
}
