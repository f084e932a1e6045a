#include "lua_case.h"

#define ENDED \
  "error: event view used after its event ended; keep tidewire.totable(view) instead"

static void fields_are_read_like_those_of_a_table(void **state) {
  (void)state;
  static const char *event =
      "{\"name\":\"play\",\"n\":1,\"f\":1.0,\"e\":1e2,\"t\":true,\"u\":false,\"z\":null,"
      "\"s\":\"a\\u00e9\\n\",\"o\":{\"p\":{\"q\":\"deep\"}},\"a\":[10,[20,30],\"x\"],"
      "\"big\":9223372036854775807,\"huge\":123456789012345678901234567890,\"\":\"empty\"}";
  const lua_case cases[] = {
      {event, "return event.name, event.n, event.f, event.e", "play 1 1.0 100.0"},
      {event, "return event.t, event.u, event.nothing", "true false nil"},
      {event, "return event.z == tw.null, event.z == cjson.null, not event.z",
       "true true false"},
      {event, "return event.s == 'a\\u{e9}\\n', event['']", "true empty"},
      {event, "return event.o.p.q, event.o.nothing, event.o.p.q.r", "deep nil nil"},
      {event, "return math.type(event.n), math.type(event.f), math.type(event.e)",
       "integer float float"},
      {event, "return event.big == math.maxinteger, event.huge", "true 1.2345678901235e+29"},
      {event, "return event.a[1], event.a[2][1], event.a[2][2], event.a[3]", "10 20 30 x"},
      {event, "return event.a[0], event.a[4], event.a[-1], event.a[1.0], event.a[1.5]",
       "nil nil nil 10 nil"},
      {event, "return event.a.x, event[1], event[true], event.o[1]", "nil nil nil nil"},
      {event, "return #event.a, #event.a[2], #event.o, #event", "3 2 0 0"},
      {event, "return event.a[math.maxinteger], event.a[2^53], event.a[1/0], event.a[0/0]",
       "nil nil nil nil"},
      {event, "return type(event), type(event.o)", "userdata userdata"},
      {"{\"a\":1,\"b\":2,\"a\":3}", "return event.a", "3"},
      {"{\"k\\u0065y\":7,\"s\":\"\\ud800\"}", "return event.key, #event.s", "7 3"},
  };
  RUN_CASES(cases);
}

static void writes_change_only_what_they_name(void **state) {
  (void)state;
  static const char *event =
      "{\"a\": 1.0, \"b\":{\"c\" : [1,2,3]}, \"n\":12345678901234567890123}";
  const lua_case cases[] = {
      {event, "return event",
       "{\"a\": 1.0, \"b\":{\"c\" : [1,2,3]}, \"n\":12345678901234567890123}"},
      {event, "event.a = 2 return event",
       "{\"a\": 2, \"b\":{\"c\" : [1,2,3]}, \"n\":12345678901234567890123}"},
      {event, "event.b.c[2] = 'x' return tw.encode(event.b)", "{\"c\" : [1,\"x\",3]}"},
      {event, "event.a = nil event.n = nil return event", "{\"b\":{\"c\" : [1,2,3]}}"},
      {event, "event.a = nil event.a = nil event.zz = nil return event.a", "nil"},
      {event, "event.a = tw.null return event.a == tw.null", "true"},
      {"{}", "event.i = 1 event.f = 1.0 event.t = true event.s = 'q\"\\n' return event",
       "{\"i\":1,\"f\":1.0,\"t\":true,\"s\":\"q\\\"\\n\"}"},
      {"{}", "event.x = {} event.y = tw.array {} event.z = {1,{2}} return event",
       "{\"x\":{},\"y\":[],\"z\":[1,[2]]}"},
      {"{}", "event.x = {a={b={c=1}}} event.x.a.b.d = 2 return event",
       "{\"x\":{\"a\":{\"b\":{\"c\":1,\"d\":2}}}}"},
      {"{}", "event.min = math.mininteger event.p = 0.1 event.q = -0.0 return event",
       "{\"min\":-9223372036854775808,\"p\":0.1,\"q\":-0.0}"},
      {"{\"a\":1,\"a\":2,\"b\":3}", "event.a = 4 return event", "{\"a\":4,\"b\":3}"},
      {"{\"a\":1,\"a\":2,\"b\":3}", "event.a = nil return event", "{\"b\":3}"},
      {"{\"k\\u0065y\":7}", "event.key = 8 return event.key, event", "8 {\"k\\u0065y\":8}"},
      {"{}", "event[''] = 1 event['a.b'] = 2 return event", "{\"\":1,\"a.b\":2}"},
  };
  RUN_CASES(cases);
}

static void arrays_grow_and_shrink_like_sequences(void **state) {
  (void)state;
  static const char *event = "{\"l\":[1,2,3],\"e\":[],\"o\":{},\"m\":{\"k\":1}}";
  const lua_case cases[] = {
      {event, "event.l[#event.l + 1] = 4 return event.l, #event.l", "[1,2,3,4] 4"},
      {event, "event.e[1] = 'x' event.e[2.0] = 'y' return event.e", "[\"x\",\"y\"]"},
      {event, "event.l[2] = nil return event.l, #event.l", "[1,3] 2"},
      {event, "event.l[9] = nil event.l[0] = nil event.l.x = nil return event.l", "[1,2,3]"},
      {event, "table.insert(event.o, 'x') return event.o, #event.o", "[\"x\"] 1"},
      {event,
       "event.new = {} table.insert(event.new, 5) table.insert(event.new, 6) return event.new",
       "[5,6]"},
      {event, "table.insert(event.l, 1, 0) return event.l", "[0,1,2,3]"},
      {event, "return table.remove(event.l), table.remove(event.l, 1), event.l", "3 1 [2]"},
      {event, "return table.concat(event.l, '-'), table.unpack(event.l)", "1-2-3 1 2 3"},
      {"{\"l\":[3,1,2]}", "table.sort(event.l) return event.l", "[1,2,3]"},
      {"{\"l\":[{\"n\":3},{\"n\":1},{\"n\":2}]}",
       "table.sort(event.l, function(a, b) return a.n < b.n end) return event.l",
       "[{\"n\":1},{\"n\":2},{\"n\":3}]"},
      {"{\"l\":[{\"n\":1},{\"n\":2}]}", "return table.remove(event.l, 1), event.l",
       "{\"n\":1} [{\"n\":2}]"},
      {event, "return table.move(event.l, 1, 2, 2)", "[1,1,2]"},
      {event, "local s = 0 for i, v in ipairs(event.l) do s = s + i * v end return s", "14"},
      {event, "event.l[5] = 1",
       "error: l[5]: an array has no holes; it has 3 elements, so append at [4]"},
      {event, "event.l[0] = 1",
       "error: l[0]: an array has no holes; it has 3 elements, so append at [4]"},
      {event, "event.o[2] = 1",
       "error: o[2]: an array has no holes; it has 0 elements, so append at [1]"},
      {event, "event.l.x = 1", "error: l: an array has no field \"x\"; write to [1] to [4]"},
      {event, "event.e.x = 1", "error: e: an array has no field \"x\"; write to [1] to [1]"},
      {event, "event.m[1] = 1",
       "error: m: an object's field needs a string as its name, not the number 1; use "
       "tostring(1), "
       "or assign a new array"},
      {event, "event[1] = 1",
       "error: event: an object's field needs a string as its name, not the number 1; use "
       "tostring(1), or assign a new array"},
      {event, "event.m[true] = 1",
       "error: m: a field's name must be a string or an index, not a boolean"},
      {event, "event.l[1.5] = 1",
       "error: l: an array has no field \"1.5\"; write to [1] to [4]"},
  };
  RUN_CASES(cases);
}

static void pairs_visits_members_in_order(void **state) {
  (void)state;
#define KEYS "local r = {} for k, v in pairs(event) do r[#r + 1] = k .. '=' .. tostring(v) end "
#define SHOW "return table.concat(r, ' ')"
  static const char *event = "{\"z\":1,\"a\":{\"b\":2},\"m\":[1],\"e\":\"x\"}";
  const lua_case cases[] = {
      {event, KEYS SHOW, "z=1 a={\"b\":2} m=[1] e=x"},
      {"{}", KEYS "return #r", "0"},
      {"{\"a\":1,\"b\":2,\"a\":3,\"\\u0062\":4,\"c\":5}", KEYS SHOW, "a=3 b=4 c=5"},
      {event, "event.z = 9 event.n = 1 event.a = nil " KEYS SHOW, "z=9 m=[1] e=x n=1"},
      {event,
       "local r = {} for k, v in pairs(event) do event[k] = nil r[#r + 1] = k end "
       "return table.concat(r, ' '), event",
       "z a m e {}"},
      {event, "local r = {} for k, v in pairs(event) do event.m = nil r[#r + 1] = k end " SHOW,
       "z a e"},
      {event, "for k in pairs(event) do event[k] = k end return event",
       "{\"z\":\"z\",\"a\":\"a\",\"m\":\"m\",\"e\":\"e\"}"},
      {event, "for k in pairs(event) do event[k .. k] = 1 end return event.zz, event.zzzz",
       "1 nil"},
      {event,
       "event.q = 1 local r = {} for k in pairs(event) do event[k] = nil event[k] = 1 "
       "r[#r + 1] = k end " SHOW,
       "z a m e q"},
      {"{\"l\":[\"a\",\"b\"]}",
       "local r = {} for i, v in pairs(event.l) do r[#r + 1] = i .. v end " SHOW, "1a 2b"},
      {"{\"l\":[1,2,3,4,5,6]}",
       "for i, v in pairs(event.l) do if v % 3 > 0 then event.l[i] = nil end end return "
       "event.l",
       "[3,6]"},
      {"{\"l\":[1,2,3]}", "for i, v in pairs(event.l) do event.l[i] = v * 2 end return event.l",
       "[2,4,6]"},
      {"{\"l\":[1,2,3]}",
       "local n = 0 for i in pairs(event.l) do n = n + 1 event.l[#event.l] = nil end return n, "
       "event.l",
       "2 [1]"},
      {"{\"l\":[1,2]}",
       "local n = 0 for i in pairs(event.l) do n = n + 1 if n < 9 then event.l[#event.l + 1] = "
       "n "
       "end end return n",
       "10"},
      {"{\"o\":{}}", "for _ in pairs(event.o) do error 'x' end return 'none'", "none"},
      {"{\"o\":{\"k\":1}}", "for k in pairs(event.o) do event.o = nil end return event", "{}"},
      {NULL,
       "for i = 1, 300 do event['k' .. i] = i end local s = '{' for i = 1, 300 do s = s .. "
       "('\"k%d\":%d,\"k%d\":%d,'):format(i, i, i % 7, -i) end "
       "local n, last = 0 for k, v in pairs(tw.decode(s .. '\"end\":1}')) do n = n + 1 last = "
       "k end "
       "return n, last",
       "302 end"},
      {NULL,
       "for i = 1, 300 do event['k' .. i] = i end local n = 0 for k, v in pairs(event) do n = "
       "n + v "
       "event[k] = nil end return n, event",
       "45150 {}"},
  };
  RUN_CASES(cases);
}

static void views_of_one_node_are_equal(void **state) {
  (void)state;
  const lua_case cases[] = {
      {"{\"a\":{},\"b\":{}}", "return event.a == event.a, event.a == event.b, event == event",
       "true false true"},
      {NULL,
       "local e = tw.event '{\"a\":{}}' return e.a == e.a, e == event, e ~= tw.event '{}'",
       "true false true"},
      {NULL, "return event == {}, event == tw.null, event == 1", "false false false"},
      {NULL, "return getmetatable(event)", "false"},
  };
  RUN_CASES(cases);
}

static void assigned_views_are_copies(void **state) {
  (void)state;
  static const char *event = "{\"data\":{\"n\":1},\"l\":[{\"x\":1}]}";
  const lua_case cases[] = {
      {event, "event.copy = event.data event.copy.n = 2 return event.data, event.copy",
       "{\"n\":1} {\"n\":2}"},
      {event, "event.data.self = event return event.data",
       "{\"n\":1,\"self\":{\"data\":{\"n\":1},\"l\":[{\"x\":1}]}}"},
      {event, "event.data = event.data return event.data", "{\"n\":1}"},
      {event, "event.data.t = {event.l, {event.l[1]}} return event.data.t",
       "[[{\"x\":1}],[{\"x\":1}]]"},
      {event, "local e = tw.event {a = 1} event.data.e = e e.a = 2 return event.data.e, e",
       "{\"a\":1} {\"a\":2}"},
      {event,
       "local old = event.data event.data = nil old.n = 5 event.saved = old return event",
       "{\"l\":[{\"x\":1}],\"saved\":{\"n\":5}}"},
      {event, "local d = event.data event.data = 7 return d.n, event.data", "1 7"},
      {event, "event.l[1].y = event.l return event.l", "[{\"x\":1,\"y\":[{\"x\":1}]}]"},
  };
  RUN_CASES(cases);
}

static void what_json_cannot_hold_is_an_error_with_its_path(void **state) {
  (void)state;
  static const char *event = "{\"data\":{\"user\":{\"tags\":[1,2]}}}";
  const lua_case cases[] = {
      {event, "event.data.user.callback = print",
       "error: data.user.callback: a function cannot be part of an event"},
      {event, "event.data.user = {callback = print}",
       "error: data.user.callback: a function cannot be part of an event"},
      {event, "event.data.user.tags[3] = {a = {1, {['b c'] = print}}}",
       "error: data.user.tags[3].a[2][\"b c\"]: a function cannot be part of an event"},
      {event, "event.x = coroutine.create(print)",
       "error: x: a thread cannot be part of an event"},
      {event, "event.x = io.stdout", "error: x: a userdata cannot be part of an event"},
      {event, "event.x = 0/0", "error: x: NaN cannot be part of an event"},
      {event, "event.x = {-1/0}", "error: x[1]: an infinite number cannot be part of an event"},
      {event, "event.x = 1/0", "error: x: an infinite number cannot be part of an event"},
      {event, "event.data.s = 'ab\\xff'",
       "error: data.s: a string that is not UTF-8 (byte 3) cannot be part of an event"},
      {event, "event.data.s = {k = '\\xc0\\x80'}",
       "error: data.s.k: a string that is not UTF-8 (byte 1) cannot be part of an event"},
      {event, "local t = {} t.t = {t} event.x = t",
       "error: x.t[1]: a table inside itself cannot be part of an event"},
      {event, "event.x = {1, 2, k = 3}",
       "error: x: a table with both elements and the field \"k\" cannot be part of an event; "
       "make it "
       "a list or an object"},
      {event, "event.x = {1, nil, 3}",
       "error: x: a list with holes cannot be part of an event; fill them with tidewire.null"},
      {event, "event.x = {[2] = 1}", NULL},
      {event, "event.x = {[true] = 1}",
       "error: x: a key that is a boolean cannot be part of an event"},
      {event, "event.x = {y = {[1.5] = 1}}",
       "error: x.y: a key that is a number cannot be part of an event"},
      {event, "event.x = setmetatable({}, {__index = {a = 1}})",
       "error: x: a table with the metamethod __index cannot be part of an event; copy its "
       "fields "
       "into a plain table"},
      {event, "event.x = setmetatable({a = 1}, {__tostring = print}) return event.x",
       "{\"a\":1}"},
      {event, "local a = tw.array {} a.k = 1 event.x = a", NULL},
      {event, "event['\\xff'] = 1", "error: event: the text is not UTF-8"},
      {event, "local t = {} for i = 1, 200 do t = {t} end event.x = t", NULL},
      {event, "event.x = ended()",
       "error: x: event view used after its event ended; keep tidewire.totable(view) instead"},
      {event, "event.x = {1, {y = ended()}}",
       "error: x[2].y: event view used after its event ended; keep tidewire.totable(view) "
       "instead"},
      {event, "table.insert(event.data.user.tags, print)",
       "error: data.user.tags[3]: a function cannot be part of an event"},
      {event, "pcall(function() event.x = {print} end) event.y = 1 return event",
       "{\"data\":{\"user\":{\"tags\":[1,2]}},\"y\":1}"},
  };
  RUN_CASES(cases);
}

static void depth_is_limited_however_it_is_built(void **state) {
  (void)state;
#define DEPTH "nest deeper than 128"
  const lua_case cases[] = {
      {NULL, "local t = 1 for i = 1, 127 do t = {t} end event.x = t return #tw.encode(event)",
       "261"},
      {NULL,
       "local t = 1 for i = 1, 128 do t = {t} end local ok, m = pcall(function() event.x = t "
       "end) "
       "return ok, m:match 'nested deeper than the limit'",
       "false nested deeper than the limit"},
      {NULL,
       "local v, n = event, 0 local ok, m = pcall(function() while true do v.x = {} v = v.x n "
       "= n + 1 "
       "end end) return n, m:match 'nested deeper' ~= nil, #m < 400",
       "127 true true"},
      {"{\"x\":{}}",
       "local v, n = event.x, 0 event.x = nil local ok, m = pcall(function() while n < 1000 do "
       "v.x = "
       "{} v = v.x n = n + 1 end end) return ok, n < 200",
       "false true"},
      {"{\"x\":{}}",
       "local v, n, keep = event.x, 0, event.x event.x = nil pcall(function() while n < 5000 "
       "do v.x = "
       "{{}} v = v.x[1] n = n + 1 end end) return n < 200, #tostring(keep) < 3000",
       "true true"},
      {"{\"x\":[]}",
       "local v, n = event.x, 0 local ok, m = pcall(function() while n < 1000 do v[1] = "
       "tw.array {} v "
       "= v[1] n = n + 1 end end) return ok, n, m:match '(nested.*)'",
       "false 126 nested deeper than the limit of the event allows"},
      {NULL, "for i = 1, 200 do event.x = {event.x} end",
       "error: x: nested deeper than the limit of the event allows"},
  };
  RUN_CASES(cases);
}

static void a_view_of_an_ended_event_raises(void **state) {
  (void)state;
  const lua_case cases[] = {
      {"{\"a\":{}}", "return ended().a", ENDED},
      {NULL, "ended().a = 1", ENDED},
      {NULL, "return #ended()", ENDED},
      {NULL, "return pairs(ended())", ENDED},
      {NULL, "return tostring(ended())", ENDED},
      {NULL, "return tw.totable(ended())", ENDED},
      {NULL, "return tw.event(ended())", ENDED},
      {NULL, "return tw.encode(ended())",
       "error: value: event view used after its event ended; keep tidewire.totable(view) "
       "instead"},
      {NULL, "return tw.encode {x = ended()}",
       "error: x: event view used after its event ended; keep tidewire.totable(view) instead"},
      {NULL, "return ended() == event, ended() == ended()", "false false"},
  };
  RUN_CASES(cases);
}

static void an_ended_iteration_and_a_nested_view_raise(void **state) {
  (void)state;
  for (int light = 0; light < 2; light++) {
    lua_bed bed;
    bed_init(&bed, light, "{\"a\":{\"b\":1},\"l\":[1,2]}");
    bed_run(&bed, "a = event.a step, s = pairs(event) astep, as = pairs(event.l) step(s)");
    tw_view_unbind(bed.lua, bed.serial);
    assert_string_equal(bed_run(&bed, "return a.b"), ENDED);
    assert_string_equal(bed_run(&bed, "return step(s)"), ENDED);
    assert_string_equal(bed_run(&bed, "return astep(as)"), ENDED);
    /* A later event in the same place of the table does not revive it. */
    for (int i = 0; i < 3 * TW_MAX_BOUND; i++) {
      uint64_t serial = tw_view_bind(bed.lua, &bed.event);
      assert_string_equal(bed_run(&bed, "return a.b"), ENDED);
      tw_view_unbind(bed.lua, serial);
    }
    bed_fini(&bed);
  }
}

static void serials_past_48_bits_go_on_as_full_views(void **state) {
  (void)state;
  lua_bed bed;
  bed_init(&bed, true, "{\"a\":{\"b\":1}}");
  bed_run(&bed, "first = event.a");
  bed.lua->serial = ((uint64_t)1 << 48) - 2;
  for (int i = 0; i < 2 * TW_MAX_BOUND; i++) {
    uint64_t serial = tw_view_bind(bed.lua, &bed.event);
    tw_view_push(bed.L, bed.lua, serial);
    assert_int_equal(lua_islightuserdata(bed.L, -1), serial < (uint64_t)1 << 48);
    lua_setglobal(bed.L, "late");
    assert_string_equal(bed_run(&bed, "return late.a.b, late.a == late.a, first.b"),
                        "1 true 1");
    tw_view_unbind(bed.lua, serial);
    assert_string_equal(bed_run(&bed, "return late.a"), ENDED);
  }
  bed_fini(&bed);
}

static void nodes_past_16_bits_are_full_views(void **state) {
  (void)state;
  const lua_case cases[] = {
      {NULL,
       "local t = {} for i = 1, 70000 do t[i] = i end event.t = t event.last = {a = {b = 1}} "
       "event.last.a.c = 2 local l = event.last return l.a.b, l.a, l == event.last, "
       "event.t[70000], "
       "#event.t",
       "1 {\"b\":1,\"c\":2} true 70000 70000"},
  };
  RUN_CASES(cases);
}

static void no_more_than_64_events_are_bound(void **state) {
  (void)state;
  lua_bed bed;
  uint64_t serials[TW_MAX_BOUND];
  bed_init(&bed, true, NULL);
  int count = 0;
  while ((serials[count] = tw_view_bind(bed.lua, &bed.event))) count++;
  assert_int_equal(count, TW_MAX_BOUND - 1);
  tw_view_unbind(bed.lua, serials[17]);
  serials[17] = tw_view_bind(bed.lua, &bed.event);
  assert_true(serials[17]);
  for (int i = 0; i < count; i++) tw_view_unbind(bed.lua, serials[i]);
  bed_fini(&bed);
}

static void reading_makes_no_garbage_in_a_state_of_ours(void **state) {
  (void)state;
  lua_bed bed;
  bed_init(&bed, true, "{\"a\":{\"b\":[{\"c\":1}]},\"s\":\"abc\"}");
  assert_string_equal(
      bed_run(&bed,
              "local f = function() local e = event return e.s, e.a.b[1].c, #e.a.b end local s "
              "= f() "
              "collectgarbage() collectgarbage 'stop' local before = collectgarbage 'count' "
              "for i = 1, 1000 do f() end return collectgarbage 'count' - before"),
      "0.0");
  bed_fini(&bed);
}

static void null_is_no_table(void **state) {
  (void)state;
  lua_bed bed;
  bed_init(&bed, true, "{\"z\":null}");
  assert_string_equal(
      bed_run(&bed, "return event.z.y"),
      "error: attempt to index null (field 'y'); compare with tidewire.null first");
  assert_string_equal(bed_run(&bed, "return cjson.null[1]"),
                      "error: attempt to index null; compare with tidewire.null first");
  assert_string_equal(
      bed_run(&bed, "event.z.y = 1"),
      "error: attempt to set a field of null (field 'y'); compare with tidewire.null first");
  assert_string_equal(
      bed_run(&bed, "return #event.z"),
      "error: attempt to get the length of null; compare with tidewire.null first");
  assert_string_equal(bed_run(&bed, "return pairs(event.z)"),
                      "error: attempt to iterate over null; compare with tidewire.null first");
  assert_string_equal(bed_run(&bed, "return tostring(tw.null), tw.null == cjson.null"),
                      "null true");
  assert_string_equal(
      bed_run(&bed, "return cjson.encode {tw.null}, cjson.decode '[null]'[1] == tw.null"),
      "[null] true");
  bed_fini(&bed);
}

static void the_events_id_is_read_at_the_root(void **state) {
  (void)state;
  const lua_case cases[] = {
      {"{\"id\":\"own\"}", "return event.id", "own"},
      {"{\"messageId\":\"m1\"}", "return event.id, tw.path('id'):get(event)", "m1 m1"},
      {"{\"a\":{}}", "return #event.id, event.id == event.id, event.a.id, event",
       "36 true nil {\"a\":{}}"},
      {NULL, "event.id = 'x' return event.id, event", "x {\"id\":\"x\"}"},
  };
  RUN_CASES(cases);
}

static void coroutines_share_the_views(void **state) {
  (void)state;
  const lua_case cases[] = {
      {"{\"a\":{\"b\":1}}",
       "local co = coroutine.wrap(function(e) e.a.b = 2 for k in pairs(e.a) do "
       "coroutine.yield(k) end "
       "return e.a end) return co(event), co(), event.a",
       "b {\"b\":2} {\"b\":2}"},
      {NULL, "local ok, m = pcall(coroutine.wrap(function() event.x = print end)) return m",
       "case:1: x: a function cannot be part of an event"},
  };
  RUN_CASES(cases);
}

static void owned_events_live_as_long_as_their_views(void **state) {
  (void)state;
  const lua_case cases[] = {
      {NULL,
       "local v = tw.decode('[1,{\"a\":{\"b\":5}}]')[2].a collectgarbage() collectgarbage() "
       "v.c = 6 "
       "return v",
       "{\"b\":5,\"c\":6}"},
      {NULL,
       "local step, s, k = pairs(tw.event {a = 1, b = 2}) collectgarbage() collectgarbage() k "
       "= step(s, "
       "k) collectgarbage() return #k, #step(s, k)",
       "1 1"},
      {NULL,
       "local t = {} for i = 1, 500 do t[i] = tw.event {n = i} end local s = 0 for i = 1, 500 "
       "do s = s "
       "+ t[i].n end return s",
       "125250"},
  };
  RUN_CASES(cases);
}

static void finalizers_at_the_end_of_the_state_find_no_events(void **state) {
  (void)state;
  for (int light = 0; light < 2; light++) {
    lua_bed bed;
    bed_init(&bed, light, "{\"a\":1}");
    bed_run(&bed,
            "local own = tw.event {x = {}} keep = setmetatable({}, {__gc = function() "
            "pcall(function() return own.x end) pcall(function() own.x.y = {1} end) "
            "pcall(function() return event.a end) pcall(tw.encode, {1}) pcall(tostring, own) "
            "pcall(tw.event, '{}') pcall(tw.path, 'a.b') end})");
    bed_fini(&bed);
  }
}

/* The same random edits on a view and on plain tables. Arrays close gaps, so the plain one
   uses table.remove there. */
static void random_edits_agree_with_plain_tables(void **state) {
  (void)state;
  static const char *script =
      "math.randomseed(SEED)\n"
      "local r = math.random\n"
      "local function value(depth)\n"
      "  local k = r(depth > 2 and 5 or 7)\n"
      "  if k == 1 then return r(-1000, 1000) elseif k == 2 then return r() * 100\n"
      "  elseif k == 3 then return ('v\\n\\u{e9}'):rep(r(0, 9)) elseif k == 4 then return r(2) "
      "== 1\n"
      "  elseif k == 5 then return tw.null elseif k == 6 then return {a = value(depth + 1), b "
      "= {}}\n"
      "  else local t = tw.array {} for i = 1, r(0, 4) do t[i] = value(depth + 1) end return t "
      "end\n"
      "end\n"
      "local function copy(v)\n"
      "  if type(v) ~= 'table' then return v end\n"
      "  local c = setmetatable({}, debug.getmetatable(v))\n"
      "  for k, x in pairs(v) do c[k] = copy(x) end\n"
      "  return c\n"
      "end\n"
      "local function same(v, t)\n"
      "  if type(t) ~= 'table' then return v == t and math.type(v) == math.type(t) end\n"
      "  local n = 0\n"
      "  for k, x in pairs(v) do n = n + 1 if not same(x, t[k]) then return false end end\n"
      "  for k in pairs(t) do n = n - 1 end\n"
      "  return n == 0 and #v == #t\n"
      "end\n"
      "local function mark(t) if #t > 0 then tw.array(t) end for _, x in pairs(t) do\n"
      "  if type(x) == 'table' then mark(x) end end return t end\n"
      "local plain = mark(tw.totable(event))\n"
      "local names = {'a', 'b', 'c d', '\\u{e9}', 'list', 'x'}\n"
      "local function pick(v, t)\n"
      "  for _ = 1, r(0, 3) do\n"
      "    local keys = {} for k, x in pairs(t) do if type(x) == 'table' then keys[#keys + 1] "
      "= k end end\n"
      "    if #keys == 0 then break end\n"
      "    table.sort(keys, function(a, b) return tostring(a) < tostring(b) end)\n"
      "    local k = keys[r(#keys)] v, t = v[k], t[k]\n"
      "  end\n"
      "  return v, t\n"
      "end\n"
      "for step = 1, 3000 do\n"
      "  local v, t = pick(event, plain)\n"
      "  local new = value(0)\n"
      "  if debug.getmetatable(t) or #t > 0 then\n"
      "    if r(3) == 1 and #t > 0 then local i = r(#t) v[i] = nil table.remove(t, i)\n"
      "    else local i = r(#t + 1) v[i] = new t[i] = copy(new) end\n"
      "  else\n"
      "    local k = names[r(#names)]\n"
      "    if r(4) == 1 then new = nil end\n"
      "    v[k] = new t[k] = copy(new)\n"
      "  end\n"
      "  if step % 100 == 0 then\n"
      "    if not same(event, plain) or not same(tw.decode(tostring(event)), plain) then\n"
      "      return 'differs at step ' .. step end\n"
      "    for i = 1, 4 do local k = names[r(#names)] event[k] = nil plain[k] = nil end\n"
      "  end\n"
      "end\n"
      "return 'same'\n";
  for (int seed = 1; seed <= 20; seed++) {
    lua_bed bed;
    bed_init(&bed, seed % 2,
             "{ \"a\": {\"b\" : [1, {\"x\":2.5}], \"list\":[]}, \"x\\u0079\": 1}");
    lua_pushinteger(bed.L, seed);
    lua_setglobal(bed.L, "SEED");
    assert_string_equal(bed_run(&bed, script), "same");
    bed_fini(&bed);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(fields_are_read_like_those_of_a_table),
      cmocka_unit_test(writes_change_only_what_they_name),
      cmocka_unit_test(arrays_grow_and_shrink_like_sequences),
      cmocka_unit_test(pairs_visits_members_in_order),
      cmocka_unit_test(views_of_one_node_are_equal),
      cmocka_unit_test(assigned_views_are_copies),
      cmocka_unit_test(what_json_cannot_hold_is_an_error_with_its_path),
      cmocka_unit_test(depth_is_limited_however_it_is_built),
      cmocka_unit_test(a_view_of_an_ended_event_raises),
      cmocka_unit_test(an_ended_iteration_and_a_nested_view_raise),
      cmocka_unit_test(serials_past_48_bits_go_on_as_full_views),
      cmocka_unit_test(nodes_past_16_bits_are_full_views),
      cmocka_unit_test(no_more_than_64_events_are_bound),
      cmocka_unit_test(reading_makes_no_garbage_in_a_state_of_ours),
      cmocka_unit_test(null_is_no_table),
      cmocka_unit_test(the_events_id_is_read_at_the_root),
      cmocka_unit_test(coroutines_share_the_views),
      cmocka_unit_test(owned_events_live_as_long_as_their_views),
      cmocka_unit_test(random_edits_agree_with_plain_tables),
      cmocka_unit_test(finalizers_at_the_end_of_the_state_find_no_events),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
