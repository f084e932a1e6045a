/* Router scripts in states of their own, as a C host uses them. */
#include <pthread.h>

#include "script/script.h"
#include "script_case.h"
#include "witness.h"

static tw_script *load(const char *text) {
  static const char *const grants[] = {"io", NULL};
  static const tw_script_options options = {.grants = grants};
  write_all(in_folder("main.lua"), text);
  tw_script *script;
  tw_error error = {0};
  if (tw_script_load_with(in_folder("main.lua"), &options, &script, &error))
    fail_msg("%s", error.message);
  assert_int_equal(tw_router_open(tw_script_router(script), &error), TW_OK);
  return script;
}

/* ------------------------------------------------------------------ tests */

static void a_script_routes_through_its_functions(void **state) {
  (void)state;
  tw_script *script = load(HEAD
                           "return tw.router { processors = {\n"
                           "  function(event) event.host = 'h1' end,\n"
                           "  function(event) if event.name == 'b' then tw.drop() end end,\n"
                           "}, " OUT " }");
  tw_router *router = tw_script_router(script);
  send(router, "{\"name\":\"a\",\"n\":1.50}");
  send(router, "{\"name\":\"b\"}");
  assert_int_equal(stored(router), 1);
  assert_stored(router, 0, "{\"name\":\"a\",\"n\":1.50,\"host\":\"h1\"}");
  tw_script_free(script);
}

static void a_script_requires_cjson_and_modules_beside_it(void **state) {
  (void)state;
  write_all(in_folder("beside.lua"), "return { name = 'beside' }");
  tw_script *script =
      load(HEAD
           "local cjson = require 'cjson'\n"
           "assert(cjson.null == tw.null)\n"
           "local beside = require 'beside'\n"
           "return tw.router { processors = { function(event)\n"
           "  event.text = cjson.encode(tw.totable(event.data)) .. beside.name\n"
           "end }, " OUT " }");
  send(tw_script_router(script), "{\"data\":{\"a\":[1,2]}}");
  assert_stored(tw_script_router(script), 0,
                "{\"data\":{\"a\":[1,2]},\"text\":\"{\\\"a\\\":[1,2]}beside\"}");
  tw_script_free(script);
}

static void emit_enters_the_same_router_from_its_top(void **state) {
  (void)state;
  tw_script *script = load(HEAD
                           "return tw.router { processors = { function(event)\n"
                           "  if event.name == 'a' then\n"
                           "    assert(tw.emit('b', { from = event.name }))\n"
                           "    return false\n"
                           "  end\n"
                           "  event.timestamp = nil\n"
                           "end }, " OUT " }");
  send(tw_script_router(script), "{\"name\":\"a\"}");
  assert_stored(tw_script_router(script), 0,
                "{\"name\":\"b\",\"context\":{},\"data\":{\"from\":\"a\"}}");
  tw_script_free(script);
}

static void an_endless_emit_ends_with_a_message(void **state) {
  (void)state;
  witness seen = {0};
  tw_script *script = load(HEAD
                           "return tw.router { processors = { function(event)\n"
                           "  assert(tw.emit('again'))\n"
                           "end }, " OUT " }");
  watch(tw_script_router(script), &seen);
  send(tw_script_router(script), "{\"name\":\"a\"}");
  assert_int_equal(seen.code, TW_ESCRIPT);
  assert_non_null(strstr(seen.message, "is this a loop?"));
  assert_int_equal(seen.count, 1);
  assert_int_equal(stored(tw_script_router(script)), 17);
  tw_script_free(script);
}

typedef struct mistake {
  const char *text, *expected; /* behind the path */
} mistake;

static void what_is_wrong_in_a_script_is_told_with_file_and_line(void **state) {
  (void)state;
  static const mistake cases[] = {
      {"return {", ":1: unexpected symbol near <eof>"},
      {"\nlocal x = nil\nx.y = 1", ":3: attempt to index a nil value (local 'x')"},
      {"error('mine')", ":1: mine"},
      {"error('bare', 0)", ": bare"},
      {"error({})", ":1: the error is a table; raise a text"},
      {"", ": the script must return a router, not nil: end it with `return tw.router"},
      {"return 7", ": the script must return a router, not a number: end it with"},
      {HEAD "return tw.tracker {}", ": the script must return a router, not a userdata"},
      {HEAD "return tw.router {\n procesors = {} }",
       ":2: router: unknown field 'procesors'; did you mean 'processors'?"},
      {HEAD "\nlocal a = tw.backends.file { pth = 'x' }", ":3: file: "},
      {HEAD "local p = tw.processors.regex_filter { allow = { '(' } }", ":2: regex_filter: "},
      {HEAD "tw.emit('a')", ":2: emit: the script is still loading"},
      {HEAD "tw.drop()", ": tidewire.drop() outside of a processor"},
      {"require 'nowhere'", ":1: module 'nowhere' not found; require looks beside the script"},
      {"\033Lua", ": attempt to load a binary chunk (mode is 't')"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    write_all(in_folder("wrong.lua"), cases[i].text);
    tw_script *script;
    tw_error error = {0};
    tw_status status = tw_script_load(in_folder("wrong.lua"), &script, &error);
    assert_null(script);
    char expected[512];
    snprintf(expected, sizeof expected, "%s%s", in_folder("wrong.lua"), cases[i].expected);
    if (status != TW_ESCRIPT || strncmp(error.message, expected, strlen(expected)) != 0)
      fail_msg("%s\nwanted %s\ngot %s", cases[i].text, expected, error.message);
    assert_null(strchr(error.message, '\n'));
  }
}

static void a_broken_module_is_told_with_its_own_file_and_line(void **state) {
  (void)state;
  write_all(in_folder("broken.lua"), "\n\nlocal = 1");
  write_all(in_folder("wrong.lua"), "require 'broken'");
  tw_script *script;
  tw_error error = {0};
  assert_int_equal(tw_script_load(in_folder("wrong.lua"), &script, &error), TW_ESCRIPT);
  char expected[512];
  snprintf(expected, sizeof expected, "%s:3: <name> expected near '='",
           in_folder("broken.lua"));
  assert_string_equal(error.message, expected);
}

static void a_missing_file_is_an_error_of_the_world(void **state) {
  (void)state;
  tw_script *script;
  tw_error error = {0};
  assert_int_equal(tw_script_load(in_folder("none.lua"), &script, &error), TW_EIO);
  assert_non_null(strstr(error.message, "none.lua: No such file or directory"));
  assert_int_equal(tw_script_load(in_folder("none.lua"), &script, NULL), TW_EIO);
}

static void a_failing_processor_is_told_with_its_line(void **state) {
  (void)state;
  witness seen = {0};
  tw_script *script = load(HEAD
                           "return tw.router { processors = { function(event)\n"
                           "  return event.data.user.id\n"
                           "end }, " OUT " }");
  watch(tw_script_router(script), &seen);
  send(tw_script_router(script), "{\"name\":\"a\"}");
  assert_int_equal(seen.code, TW_ESCRIPT);
  assert_non_null(strstr(seen.message, "main.lua:3: attempt to index a nil value"));
  assert_stored(tw_script_router(script), 0, "{\"name\":\"a\"}");
  tw_script_free(script);
}

static void a_router_that_outlives_its_script_fails_with_a_message(void **state) {
  (void)state;
  witness seen = {0};
  tw_script *script =
      load(HEAD
           "return tw.router { processors = { function() end },\n"
           "  backends = { lua = { send = function() end }, out = tw.backends.memory() } }");
  tw_router *router = tw_router_ref(tw_script_router(script));
  tw_script_free(script);
  watch(router, &seen);
  tw_error error = {0};
  assert_int_equal(tw_router_open(router, &error), TW_ECLOSED);
  assert_non_null(strstr(error.message, "its Lua state is closed"));
  tw_router_unref(router);
}

static void processors_of_a_closed_state_fail(void **state) {
  (void)state;
  witness seen = {0};
  tw_script *script = load(HEAD "return tw.router { processors = { function() end } }");
  tw_router *router = tw_router_ref(tw_script_router(script));
  tw_script_free(script);
  watch(router, &seen);
  assert_int_equal(tw_router_open(router, NULL), TW_OK);
  send(router, "{\"name\":\"a\"}");
  assert_int_equal(seen.code, TW_ECLOSED);
  assert_non_null(strstr(seen.message, "its Lua state is closed"));
  tw_router_unref(router);
}

static void gathered_events_are_delivered_before_the_state_ends(void **state) {
  (void)state;
  char text[1024];
  snprintf(text, sizeof text,
           HEAD
           "return tw.router { backends = { out = { send_batch = function(_, events)\n"
           "  local f <close> = io.open('%s', 'w'); f:write(#events)\n"
           "end } } }",
           in_folder("delivered"));
  tw_script *script = load(text);
  tw_event *event;
  assert_int_equal(tw_event_parse("{}", 2, NULL, &event, NULL), TW_OK);
  for (int i = 0; i < 3; i++)
    assert_int_equal(tw_router_send(tw_script_router(script), event, TW_MORE, NULL), TW_OK);
  tw_event_free(event);
  tw_script_free(script);
  FILE *file = fopen(in_folder("delivered"), "r");
  assert_non_null(file);
  assert_int_equal(fgetc(file), '3');
  fclose(file);
}

static void *send_there(void *router) {
  send(router, "{\"name\":\"there\"}");
  return NULL;
}

static void a_script_belongs_to_the_first_thread_that_uses_it(void **state) {
  (void)state;
  witness seen = {0};
  tw_script *script = load(HEAD
                           "return tw.router { processors = {\n"
                           "  function(event) event.ran = true end }, " OUT " }");
  tw_router *router = tw_script_router(script);
  watch(router, &seen);
  pthread_t thread;
  assert_int_equal(pthread_create(&thread, NULL, send_there, router), 0);
  pthread_join(thread, NULL);
  assert_int_equal(seen.count, 0);
  assert_stored(router, 0, "{\"name\":\"there\",\"ran\":true}");
  send(router, "{\"name\":\"here\"}");
  assert_int_equal(seen.code, TW_ESCRIPT);
  assert_non_null(strstr(seen.message, "another thread"));
  tw_script_free(script);
}

static void routing_makes_no_garbage_and_allocates_nothing(void **state) {
  (void)state;
  tw_script *script =
      load(HEAD
           "local count = 0\n"
           "return tw.router { processors = { function(event)\n"
           "  if event.name == 'a' and event.data.n == 1 then count = count + 1 end\n"
           "end }, backends = { out = tw.backends.null() } }");
  tw_router *router = tw_script_router(script);
  static const char json[] = "{\"name\":\"a\",\"data\":{\"n\":1}}";
  tw_event *event;
  assert_int_equal(tw_event_parse(json, sizeof json - 1, NULL, &event, NULL), TW_OK);
  for (int i = 0; i < 100; i++) tw_router_send(router, event, 0, NULL);
  size_t calls = tw_oom_calls();
  for (int i = 0; i < 1000; i++) tw_router_send(router, event, 0, NULL);
  assert_int_equal(tw_oom_calls() - calls, 0);
  tw_event_free(event);
  tw_script_free(script);
}

static const char FULL[] = HEAD
    "return tw.router {\n"
    "  processors = { tw.processors.allowlist { 'a' }, function(event) event.x = 1 end,\n"
    "    { function(event) return tw.split(event, { name = 'b' }) end, name = 'split' } },\n"
    "  route = function(event) return 'out', 'lua' end,\n"
    "  backends = { out = tw.backends.memory(), lua = { send = function(_, e) return e.x end "
    "},\n"
    "    batch = { send_batch = function(_, events) return #events > 0 end },\n"
    "    below = tw.router { backends = { null = tw.backends.null() } } },\n"
    "  on_failure = function() end,\n"
    "}";

static void loading_survives_any_failing_allocation(void **state) {
  (void)state;
  write_all(in_folder("full.lua"), FULL);
  size_t live = tw_oom_live();
  bool failed = true;
  for (size_t n = 0; failed; n++) {
    tw_script *script;
    tw_oom_fail_at(n);
    tw_status status = tw_script_load(in_folder("full.lua"), &script, NULL);
    failed = tw_oom_off();
    if (status == TW_OK) tw_script_free(script);
    else assert_true(failed);
    if (tw_oom_live() != live)
      fail_msg("allocation %zu: %zu blocks are left", n, tw_oom_live() - live);
  }
}

static void routing_survives_any_failing_allocation(void **state) {
  (void)state;
  write_all(in_folder("full.lua"), FULL);
  bool failed = true;
  for (size_t n = 0; failed; n++) {
    tw_script *script;
    assert_int_equal(tw_script_load(in_folder("full.lua"), &script, NULL), TW_OK);
    tw_router *router = tw_script_router(script);
    tw_event *event;
    assert_int_equal(tw_event_parse("{\"name\":\"a\"}", 12, NULL, &event, NULL), TW_OK);
    tw_oom_fail_at(n);
    if (tw_router_open(router, NULL) == TW_OK) tw_router_send(router, event, 0, NULL);
    failed = tw_oom_off();
    tw_event_free(event);
    tw_script_free(script);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_script_routes_through_its_functions),
      cmocka_unit_test(a_script_requires_cjson_and_modules_beside_it),
      cmocka_unit_test(emit_enters_the_same_router_from_its_top),
      cmocka_unit_test(an_endless_emit_ends_with_a_message),
      cmocka_unit_test(what_is_wrong_in_a_script_is_told_with_file_and_line),
      cmocka_unit_test(a_broken_module_is_told_with_its_own_file_and_line),
      cmocka_unit_test(a_missing_file_is_an_error_of_the_world),
      cmocka_unit_test(a_failing_processor_is_told_with_its_line),
      cmocka_unit_test(a_router_that_outlives_its_script_fails_with_a_message),
      cmocka_unit_test(processors_of_a_closed_state_fail),
      cmocka_unit_test(gathered_events_are_delivered_before_the_state_ends),
      cmocka_unit_test(a_script_belongs_to_the_first_thread_that_uses_it),
      cmocka_unit_test(routing_makes_no_garbage_and_allocates_nothing),
      cmocka_unit_test(loading_survives_any_failing_allocation),
      cmocka_unit_test(routing_survives_any_failing_allocation),
  };
  return cmocka_run_group_tests(tests, set_up, tear_down);
}
