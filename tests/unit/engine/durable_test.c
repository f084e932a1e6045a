/* Engines whose backends have outboxes: what is acknowledged is delivered, whatever happens in
   between; input, outputs and state are committed together. */
#include <signal.h>

#include "base/wait.h"
#include "core/ack.h"
#include "delivery/spool_keys.h"
#include "engine/engine.h"
#include "engine_case.h"

static char options[512];

static const char *with_spool(const char *more) {
  snprintf(options, sizeof options, "{\"spool\":\"%s\"%s%s}", path_of("spool"),
           *more ? "," : "", more);
  return options;
}

static int clean(void **state) {
  char command[300];
  before(state);
  snprintf(command, sizeof command, "rm -rf %s %s %s", path_of("spool"), path_of("other"),
           path_of("count"));
  return system(command);
}

static unsigned lines_in(const char *name) {
  FILE *file = fopen(path_of(name), "r");
  unsigned count = 0;
  if (!file) return 0;
  for (int c; (c = getc(file)) != EOF;) count += c == '\n';
  fclose(file);
  return count;
}

static void drain(tw_engine *engine) {
  uint64_t left;
  tw_error error = {0};
  flush(engine);
  if (tw_engine_drain(engine, 20000, &left, &error)) fail_msg("%s", error.message);
  assert_int_equal(left, 0);
}

static void close_engine(tw_engine *engine) {
  tw_engine_close(engine, 20000, NULL, NULL);
  tw_engine_unref(engine);
}

/* ------------------------------------------------------------------- basics */

typedef struct acks {
  atomic_uint good, bad;
} acks;

static void count_ack(void *self, tw_status status, const tw_error *error) {
  acks *to = self;
  (void)error;
  atomic_fetch_add(status ? &to->bad : &to->good, 1);
}

/* Sends as tw_emit_acked does. */
static void send_acked(tw_engine *engine, acks *to, const char *json) {
  tw_ack *ack;
  tw_event *event;
  tw_error error = {0};
  assert_int_equal(tw_ack_new(count_ack, to, &ack, NULL), TW_OK);
  assert_int_equal(tw_event_parse(json, strlen(json), NULL, &event, NULL), TW_OK);
  tw_ack *outer = tw_ack_swap(ack);
  tw_status status = tw_engine_send(engine, event, &error);
  tw_ack_swap(outer);
  tw_ack_end(ack, status, &error);
  tw_event_free(event);
}

static void an_event_is_acknowledged_when_it_is_durable_and_then_delivered(void **state) {
  (void)state;
  acks to = {0};
  write_script("event.seen = true");
  tw_engine *engine = start(with_spool(""), NULL);
  for (unsigned i = 0; i < 100; i++) send_acked(engine, &to, "{\"n\":1}");
  flush(engine);
  assert_int_equal(to.good, 100);
  assert_int_equal(to.bad, 0);
  drain(engine);
  assert_int_equal(lines_in("out"), 100);
  close_engine(engine);
}

static void an_acknowledgement_may_wait_for_the_delivery(void **state) {
  (void)state;
  acks to = {0};
  write_script("event.seen = true");
  tw_engine *engine = start(with_spool("\"ack\":\"delivered\""), NULL);
  for (unsigned i = 0; i < 10; i++) {
    send_acked(engine, &to, "{\"n\":1}");
    flush(engine);
    assert_int_equal(to.good, i + 1);
    assert_int_equal(lines_in("out"), i + 1);
  }
  close_engine(engine);
}

static void outboxes_in_memory_are_emptied_by_a_flush_and_at_the_end(void **state) {
  (void)state;
  write_script("event.seen = true");
  tw_engine *engine = start("{\"durability\":\"memory\"}", NULL);
  for (unsigned i = 0; i < 1000; i++) send(engine, "{\"n\":%u}", i);
  flush(engine);
  assert_int_equal(lines_in("out"), 1000);
  for (unsigned i = 0; i < 1000; i++) send(engine, "{\"n\":%u}", i);
  uint64_t left;
  assert_int_equal(tw_engine_close(engine, 20000, &left, NULL), TW_OK);
  assert_int_equal(left, 0);
  assert_int_equal(lines_in("out"), 2000);
  tw_engine_unref(engine);
}

static void options_that_make_no_sense_are_refused(void **state) {
  (void)state;
  static const char *const bad[][2] = {
      {"{\"durability\":\"commit\"}", "needs a folder"},
      {"{\"spool\":\"x\",\"durability\":\"memory\"}", "keeps nothing"},
      {"{\"durability\":\"ram\"}", "not \"ram\""},
      {"{\"ack\":\"soon\"}", "not \"soon\""},
      {"{\"spool\":{\"path\":\"x\",\"max_bytes\":\"1MiB\"}}", "16MiB or more"},
      {"{\"delivery\":{\"retry\":{\"mni\":1}}}", "retry.min"},
      {"{\"delivery\":7}", "delivery must be a table"},
      {"{\"spool\":{\"pth\":\"x\"}}", "spool.path"}};
  write_script("");
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    tw_engine *engine;
    tw_error error = {0};
    assert_int_not_equal(tw_engine_new(path_of("main.lua"), bad[i][0], strlen(bad[i][0]), NULL,
                                       NULL, &engine, &error),
                         TW_OK);
    if (!strstr(error.message, bad[i][1])) fail_msg("%s: %s", bad[i][0], error.message);
  }
}

static void a_spool_has_one_engine(void **state) {
  (void)state;
  write_script("");
  tw_engine *engine = start(with_spool(""), NULL), *other;
  tw_error error = {0};
  assert_int_equal(
      tw_engine_new(path_of("main.lua"), options, strlen(options), NULL, NULL, &other, &error),
      TW_EEXIST);
  close_engine(engine);
  close_engine(start(with_spool(""), NULL));
}

/* ------------------------------------------------- a host's backend that fails */

typedef struct host_backend {
  pthread_mutex_t mutex;
  pthread_cond_t changed;
  bool is_away, hangs;
  unsigned calls, delivered;
} host_backend;

static tw_status take(void *self, tw_batch *batch, tw_delivered *done, tw_error *error) {
  host_backend *host = self;
  tw_status status = TW_OK;
  pthread_mutex_lock(&host->mutex);
  host->calls++;
  pthread_cond_broadcast(&host->changed);
  while (host->hangs) pthread_cond_wait(&host->changed, &host->mutex);
  for (size_t i = 0; i < tw_batch_count(batch) && !status && !host->is_away; i++) {
    const char *json;
    size_t len;
    tw_batch_json(batch, i, &json, &len);
    if (len > 8 && memcmp(json, "{\"refuse", 8) == 0) {
      snprintf(error->message, sizeof error->message, "not this one");
      error->code = status = TW_EREFUSED;
      done->is_exact = true;
    } else {
      host->delivered++;
      done->count++;
    }
  }
  if (host->is_away) {
    snprintf(error->message, sizeof error->message, "away");
    error->code = status = TW_EIO;
  }
  pthread_cond_broadcast(&host->changed);
  pthread_mutex_unlock(&host->mutex);
  return status;
}

static tw_status never(void *self, tw_event *event, unsigned flags, tw_error *error) {
  (void)self, (void)event, (void)flags, (void)error;
  return TW_EINVAL;
}

static void begin_host(host_backend *host) {
  *host = (host_backend){0};
  pthread_mutex_init(&host->mutex, NULL);
  tw_condition_init(&host->changed);
}

static void set(host_backend *host, bool *what, bool value) {
  pthread_mutex_lock(&host->mutex);
  *what = value;
  pthread_cond_broadcast(&host->changed);
  pthread_mutex_unlock(&host->mutex);
}

static bool reaches(host_backend *host, const unsigned *counter, unsigned least) {
  struct timespec end = tw_deadline(UINT64_C(20000000000));
  int problem = 0;
  pthread_mutex_lock(&host->mutex);
  while (*counter < least && !problem)
    problem = pthread_cond_timedwait(&host->changed, &host->mutex, &end);
  bool has = *counter >= least;
  pthread_mutex_unlock(&host->mutex);
  return has;
}

typedef struct letters {
  atomic_uint dead, failed;
} letters;

static void count_dead(void *self, const tw_failure *failure) {
  letters *to = self;
  atomic_fetch_add(&to->dead, failure->event != NULL);
}

static void count_failure(void *self, const tw_failure *failure) {
  letters *to = self;
  (void)failure;
  atomic_fetch_add(&to->failed, 1);
}

static tw_engine *start_with(host_backend *host, const char *given, letters *to) {
  static const tw_backend_ops ops = {.send = never, .deliver = take};
  tw_error error = {0};
  tw_engine *engine;
  tw_backend *backend;
  assert_int_equal(tw_backend_new(&ops, host, 0, &backend, NULL), TW_OK);
  const tw_offer offers[] = {{.name = "host", .backend = backend}, {0}};
  const tw_engine_ops all = {.offers = offers, .dead = count_dead, .failed = count_failure};
  write_file("main.lua",
             HEAD
             "return tw.router { backends = { host = tw.backends.host 'host', out = "
             "tw.backends.file { path = '%s' } } }",
             path_of("out"));
  if (tw_engine_new(path_of("main.lua"), given, strlen(given), &all, to, &engine, &error))
    fail_msg("%s", error.message);
  tw_backend_unref(backend);
  return engine;
}

static const char *const quick =
    "\"delivery\":{\"retry\":{\"min\":\"1ms\",\"max\":\"5ms\"},"
    "\"breaker\":{\"rest\":\"10ms\"}}";

static void events_wait_for_a_backend_that_is_away(void **state) {
  (void)state;
  host_backend host;
  letters to = {0};
  begin_host(&host);
  host.is_away = true;
  tw_engine *engine = start_with(&host, with_spool(quick), &to);
  for (unsigned i = 0; i < 500; i++) send(engine, "{\"n\":%u}", i);
  flush(engine);
  assert_true(reaches(&host, &host.calls, 10));
  assert_int_equal(host.delivered, 0);
  set(&host, &host.is_away, false);
  assert_true(reaches(&host, &host.delivered, 500));
  drain(engine);
  assert_int_equal(host.delivered, 500);
  assert_int_equal(lines_in("out"), 500);
  assert_true(to.failed > 0);
  close_engine(engine);
}

static void what_was_not_delivered_is_delivered_by_the_next_process(void **state) {
  (void)state;
  host_backend host;
  letters to = {0};
  begin_host(&host);
  host.is_away = true;
  tw_engine *engine = start_with(&host, with_spool(quick), &to);
  for (unsigned i = 0; i < 500; i++) send(engine, "{\"n\":%u}", i);
  flush(engine);
  uint64_t left;
  assert_int_equal(tw_engine_close(engine, 5000, &left, NULL), TW_OK);
  assert_int_equal(left, 0); /* in the spool it is not lost */
  tw_engine_unref(engine);
  host.is_away = false;
  engine = start_with(&host, with_spool(quick), &to);
  drain(engine);
  assert_int_equal(host.delivered, 500);
  assert_int_equal(lines_in("out"), 500);
  close_engine(engine);
}

static void a_backend_that_hangs_stops_nobody(void **state) {
  (void)state;
  host_backend host;
  letters to = {0};
  begin_host(&host);
  host.hangs = true;
  tw_engine *engine = start_with(&host, with_spool(""), &to);
  for (unsigned i = 0; i < 2000; i++) send(engine, "{\"n\":%u}", i);
  flush(engine);
  assert_true(reaches(&host, &host.calls, 1));
  for (unsigned i = 0; i < 2000 && lines_in("out") < 2000; i++) usleep(5000);
  assert_int_equal(lines_in("out"), 2000);
  uint64_t left;
  assert_int_equal(tw_engine_close(engine, 200, &left, NULL), TW_OK);
  tw_engine_unref(engine);
  /* The call that was left behind outlives the engine. */
  set(&host, &host.hangs, false);
  assert_true(reaches(&host, &host.delivered, 1));
  usleep(50000);
  unsigned before_restart = host.delivered;
  engine = start_with(&host, with_spool(""), &to);
  drain(engine);
  assert_true(host.delivered >= 2000);
  assert_true(host.delivered <= 2000 + before_restart); /* the one call may come twice */
  close_engine(engine);
}

static unsigned dead_in_spool(void) {
  tw_spool *spool;
  tw_spool_txn *txn;
  tw_error error = {0};
  const tw_spool_options how = {.mode = TW_SPOOL_READ};
  unsigned count = 0;
  unsigned char key[8] = {0};
  tw_spool_record record;
  if (tw_spool_open(path_of("spool"), &how, &spool, &error)) fail_msg("%s", error.message);
  assert_int_equal(tw_spool_begin(spool, false, &txn, NULL), TW_OK);
  while (tw_spool_seek(txn, TW_SPOOL_DEAD, key, sizeof key, &record, NULL) == TW_OK) {
    tw_chunk *chunk;
    assert_int_equal(tw_chunk_read(record.value, record.len, &chunk, NULL), TW_OK);
    count += tw_chunk_count(chunk);
    tw_spool_write_number(key, tw_spool_read_number(record.key) + 1);
    tw_chunk_unref(chunk);
  }
  tw_spool_abort(txn);
  tw_spool_close(spool);
  return count;
}

static void an_event_that_is_refused_is_a_dead_letter_in_the_spool(void **state) {
  (void)state;
  host_backend host;
  letters to = {0};
  begin_host(&host);
  tw_engine *engine = start_with(&host, with_spool(quick), &to);
  for (unsigned i = 0; i < 100; i++)
    send(engine, i == 42 ? "{\"refuse\":%u}" : "{\"n\":%u}", i);
  drain(engine);
  assert_int_equal(host.delivered, 99);
  close_engine(engine);
  assert_int_equal(dead_in_spool(), 1);
}

static void without_a_spool_the_host_gets_dead_letters(void **state) {
  (void)state;
  host_backend host;
  letters to = {0};
  begin_host(&host);
  snprintf(options, sizeof options, "{%s}", quick);
  tw_engine *engine = start_with(&host, options, &to);
  for (unsigned i = 0; i < 100; i++)
    send(engine, i == 42 ? "{\"refuse\":%u}" : "{\"n\":%u}", i);
  flush(engine);
  assert_int_equal(host.delivered, 99);
  assert_int_equal(to.dead, 1);
  close_engine(engine);
}

/* A call below a hanging backend is not lost when nothing is durable: it is told. */
static void what_is_left_in_memory_at_the_end_is_told(void **state) {
  (void)state;
  host_backend host;
  letters to = {0};
  begin_host(&host);
  host.is_away = true;
  snprintf(options, sizeof options, "{%s}", quick);
  tw_engine *engine = start_with(&host, options, &to);
  for (unsigned i = 0; i < 100; i++) send(engine, "{\"n\":%u}", i);
  uint64_t left;
  assert_int_equal(tw_engine_close(engine, 300, &left, NULL), TW_ELIMIT);
  assert_int_equal(left, 100);
  tw_engine_unref(engine);
}

/* Without outboxes a backend's failure is the acknowledgement's. */
static void a_backend_that_is_called_at_once_fails_the_acknowledgement(void **state) {
  (void)state;
  acks to = {0};
  letters told_of = {0};
  write_file("main.lua", HEAD
             "return tw.router { backends = { a = { send = function(self, event)"
             " if event.bad then return false, 'no' end end } } }");
  const tw_engine_ops ops = {.failed = count_failure};
  tw_engine *engine;
  assert_int_equal(tw_engine_new(path_of("main.lua"), NULL, 0, &ops, &told_of, &engine, NULL),
                   TW_OK);
  send_acked(engine, &to, "{\"n\":1}");
  send_acked(engine, &to, "{\"bad\":1}");
  flush(engine);
  assert_int_equal(to.good, 1);
  assert_int_equal(to.bad, 1);
  close_engine(engine);
}

static void delivery_beside_a_backend_gives_all_of_them_outboxes(void **state) {
  (void)state;
  write_file("main.lua",
             HEAD
             "return tw.router { backends = { a = tw.backends.null { delivery = { timeout = "
             "5 } }, out = tw.backends.file { path = '%s' } } }",
             path_of("out"));
  tw_engine *engine = start("{}", NULL);
  for (unsigned i = 0; i < 10; i++) send(engine, "{}");
  flush(engine);
  assert_int_equal(lines_in("out"), 10);
  assert_non_null(engine->committer.journal);
  write_script("");
  assert_refused(engine, "delivery cannot be changed");
  close_engine(engine);
}

/* Each event makes another one: the queue, the outbox and the backend wait for each other
   unless somebody gives way. */
static void a_backend_that_emits_into_a_full_queue_stops_nothing(void **state) {
  (void)state;
  write_file("main.lua",
             HEAD
             "return tw.router { backends = { lua = { send = function(self, event)\n"
             "  if not event.data then tw.emit('again', { n = 1 }) end end },\n"
             "  out = tw.backends.file { path = '%s' } } }",
             path_of("out"));
  tw_engine *engine = start("{\"queue\":2,\"delivery\":{\"max_events\":3}}", NULL);
  for (unsigned i = 0; i < 3000; i++) assert_int_equal(send(engine, "{\"n\":%u}", i), TW_OK);
  flush(engine);
  assert_true(lines_in("out") >= 3000);
  close_engine(engine);
}

/* In memory 100,000 events would be the bound. */
static void a_backend_that_is_away_fills_no_outbox_in_a_spool(void **state) {
  (void)state;
  write_file("main.lua", HEAD
             "return tw.router { backends = { away = {\n"
             "  send = function() return false, 'away' end } } }");
  tw_engine *engine = start(with_spool(""), NULL);
  for (unsigned i = 0; i < 100100; i++) assert_int_equal(send(engine, "{\"n\":%u}", i), TW_OK);
  assert_int_equal(tw_engine_flush(engine, 60000, NULL, NULL), TW_OK);
  close_engine(engine);
}

/* ------------------------------------------------------------- state, crashes */

static const char *const counting = HEAD
    "local count = tw.state('count', { init = function() return { n = 0 } end })\n"
    "return tw.router { processors = { function(event)\n"
    "  if event.ask then event.n = count.n else count.n = count.n + 1 end end },\n"
    "  backends = { out = tw.backends.file { path = '%s' } } }";

/* The child tells of each event that is acknowledged by a byte. */
static void emit_until_killed(int out, const char *given) {
  write_file("main.lua", counting, path_of("out"));
  tw_engine *engine = start(given, NULL);
  for (;;) {
    acks to = {0};
    for (unsigned i = 0; i < 20; i++) send_acked(engine, &to, "{\"k\":1}");
    tw_engine_flush(engine, -1, NULL, NULL);
    if (to.good != 20 || write(out, "12345678901234567890", 20) != 20) _exit(1);
  }
}

static unsigned asked_count(tw_engine *engine) {
  send(engine, "{\"ask\":true}");
  drain(engine);
  char *text = take_output();
  char *last = strstr(text, "\"ask\":true");
  assert_non_null(last);
  unsigned n = (unsigned)strtoul(strstr(last, "\"n\":") + 4, NULL, 10);
  free(text);
  return n;
}

static void state_counts_each_committed_event_once_across_kills(void **state) {
  (void)state;
  unsigned acknowledged = 0;
  const char *given = with_spool("");
  write_file("main.lua", counting, path_of("out"));
  for (unsigned round = 0; round < 12; round++) {
    int ends[2];
    char bytes[256];
    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();
    if (!child) emit_until_killed(ends[1], given);
    close(ends[1]);
    if (round % 3) acknowledged += (unsigned)read(ends[0], bytes, 1);
    usleep(2000 + round * 3700);
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    for (ssize_t got; (got = read(ends[0], bytes, sizeof bytes)) > 0;)
      acknowledged += (unsigned)got;
    close(ends[0]);
  }
  tw_engine *engine = start(given, NULL);
  drain(engine);
  /* Each committed event is in the output at least once, and counted exactly once. */
  unsigned written = lines_in("out"), counted = asked_count(engine);
  assert_true(acknowledged > 0);
  assert_true(counted >= acknowledged);
  assert_true(written >= counted);
  assert_true(counted - acknowledged <= 12 * 20);
  close_engine(engine);
}

static void another_number_of_workers_is_refused(void **state) {
  (void)state;
  write_file("main.lua", counting, path_of("out"));
  tw_engine *engine = start(with_spool("\"workers\":2"), NULL);
  send(engine, "{}");
  send(engine, "{}");
  close_engine(engine);
  tw_error error = {0};
  with_spool("\"workers\":3");
  assert_int_equal(
      tw_engine_new(path_of("main.lua"), options, strlen(options), NULL, NULL, &engine, &error),
      TW_EINVAL);
  assert_non_null(strstr(error.message, "2 workers"));
}

/* ------------------------------------------------------------------- reload */

static void a_reload_changes_where_an_outbox_delivers_to(void **state) {
  (void)state;
  write_script("");
  tw_engine *engine = start(with_spool(""), NULL);
  for (unsigned i = 0; i < 100; i++) send(engine, "{}");
  drain(engine);
  assert_int_equal(lines_in("out"), 100);
  write_file("main.lua",
             HEAD "return tw.router { backends = { out = tw.backends.file { path = '%s' } } }",
             path_of("other"));
  reload(engine);
  for (unsigned i = 0; i < 50; i++) send(engine, "{}");
  drain(engine);
  assert_int_equal(lines_in("out"), 100);
  assert_int_equal(lines_in("other"), 50);
  close_engine(engine);
}

static void a_backend_that_a_reload_removes_gets_what_it_was_sent(void **state) {
  (void)state;
  host_backend host;
  letters to = {0};
  begin_host(&host);
  host.is_away = true;
  tw_engine *engine = start_with(&host, with_spool(quick), &to);
  for (unsigned i = 0; i < 100; i++) send(engine, "{}");
  flush(engine);
  write_script("");
  reload(engine);
  for (unsigned i = 0; i < 100; i++) send(engine, "{}");
  set(&host, &host.is_away, false);
  assert_true(reaches(&host, &host.delivered, 100));
  drain(engine);
  assert_int_equal(host.delivered, 100);
  assert_int_equal(lines_in("out"), 200);
  close_engine(engine);
}

static void reloads_under_load_lose_and_double_nothing(void **state) {
  (void)state;
  write_script("event.g = 0");
  tw_engine *engine = start(with_spool(""), NULL);
  unsigned sent = 0;
  for (unsigned g = 1; g <= 20; g++) {
    for (unsigned i = 0; i < 200; i++, sent++) send(engine, "{\"n\":%u}", sent);
    char body[64];
    snprintf(body, sizeof body, "event.g = %u", g);
    write_script(body);
    reload(engine);
  }
  drain(engine);
  assert_int_equal(lines_in("out"), sent);
  close_engine(engine);
}

static void what_a_script_emits_at_its_end_is_delivered_when_all_else_is(void **state) {
  (void)state;
  write_file("main.lua",
             HEAD
             "tw.on_close(function() tw.emit('last', {}) end)\n"
             "return tw.router { backends = { out = tw.backends.file { path = '%s' } } }",
             path_of("out"));
  tw_engine *engine = start(with_spool(""), NULL);
  send(engine, "{}");
  drain(engine);
  close_engine(engine);
  assert_int_equal(lines_in("out"), 2);
}

static void a_script_that_keeps_nothing_may_have_other_workers(void **state) {
  (void)state;
  write_script("");
  tw_engine *engine = start(with_spool("\"workers\":2"), NULL);
  for (unsigned i = 0; i < 10; i++) send(engine, "{}");
  drain(engine);
  close_engine(engine);
  close_engine(start(with_spool("\"workers\":3"), NULL));
}

/* ------------------------------------------------------- backends in Lua */

static void a_backend_in_lua_lives_in_a_state_of_its_own(void **state) {
  (void)state;
  letters to = {0};
  write_file("main.lua",
             HEAD
             "local calls = 0\n"
             "return tw.router { processors = { function(event) event.calls = calls end },\n"
             "backends = { out = tw.backends.file { path = '%s' },\n"
             " lua = { send = function(self, event) calls = calls + 1\n"
             "   if event.n == 3 then return tw.permanent 'never' end\n"
             "   if event.n == 5 and calls < 9 then return false, 'later' end\n"
             "   if event.n == 7 then tw.emit('again', { from = 'lua' }) end end } } }",
             path_of("out"));
  const tw_engine_ops ops = {.dead = count_dead, .failed = count_failure};
  tw_engine *engine;
  tw_error error = {0};
  with_spool(quick);
  if (tw_engine_new(path_of("main.lua"), options, strlen(options), &ops, &to, &engine, &error))
    fail_msg("%s", error.message);
  for (unsigned i = 0; i < 10; i++) send(engine, "{\"n\":%u}", i);
  drain(engine);
  drain(engine);
  assert_int_equal(lines_in("out"), 11); /* and the one that was emitted */
  char *text = take_output();
  assert_null(strstr(text, "\"calls\":1")); /* what the backend counts, the processor's state
                                               does not see */
  free(text);
  close_engine(engine);
  assert_int_equal(dead_in_spool(), 1);
}

/* -------------------------------------------------------------------- sources */

typedef struct source {
  atomic_uint done, rejected;
} source;

static void take_reject(void *self, const tw_block *block, const tw_line *line,
                        const tw_error *why) {
  source *from = self;
  (void)block, (void)line, (void)why;
  atomic_fetch_add(&from->rejected, 1);
}

static void take_done(void *self, const tw_block *block) {
  source *from = self;
  (void)block;
  atomic_fetch_add(&from->done, 1);
}

static const tw_intake_ops taking = {take_reject, take_done};
static const tw_file_id file_id = {.device = 1, .inode = 2, .head_hash = 3, .head_len = 4};

/* @param pad  bytes that each line is longer */
static uint64_t feed_padded(tw_engine *engine, tw_intake *intake, uint64_t offset,
                            unsigned from, unsigned count, unsigned pad) {
  tw_block *block = tw_intake_take(intake);
  assert_non_null(block);
  assert_true(tw_block_reserve(block, (64 + (size_t)pad) * count));
  for (unsigned i = 0; i < count; i++)
    block->len +=
        (size_t)snprintf(block->data + block->len, 64 + pad, "{\"k\":%u,\"n\":%u%*s}\n",
                         (from + i) % 7, from + i, (int)pad, "");
  tw_block_reserve(block, block->cap);
  block->source = "a.log";
  block->file = &file_id;
  block->line = from + 1;
  block->offset = offset;
  block->max_line = 10000;
  offset += block->len;
  assert_int_equal(tw_engine_feed(engine, block, NULL), TW_OK);
  return offset;
}

static uint64_t feed_lines(tw_engine *engine, tw_intake *intake, uint64_t offset, unsigned from,
                           unsigned count) {
  return feed_padded(engine, intake, offset, from, count, 0);
}

static void check_position(tw_engine *engine, uint64_t offset, uint64_t line) {
  tw_position position;
  assert_int_equal(tw_engine_position(engine, "a.log", &file_id, &position, NULL), TW_OK);
  assert_int_equal(position.offset, offset);
  assert_int_equal(position.line, line);
  assert_int_equal(position.count, 0);
  tw_position_fini(&position);
}

static void feed_and_check(const char *given) {
  source from = {0};
  tw_intake intake;
  write_file("main.lua", counting, path_of("out"));
  tw_engine *engine = start(given, NULL);
  tw_intake_init(&intake, &taking, &from);
  uint64_t offset = 0;
  for (unsigned i = 0; i < 20; i++) offset = feed_lines(engine, &intake, offset, i * 50, 50);
  assert_true(tw_intake_wait(&intake, 0, 20000));
  assert_int_equal(from.done, 20);
  check_position(engine, offset, 1001);
  close_engine(engine);
  engine = start(given, NULL);
  check_position(engine, offset, 1001);
  drain(engine);
  assert_int_equal(lines_in("out"), 1000);
  close_engine(engine);
  tw_intake_fini(&intake);
}

static void how_far_a_file_was_read_is_kept(void **state) {
  (void)state;
  feed_and_check(with_spool(""));
}

static void the_same_with_two_workers(void **state) {
  (void)state;
  feed_and_check(with_spool("\"workers\":2"));
}

static void the_same_with_lines_dealt_out_by_key(void **state) {
  (void)state;
  feed_and_check(with_spool("\"workers\":3,\"partition_by\":\"k\""));
}

static void lines_that_are_no_events_are_dead_letters_in_the_spool(void **state) {
  (void)state;
  static const char *const given[] = {"", "\"workers\":3,\"partition_by\":\"k\""};
  for (unsigned i = 0; i < 2; i++) {
    source from = {0};
    tw_intake intake;
    clean(state);
    write_script("");
    tw_engine *engine = start(with_spool(given[i]), NULL);
    tw_intake_init(&intake, &taking, &from);
    tw_block *block = tw_intake_take(&intake);
    const char *text = "{\"a\":1}\nnonsense\n\n{\"b\":2}\n[1]\n";
    assert_true(tw_block_reserve(block, strlen(text)));
    memcpy(block->data, text, strlen(text));
    block->len = strlen(text);
    tw_block_reserve(block, block->cap);
    block->source = "a.log";
    block->line = 1;
    block->max_line = 1000;
    assert_int_equal(tw_engine_feed(engine, block, NULL), TW_OK);
    assert_true(tw_intake_wait(&intake, 0, 20000));
    assert_int_equal(from.rejected, 2);
    drain(engine);
    assert_int_equal(lines_in("out"), 2);
    close_engine(engine);
    assert_int_equal(dead_in_spool(), 2);
    tw_intake_fini(&intake);
  }
}

/* The lines of a killed process are read again from where it had committed: the counter of its
   state is right in the end. */
static void feed_until_killed(int out, const char *given) {
  source from = {0};
  tw_intake intake;
  tw_position position;
  write_file("main.lua", counting, path_of("out"));
  tw_engine *engine = start(given, NULL);
  tw_intake_init(&intake, &taking, &from);
  if (tw_engine_position(engine, "a.log", &file_id, &position, NULL)) _exit(1);
  unsigned next = position.line ? (unsigned)position.line - 1 : 0;
  uint64_t offset = position.offset;
  for (;; next += 50) {
    offset = feed_lines(engine, &intake, offset, next, 50);
    tw_intake_wait(&intake, 3, -1);
    if (write(out, ".", 1) != 1) _exit(1);
  }
}

static void kill_and_count(const char *given) {
  write_file("main.lua", counting, path_of("out"));
  for (unsigned round = 0; round < 12; round++) {
    int ends[2];
    char bytes[64];
    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();
    if (!child) feed_until_killed(ends[1], given);
    close(ends[1]);
    for (unsigned fed = 0; fed < round * 3;) {
      ssize_t got = read(ends[0], bytes, sizeof bytes);
      assert_true(got > 0);
      fed += (unsigned)got;
    }
    usleep(round * 1100);
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    close(ends[0]);
  }
  tw_engine *engine = start(given, NULL);
  tw_position position;
  assert_int_equal(tw_engine_position(engine, "a.log", &file_id, &position, NULL), TW_OK);
  uint64_t lines = position.line - 1;
  for (size_t i = 0; i < position.count; i++) lines += position.ranges[i].lines;
  tw_position_fini(&position);
  assert_true(lines > 0);
  drain(engine);
  if (lines_in("out") < lines)
    fail_msg("%u of %llu lines", lines_in("out"), (unsigned long long)lines);
  close_engine(engine);
}

static void lines_are_counted_once_across_kills(void **state) {
  (void)state;
  const char *given = with_spool("");
  kill_and_count(given);
  tw_engine *engine = start(given, NULL);
  tw_position position;
  assert_int_equal(tw_engine_position(engine, "a.log", &file_id, &position, NULL), TW_OK);
  assert_int_equal(position.count, 0); /* one worker leaves no gaps */
  assert_int_equal(asked_count(engine), position.line - 1);
  tw_position_fini(&position);
  close_engine(engine);
}

/* The time of a close is over in the middle of a block that is large enough to be sealed at
   once; its first lines have changed the state, which the script's end would commit. */
static void lines_that_a_close_leaves_are_counted_once(void **state) {
  (void)state;
  const char *given = with_spool("");
  source from = {0};
  tw_position position;
  write_file("main.lua",
             HEAD
             "local count = tw.state('count', { init = function() return { n = 0 } end })\n"
             "tw.on_close(function() tw.emit('last', {}) end)\n"
             "return tw.router { processors = { function(event)\n"
             "  if event.ask then event.n = count.n elseif event.k then\n"
             "    for i = 1, 400000 do end; count.n = count.n + 1 end end },\n"
             "  backends = { out = tw.backends.file { path = '%s' } } }",
             path_of("out"));
  tw_engine *engine = NULL;
  unsigned left = 0;
  for (unsigned round = 0; round < 6; round++) {
    tw_intake intake;
    engine = start(given, NULL);
    tw_intake_init(&intake, &taking, &from);
    assert_int_equal(tw_engine_position(engine, "a.log", &file_id, &position, NULL), TW_OK);
    unsigned next = position.line ? (unsigned)position.line - 1 : 0;
    feed_padded(engine, &intake, position.offset, next, 200, 8000);
    usleep(30000 * round);
    left += tw_engine_close(engine, 10, NULL, NULL) == TW_ELIMIT;
    assert_true(tw_intake_wait(&intake, 0, 20000));
    tw_engine_unref(engine);
    tw_intake_fini(&intake);
  }
  assert_true(left > 0);
  engine = start(given, NULL);
  assert_int_equal(tw_engine_position(engine, "a.log", &file_id, &position, NULL), TW_OK);
  assert_int_equal(asked_count(engine), position.line ? position.line - 1 : 0);
  close_engine(engine);
}

static void lines_dealt_out_by_key_outlive_kills(void **state) {
  (void)state;
  kill_and_count(with_spool("\"workers\":3,\"partition_by\":\"k\""));
}

/* --------------------------------------------------------------------- replay */

static void put_replay(const char *path, unsigned count) {
  tw_spool *spool;
  tw_spool_txn *txn;
  tw_chunk_builder builder = {0};
  tw_chunk *chunk;
  const char *data;
  size_t size;
  unsigned char key[64];
  const tw_spool_options how = {.mode = TW_SPOOL_SHARE};
  tw_error error = {0};
  for (unsigned i = 0; i < count; i++)
    assert_int_equal(
        tw_chunk_builder_add_text(&builder, "{\"replayed\":1}", 14, "id-1", 4, 0, NULL), TW_OK);
  assert_int_equal(tw_chunk_finish(&builder, 0, 0, &chunk, NULL), TW_OK);
  tw_chunk_builder_fini(&builder);
  tw_chunk_number(chunk, 0);
  tw_chunk_bytes(chunk, &data, &size);
  if (tw_spool_open(path_of("spool"), &how, &spool, &error)) fail_msg("%s", error.message);
  assert_int_equal(tw_spool_begin(spool, true, &txn, NULL), TW_OK);
  size_t len = tw_replay_key_write(key, path, strlen(path), 0);
  assert_int_equal(tw_spool_put(txn, TW_SPOOL_REPLAY, key, len, data, size, NULL), TW_OK);
  assert_int_equal(tw_spool_commit(txn, NULL), TW_OK);
  tw_spool_close(spool);
  tw_chunk_unref(chunk);
}

static void replays_are_routed_or_delivered_while_the_engine_runs(void **state) {
  (void)state;
  static const char *const given[] = {"", "\"workers\":3,\"partition_by\":\"k\""};
  for (unsigned round = 0; round < 2; round++) {
    clean(state);
    write_script("event.routed = true");
    tw_engine *engine = start(with_spool(given[round]), NULL);
    put_replay("", 30);
    put_replay("out", 12);
    for (unsigned i = 0; i < 2000 && lines_in("out") < 42; i++) usleep(5000);
    drain(engine);
    assert_int_equal(lines_in("out"), 42);
    char *text = take_output();
    unsigned routed = 0;
    for (const char *at = text; (at = strstr(at, "\"routed\":true")); at++) routed++;
    free(text);
    assert_int_equal(routed, 30);
    close_engine(engine);
    close_engine(start(with_spool(given[round]), NULL));
    assert_int_equal(lines_in("out"), 42);
  }
}

#define engine_test(name) cmocka_unit_test_setup_teardown(name, clean, after)

int main(void) {
  const struct CMUnitTest tests[] = {
      engine_test(an_event_is_acknowledged_when_it_is_durable_and_then_delivered),
      engine_test(an_acknowledgement_may_wait_for_the_delivery),
      engine_test(outboxes_in_memory_are_emptied_by_a_flush_and_at_the_end),
      engine_test(options_that_make_no_sense_are_refused),
      engine_test(a_spool_has_one_engine),
      engine_test(events_wait_for_a_backend_that_is_away),
      engine_test(what_was_not_delivered_is_delivered_by_the_next_process),
      engine_test(a_backend_that_hangs_stops_nobody),
      engine_test(an_event_that_is_refused_is_a_dead_letter_in_the_spool),
      engine_test(without_a_spool_the_host_gets_dead_letters),
      engine_test(what_is_left_in_memory_at_the_end_is_told),
      engine_test(a_backend_that_is_called_at_once_fails_the_acknowledgement),
      engine_test(delivery_beside_a_backend_gives_all_of_them_outboxes),
      engine_test(a_backend_that_emits_into_a_full_queue_stops_nothing),
      engine_test(a_backend_that_is_away_fills_no_outbox_in_a_spool),
      engine_test(state_counts_each_committed_event_once_across_kills),
      engine_test(another_number_of_workers_is_refused),
      engine_test(a_reload_changes_where_an_outbox_delivers_to),
      engine_test(a_backend_that_a_reload_removes_gets_what_it_was_sent),
      engine_test(reloads_under_load_lose_and_double_nothing),
      engine_test(what_a_script_emits_at_its_end_is_delivered_when_all_else_is),
      engine_test(a_script_that_keeps_nothing_may_have_other_workers),
      engine_test(a_backend_in_lua_lives_in_a_state_of_its_own),
      engine_test(how_far_a_file_was_read_is_kept),
      engine_test(the_same_with_two_workers),
      engine_test(the_same_with_lines_dealt_out_by_key),
      engine_test(lines_that_are_no_events_are_dead_letters_in_the_spool),
      engine_test(lines_are_counted_once_across_kills),
      engine_test(lines_that_a_close_leaves_are_counted_once),
      engine_test(lines_dealt_out_by_key_outlive_kills),
      engine_test(replays_are_routed_or_delivered_while_the_engine_runs),
  };
  return cmocka_run_group_tests(tests, set_up, tear_down);
}
