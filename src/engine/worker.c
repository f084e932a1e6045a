/* The mutex is held for moments: a worker takes a batch, or an event is put down. While
   events come faster than now and then, nobody sleeps and nobody is woken: a worker that
   runs dry looks again a few times before it flushes and goes to sleep.

   A batch ends where a change of script is due, so that the change is a step of the loop
   like any other. Whoever waits for progress is woken behind every step that is waited for. */
#include "engine/worker.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#include "base/thread.h"
#include "base/wait.h"
#include "core/inspect.h"
#include "engine/change.h"
#include "engine/deliver.h"
#include "script/upkeep.h"

/* How a worker that ran dry waits for more before it flushes. */
enum { LINGER_ROUNDS = 8, LINGER_NS = 50000 };

static __thread tw_worker *here;
static __thread bool is_hasty_here;

void tw_worker_set_hasty(bool is_hasty) { is_hasty_here = is_hasty; }

/* A worker does not wait for itself, nor for another that may wait for it; nor does a delivery,
   which a worker may wait for. */
static bool may_wait(void) { return !here && !is_hasty_here; }

bool tw_worker_is_here(void) { return here != NULL; }
tw_worker *tw_worker_current(void) { return here; }
const tw_origin *tw_worker_origin(void) { return here ? here->origin : NULL; }

void tw_worker_wake(tw_worker *worker) {
  if (!worker->is_idle) return;
  worker->is_idle = false;
  pthread_cond_signal(&worker->filled);
}

/* -------------------------------------------------------------------- push */

static bool is_full(const tw_worker *worker) {
  return worker->tail - worker->head >= worker->options->queue;
}

static bool wait_for_room(tw_worker *worker, bool (*is_full_for)(const tw_worker *),
                          uint64_t limit) {
  struct timespec end = tw_deadline(limit);
  int problem = 0;
  worker->blocked++;
  while (is_full_for(worker) && !worker->is_closed && problem != ETIMEDOUT) {
    if (limit) problem = pthread_cond_timedwait(&worker->emptied, &worker->mutex, &end);
    else pthread_cond_wait(&worker->emptied, &worker->mutex);
  }
  worker->blocked--;
  return worker->is_closed || !is_full_for(worker);
}

static void put(tw_worker *worker, tw_cell *cell) {
  worker->ring[worker->tail++ & (worker->room - 1)] = cell;
  tw_worker_wake(worker);
}

/* A block is never dropped, so the newest event is in its stead. */
static tw_cell *take_oldest(tw_worker *worker) {
  tw_cell *cell = worker->ring[worker->head & (worker->room - 1)];
  if (cell->block || cell->holds_lines) return NULL;
  worker->head++;
  worker->counts.waiting--;
  return cell;
}

/* Makes room as the policy says. @param[out] gone  the event that is dropped, or NULL */
static tw_drop_cause make_room(tw_worker *worker, tw_cell *fresh, tw_cell **gone) {
  tw_drop_cause cause = TW_DROP_NEWEST;
  *gone = NULL;
  switch (worker->options->overload) {
    case TW_OVERLOAD_BLOCK:
      if (may_wait() && wait_for_room(worker, is_full, worker->options->block_ns)) return cause;
      if (may_wait()) cause = TW_DROP_TIMEOUT;
      break;
    case TW_OVERLOAD_NEWEST: break;
    case TW_OVERLOAD_OLDEST:
      *gone = take_oldest(worker);
      if (*gone) cause = TW_DROP_OLDEST;
      break;
  }
  if (!*gone) *gone = fresh;
  worker->counts.dropped[cause]++;
  return cause;
}

static void drop(tw_worker *worker, tw_drop_cause cause, tw_cell *cell) {
  tw_worker_tell_dropped(worker, cause, cell);
  tw_cells_put(worker->cells, &cell, 1);
}

static tw_status refuse_closed(tw_worker *worker, tw_cell *cell, tw_error *error) {
  tw_cells_put(worker->cells, &cell, 1);
  return tw_fail(error, TW_ECLOSED, "the engine is closed");
}

tw_status tw_worker_push(tw_worker *worker, tw_cell *cell, tw_error *error) {
  tw_cell *gone = NULL;
  tw_drop_cause cause = TW_DROP_NEWEST;
  pthread_mutex_lock(&worker->mutex);
  if (is_full(worker) && !worker->is_closed) cause = make_room(worker, cell, &gone);
  bool is_closed = worker->is_closed;
  if (!is_closed && gone != cell) {
    put(worker, cell);
    worker->counts.received++;
    worker->counts.waiting++;
  }
  pthread_mutex_unlock(&worker->mutex);
  bool is_dropped = gone == cell;
  if (gone) drop(worker, cause, gone);
  if (is_dropped) return tw_fail(error, TW_ELIMIT, "the queue is full: the event was dropped");
  return is_closed ? refuse_closed(worker, cell, error) : TW_OK;
}

static bool is_fed(const tw_worker *worker) {
  return is_full(worker) || worker->blocks >= TW_WORKER_BLOCKS;
}

tw_status tw_worker_feed(tw_worker *worker, tw_cell *cell, tw_error *error) {
  pthread_mutex_lock(&worker->mutex);
  wait_for_room(worker, cell->holds_lines ? is_fed : is_full, 0);
  bool is_closed = worker->is_closed;
  if (!is_closed) {
    put(worker, cell);
    worker->blocks += cell->holds_lines;
    worker->counts.received += !cell->holds_lines;
    worker->counts.waiting += !cell->holds_lines;
  }
  pthread_mutex_unlock(&worker->mutex);
  return is_closed ? refuse_closed(worker, cell, error) : TW_OK;
}

/* -------------------------------------------------------------------- loop */

/* Takes the oldest events out, up to where the script changes; a block of lines alone. */
static size_t take(tw_worker *worker, tw_cell *batch[TW_WORKER_BATCH]) {
  uint64_t end =
      worker->next && worker->change_at < worker->tail ? worker->change_at : worker->tail;
  size_t count = 0;
  while (worker->head < end && count < TW_WORKER_BATCH) {
    tw_cell *cell = worker->ring[worker->head & (worker->room - 1)];
    if (cell->holds_lines && count) break;
    worker->head++;
    batch[count++] = cell;
    if (!cell->holds_lines) continue;
    worker->blocks--;
    break;
  }
  worker->in_hand = count;
  if (count && worker->blocked) pthread_cond_broadcast(&worker->emptied);
  return count;
}

static void add_counts(tw_worker_counts *to, const tw_worker_counts *from) {
  to->received += from->received;
  to->processed += from->processed;
  to->waiting -= from->processed + from->dropped[TW_DROP_CLOSED] +
                 from->dropped[TW_DROP_MEMORY] - from->received;
  to->dropped[TW_DROP_CLOSED] += from->dropped[TW_DROP_CLOSED];
  to->dropped[TW_DROP_MEMORY] += from->dropped[TW_DROP_MEMORY];
}

/* A request goes behind what came meanwhile; the ring has room for it. */
static void queue_again(tw_worker *worker, tw_cell *request) {
  if (!worker->is_closed) {
    put(worker, request);
    worker->blocks++;
    return;
  }
  pthread_mutex_unlock(&worker->mutex);
  tw_cells_put(worker->cells, &request, 1);
  pthread_mutex_lock(&worker->mutex);
}

static void end_epoch(tw_worker *worker, tw_cell *marker, uint64_t reached) {
  tw_epoch *epoch = marker->epoch;
  marker->epoch = NULL;
  tw_worker_end_epoch(worker, epoch, reached);
}

/* Called with the mutex, which is given up meanwhile. */
static void process(tw_worker *worker, tw_cell **batch, size_t count) {
  tw_worker_counts done = {0};
  bool goes_on = false;
  uint64_t reached = worker->head;
  pthread_mutex_unlock(&worker->mutex);
  if (batch[0]->epoch) end_epoch(worker, batch[0], reached);
  else if (batch[0]->holds_lines) goes_on = tw_worker_read_lines(worker, batch[0], &done);
  else tw_worker_deliver(worker, batch, count, &done);
  tw_script_tick(worker->script);
  tw_worker_keep_healthy(worker);
  if (!goes_on) tw_cells_put(worker->cells, batch, count);
  if (tw_worker_is_full(worker)) tw_worker_seal(worker, reached, TW_OK, NULL);
  pthread_mutex_lock(&worker->mutex);
  add_counts(&worker->counts, &done);
  worker->in_hand = 0;
  if (goes_on) queue_again(worker, batch[0]);
}

static void flush(tw_worker *worker) {
  uint64_t reached = worker->head;
  tw_error error = {0};
  pthread_mutex_unlock(&worker->mutex);
  tw_status status = tw_router_flush(tw_script_router(worker->script), &error);
  tw_worker_seal(worker, reached, status, &error);
  pthread_mutex_lock(&worker->mutex);
  worker->flushed = reached;
  worker->flush_status = worker->left_status ? worker->left_status : status;
  worker->flush_error = worker->left_status ? worker->left_error : error;
  worker->left_status = TW_OK;
  pthread_cond_broadcast(&worker->progressed);
}

static void linger(tw_worker *worker) {
  const struct timespec moment = {0, LINGER_NS};
  pthread_mutex_unlock(&worker->mutex);
  nanosleep(&moment, NULL);
  pthread_mutex_lock(&worker->mutex);
}

/* Runs the timers that are due; what they emit is delivered. */
static void run_timers(tw_worker *worker) {
  pthread_mutex_unlock(&worker->mutex);
  tw_script_tick(worker->script);
  tw_worker_keep_healthy(worker);
  pthread_mutex_lock(&worker->mutex);
  flush(worker);
}

/* Until somebody wakes it, or a timer is due. */
static void sleep_until_woken(tw_worker *worker) {
  int64_t timer = tw_script_next_timer(worker->script);
  if (timer == 0) {
    run_timers(worker);
    return;
  }
  struct timespec end = tw_deadline(timer < 0 ? 0 : (uint64_t)timer * 1000);
  int problem = 0;
  worker->is_idle = true;
  while (worker->is_idle && problem != ETIMEDOUT) {
    if (timer > 0) problem = pthread_cond_timedwait(&worker->filled, &worker->mutex, &end);
    else pthread_cond_wait(&worker->filled, &worker->mutex);
  }
  worker->is_idle = false;
}

/* The queue is empty. */
static void rest(tw_worker *worker, unsigned *rounds) {
  if (worker->flushed == worker->head) sleep_until_woken(worker);
  else if ((*rounds)++ < LINGER_ROUNDS) linger(worker);
  else flush(worker);
}

/* One step. @return false when there is nothing left to do for ever */
static bool step(tw_worker *worker, unsigned *rounds) {
  tw_cell *batch[TW_WORKER_BATCH];
  size_t count;
  if (worker->wanted) {
    tw_worker_write_state(worker);
  } else if (worker->next && worker->head >= worker->change_at) {
    tw_worker_change_now(worker);
  } else if (worker->flushed < worker->flush_at && worker->head >= worker->flush_at) {
    flush(worker);
  } else if ((count = take(worker, batch))) {
    *rounds = 0;
    process(worker, batch, count);
  } else if (worker->is_closed) {
    return false;
  } else {
    rest(worker, rounds);
  }
  return true;
}

static void *run(void *self) {
  tw_worker *worker = self;
  unsigned rounds = 0;
  here = worker;
  pthread_mutex_lock(&worker->mutex);
  while (step(worker, &rounds)) continue;
  pthread_mutex_unlock(&worker->mutex);
  tw_error error = {0};
  tw_worker_tell(worker, tw_script_finish(worker->script, false, &error), &error);
  tw_worker_seal_last(worker);
  tw_script_release(worker->script);
  pthread_mutex_lock(&worker->mutex);
  worker->is_done = true;
  pthread_cond_broadcast(&worker->progressed);
  pthread_mutex_unlock(&worker->mutex);
  return NULL;
}

/* ---------------------------------------------------------------- requests */

uint64_t tw_worker_ask_flush(tw_worker *worker) {
  pthread_mutex_lock(&worker->mutex);
  uint64_t number = worker->flush_at = worker->tail;
  tw_worker_wake(worker);
  pthread_mutex_unlock(&worker->mutex);
  return number;
}

/* Waits for progress. @return false when the time is over */
static bool await_progress(tw_worker *worker, const struct timespec *end) {
  if (end) return pthread_cond_timedwait(&worker->progressed, &worker->mutex, end) != ETIMEDOUT;
  pthread_cond_wait(&worker->progressed, &worker->mutex);
  return true;
}

static uint64_t left_below(const tw_worker *worker, uint64_t number) {
  uint64_t done = worker->head - worker->in_hand;
  return number > done ? number - done : 0;
}

/* A worker that has ended has nothing to flush, but its last commits may be under way. */
static bool is_through(const tw_worker *worker, uint64_t number) {
  if (worker->is_done) return !worker->under_way && !worker->arriving;
  return worker->flushed >= number && worker->durable >= number;
}

tw_status tw_worker_await_flush(tw_worker *worker, uint64_t number, const struct timespec *end,
                                uint64_t *remaining, tw_error *error) {
  tw_status status = TW_OK;
  bool in_time = true;
  pthread_mutex_lock(&worker->mutex);
  while (!is_through(worker, number) && in_time) in_time = await_progress(worker, end);
  *remaining = left_below(worker, number);
  if (!is_through(worker, number)) {
    status = tw_fail(error, TW_ELIMIT, "the time was over before all was flushed");
  } else if (worker->flush_status) {
    status = worker->flush_status;
    if (error) *error = worker->flush_error;
  }
  pthread_mutex_unlock(&worker->mutex);
  return status;
}

void tw_worker_close(tw_worker *worker) {
  pthread_mutex_lock(&worker->mutex);
  worker->is_closed = true;
  tw_worker_wake(worker);
  pthread_cond_broadcast(&worker->emptied);
  pthread_mutex_unlock(&worker->mutex);
}

/* One that is abandoned may itself wait for progress, of the commits before. */
bool tw_worker_await_end(tw_worker *worker, const struct timespec *end) {
  if (!worker->is_running) return true;
  pthread_mutex_lock(&worker->mutex);
  while (!worker->is_done && !atomic_load(&worker->is_abandoned))
    atomic_store(&worker->is_abandoned, !await_progress(worker, end));
  bool is_in_time = !atomic_load(&worker->is_abandoned);
  pthread_cond_broadcast(&worker->progressed);
  pthread_mutex_unlock(&worker->mutex);
  return is_in_time;
}

uint64_t tw_worker_join(tw_worker *worker) {
  if (!worker->is_running) return 0;
  pthread_join(worker->thread, NULL);
  worker->is_running = false;
  return worker->counts.dropped[TW_DROP_CLOSED];
}

bool tw_worker_settle(tw_worker *worker, const struct timespec *end) {
  bool in_time = true;
  pthread_mutex_lock(&worker->mutex);
  while (worker->under_way && in_time) in_time = await_progress(worker, end);
  pthread_mutex_unlock(&worker->mutex);
  return in_time;
}

/* -------------------------------------------------------------------- life */

tw_status tw_worker_init(tw_worker *worker, const tw_engine_options *options,
                         const tw_worker_ops *ops, tw_cells *cells, tw_committer *committer,
                         unsigned number, tw_script **home, tw_error *error) {
  size_t room = 1;
  while (room <= options->queue + TW_WORKER_BLOCKS) room *= 2;
  *worker = (tw_worker){.options = options,
                        .ops = *ops,
                        .cells = cells,
                        .script = *home,
                        .home = home,
                        .room = room};
  tw_store_init(&worker->store, &options->limits);
  tw_collector_init(&worker->collector, committer, number);
  worker->ring = tw_calloc(room, sizeof(void *));
  if (!worker->ring) return tw_no_memory(error);
  pthread_mutex_init(&worker->mutex, NULL);
  tw_condition_init(&worker->filled);
  tw_condition_init(&worker->emptied);
  tw_condition_init(&worker->progressed);
  return TW_OK;
}

tw_status tw_worker_start(tw_worker *worker, tw_error *error) {
  tw_status status = tw_start_thread(&worker->thread, run, worker, error);
  worker->is_running = status == TW_OK;
  return status;
}

void tw_worker_fini(tw_worker *worker) {
  if (!worker->ring) return;
  pthread_cond_destroy(&worker->filled);
  pthread_cond_destroy(&worker->emptied);
  pthread_cond_destroy(&worker->progressed);
  pthread_mutex_destroy(&worker->mutex);
  tw_store_fini(&worker->store);
  tw_collector_fini(&worker->collector);
  tw_free(worker->ring);
  worker->ring = NULL;
}
