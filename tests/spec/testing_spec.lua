-- The test helpers themselves: what they find, and how they say it.
local tw = require "tidewire"
local testing = require "tidewire.testing"

describe("diff", function()
  local cases = {
    { "equal events do not differ", { a = 1 }, [[{"a":1}]], nil },
    { "the order of keys is no difference", [[{"a":1,"b":2}]], [[{"b":2,"a":1}]], nil },
    { "another value is told", { a = 1 }, [[{"a":2}]], "a: expected 1, got 2" },
    { "a missing value is told", { a = "x" }, "{}", 'a: expected "x", got nothing\nthe event: not expected, got {}' },
    { "a value too many is told", [[{"a":1}]], [[{"a":1,"b":null}]], "b: not expected, got null" },
    { "the place is told as a path", [[{"a":[{"b c":1}]}]], [[{"a":[{"b c":2}]}]], 'a[0]["b c"]: expected 1, got 2' },
    { "every place is told", [[{"a":1,"b":1}]], [[{"a":2,"b":2}]], "a: expected 1, got 2\nb: expected 1, got 2" },
    { "empty containers differ", [[{"a":[]}]], [[{"a":{}}]], "a: expected [], got {}" },
    { "a string is no number", { a = "1" }, [[{"a":1}]], 'a: expected "1", got 1' },
    { "a float is no integer", { a = 1 }, [[{"a":1.0}]], "a: expected 1, got 1.0" },
    { "a table wants a number's value", { a = 12.5 }, [[{"a":12.50}]], nil },
    { "a text wants a number's text", [[{"a":12.5}]], [[{"a":12.50}]], "a: expected 12.5, got 12.50" },
    {
      "thirty digits are compared exactly",
      [[{"a":123456789012345678901234567890}]],
      [[{"a":123456789012345678901234567891}]],
      "a: expected 123456789012345678901234567890, got 123456789012345678901234567891",
    },
    { "escapes are no difference", [[{"a":"\u00e9"}]], [[{"a":"é"}]], nil },
    { "null is no absence", { a = tw.null }, [[{"a":null}]], nil },
  }
  for _, case in ipairs(cases) do
    it(case[1], function()
      assert.are.equal(case[4], testing.diff(case[2], case[3]))
    end)
  end
end)

describe("run", function()
  it("gives what comes out of a processor, as views", function()
    local out = testing.run(function(event)
      return { event, { name = "more" } }
    end, { name = "a" })
    assert.are.same({ 2, "a", "more" }, { #out, out[1].name, out[2].name })
  end)

  it("takes a list of events and gives none for a dropped one", function()
    local out = testing.run(function(event)
      return event.n ~= 1 and event
    end, { [[{"n":1}]], { n = 2 } })
    assert.are.same({ 1, 2 }, { #out, out[1].n })
  end)

  it("gives the messages of failures", function()
    local out, failures = testing.run(function()
      error "broken"
    end, { n = 1 })
    assert.are.same({ 1, 1 }, { #out, #failures })
    assert.matches("broken", failures[1])
  end)

  it("gives what each memory backend and recorder of a router has, by path", function()
    local router = tw.router({
      route = function(event)
        return event.n == 1 and "one" or nil
      end,
      backends = {
        one = tw.router({ backends = { memory = tw.backends.memory({}), nothing = tw.backends.null({}) } }),
        two = testing.recorder(),
      },
    })
    local out = testing.run(router, { { n = 1 }, { n = 2 } })
    assert.are.same({ 1, 0 }, { #out["one/memory"], #out.two })
    assert.are.equal(1, out["one/memory"][1].n)
    assert.is_nil(out["one/nothing"])
    router:close()
  end)

  it("refuses what is no event", function()
    assert.has_error(function()
      testing.run(print, "[1]")
    end)
  end)
end)

describe("cases", function()
  local function outcome(case, processor)
    local tests = testing.cases({ processor = processor, cases = { case } })
    local ok, message = pcall(tests[1].run)
    return ok or message
  end

  local function mark(event)
    event.marked = true
  end

  it("pass when the events are as expected", function()
    assert.is_true(outcome({ "marks", given = "{}", expect = { marked = true } }, mark))
  end)

  it("tell the sentence and the difference", function()
    assert.are.equal(
      "marks: marked: expected false, got true",
      outcome({ "marks", given = "{}", expect = { marked = false } }, mark)
    )
  end)

  it("tell another number of events, and which", function()
    assert.are.equal(
      'drops: expected 0 events, got 1\n{"marked":true}',
      outcome({ "drops", given = "{}", expect = {} }, mark)
    )
  end)

  it("tell which of several events differs", function()
    local case = { "marks", given = { "{}", "{}" }, expect = { { marked = true }, { marked = 1 } } }
    assert.are.equal("marks: event 2:\nmarked: expected 1, got true", outcome(case, mark))
  end)

  it("fail when a processor fails unexpectedly", function()
    local message = outcome({ "works", given = "{}", expect = "{}" }, function()
      error "broken"
    end)
    assert.matches("^works: failed: .*broken", message)
  end)

  it("fail when a failure is expected and none happens", function()
    local case = { "breaks", given = "{}", expect = { marked = true }, fails = "broken" }
    assert.are.equal("breaks: expected to fail with 'broken', got no failure", outcome(case, mark))
  end)

  it("are refused when they are incomplete, naming what is missing", function()
    local broken = {
      { { given = 1 }, "has no sentence" },
      { { "x", given = "{}" }, "'x' needs 'given' and 'expect'" },
      { { "x", given = "{}", expect = "{}" }, "'x' has no processor" },
    }
    for _, case in ipairs(broken) do
      assert.has_error(function()
        testing.cases({ cases = { case[1] } })
      end)
      local _, message = pcall(testing.cases, { cases = { case[1] } })
      assert.matches(case[2], message, 1, true)
    end
  end)
end)

describe("diff", function()
  it("sees no difference in the white space of what is empty", function()
    assert.is_nil(testing.diff('{"a":[ ],"b":{ }}', '{"a":[],"b":{}}'))
    assert.are.equal("a: expected [], got {}", testing.diff('{"a":[ ]}', '{"a":{}}'))
  end)
end)
