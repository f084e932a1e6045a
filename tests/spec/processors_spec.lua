-- What the case files cannot say: options, callable objects, chance and statistics.
local tw = require "tidewire"
local testing = require "tidewire.testing"
local processors = tw.processors

--- The message of an error that making a processor raises, without its position, and the line.
local function refusal(make, given)
  local ok, message = pcall(make, given)
  assert.is_false(ok, "nothing was raised")
  local line, text = message:match "^.-tests/spec/processors_spec%.lua:(%d+): (.*)$"
  return text or message, tonumber(line)
end

local mistakes = {
  { "redact", { paths = { "a" }, wiht = "mask" }, "redact: unknown option 'wiht'; did you mean 'with'?" },
  {
    "redact",
    { paths = { "a" }, zzzz = 1 },
    "redact: unknown option 'zzzz'; known are key, key_env, mask, name, on_error, paths, with",
  },
  { "redact", { "a" }, "redact: unknown option '1'; known are key, key_env, mask, name, on_error, paths, with" },
  { "redact", {}, "redact: option 'paths' is missing" },
  { "redact", { paths = {} }, "redact: option 'paths' must be a list of strings with at least one" },
  { "redact", { paths = "a" }, "redact: option 'paths' must be a list of strings with at least one" },
  { "redact", { paths = { "a", 7 } }, "redact: option 'paths' must hold only strings, but [2] is a number" },
  {
    "redact",
    { paths = { "a" }, with = "hsah" },
    'redact: option \'with\' must be "mask", "remove" or "hash", not "hsah"; did you mean "hash"?',
  },
  {
    "redact",
    { paths = { "a" }, with = "hash" },
    "redact: with = \"hash\" needs a secret 'key', or 'key_env' with the name of a variable that holds it",
  },
  { "redact", { paths = { "a" }, with = "hash", key = "" }, "redact: option 'key' must not be empty" },
  {
    "redact",
    { paths = { "a" }, with = "hash", key = "k", key_env = "K" },
    "redact: give either 'key' or 'key_env', not both",
  },
  {
    "redact",
    { paths = { "a" }, with = "hash", key_env = "TIDEWIRE_NO_SUCH_KEY" },
    "redact: the environment variable 'TIDEWIRE_NO_SUCH_KEY' of option 'key_env' is not set",
  },
  { "redact", { paths = { "a" }, key = "k" }, 'redact: a key is of use only with = "hash"' },
  {
    "redact",
    { paths = { "a" }, with = "remove", mask = "x" },
    "redact: option 'mask' is of use only with = \"mask\"",
  },
  {
    "redact",
    { paths = { "a" }, on_error = "pass" },
    'redact: on_error = "pass" would let the values through; use "drop" or "dead_letter"',
  },
  {
    "redact",
    { paths = { "a" }, on_error = "stop" },
    'redact: option \'on_error\' must be "pass", "drop" or "dead_letter"',
  },
  { "redact", { paths = { "a" }, name = 7 }, "redact: option 'name' must be a string, not a number" },
  { "redact", "a", "redact: options must be a table, not a string" },
  { "remove", {}, "remove: the paths must be a list of strings with at least one" },
  { "remove", { 7 }, "remove: the paths must hold only strings, but [1] is a number" },
  { "remove", { "a", on_eror = "drop" }, "remove: unknown option 'on_eror'; did you mean 'on_error'?" },
  { "set", {}, "set: needs a table with at least one field" },
  { "set", { [1] = "a" }, "set: a field must be named by a string, not by the number 1" },
  { "set", { ["a.*"] = 1 }, "set: path 'a.*': a wildcard is not allowed here, name one field" },
  { "rename", { a = 7 }, "rename: path 'a': the new path must be a string, not a number" },
  { "rename", { ["*"] = "b" }, "rename: path '*': a wildcard is not allowed here, name one field" },
  {
    "rename",
    { a = "b", b = "c" },
    "rename: 'b' is renamed and also a new name; use two renames, one after the other",
  },
  { "rename_event", { a = "" }, "rename_event: the new name of 'a' must be a string that is not empty" },
  { "sample", {}, "sample: option 'rate' is missing" },
  { "sample", { rate = "1" }, "sample: option 'rate' must be a number, not a string" },
  { "sample", { rate = 1.5 }, "sample: option 'rate' must be from 0 to 1, not 1.5" },
  { "sample", { rate = -1 }, "sample: option 'rate' must be from 0 to 1, not -1" },
  { "sample", { rate = 0 / 0 }, ("sample: option 'rate' must be from 0 to 1, not %s"):format(0 / 0) },
  { "sample", { rate = 1, by = "a.*" }, "sample: path 'a.*': a wildcard is not allowed here, name one field" },
  { "sample", { rate = 1, by = "a", seed = 1 }, "sample: 'seed' is of use only without 'by'" },
  { "sample", { rate = 1, seed = 1.5 }, "sample: option 'seed' must be an integer" },
  { "sample", { rate = 1, missing = "keep" }, "sample: 'missing' is of use only with 'by'" },
  { "sample", { rate = 1, by = "a", missing = "x" }, 'sample: option \'missing\' must be "keep" or "drop"' },
  { "decode_json", {}, "decode_json: the paths must be a list of strings with at least one" },
  { "decode_json", { "a", keep_invalid = 1 }, "decode_json: option 'keep_invalid' must be a boolean, not a number" },
  {
    "decode_json",
    { "a", keepinvalid = true },
    "decode_json: unknown option 'keepinvalid'; did you mean 'keep_invalid'?",
  },
  { "allowlist", {}, "allowlist: the names must be a list of strings with at least one" },
  { "regex_filter", {}, "regex_filter: give either 'allow' or 'deny'" },
  { "regex_filter", { allow = { "a" }, deny = { "b" } }, "regex_filter: give either 'allow' or 'deny'" },
  { "regex_filter", { alow = { "a" } }, "regex_filter: unknown option 'alow'; did you mean 'allow'?" },
}

describe("a mistake in the options of", function()
  for _, mistake in ipairs(mistakes) do
    local name, given, expected = table.unpack(mistake)
    it(("%s is raised as: %s"):format(name, expected), function()
      assert.are.equal(expected, (refusal(processors[name], given)))
    end)
  end

  it("any processor is raised at the line that made it", function()
    local line = debug.getinfo(1, "l").currentline + 2
    local _, at = refusal(function()
      local _ = processors.sample({ rate = 2 })
    end)
    assert.are.equal(line, at)
  end)

  it("remove names the bad path", function()
    assert.matches('^remove: path "a%[": ', (refusal(processors.remove, { "a[" })))
  end)

  it("set names what no event can hold", function()
    local message = refusal(processors.set, { a = { x = { print } } })
    assert.are.equal("set: path 'a': x[1]: a function cannot be part of an event", message)
  end)

  it("regex_filter names the bad pattern", function()
    local message = refusal(processors.regex_filter, { allow = { "(a" } })
    assert.matches('^regex_filter: option "allow": bad pattern "%(a"', message)
  end)

  it("chain and when names the argument", function()
    assert.matches("chain: needs at least one processor$", (refusal(processors.chain)))
    assert.matches("chain: argument 1 must be a processor, not a number$", (refusal(processors.chain, 7)))
    assert.matches("when: 'predicate' must be a function, not a number$", (refusal(processors.when, 7)))
    local ok, message = pcall(processors.when, print, {})
    assert.is_false(ok)
    assert.matches("when: 'processor' must be a processor, not a table$", message)
  end)
end)

describe("a processor", function()
  it("can be called with an event", function()
    local event = tw.event [[{"a":1,"b":2}]]
    assert.is_nil(processors.remove({ "a" })(event))
    assert.are.equal([[{"b":2}]], tostring(event))
  end)

  it("carries its name and what happens when it fails", function()
    local plain = processors.remove({ "a" })
    assert.are.same({ "remove", "pass" }, { plain.name, plain.on_error })
    local named = processors.remove({ "a", name = "no_a", on_error = "dead_letter" })
    assert.are.same({ "no_a", "dead_letter" }, { named.name, named.on_error })
    assert.are.equal("drop", processors.redact({ paths = { "a" } }).on_error)
  end)

  it("in a chain passes on the strictest on_error", function()
    local chain, redact, remove = processors.chain, processors.redact, processors.remove
    assert.are.equal("pass", chain(remove({ "a" }), print).on_error)
    assert.are.equal("drop", chain(remove({ "a" }), redact({ paths = { "a" } })).on_error)
    assert.are.equal("dead_letter", chain({ print, on_error = "dead_letter" }, redact({ paths = { "a" } })).on_error)
    assert.are.equal("drop", processors.when(print, redact({ paths = { "a" } })).on_error)
  end)
end)

describe("set", function()
  it("says which path it could not set, and why", function()
    local _, failures = testing.run(processors.set { ["a.b"] = 1 }, [[{"a":1}]])
    assert.matches("a%.b: ", failures[1])
  end)
end)

describe("redact", function()
  it("leaves none of equal keys, wherever they stand", function()
    local redact = processors.redact { paths = { "context.email" } }
    local cases = {
      [ [[{"context":{"email":"a@b","n":1,"email":"c@d"}}]] ] = [[{"context":{"n":1,"email":"***"}}]],
      [ [[{"context":{"email":"a@b"},"context":{"n":1}}]] ] = [[{"context":{"email":"***"},"context":{"n":1}}]],
      [ [[{"context":{"\u0065mail":"a@b"}}]] ] = [[{"context":{"\u0065mail":"***"}}]],
    }
    for given, expected in pairs(cases) do
      local event = tw.event(given)
      redact(event)
      assert.are.equal(expected, tostring(event))
    end
  end)

  it("takes its key from the environment", function()
    local home = os.getenv "HOME"
    if not home or home == "" then
      return
    end
    local redact = processors.redact({ paths = { "a" }, with = "hash", key_env = "HOME" })
    local out = testing.run(redact, [[{"a":"x"}]])
    assert.are.equal(tw.hmac_sha256(home, "x"), out[1].a)
  end)

  it("drops the event when it fails", function()
    local deep = ("["):rep(100) .. ("]"):rep(100)
    local broken = processors.chain(processors.redact({ paths = { "a" } }), function()
      error "late"
    end)
    local out, failures = testing.run(broken, [[{"a":]] .. deep .. "}")
    assert.are.same({ 0, 1 }, { #out, #failures })
  end)
end)

describe("elements of an array", function()
  local p = tw.processors
  local function after(processor, json)
    local event = tw.event(json)
    assert.is_nil(processor(event))
    return tostring(event)
  end
  local list = [[{"a":["s0","s1","x"],"b":[{"c":["s","y"]},"s"],"s":"z"}]]

  for _, order in ipairs { { "a[0]", "*[1]", "b[0].c[0]" }, { "*[1]", "b[0].c[0]", "a[0]" } } do
    it("are removed where they stood when the event came, in the order " .. table.concat(order, " "), function()
      local expected = [[{"a":["x"],"b":[{"c":["y"]}],"s":"z"}]]
      assert.are.equal(expected, after(p.remove(order), list))
      assert.are.equal(expected, after(p.redact { paths = order, with = "remove" }, list))
    end)
  end

  it("are renamed from where they stood when the event came", function()
    local rename = p.rename { ["a[0]"] = "first", ["a[1]"] = "second", ["a[10]"] = "none" }
    assert.are.equal([[{"a":["x"],"second":"s1","first":"s0"}]], after(rename, [[{"a":["s0","s1","x"]}]]))
  end)

  it("become events of their own in a chain, exactly", function()
    local chain = p.chain(function(event)
      return event.list
    end, p.allowlist { "a" }, function(event)
      event.seen = event.n ~= nil
    end)
    local given = [[{"list":[{"name":"a","n":123456789012345678901234567890},{"name":"b"},{"name":"a"}]}]]
    local out, failures = testing.run(chain, given)
    assert.are.same({}, failures)
    assert.are.equal([[{"name":"a","n":123456789012345678901234567890,"seen":true}]], tostring(out[1]))
    assert.are.equal([[{"name":"a","seen":false}]], tostring(out[2]))
    assert.are.equal(2, #out)
  end)
end)

describe("a redactor that fails", function()
  local p = tw.processors
  local digest = tw.hmac_sha256

  before_each(function()
    tw.hmac_sha256 = function()
      error "no digest"
    end
  end)
  after_each(function()
    tw.hmac_sha256 = digest
  end)

  local redact = p.redact { paths = { "a" }, with = "hash", key = "k" }
  local function always()
    return true
  end
  local wrapped = {
    ["with a name of its own"] = { redact, name = "mine" },
    ["in a when"] = p.when(always, { redact, name = "mine" }),
    ["in a chain"] = p.chain { redact, name = "mine" },
    ["in a chain with a name"] = { p.chain(redact), name = "mine" },
  }
  for how, processor in pairs(wrapped) do
    it("drops the event also " .. how, function()
      local out, failures = testing.run(processor, [[{"a":"secret"}]])
      assert.are.same({}, out)
      assert.matches("no digest", failures[1])
    end)
  end

  it("cannot be made to pass the event on", function()
    local ok, message = pcall(tw.router, { processors = { { redact, on_error = "pass" } } })
    assert.is_false(ok)
    assert.matches('on_error = "pass" would undo the "drop" of the processor in it', message)
  end)
end)

describe("hmac_sha256", function()
  -- RFC 4231, test cases 1 and 2
  it("gives the digests of RFC 4231", function()
    assert.are.equal(
      "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7",
      tw.hmac_sha256(("\x0b"):rep(20), "Hi There")
    )
    assert.are.equal(
      "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
      tw.hmac_sha256("Jefe", "what do ya want for nothing?")
    )
  end)

  it("refuses anything but strings, naming the argument", function()
    local line = debug.getinfo(1, "l").currentline + 2
    local message, at = refusal(function()
      local _ = tw.hmac_sha256(7, "x")
    end)
    assert.are.same({ "hmac_sha256: 'key' must be a string, not number", line }, { message, at })
    assert.matches("'text' must be a string, not no value$", (refusal(tw.hmac_sha256, "k")))
    assert.matches("'text' must be a string, not nil$", (refusal(tw.xxh3, nil)))
  end)
end)

describe("xxh3", function()
  it("gives the published hash of the empty text", function()
    assert.are.equal(0x2d06800538d394c2, tw.xxh3 "")
  end)

  it("takes bytes as they are", function()
    assert.are_not.equal(tw.xxh3 "a\0b", tw.xxh3 "a\0c")
  end)
end)

--- How many of `count` events a sampler keeps, and which.
local function kept(sampler, count, event_of)
  local keys, total = {}, 0
  for i = 1, count do
    if sampler(event_of(i)) ~= false then
      keys[i] = true
      total = total + 1
    end
  end
  return total, keys
end

local function user_event(i)
  return tw.event({ user = "user-" .. i })
end

describe("sample", function()
  it("keeps about its rate by chance", function()
    local event = tw.event({})
    local total = kept(processors.sample({ rate = 0.1, seed = 42 }), 100000, function()
      return event
    end)
    assert.is_true(total > 9600 and total < 10400, total)
  end)

  it("repeats its choice with the same seed and differs with another", function()
    local event = tw.event({})
    local function choice(seed)
      local _, keys = kept(processors.sample({ rate = 0.5, seed = seed }), 64, function()
        return event
      end)
      return keys
    end
    assert.are.same(choice(1), choice(1))
    assert.are_not.same(choice(1), choice(2))
    assert.are_not.same(choice(), choice())
  end)

  it("keeps about its rate of many keys", function()
    local total = kept(processors.sample({ rate = 0.25, by = "user" }), 20000, user_event)
    assert.is_true(total > 4700 and total < 5300, total)
  end)

  it("keeps at a higher rate what it keeps at a lower one", function()
    local _, few = kept(processors.sample({ rate = 0.2, by = "user" }), 2000, user_event)
    local _, many = kept(processors.sample({ rate = 0.8, by = "user" }), 2000, user_event)
    for i in pairs(few) do
      assert.is_true(many[i])
    end
  end)

  it("decides alike for the same key in every sampler", function()
    local _, one = kept(processors.sample({ rate = 0.5, by = "user" }), 500, user_event)
    local _, other = kept(processors.sample({ rate = 0.5, by = "user" }), 500, user_event)
    assert.are.same(one, other)
  end)
end)

describe("a path", function()
  local path = tw.path "a"

  it("gives a value's exact text and kind", function()
    local cases = {
      { [["x\u00e9"]], "xé", "string" },
      { "123456789012345678901234567890", "123456789012345678901234567890", "number" },
      { "1.50", "1.50", "number" },
      { "true", "true", "boolean" },
      { "null", "null", "null" },
      { "[1, 2]", "[1, 2]", "array" },
      { "{}", "{}", "object" },
    }
    for _, case in ipairs(cases) do
      assert.are.same({ case[2], case[3] }, { path:text(tw.event([[{"a":]] .. case[1] .. "}")) })
    end
    assert.is_nil(path:text(tw.event({})))
  end)

  it("gives the text of an edited container", function()
    local event = tw.event [[{"a":{"b":1.0}}]]
    event.a.c = { 2 }
    assert.are.same({ [[{"b":1.0,"c":[2]}]], "object" }, { path:text(event) })
  end)

  it("rewrites what a function returns and counts it", function()
    local event = tw.event [[{"a":1,"b":"x","c":[2],"d":null}]]
    local seen = {}
    local changed = tw.path("*"):rewrite(event, function(text, kind)
      seen[#seen + 1] = kind .. ":" .. text
      return ({ number = "1.00", string = false })[kind]
    end)
    assert.are.equal(2, changed)
    assert.are.same({ "number:1", "string:x", "array:[2]", "null:null" }, seen)
    assert.are.equal([[{"a":1.00,"c":[2],"d":null}]], tostring(event))
  end)

  it("refuses to rewrite with what is no JSON", function()
    local event = tw.event [[{"a":1}]]
    local function rewrite_with(value)
      return function()
        path:rewrite(event, function()
          return value
        end)
      end
    end
    assert.has_error(rewrite_with "{")
    assert.has_error(rewrite_with(7))
    assert.has_error(rewrite_with(true))
    assert.has_error(function()
      path:rewrite(event)
    end)
    assert.are.equal([[{"a":1}]], tostring(event))
  end)

  it("passes on the error of the function", function()
    local mark = {}
    local ok, problem = pcall(path.rewrite, path, tw.event [[{"a":1}]], function()
      error(mark)
    end)
    assert.are.same({ false, mark }, { ok, problem })
  end)

  it("moves a value and says whether there was one", function()
    local event = tw.event [[{"a":1.0}]]
    assert.is_true(path:move(event, tw.path "b.c"))
    assert.is_false(path:move(event, tw.path "b.c"))
    assert.are.equal([[{"b":{"c":1.0}}]], tostring(event))
  end)

  it("says why it cannot move and leaves the event as it was", function()
    local event = tw.event [[{"a":1,"b":2}]]
    local moved, message, code = path:move(event, tw.path "b.c")
    assert.is_nil(moved)
    assert.is_string(message)
    assert.are.equal("type", code)
    assert.are.equal([[{"a":1,"b":2}]], tostring(event))
  end)

  it("decodes and counts what it could and could not", function()
    local event = tw.event [==[{"a":"[1.0]","b":"{","c":7}]==]
    local decoded, invalid, message = tw.path("*"):decode(event)
    assert.are.same({ 1, 1, "string" }, { decoded, invalid, type(message) })
    assert.are.equal([==[{"a":[1.0],"b":"{","c":7}]==], tostring(event))
  end)

  it("starts at the view that it is given", function()
    local event = tw.event [[{"a":{"a":1.0,"b":"[2]"}}]]
    assert.are.same({ "1.0", "number" }, { path:text(event.a) })
    assert.are.equal(1, tw.path("b"):decode(event.a))
    assert.is_true(path:move(event.a, tw.path "c.d"))
    assert.are.equal([[{"a":{"b":[2],"c":{"d":1.0}}}]], tostring(event))
  end)

  it("refuses to map with what cannot be called, and to set nothing at all", function()
    local event = tw.event [[{"a":1}]]
    local place = tw.path "a"
    for _, wrong in ipairs { { 7, "number" }, { tw.null, "userdata" }, { nil, "nil" } } do
      local ok, message = pcall(place.map, place, event, wrong[1])
      assert.is_false(ok)
      assert.matches("path:map: 'f' must be a function, not a " .. (wrong[2] or "nil"), message)
    end
    local ok, message = pcall(place.set, place, event)
    assert.is_false(ok)
    assert.matches("path:set: 'value' is missing", message)
    local double = setmetatable({}, {
      __call = function(_, value)
        return 2 * value
      end,
    })
    assert.are.equal(1, place:map(event, double))
    assert.are.equal(2, event.a)
  end)

  it("refuses what is no view, and wildcards where one place is meant", function()
    local event = tw.event [[{"a":1}]]
    local any = tw.path "*"
    for _, call in ipairs({
      { path.text, path, {} },
      { path.text, any, event },
      { path.move, any, event, path },
      { path.move, path, event, any },
      { path.move, path, event, "b" },
      { path.decode, path, nil },
      { path.rewrite, event, event, print },
    }) do
      assert.is_false(pcall(table.unpack(call)))
    end
  end)

  it("does not decode deeper than an event may be", function()
    local deep = ("["):rep(127) .. ("]"):rep(127)
    local event = tw.event({ a = deep, b = { c = { deep } } })
    assert.are.equal(1, (path:decode(event)))
    assert.are.equal(0, (tw.path("b.c[0]"):decode(event)))
    assert(tw.event(tostring(event)))
  end)
end)
