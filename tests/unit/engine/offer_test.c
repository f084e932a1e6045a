/* Backends and processors of the host that an engine's scripts name. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka.h needs those above. */
#include <cmocka.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "script/script.h"
#include "support/folder.h"
#include "support/oom.h"
#include "tidewire.h"

static const char *script_path(void) { return in_folder("main.lua"); }

#define HEAD "local tw = require 'tidewire'\n"

static void write_script(const char *text) {
  char whole[1024];
  snprintf(whole, sizeof whole, HEAD "%s\n", text);
  write_all(script_path(), whole);
}

/* ---------------------------------------------------------- the host's own */

/* A backend that counts. */
typedef struct ledger {
  atomic_uint opened, closed, freed, sent;
  atomic_long total;
  atomic_bool is_locked; /* it cannot be opened */
} ledger;

static tw_status open_ledger(void *self, tw_error *error) {
  ledger *to = self;
  if (atomic_load(&to->is_locked)) {
    snprintf(error->message, sizeof error->message, "the ledger is locked");
    return TW_EIO;
  }
  atomic_fetch_add(&to->opened, 1);
  return TW_OK;
}

static tw_status send_ledger(void *self, tw_event *event, unsigned flags, tw_error *error) {
  ledger *to = self;
  tw_value cents;
  (void)flags, (void)error;
  if (tw_event_get(event, "data.cents", &cents) == TW_OK)
    atomic_fetch_add(&to->total, (long)cents.integer);
  atomic_fetch_add(&to->sent, 1);
  return TW_OK;
}

static void close_ledger(void *self) { atomic_fetch_add(&((ledger *)self)->closed, 1); }
static void free_ledger(void *self) { atomic_fetch_add(&((ledger *)self)->freed, 1); }

static tw_backend *new_ledger(ledger *self) {
  static const tw_backend_ops ops = {
      .open = open_ledger, .send = send_ledger, .close = close_ledger, .free = free_ledger};
  tw_backend *backend;
  assert_int_equal(tw_backend_new(&ops, self, 0, &backend, NULL), TW_OK);
  return backend;
}

/* Does what the event's `do` says. */
static tw_verdict obey(void *self, tw_event *event, tw_split *split, tw_error *error) {
  tw_value word;
  (void)self;
  tw_event_set_bool(event, "seen", true, NULL);
  if (tw_event_get(event, "do", &word)) return TW_PASS;
  if (strcmp(word.string, "drop") == 0) return TW_DROP;
  if (strcmp(word.string, "split") == 0) {
    tw_split_add_json(split, "{\"piece\":1}", 11, NULL);
    tw_split_add(split, event);
    return TW_SPLIT;
  }
  if (strcmp(word.string, "fail") == 0) {
    snprintf(error->message, sizeof error->message, "told to fail");
    return TW_FAIL;
  }
  return strcmp(word.string, "silence") == 0 ? TW_FAIL : TW_PASS;
}

static tw_processor *new_processor(tw_on_error on_error) {
  static const tw_processor_ops ops = {.process = obey};
  tw_processor *processor;
  assert_int_equal(tw_processor_new("obey", &ops, NULL, on_error, &processor, NULL), TW_OK);
  return processor;
}

/* --------------------------------------------------------------- an engine */

typedef struct told {
  atomic_uint failed, dead;
  char message[512]; /* of the last failure; one worker only */
} told;

static void told_failed(void *self, const tw_failure *failure) {
  told *to = self;
  snprintf(to->message, sizeof to->message, "%s", failure->error->message);
  atomic_fetch_add(&to->failed, 1);
}

static void told_dead(void *self, const tw_failure *failure) {
  (void)failure;
  atomic_fetch_add(&((told *)self)->dead, 1);
}

/* With the offers "orders" and "obey", and a memory backend "kept". */
static tw_status begin(const char *options, ledger *own, tw_backend *kept, tw_on_error on_error,
                       told *to, tw_engine **out, tw_error *error) {
  const tw_offer offers[] = {{.name = "orders", .backend = new_ledger(own)},
                             {.name = "kept", .backend = kept},
                             {.name = "obey", .processor = new_processor(on_error)},
                             {0}};
  const tw_engine_ops ops = {.failed = told_failed, .dead = told_dead, .offers = offers};
  tw_status status =
      tw_engine_new(script_path(), options, strlen(options), &ops, to, out, error);
  tw_backend_unref(offers[0].backend);
  tw_processor_unref(offers[2].processor);
  return status;
}

static tw_backend *new_memory(void) {
  tw_backend *memory;
  assert_int_equal(tw_backend_new_kind("memory", NULL, 0, &memory, NULL), TW_OK);
  return memory;
}

static void send(tw_engine *engine, const char *json) {
  assert_int_equal(tw_engine_send_json(engine, json, strlen(json), NULL), TW_OK);
}

static void flush(tw_engine *engine) {
  assert_int_equal(tw_engine_flush(engine, 20000, NULL, NULL), TW_OK);
}

static void reload(tw_engine *engine) {
  tw_error error = {0};
  if (tw_engine_reload(engine, &error)) fail_msg("%s", error.message);
}

static void assert_kept(tw_backend *memory, size_t index, const char *expected) {
  tw_event *event;
  const char *text;
  size_t len;
  assert_int_equal(tw_memory_get(memory, index, &event), TW_OK);
  assert_int_equal(tw_event_json(event, &text, &len), TW_OK);
  assert_string_equal(text, expected);
  tw_event_free(event);
}

static size_t count_of(tw_backend *memory) {
  size_t count;
  assert_int_equal(tw_memory_count(memory, &count), TW_OK);
  return count;
}

#define ORDERS "return tw.router { backends = { db = tw.backends.host 'orders' } }"

/* ---------------------------------------------------------------- backends */

static void *send_many(void *engine) {
  for (int i = 0; i < 2000; i++) send(engine, "{\"data\":{\"cents\":5}}");
  return NULL;
}

static void all_workers_and_generations_share_one_backend(void **state) {
  (void)state;
  ledger own = {0};
  told to = {0};
  tw_backend *kept = new_memory();
  tw_engine *engine;
  pthread_t threads[4];
  write_script(ORDERS);
  assert_int_equal(begin("{\"workers\":4}", &own, kept, TW_ON_ERROR_DROP, &to, &engine, NULL),
                   TW_OK);
  for (int i = 0; i < 4; i++) pthread_create(&threads[i], NULL, send_many, engine);
  for (int i = 0; i < 10; i++) reload(engine);
  for (int i = 0; i < 4; i++) pthread_join(threads[i], NULL);
  flush(engine);
  assert_int_equal(own.sent, 8000);
  assert_int_equal(own.total, 40000);
  assert_int_equal(own.opened, 1);
  assert_int_equal(own.closed, 0);
  tw_engine_unref(engine);
  assert_int_equal(own.opened, 1);
  assert_int_equal(own.closed, 1);
  assert_int_equal(own.freed, 1);
  assert_int_equal(to.failed, 0);
  tw_backend_unref(kept);
}

static void it_is_closed_when_no_generation_names_it_and_opened_again(void **state) {
  (void)state;
  ledger own = {0};
  told to = {0};
  tw_backend *kept = new_memory();
  tw_engine *engine;
  write_script("return tw.router {}");
  assert_int_equal(begin("{}", &own, kept, TW_ON_ERROR_DROP, &to, &engine, NULL), TW_OK);
  assert_int_equal(own.opened, 0);
  write_script(ORDERS);
  reload(engine);
  assert_int_equal(own.opened, 1);
  write_script("return tw.router {}");
  reload(engine);
  assert_int_equal(own.closed, 1);
  assert_int_equal(own.freed, 0);
  write_script(ORDERS);
  reload(engine);
  send(engine, "{}");
  tw_engine_unref(engine);
  assert_int_equal(own.opened, 2);
  assert_int_equal(own.closed, 2);
  assert_int_equal(own.sent, 1);
  assert_int_equal(own.freed, 1);
  tw_backend_unref(kept);
}

static void a_backend_that_does_not_open_keeps_the_old_generation(void **state) {
  (void)state;
  ledger own = {.is_locked = true};
  told to = {0};
  tw_error error = {0};
  tw_backend *kept = new_memory();
  tw_engine *engine;
  write_script("return tw.router { backends = { k = tw.backends.host 'kept' } }");
  assert_int_equal(begin("{}", &own, kept, TW_ON_ERROR_DROP, &to, &engine, NULL), TW_OK);
  write_script(ORDERS);
  assert_int_equal(tw_engine_reload(engine, &error), TW_EIO);
  assert_string_equal(error.message, "db: the ledger is locked");
  send(engine, "{}");
  flush(engine);
  assert_int_equal(count_of(kept), 1);
  tw_engine_unref(engine);
  tw_backend_unref(kept);
}

static void tests_of_a_script_leave_the_hosts_backend_alone(void **state) {
  (void)state;
  ledger own = {0};
  told to = {0};
  tw_backend *kept = new_memory();
  tw_engine *engine;
  write_script(
      "return tw.router { processors = { tw.processors.host 'obey' },\n"
      "  backends = { db = tw.backends.host 'orders' },\n"
      "  tests = { { 'it is seen', given = { a = 1 },\n"
      "    expect = { a = 1, seen = true } } } }");
  tw_error error = {0};
  if (begin("{}", &own, kept, TW_ON_ERROR_DROP, &to, &engine, &error))
    fail_msg("%s", error.message);
  assert_int_equal(own.sent, 0);
  send(engine, "{}");
  flush(engine);
  assert_int_equal(own.sent, 1);
  tw_engine_unref(engine);
  assert_int_equal(own.opened, 1);
  tw_backend_unref(kept);
}

/* -------------------------------------------------------------- processors */

static const char SPLIT[] = "{\"do\":\"split\",\"seen\":true}";

static void run_words(tw_engine *engine) {
  send(engine, "{\"a\":1}");
  send(engine, "{\"do\":\"drop\"}");
  send(engine, "{\"do\":\"split\"}");
  send(engine, "{\"do\":\"fail\"}");
  flush(engine);
}

static void assert_words(tw_backend *kept) {
  assert_kept(kept, 0, "{\"a\":1,\"seen\":true}");
  assert_kept(kept, 1, "{\"piece\":1}");
  assert_kept(kept, 2, SPLIT);
  assert_int_equal(count_of(kept), 3);
}

static void use_processor(const char *entry, tw_on_error on_error, told *to, tw_backend *kept) {
  ledger own = {0};
  tw_engine *engine;
  tw_error error = {0};
  char text[400];
  snprintf(text, sizeof text,
           "local obey = tw.processors.host 'obey'\n"
           "return tw.router { processors = { %s }, backends = { k = tw.backends.host 'kept' } "
           "}",
           entry);
  write_script(text);
  if (begin("{}", &own, kept, on_error, to, &engine, &error)) fail_msg("%s", error.message);
  run_words(engine);
  tw_engine_unref(engine);
}

static void a_processor_of_the_host_passes_drops_splits_and_fails(void **state) {
  (void)state;
  static const char *const entries[] = {"obey", "tw.processors.chain(obey)",
                                        "tw.processors.when(function() return true end, obey)",
                                        "function(event) return obey(event) end", "{ obey }"};
  for (size_t i = 0; i < sizeof entries / sizeof *entries; i++) {
    told to = {0};
    tw_backend *kept = new_memory();
    bool is_bare = i == 3; /* a function of the script's own passes what fails */
    use_processor(entries[i], TW_ON_ERROR_DROP, &to, kept);
    if (is_bare) assert_int_equal(count_of(kept), 4);
    else assert_words(kept);
    assert_int_equal(to.failed, 1);
    assert_non_null(strstr(to.message, "told to fail"));
    tw_backend_unref(kept);
  }
}

static void it_fails_as_the_host_has_said_also_inside_of_a_chain(void **state) {
  (void)state;
  static const char *const entries[] = {"obey", "tw.processors.chain(obey)"};
  for (size_t i = 0; i < 2; i++) {
    told to = {0};
    tw_backend *kept = new_memory();
    use_processor(entries[i], TW_ON_ERROR_DEAD_LETTER, &to, kept);
    assert_words(kept);
    assert_int_equal(to.dead, 1);
    tw_backend_unref(kept);
    told pass = {0};
    kept = new_memory();
    use_processor(entries[i], TW_ON_ERROR_PASS, &pass, kept);
    assert_int_equal(count_of(kept), 4);
    assert_kept(kept, 3, "{\"do\":\"fail\"}");
    tw_backend_unref(kept);
  }
}

static void a_processor_that_gives_no_reason_is_told_as_one(void **state) {
  (void)state;
  ledger own = {0};
  told to = {0};
  tw_backend *kept = new_memory();
  tw_engine *engine;
  write_script(
      "return tw.router { processors = { tw.processors.chain(tw.processors.host "
      "'obey') } }");
  assert_int_equal(begin("{}", &own, kept, TW_ON_ERROR_DROP, &to, &engine, NULL), TW_OK);
  send(engine, "{\"do\":\"silence\"}");
  tw_engine_unref(engine);
  assert_non_null(strstr(to.message, "the processor failed and gave no reason"));
  tw_backend_unref(kept);
}

/* ---------------------------------------------------------------- mistakes */

static void what_is_not_offered_is_told_at_its_line(void **state) {
  (void)state;
  static const struct {
    const char *script, *expected;
  } cases[] = {
      {"\nlocal x = tw.backends.host 'order'",
       "main.lua:3: the host offers no backend \"order\"; did you mean \"orders\"? known: "
       "orders, kept"},
      {"local x = tw.backends.host 'obey'", "main.lua:2: the host offers no backend \"obey\""},
      {"local x = tw.processors.host 'zzz'",
       "main.lua:2: the host offers no processor \"zzz\"; known: obey"},
      {"local x = tw.backends.host {}",
       "main.lua:2: backends.host: write the name of what the "
       "host offers, as in backends.host \"name\", not a table"},
      {"local x = tw.processors.host()", "main.lua:2: processors.host: write the name"},
      {"return tw.router { processors = { { tw.processors.host 'obey', on_error = 'pass' } } }",
       "main.lua:2: router: processors[1]: a processor in C has the name and on_error"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    ledger own = {0};
    told to = {0};
    tw_error error = {0};
    tw_backend *kept = new_memory();
    tw_engine *engine;
    write_script(cases[i].script);
    assert_int_equal(begin("{}", &own, kept, TW_ON_ERROR_DROP, &to, &engine, &error),
                     TW_ESCRIPT);
    assert_null(engine);
    if (!strstr(error.message, cases[i].expected)) fail_msg("%s", error.message);
    assert_int_equal(own.freed, 1);
    tw_backend_unref(kept);
  }
}

static void a_host_without_offers_and_no_host_are_told_apart(void **state) {
  (void)state;
  tw_engine *engine;
  tw_script *script;
  tw_error error = {0};
  write_script(ORDERS);
  assert_int_equal(tw_engine_new(script_path(), NULL, 0, NULL, NULL, &engine, &error),
                   TW_ESCRIPT);
  assert_non_null(strstr(error.message,
                         "main.lua:2: the host offers no backend \"orders\"; it offers none"));
  assert_int_equal(tw_script_load(script_path(), &script, &error), TW_ESCRIPT);
  assert_non_null(strstr(error.message,
                         "main.lua:2: backends.host \"orders\": no host offers anything here"));
}

static void wrong_offers_are_told_and_self_is_freed(void **state) {
  (void)state;
  tw_backend *memory = new_memory();
  tw_processor *processor = new_processor(TW_ON_ERROR_DROP);
  const struct {
    tw_offer offers[3];
    const char *expected;
  } cases[] = {
      {{{"", memory, NULL}}, "offers: a name must not be empty"},
      {{{"a", NULL, NULL}},
       "offers: \"a\" must be either a backend or a processor, not neither"},
      {{{"a", memory, processor}}, "a processor, not both"},
      {{{"a", memory, NULL}, {"a", memory, NULL}},
       "offers: there are two backends named \"a\""},
      {{{"a", NULL, processor}, {"a", NULL, processor}}, "two processors named \"a\""},
  };
  write_script("return tw.router {}");
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    ledger own = {0};
    tw_engine *engine;
    tw_error error = {0};
    const tw_engine_ops ops = {.offers = cases[i].offers, .free = free_ledger};
    assert_int_equal(tw_engine_new(script_path(), NULL, 0, &ops, &own, &engine, &error),
                     TW_EINVAL);
    if (!strstr(error.message, cases[i].expected)) fail_msg("%s", error.message);
    assert_int_equal(own.freed, 1);
  }
  tw_backend_unref(memory);
  tw_processor_unref(processor);
}

static void a_backend_and_a_processor_may_have_one_name(void **state) {
  (void)state;
  tw_backend *memory = new_memory();
  tw_processor *processor = new_processor(TW_ON_ERROR_DROP);
  const tw_offer offers[] = {{"x", memory, NULL}, {"x", NULL, processor}, {0}};
  const tw_engine_ops ops = {.offers = offers};
  tw_engine *engine;
  write_script(
      "return tw.router { processors = { tw.processors.host 'x' },\n"
      "  backends = { one = tw.backends.host 'x', two = tw.backends.host 'x' } }");
  assert_int_equal(tw_engine_new(script_path(), NULL, 0, &ops, NULL, &engine, NULL), TW_OK);
  send(engine, "{}");
  tw_engine_unref(engine);
  assert_int_equal(count_of(memory), 2);
  assert_kept(memory, 0, "{\"seen\":true}");
  tw_backend_unref(memory);
  tw_processor_unref(processor);
}

static tw_status make_and_free(void *offers) {
  tw_host *host;
  tw_status status = tw_host_new(offers, &host, NULL);
  tw_host_free(host);
  return status;
}

static void offers_survive_any_failing_allocation(void **state) {
  (void)state;
  tw_backend *memory = new_memory();
  tw_processor *processor = new_processor(TW_ON_ERROR_DROP);
  tw_offer offers[] = {{"x", memory, NULL}, {"y", NULL, processor}, {0}};
  assert_int_equal(tw_oom_fail_each(make_and_free, offers), 3);
  tw_backend_unref(memory);
  tw_processor_unref(processor);
}

static int set_up(void **state) {
  tw_oom_install();
  return make_folder(state);
}

#define TEST(name) cmocka_unit_test_teardown(name, tw_oom_leaves_nothing)

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(all_workers_and_generations_share_one_backend),
      TEST(it_is_closed_when_no_generation_names_it_and_opened_again),
      TEST(a_backend_that_does_not_open_keeps_the_old_generation),
      TEST(tests_of_a_script_leave_the_hosts_backend_alone),
      TEST(a_processor_of_the_host_passes_drops_splits_and_fails),
      TEST(it_fails_as_the_host_has_said_also_inside_of_a_chain),
      TEST(a_processor_that_gives_no_reason_is_told_as_one),
      TEST(what_is_not_offered_is_told_at_its_line),
      TEST(a_host_without_offers_and_no_host_are_told_apart),
      TEST(wrong_offers_are_told_and_self_is_freed),
      TEST(a_backend_and_a_processor_may_have_one_name),
      TEST(offers_survive_any_failing_allocation),
  };
  return cmocka_run_group_tests(tests, set_up, remove_folder);
}
