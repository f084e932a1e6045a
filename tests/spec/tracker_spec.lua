-- Trackers: emit, contexts, the registry.
local tw = require "tidewire"

local function tracker_of(declared)
  declared = declared or {}
  local memory = tw.backends.memory()
  declared.backends = declared.backends or { out = memory }
  declared.context_locator = declared.context_locator or tw.locators.default()
  return tw.tracker(declared), memory
end

local function here(message)
  return message:match "^[^:]*tracker_spec%.lua:%d+: (.*)$"
end

describe("emit", function()
  it("makes an event of name, time, data and context", function()
    local tracker, memory = tracker_of()
    tracker:enter_context("request", { user_id = 7 })
    assert.is_true(tracker:emit("order.paid", { total = 12.5, items = { 1, 2 } }))
    local event = memory:get(1)
    assert.are.equal("order.paid", event.name)
    assert.is_truthy(event.timestamp:match "^%d%d%d%d%-%d%d%-%d%dT%d%d:%d%d:%d%d%.%d%d%d%d%d%dZ$")
    assert.are.equal(12.5, event.data.total)
    assert.are.same({ 1, 2 }, tw.totable(event.data.items))
    assert.are.equal(7, event.context.user_id)
  end)

  it("stamps the present time in UTC", function()
    local tracker, memory = tracker_of()
    tracker:emit "a"
    local stamp = memory:get(1).timestamp
    assert.is_true(math.abs(os.time() - os.time(os.date("!*t"))) < 86400)
    local now, before = os.date "!%Y-%m-%dT%H:%M:%S", os.date("!%Y-%m-%dT%H:%M:%S", os.time() - 2)
    assert.is_true(stamp:sub(1, 19) <= now and stamp:sub(1, 19) >= before)
  end)

  it("calls an event without a name unknown, with empty data", function()
    local tracker, memory = tracker_of()
    tracker:emit()
    local event = memory:get(1)
    assert.are.equal("unknown", event.name)
    assert.are.equal("{}", tostring(event.data))
    assert.are.equal("{}", tostring(event.context))
  end)

  it("takes a view as data", function()
    local tracker, memory = tracker_of()
    tracker:emit("a", tw.event '{"n":1.0}')
    assert.are.equal('{"n":1.0}', tostring(memory:get(1).data))
  end)

  local misuses = {
    { "a number as its name", { 7 }, "name must be a string, not a number" },
    { "a string as data", { "a", "x" }, "data must be a table, not a string" },
    { "a list as data", { "a", { 1 } }, "data must be an object, not a list" },
    {
      "a function in data",
      { "a", { user = { callback = print } } },
      "data.user.callback: a function cannot be part of an event",
    },
  }
  for _, case in ipairs(misuses) do
    it("refuses " .. case[1], function()
      local tracker = tracker_of()
      local ok, message = pcall(function()
        local sent = tracker:emit(table.unpack(case[2]))
        return sent
      end)
      assert.is_false(ok)
      assert.are.equal(case[3], here(message))
    end)
  end

  it("returns nil, a message and a code when it is closed", function()
    local tracker = tracker_of()
    tracker:close()
    local ok, message, code = tracker:emit "a"
    assert.is_nil(ok)
    assert.are.equal("the tracker is closed", message)
    assert.are.equal("closed", code)
  end)

  it("returns nil, a message and a code when a backend cannot be opened", function()
    local tracker = tracker_of {
      backends = {
        out = {
          open = function()
            return nil, "no room"
          end,
          send = function() end,
        },
      },
    }
    local ok, message, code = tracker:emit "a"
    assert.is_nil(ok)
    assert.is_truthy(message:find("no room", 1, true), message)
    assert.are.equal("io", code)
  end)

  it("runs processors in order and routes", function()
    local a, b = tw.backends.memory(), tw.backends.memory()
    local tracker = tw.tracker {
      processors = {
        function(event)
          event.data.n = 1
        end,
        function(event)
          event.data.n = event.data.n + 1
        end,
      },
      route = function()
        return "a"
      end,
      backends = { a = a, b = b },
    }
    tracker:emit "x"
    assert.are.equal(2, a:get(1).data.n)
    assert.are.equal(0, b:count())
  end)

  it("goes on to other backends when one fails", function()
    local good = tw.backends.memory()
    local failures = {}
    local tracker = tw.tracker {
      backends = {
        a_bad = {
          send = function()
            error "bad"
          end,
        },
        good = good,
      },
      on_failure = function(failure)
        failures[#failures + 1] = failure.where .. " " .. failure.path
      end,
    }
    assert.is_true(tracker:emit "x")
    assert.are.equal(1, good:count())
    assert.are.same({ "backend a_bad" }, failures)
  end)

  it("inside of a processor emits a second event", function()
    local tracker, memory
    tracker, memory = tracker_of {
      processors = {
        function(event)
          if event.name == "outer" then
            assert(tracker:emit("inner", { long = ("x"):rep(5000) }))
          end
        end,
      },
    }
    tracker:emit("outer", { a = 1 })
    assert.are.equal("inner", memory:get(1).name)
    assert.are.equal("outer", memory:get(2).name)
    assert.are.equal(1, memory:get(2).data.a)
  end)
end)

describe("contexts", function()
  it("are united, later ones overriding", function()
    local tracker = tracker_of()
    tracker:enter_context("a", { x = 1, y = 1 })
    tracker:enter_context("b", { y = 2, z = 2 })
    assert.are.same({ x = 1, y = 2, z = 2 }, tracker:resolve_context())
    tracker:exit_context "b"
    assert.are.same({ x = 1, y = 1 }, tracker:resolve_context())
    tracker:exit_context "a"
    assert.are.same({}, tracker:resolve_context())
  end)

  it("nest under one name", function()
    local tracker = tracker_of()
    tracker:enter_context("a", { x = 1 })
    tracker:enter_context("a", { x = 2 })
    assert.are.same({ x = 2 }, tracker:resolve_context())
    tracker:exit_context "a"
    assert.are.same({ x = 1 }, tracker:resolve_context())
  end)

  it("raise when a name is left that was not entered", function()
    local tracker = tracker_of()
    tracker:enter_context("known", {})
    local ok, message = pcall(function()
      tracker:exit_context "other"
      return 1
    end)
    assert.is_false(ok)
    assert.is_truthy(here(message), message)
    assert.is_truthy(message:find("known", 1, true), message)
  end)

  it("are left by <close>", function()
    local tracker = tracker_of()
    do
      local _ <close> = tracker:context("job", { id = 1 })
      assert.are.same({ id = 1 }, tracker:resolve_context())
    end
    assert.are.same({}, tracker:resolve_context())
  end)

  it("are left by <close> on an error", function()
    local tracker = tracker_of()
    local ok, message = pcall(function()
      local _ <close> = tracker:context("job", { id = 1 })
      error "mine"
    end)
    assert.is_false(ok)
    assert.are.equal("mine", here(message))
    assert.are.same({}, tracker:resolve_context())
  end)

  it("are left after a function, which gives its results", function()
    local tracker = tracker_of()
    local got = table.pack(tracker:context("job", { id = 1 }, function(a, b)
      return tracker:resolve_context().id, a, b, nil
    end, "x", "y"))
    assert.are.same({ 1, "x", "y", n = 4 }, got)
    assert.are.same({}, tracker:resolve_context())
  end)

  it("are left after a function that fails", function()
    local tracker = tracker_of()
    local problem = {}
    local ok, raised = pcall(tracker.context, tracker, "job", {}, function()
      error(problem)
    end)
    assert.is_false(ok)
    assert.are.equal(problem, raised)
    assert.are.same({}, tracker:resolve_context())
  end)

  it("do not hide an error when they were left by hand", function()
    local tracker = tracker_of()
    local _, message = pcall(function()
      local _ <close> = tracker:context("job", {})
      tracker:exit_context "job"
      error "mine"
    end)
    assert.are.equal("mine", here(message))
  end)

  it("are seen in order through located_context, as a field and as a method", function()
    local tracker = tracker_of()
    tracker:enter_context("b", { n = 1 })
    tracker:enter_context("a", { n = 2 })
    for _, context in ipairs { tracker.located_context, tracker:located_context() } do
      local seen = {}
      for name, fields in pairs(context) do
        seen[#seen + 1] = name .. fields.n
      end
      assert.are.same({ "b1", "a2" }, seen)
    end
  end)

  it("refuse what JSON cannot hold, naming it", function()
    local tracker = tracker_of()
    local ok, message = pcall(tracker.enter_context, tracker, "a", { f = print })
    assert.is_false(ok)
    assert.is_truthy(message:find("context.f: a function cannot be part of an event", 1, true), message)
    ok, message = pcall(tracker.enter_context, tracker)
    assert.is_false(ok)
    assert.is_truthy(message:find("name must be a string, not nil", 1, true), message)
  end)
end)

describe("the registry", function()
  after_each(function()
    for _, name in ipairs { "default", "other" } do
      pcall(tw.unregister_tracker, name)
    end
  end)

  it("finds the tracker that was registered", function()
    local tracker = tracker_of()
    tw.register_tracker(tracker)
    assert.are.equal(tracker, tw.get_tracker())
    assert.are.equal(tracker, tw.get_tracker "default")
  end)

  it("emits on the default tracker", function()
    local tracker, memory = tracker_of()
    tw.register_tracker(tracker)
    assert.is_true(tw.emit("a", { x = 1 }))
    assert.are.equal(1, memory:get(1).data.x)
  end)

  it("keeps a registered tracker alive with its functions", function()
    local memory = tw.backends.memory()
    tw.register_tracker(
      tw.tracker {
        processors = {
          function(event)
            event.alive = true
          end,
        },
        backends = { out = memory },
      },
      "other"
    )
    collectgarbage()
    collectgarbage()
    tw.get_tracker("other"):emit "a"
    assert.is_true(memory:get(1).alive)
  end)

  it("raises for an unknown tracker and lists the known", function()
    tw.register_tracker((tracker_of()), "other")
    local ok, message = pcall(function()
      local found = tw.get_tracker "nobody"
      return found
    end)
    assert.is_false(ok)
    assert.is_truthy(here(message), message)
    assert.is_truthy(message:find("other", 1, true), message)
  end)

  it("raises when there is no default tracker", function()
    local ok, message = pcall(function()
      local sent = tw.emit "a"
      return sent
    end)
    assert.is_false(ok)
    assert.is_truthy(here(message), message)
  end)

  it("replaces a tracker of the same name", function()
    tw.register_tracker((tracker_of()))
    local second = tracker_of()
    tw.register_tracker(second)
    assert.are.equal(second, tw.get_tracker())
  end)

  it("refuses what is no tracker", function()
    local ok, message = pcall(function()
      tw.register_tracker {}
      return 1
    end)
    assert.is_false(ok)
    assert.are.equal("tracker must be a tracker, not a table", here(message))
  end)
end)

describe("a tracker", function()
  it("knows its backends and processors", function()
    local f = function() end
    local tracker, memory = tracker_of { processors = { f } }
    assert.are.equal(memory, tracker.backends.out)
    assert.are.equal(memory, tracker:get_backend "out")
    assert.are.same({ f }, tracker.processors)
    local ok, message = pcall(function()
      local found = tracker:get_backend "nobody"
      return found
    end)
    assert.is_false(ok)
    assert.is_truthy(here(message) and message:find("out", 1, true), message)
  end)

  it("needs no declaration", function()
    assert.is_true(tw.tracker():emit "a")
  end)

  it("refuses unknown fields and what comes later", function()
    local _, message = pcall(function()
      local made = tw.tracker { backend = {} }
      return made
    end)
    assert.are.equal("tracker: unknown field 'backend'; did you mean 'backends'?", here(message))
    _, message = pcall(function()
      local made = tw.tracker { engine = {} }
      return made
    end)
    assert.are.equal("tracker: field 'engine' is not supported yet in this version", here(message))
  end)

  it("flushes what its backends gathered when it is collected", function()
    local sent = 0
    do
      local tracker = tw.tracker {
        backends = {
          out = {
            send_batch = function(_, events)
              sent = sent + #events
            end,
          },
        },
      }
      tracker:send({ name = "a" }, true)
      tracker:send({ name = "b" }, true)
    end
    assert.are.equal(0, sent)
    collectgarbage()
    collectgarbage()
    assert.are.equal(2, sent)
  end)
end)

describe("a tracker with a script", function()
  local script, out

  local function write(path, text)
    local file = assert(io.open(path, "w"))
    file:write(text)
    file:close()
  end

  local function write_script(body)
    write(
      script,
      ([[local tw = require "tidewire"
return tw.router {
  processors = { function(event) event.timestamp = nil %s end },
  backends = { out = tw.backends.file { path = "%s" } },
}]]):format(body, out)
    )
  end

  local function output()
    local file = assert(io.open(out))
    local text = file:read "a"
    file:close()
    return text
  end

  before_each(function()
    script, out = os.tmpname(), os.tmpname()
  end)

  after_each(function()
    os.remove(script)
    os.remove(out)
  end)

  it("sends what is emitted through it, and flushes", function()
    write_script "event.data.g = event.generation"
    local tracker = tw.tracker { script = script, workers = 2, context_locator = tw.locators.default() }
    tracker:enter_context("request", { user = 1 })
    assert.is_true(tracker:emit("a", { x = 1 }))
    assert.is_true(tracker:flush())
    assert.are.equal('{"name":"a","context":{"user":1},"data":{"x":1,"g":1}}\n', output())
    tracker:close()
  end)

  it("grants its script what it names, and nothing else", function()
    write(script, 'local file = io and "io" or "none"\n' .. ([[local tw = require "tidewire"
return tw.router {
  processors = { function(event) event.data.has = file end },
  backends = { out = tw.backends.file { path = "%s" } },
}]]):format(out))
    for _, grants in ipairs { {}, { "io" } } do
      local tracker = tw.tracker { script = script, grants = grants, memory_limit = "8MiB", time_limit = "2s" }
      tracker:emit "a"
      tracker:close()
    end
    assert.is_truthy(output():find('"has":"none".*"has":"io"'))
    local ok, message = pcall(tw.tracker, { script = script, grants = { "everything" } })
    assert.is_false(ok)
    assert.is_truthy(message:find('nothing called "everything" can be granted', 1, true), message)
    ok, message = pcall(tw.tracker, { script = script, memory_limit = "much" })
    assert.is_false(ok)
    assert.is_truthy(message:find('expected a size such as "64MiB", or "none"', 1, true), message)
  end)

  it("waits for a flush as long as it is told to, and says how many events remain", function()
    write_script "local till = os.clock() + 0.2 while os.clock() < till do end"
    local tracker = tw.tracker { script = script, instruction_limit = "none" }
    tracker:emit "a"
    tracker:emit "b"
    local ok, message, code, remaining = tracker:flush(0.01)
    assert.is_nil(ok)
    assert.is_truthy(message:find("the time was over before all was flushed", 1, true))
    assert.are.equal("limit", code)
    assert.is_true(remaining >= 1 and remaining <= 2)
    assert.is_true(tracker:flush(60))
    assert.are.equal(2, select(2, output():gsub("\n", "")))
    assert.has_error(function() tracker:flush(-1) end)
    tracker:close()
  end)

  it("reloads it, and says why not", function()
    write_script ""
    local tracker = tw.tracker { script = script }
    write_script "event.data = event.generation"
    assert.is_true(tracker:reload())
    write(script, "return {")
    local ok, message, code = tracker:reload()
    assert.is_nil(ok)
    assert.is_truthy(message:find(script .. ":1: unexpected symbol", 1, true))
    assert.are.equal("script", code)
    tracker:emit "a"
    tracker:flush()
    assert.are.equal('{"name":"a","context":{},"data":2}\n', output())
    tracker:close()
  end)

  it("goes back when what was reloaded fails too often", function()
    write_script "event.data = event.generation"
    local watchdog = { errors = 0.05, within = 10 }
    local tracker = tw.tracker { script = script, reload = { watchdog = watchdog } }
    write_script "event.data = nil .. 'x'"
    assert.is_true(tracker:reload())
    repeat
      tracker:emit "a"
      tracker:flush()
    until output():find('"data":3}', 1, true)
    tracker:close()
  end)

  it("refuses what it cannot be", function()
    local function problem(declared)
      local _, message = pcall(function()
        local made = tw.tracker(declared)
        return made
      end)
      return here(message)
    end
    assert.is_truthy(problem({ script = "/nowhere.lua" }):find("^/nowhere.lua: No such file"))
    assert.are.equal(
      "tracker: 'processors' stands in the script when there is one: its router has it",
      problem { script = script, processors = {} }
    )
    assert.is_truthy(problem({ script = script, worker = 2 }):find("mean 'workers'", 1, true))
    write_script ""
    assert.are.equal("engine: workers must be 1 to 64, not 0", problem { script = script, workers = 0 })
    assert.are.equal(
      'engine: unknown option "reload.watchdog.error"; did you mean "reload.watchdog.errors"?',
      problem { script = script, reload = { watchdog = { error = 0.05, within = 10 } } }
    )
    assert.are.equal(
      "tracker: partition_by must be a path here; a function belongs into the script's own engine = { … }",
      problem { script = script, partition_by = print }
    )
    local tracker = tracker_of()
    local _, message = pcall(function()
      local done = tracker:reload()
      return done
    end)
    assert.are.equal("reload: this tracker has no script", here(message))
  end)
end)
