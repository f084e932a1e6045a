-- Backends written in Lua, and what the shipped ones look like from Lua.
local tw = require "tidewire"

local function router_of(backend, failures)
  return tw.router {
    backends = { out = backend },
    on_failure = function(failure)
      if failures then
        failures[#failures + 1] = failure.message
      end
    end,
  }
end

describe("a backend with send", function()
  it("gets itself and the event", function()
    local object, seen = {}, {}
    function object.send(self, event)
      seen = { self, event.name }
    end
    router_of(object):send { name = "a" }
    assert.are.equal(object, seen[1])
    assert.are.equal("a", seen[2])
  end)

  local answers = {
    { "nothing", function() end },
    {
      "true",
      function()
        return true
      end,
    },
    {
      "nil",
      function()
        return nil
      end,
    },
    {
      "false",
      function()
        return false
      end,
      "it returned false",
    },
    {
      "false and a message",
      function()
        return false, "full"
      end,
      "full",
    },
    {
      "nil and a message",
      function()
        return nil, "gone"
      end,
      "gone",
    },
    {
      "an error",
      function()
        error "broken"
      end,
      "broken",
    },
  }
  for _, case in ipairs(answers) do
    it("that answers " .. case[1] .. (case[3] and " has failed" or " has accepted"), function()
      local failures = {}
      local router = router_of({ send = case[2] }, failures)
      assert.is_true(router:send { name = "a" })
      assert.are.equal(case[3] and 1 or 0, #failures)
      if case[3] then
        assert.is_truthy(failures[1]:find(case[3], 1, true), failures[1])
      end
      local found = router:get_backend "out"
      assert.is_table(found)
    end)
  end

  it("is found through a metatable", function()
    local class = {}
    class.__index = class
    local got
    function class.send(_, event)
      got = event.name
    end
    router_of(setmetatable({}, class)):send { name = "a" }
    assert.are.equal("a", got)
  end)

  it("is opened, flushed and closed once", function()
    local calls = {}
    local object = { send = function() end }
    for _, method in ipairs { "open", "flush", "close" } do
      object[method] = function()
        calls[#calls + 1] = method
      end
    end
    local router = router_of(object)
    router:send { name = "a" }
    assert.are.same({ "open" }, calls)
    router:flush()
    router:close()
    router:close()
    assert.are.equal("open", calls[1])
    assert.are.equal("flush", calls[2])
    assert.are.equal("close", calls[#calls])
  end)

  it("is opened on the coroutine that adds it to an open router", function()
    local router, opened_on = router_of(tw.backends.null()), nil
    assert(router:send { name = "a" })
    local late = {
      open = function()
        opened_on = coroutine.running()
      end,
      send = function() end,
    }
    local co = coroutine.create(function()
      router:register_backend("late", late)
    end)
    assert(coroutine.resume(co))
    assert.are.equal(co, opened_on)
  end)

  it("may emit into its own router, but not without end", function()
    local router
    local count, refused = 0, nil
    router = router_of {
      send = function(_, event)
        count = count + 1
        local ok, message = router:send(event)
        if not ok then
          refused = message
        end
      end,
    }
    router:send { name = "a" }
    assert.are.equal(16, count)
    assert.is_truthy(refused:find("loop", 1, true))
  end)
end)

describe("a backend with send_batch", function()
  local function gatherer()
    local batches = {}
    return batches, {
      send_batch = function(_, events)
        batches[#batches + 1] = events
      end,
    }
  end

  it("gets an event that stands alone at once", function()
    local batches, object = gatherer()
    router_of(object):send { name = "a" }
    assert.are.equal(1, #batches)
    assert.are.equal("a", batches[1][1].name)
  end)

  it("gets events together while more follow, and may keep them", function()
    local batches, object = gatherer()
    local router = router_of(object)
    for i = 1, 5 do
      router:send({ name = "e" .. i }, true)
    end
    assert.are.equal(0, #batches)
    assert.is_true(router:flush())
    assert.are.equal(1, #batches)
    collectgarbage()
    assert.are.equal("e5", batches[1][5].name)
  end)

  it("gets at most a thousand at once", function()
    local batches, object = gatherer()
    local router = router_of(object)
    for _ = 1, 1001 do
      router:send({}, true)
    end
    router:flush()
    assert.are.same({ 1000, 1 }, { #batches[1], #batches[2] })
  end)

  it("that fails counts every event of the batch", function()
    local told = {}
    local router = tw.router {
      backends = {
        out = {
          send_batch = function()
            return nil, "down"
          end,
        },
      },
      on_failure = function(failure)
        told[#told + 1] = failure.events .. " " .. failure.message
      end,
    }
    router:send({ name = "a" }, true)
    router:send({ name = "b" }, true)
    local ok, message = router:flush()
    assert.is_nil(ok)
    assert.is_truthy(message:find("down", 1, true), message)
    assert.are.equal(1, #told)
    assert.is_truthy(told[1]:find "^2 .*down", told[1])
  end)
end)

describe("a shipped backend", function()
  it("counts", function()
    local memory = tw.backends.memory()
    local router = router_of(memory)
    router:send { name = "a" }
    assert.are.same({ sent = 1, failed = 0, duplicate = 0 }, memory:stats())
  end)

  it("raises for a wrong option at the caller's line", function()
    local ok, message = pcall(function()
      local made = tw.backends.file { pth = "x" }
      return made
    end)
    assert.is_false(ok)
    assert.is_truthy(message:find 'backend_spec%.lua:%d+: file: .*"path"', message)
  end)

  it("writes files", function()
    local path = os.tmpname()
    local router = tw.router { backends = { file = tw.backends.file { path = path } } }
    router:send { name = "a", n = 1.0 }
    assert(router:close())
    local file = assert(io.open(path))
    local text = file:read "a"
    file:close()
    os.remove(path)
    -- The order of a table's keys is Lua's.
    assert.is_truthy(text == '{"name":"a","n":1.0}\n' or text == '{"n":1.0,"name":"a"}\n', text)
  end)

  it("can be read back only in memory", function()
    assert.has_error(function()
      tw.backends.null():count()
    end)
    local memory = tw.backends.memory()
    assert.is_nil(memory:get(1))
    assert.are.same({}, memory:events())
  end)
end)

describe("a backend in Lua that loses a method", function()
  for _, method in ipairs { "send", "send_batch" } do
    it("fails, rather than lose events silently, without " .. method, function()
      local messages = {}
      local backend = { [method] = function() end }
      local router = tw.router {
        backends = { out = backend },
        on_failure = function(failure)
          messages[#messages + 1] = failure.message
        end,
      }
      backend[method] = nil
      router:send { name = "a" }
      assert.matches("the backend has no " .. method .. " any more", messages[1])
    end)
  end
end)
