/* Events out of an outbox for backends in Lua: what they get, and what their answers mean. */
#include "core/backend.h"
#include "script/upkeep.h"

#include <pthread.h>

#include "script_case.h"
#include "witness.h"

/* What the script has emitted: the names, each with a blank behind it. */
static char said[8192];

static tw_status hear(void *self, const tw_event *event, tw_error *error) {
  tw_event *copy;
  tw_value name;
  (void)self;
  tw_status status = tw_event_copy(event, &copy, error);
  if (status != TW_OK) return status;
  assert_int_equal(tw_event_get(copy, "name", &name), TW_OK);
  size_t used = strlen(said);
  snprintf(said + used, sizeof said - used, "%s ", name.string);
  tw_event_free(copy);
  return TW_OK;
}

#define assert_said(expected)            \
  do {                                   \
    assert_string_equal(said, expected); \
    said[0] = '\0';                      \
  } while (0)

/* ------------------------------------------------------------------- a bed */

typedef struct bed {
  tw_script *script;
  tw_backend *backend;
  tw_batch batch;
  tw_delivered done;
  tw_error error;
  char ids[3000][8];
  char text[3000][64];
} bed;

/* A script with the backend `x/b`; `text` is its table, behind some helpers. */
static void load_with(bed *b, const char *text, const tw_script_options *options) {
  static char script[8192];
  const char *path = in_folder("main.lua");
  snprintf(script, sizeof script,
           HEAD
           "local function say(...) assert(tw.emit(table.concat({ ... }, ':'))) end\n"
           "local calls = 0\n"
           "local function call() calls = calls + 1 return calls end\n"
           "return tw.router { backends = { x = tw.router { backends = { b = %s } } } }\n",
           text);
  write_all(path, script);
  memset(b, 0, sizeof *b);
  said[0] = '\0';
  if (tw_script_load_with(path, options, &b->script, &b->error))
    fail_msg("%s", b->error.message);
  tw_script_redirect(b->script, hear, NULL);
  assert_int_equal(tw_script_backend(b->script, "x/b", &b->backend, NULL), TW_OK);
  assert_true(tw_backend_is_scripted(b->backend));
  tw_batch_init(&b->batch);
}

static void load(bed *b, const char *text) {
  load_with(b, text, NULL);
  assert_int_equal(tw_backend_use(b->backend, NULL), TW_OK);
}

/* Events {"n":1} to {"n":count}, with the ids i1, i2 … */
static void fill(bed *b, size_t count) {
  tw_batch_clear(&b->batch);
  for (size_t i = 0; i < count; i++) {
    int len = snprintf(b->text[i], sizeof b->text[i], "{\"n\":%zu}\n", i + 1) - 1;
    int id_len = snprintf(b->ids[i], sizeof b->ids[i], "i%zu", i + 1);
    tw_batch_item item = {.text = b->text[i],
                          .len = (size_t)len,
                          .id = b->ids[i],
                          .id_len = (uint16_t)id_len,
                          .priority = (int8_t)(i % 3) - 1};
    assert_true(tw_batch_add(&b->batch, &item));
  }
}

static tw_status deliver(bed *b, size_t count) {
  fill(b, count);
  return tw_backend_deliver(b->backend, &b->batch, &b->done, &b->error);
}

static void unload(bed *b) {
  uint64_t lost;
  tw_batch_fini(&b->batch);
  tw_backend_unuse(b->backend, &lost, NULL);
  tw_backend_unref(b->backend);
  tw_script_free(b->script);
}

/* The answer to the delivery of five events. */
static void assert_answer(const char *text, tw_status status, size_t count, bool is_exact,
                          int retry_after_ms, const char *message) {
  bed b;
  load(&b, text);
  tw_status got = deliver(&b, 5);
  if (got != status || b.done.count != count || b.done.is_exact != is_exact ||
      b.done.retry_after_ms != retry_after_ms || !strstr(b.error.message, message)) {
    fail_msg("%s\n  gave %s, %zu delivered, exact %d, again in %d ms: %s", text,
             tw_status_name(got), b.done.count, b.done.is_exact, b.done.retry_after_ms,
             b.error.message);
  }
  unload(&b);
}

/* -------------------------------------------------------------------- send */

static void send_gets_one_after_the_other_and_flush_follows_once(void **state) {
  (void)state;
  bed b;
  load(&b,
       "{ send = function(self, event) say(event.n, event.id, tw.priority(event)) end,\n"
       "  open = function() say 'open' end, flush = function() say 'flush' end,\n"
       "  close = function() say 'close' end }");
  assert_said("open ");
  assert_int_equal(deliver(&b, 3), TW_OK);
  assert_int_equal(b.done.count, 3);
  assert_said("1:i1:low 2:i2:normal 3:i3:high flush ");
  unload(&b);
  assert_said("flush close ");
}

#define AT_3(answer) "{ send = function(self, event) if event.n == 3 then " answer " end end }"

static void a_failure_passes_and_those_before_it_are_delivered(void **state) {
  (void)state;
  assert_answer(AT_3("return true"), TW_OK, 5, false, 0, "");
  assert_answer(AT_3("return 'sent'"), TW_OK, 5, false, 0, "");
  assert_answer(AT_3("return false, 'it is away'"), TW_EIO, 2, false, 0, "send: it is away");
  assert_answer(AT_3("return nil, 'it is away'"), TW_EIO, 2, false, 0, "send: it is away");
  assert_answer(AT_3("return false"), TW_EIO, 2, false, 0, "send: it returned false");
  assert_answer(AT_3("error 'it is away'"), TW_ESCRIPT, 2, false, 0, "it is away");
  assert_answer(AT_3("error { away = true }"), TW_ESCRIPT, 2, false, 0, "the error is a table");
}

static void answers_say_what_a_failure_is(void **state) {
  (void)state;
  assert_answer(AT_3("return tw.permanent 'no such user'"), TW_EREFUSED, 2, true, 0,
                "send: no such user");
  assert_answer(AT_3("error(tw.permanent 'no such user')"), TW_EREFUSED, 2, true, 0,
                "send: no such user");
  assert_answer(AT_3("return nil, tw.permanent 'no such user'"), TW_EREFUSED, 2, true, 0,
                "send: no such user");
  assert_answer(AT_3("return tw.retry('slow down', { after = 1.5 })"), TW_EIO, 2, false, 1500,
                "send: slow down");
  assert_answer(AT_3("error(tw.retry('slow down', { after = 2 }))"), TW_EIO, 2, false, 2000,
                "send: slow down");
  assert_answer(AT_3("return tw.retry 'later'"), TW_EIO, 2, false, 0, "send: later");
  assert_answer(AT_3("return tw.disabled 'wrong password'"), TW_EDISABLED, 2, false, 0,
                "send: wrong password");
  assert_answer(AT_3("local f = coroutine.wrap(function() error(tw.permanent 'deep') end) f()"),
                TW_EREFUSED, 2, true, 0, "send: deep");
  assert_answer(AT_3("return true, tw.permanent 'not looked at'"), TW_OK, 5, false, 0, "");
}

static void an_answer_that_the_script_caught_is_none(void **state) {
  (void)state;
  assert_answer(AT_3("pcall(error, tw.permanent 'caught')"), TW_OK, 5, false, 0, "");
  assert_answer(AT_3("pcall(error, tw.permanent 'caught') error 'plain'"), TW_ESCRIPT, 2, false,
                0, "plain");
}

#define FLUSH(answer)                                           \
  "{ send = function(self, event) if event.n == 3 then " answer \
  " end end,"                                                   \
  "  flush = function() return false, 'nothing went out' end }"

static void a_flush_that_fails_delivers_nothing(void **state) {
  (void)state;
  assert_answer(FLUSH(""), TW_EIO, 0, false, 0, "flush: nothing went out");
  assert_answer(FLUSH("return tw.permanent 'x'"), TW_EIO, 0, false, 0,
                "flush: nothing went out");
  assert_answer(FLUSH("return tw.disabled 'gone'"), TW_EDISABLED, 0, false, 0, "send: gone");
  assert_answer(
      "{ send = function() end, flush = function() return tw.retry('full', { after = "
      "1 }) end }",
      TW_EIO, 0, false, 1000, "flush: full");
  assert_answer("{ send = function() end, flush = function() return tw.permanent 'all' end }",
                TW_EREFUSED, 0, false, 0, "flush: all");
}

static void nothing_is_flushed_when_nothing_was_sent(void **state) {
  (void)state;
  bed b;
  load(&b, "{ send = function() return false, 'no' end, flush = function() say 'flush' end }");
  assert_int_equal(deliver(&b, 2), TW_EIO);
  assert_said("");
  unload(&b);
}

static void edits_of_send_are_gone_with_the_next_try(void **state) {
  (void)state;
  bed b;
  load(&b,
       "{ send = function(self, event) say(event.tries or 0) event.tries = 1\n"
       "  return call() > 1, 'again' end }");
  assert_int_equal(deliver(&b, 1), TW_EIO);
  assert_int_equal(deliver(&b, 1), TW_OK);
  assert_said("0 0 ");
  unload(&b);
}

/* -------------------------------------------------------------- send_batch */

static void send_batch_gets_the_whole_batch_and_may_keep_it(void **state) {
  (void)state;
  bed b;
  load(&b,
       "(function() local kept\n"
       "return { flush = function() say('flush', kept[3].n) end,\n"
       "  send_batch = function(self, events) kept = events\n"
       "    say(#events, events[1].n, events[#events].id) end } end)()");
  assert_int_equal(deliver(&b, 3), TW_OK);
  assert_said("3:1:i3 flush:3 ");
  unload(&b);
}

static void a_long_batch_comes_in_portions(void **state) {
  (void)state;
  bed b;
  load(&b,
       "{ send_batch = function(self, events) say(events[1].n, #events)\n"
       "    if events[1].n == 2001 then return tw.permanent('odd', 3) end end,\n"
       "  flush = function() say 'flush' end }");
  assert_int_equal(deliver(&b, 2000), TW_OK);
  assert_said("1:1000 1001:1000 flush ");
  assert_int_equal(deliver(&b, 2500), TW_EREFUSED);
  assert_int_equal(b.done.count, 2002);
  assert_true(b.done.is_exact);
  assert_said("1:1000 1001:1000 2001:500 flush ");
  unload(&b);
}

#define BATCH(answer) "{ send_batch = function(self, events) " answer " end }"

static void a_list_is_refused_as_a_whole_or_from_the_event_that_is_named(void **state) {
  (void)state;
  assert_answer(BATCH("return tw.permanent 'one of them'"), TW_EREFUSED, 0, false, 0,
                "send_batch: one of them");
  assert_answer(BATCH("return tw.permanent('the third', 3)"), TW_EREFUSED, 2, true, 0,
                "send_batch: the third");
  assert_answer(BATCH("error(tw.permanent('the first', 1))"), TW_EREFUSED, 0, true, 0,
                "send_batch: the first");
  assert_answer(BATCH("return tw.permanent('none', 6)"), TW_EREFUSED, 0, false, 0,
                "event 6 of 5: send_batch: none");
  assert_answer(BATCH("return tw.retry('later', { after = 3 })"), TW_EIO, 0, false, 3000,
                "send_batch: later");
  assert_answer(BATCH("return tw.disabled 'gone'"), TW_EDISABLED, 0, false, 0,
                "send_batch: gone");
  assert_answer(BATCH("return false, 'away'"), TW_EIO, 0, false, 0, "send_batch: away");
  assert_answer(BATCH("error 'away'"), TW_ESCRIPT, 0, false, 0, "away");
}

static void a_portion_fits_into_a_quarter_of_the_memory(void **state) {
  (void)state;
  bed b;
  const tw_script_options options = {.memory = (size_t)2 << 20};
  load_with(&b, "{ send_batch = function(self, events) say(tostring(#events < 1000)) end }",
            &options);
  tw_backend_use(b.backend, NULL);
  char line[2000];
  int len = snprintf(line, sizeof line, "{\"pad\":\"%01800d\"}\n", 0) - 1;
  fill(&b, 1000);
  for (size_t i = 0; i < 1000; i++)
    b.batch.items[i].text = line, b.batch.items[i].len = (size_t)len;
  assert_int_equal(tw_backend_deliver(b.backend, &b.batch, &b.done, &b.error), TW_OK);
  assert_non_null(strstr(said, "true true "));
  assert_null(strstr(said, "false"));
  unload(&b);
}

/* What the function makes of its list wants more than there is. */
static void a_portion_that_is_too_much_gets_smaller_until_it_fits(void **state) {
  (void)state;
  bed b;
  const tw_script_options options = {.memory = (size_t)8 << 20};
  load_with(&b,
            "{ send_batch = function(self, events) local all = {}\n"
            "  for i = 1, #events do all[i] = ('x'):rep(20000) .. i end end }",
            &options);
  tw_backend_use(b.backend, NULL);
  size_t tries = 1;
  while (deliver(&b, 1000) != TW_OK) {
    assert_int_equal(b.error.code, TW_ENOMEM);
    assert_in_range(++tries, 1, 12);
  }
  assert_true(tries > 1);
  unload(&b);
}

/* ------------------------------------------------------------------ limits */

static void each_event_has_the_limits_for_itself(void **state) {
  (void)state;
  bed b;
  const tw_script_options options = {.instructions = 20000};
  load_with(&b,
            "{ send = function(self, event) for i = 1, 4000 do local _ = i end\n"
            "  while event.n == 21 and call() == 1 do end end }",
            &options);
  tw_backend_use(b.backend, NULL);
  assert_int_equal(deliver(&b, 20), TW_OK);
  assert_int_equal(deliver(&b, 30), TW_OK);
  unload(&b);
}

static void a_call_that_is_stopped_passes(void **state) {
  (void)state;
  bed b;
  load(&b, "{ send = function(self, event) while event.n == 3 and call() < 1e9 do end end }");
  assert_int_equal(deliver(&b, 5), TW_ELIMIT);
  assert_int_equal(b.done.count, 2);
  assert_false(b.done.is_exact);
  assert_int_equal(deliver(&b, 2), TW_OK);
  unload(&b);
}

static void a_call_without_memory_passes(void **state) {
  (void)state;
  assert_answer(AT_3("local s = ('x'):rep(100 << 20)"), TW_ENOMEM, 2, false, 0,
                "out of memory: the script's Lua state may hold 64 MiB");
}

static void a_function_that_rests_passes(void **state) {
  (void)state;
  bed b;
  const tw_script_options options = {.instructions = 100000};
  load_with(&b, "{ send = function(self, event) while true do end end }", &options);
  tw_backend_use(b.backend, NULL);
  for (int i = 0; i < 5; i++) assert_int_equal(deliver(&b, 1), TW_ELIMIT);
  assert_int_equal(deliver(&b, 1), TW_ELIMIT);
  assert_non_null(strstr(b.error.message, "it was stopped 5 times and rests"));
  unload(&b);
}

static void the_time_out_ends_a_batch_between_two_events(void **state) {
  (void)state;
  bed b;
  load(&b, "{ send = function(self, event) say(event.n) end }");
  fill(&b, 4);
  b.batch.deadline_ns = 1;
  assert_int_equal(tw_backend_deliver(b.backend, &b.batch, &b.done, &b.error), TW_ELIMIT);
  assert_int_equal(b.done.count, 1);
  assert_string_equal(b.error.message, "the time-out was over after 1 of 4 events");
  assert_said("1 ");
  unload(&b);
}

static void what_is_no_event_any_more_is_refused(void **state) {
  (void)state;
  const char *kinds[] = {"{ send = function(self, event) say(event.n) end }",
                         "{ send_batch = function(self, events) say(#events) end }"};
  for (int i = 0; i < 2; i++) {
    bed b;
    load(&b, kinds[i]);
    fill(&b, 4);
    b.batch.items[2].len = 2;
    assert_int_equal(tw_backend_deliver(b.backend, &b.batch, &b.done, &b.error), TW_EREFUSED);
    assert_int_equal(b.done.count, 2);
    assert_true(b.done.is_exact);
    assert_said(i ? "2 " : "1 2 ");
    unload(&b);
  }
}

/* ----------------------------------------------------------------- threads */

static void *deliver_two(void *self) {
  bed *b = self;
  deliver(b, 2);
  return NULL;
}

static void any_thread_may_deliver_one_at_a_time(void **state) {
  (void)state;
  bed b;
  load(&b, "{ send = function(self, event) say(event.n) end }");
  for (int i = 0; i < 3; i++) {
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, deliver_two, &b), 0);
    pthread_join(thread, NULL);
    assert_int_equal(b.done.count, 2);
    assert_int_equal(deliver(&b, 1), TW_OK);
  }
  assert_said("1 2 1 1 2 1 1 2 1 ");
  unload(&b);
}

/* ------------------------------------------------------------------ direct */

static void where_there_is_no_outbox_answers_are_failures(void **state) {
  (void)state;
  static const struct {
    const char *answer;
    tw_status status;
  } cases[] = {{"return tw.permanent 'no'", TW_EREFUSED},
               {"error(tw.permanent 'no')", TW_EREFUSED},
               {"return tw.retry('no', { after = 1 })", TW_EIO},
               {"return false, tw.disabled 'no'", TW_EDISABLED}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    char text[200];
    witness seen = {0};
    bed b;
    snprintf(text, sizeof text, "{ send = function() %s end }", cases[i].answer);
    load(&b, text);
    watch(tw_script_router(b.script), &seen);
    assert_int_equal(tw_router_open(tw_script_router(b.script), NULL), TW_OK);
    send(tw_script_router(b.script), "{}");
    assert_int_equal(seen.count, 1);
    assert_int_equal(seen.code, cases[i].status);
    assert_string_equal(seen.message, "send: no");
    tw_router_close(tw_script_router(b.script), NULL);
    unload(&b);
  }
}

static void a_backend_that_is_disabled_does_not_open(void **state) {
  (void)state;
  bed b;
  load_with(&b, "{ send = function() end, open = function() return tw.disabled 'no key' end }",
            NULL);
  assert_int_equal(tw_backend_use(b.backend, &b.error), TW_EDISABLED);
  assert_string_equal(b.error.message, "open: no key");
  tw_batch_fini(&b.batch);
  tw_backend_unref(b.backend);
  tw_script_free(b.script);
}

static void raised_by_anything_else_an_answer_is_its_text(void **state) {
  (void)state;
  witness seen = {0};
  tw_script *script;
  const char *path = in_folder("main.lua");
  write_all(path, HEAD
            "return tw.router { processors = { function() error(tw.permanent 'why') "
            "end }, " OUT " }");
  assert_int_equal(tw_script_load(path, &script, NULL), TW_OK);
  watch(tw_script_router(script), &seen);
  tw_router_open(tw_script_router(script), NULL);
  send(tw_script_router(script), "{}");
  assert_int_equal(seen.code, TW_ESCRIPT);
  assert_string_equal(seen.message, "why");
  tw_script_free(script);
}

static void only_backends_of_the_script_are_found(void **state) {
  (void)state;
  bed b;
  tw_backend *none;
  load(&b, "{ send = function() end }");
  static const char *const paths[] = {"x", "b", "x/b/c", "x/", "", "x/c"};
  for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
    assert_int_equal(tw_script_backend(b.script, paths[i], &none, &b.error), TW_ENOENT);
    assert_null(none);
  }
  assert_string_equal(b.error.message, "the script has no backend \"x/c\"");
  unload(&b);
}

/* ------------------------------------------------------------------ memory */

/* Each allocation fails once: what is told as delivered was sent. */
static void try_without_memory(const char *text) {
  bed b;
  load(&b, text);
  for (size_t n = 0, failed = 1; failed; n++) {
    assert_true(n < 3000);
    fill(&b, 3);
    tw_oom_fail_at(n);
    tw_status status = tw_backend_deliver(b.backend, &b.batch, &b.done, &b.error);
    failed = tw_oom_off();
    if (!failed) assert_int_equal(status, TW_OK);
    if (status == TW_OK) assert_int_equal(b.done.count, 3);
    else assert_true(status == TW_ENOMEM || status == TW_ESCRIPT);
  }
  unload(&b);
}

static void without_memory_nothing_is_lost(void **state) {
  (void)state;
  try_without_memory(
      "{ send = function(self, event) local t = { event.n, event.id } end, "
      "flush = function() end }");
  try_without_memory("{ send_batch = function(self, events) local t = { events[1].n } end }");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(send_gets_one_after_the_other_and_flush_follows_once),
      cmocka_unit_test(a_failure_passes_and_those_before_it_are_delivered),
      cmocka_unit_test(answers_say_what_a_failure_is),
      cmocka_unit_test(an_answer_that_the_script_caught_is_none),
      cmocka_unit_test(a_flush_that_fails_delivers_nothing),
      cmocka_unit_test(nothing_is_flushed_when_nothing_was_sent),
      cmocka_unit_test(edits_of_send_are_gone_with_the_next_try),
      cmocka_unit_test(send_batch_gets_the_whole_batch_and_may_keep_it),
      cmocka_unit_test(a_long_batch_comes_in_portions),
      cmocka_unit_test(a_list_is_refused_as_a_whole_or_from_the_event_that_is_named),
      cmocka_unit_test(a_portion_fits_into_a_quarter_of_the_memory),
      cmocka_unit_test(a_portion_that_is_too_much_gets_smaller_until_it_fits),
      cmocka_unit_test(each_event_has_the_limits_for_itself),
      cmocka_unit_test(a_call_that_is_stopped_passes),
      cmocka_unit_test(a_call_without_memory_passes),
      cmocka_unit_test(a_function_that_rests_passes),
      cmocka_unit_test(the_time_out_ends_a_batch_between_two_events),
      cmocka_unit_test(what_is_no_event_any_more_is_refused),
      cmocka_unit_test(any_thread_may_deliver_one_at_a_time),
      cmocka_unit_test(where_there_is_no_outbox_answers_are_failures),
      cmocka_unit_test(a_backend_that_is_disabled_does_not_open),
      cmocka_unit_test(raised_by_anything_else_an_answer_is_its_text),
      cmocka_unit_test(only_backends_of_the_script_are_found),
      cmocka_unit_test(without_memory_nothing_is_lost),
  };
  return cmocka_run_group_tests(tests, set_up, tear_down);
}
