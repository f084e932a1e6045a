-- The module as a whole: what it holds, and that mistakes are told where they were made.
local tw = require "tidewire"
local cjson = require "cjson"

--- The message that a call raises, without its position, and whether that was this file.
local function refusal(f, ...)
  local ok, message = pcall(f, ...)
  assert.is_false(ok, "nothing was raised")
  local text = tostring(message):match "^[^:]*module_spec%.lua:%d+: (.*)$"
  return text or message, text ~= nil
end

describe("the module", function()
  it("is the same table wherever it is required", function()
    assert.are.equal(tw, require "tidewire")
  end)

  it("makes no globals", function()
    assert.is_nil(rawget(_G, "tidewire"))
    assert.is_nil(rawget(_G, "tw"))
  end)

  it("has cjson's null", function()
    assert.are.equal(cjson.null, tw.null)
  end)

  it("tells its version", function()
    assert.is_truthy(tw.version:match "^%d+%.%d+%.%d+$")
  end)

  it("tells at which byte of a text it found a fault", function()
    local event, message, code = tw.event '{"a": tru}'
    assert.is_nil(event)
    assert.are.equal("json", code)
    assert.are.equal(
      "byte 7: expected a value: an object, array, string, number, true, false or null", message)
    local _, after = tw.decode "[1, 2"
    assert.is_truthy(after:match "^byte 6: ")
  end)

  it("names the nearest kind of an unknown backend", function()
    local message, here = refusal(function()
      return tw.backends.fiel { path = "x" }
    end)
    assert.are.equal("backends: unknown kind 'fiel'; did you mean 'file'?", message)
    assert.is_true(here)
  end)
end)

local declarations = {
  { "an unknown field", { procesors = {} }, "router: unknown field 'procesors'; did you mean 'processors'?" },
  {
    "a field unlike all",
    { zzzzzz = 1 },
    "router: unknown field 'zzzzzz'; its fields are processors, route, backends, on_failure, on_dead, tests, engine",
  },
  { "sources", { sources = {} }, "router: field 'sources' is not supported yet in this version" },
  {
    "an item without a name",
    { function() end },
    "router: unexpected item [1]; its fields are processors, route, backends, on_failure, on_dead, tests, engine",
  },
  { "processors that are no list", { processors = 7 }, "router: processors must be a table, not a number" },
  {
    "a processor with a key",
    { processors = { x = print } },
    "router: processors must be a list, but it has the key 'x'",
  },
  {
    "a processor that cannot be called",
    { processors = { print, "x" } },
    "router: processors[2] is a string, which cannot be called; a processor is a function, a callable object, "
      .. "or { function, name = , on_error = }",
  },
  {
    "a misspelt option of a processor",
    { processors = { { print, on_eror = "drop" } } },
    "router: processors[1]: unknown field 'on_eror'; did you mean 'on_error'?",
  },
  {
    "an unknown on_error",
    { processors = { { print, on_error = "stop" } } },
    'router: processors[1]: on_error must be "pass", "drop" or "dead_letter", not stop',
  },
  {
    "a backend without send",
    { backends = { out = {} } },
    "router: backends.out is a table without send; a backend is one of tidewire.backends, a router, "
      .. "or an object with send or send_batch",
  },
  {
    "a function as a backend",
    { backends = { out = print } },
    "router: backends.out is a function without send; a backend is one of tidewire.backends, a router, "
      .. "or an object with send or send_batch",
  },
  {
    "a backend without a name",
    { backends = { tw.backends.null() } },
    "router: backends[1] has no name; write name = backend",
  },
  { "a route that cannot be called", { route = "a" }, "router: route must be a function, not a string" },
  { "an observer that cannot be called", { on_failure = 1 }, "router: on_failure must be a function, not a number" },
}

describe("the declaration of a router", function()
  for _, case in ipairs(declarations) do
    it("refuses " .. case[1], function()
      local message, here = refusal(function()
        local router = tw.router(case[2])
        return router
      end)
      assert.are.equal(case[3], message)
      assert.is_true(here, "the position is not the caller's")
    end)
  end

  it("refuses what is no table", function()
    local message = refusal(function()
      local router = tw.router "x"
      return router
    end)
    assert.are.equal("router: declare it with a table, not a string", message)
  end)

  it("accepts tests", function()
    assert.has_no.errors(function()
      tw.router { tests = { "cases/x.lua" } }
    end)
  end)

  it("refuses a name with a slash", function()
    local message = refusal(function()
      local router = tw.router { backends = { ["a/b"] = tw.backends.null() } }
      return router
    end)
    assert.is_truthy(message:find("a/b", 1, true))
  end)
end)

describe("the module's code", function()
  -- A child process does what closing its Lua state does last: it unloads C libraries.
  local CHILD = [[
    require "tidewire"
    local libraries = debug.getregistry()._CLIBS
    getmetatable(libraries).__gc(libraries)
    local stays = io.open "/proc/self/maps":read "a":find("tidewire.so", 1, true)
    os.exit(stays ~= nil, false)
  ]]

  it("stays when the state that loaded it goes, as do the trackers that it registered", function()
    assert.is_true((os.execute("lua5.4 -e '" .. CHILD .. "'")))
  end)
end)
