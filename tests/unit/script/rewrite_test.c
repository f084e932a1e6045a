/* Paths that work on text, in states of ours and in a host's, and without memory. */
#include "lua_case.h"
#include "support/oom.h"

static void text_is_the_content_of_a_string_and_the_exact_text_of_all_else(void **state) {
  (void)state;
  static const lua_case cases[] = {
      {"{\"a\":\"x\\u00e9\"}", "return tw.path('a'):text(event)", "x\xc3\xa9 string"},
      {"{\"a\":123456789012345678901234567890}", "return tw.path('a'):text(event)",
       "123456789012345678901234567890 number"},
      {"{\"a\":1.50}", "return tw.path('a'):text(event)", "1.50 number"},
      {"{\"a\":false}", "return tw.path('a'):text(event)", "false boolean"},
      {"{\"a\":null}", "return tw.path('a'):text(event)", "null null"},
      {"{\"a\":[1,{}]}", "return tw.path('a'):text(event)", "[1,{}] array"},
      {"{\"a\":{\"b\":7}}", "return tw.path('b'):text(event.a)", "7 number"},
      {"{\"a\":{}}", "event.a[1] = 2 return tw.path('a'):text(event)", "[2] array"},
      {"{}", "return tw.path('a'):text(event)", "nil"},
      {"{}", "return tw.path('*'):text(event)",
       "error: *: a path with wildcards has no one value; use rewrite"},
  };
  RUN_CASES(cases);
}

static void rewrite_replaces_removes_and_leaves(void **state) {
  (void)state;
  static const lua_case cases[] = {
      {"{\"a\":1,\"b\":[2,3]}",
       "return tw.path('**'):rewrite(event, function(t, k) if k == 'number' then return t .. "
       "'.0' end end), event",
       "3 {\"a\":1.0,\"b\":[2.0,3.0]}"},
      {"{\"a\":[1,2,3]}",
       "return tw.path('a[*]'):rewrite(event, function(t) return t == '2' and 'null' end), "
       "event",
       "3 {\"a\":[null]}"},
      {"{\"a\":{\"b\":{\"c\":1}}}",
       "return tw.path('**'):rewrite(event, function() return 'true' end), event",
       "3 {\"a\":true}"},
      {"{\"a\":1}", "return tw.path('a'):rewrite(event, function() return 7 end)",
       "error: path:rewrite: 'f' must return JSON text, false or nil, not a number"},
      {"{\"a\":1}", "return tw.path('a'):rewrite(event, 7)",
       "error: path:rewrite: 'f' must be a function, JSON text or false, not a number"},
      {"{\"a\":[1,2],\"b\":3}", "return tw.path('a[*]'):rewrite(event, 'null'), event",
       "2 {\"a\":[null,null],\"b\":3}"},
      {"{\"a\":[1,2],\"b\":3}", "return tw.path('*'):rewrite(event, false), event", "2 {}"},
      {"{\"a\":1}", "return tw.path('a'):rewrite(event, true)",
       "error: path:rewrite: 'f' must return JSON text, false or nil, not a boolean"},
      {"{\"a\":1}",
       "return pcall(tw.path('a').rewrite, tw.path('a'), event, function() error('no', 0) end)",
       "false no"},
  };
  RUN_CASES(cases);
}

static void move_is_exact_and_leaves_the_event_alone_when_it_fails(void **state) {
  (void)state;
  static const lua_case cases[] = {
      {"{\"a\":1.50,\"b\":2}", "return tw.path('a'):move(event, tw.path('c.d')), event",
       "true {\"b\":2,\"c\":{\"d\":1.50}}"},
      {"{\"a\":1}", "return tw.path('a'):move(event, tw.path('a.b')), event",
       "true {\"a\":{\"b\":1}}"},
      {"{\"b\":2}", "return tw.path('a'):move(event, tw.path('c')), event", "false {\"b\":2}"},
      {"{\"a\":1,\"b\":2}",
       "local ok, _, code = tw.path('a'):move(event, tw.path('b.c')) return ok, code, event",
       "nil type {\"a\":1,\"b\":2}"},
      {"{\"a\":{\"x\":1,\"y\":2}}", "return tw.path('x'):move(event.a, tw.path('z')), event",
       "true {\"a\":{\"y\":2,\"z\":1}}"},
  };
  RUN_CASES(cases);
}

static void decode_counts_what_is_json_and_what_is_not(void **state) {
  (void)state;
  static const lua_case cases[] = {
      {"{\"a\":\"{\\\"n\\\":1.0}\",\"b\":\"{\",\"c\":1}",
       "local n, bad = tw.path('*'):decode(event) return n, bad, event",
       "1 1 {\"a\":{\"n\":1.0},\"b\":\"{\",\"c\":1}"},
      {"{\"a\":1}", "return tw.path('a'):decode(event)", "0 0"},
      {"{}", "return tw.path('a'):decode(event)", "0 0"},
  };
  RUN_CASES(cases);
}

static void a_view_that_ended_is_refused_by_every_method(void **state) {
  (void)state;
  static const char *const calls[] = {"text(ended())", "decode(ended())",
                                      "rewrite(ended(), print)", "move(ended(), tw.path('b'))"};
  for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
    char script[96];
    lua_bed bed;
    snprintf(script, sizeof script, "return tw.path('a'):%s", calls[i]);
    bed_init(&bed, i % 2 == 0, "{\"a\":1}");
    assert_memory_equal(bed_run(&bed, script), "error: ", 7);
    bed_fini(&bed);
  }
}

/* Each allocation in turn fails, until none does. */
static void want_of_memory_is_an_error(void **state) {
  (void)state;
  static const char *const script =
      "local f = function(t, k) if k == 'string' then return '\"\\\\u00e9 and more\"' end end "
      "local moved, why = tw.path('d'):move(event, tw.path('e.f')) if not moved then "
      "error(why) end "
      "tw.path('a'):decode(event) tw.path('**'):rewrite(event, f) "
      "return tw.path('a'):text(event)";
  size_t live = tw_oom_live();
  bool failed = true;
  size_t n = 0;
  for (; failed; n++) {
    lua_bed bed;
    bed_init(&bed, true, "{\"a\":\"[1,\\\"\\u00e9\\\"]\",\"b\":\"\\u00e9x\",\"d\":7}");
    tw_oom_fail_at(n);
    bool raised = !strncmp(bed_run(&bed, script), "error: ", 7);
    failed = tw_oom_off();
    assert_int_equal(raised, failed);
    bed_fini(&bed);
  }
  assert_true(n > 1);
  assert_int_equal(tw_oom_live(), live);
}

int main(void) {
  tw_oom_install();
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(text_is_the_content_of_a_string_and_the_exact_text_of_all_else),
      cmocka_unit_test(rewrite_replaces_removes_and_leaves),
      cmocka_unit_test(move_is_exact_and_leaves_the_event_alone_when_it_fails),
      cmocka_unit_test(decode_counts_what_is_json_and_what_is_not),
      cmocka_unit_test(a_view_that_ended_is_refused_by_every_method),
      cmocka_unit_test(want_of_memory_is_an_error),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
