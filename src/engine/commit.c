/* Sealing. A worker has a bound of commits under way: where the journal cannot write, because a
   disk is full or an outbox blocks, workers stop here, and whoever feeds them with them.

   Commits of one worker are submitted in the order in which they were sealed. One that ends an
   epoch is submitted when the last worker has come to it, so the worker's next seal waits for
   that: else what its script keeps would be stored ahead of the input that it came from.

   A worker that is abandoned leaves lines unprocessed. With a spool nothing of such a commit
   is written: what was read is read again next time, and counts once. */
#include "engine/commit.h"

#include <time.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/status.h"
#include "engine/change.h"
#include "engine/outlet.h"
#include "engine/worker.h"
#include "script/upkeep.h"

/* What is collected before it is sealed, and commits of a worker that are under way. */
enum { SEAL_BYTES = 1 << 20, SEAL_MOST = 8 << 20, UNDER_WAY = 4 };
/* Writing what the script keeps takes at most one part in so many of the time. */
enum { STATE_SHARE = 10 };

/* -------------------------------------------------------------------- work */

bool tw_worker_await_memory(const tw_worker *worker) {
  const struct timespec moment = {0, 10000000};
  if (atomic_load(&worker->is_abandoned)) return false;
  nanosleep(&moment, NULL);
  return true;
}

static void end_acks(tw_work *work, tw_status status, const tw_error *error) {
  for (size_t i = 0; i < work->ack_count; i++) tw_ack_end(work->acks[i], status, error);
  tw_free(work->acks);
  work->acks = NULL;
  work->ack_count = 0;
}

static void end_part(const tw_part *part, bool is_written) {
  tw_worker *worker = part->worker;
  pthread_mutex_lock(&worker->mutex);
  if (is_written) worker->arriving--;
  else worker->under_way--;
  if (part->reached > worker->durable) worker->durable = part->reached;
  pthread_cond_broadcast(&worker->progressed);
  pthread_mutex_unlock(&worker->mutex);
}

/* What was committed is in the journal's hands, or nobody's. */
static void end_commit(tw_work *work) {
  tw_committer *committer = work->commit.self;
  if (work->commit.replayed) atomic_fetch_sub(&committer->replays, 1);
  tw_commit_fini(&work->commit);
}

/* Acknowledges before it says that the parts are through: whoever waits for a flush finds its
   acknowledgements called. */
static void complete(tw_work *work, tw_status status, const tw_error *error) {
  end_acks(work, status, error);
  end_commit(work);
  for (unsigned i = 0; i < work->count; i++) end_part(&work->parts[i], work->is_written);
  tw_free(work);
}

/* It waits for deliveries from now on. Its workers do not: else a backend that is away would
   stop the routing to all the others. */
static void await_arrival(tw_work *work) {
  end_commit(work);
  work->is_written = true;
  for (unsigned i = 0; i < work->count; i++) {
    tw_worker *worker = work->parts[i].worker;
    pthread_mutex_lock(&worker->mutex);
    worker->under_way--;
    worker->arriving++;
    pthread_cond_broadcast(&worker->progressed);
    pthread_mutex_unlock(&worker->mutex);
  }
}

static void arrived(tw_arrival *arrival, tw_status status) {
  tw_work *work = (tw_work *)((char *)arrival - offsetof(tw_work, arrival));
  tw_error error = {0};
  if (status) tw_fail(&error, status, "the engine was closed before the event was delivered");
  complete(work, status, &error);
}

/* @return false without memory: then it is acknowledged as durable */
static bool set_goals(tw_work *work) {
  const tw_commit *commit = &work->commit;
  work->arrival.goals = tw_calloc(commit->count + 1, sizeof *work->arrival.goals);
  if (!work->arrival.goals) return false;
  for (size_t i = 0; i < commit->count; i++) {
    const tw_chunk *chunk = commit->parcels[i].chunk;
    if (chunk)
      work->arrival.goals[work->arrival.count++] = (tw_goal){
          commit->parcels[i].outbox, tw_chunk_item_number(chunk, tw_chunk_count(chunk))};
  }
  return true;
}

static void committed(tw_commit *commit, tw_status status, const tw_error *error) {
  tw_work *work = (tw_work *)commit;
  tw_committer *committer = commit->self;
  if (status || !committer->awaits_arrival || !set_goals(work)) {
    complete(work, status, error);
    return;
  }
  work->arrival.arrived = arrived;
  await_arrival(work);
  tw_arrivals_add(&committer->arrivals, &work->arrival);
}

tw_work *tw_work_new(tw_committer *committer) {
  tw_work *work = tw_calloc(1, sizeof *work + committer->workers * sizeof *work->parts);
  if (!work) return NULL;
  work->commit.done = committed;
  work->commit.self = committer;
  return work;
}

bool tw_work_replayed(tw_work *work, const void *key, size_t len) {
  tw_committer *committer = work->commit.self;
  if (!tw_commit_replayed(&work->commit, key, len)) return false;
  atomic_fetch_add(&committer->replays, 1);
  return true;
}

void tw_work_give_up(tw_work *work) {
  tw_committer *committer = work->commit.self;
  if (work->commit.replayed) atomic_fetch_sub(&committer->replays, 1);
  tw_commit_fini(&work->commit);
  tw_free(work);
}

/* Lines that were left are the input's still. */
static bool is_whole(const tw_work *work) {
  for (size_t i = 0; i < work->commit.block_count; i++)
    if (work->commit.blocks[i]->tally.left) return false;
  return true;
}

void tw_work_submit(tw_committer *committer, tw_work *work) {
  tw_error error;
  if (!committer->journal) {
    complete(work, TW_OK, NULL);
  } else if (committer->is_durable && (atomic_load(&committer->is_broken) || !is_whole(work))) {
    atomic_store(&committer->is_broken, true);
    tw_fail(&error, TW_ECLOSED, "the engine was closed before its turn came");
    complete(work, TW_ECLOSED, &error);
  } else {
    tw_journal_submit(committer->journal, &work->commit);
  }
}

/* ----------------------------------------------------------------- collect */

void tw_collector_init(tw_collector *collector, tw_committer *committer, unsigned worker) {
  *collector = (tw_collector){.committer = committer, .worker = worker};
}

void tw_collector_fini(tw_collector *collector) {
  for (unsigned i = 0; i < collector->outlet_cap; i++)
    tw_chunk_builder_fini(&collector->outlets[i].builder);
  tw_free(collector->outlets);
  tw_chunk_builder_fini(&collector->dead);
  tw_buffer_fini(&collector->kept);
  *collector = (tw_collector){0};
}

static bool has_work(tw_collector *collector) {
  if (!collector->work) collector->work = tw_work_new(collector->committer);
  return collector->work != NULL;
}

static tw_gathering *gathering_of(tw_collector *collector, tw_outlet *outlet) {
  if (outlet->index >= collector->outlet_cap) {
    unsigned cap = outlet->index + 8;
    tw_gathering *grown = tw_realloc(collector->outlets, cap * sizeof *grown);
    if (!grown) return NULL;
    for (unsigned i = collector->outlet_cap; i < cap; i++) grown[i] = (tw_gathering){0};
    collector->outlets = grown;
    collector->outlet_cap = cap;
  }
  collector->outlets[outlet->index].outlet = outlet;
  return &collector->outlets[outlet->index];
}

/* @return false without memory: as before */
static bool finish_chunk(tw_worker *worker, tw_gathering *of) {
  tw_chunk *chunk;
  tw_collector *collector = &worker->collector;
  if (!of->builder.count) return true;
  if (!has_work(collector) || !tw_commit_reserve(&collector->work->commit)) return false;
  if (tw_chunk_finish(&of->builder, tw_script_get_setup(worker->script)->generation,
                      tw_clock_utc_us(), &chunk, NULL))
    return false;
  return tw_commit_parcel(&collector->work->commit, of->outlet->outbox, chunk);
}

static tw_status try_to_collect(tw_worker *worker, tw_outlet *outlet, const tw_event *event,
                                tw_error *error) {
  tw_collector *collector = &worker->collector;
  tw_gathering *of = gathering_of(collector, outlet);
  if (!of) return tw_no_memory(error);
  if (of->builder.text.len >= TW_CHUNK_BYTES && !finish_chunk(worker, of))
    return tw_no_memory(error);
  size_t before = of->builder.text.len;
  tw_status status = tw_chunk_builder_add(&of->builder, event, error);
  if (status == TW_OK) collector->bytes += of->builder.text.len - before;
  return status;
}

tw_status tw_worker_collect(tw_worker *worker, tw_outlet *outlet, const tw_event *event,
                            tw_error *error) {
  tw_status status;
  do status = try_to_collect(worker, outlet, event, error);
  while (status == TW_ENOMEM && tw_worker_await_memory(worker));
  return status;
}

static bool finish_dead(tw_worker *worker) {
  tw_chunk *chunk;
  tw_collector *collector = &worker->collector;
  if (!collector->dead.count) return true;
  if (!tw_commit_reserve(&collector->work->commit) ||
      tw_chunk_finish(&collector->dead, tw_script_get_setup(worker->script)->generation,
                      tw_clock_utc_us(), &chunk, NULL))
    return false;
  return tw_commit_dead(&collector->work->commit, chunk);
}

static bool try_to_bury(tw_worker *worker, const tw_dead_letter *letter) {
  tw_collector *collector = &worker->collector;
  tw_buffer json = {0};
  if (collector->dead.text.len >= TW_CHUNK_BYTES &&
      !(has_work(collector) && finish_dead(worker)))
    return false;
  bool fits = tw_dead_letter_write(letter, &json) &&
              tw_chunk_builder_add_text(&collector->dead, json.data, json.len, "", 0,
                                        TW_PRIORITY_NORMAL, NULL) == TW_OK;
  if (fits) collector->bytes += json.len;
  tw_buffer_fini(&json);
  return fits;
}

void tw_worker_collect_dead(tw_worker *worker, const tw_dead_letter *letter) {
  while (!try_to_bury(worker, letter) && tw_worker_await_memory(worker)) continue;
}

/* A block that routes nothing is held, too: it counts towards the seal. */
void tw_worker_collect_block(tw_worker *worker, tw_block *block) {
  tw_collector *collector = &worker->collector;
  collector->bytes += block->len;
  while (!(has_work(collector) && tw_commit_block(&collector->work->commit, block)) &&
         tw_worker_await_memory(worker))
    continue;
}

static bool add_ack(tw_work *work, tw_ack *ack) {
  if (work->ack_count == work->ack_cap) {
    size_t cap = work->ack_cap ? work->ack_cap * 2 : 16;
    tw_ack **grown = tw_realloc(work->acks, cap * sizeof(tw_ack *));
    if (!grown) return false;
    work->acks = grown;
    work->ack_cap = cap;
  }
  work->acks[work->ack_count++] = ack;
  return true;
}

void tw_worker_collect_ack(tw_worker *worker, tw_ack *ack) {
  tw_collector *collector = &worker->collector;
  bool is_kept;
  do is_kept = has_work(collector) && add_ack(collector->work, ack);
  while (!is_kept && tw_worker_await_memory(worker));
  if (!is_kept)
    tw_ack_end(ack, TW_ENOMEM, &(tw_error){TW_ENOMEM, TW_NO_POSITION, "out of memory"});
}

static bool finish_chunks(tw_worker *worker) {
  bool fits = true;
  for (unsigned i = 0; i < worker->collector.outlet_cap && fits; i++)
    fits = finish_chunk(worker, &worker->collector.outlets[i]);
  return fits;
}

void tw_worker_end_generation(tw_worker *worker) {
  if (!worker->collector.committer->journal) return;
  while (!finish_chunks(worker) && tw_worker_await_memory(worker)) continue;
}

/* -------------------------------------------------------------------- seal */

/* A script that keeps nothing, and never did, has no record. */
static bool is_kept(const tw_buffer *state, const tw_buffer *kept) {
  if (!kept->len) return state->len == 2 && memcmp(state->data, "{}", 2) == 0;
  return state->len == kept->len && memcmp(state->data, kept->data, kept->len) == 0;
}

/* A state that cannot be written is told, and what was written before stays. */
static bool add_state(tw_worker *worker) {
  tw_collector *collector = &worker->collector;
  tw_buffer state = {0};
  tw_error error = {0};
  uint64_t began = tw_clock_monotonic_ns();
  tw_status status = tw_script_export_state(worker->script, &state, &error);
  if (status && status != TW_ENOMEM) tw_worker_tell(worker, status, &error);
  bool is_new = status == TW_OK && !is_kept(&state, &collector->kept);
  bool fits = status != TW_ENOMEM;
  if (is_new)
    fits = tw_commit_state(&collector->work->commit, collector->worker,
                           collector->committer->workers, state.data, state.len);
  if (is_new && fits) {
    tw_buffer_fini(&collector->kept);
    collector->kept = state;
  } else {
    tw_buffer_fini(&state);
  }
  uint64_t now = tw_clock_monotonic_ns();
  collector->state_due_ns = now + (now - began) * STATE_SHARE;
  return fits;
}

static bool finish(tw_worker *worker) {
  const tw_committer *committer = worker->collector.committer;
  if (!has_work(&worker->collector)) return false;
  if (!committer->journal) return true;
  return finish_chunks(worker) && finish_dead(worker) &&
         (!committer->is_durable || add_state(worker));
}

/* Not for ever, when the worker is abandoned. A reload may be what is waited for: it gets the
   state that it asks for. */
static void await_turn(tw_worker *worker) {
  pthread_mutex_lock(&worker->mutex);
  while ((worker->under_way >= UNDER_WAY || worker->epochs) &&
         !atomic_load(&worker->is_abandoned))
    if (worker->wanted) tw_worker_write_state(worker);
    else pthread_cond_wait(&worker->progressed, &worker->mutex);
  worker->under_way++;
  pthread_mutex_unlock(&worker->mutex);
}

bool tw_worker_is_full(const tw_worker *worker) {
  const tw_collector *collector = &worker->collector;
  if (collector->is_bound || collector->bytes < SEAL_BYTES) return false;
  return collector->bytes >= SEAL_MOST || tw_clock_monotonic_ns() >= collector->state_due_ns;
}

/* What the worker has collected, ready to be submitted; NULL when it is abandoned and there
   is no memory. */
static tw_work *take_work(tw_worker *worker, uint64_t reached) {
  tw_collector *collector = &worker->collector;
  while (!finish(worker))
    if (!tw_worker_await_memory(worker)) break;
  tw_work *work = collector->work;
  collector->work = NULL;
  collector->bytes = 0;
  if (!work) return NULL;
  work->parts[0] = (tw_part){worker, reached};
  work->count = 1;
  return work;
}

/* While more comes, it is written together with that. */
static void hurry_if_idle(tw_worker *worker) {
  if (!worker->collector.committer->journal) return;
  pthread_mutex_lock(&worker->mutex);
  bool is_idle = worker->head == worker->tail;
  pthread_mutex_unlock(&worker->mutex);
  if (is_idle) tw_journal_hurry(worker->collector.committer->journal);
}

void tw_worker_seal(tw_worker *worker, uint64_t reached, tw_status status,
                    const tw_error *error) {
  if (worker->collector.is_bound) return;
  tw_work *work = take_work(worker, reached);
  if (!work) return;
  if (status) end_acks(work, status, error);
  await_turn(worker);
  tw_work_submit(worker->collector.committer, work);
  hurry_if_idle(worker);
}

void tw_worker_seal_last(tw_worker *worker) {
  if (!worker->collector.is_bound) {
    tw_worker_seal(worker, worker->tail, TW_OK, NULL);
    return;
  }
  tw_error error;
  atomic_store(&worker->collector.committer->is_broken, true);
  tw_work *work = take_work(worker, worker->tail);
  if (!work) return;
  await_turn(worker);
  tw_fail(&error, TW_ECLOSED, "the engine was closed before its turn came");
  complete(work, TW_ECLOSED, &error);
}

/* ------------------------------------------------------------------- epoch */

struct tw_epoch {
  tw_committer *committer;
  pthread_mutex_t mutex;
  unsigned shares;
  bool is_broken; /* a worker did not come to its marker */
  tw_work *work;
};

tw_status tw_epoch_new(tw_committer *committer, tw_block *block, tw_epoch **out,
                       tw_error *error) {
  *out = NULL;
  tw_epoch *epoch = tw_calloc(1, sizeof *epoch);
  tw_work *work = epoch ? tw_work_new(committer) : NULL;
  if (!work || (block && !tw_commit_block(&work->commit, block))) {
    tw_free(work);
    tw_free(epoch);
    return tw_no_memory(error);
  }
  pthread_mutex_init(&epoch->mutex, NULL);
  epoch->committer = committer;
  epoch->shares = committer->workers;
  epoch->work = work;
  *out = epoch;
  return TW_OK;
}

bool tw_epoch_dead(tw_epoch *epoch, tw_chunk *chunk) {
  return tw_commit_dead(&epoch->work->commit, chunk);
}

bool tw_epoch_replayed(tw_epoch *epoch, const void *key, size_t len) {
  return tw_work_replayed(epoch->work, key, len);
}

static void leave_epoch(tw_worker *worker) {
  pthread_mutex_lock(&worker->mutex);
  worker->epochs--;
  pthread_cond_broadcast(&worker->progressed);
  pthread_mutex_unlock(&worker->mutex);
}

static void submit_epoch(tw_epoch *epoch) {
  tw_error error;
  if (!epoch->is_broken) {
    tw_work_submit(epoch->committer, epoch->work);
    return;
  }
  tw_fail(&error, TW_ECLOSED, "the engine was closed before its turn came");
  complete(epoch->work, TW_ECLOSED, &error);
}

/* The workers go on when it is submitted; by then the work may be gone. */
static void end_share(tw_epoch *epoch) {
  pthread_mutex_lock(&epoch->mutex);
  bool is_last = --epoch->shares == 0;
  pthread_mutex_unlock(&epoch->mutex);
  if (!is_last) return;
  tw_worker *workers[TW_MAX_WORKERS];
  unsigned count = epoch->work->count;
  for (unsigned i = 0; i < count; i++) workers[i] = epoch->work->parts[i].worker;
  submit_epoch(epoch);
  for (unsigned i = 0; i < count; i++) leave_epoch(workers[i]);
  pthread_mutex_destroy(&epoch->mutex);
  tw_free(epoch);
}

void tw_epoch_break(tw_epoch *epoch) { epoch->is_broken = true; }

void tw_epoch_leave(tw_epoch *epoch) {
  pthread_mutex_lock(&epoch->mutex);
  epoch->is_broken = true;
  pthread_mutex_unlock(&epoch->mutex);
  end_share(epoch);
}

static bool merge_acks(tw_work *to, tw_work *from) {
  while (from->ack_count) {
    if (!add_ack(to, from->acks[from->ack_count - 1])) return false;
    from->ack_count--;
  }
  return true;
}

/* What merges moves by itself: to try again goes on where it stopped. */
static bool merge(tw_epoch *epoch, tw_work *part) {
  pthread_mutex_lock(&epoch->mutex);
  bool fits =
      tw_commit_merge(&epoch->work->commit, &part->commit) && merge_acks(epoch->work, part);
  if (fits) epoch->work->parts[epoch->work->count++] = part->parts[0];
  pthread_mutex_unlock(&epoch->mutex);
  return fits;
}

void tw_worker_end_epoch(tw_worker *worker, tw_epoch *epoch, uint64_t reached) {
  worker->collector.is_bound = false;
  tw_work *part = take_work(worker, reached);
  await_turn(worker);
  pthread_mutex_lock(&worker->mutex);
  worker->epochs++;
  pthread_mutex_unlock(&worker->mutex);
  bool is_merged = false;
  while (part && !(is_merged = merge(epoch, part)) && tw_worker_await_memory(worker)) continue;
  if (is_merged) {
    tw_free(part->acks);
    tw_commit_fini(&part->commit);
    tw_free(part);
    end_share(epoch);
    return;
  }
  tw_error error;
  tw_no_memory(&error);
  pthread_mutex_lock(&worker->mutex);
  worker->epochs--;
  if (!part) worker->under_way--;
  pthread_mutex_unlock(&worker->mutex);
  if (part) complete(part, TW_ENOMEM, &error);
  tw_epoch_leave(epoch);
}
