/* Nothing waits for ever: backends that are dead, outboxes that are full, callbacks that ask
   for what would wait for themselves. A test that waits longer than a minute is ended by a
   signal. */
#include <signal.h>
#include <sys/resource.h>

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
  alarm(120);
  snprintf(command, sizeof command, "rm -rf %s %s", path_of("spool"), path_of("count"));
  return system(command);
}

/* The thread that frees has still to leave the allocator. */
static int after_all(void **state) {
  for (int i = 0; i < 5000 && tw_oom_live(); i++) usleep(1000);
  return after(state);
}

/* ---------------------------------------------------------------- a host */

typedef struct host {
  _Atomic(tw_engine *) engine;
  atomic_bool is_away, is_freed, has_acted;
  atomic_uint delivered, calls, good, bad, dead;
  void (*act)(struct host *host);
  void (*on_call)(struct host *host); /* of the backend */
  atomic_int flush, close, reload, drain;
} host;

/* An engine may deliver what a spool has before its maker has it. */
static void act(host *self) {
  if (!self->act || atomic_exchange(&self->has_acted, true)) return;
  while (!atomic_load(&self->engine)) usleep(1000);
  self->act(self);
}

static tw_status take(void *self, tw_batch *batch, tw_delivered *done, tw_error *error) {
  host *to = self;
  atomic_fetch_add(&to->calls, 1);
  if (to->on_call) to->on_call(to);
  if (atomic_load(&to->is_away)) {
    snprintf(error->message, sizeof error->message, "away");
    return error->code = TW_EIO;
  }
  done->count = tw_batch_count(batch);
  atomic_fetch_add(&to->delivered, (unsigned)done->count);
  return TW_OK;
}

static tw_status never(void *self, tw_event *event, unsigned flags, tw_error *error) {
  (void)self, (void)event, (void)flags, (void)error;
  return TW_EINVAL;
}

static void told_failed(void *self, const tw_failure *failure) {
  (void)failure;
  act(self);
}

static void told_freed(void *self) { atomic_store(&((host *)self)->is_freed, true); }

static void told_ack(void *self, tw_status status, const tw_error *error) {
  host *to = self;
  (void)error;
  atomic_fetch_add(status ? &to->bad : &to->good, 1);
  act(to);
}

static void write_two(void) {
  write_file("main.lua",
             HEAD
             "return tw.router { backends = { host = tw.backends.host 'host',\n"
             "  out = tw.backends.file { path = '%s' } } }",
             path_of("out"));
}

static tw_engine *start_with(host *self, const char *given) {
  static const tw_backend_ops ops = {.send = never, .deliver = take};
  tw_error error = {0};
  tw_engine *engine;
  tw_backend *backend;
  assert_int_equal(tw_backend_new(&ops, self, 0, &backend, NULL), TW_OK);
  const tw_offer offers[] = {{.name = "host", .backend = backend}, {0}};
  const tw_engine_ops all = {.offers = offers, .failed = told_failed, .free = told_freed};
  if (tw_engine_new(path_of("main.lua"), given, strlen(given), &all, self, &engine, &error))
    fail_msg("%s", error.message);
  tw_backend_unref(backend);
  atomic_store(&self->engine, engine);
  return engine;
}

static void send_acked(tw_engine *engine, host *to, const char *json) {
  tw_ack *ack;
  tw_event *event;
  tw_error error = {0};
  assert_int_equal(tw_ack_new(told_ack, to, &ack, NULL), TW_OK);
  assert_int_equal(tw_event_parse(json, strlen(json), NULL, &event, NULL), TW_OK);
  tw_ack *outer = tw_ack_swap(ack);
  tw_status status = tw_engine_send(engine, event, &error);
  tw_ack_swap(outer);
  tw_ack_end(ack, status, &error);
  tw_event_free(event);
}

static bool reaches(const atomic_uint *counter, unsigned least) {
  for (int i = 0; i < 20000 && atomic_load(counter) < least; i++) usleep(1000);
  return atomic_load(counter) >= least;
}

static unsigned lines_out(void) {
  FILE *file = fopen(path_of("out"), "r");
  unsigned count = 0;
  if (!file) return 0;
  for (int c; (c = getc(file)) != EOF;) count += c == '\n';
  fclose(file);
  return count;
}

static bool lines_reach(unsigned least) {
  for (int i = 0; i < 4000 && lines_out() < least; i++) usleep(5000);
  return lines_out() >= least;
}

#define QUICK "\"retry\":{\"min\":\"1ms\",\"max\":\"5ms\"},\"breaker\":{\"rest\":\"10ms\"}"

/* ----------------------------------------------------------- dead backends */

static void a_dead_backend_does_not_stop_routing_when_acknowledged_is_delivered(void **state) {
  (void)state;
  host self = {.is_away = true};
  write_two();
  tw_engine *engine =
      start_with(&self, with_spool("\"ack\":\"delivered\",\"delivery\":{" QUICK "}"));
  for (unsigned round = 1; round <= 20; round++) {
    send_acked(engine, &self, "{\"n\":1}");
    assert_true(lines_reach(round));
  }
  assert_int_equal(self.good + self.bad, 0);
  atomic_store(&self.is_away, false);
  assert_true(reaches(&self.good, 20));
  tw_engine_close(engine, 20000, NULL, NULL);
  tw_engine_unref(engine);
}

static void closing_does_not_wait_for_what_a_dead_backend_leaves_in_the_spool(void **state) {
  (void)state;
  host self = {.is_away = true};
  write_two();
  tw_engine *engine =
      start_with(&self, with_spool("\"ack\":\"delivered\",\"delivery\":{" QUICK "}"));
  for (unsigned round = 1; round <= 6; round++) {
    send_acked(engine, &self, "{\"n\":1}");
    usleep(30000);
  }
  assert_int_equal(tw_engine_close(engine, -1, NULL, NULL), TW_OK);
  assert_int_equal(self.good + self.bad, 6);
  tw_engine_unref(engine);
}

static void close_a_full_one(const char *given) {
  host self = {.is_away = true};
  write_two();
  tw_engine *engine = start_with(&self, given);
  for (unsigned i = 0; i < 60; i++) {
    send_acked(engine, &self, "{\"n\":1}");
    usleep(3000);
  }
  tw_engine_close(engine, 300, NULL, NULL);
  assert_int_equal(self.good + self.bad, 60);
  tw_engine_unref(engine);
}

static void closing_ends_in_time_though_an_outbox_in_the_spool_is_full(void **state) {
  (void)state;
  close_a_full_one(with_spool("\"delivery\":{\"max_events\":3," QUICK "}"));
}

static void closing_ends_in_time_though_an_outbox_in_memory_is_full(void **state) {
  (void)state;
  close_a_full_one("{\"durability\":\"memory\",\"delivery\":{\"max_events\":3," QUICK "}}");
}

static void cure_by_reload(const char *given) {
  host self = {.is_away = true};
  write_two();
  tw_engine *engine = start_with(&self, given);
  for (unsigned i = 0; i < 60; i++) {
    send_acked(engine, &self, "{\"n\":1}");
    usleep(2000);
  }
  write_file("main.lua",
             HEAD
             "return tw.router { backends = { host = tw.backends.null {}, out = "
             "tw.backends.file { path = '%s' } } }",
             path_of("out"));
  reload(engine);
  flush(engine);
  assert_int_equal(self.good, 60);
  tw_engine_close(engine, 20000, NULL, NULL);
  tw_engine_unref(engine);
}

static void a_reload_brings_another_backend_though_the_outbox_is_full(void **state) {
  (void)state;
  cure_by_reload(with_spool("\"delivery\":{\"max_events\":3," QUICK "}"));
}

static void the_same_in_memory(void **state) {
  (void)state;
  cure_by_reload("{\"durability\":\"memory\",\"delivery\":{\"max_events\":3," QUICK "}}");
}

static void a_reload_removes_a_dead_backend_though_its_outbox_is_full(void **state) {
  (void)state;
  host self = {.is_away = true};
  write_two();
  tw_engine *engine =
      start_with(&self, with_spool("\"delivery\":{\"max_events\":3," QUICK "}"));
  for (unsigned i = 0; i < 60; i++) {
    send_acked(engine, &self, "{\"n\":1}");
    usleep(2000);
  }
  write_script("");
  reload(engine);
  flush(engine);
  assert_int_equal(self.good, 60);
  tw_engine_close(engine, 20000, NULL, NULL);
  tw_engine_unref(engine);
}

static void flush_some(tw_engine *engine) { tw_engine_flush(engine, 100, NULL, NULL); }

/* What was shed from the end of an outbox is through, too. */
static void an_event_that_was_shed_is_not_waited_for(void **state) {
  (void)state;
  host self = {.is_away = true};
  write_file("main.lua", HEAD
             "return tw.router { processors = { function(event)\n"
             "  if event.many then local all = {} for i = 1, 20 do all[i] = { n = i } end\n"
             "    return all end end },\n"
             "  backends = { host = tw.backends.host 'host' } }");
  tw_engine *engine = start_with(
      &self, with_spool("\"ack\":\"delivered\",\"delivery\":{\"max_events\":2,\"batch\":"
                        "{\"events\":1},\"overload\":\"drop_oldest\"," QUICK "}"));
  for (unsigned i = 0; i < 2; i++) {
    send_acked(engine, &self, "{\"n\":1}");
    flush_some(engine);
  }
  send_acked(engine, &self, "{\"many\":1}");
  flush_some(engine);
  atomic_store(&self.is_away, false);
  assert_true(reaches(&self.good, 3));
  tw_engine_close(engine, 20000, NULL, NULL);
  tw_engine_unref(engine);
}

static void break_the_disk(host *self) {
  (void)self;
  struct rlimit none;
  usleep(500000); /* the workers end meanwhile */
  getrlimit(RLIMIT_FSIZE, &none);
  none.rlim_cur = 0;
  setrlimit(RLIMIT_FSIZE, &none);
}

/* What was delivered can be noted no more: it is delivered again by the next start. */
static void closing_does_not_wait_for_a_disk_that_fails(void **state) {
  (void)state;
  host self = {.on_call = break_the_disk};
  struct rlimit usual;
  write_file("main.lua",
             HEAD "return tw.router { backends = { host = tw.backends.host 'host' } }");
  getrlimit(RLIMIT_FSIZE, &usual);
  signal(SIGXFSZ, SIG_IGN);
  tw_engine *engine = start_with(&self, with_spool("\"delivery\":{" QUICK "}"));
  send(engine, "{\"n\":1}");
  flush(engine);
  bool is_called = reaches(&self.calls, 1);
  tw_status status = tw_engine_close(engine, -1, NULL, NULL);
  setrlimit(RLIMIT_FSIZE, &usual);
  signal(SIGXFSZ, SIG_DFL);
  assert_true(is_called);
  assert_int_equal(status, TW_OK);
  assert_int_equal(self.delivered, 1);
  tw_engine_unref(engine);
  self.on_call = NULL;
  engine = start_with(&self, with_spool("\"delivery\":{" QUICK "}"));
  assert_true(reaches(&self.delivered, 2));
  tw_engine_close(engine, 20000, NULL, NULL);
  tw_engine_unref(engine);
}

/* --------------------------------------------------------------- callbacks */

static void ask_for_everything(host *self) {
  tw_engine *engine = atomic_load(&self->engine);
  atomic_store(&self->flush, (int)tw_engine_flush(engine, -1, NULL, NULL));
  atomic_store(&self->drain, (int)tw_engine_drain(engine, -1, NULL, NULL));
  atomic_store(&self->reload, (int)tw_engine_reload(engine, NULL));
  atomic_store(&self->close, (int)tw_engine_close(engine, -1, NULL, NULL));
}

static void let_go(host *self) { tw_engine_unref(atomic_load(&self->engine)); }

static void check_refusals(const host *self) {
  for (int i = 0; i < 20000 && self->close != TW_EINVAL; i++) usleep(1000);
  assert_int_equal(self->flush, TW_EINVAL);
  assert_int_equal(self->drain, TW_EINVAL);
  assert_int_equal(self->reload, TW_EINVAL);
  assert_int_equal(self->close, TW_EINVAL);
}

static const char *given_ways(unsigned way) {
  static const char *const ways[] = {"", "\"ack\":\"delivered\""};
  return way < 2 ? with_spool(ways[way]) : "{\"durability\":\"memory\"}";
}

static void an_acknowledgement_cannot_wait_for_its_engine(void **state) {
  (void)state;
  for (unsigned way = 0; way < 3; way++) {
    host self = {.act = ask_for_everything};
    write_two();
    tw_engine *engine = start_with(&self, given_ways(way));
    send_acked(engine, &self, "{\"n\":1}");
    check_refusals(&self);
    tw_engine_close(engine, 20000, NULL, NULL);
    tw_engine_unref(engine);
  }
}

static void an_acknowledgement_may_let_go_of_the_engine(void **state) {
  (void)state;
  for (unsigned way = 0; way < 3; way++) {
    host self = {.act = let_go};
    write_two();
    tw_engine *engine = start_with(&self, given_ways(way));
    send_acked(engine, &self, "{\"n\":1}");
    for (int i = 0; i < 20000 && !self.is_freed; i++) usleep(1000);
    assert_true(self.is_freed);
  }
}

static void who_is_told_of_a_failed_delivery_cannot_wait_for_the_engine(void **state) {
  (void)state;
  for (unsigned way = 0; way < 3; way++) {
    host self = {.act = ask_for_everything, .is_away = true};
    write_two();
    tw_engine *engine = start_with(&self, given_ways(way));
    send(engine, "{\"n\":1}");
    check_refusals(&self);
    atomic_store(&self.is_away, false);
    tw_engine_close(engine, 20000, NULL, NULL);
    tw_engine_unref(engine);
  }
}

static void who_is_told_of_a_failed_delivery_may_let_go_of_the_engine(void **state) {
  (void)state;
  for (unsigned way = 0; way < 2; way++) {
    host self = {.act = let_go, .is_away = true};
    write_two();
    tw_engine *engine = start_with(&self, given_ways(way));
    send(engine, "{\"n\":1}");
    for (int i = 0; i < 20000 && !self.is_freed; i++) usleep(1000);
    assert_true(self.is_freed);
  }
}

/* A call into Lua that was left behind outlives the engine, and what it does then is refused.
 */
static void a_backend_in_lua_that_hangs_outlives_the_engine(void **state) {
  (void)state;
  write_file("main.lua", HEAD
             "return tw.router { backends = { lua = { send = function(self, event)\n"
             "  os.execute('sleep 1')\n"
             "  tw.log('it goes on')\n"
             "  local ok, why = pcall(tw.emit, 'again', {})\n"
             "  error('it fails') end } } }");
  const char *given = with_spool("\"grants\":\"io,os\",\"delivery\":{" QUICK "}");
  tw_engine *engine = start(given, NULL);
  send(engine, "{\"n\":1}");
  flush(engine);
  usleep(300000);
  tw_engine_close(engine, 100, NULL, NULL);
  tw_engine_unref(engine);
  usleep(2000000);
}

/* -------------------------------------------------------------------- epochs */

static void take_reject(void *self, const tw_block *block, const tw_line *line,
                        const tw_error *why) {
  (void)self, (void)block, (void)line, (void)why;
}
static void take_done(void *self, const tw_block *block) { (void)self, (void)block; }
static const tw_intake_ops taking = {take_reject, take_done};

typedef struct feeder {
  tw_engine *engine;
  tw_file_id file;
  const char *name;
  unsigned blocks;
} feeder;

static void *feed_blocks(void *self) {
  feeder *from = self;
  tw_intake intake;
  uint64_t offset = 0;
  tw_intake_init(&intake, &taking, NULL);
  for (unsigned b = 0; b < from->blocks; b++) {
    tw_block *block = tw_intake_take(&intake);
    tw_block_reserve(block, 64 * 20);
    for (unsigned i = 0; i < 20; i++)
      block->len += (size_t)snprintf(block->data + block->len, 64, "{\"k\":%u}\n", (b + i) % 7);
    tw_block_reserve(block, block->cap);
    block->source = from->name;
    block->file = &from->file;
    block->line = b * 20 + 1;
    block->offset = offset;
    block->max_line = 1000;
    offset += block->len;
    tw_engine_feed(from->engine, block, NULL);
    tw_intake_wait(&intake, 2, -1);
  }
  tw_intake_wait(&intake, 0, -1);
  tw_intake_fini(&intake);
  return NULL;
}

static void blocks_from_two_threads_do_not_wait_for_each_other(void **state) {
  (void)state;
  write_script("");
  tw_engine *engine = start(with_spool("\"workers\":3,\"partition_by\":\"k\""), NULL);
  feeder from[3];
  pthread_t threads[3];
  static const char *const names[] = {"a.log", "b.log", "c.log"};
  for (unsigned i = 0; i < 3; i++) {
    from[i] = (feeder){
        engine, {.device = 1, .inode = i + 2, .head_hash = 3, .head_len = 4}, names[i], 200};
    pthread_create(&threads[i], NULL, feed_blocks, &from[i]);
  }
  for (unsigned i = 0; i < 3; i++) pthread_join(threads[i], NULL);
  assert_int_equal(tw_engine_close(engine, 20000, NULL, NULL), TW_OK);
  tw_engine_unref(engine);
}

#define engine_test(name) cmocka_unit_test_setup_teardown(name, clean, after_all)

int main(int argc, char **argv) {
  const struct CMUnitTest tests[] = {
      engine_test(a_dead_backend_does_not_stop_routing_when_acknowledged_is_delivered),
      engine_test(closing_does_not_wait_for_what_a_dead_backend_leaves_in_the_spool),
      engine_test(closing_ends_in_time_though_an_outbox_in_the_spool_is_full),
      engine_test(closing_ends_in_time_though_an_outbox_in_memory_is_full),
      engine_test(a_reload_brings_another_backend_though_the_outbox_is_full),
      engine_test(the_same_in_memory),
      engine_test(a_reload_removes_a_dead_backend_though_its_outbox_is_full),
      engine_test(an_event_that_was_shed_is_not_waited_for),
      engine_test(closing_does_not_wait_for_a_disk_that_fails),
      engine_test(an_acknowledgement_cannot_wait_for_its_engine),
      engine_test(an_acknowledgement_may_let_go_of_the_engine),
      engine_test(who_is_told_of_a_failed_delivery_cannot_wait_for_the_engine),
      engine_test(who_is_told_of_a_failed_delivery_may_let_go_of_the_engine),
      engine_test(a_backend_in_lua_that_hangs_outlives_the_engine),
      engine_test(blocks_from_two_threads_do_not_wait_for_each_other),
  };
  if (argc > 1) cmocka_set_test_filter(argv[1]);
  return cmocka_run_group_tests(tests, set_up, tear_down);
}
