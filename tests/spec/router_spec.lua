-- Routers: processors and what they return, the tree, routes, failures.
local tw = require "tidewire"

--- A router over a memory backend, and a function that gives the JSON of what came out.
local function router_of(declared)
  local memory = tw.backends.memory()
  declared.backends = declared.backends or { out = memory }
  declared.on_failure = declared.on_failure or function() end
  local router = tw.router(declared)
  return router,
    function()
      local texts = {}
      for i, event in ipairs(memory:events()) do
        texts[i] = tostring(event)
      end
      return texts
    end
end

local function through(processor, event)
  local router, out = router_of { processors = { processor } }
  assert(router:send(event or { name = "a" }))
  return out()
end

local results = {
  { "nothing goes on as it is", function() end, { '{"name":"a"}' } },
  {
    "nothing goes on as edited",
    function(event)
      event.n = 1
    end,
    { '{"name":"a","n":1}' },
  },
  {
    "the event itself goes on",
    function(event)
      return event
    end,
    { '{"name":"a"}' },
  },
  {
    "a table replaces it",
    function()
      return { x = 1.0 }
    end,
    { '{"x":1.0}' },
  },
  {
    "another event replaces it",
    function()
      return tw.event '{"big": 123456789012345678901234567890}'
    end,
    { '{"big": 123456789012345678901234567890}' },
  },
  {
    "an empty table replaces it",
    function()
      return {}
    end,
    { "{}" },
  },
  {
    "false drops it",
    function()
      return false
    end,
    {},
  },
  {
    "drop drops it",
    function()
      tw.drop()
    end,
    {},
  },
  {
    "a list splits it",
    function(event)
      return { event, { name = "b" } }
    end,
    { '{"name":"a"}', '{"name":"b"}' },
  },
  {
    "split splits it",
    function(event)
      return tw.split(event, event, { name = "c" })
    end,
    { '{"name":"a"}', '{"name":"a"}', '{"name":"c"}' },
  },
  {
    "split of nothing drops it",
    function()
      return tw.split()
    end,
    {},
  },
  {
    "a marked empty list drops it",
    function()
      return tw.array {}
    end,
    {},
  },
}

describe("a processor that returns", function()
  for _, case in ipairs(results) do
    it(case[1], function()
      assert.are.same(case[3], through(case[2]))
    end)
  end
end)

local failures = {
  {
    "an error",
    function()
      error "broken"
    end,
    "router_spec%.lua:%d+: broken$",
  },
  {
    "an error that is a table",
    function()
      error { code = 1 }
    end,
    "router_spec%.lua:%d+: the error is a table; raise a text$",
  },
  {
    "an error that has a text",
    function()
      error(setmetatable({}, {
        __tostring = function()
          return "told"
        end,
      }))
    end,
    "^told$",
  },
  {
    "a nil error",
    function()
      error(nil)
    end,
    "router_spec%.lua:%d+: the error is nil; raise a text$",
  },
  {
    "a string as its result",
    function()
      return "x"
    end,
    "^its result is a string; return nothing to go on, an event or a list of events, or false to drop$",
  },
  {
    "true as its result",
    function()
      return true
    end,
    "^its result is a boolean; ",
  },
  {
    "a function in its result",
    function()
      return { f = print }
    end,
    "function",
  },
  {
    "a number in its list",
    function(event)
      return { event, 7 }
    end,
    "^an element of its list is a number; ",
  },
  {
    "a message of two lines",
    function()
      error("one\ntwo", 0)
    end,
    "^one$",
  },
}

describe("a processor that fails with", function()
  for _, case in ipairs(failures) do
    it(case[1] .. " leaves the event as it was", function()
      local told
      local router, out = router_of {
        processors = {
          {
            function(event)
              event.edited = true
              return case[2](event)
            end,
            name = "bad",
          },
        },
        on_failure = function(failure)
          told = { failure.where, failure.name, failure.message, failure.code, failure.events, tostring(failure.event) }
        end,
      }
      assert(router:send(tw.event '{"name":"a"}'))
      assert.is_not_nil(told)
      assert.are.equal("processor", told[1])
      assert.are.equal("bad", told[2])
      assert.is_truthy(told[3]:match(case[3]), told[3])
      assert.are.equal('{"name":"a"}', out()[#out()])
      assert.are.equal(1, router:stats().failed)
    end)
  end
end)

describe("on_error", function()
  local function fail()
    error "no"
  end

  it("drops", function()
    assert.are.same({}, through { fail, on_error = "drop" })
  end)

  it("keeps dead letters", function()
    local dead
    local router, out = router_of {
      processors = { { fail, on_error = "dead_letter", name = "strict" } },
      on_dead = function(failure)
        dead = tostring(failure.event)
      end,
    }
    router:send { name = "a" }
    assert.are.same({}, out())
    assert.are.equal('{"name":"a"}', dead)
    assert.are.equal(1, router:stats().dead)
  end)

  it("is also read from a callable object", function()
    local object = setmetatable({ on_error = "drop", name = "object" }, { __call = fail })
    assert.are.same({}, through(object))
  end)
end)

describe("a failure", function()
  it("carries a traceback", function()
    local traceback
    local router = router_of {
      processors = {
        function(event)
          return event.a.b
        end,
      },
      on_failure = function(failure)
        traceback = failure.traceback
      end,
    }
    router:send { name = "x" }
    assert.is_truthy(traceback:find("stack traceback", 1, true))
  end)

  it("is told to tidewire.on_error where a router has no observer", function()
    local count = 0
    tw.on_error(function()
      count = count + 1
    end)
    local router = tw.router {
      processors = {
        function()
          error "x"
        end,
      },
      backends = { out = tw.backends.null() },
    }
    router:send { name = "a" }
    tw.on_error(nil)
    assert.are.equal(1, count)
  end)

  it("below is told to the observer above", function()
    local told = {}
    local child = tw.router {
      processors = {
        function()
          error "below"
        end,
      },
    }
    local router = router_of {
      backends = { child = child },
      on_failure = function(failure)
        told[#told + 1] = failure.path
      end,
    }
    router:send { name = "a" }
    assert.are.same({ "child" }, told)
  end)
end)

describe("a tree", function()
  it("keeps what a branch does out of the others", function()
    local a, b = tw.backends.memory(), tw.backends.memory()
    local router = tw.router {
      backends = {
        one = tw.router {
          processors = {
            function(event)
              event.one = true
            end,
          },
          backends = { out = a },
        },
        two = tw.router {
          processors = {
            function()
              return false
            end,
          },
        },
        zero = b,
      },
    }
    assert(router:send { name = "x" })
    assert.are.equal('{"name":"x","one":true}', tostring(a:get(1)))
    assert.are.equal('{"name":"x"}', tostring(b:get(1)))
  end)

  it("refuses a circle", function()
    local router = tw.router {}
    local child = tw.router { backends = { up = router } }
    assert.has_error(function()
      router:register_backend("down", child)
    end)
  end)

  it("takes backends and processors later", function()
    local router, out = router_of {}
    router:send { name = "1" }
    router:register_processor(function(event)
      event.later = true
    end)
    local late = tw.backends.memory()
    router:register_backend("late", late)
    router:send { name = "2" }
    assert.are.same({ '{"name":"1"}', '{"name":"2","later":true}' }, out())
    assert.are.equal(1, late:count())
  end)

  it("shows its backends and processors", function()
    local f = function() end
    local entry = { f, name = "named" }
    local memory = tw.backends.memory()
    local child = tw.router {}
    local object = { send = function() end }
    local router =
      tw.router { processors = { f, entry }, backends = { memory = memory, child = child, object = object } }
    assert.are.same({ f, entry }, router.processors)
    local backends = router.backends
    assert.are.equal(memory, backends.memory)
    assert.are.equal(child, backends.child)
    assert.are.equal(object, backends.object)
    assert.are.equal(memory, router:get_backend "memory")
  end)

  it("lists the known names for an unknown one", function()
    local router = tw.router { backends = { a = tw.backends.null(), b = tw.backends.null() } }
    local ok, message = pcall(router.get_backend, router, "c")
    assert.is_false(ok)
    assert.is_truthy(message:find("a", 1, true) and message:find("b", 1, true), message)
  end)

  it("refuses a name that is taken", function()
    local router = tw.router { backends = { a = tw.backends.null() } }
    assert.has_error(function()
      router:register_backend("a", tw.backends.null())
    end)
  end)

  it("survives the collector", function()
    local memory = tw.backends.memory()
    local router = tw.router {
      backends = {
        child = tw.router {
          processors = {
            function(event)
              event.child = true
            end,
          },
          backends = { out = memory },
        },
      },
    }
    collectgarbage()
    collectgarbage()
    router:send { name = "a" }
    assert.are.equal('{"name":"a","child":true}', tostring(memory:get(1)))
  end)

  it("is collected although its functions refer to it", function()
    local collected = setmetatable({}, { __mode = "k" })
    do
      local router
      router = tw.router {
        processors = {
          function()
            return router and nil
          end,
        },
      }
      collected[router] = true
    end
    collectgarbage()
    collectgarbage()
    collectgarbage()
    assert.is_nil(next(collected))
  end)
end)

local routes = {
  {
    "names one",
    function()
      return "a"
    end,
    { 1, 0, 0 },
  },
  {
    "names two",
    function()
      return "a", "c"
    end,
    { 1, 0, 1 },
  },
  {
    "returns a list",
    function()
      return { "b", "c" }
    end,
    { 0, 1, 1 },
  },
  {
    "names one twice",
    function()
      return "a", "a"
    end,
    { 1, 0, 0 },
  },
  { "returns nothing", function() end, { 0, 0, 0 } },
  {
    "returns nil",
    function()
      return nil
    end,
    { 0, 0, 0 },
  },
  {
    "returns a number",
    function()
      return 1
    end,
    { 1, 1, 1 },
  },
  {
    "names an unknown one",
    function()
      return "x"
    end,
    { 1, 1, 1 },
  },
  {
    "fails",
    function()
      error "x"
    end,
    { 1, 1, 1 },
  },
}

describe("a route that", function()
  for _, case in ipairs(routes) do
    it(case[1] .. " sends to the right backends", function()
      local a, b, c = tw.backends.memory(), tw.backends.memory(), tw.backends.memory()
      local router = tw.router { route = case[2], backends = { a = a, b = b, c = c }, on_failure = function() end }
      assert(router:send { name = "x" })
      assert.are.same(case[3], { a:count(), b:count(), c:count() })
    end)
  end
end)

describe("send", function()
  it("keeps an event byte for byte", function()
    local router, out = router_of { processors = { function() end } }
    local text = '{ "name" : "a", "n": 1.50, "e":[], "o":{} }'
    router:send(tw.event(text))
    assert.are.same({ text }, out())
  end)

  it("leaves the sender's event alone", function()
    local router = router_of {
      processors = {
        function(event)
          event.x = 1
        end,
      },
    }
    local event = tw.event '{"name":"a"}'
    router:send(event)
    assert.are.equal('{"name":"a"}', tostring(event))
  end)

  it("refuses what is no event, naming the argument", function()
    local router = router_of {}
    assert.has_error(function()
      router:send(7)
    end)
    local _, message = pcall(router.send, router)
    assert.is_truthy(message:find("event must be an event or a table, not nil", 1, true))
    _, message = pcall(router.send, router, { f = print })
    assert.is_truthy(message:find("event.f", 1, true), message)
  end)

  it("fails when the router is closed", function()
    local router = router_of {}
    assert(router:close())
    local ok, message, code = router:send { name = "a" }
    assert.is_nil(ok)
    assert.are.equal("the router is closed", message)
    assert.are.equal("closed", code)
  end)

  it("inside of a processor is bounded", function()
    local deepest
    local router
    router = tw.router {
      processors = {
        function(event)
          local ok, message = router:send(event)
          if not ok then
            deepest = message
          end
        end,
      },
    }
    router:send { name = "loop" }
    assert.are.equal("emit inside of emit, 16 deep: is this a loop?", deepest)
  end)

  it("works from a coroutine, and callbacks run in it", function()
    local inside
    local router = router_of {
      processors = {
        function()
          inside = coroutine.running()
        end,
      },
    }
    local co = coroutine.create(function()
      router:send { name = "a" }
    end)
    assert(coroutine.resume(co))
    assert.are.equal(co, inside)
  end)

  it("tells of a processor that yields", function()
    local message
    local router = router_of {
      processors = { coroutine.yield },
      on_failure = function(failure)
        message = failure.message
      end,
    }
    coroutine.wrap(function()
      router:send { name = "a" }
    end)()
    assert.is_truthy(message:find("yield", 1, true), message)
  end)

  it("ends views of the event after the call", function()
    local kept
    local router = router_of {
      processors = {
        function(event)
          kept = event
        end,
      },
    }
    router:send { name = "a" }
    assert.has_error(function()
      return kept.name
    end)
  end)
end)

describe("stats", function()
  it("count what happened", function()
    local router = router_of {
      processors = {
        function(event)
          if event.drop then
            tw.drop()
          end
        end,
      },
      route = function(event)
        return not event.nowhere and "out" or nil
      end,
    }
    router:send { name = "a" }
    router:send { name = "b", drop = true }
    router:send { name = "c", nowhere = true }
    assert.are.same({ received = 3, dropped = 1, unrouted = 1, failed = 0, dead = 0 }, router:stats())
  end)
end)

describe("close", function()
  it("comes with <close>", function()
    local closed = 0
    do
      local router <close> = tw.router {
        backends = {
          out = {
            send = function() end,
            close = function()
              closed = closed + 1
            end,
          },
        },
      }
      router:send { name = "a" }
    end
    assert.are.equal(1, closed)
  end)
end)

describe("an event that is sent", function()
  it("is what it was, whatever a backend does when the event opens it", function()
    local got = {}
    local router = tw.router {
      backends = {
        out = {
          open = function()
            tw.encode { other = "text" }
          end,
          send = function(_, event)
            got[#got + 1] = tostring(event)
          end,
        },
      },
    }
    assert(router:send { name = "a" })
    assert.are.same({ '{"name":"a"}' }, got)
  end)

  it("is an object", function()
    local list = tw.decode "[1]"
    local router = tw.router {}
    local ok, message = pcall(router.send, router, list)
    assert.is_false(ok)
    assert.matches("event must be an object, not a list", message)
    ok, message = pcall(tw.event, list)
    assert.is_false(ok)
    assert.matches("an event is an object, not a list or a scalar", message)
  end)
end)

describe("a name", function()
  local tracker = tw.tracker {}
  local uses = {
    { "of an event", tracker.emit, tracker, "a\0b" },
    { "of a context", tracker.enter_context, tracker, "a\0b" },
    { "of a tracker", tw.register_tracker, tracker, "a\0b" },
  }
  for _, use in ipairs(uses) do
    it(use[1] .. " with a NUL is refused, not cut", function()
      local ok, message = pcall(table.unpack(use, 2))
      assert.is_false(ok)
      assert.matches("name must not hold a NUL, but byte 2 is one", message)
    end)
  end
end)

describe("the name of a backend", function()
  for _, name in ipairs { "a\0b", "a\nb", "a\27[31m" } do
    it(("must not hold control characters: %q"):format(name), function()
      local ok, message = pcall(tw.router, { backends = { [name] = tw.backends.null() } })
      assert.is_false(ok)
      assert.matches("router: backends%.a%?.*: a name must not hold control characters", message)
    end)
  end
end)

describe("what require gives", function()
  local function module()
    return function(event)
      event.seen = true
    end
  end

  it("in a list of processors is one processor, also with the file's name behind it", function()
    package.preload["spec.seen"] = module
    local memory = tw.backends.memory()
    local router = tw.router { processors = { require "spec.seen" }, backends = { out = memory } }
    assert.are.equal(1, #router.processors)
    assert(router:send(tw.event "{}"))
    tw.processors.chain(require "spec.seen")(tw.event "{}")
    package.preload["spec.seen"], package.loaded["spec.seen"] = nil, nil
    assert.are.equal('{"seen":true}', tostring(memory:get(1)))
  end)

  it("does not excuse other texts", function()
    local ok, message = pcall(tw.router, { processors = { function() end, "redact" } })
    assert.is_false(ok)
    assert.matches("processors%[2%] is a string", message)
  end)
end)

describe("the position of a mistake is the caller's also behind a tail call:", function()
  local mistakes = {
    "tw.router { processors = { 1 } }",
    "tw.processors.redact { wiht = 1 }",
    "tw.processors.set {}",
    "tw.processors.chain(1)",
    "tw.processors.when(1)",
    "tw.router({}):register_processor(1)",
    "tw.router({}):register_backend('a', 1)",
    "tw.router({}):get_backend 'a'",
    "tw.tracker({}):context(1)",
    "tw.locators.coroutine():set(1)",
    "tw.locators.coroutine():copy_to(1)",
    "require('tidewire.testing').cases {}",
  }
  for _, mistake in ipairs(mistakes) do
    it(mistake, function()
      local chunk = assert(load("local tw = ...\nreturn " .. mistake, "@user.lua"))
      local ok, message = pcall(chunk, tw)
      assert.is_false(ok)
      assert.matches("^user.lua:2: ", message)
    end)
  end
end)

describe("a processor that yields", function()
  it("fails, and is told what it can do instead", function()
    local messages = {}
    local router = tw.router {
      processors = { coroutine.yield },
      on_failure = function(failure)
        messages[#messages + 1] = failure.message
      end,
    }
    router:send {}
    coroutine.wrap(function()
      router:send {}
    end)()
    assert.are.equal(2, #messages)
    for _, message in ipairs(messages) do
      assert.matches("^attempt to yield .*; what a router calls cannot yield, but may run coroutines", message)
    end
  end)
end)

describe("an error without text", function()
  local raised = { ["nil"] = "nil", ["{}"] = "a table", ["true"] = "a boolean", ["print"] = "a function" }
  for value, what in pairs(raised) do
    it(("is told with its place: error(%s)"):format(value), function()
      local message
      local router = tw.router {
        processors = { assert(load(("return function()\nerror(%s) end"):format(value), "@user.lua"))() },
        on_failure = function(failure)
          message = failure.message
        end,
      }
      router:send {}
      assert.are.equal(("user.lua:2: the error is %s; raise a text"):format(what), message)
    end)
  end
end)
