-- How a tracker finds its contexts.
local tw = require "tidewire"

local function tracker_with(locator)
  local memory = tw.backends.memory()
  return tw.tracker { context_locator = locator, backends = { out = memory } }, memory
end

local function in_coroutine(f)
  local co = coroutine.create(f)
  local ok, result = coroutine.resume(co)
  assert(ok, result)
  return result
end

describe("a coroutine locator", function()
  it("keeps the contexts of coroutines apart", function()
    local tracker = tracker_with(tw.locators.coroutine())
    tracker:enter_context("main", { main = 1 })
    local inside = in_coroutine(function()
      tracker:enter_context("co", { co = 1 })
      return tracker:resolve_context()
    end)
    assert.are.same({ co = 1 }, inside)
    assert.are.same({ main = 1 }, tracker:resolve_context())
  end)

  it("is asked by the coroutine that emits", function()
    local tracker, memory = tracker_with(tw.locators.coroutine())
    in_coroutine(function()
      tracker:enter_context("co", { co = 1 })
      tracker:emit "a"
    end)
    tracker:emit "b"
    assert.are.equal(1, memory:get(1).context.co)
    assert.is_nil(memory:get(2).context.co)
  end)

  it("keeps contexts over yields", function()
    local tracker = tracker_with(tw.locators.coroutine())
    local co = coroutine.wrap(function()
      local _ <close> = tracker:context("job", { id = 1 })
      coroutine.yield()
      return tracker:resolve_context().id
    end)
    co()
    tracker:enter_context("main", { id = 2 })
    assert.are.equal(1, co())
  end)

  it("hands a copy to another coroutine", function()
    local locator = tw.locators.coroutine()
    local tracker = tracker_with(locator)
    tracker:enter_context("main", { x = 1 })
    local co = coroutine.create(function()
      tracker:enter_context("more", { y = 2 })
      return tracker:resolve_context()
    end)
    locator:copy_to(co)
    local _, inside = coroutine.resume(co)
    assert.are.same({ x = 1, y = 2 }, inside)
    assert.are.same({ x = 1 }, tracker:resolve_context())
  end)

  it("takes a given context", function()
    local locator = tw.locators.coroutine()
    local tracker = tracker_with(locator)
    local context = tw.context()
    context:enter("given", { x = 1 })
    locator:set(context)
    assert.are.same({ x = 1 }, tracker:resolve_context())
    assert.has_error(function()
      locator:set {}
    end)
  end)

  it("lets finished coroutines go", function()
    local locator = tw.locators.coroutine()
    local tracker = tracker_with(locator)
    in_coroutine(function()
      tracker:enter_context("co", {})
    end)
    collectgarbage()
    collectgarbage()
    local left = 0
    for co in pairs(locator.contexts) do
      left = left + (co ~= coroutine.running() and 1 or 0)
    end
    assert.are.equal(0, left)
  end)
end)

describe("the default locator", function()
  it("has one context for all coroutines", function()
    local tracker = tracker_with(tw.locators.default())
    in_coroutine(function()
      tracker:enter_context("co", { x = 1 })
    end)
    assert.are.same({ x = 1 }, tracker:resolve_context())
  end)

  it("is shared where it is given twice", function()
    local locator = tw.locators.default()
    local a, b = tracker_with(locator), tracker_with(locator)
    a:enter_context("x", { x = 1 })
    assert.are.same({ x = 1 }, b:resolve_context())
    assert.are.same({ x = 1 }, locator:get():resolve())
  end)
end)

describe("the thread-local locator", function()
  it("is what a tracker has unless told otherwise", function()
    local tracker = tw.tracker { backends = { out = tw.backends.null() } }
    tracker:enter_context("a", { x = 1 })
    assert.are.same({ x = 1 }, tracker:resolve_context())
    tracker:exit_context "a"
  end)

  it("is apart from other locators", function()
    local a, b = tracker_with(tw.locators.thread_local()), tracker_with(tw.locators.thread_local())
    a:enter_context("x", { x = 1 })
    assert.are.same({}, b:resolve_context())
  end)
end)

describe("a locator of one's own", function()
  it("is any object with get", function()
    local context = tw.context()
    context:enter("own", { own = true })
    local asked
    local locator = {
      get = function(self)
        asked = self
        return context
      end,
    }
    local tracker, memory = tracker_with(locator)
    tracker:emit "a"
    assert.are.equal(locator, asked)
    assert.is_true(memory:get(1).context.own)
  end)

  it("that fails makes emit fail with its message", function()
    local tracker = tracker_with {
      get = function()
        error "lost"
      end,
    }
    local ok, message, code = tracker:emit "a"
    assert.is_nil(ok)
    assert.is_truthy(message:find("lost", 1, true), message)
    assert.are.equal("script", code)
  end)

  it("that returns something else makes emit fail", function()
    local tracker = tracker_with {
      get = function()
        return {}
      end,
    }
    local ok, message = tracker:emit "a"
    assert.is_nil(ok)
    assert.is_truthy(message:find("get must return a context", 1, true), message)
  end)

  it("without get is refused", function()
    local ok, message = pcall(tracker_with, {})
    assert.is_false(ok)
    assert.is_truthy(message:find("context_locator is a table without get", 1, true), message)
  end)
end)
