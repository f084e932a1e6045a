-- Objects in finalizers, and finalizers in the middle of calls: whatever the collector does
-- at whatever time, a call gives its own result or a clear error.
local tw = require "tidewire"

--- Runs `f` in a finalizer at each full collection until the function that is returned is called.
local function at_each_collection(f)
  local stopped = false
  local function arm()
    setmetatable({}, {
      __gc = function()
        if not stopped then
          f()
          arm()
        end
      end,
    })
  end
  arm()
  return function()
    stopped = true
  end
end

describe("a finalizer", function()
  it("that uses the library changes no context that is being resolved", function()
    local context = tw.context()
    context:enter("a", { x = 1, y = ("z"):rep(100) })
    local size = 0
    local stop = at_each_collection(function()
      size = size % 7000 + 1000
      tw.encode { ("q"):rep(size) }
    end)
    collectgarbage "generational"
    for _ = 1, 20000 do
      local fields = context:resolve()
      assert(fields.x == 1 and fields.y == ("z"):rep(100))
    end
    collectgarbage "incremental"
    stop()
  end)

  it("that meets objects finalized before it gets errors that say so", function()
    local outcomes = {}
    local function try(name, f, ...)
      local ok, message = pcall(f, ...)
      outcomes[name] = not ok and message or "no error"
    end
    do
      local holder = setmetatable({}, {
        __gc = function(held)
          try("tracker", held.tracker.emit, held.tracker, "a")
          try("router", held.router.send, held.router, {})
          try("backend", held.backend.stats, held.backend)
          try("memory", held.backend.events, held.backend)
          try("context", held.context.resolve, held.context)
          try("locator", held.locator.get, held.locator)
          try("processor", held.processor, held.event)
          try("event", tostring, held.event)
          try("path", held.path.get, held.path, held.event)
          try("added", tw.router {}.register_backend, tw.router {}, "b", held.backend)
        end,
      })
      holder.tracker = tw.tracker { backends = { out = tw.backends.memory() } }
      holder.router = tw.router { backends = { out = tw.backends.memory() } }
      holder.backend = tw.backends.memory()
      holder.context = tw.context()
      holder.locator = tw.locators.default()
      holder.processor = tw.processors.allowlist { "a" }
      holder.event = tw.event {}
      holder.path = tw.path "name"
    end
    collectgarbage()
    collectgarbage()
    for _, name in ipairs { "tracker", "router", "backend", "memory", "context", "locator", "processor" } do
      assert.matches("self is closed$", outcomes[name], nil, nil, name)
    end
    assert.matches("event view used after its event ended", outcomes.event)
    assert.matches("tidewire.path", outcomes.path)
    assert.matches("backend 'b' is a userdata without send", outcomes.added)
  end)
end)
