/* Blocks of lines through an engine: every line is counted once, whoever reads it. */
#include "engine_case.h"

#include <semaphore.h>

#include "core/block.h"
#include "engine/engine.h"
#include "event/reader.h"

typedef struct taken {
  pthread_mutex_t mutex;
  tw_tally tally;
  unsigned blocks;
  char rejects[4096]; /* `source:line:offset text` and a newline for each */
} taken;

static void take_reject(void *self, const tw_block *block, const tw_line *line,
                        const tw_error *why) {
  taken *to = self;
  (void)why;
  pthread_mutex_lock(&to->mutex);
  size_t len = strlen(to->rejects);
  snprintf(to->rejects + len, sizeof to->rejects - len, "%s:%d:%d %.*s\n", block->source,
           (int)line->number, (int)line->offset, (int)line->len, line->text);
  pthread_mutex_unlock(&to->mutex);
}

static void take_done(void *self, const tw_block *block) {
  taken *to = self;
  pthread_mutex_lock(&to->mutex);
  tw_tally_add(&to->tally, &block->tally);
  to->blocks++;
  pthread_mutex_unlock(&to->mutex);
}

static const tw_intake_ops taking = {take_reject, take_done};

static tw_status feed_text(tw_engine *engine, tw_intake *intake, const char *text,
                           uint64_t line, size_t max_line) {
  tw_block *block = tw_intake_take(intake);
  assert_non_null(block);
  assert_true(tw_block_reserve(block, strlen(text)));
  memcpy(block->data, text, strlen(text));
  block->len = strlen(text);
  tw_block_reserve(block, block->cap);
  block->source = "in";
  block->line = line;
  block->offset = line == 1 ? 0 : 1000;
  block->max_line = max_line;
  tw_error error;
  return tw_engine_feed(engine, block, &error);
}

static void assert_sum(const tw_tally *tally) {
  assert_int_equal(tally->lines, tally->blank + tally->read);
  assert_int_equal(tally->read, tally->routed + tally->dropped + tally->rejected + tally->left);
}

static void begin(taken *to, tw_intake *intake) {
  *to = (taken){0};
  pthread_mutex_init(&to->mutex, NULL);
  tw_intake_init(intake, &taking, to);
}

static void end(taken *to, tw_intake *intake) {
  assert_true(tw_intake_wait(intake, 0, 10000));
  assert_sum(&to->tally);
  tw_intake_fini(intake);
  pthread_mutex_destroy(&to->mutex);
}

static const char mixed[] =
    "\xef\xbb\xbf{\"n\":1}\n\n  \r\nno\n{\"n\":2,\"drop\":true}\n"
    "{\"n\":3,\"long\":\"0123456789\"}\n{\"n\":4}";

static void check_mixed(const char *options) {
  taken to;
  tw_intake intake;
  begin(&to, &intake);
  write_script("if event.drop then return false end");
  unlink(path_of("out"));
  tw_engine *engine = start(options, NULL);
  assert_int_equal(feed_text(engine, &intake, mixed, 1, 24), TW_OK);
  flush(engine);
  assert_output("{\"n\":1}\n{\"n\":4}\n");
  tw_engine_stats stats;
  tw_engine_get_stats(engine, &stats);
  assert_int_equal(stats.received, 3);
  assert_int_equal(stats.processed, 3);
  assert_int_equal(stats.waiting, 0);
  tw_engine_unref(engine);
  end(&to, &intake);
  assert_string_equal(to.rejects, "in:4:16 no\nin:6:39 {\"n\":3,\"long\":\"0123456789\"}\n");
  assert_int_equal(to.tally.lines, 7);
  assert_int_equal(to.tally.blank, 2);
  assert_int_equal(to.tally.routed, 2);
  assert_int_equal(to.tally.dropped, 1);
  assert_int_equal(to.tally.rejected, 2);
  assert_int_equal(to.blocks, 1);
}

static void a_worker_reads_the_lines_of_a_block(void **state) {
  (void)state;
  check_mixed("{}");
  check_mixed("{\"workers\":3}");
}

static void lines_with_a_key_are_read_by_the_sender(void **state) {
  (void)state;
  check_mixed("{\"workers\":2,\"partition_by\":\"none\"}");
}

/* Fifty keys in five thousand lines over blocks of a hundred. */
static void feed_keys(const char *options, const char *check) {
  taken to;
  tw_intake intake;
  begin(&to, &intake);
  write_script(check);
  tw_engine *engine = start(options, NULL);
  for (unsigned i = 0; i < 50; i++) {
    char text[8192] = "";
    size_t len = 0;
    for (unsigned k = 0; k < 100; k++)
      len += (size_t)snprintf(text + len, sizeof text - len, "{\"key\":\"k%u\",\"n\":%u}\n",
                              k % 50, 2 * i + k / 50);
    assert_int_equal(feed_text(engine, &intake, text, 1 + 100 * i, 1000), TW_OK);
  }
  flush(engine);
  tw_engine_unref(engine);
  end(&to, &intake);
  assert_int_equal(to.tally.routed, 5000);
  assert_int_equal(to.blocks, 50);
}

static unsigned count_in_output(const char *what) {
  unsigned count = 0;
  char *text = take_output();
  for (char *at = text; (at = strstr(at, what)); at++) count++;
  free(text);
  return count;
}

static void a_key_keeps_the_order_of_its_lines(void **state) {
  (void)state;
  static const char check[] =
      "last = last or {} event.ok = event.n == (last[event.key] or -1) + 1 "
      "last[event.key] = event.n";
  feed_keys("{\"workers\":4,\"partition_by\":\"key\"}", check);
  assert_int_equal(count_in_output("\"ok\":true"), 5000);
}

static void blocks_are_spread_over_the_workers(void **state) {
  (void)state;
  feed_keys("{\"workers\":2}", "me = me or tostring({}) event.me = me");
  char *text = take_output(), first[64];
  const char *at = strstr(text, "\"me\"");
  assert_non_null(at);
  snprintf(first, sizeof first, "%.30s", at);
  free(text);
  assert_int_equal(count_in_output(first), 2500);
}

typedef struct seen {
  tw_origin origin;
  unsigned events, others;
} seen;

static void see_origin(void *self, const tw_failure *failure) {
  seen *to = self;
  if (failure->origin) to->origin = *failure->origin;
  to->events += failure->origin != NULL;
  to->others += failure->origin == NULL;
}

/* ------------------------------------------------------------------ fetch */

typedef struct numbers {
  tw_intake *intake;
  pthread_mutex_t mutex;
  pthread_cond_t over;
  unsigned next, end, requests;
} numbers;

/* Ten lines with the next numbers of ten keys. */
static tw_block *next_numbers(void *self) {
  numbers *from = self;
  tw_block *block = NULL;
  pthread_mutex_lock(&from->mutex);
  if (from->next < from->end) {
    block = tw_intake_take(from->intake);
    assert_non_null(block);
    assert_true(tw_block_reserve(block, 1000));
    for (unsigned k = 0; k < 10; k++)
      block->len += (size_t)snprintf(block->data + block->len, 100,
                                     "{\"key\":\"k%u\",\"n\":%u}\n", k, from->next);
    tw_block_reserve(block, 1000);
    block->source = "numbers";
    block->line = 1 + from->next++ * 10;
    block->max_line = 100;
  }
  pthread_mutex_unlock(&from->mutex);
  return block;
}

static void begin_request(void *self) {
  numbers *from = self;
  pthread_mutex_lock(&from->mutex);
  from->requests++;
  pthread_mutex_unlock(&from->mutex);
}

static void end_request(void *self) {
  numbers *from = self;
  pthread_mutex_lock(&from->mutex);
  from->requests--;
  pthread_cond_signal(&from->over);
  pthread_mutex_unlock(&from->mutex);
}

static void begin_numbers(numbers *from, tw_intake *intake, unsigned end) {
  *from = (numbers){.intake = intake, .end = end};
  pthread_mutex_init(&from->mutex, NULL);
  pthread_cond_init(&from->over, NULL);
}

static void await_numbers(numbers *from) {
  pthread_mutex_lock(&from->mutex);
  while (from->requests) pthread_cond_wait(&from->over, &from->mutex);
  pthread_mutex_unlock(&from->mutex);
}

static tw_status fetch(tw_engine *engine, numbers *from) {
  const tw_block_source source = {next_numbers, begin_request, end_request, from};
  return tw_engine_fetch(engine, &source, NULL);
}

static void check_fetch(const char *options, bool in_order) {
  taken to;
  tw_intake intake;
  numbers from;
  begin(&to, &intake);
  begin_numbers(&from, &intake, 300);
  write_script(
      "last = last or {} event.ok = event.n > (last[event.key] or -1) "
      "last[event.key] = event.n");
  unlink(path_of("out"));
  tw_engine *engine = start(options, NULL);
  assert_int_equal(fetch(engine, &from), TW_OK);
  reload(engine); /* between two blocks */
  await_numbers(&from);
  flush(engine);
  tw_engine_unref(engine);
  end(&to, &intake);
  assert_int_equal(to.tally.routed, 3000);
  assert_int_equal(to.blocks, 300);
  assert_int_equal(count_in_output("\n"), 3000);
  if (in_order) assert_int_equal(count_in_output("\"ok\":true"), 3000);
}

static void workers_fetch_the_blocks_of_a_source(void **state) {
  (void)state;
  check_fetch("{}", true);
  check_fetch("{\"workers\":3}", false);
}

static void blocks_with_a_key_are_fetched_by_the_sender(void **state) {
  (void)state;
  check_fetch("{\"workers\":3,\"partition_by\":\"key\"}", true);
}

/* What was not fetched is not lost: the source knows where it stands. */
static void a_closed_engine_gives_requests_up(void **state) {
  (void)state;
  taken to;
  tw_intake intake;
  numbers from;
  begin(&to, &intake);
  begin_numbers(&from, &intake, UINT32_MAX);
  write_script("");
  tw_engine *engine = start("{\"workers\":2}", NULL);
  assert_int_equal(fetch(engine, &from), TW_OK);
  assert_int_equal(tw_engine_close(engine, -1, NULL, NULL), TW_OK);
  await_numbers(&from);
  assert_int_equal(fetch(engine, &from), TW_ECLOSED);
  await_numbers(&from);
  tw_engine_unref(engine);
  end(&to, &intake);
  assert_int_equal(to.tally.read, from.next * 10);
}

/* A request is no event: it is not dropped for one. */
static void an_event_does_not_push_a_request_out(void **state) {
  (void)state;
  taken to;
  tw_intake intake;
  numbers from;
  begin(&to, &intake);
  begin_numbers(&from, &intake, 2000);
  write_script("");
  unlink(path_of("out"));
  tw_engine *engine = start("{\"queue\":1,\"overload\":\"drop_oldest\"}", NULL);
  assert_int_equal(fetch(engine, &from), TW_OK);
  unsigned sent = 0;
  for (unsigned i = 0; i < 5000; i++) sent += send(engine, "{\"n\":-1}") == TW_OK;
  await_numbers(&from);
  flush(engine);
  tw_engine_stats stats;
  tw_engine_get_stats(engine, &stats);
  assert_int_equal(stats.received, 20000 + sent);
  assert_int_equal(stats.received, stats.processed + stats.dropped_oldest);
  tw_engine_unref(engine);
  end(&to, &intake);
  assert_int_equal(to.tally.routed, 20000);
}

/* ------------------------------------------------------------------ origin */

static void a_failure_tells_the_line_it_comes_from(void **state) {
  (void)state;
  taken to;
  tw_intake intake;
  seen failures = {0};
  static const tw_engine_ops ops = {.failed = see_origin};
  begin(&to, &intake);
  write_script("if event.n == 4 then error 'four' end");
  tw_engine *engine;
  assert_int_equal(tw_engine_new(path_of("main.lua"), "{}", 2, &ops, &failures, &engine, NULL),
                   TW_OK);
  feed_text(engine, &intake, mixed, 1, 100);
  assert_int_equal(send(engine, "{\"n\":4}"), TW_OK);
  flush(engine);
  tw_engine_unref(engine);
  end(&to, &intake);
  assert_string_equal(failures.origin.source, "in");
  assert_int_equal(failures.origin.line, 7);
  assert_int_equal(failures.events, 1);
  assert_int_equal(failures.others, 1);
}

static void what_a_closed_engine_did_not_take_is_left(void **state) {
  (void)state;
  taken to;
  tw_intake intake;
  begin(&to, &intake);
  write_script("");
  tw_engine *engine = start("{}", NULL);
  assert_int_equal(tw_engine_close(engine, -1, NULL, NULL), TW_OK);
  assert_int_equal(feed_text(engine, &intake, mixed, 1, 100), TW_ECLOSED);
  tw_engine_unref(engine);
  end(&to, &intake);
  assert_int_equal(to.tally.left, 5);
}

/* The first event lasts until the time of the close is over. */
typedef struct gate {
  sem_t reached, open;
} gate;

static tw_verdict pass_gate(void *self, tw_event *event, tw_split *split, tw_error *error) {
  gate *at = self;
  (void)event, (void)split, (void)error;
  sem_post(&at->reached);
  while (sem_wait(&at->open)) continue;
  return TW_PASS;
}

static tw_engine *start_with_gate(gate *at) {
  static const tw_processor_ops ops = {.process = pass_gate};
  tw_processor *processor;
  tw_engine *engine;
  sem_init(&at->reached, 0, 0);
  sem_init(&at->open, 0, 0);
  assert_int_equal(tw_processor_new("gate", &ops, at, TW_ON_ERROR_PASS, &processor, NULL),
                   TW_OK);
  const tw_offer offers[] = {{.name = "gate", .processor = processor}, {0}};
  const tw_engine_ops engine_ops = {.offers = offers};
  write_file("main.lua",
             HEAD "return tw.router { processors = { tw.processors.host 'gate' }, " OUT " }",
             path_of("out"));
  assert_int_equal(
      tw_engine_new(path_of("main.lua"), "{}", 2, &engine_ops, NULL, &engine, NULL), TW_OK);
  tw_processor_unref(processor);
  return engine;
}

typedef struct closing {
  tw_engine *engine;
  tw_status status;
  uint64_t remaining;
} closing;

static void *close_soon(void *self) {
  closing *to = self;
  to->status = tw_engine_close(to->engine, 1, &to->remaining, NULL);
  return NULL;
}

/* The worker stands in the first line until the time is over. */
static void lines_are_left_when_the_time_to_close_is_over(void **state) {
  (void)state;
  taken to;
  gate at;
  tw_intake intake;
  pthread_t closer;
  begin(&to, &intake);
  tw_engine *engine = start_with_gate(&at);
  closing end_it = {.engine = engine};
  feed_text(engine, &intake, "{\"n\":1}\n{\"n\":2}\n\n{\"n\":3}\n", 1, 100);
  feed_text(engine, &intake, "{\"n\":4}\n", 4, 100);
  while (sem_wait(&at.reached)) continue;
  pthread_create(&closer, NULL, close_soon, &end_it);
  while (!atomic_load(&engine->workers->is_abandoned)) usleep(100);
  sem_post(&at.open);
  pthread_join(closer, NULL);
  assert_int_equal(end_it.status, TW_ELIMIT);
  assert_int_equal(end_it.remaining, 3);
  tw_engine_unref(engine);
  end(&to, &intake);
  assert_int_equal(to.tally.left, 3);
  assert_int_equal(to.tally.routed, 1);
}

/* ------------------------------------------------------------------ ledger */

typedef struct rows {
  char text[1024];
} rows;

static void add_row(void *self, const tw_branch *branch) {
  rows *to = self;
  size_t len = strlen(to->text);
  char *at = to->text + len;
  size_t room = sizeof to->text - len;
  if (branch->kind)
    snprintf(at, room, "%s %s %d\n", branch->path, branch->kind, (int)branch->backend.sent);
  else
    snprintf(at, room, "[%s] %d %d\n", branch->path, (int)branch->router.received,
             (int)branch->router.dropped);
}

static void assert_rows(tw_engine *engine, const char *expected) {
  rows got = {""};
  tw_engine_visit(engine, add_row, &got);
  assert_string_equal(got.text, expected);
}

#define TREE                                                                              \
  HEAD "return tw.router { processors = { function(e) if e.n == 0 then return false end " \
       "end }, backends = { %s = tw.backends.file { path = '%s' }, "                      \
       "sub = tw.router { backends = { n = tw.backends.null {} } } } }"

static void counts_go_on_over_workers_and_generations(void **state) {
  (void)state;
  write_file("main.lua", TREE, "out", path_of("out"));
  tw_engine *engine = start("{\"workers\":2}", NULL);
  for (int i = 0; i < 10; i++) send(engine, "{\"n\":%d}", i % 5);
  flush(engine);
  assert_rows(engine, "[] 10 2\nout file 8\n[sub] 8 0\nsub/n null 8\n");
  reload(engine);
  for (int i = 0; i < 10; i++) send(engine, "{\"n\":%d}", i % 5);
  flush(engine);
  assert_rows(engine, "[] 20 4\nout file 16\n[sub] 16 0\nsub/n null 16\n");
  write_file("main.lua", TREE, "aside", path_of("out2"));
  reload(engine);
  for (int i = 0; i < 10; i++) send(engine, "{\"n\":%d}", i % 5);
  assert_int_equal(tw_engine_close(engine, -1, NULL, NULL), TW_OK);
  assert_rows(engine, "[] 30 6\nout file 16\n[sub] 24 0\nsub/n null 24\naside file 8\n");
  tw_engine_unref(engine);
}

static tw_status refuse(void *self, tw_router *router, tw_error *error) {
  unsigned *asked = self;
  tw_backend *backend;
  tw_router *child;
  (*asked)++;
  if (tw_router_get(router, "out", &backend, &child, NULL)) {
    error->code = TW_EINVAL;
    snprintf(error->message, sizeof error->message, "there must be an out");
    return TW_EINVAL;
  }
  tw_backend_unref(backend);
  tw_router_unref(child);
  return TW_OK;
}

static void a_host_may_refuse_a_generation(void **state) {
  (void)state;
  unsigned asked = 0;
  static const tw_engine_ops ops = {.accept = refuse};
  tw_engine *engine;
  tw_error error;
  write_file("main.lua", TREE, "aside", path_of("out2"));
  assert_int_equal(tw_engine_new(path_of("main.lua"), "{}", 2, &ops, &asked, &engine, &error),
                   TW_EINVAL);
  assert_string_equal(error.message, "there must be an out");
  write_file("main.lua", TREE, "out", path_of("out"));
  assert_int_equal(tw_engine_new(path_of("main.lua"), "{}", 2, &ops, &asked, &engine, &error),
                   TW_OK);
  write_file("main.lua", TREE, "aside", path_of("out2"));
  assert_refused(engine, "there must be an out");
  assert_int_equal(asked, 3);
  tw_engine_unref(engine);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(a_worker_reads_the_lines_of_a_block, before, after),
      cmocka_unit_test_setup_teardown(lines_with_a_key_are_read_by_the_sender, before, after),
      cmocka_unit_test_setup_teardown(a_key_keeps_the_order_of_its_lines, before, after),
      cmocka_unit_test_setup_teardown(blocks_are_spread_over_the_workers, before, after),
      cmocka_unit_test_setup_teardown(workers_fetch_the_blocks_of_a_source, before, after),
      cmocka_unit_test_setup_teardown(blocks_with_a_key_are_fetched_by_the_sender, before,
                                      after),
      cmocka_unit_test_setup_teardown(a_closed_engine_gives_requests_up, before, after),
      cmocka_unit_test_setup_teardown(an_event_does_not_push_a_request_out, before, after),
      cmocka_unit_test_setup_teardown(a_failure_tells_the_line_it_comes_from, before, after),
      cmocka_unit_test_setup_teardown(what_a_closed_engine_did_not_take_is_left, before, after),
      cmocka_unit_test_setup_teardown(lines_are_left_when_the_time_to_close_is_over, before,
                                      after),
      cmocka_unit_test_setup_teardown(counts_go_on_over_workers_and_generations, before, after),
      cmocka_unit_test_setup_teardown(a_host_may_refuse_a_generation, before, after),
  };
  return cmocka_run_group_tests(tests, set_up, tear_down);
}
