/* Nothing is lost and nothing counts twice: what came is delivered, dead, shed or waits; what
   scripts keep fits to what was read, also when the process is killed, whoever feeds it at the
   same time. */
#include <signal.h>

#include "base/wait.h"
#include "core/ack.h"
#include "delivery/spool_keys.h"
#include "engine/engine.h"
#include "engine_case.h"

static char options[640];

static const char *with_spool(const char *more) {
  snprintf(options, sizeof options, "{\"spool\":\"%s\"%s%s}", path_of("spool"),
           *more ? "," : "", more);
  return options;
}

static int clean(void **state) {
  char command[400];
  before(state);
  alarm(240);
  snprintf(command, sizeof command, "rm -rf %s", path_of("spool"));
  return system(command);
}

/* ------------------------------------------------- kills, with many who feed */

static void take_reject(void *self, const tw_block *block, const tw_line *line,
                        const tw_error *why) {
  (void)self, (void)block, (void)line, (void)why;
}
static void take_done(void *self, const tw_block *block) { (void)self, (void)block; }
static const tw_intake_ops taking = {take_reject, take_done};

enum { FEEDERS = 2, LINES = 10, WORKERS = 3 };
static const char *const names[FEEDERS] = {"a.log", "b.log"};

static tw_file_id file_of(unsigned i) {
  return (tw_file_id){.device = 1, .inode = i + 2, .head_hash = 3, .head_len = 4};
}

typedef struct feeder {
  tw_engine *engine;
  unsigned number;
  int out;
} feeder;

static void *feed_on(void *self) {
  const feeder *from = self;
  tw_file_id file = file_of(from->number);
  tw_position position;
  tw_intake intake;
  tw_intake_init(&intake, &taking, NULL);
  if (tw_engine_position(from->engine, names[from->number], &file, &position, NULL)) _exit(1);
  uint64_t offset = position.offset, line = position.line ? position.line : 1;
  tw_position_fini(&position);
  for (unsigned b = 0;; b++, line += LINES) {
    tw_block *block = tw_intake_take(&intake);
    tw_block_reserve(block, 64 * LINES);
    for (unsigned i = 0; i < LINES; i++)
      block->len += (size_t)snprintf(block->data + block->len, 64, "{\"k\":%u}\n", b * 3 + i);
    tw_block_reserve(block, block->cap);
    block->source = names[from->number];
    block->file = &file;
    block->line = line;
    block->offset = offset;
    block->max_line = 1000;
    offset += block->len;
    if (tw_engine_feed(from->engine, block, NULL)) return NULL;
    tw_intake_wait(&intake, 2, -1);
    if (write(from->out, ".", 1) != 1) _exit(1);
  }
}

static void feed_until_killed(int out, const char *given) {
  tw_engine *engine = start(given, NULL);
  feeder from[FEEDERS];
  pthread_t threads[FEEDERS];
  for (unsigned i = 0; i < FEEDERS; i++) {
    from[i] = (feeder){engine, i, out};
    pthread_create(&threads[i], NULL, feed_on, &from[i]);
  }
  pthread_join(threads[0], NULL);
  _exit(1);
}

static void put_replays(unsigned first, unsigned records, unsigned each) {
  tw_spool *spool;
  tw_spool_txn *txn;
  const tw_spool_options how = {.mode = TW_SPOOL_SHARE};
  tw_error error = {0};
  if (tw_spool_open(path_of("spool"), &how, &spool, &error)) fail_msg("%s", error.message);
  assert_int_equal(tw_spool_begin(spool, true, &txn, NULL), TW_OK);
  for (unsigned r = 0; r < records; r++) {
    tw_chunk_builder builder = {0};
    tw_chunk *chunk;
    const char *data;
    size_t size;
    unsigned char key[64];
    for (unsigned i = 0; i < each; i++) {
      char json[64];
      size_t len = (size_t)snprintf(json, sizeof json, "{\"k\":%u}", r * 5 + i);
      assert_int_equal(tw_chunk_builder_add_text(&builder, json, len, "id-1", 4, 0, NULL),
                       TW_OK);
    }
    assert_int_equal(tw_chunk_finish(&builder, 0, 0, &chunk, NULL), TW_OK);
    tw_chunk_builder_fini(&builder);
    tw_chunk_number(chunk, 0);
    tw_chunk_bytes(chunk, &data, &size);
    size_t len = tw_replay_key_write(key, "", 0, first + r);
    assert_int_equal(tw_spool_put(txn, TW_SPOOL_REPLAY, key, len, data, size, NULL), TW_OK);
    tw_chunk_unref(chunk);
  }
  assert_int_equal(tw_spool_commit(txn, NULL), TW_OK);
  tw_spool_close(spool);
}

/* What all workers have counted, as the spool has it. */
static unsigned kept_count(void) {
  tw_spool *spool;
  tw_spool_txn *txn;
  tw_error error = {0};
  const tw_spool_options how = {.mode = TW_SPOOL_READ};
  unsigned count = 0;
  if (tw_spool_open(path_of("spool"), &how, &spool, &error)) fail_msg("%s", error.message);
  assert_int_equal(tw_spool_begin(spool, false, &txn, NULL), TW_OK);
  for (unsigned i = 0; i < WORKERS; i++) {
    char key[TW_STATE_KEY_ROOM], text[1000];
    const void *value;
    size_t len, key_len = tw_state_key_write(key, i, WORKERS);
    if (tw_spool_get(txn, TW_SPOOL_STATE, key, key_len, &value, &len, NULL)) continue;
    snprintf(text, sizeof text, "%.*s", (int)len, (const char *)value);
    const char *at = strstr(text, "\"n\":");
    assert_non_null(at);
    count += (unsigned)strtoul(at + 4, NULL, 10);
  }
  tw_spool_abort(txn);
  tw_spool_close(spool);
  return count;
}

static unsigned lines_read(tw_engine *engine) {
  uint64_t lines = 0;
  for (unsigned i = 0; i < FEEDERS; i++) {
    tw_file_id file = file_of(i);
    tw_position position;
    assert_int_equal(tw_engine_position(engine, names[i], &file, &position, NULL), TW_OK);
    lines += position.line ? position.line - 1 : 0;
    assert_int_equal(position.count, 0);
    tw_position_fini(&position);
  }
  return (unsigned)lines;
}

static void run_and_kill(const char *given, unsigned blocks) {
  int ends[2];
  char bytes[64];
  assert_int_equal(pipe(ends), 0);
  pid_t child = fork();
  if (!child) feed_until_killed(ends[1], given);
  close(ends[1]);
  for (unsigned fed = 0; fed < blocks;) {
    ssize_t got = read(ends[0], bytes, sizeof bytes);
    assert_true(got > 0);
    fed += (unsigned)got;
  }
  usleep(blocks * 137);
  kill(child, SIGKILL);
  waitpid(child, NULL, 0);
  close(ends[0]);
}

static void what_scripts_keep_fits_to_what_was_read_whoever_feeds(void **state) {
  (void)state;
  enum { ROUNDS = 16, RECORDS = 20, EACH = 7 };
  const char *given = with_spool("\"workers\":3,\"partition_by\":\"k\"");
  write_file("main.lua", HEAD
             "local count = tw.state('count', { init = function() return { n = 0 } end })\n"
             "return tw.router { processors = { function(event) count.n = count.n + 1 end },"
             "  backends = { out = tw.backends.null {} } }");
  tw_engine *engine = start(given, NULL);
  tw_engine_close(engine, 20000, NULL, NULL);
  tw_engine_unref(engine);
  for (unsigned round = 0; round < ROUNDS; round++) {
    put_replays(round * RECORDS, RECORDS, EACH);
    run_and_kill(given, 3 + round * 5);
    engine = start(given, NULL);
    assert_int_equal(tw_engine_drain(engine, 60000, NULL, NULL), TW_OK);
    unsigned lines = lines_read(engine);
    assert_int_equal(tw_engine_close(engine, 20000, NULL, NULL), TW_OK);
    tw_engine_unref(engine);
    assert_int_equal(kept_count(), lines + (round + 1) * RECORDS * EACH);
  }
}

/* ------------------------------------------------------------------- counts */

enum { BACKENDS = 4 };

typedef struct target {
  _Atomic uint64_t delivered, refused;
  unsigned kind, seed;
  int64_t last;
  atomic_uint out_of_order;
} target;

static unsigned next(unsigned *seed) { return *seed = *seed * 1103515245 + 12345; }

/* A backend that fails at random: wholly, half-way, for one event. */
static tw_status take_some(void *self, tw_batch *batch, tw_delivered *done, tw_error *error) {
  target *to = self;
  size_t count = tw_batch_count(batch), good = 0;
  unsigned luck = to->kind ? (next(&to->seed) >> 16) % 4 : 3;
  tw_status status = TW_OK;
  if (to->kind == 2) usleep(2000);
  for (; good < count && !status; good++) {
    const char *json;
    size_t len;
    tw_batch_json(batch, good, &json, &len);
    int64_t n = strtoll(strstr(json, "\"n\":") + 4, NULL, 10);
    if (luck == 0 || (luck == 1 && good > count / 2)) status = TW_EIO;
    else if (to->kind == 3 && n % 97 == 0) status = TW_EREFUSED;
    if (status) break;
    if (n <= to->last) atomic_fetch_add(&to->out_of_order, 1);
    to->last = n;
  }
  atomic_fetch_add(&to->delivered, good);
  done->count = good;
  done->is_exact = status == TW_EREFUSED;
  if (status == TW_EREFUSED) atomic_fetch_add(&to->refused, 1);
  if (status) snprintf(error->message, sizeof error->message, "not now");
  return error->code = status;
}

static tw_status never(void *self, tw_event *event, unsigned flags, tw_error *error) {
  (void)self, (void)event, (void)flags, (void)error;
  return TW_EINVAL;
}

static void ignore(void *self, const tw_failure *failure) { (void)self, (void)failure; }

static tw_engine *start_many(target *targets, const char *given) {
  static const tw_backend_ops ops = {.send = never, .deliver = take_some};
  static const char *const backend_names[BACKENDS] = {"b0", "b1", "b2", "b3"};
  tw_offer offers[BACKENDS + 1] = {0};
  tw_error error = {0};
  tw_engine *engine;
  for (unsigned i = 0; i < BACKENDS; i++) {
    offers[i].name = backend_names[i];
    assert_int_equal(tw_backend_new(&ops, &targets[i], 0, &offers[i].backend, NULL), TW_OK);
  }
  const tw_engine_ops all = {.offers = offers, .failed = ignore, .dead = ignore};
  if (tw_engine_new(path_of("main.lua"), given, strlen(given), &all, NULL, &engine, &error))
    fail_msg("%s", error.message);
  for (unsigned i = 0; i < BACKENDS; i++) tw_backend_unref(offers[i].backend);
  return engine;
}

static void write_many(unsigned generation, bool has_last) {
  write_file(
      "main.lua",
      HEAD
      "-- %u\n"
      "local function host(name, policy, most) return tw.backends.host(name, { delivery ="
      " { overload = policy, max_events = most, batch = { events = 7 },\n"
      "   retry = { min = '1ms', max = '3ms' }, breaker = { rest = '3ms' } } }) end\n"
      "local levels = { 'low', 'normal', 'high' }\n"
      "return tw.router { processors = { function(event) event.g = %u\n"
      "   tw.set_priority(event, levels[event.n %% 3 + 1]) end },\n"
      " backends = { b0 = host('b0', 'drop_newest', 50), b1 = host('b1', 'drop_oldest',"
      " 40), b2 = host('b2', 'drop_newest', 30)%s } }",
      generation, generation, has_last ? ", b3 = host('b3', 'block', 100)" : "");
}

typedef struct sums {
  target *targets;
  uint64_t came[BACKENDS], waiting;
} sums;

static void check_branch(void *self, const tw_branch *branch) {
  const sums *to = self;
  if (!branch->outbox || branch->path[0] != 'b') return;
  const target *of = &to->targets[branch->path[1] - '0'];
  const tw_outbox_stats *it = branch->outbox;
  uint64_t came = to->came[branch->path[1] - '0'];
  if (came != of->delivered + it->dead + it->shed + it->waiting)
    fail_msg("%s: %llu came, %llu delivered, %llu dead, %llu shed, %llu wait", branch->path,
             (unsigned long long)came, (unsigned long long)of->delivered,
             (unsigned long long)it->dead, (unsigned long long)it->shed,
             (unsigned long long)it->waiting);
  assert_int_equal(it->dead, of->refused);
  assert_int_equal(of->out_of_order, 0);
}

static void count_everything(const char *given) {
  enum { EVENTS = 6000 };
  target targets[BACKENDS];
  for (unsigned i = 0; i < BACKENDS; i++)
    targets[i] = (target){.kind = i, .seed = i + 1, .last = -1};
  sums to = {.targets = targets};
  bool has_last = true;
  write_many(1, true);
  tw_engine *engine = start_many(targets, given);
  for (unsigned i = 0; i < EVENTS; i++) {
    send(engine, "{\"n\":%u}", i);
    for (unsigned b = 0; b < BACKENDS; b++) to.came[b] += b < 3 || has_last;
    if (i % 300 == 299) {
      tw_engine_flush(engine, -1, NULL, NULL);
      has_last = (i / 300) % 3 != 0;
      write_many(i, has_last);
      reload(engine);
    }
  }
  assert_int_equal(tw_engine_flush(engine, 60000, NULL, NULL), TW_OK);
  tw_engine_drain(engine, 60000, NULL, NULL);
  tw_engine_close(engine, 60000, NULL, NULL);
  tw_engine_visit(engine, check_branch, &to);
  tw_engine_unref(engine);
}

static void what_came_is_delivered_dead_shed_or_waits_in_a_spool(void **state) {
  (void)state;
  count_everything(with_spool("\"durability\":\"os\""));
}

static void what_came_is_delivered_dead_shed_or_waits_in_memory(void **state) {
  (void)state;
  count_everything("{\"durability\":\"memory\"}");
}

#define engine_test(name) cmocka_unit_test_setup_teardown(name, clean, after)

int main(int argc, char **argv) {
  const struct CMUnitTest tests[] = {
      engine_test(what_scripts_keep_fits_to_what_was_read_whoever_feeds),
      engine_test(what_came_is_delivered_dead_shed_or_waits_in_a_spool),
      engine_test(what_came_is_delivered_dead_shed_or_waits_in_memory),
  };
  if (argc > 1) cmocka_set_test_filter(argv[1]);
  return cmocka_run_group_tests(tests, set_up, tear_down);
}
