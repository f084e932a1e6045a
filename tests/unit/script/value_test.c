#include "lua_case.h"

static void encode_writes_exact_json(void **state) {
  (void)state;
  const lua_case cases[] = {
      {NULL, "return tw.encode(1), tw.encode(1.0), tw.encode('x'), tw.encode(true)",
       "1 1.0 \"x\" true"},
      {NULL, "return tw.encode(nil), tw.encode(tw.null), tw.encode {tw.null}",
       "null null [null]"},
      {NULL,
       "return tw.encode {}, tw.encode(tw.array {}), tw.encode(tw.array()), tw.encode {{}}",
       "{} [] [] [{}]"},
      {NULL,
       "return tw.encode(math.maxinteger), tw.encode(2^53), tw.encode(1e300), tw.encode(0.1)",
       "9223372036854775807 9007199254740992.0 1e+300 0.1"},
      {NULL, "return tw.encode {1, {a = {2}}}", "[1,{\"a\":[2]}]"},
      {NULL, "return tw.encode 'a\\0\\31\"\\\\/\\u{7f}\\u{1f600}'",
       "\"a\\u0000\\u001f\\\"\\\\/\x7f\xf0\x9f\x98\x80\""},
      {NULL, "local t = {} t[3] = 3 t[2] = 2 t[1] = 1 return tw.encode(t)", "[1,2,3]"},
      {NULL, "local t = {} for i = 50, 1, -1 do t[i] = i end return #tw.encode(t)", "142"},
      {NULL, "local t = {1, 2, 3} t[2] = nil return tw.encode(t)", NULL},
      {NULL, "return tw.encode {1, nil, 3}",
       "error: value: a list with holes cannot be part of an event; fill them with "
       "tidewire.null"},
      {NULL, "return tw.encode {[3] = 1}",
       "error: value: a table with the key [3] and holes or fields besides cannot be part of "
       "an event; "
       "an array goes from 1 without holes, an object has strings as keys"},
      {NULL, "return tw.encode {[0] = 1}", NULL},
      {NULL, "return tw.encode {a = {b = print}}",
       "error: a.b: a function cannot be part of an event"},
      {NULL, "return tw.encode(print)", "error: value: a function cannot be part of an event"},
      {NULL, "return tw.encode()", "error: bad argument #1 to 'encode' (value expected)"},
      {"{\"b\" : [1.50, 123456789012345678901234567890 ]}",
       "return tw.encode(event), tw.encode {x = event.b}",
       "{\"b\" : [1.50, 123456789012345678901234567890 ]} {\"x\":[1.50, "
       "123456789012345678901234567890 ]}"},
      {NULL, "local t = {} for i = 1, 127 do t = {t} end return #tw.encode(t)", "256"},
      {NULL, "local t = {} for i = 1, 128 do t = {t} end return pcall(tw.encode, t)", NULL},
      {NULL, "local t = {1} local l = {t, t} return tw.encode(l)", "[[1],[1]]"},
  };
  RUN_CASES(cases);
}

static void decode_gives_any_json_value(void **state) {
  (void)state;
  const lua_case cases[] = {
      {NULL, "return tw.decode '1', tw.decode ' \"x\" ', tw.decode 'true', tw.decode '-0.5'",
       "1 x true -0.5"},
      {NULL,
       "return tw.decode 'null' == tw.null, tw.decode '\"\\\\n\\\\u00e9\"' == '\\n\\u{e9}'",
       "true true"},
      {NULL, "local l = tw.decode '[1,[2.0]]' l[3] = {} return l, #l, l[2][1]",
       "[1,[2.0],{}] 3 2.0"},
      {NULL, "local o = tw.decode '{\"n\": 1.10}' return o, o.n, o.id",
       "{\"n\": 1.10} 1.1 nil"},
      {NULL, "local v, message, code = tw.decode '[1,]' return v, #message > 0, code",
       "nil true json"},
      {NULL, "return select('#', tw.decode ''), select(3, tw.decode(('['):rep(200)))",
       "3 limit"},
      {NULL, "return tw.decode(1)", "1"},
      {NULL, "return tw.decode {}",
       "error: bad argument #1 to 'decode' (string expected, got table)"},
      {NULL, "return tw.decode '9223372036854775808', tw.decode '-9223372036854775808'",
       "9.2233720368548e+18 -9223372036854775808"},
  };
  RUN_CASES(cases);
}

static void event_makes_one_that_lua_owns(void **state) {
  (void)state;
  const lua_case cases[] = {
      {NULL, "local e = tw.event '{\"a\": 1}' e.b = {2} return e", "{\"a\": 1, \"b\": [2]}"},
      {NULL, "return tw.event {name = 'x'}, tw.event {}", "{\"name\":\"x\"} {}"},
      {NULL, "return tw.event '[1]'", NULL},
      {NULL, "return select('#', tw.event '[1]'), select(3, tw.event '[1]')", "3 json"},
      {NULL, "local e, message, code = tw.event '{' return e, code", "nil json"},
      {NULL, "return tw.event {1}",
       "error: event: an event is an object, not a list or a scalar"},
      {NULL, "return tw.event {a = {b = print}}",
       "error: a.b: a function cannot be part of an event"},
      {NULL, "return tw.event(true)",
       "error: bad argument #1 to 'event' (JSON text or table expected, got boolean)"},
      {"{\"a\":{\"b\":1}}",
       "local c = tw.event(event) c.a.b = 2 return c, event, c.id == event.id, "
       "tw.event(event.a)",
       "{\"a\":{\"b\":2}} {\"a\":{\"b\":1}} true {\"b\":1}"},
      {"{\"l\":[]}", "return tw.event(event.l)",
       "error: event: an event is an object, not a list or a scalar"},
  };
  RUN_CASES(cases);
}

static void totable_is_a_plain_deep_copy(void **state) {
  (void)state;
  static const char *event =
      "{\"a\":[1,2.0,\"x\",null,[]],\"o\":{},\"b\":true,\"d\":1,\"d\":2,\"k\\u0065y\":"
      "\"\\u00e9\"}";
  const lua_case cases[] = {
      {event,
       "local t = tw.totable(event) return type(t), #t.a, t.a[2], t.a[4] == tw.null, t.d, "
       "t.key, "
       "next(t.o)",
       "table 5 2.0 true 2 \u00e9 nil"},
      {event, "local t = tw.totable(event) return tw.encode(t.a), tw.encode(t.o)",
       "[1,2.0,\"x\",null,[]] {}"},
      {event,
       "event.o.x = {1, {y = 2}} event.a[1] = nil local t = tw.totable(event) return "
       "t.o.x[2].y, #t.a",
       "2 4"},
      {event, "return cjson.encode(tw.totable(event.a))", "[1,2,\"x\",null,{}]"},
      {event, "return type(cjson.encode(tw.totable(event)))", "string"},
      {event,
       "return tw.totable(event.b), tw.totable(1), tw.totable(nil), tw.totable(tw.null) == "
       "tw.null",
       "true 1 nil true"},
      {event, "return tw.totable({})",
       "error: bad argument #1 to 'totable' (event view or scalar expected, got table)"},
      {event, "return tw.totable(print)",
       "error: bad argument #1 to 'totable' (event view or scalar expected, got function)"},
      {NULL,
       "local s = ('['):rep(120) .. (']'):rep(120) local t = tw.totable(tw.decode(s)) return "
       "tw.encode(t) == s",
       "true"},
  };
  RUN_CASES(cases);
}

static void arrays_are_marked(void **state) {
  (void)state;
  const lua_case cases[] = {
      {NULL,
       "local a = tw.array {1} a[2] = 2 return tw.encode(a), #a, rawequal(tw.array(a), a)",
       "[1,2] 2 true"},
      {NULL, "tw.array(setmetatable({}, {}))",
       "error: bad argument #1 to 'array' (a table without a metatable expected)"},
      {NULL, "tw.array(1)", "error: bad argument #1 to 'array' (table expected, got number)"},
      {NULL, "local a = tw.array {} a.x = 1 return tw.encode(a)",
       "error: value: a table with both elements and the field \"x\" cannot be part of an "
       "event; make "
       "it a list or an object"},
  };
  RUN_CASES(cases);
}

static void drop_split_and_uuid7(void **state) {
  (void)state;
  const lua_case cases[] = {
      {NULL, "local ok, e = pcall(tw.drop) return ok, type(e), tostring(e)",
       "false userdata tidewire.drop() was called outside of a processor"},
      {NULL, "local _, a = pcall(tw.drop) local _, b = pcall(tw.drop) return rawequal(a, b)",
       "true"},
      {NULL, "local s = tw.split(event, {a = 1}) return #s, s[2].a, s[1] == event", "2 1 true"},
      {NULL, "return #tw.split()", "0"},
      {NULL, "tw.split({}, 7)",
       "error: bad argument #2 to 'split' (event or table expected, got number)"},
      {NULL, "return #tw.uuid7(), tw.uuid7() < tw.uuid7(), tw.uuid7():sub(15, 15)",
       "36 true 7"},
  };
  RUN_CASES(cases);
}

static void marks_are_known_from_c(void **state) {
  (void)state;
  lua_bed bed;
  bed_init(&bed, true, NULL);
  bed_run(&bed, "_, dropped = pcall(tw.drop) parts = tw.split() array = tw.array()");
  lua_getglobal(bed.L, "dropped");
  lua_getglobal(bed.L, "parts");
  lua_getglobal(bed.L, "array");
  assert_true(tw_lua_is_drop(bed.L, bed.lua, -3));
  assert_false(tw_lua_is_drop(bed.L, bed.lua, -2));
  assert_true(tw_lua_is_split(bed.L, bed.lua, -2));
  assert_false(tw_lua_is_split(bed.L, bed.lua, -1));
  assert_true(tw_lua_has_mark(bed.L, bed.lua, -1, TW_MARK_ARRAY));
  bed_fini(&bed);
}

static void paths_reach_values(void **state) {
  (void)state;
  static const char *event =
      "{\"data\":{\"items\":[{\"sku\":\"a\"},{\"sku\":\"b\"}],\"n\":null},\"x\":1.50}";
  const lua_case cases[] = {
      {event, "return tw.path 'data.items[1].sku':get(event), tw.path 'x':get(event)", "b 1.5"},
      {event, "return tw.path 'data.items':get(event), tw.path 'data.none.z':get(event)",
       "[{\"sku\":\"a\"},{\"sku\":\"b\"}] nil"},
      {event,
       "return tw.path 'items[0].sku':get(event.data), tw.path '[0].sku':get(event.data.items)",
       "a a"},
      {event, "return tw.path 'data.n':get(event) == tw.null", "true"},
      {event, "return tw.path 'data.items[*].sku':get(event)",
       "error: data.items[*].sku: a path with wildcards has no one value; use map"},
      {event, "return tw.path 'a..b'", NULL},
      {event, "return tostring(tw.path 'a.b')", "a.b"},
      {event, "return tw.path 'a':get(1)",
       "error: bad argument #1 to 'get' (event view expected, got number)"},
      {event, "return tw.path('a').get(1, event)", NULL},
      {event, "return tw.path 'new.deep.z':set(event, {1}), event.new",
       "1 {\"deep\":{\"z\":[1]}}"},
      {event, "local p = tw.path 'k.l' p:set(event.data, 'v') return event.data.k",
       "{\"l\":\"v\"}"},
      {event, "return tw.path 'data.items[2]':set(event, 'c'), event.data.items[3]", "1 c"},
      {event, "return tw.path 'data.items[*].sku':set(event, 'z'), event.data.items",
       "2 [{\"sku\":\"z\"},{\"sku\":\"z\"}]"},
      {event, "return tw.path 'data.items[*].sku':set(event, {1}), event.data.items",
       "2 [{\"sku\":[1]},{\"sku\":[1]}]"},
      {event, "return pcall(function() tw.path 'x.y':set(event, 1) end)", NULL},
      {event, "tw.path 'data.f':set(event, {print})",
       "error: data.f[1]: a function cannot be part of an event"},
      {event, "return tw.path 'data.n':set(event, nil), event.data.n", "1 nil"},
      {event, "return tw.path 'data.items[*]':remove(event), event.data.items", "2 []"},
      {event, "return tw.path 'nothing.here':remove(event), tw.path 'x':remove(event), event.x",
       "0 1 nil"},
      {event, "return tw.path '**.sku':remove(event), event.data.items", "2 [{},{}]"},
      {event, "return tw.path('data'):set(event.data.items[1], 1), event.data.items[1]",
       "1 {\"sku\":\"a\",\"data\":1}"},
  };
  RUN_CASES(cases);
}

static void map_replaces_what_a_pattern_matches(void **state) {
  (void)state;
  static const char *event =
      "{\"context\":{\"a\":{\"email\":\"x@y\"},\"b\":{\"email\":\"z@w\"},\"n\":1},\"l\":[1,2."
      "50,3]}";
  const lua_case cases[] = {
      {event,
       "return tw.path 'context.*.email':map(event, string.upper), event.context.a.email, "
       "event.context.b.email",
       "2 X@Y Z@W"},
      {event,
       "return tw.path 'l[*]':map(event, function(v) if v ~= 2.5 then return nil end return v "
       "end), event.l",
       "3 [2.50]"},
      {event, "return tw.path 'l[*]':map(event, function(v) return v * 2 end), event.l",
       "3 [2,5.0,6]"},
      {event, "return tw.path 'l[*]':map(event, function(v) return v end), event.l",
       "3 [1,2.50,3]"},
      {event, "return tw.path 'l[0]':map(event, function(v) return v + 0.0 end), event.l",
       "1 [1.0,2.50,3]"},
      {event,
       "return pcall(function() tw.path 'l[*]':map(event, function(v) error({}, 0) end) end)",
       NULL},
      {event, "tw.path 'l[*]':map(event, function(v) error('no', 0) end)", "error: no"},
      {event,
       "return tw.path 'context.*':map(event, function(v) if v ~= 1 then v.seen = true end "
       "return "
       "v end), event.context",
       "3 "
       "{\"a\":{\"email\":\"x@y\",\"seen\":true},\"b\":{\"email\":\"z@w\",\"seen\":true},\"n\":"
       "1}"},
      {event,
       "return tw.path 'context.*':map(event, function(v) event.context = nil return 5 end), "
       "event",
       NULL},
      {event,
       "return tw.path '**.email':map(event, function() return {email = 'again'} end), "
       "event.context.a.email.email",
       "2 again"},
      {event, "return tw.path 'l[*]':map(event, function(v) return print end)",
       "error: l[*]: a function cannot be part of an event"},
      {event, "return tw.path 'none.*':map(event, print)", "0"},
      {"{\"k\":\"a\",\"k\":\"b\"}", "return tw.path 'k':map(event, string.upper), event", NULL},
  };
  RUN_CASES(cases);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(encode_writes_exact_json),
      cmocka_unit_test(decode_gives_any_json_value),
      cmocka_unit_test(event_makes_one_that_lua_owns),
      cmocka_unit_test(totable_is_a_plain_deep_copy),
      cmocka_unit_test(arrays_are_marked),
      cmocka_unit_test(drop_split_and_uuid7),
      cmocka_unit_test(marks_are_known_from_c),
      cmocka_unit_test(paths_reach_values),
      cmocka_unit_test(map_replaces_what_a_pattern_matches),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
