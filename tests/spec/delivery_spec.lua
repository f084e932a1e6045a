-- What backends in Lua answer, how much events matter, what becomes of them, and how they are
-- to be delivered.
local tw = require "tidewire"

--- The message that `f` raises, without its position.
local function problem(f, ...)
  local ok, message = pcall(f, ...)
  assert.is_false(ok)
  return (tostring(message):gsub("^tests/spec/[%w_]+%.lua:%d+: ", ""))
end

describe("an answer", function()
  local function failure_of(send)
    local seen
    local router = tw.router {
      backends = { out = { send = send } },
      on_failure = function(failure)
        seen = failure
      end,
    }
    router:send {}
    return seen
  end

  it("is a failure where there is no outbox, with its own code", function()
    for code, answer in pairs { refused = tw.permanent "no", io = tw.retry "no", disabled = tw.disabled "no" } do
      local returned = failure_of(function()
        return answer
      end)
      assert.are.same({ code, "send: no" }, { returned.code, returned.message })
      local raised = failure_of(function()
        error(answer)
      end)
      assert.are.same({ code, "send: no" }, { raised.code, raised.message })
    end
  end)

  it("shows its message", function()
    assert.are.equal("no such user", tostring(tw.permanent "no such user"))
    assert.are.equal("later", tostring(tw.retry("later", { after = 0.5 })))
    assert.are.equal("", tostring(tw.disabled ""))
  end)

  it("cannot be changed", function()
    local answer = tw.permanent "x"
    assert.is_false(getmetatable(answer))
    assert.is_false(pcall(function()
      answer.message = "y"
    end))
    assert.is_false(pcall(setmetatable, answer, {}))
  end)

  it("wants a message, a place from 1, and seconds", function()
    assert.are.equal("message must be a string, not nil", problem(tw.permanent))
    assert.are.equal("message must be a string, not a table", problem(tw.disabled, {}))
    local place = "permanent: index must be the place of an event in the list, from 1"
    assert.are.equal(place, problem(tw.permanent, "x", 0))
    assert.are.equal(place, problem(tw.permanent, "x", 1.5))
    assert.are.equal("retry: options must be a table, not a number", problem(tw.retry, "x", 5))
    assert.are.equal("retry: the one option is 'after'", problem(tw.retry, "x", { afer = 5 }))
    for _, after in ipairs { -1, 0 / 0, 1e300, "5" } do
      assert.are.equal("retry: after must be seconds, such as 5", problem(tw.retry, "x", { after = after }))
    end
  end)
end)

describe("a priority", function()
  local seen

  local function spy(name)
    return {
      send = function(_, event)
        seen[#seen + 1] = name .. ":" .. tw.priority(event)
      end,
    }
  end

  local function priorities(declared)
    seen = {}
    declared.backends = declared.backends or { a = spy "a", b = spy "b" }
    local problems = {}
    declared.on_failure = function(failure)
      problems[#problems + 1] = failure.message
    end
    assert(tw.router(declared):send { name = "x" })
    return seen, problems
  end

  it("is normal unless somebody says otherwise", function()
    assert.are.same({ "a:normal", "b:normal" }, (priorities {}))
  end)

  it("is set by a processor for all that follows", function()
    local function set(event)
      tw.set_priority(event, "high")
      assert.are.equal("high", tw.priority(event))
    end
    assert.are.same({ "a:high", "b:high" }, (priorities { processors = { set } }))
  end)

  it("belongs to a branch", function()
    local function lower(event)
      tw.set_priority(event, "low")
    end
    local below = tw.router { processors = { lower }, backends = { c = spy "c" } }
    assert.are.same({ "c:low", "b:normal" }, (priorities { backends = { a = below, b = spy "b" } }))
  end)

  it("is given by a route to what it chooses", function()
    local routes = {
      function()
        return "b", { priority = "low" }
      end,
      function()
        return { "b", priority = "low" }
      end,
    }
    for _, route in ipairs(routes) do
      assert.are.same({ "b:low" }, (priorities { route = route }))
    end
    assert.are.same(
      { "b:normal" },
      (priorities {
        route = function()
          return "b", {}
        end,
      })
    )
  end)

  local wrong = {
    { 'route: a priority is "high", "normal" or "low", not "urgent"', "b", { priority = "urgent" } },
    { 'route: a priority is "high", "normal" or "low", not a boolean', "b", { priority = true } },
    { "route returned a table with the field 'prio'; the one that there is is priority", "b", { prio = "high" } },
    {
      "route returned a priority without names; return the names of backends before it",
      { priority = "high" },
    },
    {
      "route returned names and a list; return one list, or names and behind them { priority = }",
      "a",
      { "b", priority = "high" },
    },
    { "route returned a table; return the names of backends", "a", { priority = "high" }, "b" },
  }
  for _, case in ipairs(wrong) do
    it("in a route fails clearly: " .. case[1], function()
      local got, problems = priorities {
        route = function()
          return table.unpack(case, 2)
        end,
      }
      assert.are.same({ case[1] }, problems)
      assert.are.equal(2, #got)
    end)
  end

  it("comes with an emit", function()
    seen = {}
    local tracker = tw.tracker { backends = { a = spy "a" }, context_locator = tw.locators.default() }
    assert(tracker:emit("x", {}, { priority = "high" }))
    assert(tracker:emit("x", {}, {}))
    assert(tracker:emit("x", nil, { priority = "low" }))
    assert.are.same({ "a:high", "a:normal", "a:low" }, seen)
    tracker:close()
  end)

  it("is a word of three", function()
    local event = tw.event '{"data":{}}'
    assert.are.equal("normal", tw.priority(event))
    assert.are.equal(
      'a priority is "high", "normal" or "low", not "High"',
      problem(tw.set_priority, event, "High")
    )
    assert.are.equal('a priority is "high", "normal" or "low", not nil', problem(tw.set_priority, event))
    assert.are.equal("event must be an event, not a part of one", problem(tw.priority, event.data))
    assert.are.equal("event must be an event, not a table", problem(tw.set_priority, {}, "low"))
  end)
end)

describe("an acknowledgement", function()
  local heard

  local function hear(...)
    heard[#heard + 1] = { ... }
  end

  local function tracker_of(send, declared)
    heard = {}
    declared = declared or {}
    declared.backends = { out = { send = send } }
    declared.context_locator = tw.locators.default()
    declared.on_failure = declared.on_failure or function() end
    return tw.tracker(declared)
  end

  local function take() end

  it("is told once, by a later call", function()
    local tracker <close> = tracker_of(take)
    assert(tracker:emit("a", {}, { ack = hear }))
    assert.are.same({}, heard)
    assert.are.same({ 1, 0 }, { tracker:poll() })
    assert.are.same({ { true } }, heard)
    assert.are.same({ 0, 0 }, { tracker:poll() })
    assert.are.equal(1, #heard)
  end)

  for _, by in ipairs { "emit", "flush", "close", "poll" } do
    it("is told by " .. by, function()
      local tracker = tracker_of(take)
      tracker:emit("a", {}, { ack = hear })
      tracker[by](tracker)
      assert.are.same({ { true } }, heard)
      tracker:close()
      assert.are.equal(1, #heard)
    end)
  end

  it("is told when the tracker is collected", function()
    do
      local tracker = tracker_of(take)
      tracker:emit("a", {}, { ack = hear })
    end
    collectgarbage()
    collectgarbage()
    assert.are.same({ { true } }, heard)
  end)

  it("says what failed", function()
    local tracker <close> = tracker_of(function()
      return false, "it is full"
    end)
    tracker:emit("a", {}, { ack = hear })
    tracker:poll()
    assert.are.same({ { nil, "send: it is full", "io" } }, heard)
  end)

  it("says that an emit failed", function()
    local tracker = tracker_of(take)
    tracker:close()
    local ok, message, code = tracker:emit("a", {}, { ack = hear })
    assert.are.same({ nil, "the tracker is closed", "closed" }, { ok, message, code })
    assert.are.equal(1, (tracker:poll()))
    assert.are.same({ { nil, "the tracker is closed", "closed" } }, heard)
  end)

  it("is not told inside of a callback", function()
    local inside, tracker
    tracker = tracker_of(function()
      inside = inside or tracker:poll()
    end)
    tracker:emit("a", {}, { ack = hear })
    tracker:emit("b", {}, { ack = hear })
    assert.are.equal(0, inside)
    tracker:close()
    assert.are.equal(2, #heard)
  end)

  it("may emit, and what that asks for comes later", function()
    local tracker <close> = tracker_of(take)
    local count = 0
    local function again(ok)
      count = count + 1
      assert(ok)
      if count < 5 then
        tracker:emit("again", {}, { ack = again })
      end
    end
    tracker:emit("a", {}, { ack = again })
    for i = 1, 5 do
      assert.are.equal(1, (tracker:poll()))
      assert.are.equal(i, count)
    end
    assert.are.same({ 0, 0 }, { tracker:poll() })
  end)

  it("that fails is told to the observer, and others are not kept from theirs", function()
    local failures = {}
    local tracker <close> = tracker_of(take, {
      on_failure = function(failure)
        failures[#failures + 1] = failure.where .. ": " .. failure.message:gsub("^[^:]+:%d+: ", "")
      end,
    })
    tracker:emit("a", {}, {
      ack = function()
        error "oh"
      end,
    })
    tracker:emit("b", {}, { ack = hear })
    tracker:emit("c", {}, { ack = tw.drop })
    tracker:flush()
    assert.are.same({ { true } }, heard)
    assert.are.same({ "ack: oh", "ack: tidewire.drop() outside of a processor" }, failures)
  end)

  it("may be anything that can be called", function()
    local tracker <close> = tracker_of(take)
    local object = setmetatable({}, {
      __call = function(self, ok)
        self.ok = ok
      end,
    })
    tracker:emit("a", {}, { ack = object })
    tracker:poll()
    assert.is_true(object.ok)
  end)

  it("is kept alive until it is told", function()
    local tracker <close> = tracker_of(take)
    for i = 1, 100 do
      tracker:emit("a", {}, {
        ack = function(ok)
          heard[#heard + 1] = ok and i
        end,
      })
      collectgarbage()
      heard[i] = heard[i] or nil
    end
    tracker:poll()
    assert.are.equal(100, #heard)
    assert.are.equal(100, heard[100])
  end)

  it("is not waited for when none is to come", function()
    local tracker <close> = tracker_of(take)
    local began = os.time()
    assert.are.same({ 0, 0 }, { tracker:poll(100) })
    tracker:emit("a", {}, { ack = hear })
    assert.are.same({ 1, 0 }, { tracker:poll(100) })
    assert.is_true(os.time() - began < 50)
  end)

  it("is asked for with a function", function()
    local tracker <close> = tracker_of(take)
    local function emit(options)
      return problem(tracker.emit, tracker, "a", {}, options)
    end
    assert.are.equal("emit: ack must be a function, not a string", emit { ack = "f" })
    assert.are.equal("emit: unknown option 'akc'; the options are ack and priority", emit { akc = hear })
    assert.are.equal("emit: options must be a table, not a function", emit(hear))
    assert.is_truthy(emit({ priority = "urgent" }):find "a priority is")
    assert.is_truthy(problem(tracker.poll, tracker, -1):find "expected seconds")
    -- a mistake in the data leaves no promise behind
    assert.are.equal("data must be a table, not a number", problem(tracker.emit, tracker, "a", 5, { ack = hear }))
    assert.are.same({ 0, 0 }, { tracker:poll() })
    assert.are.same({}, heard)
  end)

  it("comes from the default tracker, too", function()
    local tracker <close> = tracker_of(take)
    tw.register_tracker(tracker)
    assert(tw.emit("a", {}, { ack = hear, priority = "low" }))
    tracker:poll()
    assert.are.same({ { true } }, heard)
    tw.unregister_tracker()
  end)
end)

describe("what stands about delivery", function()
  local good = {
    batch = { events = 500, bytes = "1MiB", seconds = "50ms" },
    retry = { min = 0.1, max = "10s", attempts = 3 },
    breaker = { failures = 9, rest = "1s", probes = 2 },
    timeout = "none",
    max_in_flight = 2,
    max_events = 10,
    overload = "drop_oldest",
  }

  it("is no option of the backend itself", function()
    local options = { limit = 5, delivery = good }
    local router = tw.router {
      backends = {
        memory = tw.backends.memory(options),
        null = tw.backends.null { delivery = {} },
        own = { send = function() end, delivery = good },
        batches = setmetatable({}, { __index = { send_batch = function() end, delivery = good } }),
      },
    }
    assert.are.equal(good, options.delivery)
    assert(router:send { n = 1 })
    assert.are.equal(1, router.backends.memory:count())
  end)

  it("is checked where it is declared", function()
    local function declare(delivery)
      return problem(function()
        local made = tw.router { backends = { db = tw.backends.null { delivery = delivery } } }
        return made
      end)
    end
    assert.are.equal(
      'router: backends.db: delivery: unknown option "retry.mx"; did you mean "retry.max"?',
      declare({ retry = { mx = "10s" } }):match "^[^?]+%?"
    )
    assert.is_truthy(declare({ batch = { events = 0 } }):find('option "batch.events": expected 1 to 1000000', 1, true))
    assert.are.equal("router: backends.db: delivery must be a table, not a number", declare(5))
    assert.is_truthy(problem(tw.router, { backends = { a = { send = print, delivery = "fast" } } }):find "must be a table")
  end)

  it("leaves nothing behind when it is wrong", function()
    local router = tw.router {}
    local wrong = { send = function() end, delivery = { tiemout = 5 } }
    assert.is_truthy(problem(router.register_backend, router, "a", wrong):find "timeout")
    wrong.delivery = { timeout = 5 }
    router:register_backend("a", wrong)
    assert(router:send {})
  end)

  it("may come from an object that knows no such field", function()
    local strict = setmetatable({ send = function() end }, {
      __index = function(_, key)
        assert(key ~= "delivery", "no such field")
      end,
    })
    assert(tw.router({ backends = { strict = strict } }):send {})
  end)

  it("belongs to backends, not to routers", function()
    assert.is_truthy(problem(tw.router, { delivery = {} }):find "unknown field 'delivery'")
  end)
end)

describe("a tracker over a script's engine", function()
  local script, spool

  local function write(text)
    local file = assert(io.open(script, "w"))
    file:write('local tw = require "tidewire"\n', text)
    file:close()
  end

  before_each(function()
    script = os.tmpname()
    spool = script .. ".spool"
  end)

  after_each(function()
    os.remove(script)
    os.execute("rm -rf '" .. spool .. "'")
  end)

  it("has told every acknowledgement when a flush returns, as all is durable", function()
    write 'return tw.router { backends = { a = tw.backends.null(), b = tw.backends.null() } }'
    local tracker = tw.tracker { script = script, spool = spool, context_locator = tw.locators.default() }
    local told = 0
    for i = 1, 500 do
      assert(tracker:emit("a", { n = i }, {
        ack = function(ok, message)
          assert(ok, message)
          told = told + 1
        end,
      }))
    end
    assert(tracker:flush())
    assert.are.equal(500, told)
    assert.are.same({ 0, 0 }, { tracker:poll(10) })
    tracker:close()
  end)

  it("takes the options of durability, and says which is wrong", function()
    write "return tw.router { backends = { a = tw.backends.null() } }"
    local tracker = tw.tracker {
      script = script,
      spool = { path = spool, max_bytes = "100MiB" },
      durability = "os",
      sync = "50ms",
      commit = { bytes = "64KiB", within = "1ms" },
      dead = { max_bytes = "1MiB" },
      delivery = { timeout = "5s" },
      context_locator = tw.locators.default(),
    }
    assert(tracker:emit "a")
    assert(tracker:flush())
    tracker:close()
    assert.is_truthy(problem(tw.tracker, { script = script, durability = "sometimes" }):find "durability")
    assert.is_truthy(problem(tw.tracker, { script = script, delivery = { tiemout = 5 } }):find "timeout")
  end)

  it("delivers to a backend in Lua in a state of its own, as it answers", function()
    write [[
      local calls = 0
      return tw.router {
        route = function(event)
          if event.name == "echo" then return "out" end
          return "own", { priority = "high" }
        end,
        backends = {
          out = tw.backends.host "out",
          own = {
            send = function(self, event)
              calls = calls + 1
              if calls == 2 then return tw.permanent "never" end
              if calls == 4 then return tw.retry("later", { after = 0.01 }) end
              assert(tw.emit("echo", { priority = tw.priority(event), n = event.data.n }))
            end,
          },
        },
      }
    ]]
    local out, told = tw.backends.memory(), 0
    local tracker = tw.tracker {
      script = script,
      durability = "memory",
      ack = "delivered",
      host_backends = { out = out },
      context_locator = tw.locators.default(),
    }
    for i = 1, 10 do
      tracker:emit("a", { n = i }, {
        ack = function()
          told = told + 1
        end,
      })
    end
    while select(2, tracker:poll(30)) > 0 do
      assert.is_true(told > 0)
    end
    assert.are.equal(10, told)
    tracker:close()
    local seen = {}
    for i, event in ipairs(out:events()) do
      assert.are.equal("high", event.data.priority)
      seen[i] = event.data.n
    end
    assert.are.same({ 1, 3, 4, 5, 6, 7, 8, 9, 10 }, seen)
  end)
end)
