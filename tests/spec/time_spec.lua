-- Timers, state and shared stores in a Lua program, under a clock that the test turns.
local tw = require "tidewire"
local testing = require "tidewire.testing"

local function nothing() end

describe("the time", function()
  it("is read and written as events have it", function()
    assert.are.equal(1795496400.5, tw.parse_time "2026-11-24T06:00:00.5+01:00")
    assert.are.equal("2026-11-24T05:00:00.500000Z", tw.format_time(1795496400.5))
    assert.is_nil(tw.parse_time "today")
    assert.is_nil(tw.parse_time(tw.event "{}"))
    assert.is_true(math.abs(tw.now() - os.time()) < 5)
  end)

  it("stands still in a test until it is told to pass", function()
    local clock <close> = testing.clock "2026-11-24T05:00:00Z"
    assert.are.equal(1795496400, tw.now())
    clock:advance(1.5)
    assert.are.equal("2026-11-24T05:00:01.500000Z", tw.format_time())
  end)
end)

describe("a timer", function()
  it("runs at its time, in the order of times", function()
    local clock <close> = testing.clock(0)
    local log = {}
    local every = tw.every(2, function()
      log[#log + 1] = "every " .. tw.now()
    end)
    tw.after(3, function()
      log[#log + 1] = "after " .. tw.now()
    end)
    clock:advance(4)
    every:cancel()
    clock:advance(100)
    assert.are.same({ "every 2.0", "after 3.0", "every 4.0" }, log)
  end)

  it("can cancel itself and others", function()
    local clock <close> = testing.clock()
    local runs, first, second = 0, nil, nil
    first = tw.every(1, function()
      runs = runs + 1
      first:cancel()
      second:cancel()
    end)
    second = tw.every(1, function()
      runs = runs + 10
    end)
    clock:advance(5)
    assert.are.equal(1, runs)
  end)

  it("leaves no memory behind when it is cancelled", function()
    local clock <close> = testing.clock()
    local timers = {}
    for i = 1, 1000 do
      timers[i] = tw.after(i * 7919 % 1000 + 1, nothing)
    end
    local order = {}
    for i = 1, 1000, 2 do
      timers[i]:cancel()
      timers[i]:cancel()
    end
    for i = 2, 1000, 2 do
      timers[i]:cancel()
      tw.after(i * 7919 % 1000 + 1, function()
        order[#order + 1] = tw.now()
      end)
    end
    assert.are.equal(500, require("tidewire.timers").size())
    clock:advance(1001)
    assert.are.equal(500, #order)
    for i = 2, #order do
      assert.is_true(order[i - 1] <= order[i])
    end
    assert.are.equal(0, require("tidewire.timers").size())
  end)

  it("runs in a program when something is sent, or ticks", function()
    local _ <close> = testing.clock()
    local out, failures = testing.recorder(), {}
    local router = tw.router {
      backends = { out = out },
      on_failure = function(failure)
        failures[#failures + 1] = failure
      end,
    }
    local runs = 0
    local timer = tw.every(1, function()
      runs = runs + 1
      if runs > 1 then
        error "broken"
      end
    end)
    local real = require "tidewire.core"
    real.turn(1767225601 * 1000000, true)
    router:send { n = 1 }
    assert.are.equal(1, runs)
    real.turn(1767225602 * 1000000, true)
    router:tick()
    router:tick()
    assert.are.equal(2, runs)
    assert.are.equal("timer", failures[1].where)
    assert.is_truthy(failures[1].message:find("broken", 1, true))
    timer:cancel()
    router:close()
  end)

  it("is checked when it is made", function()
    assert.has_error(function()
      tw.every(-1, nothing)
    end, "every: 'seconds' must be a number from 0 to 1e9, not -1")
    for _, bad in ipairs { { "1", nothing }, { 0 / 0, nothing }, { 1 }, { 1, {} } } do
      assert.has_error(function()
        tw.after(table.unpack(bad, 1, 2))
      end)
    end
    local timer = tw.every(1, nothing, "only one")
    assert.has_error(function()
      tw.every(1, nothing, "only one")
    end)
    timer:cancel()
    tw.every(1, nothing, "only one"):cancel()
  end)
end)

describe("a state", function()
  it("is declared once, with a table", function()
    local value = tw.state("spec.once", {
      init = function()
        return { n = 1 }
      end,
    })
    assert.are.same({ n = 1 }, value)
    for _, bad in ipairs { { "spec.once" }, { "" }, { 1 }, { "tidewire.x" }, { "spec.a", { verion = 1 } } } do
      assert.has_error(function()
        tw.state(table.unpack(bad, 1, 2))
      end)
    end
    assert.has_error(function()
      tw.state("spec.b", { version = "1" })
    end)
    assert.has_error(function()
      tw.state("spec.c", { init = nothing })
    end)
  end)
end)

describe("a state that is a list", function()
  it("is taken over also when it is empty", function()
    local state = require "tidewire.state"
    local list = tw.state("spec.list", {
      init = function()
        return tw.array { 1 }
      end,
    })
    local text = state.export()
    list[1] = nil
    local empty = state.export()
    assert.is_truthy(empty:find('"spec.list":{"version":1,"value":[]}', 1, true), empty)
    state.import(text)
    assert.are.equal(1, #list)
    state.import(empty)
    assert.are.equal(empty, state.export())
  end)

  it("must have a name that can be written", function()
    assert.has_error(function()
      tw.state "spec.\xff"
    end)
  end)
end)

describe("a shared store", function()
  it("lets values live also before 1970", function()
    local clock <close> = testing.clock "1969-12-31T00:00:00Z"
    local store = tw.shared "spec.old"
    store:set("a", 1, 10)
    assert.are.equal(10.0, store:ttl "a")
    clock:advance(10)
    assert.is_nil(store:get "a")
  end)

  it("keeps exact values for as long as they are to live", function()
    local clock <close> = testing.clock()
    local store = tw.shared "spec"
    assert.is_true(store:set("big", math.maxinteger))
    store:set("float", 1.0)
    store:set("bytes", "a\0\xff", 10)
    assert.are.equal(math.maxinteger, store:get "big")
    assert.are.equal("float", math.type(store:get "float"))
    assert.are.equal("a\0\xff", store:get "bytes")
    assert.are.equal(10.0, store:ttl "bytes")
    assert.are.equal(math.huge, store:ttl "big")
    clock:advance(10)
    assert.is_nil(store:get "bytes")
    assert.is_nil(store:ttl "bytes")
    assert.are.equal(store, tw.shared "spec")
    store:set("big", nil)
    assert.are.equal(1, store:count())
    assert.is_true(store:delete "float")
  end)

  it("counts, and says what it cannot", function()
    local store = tw.shared("spec.count", { max_entries = 2 })
    assert.are.equal(1, store:incr "a")
    assert.are.equal(3, store:incr("a", 2))
    assert.are.equal(3.5, store:incr("a", 0.5))
    store:set("b", true)
    assert.are.same({ n = 3, nil, "the value is no number", "type" }, table.pack(store:incr "b"))
    local ok, message, code = store:set("c", 1)
    assert.is_nil(ok)
    assert.is_truthy(message:find("full: 2 of 2 entries", 1, true))
    assert.are.equal("limit", code)
  end)

  it("takes no other values", function()
    local store = tw.shared "spec.types"
    for _, bad in ipairs { { "k", {} }, { "k", print }, { 1, 1 }, { "k", 1, 0 }, { "k", 1, -1 }, { "k", 1, "x" } } do
      assert.has_error(function()
        store:set(table.unpack(bad, 1, 3))
      end)
    end
    assert.has_error(function()
      tw.shared ""
    end)
    assert.has_error(function()
      tw.shared("spec.bounds", { max_entries = 0 })
    end)
  end)
end)

describe("the processors on a clock", function()
  local p = tw.processors

  it("name the option that is nearest to a mistake", function()
    for name, given in pairs {
      throttle = { rte = 1 },
      dedup = { witin = 1 },
      batch = { event = 1 },
      window = { evry = 1 },
      sessionize = { gab = 1 },
    } do
      local ok, message = pcall(p[name], given)
      assert.is_false(ok)
      assert.is_truthy(message:find(name .. ": unknown option '" .. next(given) .. "'; did you mean", 1, true), message)
    end
  end)

  it("refuse what makes no sense", function()
    for _, bad in ipairs {
      { "throttle", {} },
      { "throttle", { rate = 0 } },
      { "throttle", { rate = 1, burst = 0.5 } },
      { "throttle", { rate = 1, by = "a.*" } },
      { "throttle", { rate = 1, per = 1e8, burst = 100 } },
      { "batch", { seconds = 2e9 } },
      { "window", { every = 1, compute = { from = { "min", "v" } } } },
      { "dedup", { within = -1 } },
      { "dedup", { max = 0 } },
      { "batch", { events = 1.5 } },
      { "batch", { bytes = 1 << 30 } },
      { "window", {} },
      { "window", { every = 0 } },
      { "window", { every = 1, lateness = -1 } },
      { "window", { every = 1, compute = { sum = true } } },
      { "window", { every = 1, compute = { median = "v" } } },
      { "window", { every = 1, compute = { "count" } } },
      { "window", { every = 1, at = "a[" } },
      { "sessionize", {} },
      { "sessionize", { by = "a", gap = 0 } },
    } do
      local ok, message = pcall(p[bad[1]], bad[2])
      assert.is_false(ok, bad[1])
      assert.is_truthy(message:find("time_spec.lua:%d+: " .. bad[1] .. ": ") or message:find("^" .. bad[1]), message)
    end
  end)

  --- A router with a processor, and what it failed at.
  local function watched(processor)
    local recorder, failures = testing.recorder(), {}
    local router = tw.router {
      processors = { processor },
      backends = { out = recorder },
      on_failure = function(failure)
        failures[#failures + 1] = failure.message
      end,
    }
    return router, recorder.events, failures
  end

  it("count an event again after one of the far future and a rest", function()
    local clock <close> = testing.clock "2026-01-01T00:00:00Z"
    local router, events = watched(p.window { every = 10, keep = false })
    router:send { timestamp = "2026-01-01T00:00:00Z" }
    router:send { timestamp = "2099-01-01T00:00:00Z" }
    clock:advance(15, router)
    assert.are.equal(2, #events)
    router:send { timestamp = "2026-01-01T00:00:15Z" }
    router:close()
    assert.are.equal(3, #events)
    assert.is_truthy(events[3]:find('"name":"window",', 1, true), events[3])
  end)

  it("tell null for a result beyond all numbers, and the other windows' results", function()
    local clock <close> = testing.clock()
    local compute = { sum = "v", avg = "v", max = "v" }
    local router, events, failures = watched(p.window { every = 10, by = "k", compute = compute, keep = false })
    router:send(tw.event [[{"timestamp":0,"k":"a","v":1e999}]])
    router:send { timestamp = 0, k = "b", v = 1 }
    router:close()
    clock:advance(0)
    assert.are.same({}, failures)
    assert.is_truthy(events[1]:find('"avg":null,"max":null,"sum":null', 1, true), events[1])
    assert.is_truthy(events[2]:find('"avg":1.0,"max":1,"sum":1', 1, true), events[2])
  end)

  it("emit what can be emitted when one of their events is too large", function()
    local clock <close> = testing.clock()
    local compute = { [("n"):rep((1 << 20) - 300)] = { "count" } } -- leaves room for a short key
    local router, events, failures = watched(p.window { every = 10, by = "k", compute = compute, keep = false })
    router:send { timestamp = 0, k = ("a"):rep(190) }
    router:send { timestamp = 0, k = "b" }
    router:close()
    clock:advance(0)
    assert.are.equal(1, #failures)
    assert.are.equal(1, #events)
    assert.is_truthy(events[1]:find('"key":"b"', 1, true))
  end)

  it("do not go on with a window's state of other options", function()
    local state = require "tidewire.state"
    local window = p.window { every = 10, compute = { n = { "sum", "a" } }, state = "spec.window" }
    window(tw.event { timestamp = 0, a = 1 })
    local text = state.export()
    state.import(text)
    local other = text:gsub("n=sum%(a%)", "n=avg(a)")
    local ok, message = pcall(state.import, other)
    assert.is_false(ok)
    assert.is_truthy(message:find("window: state 'spec.window' was made with other options", 1, true), message)
    state.import [[{"spec.window":{"version":1,"value":{}}}]]
  end)

  it("keep no event that they cannot have a timer for", function()
    local clock <close> = testing.clock()
    local timers = {}
    local router, events, failures = watched(p.batch { events = 2 })
    local ok = true
    while ok do
      ok, timers[#timers + 1] = pcall(tw.every, 1, nothing)
    end
    timers[#timers] = nil
    router:send { n = 1 }
    for _, timer in ipairs(timers) do
      timer:cancel()
    end
    router:close()
    clock:advance(0)
    assert.are.same({ [[{"n":1}]] }, events)
    assert.are.equal(1, #failures)
  end)

  it("remember long keys in little memory", function()
    local clock <close> = testing.clock()
    local dedup = p.dedup { by = "k", within = 1e6 }
    local start = ("x"):rep(100000)
    local function fill(from)
      for i = from, from + 99 do
        assert.is_nil(dedup(tw.event { k = start .. i }))
        assert.is_false(dedup(tw.event { k = start .. i }))
      end
      collectgarbage()
      collectgarbage()
      return collectgarbage "count"
    end
    local before = fill(100)
    assert.is_true(fill(200) - before < 100)
    clock:advance(0)
  end)

  it("emit at the top of the tree that they are in", function()
    local clock <close> = testing.clock()
    local top, below = testing.recorder(), testing.recorder()
    local router = tw.router {
      route = function(event)
        return event.name == "batch" and "top" or "branch"
      end,
      backends = {
        top = top,
        branch = tw.router { processors = { p.batch { seconds = 1 } }, backends = { below = below } },
      },
    }
    router:send { name = "a" }
    clock:advance(1, router)
    assert.are.equal(1, #top.events)
    router:send { name = "b" }
    router:close()
    assert.are.equal(2, #top.events)
    assert.are.equal(0, #below.events)
  end)

  it("keep their memory bounded", function()
    local clock <close> = testing.clock()
    local many = {
      p.throttle { rate = 1, per = 1e6, by = "k", max_keys = 100 },
      p.dedup { by = "k", within = 1e6, max = 100 },
      p.window { every = 1e6, by = "k", max_keys = 100, compute = { distinct = "k" }, max_distinct = 10 },
      p.sessionize { by = "k", gap = 1e6, max_keys = 100 },
    }
    for _, processor in ipairs(many) do
      local router = tw.router { processors = { processor }, backends = { out = tw.backends.null() } }
      local function fill()
        for i = 1, 2000 do
          router:send { k = ("%032d"):format(i), timestamp = "2026-01-01T00:00:00Z" }
        end
        collectgarbage()
        collectgarbage()
        return collectgarbage "count"
      end
      local before = fill()
      assert.is_true(fill() - before < 20, processor.name)
      router:close()
    end
    clock:advance(0)
  end)
end)
